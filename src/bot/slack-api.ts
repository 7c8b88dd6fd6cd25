/** Slack's Web API as the bot uses it: one call, one kind of failure, every wait bounded (SLACK.md trap 2). */
import { LogLevel, webApi } from '@slack/bolt';
import type { BotLog } from './types.ts';

/** Why a call failed, as far as the caller must know. */
export type Failure =
  /** Slack said no; it did nothing. */
  | { readonly kind: 'refused'; readonly error: string }
  | { readonly kind: 'limited'; readonly retryAfterMs: number }
  /** No answer, or no intelligible one: it may have happened. */
  | { readonly kind: 'unclear'; readonly error: string };

export class SlackFailure extends Error {
  readonly failure: Failure;
  constructor(method: string, failure: Failure) {
    super(`${method}: ${failure.kind === 'limited' ? 'rate limited' : failure.error}`);
    this.name = 'SlackFailure';
    this.failure = failure;
  }
}

const HINTS: ReadonlyMap<string, string> = new Map([
  ['not_in_channel', 'invite the bot there: /invite @holdpoint'],
  ['channel_not_found', 'there is no such channel, or it is private and the bot is not in it'],
  ['is_archived', 'the channel is archived: name another one'],
  ['invalid_auth', 'Slack does not take the bot token: is it the one of this app and workspace?'],
  ['account_inactive', 'the app is no longer installed in the workspace'],
  ['token_revoked', 'the app is no longer installed in the workspace'],
  ['missing_scope', 'the app lacks a scope: compare it with manifest.yml and install it again'],
]);
/** For the log: why, and what to do about it where that is known. */
export function whyOf(error: SlackFailure): string {
  const { failure } = error;
  const hint = failure.kind === 'refused' ? HINTS.get(failure.error) : undefined;
  return hint === undefined ? error.message : `${error.message} (${hint})`;
}

export interface SlackApi {
  /** Rejects with SlackFailure only. Never retried here: a retried post may be a second post. */
  call(method: string, args: Readonly<Record<string, unknown>>): Promise<Readonly<Record<string, unknown>>>;
}

/** A call is over by then, one way or the other. */
export const CALL_MS = 10_000;
/** No retry inside the client: whether a call may be repeated is the caller's knowledge. */
const RETRY = { retries: 0 } as const;

export type ClientOptions = NonNullable<ConstructorParameters<typeof webApi.WebClient>[1]>;

/** Fresh on each call: Bolt and socket-mode write into the object they are given (SLACK.md trap 2). */
export function clientOptions(apiUrl: string | null, log: BotLog, timeout = CALL_MS): ClientOptions {
  return {
    ...(apiUrl === null ? {} : { slackApiUrl: apiUrl }),
    allowAbsoluteUrls: true,
    retryConfig: { ...RETRY },
    timeout,
    rejectRateLimitedCalls: true,
    maxRequestConcurrency: 10,
    logger: slackLogger(log),
  };
}

export function createSlackApi(
  botToken: string,
  apiUrl: string | null,
  log: BotLog,
  timeoutMs?: number,
): SlackApi {
  const client = new webApi.WebClient(botToken, clientOptions(apiUrl, log, timeoutMs));
  return {
    async call(method, args) {
      try {
        return { ...(await client.apiCall(method, { ...args })) };
      } catch (error) {
        throw new SlackFailure(method, classify(error));
      }
    },
  };
}

/** `fatal_error`, `internal_error` and the like come after Slack may have acted. */
const UNCLEAR: readonly string[] = [
  'fatal_error',
  'internal_error',
  'request_timeout',
  'service_unavailable',
];

function classify(error: unknown): Failure {
  if (error instanceof webApi.WebAPIRateLimitedError)
    return { kind: 'limited', retryAfterMs: Math.min(Math.max(error.retryAfter, 1), 600) * 1000 };
  if (error instanceof webApi.WebAPIPlatformError) {
    const code = error.data.error;
    // A body that is no JSON ends up here whole: it is some proxy's page, and no code.
    if (!/^[a-z0-9_.-]{1,80}$/.test(code)) return { kind: 'unclear', error: 'an answer that is not Slack’s' };
    if (code === 'ratelimited' || code === 'rate_limited') return { kind: 'limited', retryAfterMs: 30_000 };
    return { kind: UNCLEAR.includes(code) ? 'unclear' : 'refused', error: code };
  }
  if (error instanceof webApi.WebAPIHTTPError)
    return { kind: 'unclear', error: `HTTP status ${error.statusCode}` };
  const cause = error instanceof webApi.WebAPIRequestError ? error.original : error;
  return { kind: 'unclear', error: cause instanceof Error ? cause.name : 'no answer' };
}

type SlackLogger = NonNullable<ClientOptions['logger']>;

/** Bolt's log lines, without its debug and info levels (they carry request bodies) and without line breaks. */
export function slackLogger(log: BotLog): SlackLogger {
  const say = (parts: readonly unknown[]): string =>
    parts
      .map((part) => (part instanceof Error ? part.name : typeof part === 'string' ? part : typeof part))
      .join(' ')
      .replaceAll(/\s+/g, ' ')
      .replaceAll(/\bxox[a-z]-[\w-]+|\bxapp-[\w-]+|\bwss?:\S+/g, '…')
      .slice(0, 300);
  return {
    debug: () => {},
    info: () => {},
    warn: (...parts: unknown[]) => log.warn({ from: 'slack' }, say(parts)),
    error: (...parts: unknown[]) => log.error({ from: 'slack' }, say(parts)),
    setLevel: () => {},
    getLevel: () => LogLevel.WARN,
    setName: () => {},
  };
}
