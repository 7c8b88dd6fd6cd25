/** Taps: acknowledge, find out who it is now, let the desk decide, tell the loser why, refresh the card (SLACK.md "A tap"). */
import { barred } from '../approvals/authorise.ts';
import type { ApprovalRequest } from '../approvals/types.ts';
import { confirmSentence, needsConfirm, refusalSentence } from '../approvals/words.ts';
import { deciders } from './access.ts';
import { type Answer, type Listener, record, text } from './answers.ts';
import { needsFullView } from './cards.ts';
import type { Delivery } from './delivery.ts';
import {
  type CardValue,
  DENY_REASONS,
  decodeChoice,
  decodeMemory,
  decodeValue,
  type ModalMemory,
  REASON_BLOCK,
  REASON_INPUT,
} from './ids.ts';
import { denyModal, fullSqlModal, type Modal } from './modals.ts';
import { type SlackApi, SlackFailure } from './slack-api.ts';
import type { Tapper } from './tapper.ts';
import type { BotDeps, Place } from './types.ts';

export interface Tap {
  readonly value: CardValue;
  readonly listener: Listener;
  readonly teamId: string | null;
  /** The message that was tapped. */
  readonly place: Place | null;
}

export interface Actions {
  /** Each takes Slack's body after it was acknowledged and never rejects for what the tapper did. */
  approve(body: unknown): Promise<void>;
  deny(body: unknown): Promise<void>;
  view(body: unknown): Promise<void>;
  count(body: unknown): Promise<void>;
  /** By its owner. */
  withdraw(body: unknown): Promise<void>;
  denyReason(body: unknown): Promise<void>;
  approveFromModal(body: unknown): Promise<void>;
  decide(tap: Tap, effect: 'approve' | 'deny', reason: string | null): Promise<void>;
  takeBack(id: string, listener: Listener, teamId: string | null): Promise<void>;
}

const NOT_OURS = 'That button is not one of this installation’s. Nothing was decided.';
const STORE_DOWN = 'Holdpoint cannot reach its store right now. Nothing was decided; please try again.';

