/**
 * A look at the target before anybody has approved: a connection of its own with the session's login, in one READ ONLY transaction under
 * short limits, rolled back and closed. Never the client's backend.
 */
import { serialize } from 'pg-protocol';
import type { Target, UpstreamLogin } from '../types.ts';
import { connectUpstream } from '../upstream/connect.ts';
import { MessageReader } from '../upstream/messages.ts';
import { decodeDataRow, decodeError } from '../wire/backend.ts';

export interface Values {
  readonly types: readonly number[];
  readonly values: readonly (Buffer | null)[];
  readonly formats: readonly number[];
}
export interface Probe {
  /** Text of the gateway's own, with an empty search_path: the first column of the first row. */
  own(text: string): Promise<string | null>;
  /** The client's names and values, where the client's would resolve. */
  ask(text: string, values: Values): Promise<string | null>;
  /** The server's own words about the text, which is parsed and goes no further; null: it takes it. */
  parse(text: string, types: readonly number[]): Promise<Said | null>;
  /** After something that was asked failed: others may be asked. */
  back(): Promise<void>;
}

export interface Said {
  readonly code: string;
  readonly message: string;
  readonly hint: string | null;
  readonly position: string | null;
}

export class ProbeRefused extends Error {
  readonly code: string;
  constructor(code: string) {
    super(`the target answered ${code}`);
    this.name = 'ProbeRefused';
    this.code = code;
  }
}
export class ProbeLate extends Error {}

export interface ProbeOptions {
  readonly target: Target;
  readonly login: UpstreamLogin;
  readonly searchPath: readonly string[];
  /** Of the session, those that give the same text another meaning. */
  readonly settings: ReadonlyMap<string, string>;
  readonly timeoutMs: number;
  /** For a lock; absent: 200. */
  readonly lockMs?: number;
  /** For everything, the login included; absent: `timeoutMs`. */
  readonly wholeMs?: number;
}

const NONE: Values = { types: [], values: [], formats: [] };

/** Rejects with ProbeLate, ProbeRefused or UpstreamFault. */
export async function withProbe<T>(options: ProbeOptions, work: (probe: Probe) => Promise<T>): Promise<T> {
  const { target, login, timeoutMs, wholeMs = timeoutMs } = options;
  let close = (): void => {};
  let late = false;
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      late = true;
      close();
      reject(new ProbeLate('the target took too long'));
    }, wholeMs);
  });
  const run = async (): Promise<T> => {
    const { socket } = await connectUpstream({
      target,
      login,
      settings: new Map([['application_name', 'holdpoint estimate']]),
      timeoutMs: wholeMs,
    });
    close = () => socket.destroy();
    try {
      if (late) throw new ProbeLate('the target took too long');
      const reader = new MessageReader(socket, wholeMs);
      socket.resume();
      const simple = (text: string): Promise<string | null> => {
        socket.write(serialize.query(text));
        return answer(reader);
      };
      await simple(begin(options));
      let placed = false;
      const there = async (): Promise<void> => {
        if (!placed) await simple(place(options));
        placed = true;
      };
      const result = await work({
        own: (text) => {
          if (placed) throw new Error('own text comes first');
          return simple(text);
        },
        parse: async (text, types) => {
          await there();
          socket.write(Buffer.concat([serialize.parse({ text, types: [...types] }), serialize.sync()]));
          return said(reader);
        },
        ask: async (text, { types, values, formats } = NONE) => {
          await there();
          socket.write(
            Buffer.concat([
              serialize.parse({ text, types: [...types] }),
              serialize.bind({
                values: values.map((value, i) =>
                  formats[i] === 1 ? value : (value?.toString('utf8') ?? null),
                ),
              }),
              serialize.execute({}),
              serialize.sync(),
            ]),
          );
          return answer(reader);
        },
        back: async () => void (await simple('ROLLBACK TO SAVEPOINT holdpoint')),
      });
      socket.write(Buffer.concat([serialize.query('ROLLBACK'), serialize.end()]));
      await answer(reader);
      return result;
    } finally {
      socket.destroy();
    }
  };
  try {
    const running = run();
    running.catch(() => undefined);
    return await Promise.race([running, deadline]);
  } finally {
    clearTimeout(timer);
  }
}

/** The first column of the first row; the server's own words may hold values, so that only its code is kept. */
async function answer(reader: MessageReader): Promise<string | null> {
  let cell: string | null = null;
  let code: string | null = null;
  for (;;) {
    const message = await reader.next();
    const type = String.fromCharCode(message[0] ?? 0);
    if (type === 'D') cell ??= decodeDataRow(message)[0]?.toString('utf8') ?? null;
    else if (type === 'E') code ??= decodeError(message).code;
    else if (type === 'Z') {
      if (code !== null) throw new ProbeRefused(code);
      return cell;
    }
  }
}

async function said(reader: MessageReader): Promise<Said | null> {
  let error: Said | null = null;
  for (;;) {
    const message = await reader.next();
    const type = String.fromCharCode(message[0] ?? 0);
    if (type === 'E') error ??= decodeError(message);
    else if (type === 'Z') return error;
  }
}

/** Parallel workers and compilation would make a look cost more than it may. */
const begin = ({ timeoutMs, lockMs = 200 }: ProbeOptions): string => `BEGIN TRANSACTION READ ONLY;
SET LOCAL search_path = '';
SET LOCAL statement_timeout = ${Math.ceil(timeoutMs)};
SET LOCAL lock_timeout = ${lockMs};
SET LOCAL idle_in_transaction_session_timeout = ${Math.ceil(timeoutMs) + 1000};
SET LOCAL jit = off;
SET LOCAL max_parallel_workers_per_gather = 0`;

function place({ searchPath, settings }: ProbeOptions): string {
  const path = searchPath.map((name) => `"${name.replaceAll('"', '""')}"`).join(', ');
  // Through set_config, whose values are values: none of them can be read as SQL.
  const list: readonly (readonly [string, string])[] = [...settings, ['search_path', path]];
  const calls = list.map(
    ([name, value]) => `pg_catalog.set_config(${literal(name)}, ${literal(value)}, true)`,
  );
  return `SELECT ${calls.join(', ')}; SAVEPOINT holdpoint`;
}

/** standard_conforming_strings is on: connectUpstream sees to it. */
export const literal = (text: string): string => `'${text.replaceAll('\0', '').replaceAll("'", "''")}'`;
