/** `/hoop …`: ephemeral, under the same authoriser as the buttons (SLACK.md "Commands"). */
import type { ApprovalRequest } from '../approvals/types.ts';
import { headline, needsConfirm, stateSentence } from '../approvals/words.ts';
import type { Actions } from './actions.ts';
import { type Answer, type Listener, text } from './answers.ts';
import { type Block, context, date, type Message, mrkdwn, own, plain, section } from './blocks.ts';
import { needsFullView, renderCard } from './cards.ts';
import { parseRequestId } from './ids.ts';
import type { ApproverResult, Tapper } from './tapper.ts';
import { counted, escaped, oneLine } from './text.ts';
import type { BotDeps, SessionRow } from './types.ts';

const HELP = [
  '/hoop sessions [@alice or e-mail] [24h, 7d]: recorded sessions',
  '/hoop pending: requests that wait for a decision',
  '/hoop show HP-7Q2F: one request',
  '/hoop approve HP-7Q2F · /hoop deny HP-7Q2F reason: decide',
  '/hoop help: this',
].join('\n');
const APPROVERS_ONLY = 'Only approvers see what belongs to others. Try it without a name, for your own.';
const STORE_DOWN = 'Holdpoint cannot reach its store right now. Please try again in a moment.';
const SHOWN = 15;
const WEEK_MS = 7 * 24 * 3_600_000;

interface Call {
  readonly to: Listener;
  readonly teamId: string | null;
  readonly words: readonly string[];
}

export function createCommands(
  deps: Pick<BotDeps, 'desk' | 'config' | 'sessions' | 'now'> & {
    readonly tapper: Tapper;
    readonly actions: Actions;
    readonly answer: Answer;
  },
): (body: unknown) => Promise<void> {
  const { actions, answer, config, desk, now, sessions, tapper } = deps;

  async function listSessions(call: Call): Promise<void> {
    const caller = await tapper.member(call.to.userId, call.teamId);
    if (caller.kind === 'refused') return await answer(call.to, caller.sentence);
    const subject = call.words.find((word) => span(word) === null) ?? null;
    const since = call.words.map(span).find((each) => each !== null) ?? WEEK_MS;
    let owner = caller.member.email;
    if (subject !== null) {
      const named = await ownerOf(subject, call.teamId);
      if (named.kind === 'unknown') return await answer(call.to, named.sentence);
      if (named.owner !== owner && (await approver(call)).kind === 'refused')
        return await answer(call.to, APPROVERS_ONLY);
      owner = named.owner;
    }
    if (owner === null)
      return await answer(
        call.to,
        'Slack knows no confirmed e-mail of yours. Name one: /hoop sessions alice@example.com',
      );
    const rows = await sessions.list({ owner, since: now() - since, limit: SHOWN + 1 });
    await answer(call.to, sessionsMessage(owner, rows, config.publicUrl));
  }

  async function ownerOf(
    word: string,
    teamId: string | null,
  ): Promise<
    | { readonly kind: 'owner'; readonly owner: string }
    | { readonly kind: 'unknown'; readonly sentence: string }
  > {
    const mention = /^<@([UW][A-Z0-9]{1,30})(?:\|[^>]*)?>$/.exec(word)?.[1];
    if (mention !== undefined) {
      const named = await tapper.member(mention, teamId);
      if (named.kind === 'member' && named.member.email !== null)
        return { kind: 'owner', owner: named.member.email };
      return {
        kind: 'unknown',
        sentence: 'Slack has no confirmed e-mail of that member. Give the e-mail instead.',
      };
    }
    // Slack turns a bare e-mail into <mailto:a@b|a@b>.
    const email = /^(?:<mailto:)?([^\s<>|@]{1,64}@[^\s<>|@]{1,190})(?:\|[^>]*>|>)?$/.exec(word)?.[1];
    if (email !== undefined) return { kind: 'owner', owner: email.toLowerCase() };
    return { kind: 'unknown', sentence: 'Name a person by @mention or e-mail: /hoop sessions @alice' };
  }

  async function approver(call: Call): Promise<ApproverResult> {
    return await tapper.approver(call.to.userId, call.teamId);
  }

  /** An approver sees all that wait, anybody else their own. */
  async function pending(call: Call): Promise<void> {
    const caller = await tapper.member(call.to.userId, call.teamId);
    if (caller.kind === 'refused') return await answer(call.to, caller.sentence);
    const all = await desk.list({ states: ['pending'], limit: 100 });
    const seen =
      (await approver(call)).kind === 'approver'
        ? all
        : all.filter((each) => isOf(each, caller.member.email));
    await answer(call.to, pendingMessage(seen));
  }

  async function show(call: Call): Promise<void> {
    const request = await named(call);
    if (request === null) return;
    await answer(call.to, renderCard(request, { now: now(), publicUrl: config.publicUrl, quiet: true }));
  }

  async function decide(call: Call, effect: 'approve' | 'deny'): Promise<void> {
    const id = parseRequestId(call.words[0] ?? '');
    if (id === null) return await answer(call.to, `Which request? For example: /hoop ${effect} HP-7Q2F`);
    const reason = call.words.slice(1).join(' ').trim();
    // Before anything is said of the request; asked once more when it is decided.
    const who = await approver(call);
    if (who.kind === 'refused') return await answer(call.to, who.sentence);
    const request = await desk.get(id);
    if (request === null) return await answer(call.to, `There is no request ${id}.`);
    // What asks twice on the card, or cannot be shown whole, is not approved by a line of text.
    if (
      effect === 'approve' &&
      request.state === 'pending' &&
      (needsFullView(request) || needsConfirm(request))
    )
      return await answer(call.to, `${id} needs a second look: approve it on its card.`);
    await actions.decide(
      { value: { id, version: request.version }, listener: call.to, teamId: call.teamId, place: null },
      effect,
      reason === '' ? null : reason,
    );
    const after = await desk.get(id);
    if (after !== null && after.version > request.version)
      await answer(call.to, `${id}: ${stateSentence(after, now())}`);
  }

  /** The request that the command names, when the caller may see it. Answers and gives null otherwise. */
  async function named(call: Call): Promise<ApprovalRequest | null> {
    const id = parseRequestId(call.words[0] ?? '');
    const caller = await tapper.member(call.to.userId, call.teamId);
    if (caller.kind === 'refused') {
      await answer(call.to, caller.sentence);
      return null;
    }
    const request = id === null ? null : await desk.get(id);
    const allowed =
      request !== null && (isOf(request, caller.member.email) || (await approver(call)).kind === 'approver');
    if (request !== null && allowed) return request;
    await answer(call.to, `There is no such request that you may see. Try /hoop pending.`);
    return null;
  }

  return async (body) => {
    const [verb = 'help', ...words] = (text(body, 'text') ?? '').trim().slice(0, 1000).split(/\s+/);
    const call: Call = {
      to: {
        userId: text(body, 'user_id') ?? '',
        channel: text(body, 'channel_id'),
        responseUrl: text(body, 'response_url'),
      },
      teamId: text(body, 'team_id'),
      words,
    };
    try {
      switch (verb.toLowerCase()) {
        case 'sessions':
          return await listSessions(call);
        case 'pending':
          return await pending(call);
        case 'show':
          return await show(call);
        case 'approve':
          return await decide(call, 'approve');
        case 'deny':
          return await decide(call, 'deny');
        case '':
        case 'help':
          return await answer(call.to, { text: escaped(HELP, 1000), blocks: [section(HELP, 'help')] });
        default:
          return await answer(call.to, {
            text: 'Unknown command',
            blocks: [section(`I do not know "${oneLine(verb, 40)}".\n${HELP}`, 'help')],
          });
      }
    } catch {
      await answer(call.to, STORE_DOWN);
    }
  };
}

