/**
 * Outbox → Slack (DESIGN.md 13). A card is rendered from the state as it is at the moment of sending, one delivery per request at a
 * time, so that an older version never overwrites a newer one. Nothing is given up: what fails waits and is tried again, after a
 * restart too, because the outbox row goes away only when card and thread are done. Threads have a lane of their own: a decided card
 * never stays live because its session link is still queued.
 */
import PQueue from 'p-queue';
import { lacksReason } from '../approvals/authorise.ts';
import type { ApprovalRequest } from '../approvals/types.ts';
import type { Message } from './blocks.ts';
import { needsFullView, renderCard, renderStub } from './cards.ts';
import { clientMessageId } from './ids.ts';
import { createLane } from './lane.ts';
import { sqlFileName } from './modals.ts';
import { type Failure, type SlackApi, SlackFailure } from './slack-api.ts';
import { fileComment, isOver, outcomeNote, sessionNote } from './thread.ts';
import type { BotDeps, CardRef } from './types.ts';

export interface Place {
  readonly channel: string;
  readonly ts: string;
}
export interface Delivery {
  start(): void;
  /** Lets running calls end; what is left is delivered after the next start. */
  stop(): Promise<void>;
  /** Render the card again although its version has not changed; `seen` is the message that was tapped (a double post is brought up to date too). */
  refresh(requestId: string, seen: Place | null): void;
}

/** Slack asks for about one post per second and channel; updates have a limit of their own. Cards go first, then what open ones need. */
const POSTS = { concurrency: 1, interval: 1000, intervalCap: 1 } as const;
const UPDATES = { concurrency: 2, interval: 1000, intervalCap: 3 } as const;
const POLL_MS = 3000;
const BATCH = 50;
/** Longer than a call may take: an update that timed out cannot land after this and overwrite what came later. */
const DOUBT_MS = 15_000;
/** Above any version, within a 32-bit column. */
const LAST_VERSION = 2_147_483_647;
/** The message is gone or not ours to edit. */
const GONE: readonly string[] = [
  'message_not_found',
  'thread_not_found',
  'cant_update_message',
  'edit_window_closed',
];
const UNSHOWABLE: readonly string[] = [
  'invalid_blocks',
  'msg_too_long',
  'msg_blocks_too_long',
  'invalid_blocks_format',
];

type Wish = Place | 'card';

