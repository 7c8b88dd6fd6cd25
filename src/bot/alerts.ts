/** An agent that keeps sending destructive statements: one message a burst, with a button that suspends its owner (DESIGN.md 17). */
import { randomBytes } from 'node:crypto';
import { alertNote, burstTitle, isSuspendable, suspendSentence } from '../approvals/about.ts';
import type { ApprovalRequest } from '../approvals/types.ts';
import { who } from '../approvals/words.ts';
import { type Answer, type Listener, text } from './answers.ts';
import {
  type Block,
  context,
  date,
  header,
  type Message,
  mentioned,
  mrkdwn,
  own,
  plain,
  section,
} from './blocks.ts';
import type { Groups } from './groups.ts';
import { ACTION, clientMessageId } from './ids.ts';
import { createLane } from './lane.ts';
import { type Pace, PRIORITY } from './pace.ts';
import { type SlackApi, SlackFailure, whyOf } from './slack-api.ts';
import type { Tapper } from './tapper.ts';
import { escaped, oneLine } from './text.ts';
import type { Turn } from './turn.ts';
import type { Alert, Attempt, BotDeps } from './types.ts';

export interface Alerts {
  start(): void;
  stop(): void;
  /** Policy refused it. */
  denied(attempt: Attempt): void;
  /** The button. */
  suspend(value: string | null, to: Listener): Promise<void>;
}

const DESTRUCTIVE: readonly string[] = ['delete', 'truncate', 'lock', 'ddl', 'dcl', 'admin', 'do', 'merge'];
/** Of a burst, the latest are shown. */
const SHOWN = 5;
const POLL_MS = 5000;
/** What is counted of somebody while a burst of theirs is known already: enough to see that it goes on. */
const KNOWN_MS = 1000;
const KEYS = 2000;
const ID = /^AL-[0-9a-f]{16}$/;

