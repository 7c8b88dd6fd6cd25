/** What follows a card: notes in its thread, and a direct message to the requester's owner; each once, as the card's row remembers. */
import type { ApprovalRequest } from '../approvals/types.ts';
import { text } from './answers.ts';
import type { Mention, Message } from './blocks.ts';
import { needsFullView } from './cards.ts';
import { directMessage, isTold } from './direct.ts';
import type { Groups } from './groups.ts';
import { clientMessageId } from './ids.ts';
import { sqlFileName } from './modals.ts';
import type { Owners } from './owners.ts';
import { type Pace, PRIORITY } from './pace.ts';
import { destinationOf } from './routes.ts';
import { type SlackApi, SlackFailure } from './slack-api.ts';
import { escalationNote, fileComment, isOver, outcomeNote, reminderNote, sessionNote } from './thread.ts';
import type { BotDeps, CardRef, Place } from './types.ts';

/** The message is gone or not ours to edit. */
export const GONE: readonly string[] = [
  'message_not_found',
  'thread_not_found',
  'cant_update_message',
  'edit_window_closed',
];

export interface Followers {
  /** Brings thread and owner up to date with the request as it is; rejects when something is left to do. */
  deliver(request: ApprovalRequest, card: CardRef & { readonly ts: string }): Promise<void>;
}

export function createFollowers(
  deps: Pick<BotDeps, 'config' | 'desk' | 'log' | 'now' | 'outbox'> & {
    readonly api: SlackApi;
    readonly pace: Pace;
    readonly groups: Groups;
    readonly owners: Owners;
  },
): Followers {
  const { api, config, desk, groups, log, now, outbox, owners, pace } = deps;

  async function thread(request: ApprovalRequest, card: CardRef, place: Place): Promise<void> {
    const { id } = request;
    const over = isOver(request);
    const post = (note: () => Message | Promise<Message>, name: string, loud = false) =>
      reply(place, note, clientMessageId(id, place.ts, name), over ? PRIORITY.over : PRIORITY.open, loud);
    if (!card.threadPosted && needsFullView(request))
      await pace.post(place.channel, PRIORITY.open, () => upload(request, place));
    if (!card.threadPosted) {
      // Meanwhile it may have ended: one note says both then.
      let told: ApprovalRequest = request;
      await post(async () => {
        told = (await desk.get(id)) ?? request;
        return sessionNote(told, config.publicUrl, now());
      }, 'session');
      await outbox.patchCard(id, { threadPosted: true, ...(isOver(told) ? { outcomePosted: true } : {}) });
      if (isOver(told)) return;
    }
    if (over && !card.outcomePosted) {
      await post(() => outcomeNote(request, now()), 'outcome');
      await outbox.patchCard(id, { outcomePosted: true });
    }
    if (request.remindedAt && !card.reminderPosted) {
      if (!over) await post(async () => reminderNote(request, await called(request)), 'reminder', true);
      await outbox.patchCard(id, { reminderPosted: true });
    }
    if (request.escalatedAt && !card.escalationPosted) {
      if (!over) await post(async () => escalationNote(request, await called(request)), 'escalation', true);
      await outbox.patchCard(id, { escalationPosted: true });
    }
  }

  /** User groups named like those that may decide; else who is on call in that channel. */
  async function called({ terms, escalatedAt, ...request }: ApprovalRequest): Promise<readonly Mention[]> {
    const names = [...terms.approverGroups, ...(escalatedAt ? (terms.escalation?.groups ?? []) : [])];
    const found = await Promise.all(names.slice(0, 5).map((name) => groups.mention(name)));
    const { mention } = destinationOf(request, config);
    const onCall = mention === null ? null : await groups.mention(mention);
    return [...found, onCall].filter((one) => one !== null);
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

  /** `loud`: shown in the channel as well, or nobody who has not looked at the card learns of it. */
  async function reply(
    place: Place,
    note: () => Message | Promise<Message>,
    messageId: string,
    priority: 1 | 2,
    loud: boolean,
  ): Promise<void> {
    await pace.post(place.channel, priority, async () => {
      const { text, blocks } = await note();
      try {
        await api.call('chat.postMessage', {
          channel: place.channel,
          thread_ts: place.ts,
          client_msg_id: messageId,
          ...(loud ? { reply_broadcast: true } : {}),
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
    });
  }

  async function owner(request: ApprovalRequest, card: CardRef): Promise<void> {
    if (!isTold(request) || card.told.includes(request.state)) return;
    await pace.direct(async () => {
      const user = await owners.userOf(request.requester);
      if (user !== null) await tell(request, user);
    });
    await outbox.patchCard(request.id, { told: [...card.told, request.state] });
  }

  /** Refused (the app may not write to them, they are gone) is the end of it: the card and the console say the same. */
  async function tell(request: ApprovalRequest, user: string): Promise<void> {
    const { text: words, blocks } = directMessage(request, { now: now(), publicUrl: config.publicUrl });
    try {
      const opened = await api.call('conversations.open', { users: user });
      await api.call('chat.postMessage', {
        channel: text(opened, 'channel', 'id') ?? user,
        client_msg_id: clientMessageId(request.id, request.state, 'direct'),
        text: words,
        blocks,
        parse: 'none',
        link_names: false,
        unfurl_links: false,
        unfurl_media: false,
      });
    } catch (error) {
      if (!(error instanceof SlackFailure) || error.failure.kind !== 'refused') throw error;
      log.warn({ request: request.id, why: error.message }, 'the owner was not told in Slack');
    }
  }

  return {
    async deliver(request, card) {
      await thread(request, card, { channel: card.channel, ts: card.ts });
      await owner(request, card);
    },
  };
}
