/**
 * Outbox → Slack (DESIGN.md 13). A card is rendered from the state as it is at the moment of sending, one delivery per request at a
 * time, so that an older version never overwrites a newer one. Nothing is given up: what fails waits and is tried again, after a
 * restart too, because the outbox row goes away only when card and thread are done. Threads have a lane of their own: a decided card
 * never stays live because its session link is still queued.
 */
import { lacksReason } from '../approvals/authorise.ts';
import { isPart } from '../approvals/bundle.ts';
import type { ApprovalRequest } from '../approvals/types.ts';
import { awaitsEstimate } from '../approvals/words.ts';
import { type Message, mentionOf } from './blocks.ts';
import { renderCard, renderStub } from './cards.ts';
import type { Groups } from './groups.ts';
import { clientMessageId } from './ids.ts';
import { createLane } from './lane.ts';
import type { Owners } from './owners.ts';
import { type Pace, PRIORITY } from './pace.ts';
import { destinationOf } from './routes.ts';
import { type Failure, type SlackApi, SlackFailure, whyOf } from './slack-api.ts';
import { isOver } from './thread.ts';
import { createFollowers, GONE } from './thread-delivery.ts';
import type { Turn } from './turn.ts';
import type { BotDeps, CardRef, Place } from './types.ts';

export interface Delivery {
  start(): void;
  /** What is left is delivered after the next start. */
  stop(): void;
  /** Render the card again although its version has not changed; `seen` is the message that was tapped (a double post is brought up to date too). */
  refresh(requestId: string, seen: Place | null): void;
}

/** What a phone shows before it is unlocked is what is posted first: the number of rows is worth a wait, longer than an estimate takes. */
const ESTIMATE_MS = 2500;
const POLL_MS = 1000;
const BATCH = 50;
/** Longer than a call may take: an update that timed out cannot land after this and overwrite what came later. */
const DOUBT_MS = 15_000;
/** Above any version, within a 32-bit column. */
const LAST_VERSION = 2_147_483_647;
const UNSHOWABLE: readonly string[] = [
  'invalid_blocks',
  'msg_too_long',
  'msg_blocks_too_long',
  'invalid_blocks_format',
];

type Wish = 'now';