export function createAlerts(
  deps: Pick<BotDeps, 'alerts' | 'config' | 'desk' | 'log' | 'now' | 'policies' | 'suspend'> & {
    readonly api: SlackApi;
    readonly answer: Answer;
    readonly groups: Groups;
    readonly pace: Pace;
    readonly tapper: Tapper;
    readonly turn: Turn;
  },
): Alerts {
  const { alerts: store, answer, config, desk, groups, log, now, pace, policies, tapper, turn } = deps;
  const api = turn.guard(deps.api);
  const settings = config.alerts ?? null;
  /** Until when what these send is not counted. */
  const known = new Map<string, number>();
  const seen = new Set<string>();
  const lane = createLane<never>({
    work: deliver,
    onFailure: (id, _, tries, waitMs, error) =>
      log.warn(
        { alert: id, tries, waitMs, why: error instanceof SlackFailure ? whyOf(error) : 'store' },
        'alert',
      ),
  });
  let unsubscribe: (() => void) | null = null;
  let poll: NodeJS.Timeout | null = null;

  function note(attempt: Attempt, how: string): void {
    if (settings === null || !DESTRUCTIVE.includes(attempt.class)) return;
    const { requester, target } = attempt;
    const key = [requester.ownerId ?? requester.subject, requester.agent ?? ''].join('\0');
    const at = now();
    if ((known.get(key) ?? 0) > at) return;
    const [first, ...others] = attempt.relations;
    const object =
      first === undefined ? '' : ` ${first}${others.length > 0 ? ` and ${others.length} more` : ''}`;
    const line = oneLine(`${attempt.verb}${object} on ${target.environment}/${target.name}: ${how}`, 200);
    const id = `AL-${randomBytes(8).toString('hex')}`;
    const { channel, count, withinMs } = settings;
    void store
      .attempt({ id, key, requester: { ...requester }, channel, at, line }, { count, withinMs, lines: SHOWN })
      .then((result) => {
        if (result === 'counted') return;
        if (known.size >= KEYS) known.clear();
        known.set(key, at + KNOWN_MS);
        if (result === 'known') return;
        log.warn({ alert: id, owner: requester.ownerId, count }, 'destructive statements');
        lane.schedule(id);
      })
      .catch(() => log.error({ owner: requester.ownerId }, 'a destructive statement could not be counted'));
  }

  function held(request: ApprovalRequest): void {
    if (request.version !== 1 || request.state !== 'pending' || seen.has(request.id)) return;
    if (seen.size > 5000) seen.clear();
    seen.add(request.id);
    const { statement, requester, target } = request;
    const wide = statement.missingWhere && statement.class === 'update' ? 'delete' : statement.class;
    note({ ...statement, class: wide, requester, target }, `held as ${request.id}`);
  }

  async function deliver(id: string): Promise<void> {
    const alert = await store.get(id);
    if (alert === null || alert.shown) return;
    const mention = config.mention ?? null;
    const call = mention === null || alert.suspendedBy !== null ? null : await groups.mention(mention);
    const { text: words, blocks } = renderAlert(alert, call);
    const args = { text: words, blocks, parse: 'none', link_names: false };
    const { ts } = alert;
    if (ts === null) {
      const sent = await pace.post(alert.channel, PRIORITY.card, () =>
        api.call('chat.postMessage', {
          channel: alert.channel,
          client_msg_id: clientMessageId(alert.id, 'alert'),
          ...args,
          unfurl_links: false,
          unfurl_media: false,
        }),
      );
      const channel = text(sent, 'channel') ?? alert.channel;
      pace.alias(alert.channel, channel);
      await store.sent(id, { channel, ts: text(sent, 'ts') ?? '', suspendedBy: alert.suspendedBy });
    } else {
      await pace.update(PRIORITY.card, () =>
        api.call('chat.update', { channel: alert.channel, ts, ...args }),
      );
      await store.sent(id, { channel: alert.channel, ts, suspendedBy: alert.suspendedBy });
    }
  }

  async function look(): Promise<void> {
    turn.mine() ? lane.open() : lane.close();
    if (!turn.mine()) return;
    try {
      for (const id of await store.unsent()) lane.schedule(id);
    } catch {
      log.warn({}, 'alerts could not be read; they are read again in a few seconds');
    }
  }

  return {
    start() {
      if (settings === null) return;
      unsubscribe = desk.onChange(held);
      poll = setInterval(() => void look(), POLL_MS);
      poll.unref();
      void look();
    },
    stop() {
      lane.close();
      unsubscribe?.();
      if (poll !== null) clearInterval(poll);
    },
    denied: (attempt) => note(attempt, 'denied'),
    async suspend(value, to) {
      const caller = await tapper.approver(to.userId, to.teamId, policies.deciders());
      if (caller.kind === 'refused') return await answer(to, caller.sentence);
      const alert = value !== null && ID.test(value) ? await store.get(value) : null;
      if (alert === null || !isSuspendable(alert))
        return await answer(to, 'There is no such alert any more. Nothing was done.');
      const { approver } = caller;
      const whom = oneLine(who(alert), 80);
      if (alert.suspendedBy === null) {
        await deps.suspend(alert, approver);
        log.warn(
          { alert: alert.id, owner: alert.requester.ownerId, by: approver.id },
          'suspended from Slack',
        );
      }
      lane.schedule(alert.id);
      const by = alert.suspendedBy === null ? '' : `, by ${oneLine(alert.suspendedBy, 80)}`;
      await answer(to, `${whom} is suspended${by}. Sessions end, requests are withdrawn, grants are void.`);
    },
  };
}

export function renderAlert(alert: Alert, call: Parameters<typeof mentioned>[1][number] | null): Message {
  const whom = oneLine(who(alert), 80);
  const name = (part: string): string => `${alert.id}:${alert.suspendedBy === null ? 0 : 1}:${part}`;
  const title = burstTitle(alert);
  const blocks: Block[] = [
    header(`${alert.suspendedBy === null ? '🚨' : '🔒'} ${title}`, name('head')),
    section(alert.lines.map((line) => `• ${oneLine(line, 220)}`).join('\n') || ' ', name('lines')),
    context(
      [plain(`The latest of them. ${alertNote(alert)}`, 250), mrkdwn(own`${date(alert.at)}`)],
      name('note'),
    ),
  ];
  if (alert.suspendedBy !== null)
    blocks.push(
      section(`Suspended by ${oneLine(alert.suspendedBy, 80)}. Lift it with "holdpoint resume".`, name('by')),
    );
  else {
    if (call !== null) blocks.push(mentioned('On call:', [call], name('call')));
    if (isSuspendable(alert))
      blocks.push({ type: 'actions', block_id: name('act'), elements: [suspendButton(alert, whom)] });
  }
  return { text: escaped(title, 300), blocks };
}

function suspendButton(alert: Alert, whom: string): object {
  return {
    type: 'button',
    action_id: ACTION.suspend,
    style: 'danger',
    text: plain('Suspend', 75),
    value: alert.id,
    confirm: {
      title: plain(`Suspend ${whom}?`, 100),
      text: plain(suspendSentence(alert), 300),
      confirm: plain('Suspend', 30),
      deny: plain('Go back', 30),
    },
  };
}