function isOf(request: ApprovalRequest, email: string | null): boolean {
  return email !== null && request.requester.ownerEmail?.toLowerCase() === email;
}

/** `24h`, `7d`: milliseconds; at most a year. */
function span(word: string): number | null {
  const [, count, unit] = /^([1-9][0-9]{0,3})([hd])$/.exec(word) ?? [];
  if (count === undefined) return null;
  return Math.min(Number(count) * (unit === 'h' ? 3_600_000 : 86_400_000), 366 * 86_400_000);
}

function sessionsMessage(owner: string, rows: readonly SessionRow[], publicUrl: string | null): Message {
  if (rows.length === 0) {
    const none = `No sessions of ${oneLine(owner, 200)} in that time.`;
    return { text: escaped(none, 400), blocks: [section(none, 'sessions')] };
  }
  const title = `Sessions of ${oneLine(owner, 200)}${rows.length > SHOWN ? `, the latest ${SHOWN}` : ''}`;
  const blocks: Block[] = [section(title, 'sessions')];
  rows.slice(0, SHOWN).forEach((row, index) => {
    blocks.push(sessionBlock(row, publicUrl, index));
    blocks.push(
      context([mrkdwn(own`${date(row.startedAt)}`), plain(sessionCounts(row), 300)], `counts${index}`),
    );
  });
  return { text: escaped(title, 400), blocks };
}
function sessionBlock(row: SessionRow, publicUrl: string | null, index: number): Block {
  const person = row.ownerName ?? row.ownerEmail ?? row.subject;
  const name = oneLine(row.agent === null ? person : `${row.agent} for ${person}`, 150);
  const where = `${oneLine(row.environment, 40)}/${oneLine(row.target, 60)}`;
  const id = oneLine(row.id, 80);
  const link =
    publicUrl === null
      ? { type: 'text', text: `holdpoint session ${id}`, style: { code: true } }
      : {
          type: 'link',
          url: `${publicUrl.replace(/\/+$/, '')}/sessions/${encodeURIComponent(row.id)}`,
          text: id,
        };
  return {
    type: 'rich_text',
    block_id: `session${index}`,
    elements: [
      { type: 'rich_text_section', elements: [{ type: 'text', text: `${name} on ${where} · ` }, link] },
    ],
  };
}
function sessionCounts(row: SessionRow): string {
  const state = row.endedAt === null ? 'open' : 'ended';
  const counts = `${row.held} held, ${row.denied} denied, ${counted(row.errors, 'error')}`;
  return `${state} · ${counted(row.statements, 'statement')}, ${counts}`;
}

export function pendingMessage(requests: readonly ApprovalRequest[]): Message {
  if (requests.length === 0)
    return { text: 'Nothing waits.', blocks: [section('Nothing waits for a decision.', 'pending')] };
  const title = `${counted(requests.length, 'request')} waiting`;
  const blocks: Block[] = [section(title, 'pending')];
  for (const request of requests.slice(0, SHOWN)) {
    blocks.push(section(oneLine(headline(request), 400), `pending:${request.id}`));
    blocks.push(context([mrkdwn(own`Expires ${date(request.expiresAt)}`)], `expiry:${request.id}`));
  }
  if (requests.length > SHOWN)
    blocks.push(section(`and ${requests.length - SHOWN} more: holdpoint pending`, 'more'));
  return { text: escaped(title, 200), blocks };
}
