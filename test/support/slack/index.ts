/** Starts and drives the stand-in for Slack (./server.mjs), a process of its own. */
import { type ChildProcess, fork } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

export const BOT_TOKEN = 'xoxb-stand-in-bot';
export const APP_TOKEN = 'xapp-stand-in-app';
export const SIGNING_SECRET = 'stand-in-signing-secret-0123456789';
export const TEAM = 'T0HOLD0001';

export interface SentBlock {
  readonly type: string;
  readonly block_id?: string;
  readonly elements?: readonly Record<string, unknown>[];
  readonly [key: string]: unknown;
}
export interface SentMessage {
  readonly channel: string;
  readonly ts: string;
  readonly at: number;
  readonly text: string;
  readonly thread_ts?: string;
  readonly reply_broadcast?: string;
  readonly client_msg_id?: string;
  readonly blocks: readonly SentBlock[];
  /** Earlier contents, oldest first. */
  readonly history: readonly { readonly text: string; readonly blocks: readonly SentBlock[] }[];
}
export interface Ephemeral {
  readonly user: string;
  readonly text: string;
  readonly blocks: readonly SentBlock[];
  readonly via: 'api' | 'response_url';
}
export interface OpenedView {
  readonly id: string;
  readonly userId: string;
  readonly view: { readonly type: string; readonly blocks: readonly SentBlock[]; readonly submit?: unknown };
}
export interface SlackState {
  readonly messages: readonly SentMessage[];
  readonly ephemerals: readonly Ephemeral[];
  readonly views: readonly OpenedView[];
  readonly files: readonly {
    readonly id: string;
    readonly filename: string;
    readonly content: string | null;
    readonly thread_ts: string | null;
    readonly channel: string | null;
    readonly initial_comment?: string;
  }[];
  readonly calls: readonly {
    readonly method: string;
    readonly at: number;
    readonly args: Record<string, unknown> | null;
    readonly answer: Record<string, unknown> | null;
  }[];
  /** Every call that was answered with an error, and every limit that was broken. */
  readonly faults: readonly { readonly method: string; readonly error: string; readonly detail?: string }[];
  /** Socket Mode connections. */
  readonly sockets: number;
}

/** How something reaches the bot: over its socket, or as an HTTP request when `url` is given. */
export interface How {
  readonly url?: string;
  /** Send the same thing several times at once. */
  readonly copies?: number;
  /** Sign with another secret, not at all, or with a clock that is off by seconds. */
  readonly forge?: boolean;
  readonly unsigned?: boolean;
  readonly skew?: number;
  readonly contentType?: string;
}
export interface Delivered {
  readonly acked: boolean;
  readonly status?: number;
  readonly ms?: number;
  readonly payload?: unknown;
}

export interface Rule {
  /** Web API method; default every one. */
  readonly method?: string;
  readonly times?: number;
  /** `lose`: Slack does it and the answer is lost. */
  readonly kind: 'limit' | 'status' | 'html' | 'error' | 'reset' | 'hang' | 'lose';
  readonly retryAfter?: number;
  readonly status?: number;
  readonly error?: string;
}

export interface SlackUser {
  readonly id: string;
  readonly [field: string]: unknown;
}

export interface SlackStandIn {
  /** Base of the Web API, for `apiUrl`. */
  readonly apiUrl: string;
  state(): Promise<SlackState>;
  /** Resolves with what `find` gives as soon as it gives something; rejects after `ms`. */
  until<T>(find: (state: SlackState) => T | null | undefined | false, ms?: number): Promise<T>;
  /** A full member by default; any field of `users.info` may be overridden. */
  user(user: SlackUser): Promise<void>;
  /** A user group and its members. */
  group(group: {
    readonly handle: string;
    readonly id: string;
    readonly users: readonly string[];
  }): Promise<void>;
  rule(rule: Rule): Promise<void>;
  clearRules(): Promise<void>;
  outage(on: boolean): Promise<void>;
  recycle(): Promise<void>;
  removeMessage(ts: string): Promise<void>;
  /** For long runs: what was said so far is no longer told of. */
  forget(): Promise<void>;
  tap(tap: {
    readonly ts: string;
    readonly action: string;
    readonly user: string;
    readonly option?: string;
    /** Tap on what the message was: index into its history. */
    readonly seen?: number;
    readonly value?: string;
    readonly team?: string;
    readonly how?: How;
  }): Promise<readonly Delivered[]>;
  /** A button of App Home. */
  tapHome(tap: {
    readonly viewId: string;
    readonly action: string;
    readonly user: string;
    /** Request that the button is of. */
    readonly id: string;
    /** Of a menu: how the value ends. */
    readonly option?: string;
  }): Promise<readonly Delivered[]>;
  submit(submit: {
    readonly viewId: string;
    readonly user: string;
    readonly values?: Record<string, Record<string, { readonly value: string }>>;
    readonly team?: string;
    readonly how?: How;
  }): Promise<readonly Delivered[]>;
  command(command: {
    readonly text: string;
    readonly user: string;
    readonly team?: string;
    readonly channel?: string;
    readonly how?: How;
  }): Promise<readonly Delivered[]>;
  home(home: { readonly user: string }): Promise<readonly Delivered[]>;
  raw(raw: { readonly form: Record<string, string>; readonly how: How }): Promise<readonly Delivered[]>;
  stop(): Promise<void>;
}

