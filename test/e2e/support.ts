/** What the end-to-end tests share: agents as ordinary drivers, an approver over the API, and what a query came to. */
import { once } from 'node:events';
import pg from 'pg';
import type { ApprovalRequest } from '../../src/approvals/types.ts';
import type { Product } from '../support/product.ts';

const WAIT_MS = 40_000;

/** What a client was told: rows and tag, or the error's code and message. */
export interface Told {
  readonly code: string | null;
  readonly message: string;
  readonly tag: string;
  readonly rows: readonly Record<string, unknown>[];
}

/** One connection through the gateway. Queries are told, never thrown: a refusal is an answer here. */
export interface Agent {
  run(sql: string, values?: readonly unknown[]): Promise<Told>;
  /** The only value of the only row, as text. */
  value(sql: string): Promise<string>;
  end(): Promise<void>;
}

type Requests = readonly ApprovalRequest[];
export interface Approver {
  readonly token: string;
  get<T>(path: string): Promise<T>;
  /** Status and body of any route. */
  post(path: string, body: unknown): Promise<{ readonly status: number; readonly body: Answer }>;
  decide(id: string, effect: 'approve' | 'deny', reason?: string): ReturnType<Approver['post']>;
  /** Newest first; all agents of a file are one owner, so tests find theirs by the text. */
  requestsFor(sql: string | RegExp): Promise<Requests>;
  /** Resolves as soon as they give something. */
  until<T>(sql: string | RegExp, find: (requests: Requests) => T | null | undefined | false): Promise<T>;
  /** The one that waits on a live connection. */
  held(sql: string | RegExp): Promise<ApprovalRequest>;
  /** Waits until the request is in that state. */
  reaches(id: string, state: ApprovalRequest['state']): Promise<ApprovalRequest>;
  /** So that no test meets the limits of open requests because of another. */
  denyAll(): Promise<void>;
}
export interface Answer {
  readonly kind?: string;
  readonly sentence?: string;
  readonly error?: string;
  readonly request?: ApprovalRequest | null;
}

/** Trades the printed one-time link for a token, as `holdpoint login` does. */
export async function approverOf(product: Product): Promise<Approver> {
  const link = product.link.slice(product.link.lastIndexOf('/') + 1);
  const answer = await fetch(`${product.console}/api/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ link }),
  });
  const { token } = (await answer.json()) as { token: string };
  return approver(product, token);
}

export function approver(product: Product, token: string): Approver {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const api = `${product.console}/api`;
  async function get<T>(path: string): Promise<T> {
    const answer = await fetch(`${api}${path}`, { headers });
    if (!answer.ok) throw new Error(`GET ${path}: ${answer.status} ${await answer.text()}`);
    return (await answer.json()) as T;
  }
  async function post(path: string, body: unknown): Promise<{ status: number; body: Answer }> {
    const answer = await fetch(`${api}${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
    return { status: answer.status, body: (await answer.json()) as Answer };
  }
  async function all(): Promise<Requests> {
    return (await get<{ requests: Requests }>('/requests')).requests;
  }
  async function requestsFor(sql: string | RegExp): Promise<Requests> {
    const is = (text: string): boolean => (typeof sql === 'string' ? text === sql : sql.test(text));
    return (await all()).filter(({ statement }) => is(statement.sql));
  }
  async function untilOf<T>(
    ask: () => Promise<Requests>,
    find: (requests: Requests) => T | null | undefined | false,
  ): Promise<T> {
    const over = new AbortController();
    const timer = setTimeout(() => over.abort(), WAIT_MS);
    let last: Requests = [];
    try {
      // Every change of a request wakes the stream; what changed is asked for.
      const events = await fetch(`${api}/events`, { headers, signal: over.signal });
      if (events.body === null) throw new Error('no event stream');
      for await (const _ of events.body) {
        last = await ask();
        const found = find(last);
        if (found !== null && found !== undefined && found !== false) return found;
      }
      throw new Error('the event stream ended');
    } catch (error) {
      const seen = last.map(({ id, state, statement }) => `${id} ${state} ${statement.sql}`).join(' | ');
      throw new Error(`not seen within ${WAIT_MS} ms; requests: ${seen}`, { cause: error });
    } finally {
      clearTimeout(timer);
      over.abort();
    }
  }
  const until: Approver['until'] = (sql, find) => untilOf(() => requestsFor(sql), find);
  const decide: Approver['decide'] = (id, effect, reason) =>
    post(`/requests/${id}/decision`, { effect, ...(reason === undefined ? {} : { reason }) });
  return {
    token,
    get,
    post,
    decide,
    requestsFor,
    until,
    held: (sql) => until(sql, (some) => some.find((each) => each.state === 'pending' && each.waiterLive)),
    reaches: (id, state) =>
      untilOf(all, (some) => some.find((each) => each.id === id && each.state === state)),
    async denyAll() {
      const pending = (await all()).filter((each) => each.state === 'pending');
      await Promise.all(pending.map(({ id }) => decide(id, 'deny')));
    },
  };
}

/** The `pg` driver, on a connection URL as printed. */
export async function agentAt(url: string): Promise<Agent> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {});
  await client.connect();
  const run: Agent['run'] = async (sql, values) => {
    try {
      const answer: pg.QueryResult | pg.QueryResult[] = await client.query(sql, values && [...values]);
      const last = Array.isArray(answer) ? answer.at(-1) : answer;
      return {
        code: null,
        message: '',
        tag: `${last?.command} ${last?.rowCount ?? ''}`.trim(),
        rows: last?.rows ?? [],
      };
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      return {
        code: error instanceof pg.DatabaseError ? (error.code ?? '') : 'lost',
        message: error.message,
        tag: '',
        rows: [],
      };
    }
  };
  return {
    run,
    async value(sql) {
      const { rows, code, message } = await run(sql);
      if (code !== null) throw new Error(`${code}: ${message}`);
      return String(Object.values(rows[0] ?? {})[0]);
    },
    async end() {
      await client.end().catch(() => {});
    },
  };
}

/** A child's exit and what it printed. */
export async function outputOf(child: import('node:child_process').ChildProcess) {
  let out = '';
  let err = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    out += chunk.toString();
  });
  child.stderr?.on('data', (chunk: Buffer) => {
    err += chunk.toString();
  });
  await once(child, 'close');
  return { code: child.exitCode, out, err };
}

/** A text field of an answer, or an error that names it. */
export function textOf(body: object, name: string): string {
  const value: unknown = Reflect.get(body, name);
  if (typeof value !== 'string') throw new Error(`the answer has no ${name}`);
  return value;
}