export function createDelivery(
  deps: Pick<BotDeps, 'config' | 'desk' | 'outbox' | 'log' | 'now'> & { readonly api: SlackApi },
): Delivery {
  const { api, config, desk, outbox, log, now } = deps;
  const posts = new PQueue(POSTS);
  const updates = new PQueue(UPDATES);
  const locks = new Map<string, Promise<unknown>>();
  const doubtful = new Map<string, NodeJS.Timeout | null>();
  let polling = false;
  let poll: NodeJS.Timeout | null = null;
  let brake: NodeJS.Timeout | null = null;
  let unsubscribe: (() => void) | null = null;

  const cards = createLane<Wish>({ work: deliver, onFailure: failed('card') });
  const threads = createLane<never>({ work: (id) => deliverThread(id), onFailure: failed('thread') });

  function failed(what: string) {
    return (id: string, failure: Failure, tries: number, waitMs: number, error: unknown): void => {
      const why = error instanceof SlackFailure ? error.message : 'the store could not be asked';
      log.warn({ request: id, tries, waitMs, why }, `${what} not delivered yet`);
      if (failure.kind !== 'refused') hold(waitMs);
    };
  }

  /** Slack is limiting us or not answering: the whole channel pauses, not this card alone. */
  function hold(ms: number): void {
    if (brake !== null) return;
    posts.pause();
    updates.pause();
    brake = setTimeout(() => {
      brake = null;
      posts.start();
      updates.start();
    }, ms);
    brake.unref();
  }

  /** Both lanes change the same row: one change at a time, each on what is stored then. */
  async function patch(id: string, change: Partial<CardRef>): Promise<CardRef> {
    const before = locks.get(id) ?? Promise.resolve();
    const next = before
      .catch(() => {})
      .then(async () => {
        const card: CardRef = { ...((await outbox.card(id)) ?? blank(id, config.channel)), ...change };
        await outbox.saveCard(card);
        return card;
      });
    locks.set(id, next);
    try {
      return await next;
    } finally {
      if (locks.get(id) === next) locks.delete(id);
    }
  }

  async function deliver(id: string, wish: Wish | undefined): Promise<void> {
    const request = await desk.get(id);
    if (request === null) return await outbox.done(id, LAST_VERSION);
    const card = await outbox.card(id);
    const unseen = card === null || (card.ts === null && card.postingSince === null);
    // Withdrawn before anybody saw it, or not to be decided before its requester says why: a card would be noise.
    if (unseen && (request.state === 'withdrawn' || (request.state === 'pending' && lacksReason(request))))
      return await outbox.done(id, request.version);
    let { ts = null } = card ?? {};
    if (ts === null) ts = await post(request, card?.postingSince ?? null);
    else if ((card?.version ?? 0) < request.version || wish !== undefined)
      await update(request, { channel: card?.channel ?? config.channel, ts });
    if (wish !== undefined && wish !== 'card' && wish.ts !== ts) await updateStray(request, wish);
    threads.schedule(id);
  }

  async function post(first: ApprovalRequest, since: number | null): Promise<string> {
    const task = async (): Promise<string> => {
      const request = (await desk.get(first.id)) ?? first;
      if (since !== null)
        log.warn({ request: request.id }, 'an earlier post has an unknown end: posting under the same id');
      // Intent first: after a crash between here and the answer the card is known to be perhaps there.
      await patch(request.id, { postingSince: since ?? now() });
      try {
        const sent = await send('chat.postMessage', request, {
          channel: config.channel,
          client_msg_id: clientMessageId(config.channel, request.id, 'card'),
          metadata: { event_type: 'holdpoint_card', event_payload: { request: request.id } },
          unfurl_links: false,
          unfurl_media: false,
        });
        const ts = String(sent['ts']);
        const channel = String(sent['channel'] ?? config.channel);
        await patch(request.id, { channel, ts, version: request.version, postingSince: null });
        return ts;
      } catch (error) {
        if (error instanceof SlackFailure && error.failure.kind !== 'unclear')
          await patch(request.id, { postingSince: null });
        throw error;
      }
    };
    return await posts.add(task, { priority: 3 });
  }

  async function update(first: ApprovalRequest, place: Place): Promise<void> {
    await updates.add(async () => {
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
      await patch(request.id, { version: request.version });
      if (doubtful.get(request.id) === null) confirmLater(request.id);
    });
  }

  /** An update of unknown end may still land in Slack, after the newer one: the newer one is sent again when that is past. */
  function confirmLater(id: string): void {
    const timer = setTimeout(() => {
      doubtful.delete(id);
      cards.schedule(id, 'card');
    }, DOUBT_MS);
    timer.unref();
    doubtful.set(id, timer);
  }

  /** Somebody removed the card: an open request gets a new one, a closed one is left alone. */
  async function gone(request: ApprovalRequest, why: string): Promise<void> {
    log.warn({ request: request.id, why }, 'the card is gone from Slack');
    await patch(
      request.id,
      isOver(request)
        ? { version: request.version, threadPosted: true, outcomePosted: true }
        : { ts: null, version: 0, threadPosted: false, outcomePosted: false },
    );
  }

  /** A second copy of the card (an ambiguous post) is brought up to date when somebody taps it. */
  async function updateStray(request: ApprovalRequest, place: Place): Promise<void> {
    await updates.add(async () => {
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
    try {
      return await api.call(method, body(renderCard(request, { now: now(), publicUrl: config.publicUrl })));
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

  /** The session link, the full text where it is needed, the outcome; then the outbox row is done. */
  async function deliverThread(id: string): Promise<void> {
    const request = await desk.get(id);
    const card = await outbox.card(id);
    if (request === null || card === null || card.ts === null) return;
    const place: Place = { channel: card.channel, ts: card.ts };
    if (!card.threadPosted) {
      if (needsFullView(request)) await posts.add(() => upload(request, place), { priority: 2 });
      const note = sessionNote(request, config.publicUrl);
      await reply(place, note, clientMessageId(id, place.ts, 'session'), isOver(request) ? 1 : 2);
      await patch(id, { threadPosted: true });
    }
    if (isOver(request) && !card.outcomePosted) {
      await reply(place, outcomeNote(request, now()), clientMessageId(id, place.ts, 'outcome'), 1);
      await patch(id, { outcomePosted: true });
    }
    // Otherwise the card lane is not there yet, and comes back here.
    const shown = (await outbox.card(id))?.version ?? 0;
    if (shown >= request.version) await outbox.done(id, request.version);
  }

  /** A refused upload (scope not granted) does not stop the rest: the modal and the console show the text too. */
  async function upload(request: ApprovalRequest, place: Place): Promise<void> {
    try {
      await api.call('files.uploadV2', {
        channel_id: place.channel,
        thread_ts: place.ts,
        initial_comment: fileComment(request),
        filename: sqlFileName(request),
        title: `${request.id}.sql`,
        content: request.statement.sql,
      });
    } catch (error) {
      if (!(error instanceof SlackFailure) || error.failure.kind !== 'refused') throw error;
      log.error(
        { request: request.id, why: error.failure.error },
        'the full SQL could not be put in the thread',
      );
    }
  }

  async function reply(
    place: Place,
    { text, blocks }: Message,
    messageId: string,
    priority: number,
  ): Promise<void> {
    const task = async (): Promise<void> => {
      try {
        await api.call('chat.postMessage', {
          channel: place.channel,
          thread_ts: place.ts,
          client_msg_id: messageId,
          text,
          blocks,
          parse: 'none',
          link_names: false,
          unfurl_links: false,
          unfurl_media: false,
        });
      } catch (error) {
        const failure = error instanceof SlackFailure ? error.failure : null;
        if (failure?.kind !== 'refused' || !GONE.includes(failure.error)) throw error;
      }
    };
    await posts.add(task, { priority });
  }

  async function look(): Promise<void> {
    if (polling) return;
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
      cards.open();
      threads.open();
      unsubscribe = desk.onChange((request) => cards.schedule(request.id));
      poll = setInterval(() => void look(), POLL_MS);
      poll.unref();
      void look();
    },
    async stop() {
      cards.close();
      threads.close();
      unsubscribe?.();
      if (poll !== null) clearInterval(poll);
      if (brake !== null) clearTimeout(brake);
      for (const timer of doubtful.values()) if (timer !== null) clearTimeout(timer);
      // Work not begun never settles; its outbox rows remain and are delivered after the next start.
      posts.clear();
      updates.clear();
      await Promise.race([
        Promise.all([posts.onPendingZero(), updates.onPendingZero()]),
        new Promise((resolve) => setTimeout(resolve, 3000).unref()),
      ]);
    },
    refresh(requestId, seen) {
      cards.schedule(requestId, seen ?? 'card');
    },
  };
}

function blank(requestId: string, channel: string): CardRef {
  return {
    requestId,
    channel,
    ts: null,
    version: 0,
    postingSince: null,
    threadPosted: false,
    outcomePosted: false,
  };
}
