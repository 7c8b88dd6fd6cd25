/** Ephemeral answers: seen by one person, plain, with the response URL as the second way. */

import type { Message } from './blocks.ts';
import { section } from './blocks.ts';
import { type SlackApi, SlackFailure } from './slack-api.ts';
import { isRecord } from './tapper.ts';
import { escaped, oneLine } from './text.ts';
import type { BotLog } from './types.ts';

export interface Listener {
  readonly userId: string;
  readonly channel: string | null;
  readonly responseUrl: string | null;
  readonly teamId: string | null;
}
export type Answer = (to: Listener, message: string | Message) => Promise<void>;

const TIMEOUT_MS = 10_000;

/** `atHome`: App Home has neither channel nor response URL; what is to be said to its reader is said there. */
export function createAnswer(
  api: SlackApi,
  log: BotLog,
  atHome: (to: Listener, sentence: string) => Promise<void>,
): Answer {
  return async (to, message) => {
    const body =
      typeof message === 'string'
        ? { text: escaped(message, 2000), blocks: [section(oneLine(message, 2900), 'answer')] }
        : message;
    // A command may come from a channel the bot is not in: its response URL is the way that always works.
    if (to.responseUrl !== null && (await respond(to.responseUrl, body))) return;
    if (to.channel === null) return await atHome(to, typeof message === 'string' ? message : message.text);
    await api
      .call('chat.postEphemeral', {
        channel: to.channel,
        user: to.userId,
        ...body,
        parse: 'none',
        link_names: false,
      })
      .catch((error: unknown) =>
        log.warn(
          { user: to.userId, why: error instanceof SlackFailure ? error.message : 'unexpected failure' },
          'an answer could not be shown',
        ),
      );
  };
}

/** The URL comes inside a request that Slack signed. */
async function respond(url: string, body: Message): Promise<boolean> {
  try {
    const answer = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json; charset=utf-8' },
      body: JSON.stringify({ response_type: 'ephemeral', replace_original: false, ...body }),
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    await answer.arrayBuffer();
    return answer.ok;
  } catch {
    return false;
  }
}

/** Fields of a Slack payload, read without trust in its shape. */
export function text(source: unknown, ...path: readonly string[]): string | null {
  let value: unknown = source;
  for (const key of path) value = isRecord(value) ? value[key] : undefined;
  return typeof value === 'string' ? value : null;
}
export function record(
  source: unknown,
  ...path: readonly string[]
): Readonly<Record<string, unknown>> | null {
  let value: unknown = source;
  for (const key of path) value = isRecord(value) ? value[key] : undefined;
  return isRecord(value) ? value : null;
}