export function createDelivery(
  deps: Pick<BotDeps, 'config' | 'counter' | 'desk' | 'outbox' | 'log' | 'now'> & {
    readonly api: SlackApi;
    readonly groups: Groups;
    readonly owners: Owners;
    readonly pace: Pace;
    readonly turn: Turn;
  },
): Delivery {
  const { config, counter, desk, groups, outbox, owners, log, now, pace, turn } = deps;
  const api = turn.guard(deps.api);
  const followers = createFollowers({ ...deps, api });
  const doubtful = new Map<string, NodeJS.Timeout | null>();
  let polling = false;
  let poll: NodeJS.Timeout | null = null;
  let unsubscribe: (() => void) | null = null;
  let stopped = false;

  const cards = createLane<Wish>({ work: (id) => deliver(id), onFailure: failed('card') });
  const threads = createLane<never>({ work: (id) => deliverThread(id), onFailure: failed('thread') });

  function failed(what: string) {
    return (id: string, _: Failure, tries: number, waitMs: number, error: unknown): void => {
      const why = error instanceof SlackFailure ? whyOf(error) : 'the store could not be asked';
      log.warn({ request: id, tries, waitMs, why }, `${what} not delivered yet`);
    };
  }

  async function deliver(id: string): Promise<void> {
    const request = await desk.get(id);
    if (request === null) return await outbox.done(id, LAST_VERSION);
    const card = await outbox.card(id);
    const unseen = card === null || (card.ts === null && card.postingSince === null);
    // Withdrawn before anybody saw it, or not to be decided before its requester says why: a card would be noise.
    const silent = request.state === 'withdrawn' || (request.state === 'pending' && lacksReason(request));
    // The lead of a bundle has the card for all of it.
    if ((unseen && silent) || isPart(request)) return await outbox.done(id, request.version);
    let { ts = null } = card ?? {};
    const age = now() - request.createdAt;
    if (unseen && age >= 0 && age < ESTIMATE_MS && awaitsEstimate(request)) await changed(id, ESTIMATE_MS);
    if (stopped) return;
    if (ts === null) ts = await post(request, card);
    else if ((card?.version ?? 0) < request.version)
      await update(request, { channel: card?.channel ?? '', ts });
    const stray = card?.stray ?? null;
    if (stray !== null) {
      if (stray.ts !== ts) await updateStray(request, stray);
      await outbox.patchCard(id, { stray: null });
    }
    threads.schedule(id);
  }

  function changed(id: string, ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        off();
        resolve();
      };
      const timer = setTimeout(done, ms);
      timer.unref();
      const off = desk.onChange((request) => {
        if (request.id === id) done();
      });
      // It may have come while this one was being looked at.
      const look = async (): Promise<void> => {
        const request = await desk.get(id);
        if (request === null || !awaitsEstimate(request)) done();
      };
      look().catch(done);
    });
  }

  async function post(first: ApprovalRequest, card: CardRef | null): Promise<string> {
    const since = card?.postingSince ?? null;
    // Perhaps it is there already: then in the channel of that time.
    const channel = since !== null && card ? card.channel : destinationOf(first, config).channel;
    return await pace.post(channel, PRIORITY.card, async () => {
      const request = (await desk.get(first.id)) ?? first;
      if (since !== null)
        log.warn({ request: request.id }, 'an earlier post has an unknown end: posting under the same id');
      // Intent first: after a crash between here and the answer the card is known to be perhaps there.
      await outbox.patchCard(request.id, { channel, postingSince: since ?? now() });
      try {
        const sent = await send('chat.postMessage', request, {
          channel,
          client_msg_id: clientMessageId(channel, request.id, 'card'),
          metadata: { event_type: 'holdpoint_card', event_payload: { request: request.id } },
          unfurl_links: false,
          unfurl_media: false,
        });
        const ts = String(sent['ts']);
        const posted = String(sent['channel'] ?? channel);
        pace.alias(channel, posted);
        await outbox.patchCard(request.id, {
          channel: posted,
          ts,
          version: request.version,
          postingSince: null,
        });
        return ts;
      } catch (error) {
        if (error instanceof SlackFailure && error.failure.kind !== 'unclear')
          await outbox.patchCard(request.id, { postingSince: null });
        throw error;
      }
    });
  }

  async function update(first: ApprovalRequest, place: Place): Promise<void> {
    // Who decides elsewhere leaves a live button here: those come before what is only news.
    const priority = first.state === 'pending' ? PRIORITY.over : PRIORITY.card;
    await pace.update(priority, async () => {
      const request = (await desk.get(first.id)) ?? first;
      try {
        await send('chat.update', request, { ...place });
      } catch (error) {
        const failure = error instanceof SlackFailure ? error.failure : null;
        if (failure?.kind === 'unclear') doubtful.set(request.id, null);
        if (failure?.kind !== 'refused' || !GONE.includes(failure.error)) throw error;
        await gone(request, failure.error);
        if (!isOver(request)) throw error;
        return;
      }
      await outbox.patchCard(request.id, { version: request.version });
      // It took so long that others may have written meanwhile: whoever has the turn now writes last.
      if (!turn.mine()) await outbox.ask(request.id, null);
      if (doubtful.get(request.id) === null) confirmLater(request.id);
    });
  }

  /** An update of unknown end may still land in Slack, after the newer one: the newer one is sent again when that is past. */
  function confirmLater(id: string): void {
    const timer = setTimeout(() => {
      doubtful.delete(id);
      refresh(id, null);
    }, DOUBT_MS);
    timer.unref();
    doubtful.set(id, timer);
  }

  /** Somebody removed the card: an open request gets a new one, a closed one is left alone. */
  async function gone(request: ApprovalRequest, why: string): Promise<void> {
    log.warn({ request: request.id, why }, 'the card is gone from Slack');
    await outbox.patchCard(
      request.id,
      isOver(request)
        ? { version: request.version, threadPosted: true, outcomePosted: true }
        : { ts: null, version: 0, threadPosted: false, outcomePosted: false, postingSince: null },
    );
  }

  /** A second copy of the card (an ambiguous post) is brought up to date when somebody taps it. */
  async function updateStray(request: ApprovalRequest, place: Place): Promise<void> {
    await pace.update(PRIORITY.open, async () => {
      const fresh = (await desk.get(request.id)) ?? request;
      await send('chat.update', fresh, { ...place }).catch((error: unknown) => {
        const why = error instanceof SlackFailure ? error.message : 'unexpected failure';
        log.warn({ request: request.id, why }, 'a stray copy of the card was not updated');
      });
    });
  }

  /** Sends the card; when Slack cannot show it, sends the stub that nothing can be approved on. */
  async function send(
    method: string,
    request: ApprovalRequest,
    args: Readonly<Record<string, unknown>>,
  ): Promise<Readonly<Record<string, unknown>>> {
    const body = ({ text, blocks }: Message): Readonly<Record<string, unknown>> => ({
      ...args,
      text,
      blocks,
      parse: 'none',
      link_names: false,
    });
    const { mention } = destinationOf(request, config);
    const owner = await owners.known(request.requester);
    const card = renderCard(request, {
      now: now(),
      publicUrl: config.publicUrl,
      countable: counter !== null,
      owner: owner === null ? null : mentionOf(owner),
      mention: mention === null ? null : await groups.mention(mention),
    });
    try {
      return await api.call(method, body(card));
    } catch (error) {
      const refused =
        error instanceof SlackFailure && error.failure.kind === 'refused' ? error.failure.error : '';
      if (!UNSHOWABLE.includes(refused)) throw error;
      log.error(
        { request: request.id, why: refused },
        'Slack refused a card: a stub without buttons is sent',
      );
      return await api.call(method, body(renderStub(request)));
    }
  }

  /** Thread and owner; then the outbox row is done. */
  async function deliverThread(id: string): Promise<void> {
    const request = await desk.get(id);
    const card = await outbox.card(id);
    if (request === null || card === null || card.ts === null) return;
    await followers.deliver(request, { ...card, ts: card.ts });
    // Otherwise the card lane is not there yet, and comes back here.
    const shown = (await outbox.card(id))?.version ?? 0;
    if (shown >= request.version) await outbox.done(id, request.version);
  }

  function refresh(id: string, seen: Place | null): void {
    void outbox.ask(id, seen).then(
      () => cards.schedule(id, 'now'),
      () => log.warn({ request: id }, 'a card could not be asked for: it stays as it is until it changes'),
    );
  }

  async function look(): Promise<void> {
    for (const lane of [cards, threads]) turn.mine() ? lane.open() : lane.close();
    if (polling || !turn.mine()) return;
    polling = true;
    try {
      for (const row of await outbox.behind(BATCH)) cards.schedule(row.requestId);
    } catch {
      log.warn({}, 'the outbox could not be read; it is read again in a few seconds');
    } finally {
      polling = false;
    }
  }

  return {
    start() {
      unsubscribe = desk.onChange((request) => cards.schedule(request.id));
      poll = setInterval(() => void look(), POLL_MS);
      poll.unref();
      void look();
    },
    stop() {
      stopped = true;
      cards.close();
      threads.close();
      unsubscribe?.();
      if (poll !== null) clearInterval(poll);
      for (const timer of doubtful.values()) if (timer !== null) clearTimeout(timer);
    },
    refresh,
  };
}