/** The scopes that manifest.yml asks for are the scopes the stand-in grants. */
export function manifestScopes(): readonly string[] {
  const manifest: { oauth_config: { scopes: { bot: string[] } } } = parse(
    readFileSync(new URL('../../../manifest.yml', import.meta.url), 'utf8'),
  );
  return manifest.oauth_config.scopes.bot;
}

export async function startSlack(
  options: { readonly scopes?: readonly string[]; readonly port?: number } = {},
): Promise<SlackStandIn> {
  const config = {
    team: TEAM,
    botToken: BOT_TOKEN,
    appToken: APP_TOKEN,
    signingSecret: SIGNING_SECRET,
    scopes: options.scopes ?? manifestScopes(),
    port: options.port,
  };
  const child = fork(fileURLToPath(new URL('server.mjs', import.meta.url)), [JSON.stringify(config)], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    execArgv: [],
  });
  return drive(child, await ready(child));
}

type Reply = { id?: number; result?: unknown; error?: string; changed?: boolean; ready?: string };

function ready(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    child.once('exit', () => reject(new Error('the Slack stand-in did not start')));
    child.once('message', (message: Reply) => resolve(message.ready ?? ''));
  });
}

function drive(child: ChildProcess, base: string): SlackStandIn {
  const waiting = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>();
  const watchers = new Set<() => void>();
  let count = 0;
  child.on('message', (message: Reply) => {
    if (message.changed === true) for (const watcher of watchers) watcher();
    const entry = message.id === undefined ? undefined : waiting.get(message.id);
    if (message.id === undefined || entry === undefined) return;
    waiting.delete(message.id);
    if (message.error === undefined) entry.resolve(message.result as never);
    else entry.reject(new Error(message.error));
  });
  function ask<T>(op: string, args: unknown = {}): Promise<T> {
    count += 1;
    const id = count;
    return new Promise<T>((resolve, reject) => {
      waiting.set(id, { resolve, reject });
      child.send({ id, op, args });
    });
  }
  const state = (): Promise<SlackState> => ask('state');
  async function until<T>(
    find: (state: SlackState) => T | null | undefined | false,
    ms = 15_000,
  ): Promise<T> {
    let wake: () => void = () => {};
    const watcher = (): void => wake();
    watchers.add(watcher);
    const deadline = Date.now() + ms;
    try {
      for (;;) {
        const next = new Promise<void>((resolve) => {
          wake = resolve;
        });
        const now = await state();
        const found = find(now);
        if (found !== null && found !== undefined && found !== false) return found;
        let timer: NodeJS.Timeout | undefined;
        const late = new Promise<'late'>((resolve) => {
          timer = setTimeout(() => resolve('late'), Math.max(1, deadline - Date.now()));
        });
        const woken = await Promise.race([next, late]);
        clearTimeout(timer);
        if (woken === 'late')
          throw new Error(
            `not seen in Slack within ${ms} ms; messages: ${now.messages.map((m) => m.text).join(' | ')}; ephemerals: ${now.ephemerals.map((e) => e.text).join(' | ')}; faults: ${JSON.stringify(now.faults)}`,
          );
      }
    } finally {
      watchers.delete(watcher);
    }
  }
  return {
    apiUrl: `${base}/api/`,
    state,
    until,
    user: (user) => ask('user', user),
    group: (group) => ask('group', group),
    rule: (rule) => ask('rule', rule),
    clearRules: () => ask('clearRules'),
    outage: (on) => ask('outage', { on }),
    recycle: () => ask('recycle'),
    forget: () => ask('forget'),
    removeMessage: (ts) => ask('remove', { ts }),
    tap: (tap) => ask('tap', tap),
    tapHome: (tap) => ask('tapHome', tap),
    submit: (submit) => ask('submit', submit),
    command: (command) => ask('command', command),
    home: (home) => ask('home', home),
    raw: (raw) => ask('raw', raw),
    stop: () =>
      new Promise((resolve) => {
        if (child.exitCode !== null || child.signalCode !== null) return resolve();
        child.once('exit', () => resolve());
        child.disconnect();
      }),
  };
}