export function createActions(
  deps: Pick<BotDeps, 'desk' | 'config' | 'counter' | 'log' | 'now'> & {
    readonly api: SlackApi;
    readonly tapper: Tapper;
    readonly delivery: Delivery;
    readonly answer: Answer;
  },
): Actions {
  const { api, answer, config, counter, delivery, desk, log, now, tapper } = deps;

  async function decide(tap: Tap, effect: 'approve' | 'deny', reason: string | null): Promise<void> {
    const request = await find(tap.value.id);
    const wanted = request === null || request === 'unavailable' ? [] : deciders(request);
    const who = await tapper.approver(tap.listener.userId, tap.teamId, wanted);
    if (who.kind === 'refused') return await refuse(tap, who.sentence);
    if (request === 'unavailable') return await refuse(tap, STORE_DOWN);
    // No card of ours was ever ahead of the store.
    if (request !== null && tap.value.version > request.version) return await refuse(tap, NOT_OURS);
    const result = await desk
      .decide({
        id: tap.value.id,
        approver: who.approver,
        effect,
        reason: reason === null ? null : reason.slice(0, 300),
      })
      .catch(() => ({ kind: 'unavailable', sentence: STORE_DOWN }) as const);
    log.info({ request: tap.value.id, approver: who.approver.id, effect, result: result.kind }, 'tap');
    switch (result.kind) {
      case 'settled':
        return delivery.refresh(tap.value.id, tap.place);
      case 'counted':
        delivery.refresh(tap.value.id, tap.place);
        return await answer(
          tap.listener,
          `Your approval of ${tap.value.id} counts. ${result.missing} more needed.`,
        );
      case 'lost':
      case 'refused':
      case 'unavailable':
        return await refuse(tap, result.sentence);
    }
  }

  async function takeBack(id: string, to: Listener, teamId: string | null): Promise<void> {
    const who = await tapper.person(to.userId, teamId);
    if (who.kind === 'refused') return await answer(to, who.sentence);
    const result = await desk.withdraw({ id, by: who.person, note: null });
    log.info({ request: id, by: who.person.id, result: result.kind }, 'withdraw');
    const done = result.kind === 'settled' || result.kind === 'counted';
    await answer(
      to,
      done
        ? `${result.request.id} is withdrawn: nobody is asked any more, it does not run.`
        : result.sentence,
    );
  }

  /** On a connection of its own, for as long as its time limit allows: one count of a request at a time. */
  const counting = new Set<string>();
  async function count(tap: Tap): Promise<void> {
    const { id } = tap.value;
    const request = await find(id);
    const wanted = request === null || request === 'unavailable' ? [] : deciders(request);
    const who = await tapper.approver(tap.listener.userId, tap.teamId, wanted);
    if (who.kind === 'refused') return await refuse(tap, who.sentence);
    if (request === 'unavailable') return await refuse(tap, STORE_DOWN);
    const why = request === null ? 'no-such-request' : barred(request, who.approver);
    if (why !== null) return await refuse(tap, refusalSentence(why, request, now()));
    if (counter === null || counting.has(id))
      return await answer(tap.listener, `${id} is being counted already. The card will show it.`);
    counting.add(id);
    try {
      const result = await counter.count(id);
      log.info({ request: id, approver: who.approver.id, result: result.kind }, 'count');
      if (result.kind === 'not-counted') return await refuse(tap, result.sentence);
      delivery.refresh(id, tap.place);
    } finally {
      counting.delete(id);
    }
  }

  async function refuse(tap: Tap, sentence: string): Promise<void> {
    delivery.refresh(tap.value.id, tap.place);
    await answer(tap.listener, sentence);
  }

  async function find(id: string): Promise<ApprovalRequest | null | 'unavailable'> {
    return await desk.get(id).catch(() => 'unavailable' as const);
  }

  async function open(body: unknown, tap: Tap, modal: (request: ApprovalRequest) => Modal): Promise<void> {
    const request = await find(tap.value.id);
    if (request === 'unavailable') return await refuse(tap, STORE_DOWN);
    if (request === null) return await refuse(tap, `There is no request ${tap.value.id} any more.`);
    try {
      await api.call('views.open', { trigger_id: text(body, 'trigger_id') ?? '', view: modal(request) });
    } catch (error) {
      log.warn(
        { request: request.id, why: error instanceof SlackFailure ? error.message : 'unexpected failure' },
        'a modal did not open',
      );
      await answer(
        tap.listener,
        `Slack did not open the window for ${request.id}. Tap again, or use "holdpoint show ${request.id}".`,
      );
    }
  }
  /** It turned out only after the card, or the window, was made: nobody has been asked about it yet. */
  async function unasked(tap: Tap): Promise<boolean> {
    const request = await find(tap.value.id);
    if (request === null || request === 'unavailable' || tap.value.sure === true) return false;
    if (request.state !== 'pending' || !needsConfirm(request)) return false;
    await refuse(tap, `${confirmSentence(request)} That was not known before. Look at the card again.`);
    return true;
  }
  function memory({ listener, place, value: { id, version } }: Tap, request: ApprovalRequest): ModalMemory {
    const value = { id, version, sure: needsConfirm(request) };
    return { value, channel: listener.channel ?? '', ts: place?.ts ?? null };
  }

  return {
    decide,
    takeBack,
    async approve(body) {
      const tap = cardTap(body, decodeValue(text(action(body), 'value')));
      if (tap === null) return await answer(listener(body), NOT_OURS);
      const request = await find(tap.value.id);
      // Cards over budget have no such button: SQL that nobody saw is approved from the modal alone.
      if (request !== null && request !== 'unavailable' && needsFullView(request))
        return await refuse(tap, `Open "View full SQL" on ${request.id} and approve there.`);
      if (!(await unasked(tap))) await decide(tap, 'approve', null);
    },
    async deny(body) {
      const choice = decodeChoice(text(action(body), 'selected_option', 'value'));
      const tap = cardTap(body, choice?.value ?? null);
      if (tap === null || choice === null) return await answer(listener(body), NOT_OURS);
      const reason = DENY_REASONS.find((each) => each.code === choice.code)?.reason ?? null;
      if (reason === null)
        return await open(body, tap, (request) => denyModal(request, memory(tap, request)));
      await decide(tap, 'deny', reason);
    },
    async view(body) {
      const tap = cardTap(body, decodeValue(text(action(body), 'value')));
      if (tap === null) return await answer(listener(body), NOT_OURS);
      await open(body, tap, (request) =>
        fullSqlModal(request, memory(tap, request), { publicUrl: config.publicUrl, now: now() }),
      );
    },
    async count(body) {
      const tap = cardTap(body, decodeValue(text(action(body), 'value')));
      if (tap === null) return await answer(listener(body), NOT_OURS);
      await count(tap);
    },
    async withdraw(body) {
      const value = decodeValue(text(action(body), 'value'));
      const to = listener(body);
      if (value === null) return await answer(to, NOT_OURS);
      await takeBack(value.id, to, teamId(body));
    },
    async denyReason(body) {
      const tap = modalTap(body);
      if (tap === null) return;
      const typed = text(body, 'view', 'state', 'values', REASON_BLOCK, REASON_INPUT, 'value')?.trim() ?? '';
      await decide(tap, 'deny', typed === '' ? null : typed);
    },
    async approveFromModal(body) {
      const tap = modalTap(body);
      if (tap !== null && !(await unasked(tap))) await decide(tap, 'approve', null);
    },
  };
}

/** What the button of an alert says, and who tapped it. */
export function suspension(body: unknown): readonly [string | null, Listener] {
  return [text(action(body), 'value'), listener(body)];
}

function action(body: unknown): unknown {
  const list = record(body)?.['actions'];
  return Array.isArray(list) ? list[0] : null;
}
function listener(body: unknown): Listener {
  return {
    userId: text(body, 'user', 'id') ?? '',
    channel: text(body, 'channel', 'id') ?? text(body, 'container', 'channel_id'),
    responseUrl: text(body, 'response_url'),
    teamId: teamId(body),
  };
}
/** The team a person belongs to, not the one where the channel lives: in a shared channel they differ. */
function teamId(body: unknown): string | null {
  return text(body, 'user', 'team_id') ?? text(body, 'team', 'id');
}
function cardTap(body: unknown, value: CardValue | null): Tap | null {
  if (value === null) return null;
  const to = listener(body);
  const ts = text(body, 'container', 'message_ts') ?? text(body, 'message', 'ts');
  return {
    value,
    listener: to,
    teamId: teamId(body),
    place: ts === null || to.channel === null ? null : { channel: to.channel, ts },
  };
}
function modalTap(body: unknown): Tap | null {
  const memory = decodeMemory(text(body, 'view', 'private_metadata'));
  if (memory === null) return null;
  const channel = memory.channel === '' ? null : memory.channel;
  return {
    value: memory.value,
    listener: { userId: text(body, 'user', 'id') ?? '', channel, responseUrl: null, teamId: teamId(body) },
    teamId: teamId(body),
    place: memory.ts === null || channel === null ? null : { channel, ts: memory.ts },
  };
}
