/**
 * Invariant I1: no statement reaches the target that was not cleared, and a clearance is spent once.
 * The upstream link takes statement-bearing messages (Query, Parse, Bind, Execute) only inside a `Cleared`, and only this module makes one:
 * out of an allow verdict, out of a settled approval, or for text of the gateway's own.
 */
import { serialize } from 'pg-protocol';
import type { Clearance, Outcome } from '../approvals/types.ts';
import type { Verdict } from '../policy/types.ts';
import { FRONTEND } from './wire/frame.ts';

const mint = Symbol('only this module clears');

export class Cleared {
  readonly #bytes: Buffer;
  #spent = false;

  constructor(key: typeof mint, bytes: Buffer) {
    if (key !== mint) throw new Error('a clearance is not for others to make');
    this.#bytes = bytes;
  }

  /** The message, once. */
  spend(): Buffer {
    if (this.#spent) throw new Error('a clearance is spent once');
    this.#spent = true;
    return this.#bytes;
  }
}

/** What gives the right to send messages of one statement. */
export type Permit =
  | { readonly kind: 'verdict'; readonly verdict: Verdict }
  | { readonly kind: 'approval'; readonly approval: Approval };

export function clear(permit: Permit, message: Buffer): Cleared {
  if (permit.kind === 'approval') return permit.approval.clear(message);
  if (permit.verdict.effect !== 'allow') throw new Error(`a ${permit.verdict.effect} verdict clears nothing`);
  return new Cleared(mint, message);
}

/** Parse alone: names and types are looked up, nothing runs (DESIGN.md 3, 4). */
export function clearParse(message: Buffer): Cleared {
  if (message[0] !== FRONTEND.parse) throw new Error('only a Parse can go out as a probe');
  return new Cleared(mint, message);
}

/** A settled approval and the clearance it holds; owes exactly one `finish`. */
export class Approval {
  readonly requestId: string;
  readonly #clearance: Clearance;
  #run = false;
  #finished = false;

  constructor(clearance: Clearance) {
    this.requestId = clearance.requestId;
    this.#clearance = clearance;
  }

  get spent(): boolean {
    return this.#run;
  }

  get over(): boolean {
    return this.#finished;
  }

  clear(message: Buffer): Cleared {
    if (this.#finished) throw new Error(`approval ${this.requestId} is over`);
    const type = message[0];
    if (type === FRONTEND.query || type === FRONTEND.execute || type === FRONTEND.functionCall) {
      if (this.#run) throw new Error(`approval ${this.requestId} is spent`);
      this.#run = true;
    }
    return new Cleared(mint, message);
  }

  /** The next rows of the portal that this approval ran already: the same execution goes on. */
  resume(message: Buffer): Cleared {
    if (!this.#run || message[0] !== FRONTEND.execute) throw new Error('nothing to resume');
    return new Cleared(mint, message);
  }

  progress(outcome: Outcome): Promise<void> {
    return this.#finished ? Promise.resolve() : this.#clearance.progress(outcome);
  }

  /** Later calls change nothing: the first end that is known stands. */
  finish(
    kind: 'executed' | 'failed' | 'rolled-back' | 'lost' | 'unused' | 'void',
    outcome: Outcome | null,
    note?: string,
  ): Promise<void> {
    if (this.#finished) return Promise.resolve();
    this.#finished = true;
    return this.#clearance.finish({ kind, outcome, ...(note === undefined ? {} : { note }) });
  }
}

export interface Question {
  readonly parse: Cleared;
  readonly bind: Cleared;
  readonly execute: Cleared;
}

/** Text of the gateway's own. Only what is listed here can be sent unjudged, and none of it runs anything of the client's. */
export const own = {
  /** Where names resolve now. Not a Query, which would drop the client's unnamed statement. */
  lookup: (settings: readonly string[]): Question => ({
    parse: new Cleared(
      mint,
      serialize.parse({ name: PROBE, text: `${LOOKUP}, ${values(settings)}, pg_catalog.pg_backend_pid()` }),
    ),
    bind: new Cleared(mint, serialize.bind({ statement: PROBE })),
    execute: new Cleared(mint, serialize.execute({})),
  }),
  /** The name of the session, with its id. Takes no snapshot, and a portal of its own keeps the client's unnamed one. */
  rename: (name: string, within: boolean): Question => ({
    parse: new Cleared(
      mint,
      serialize.parse({
        name: PROBE,
        text: `SET ${within ? 'LOCAL' : 'SESSION'} application_name TO ${literal(name)}`,
      }),
    ),
    bind: new Cleared(mint, serialize.bind({ portal: PROBE, statement: PROBE })),
    execute: new Cleared(mint, serialize.execute({ portal: PROBE })),
  }),
  /** Is there a relation of that name? Fails in analysis if not. A name of its own keeps the client's unnamed statement. */
  relation: (schema: string | null, name: string): Cleared => {
    const quoted = (part: string): string => `"${part.replaceAll('"', '""')}"`;
    const text =
      schema === null
        ? `SELECT ${literal(quoted(name))}::pg_catalog.regclass`
        : `SELECT ${literal(quoted(schema))}::pg_catalog.regnamespace, ${literal(`${quoted(schema)}.${quoted(name)}`)}::pg_catalog.regclass`;
    return new Cleared(mint, serialize.parse({ name: PROBE, text }));
  },
  /** Fails in the parser: in a transaction block it leaves the server in the failed state that the client is told of (DESIGN.md 10). */
  failingQuery: (): Cleared =>
    new Cleared(mint, serialize.query('holdpoint refused the statement sent here')),
  /** The same in a pipeline: the server itself skips to Sync. `''` also drops the unnamed statement, as the refused Parse would have. */
  failingParse: (name: '' | 'holdpoint_refused'): Cleared =>
    new Cleared(mint, serialize.parse({ name, text: 'holdpoint refused the statement sent here' })),
  /** In a failed transaction any statement brings 25P02. */
  inFailed: (): Cleared => new Cleared(mint, serialize.query('SELECT 1')),
  parseInFailed: (): Cleared =>
    new Cleared(mint, serialize.parse({ name: 'holdpoint_refused', text: 'SELECT 1' })),
  /** SHOW holdpoint.requests, answered with what the gateway knows; literals are quoted by `table`. */
  query: (rows: readonly (readonly string[])[]): Cleared => new Cleared(mint, serialize.query(table(rows))),
  parse: (name: string, rows: readonly (readonly string[])[]): Cleared =>
    new Cleared(mint, serialize.parse({ name, text: table(rows) })),
} as const;

/**
 * Effective schemas, temporary relations, temporary types (domains, enums, ranges). Names are qualified throughout: the client may have put schemas of its own before pg_catalog.
 * To ask for the effective schemas makes the temporary one where the path names it, in this transaction and not the client's
 * (PREPARE TRANSACTION would see it): until it is there, plain lists are read here.
 */
const PATH = "pg_catalog.current_setting('search_path')";
const PLAIN = '([a-z_][a-z0-9_]*|"[$]user")';
const LOOKUP = `SELECT CASE WHEN ${PATH} OPERATOR(pg_catalog.~) 'pg_temp'
    AND pg_catalog.pg_my_temp_schema() OPERATOR(pg_catalog.=) 0::pg_catalog.oid
    AND ${PATH} OPERATOR(pg_catalog.~) '^${PLAIN}(, ?${PLAIN})*$'
  THEN (SELECT coalesce(pg_catalog.json_agg(n.nspname ORDER BY p.place), '[]')
    FROM pg_catalog.unnest(pg_catalog.string_to_array(pg_catalog.replace(${PATH}, ' ', ''), ',')) WITH ORDINALITY AS p(name, place)
    JOIN pg_catalog.pg_namespace AS n ON n.nspname::pg_catalog.text OPERATOR(pg_catalog.=)
      CASE WHEN p.name OPERATOR(pg_catalog.=) '"$user"' THEN current_user::pg_catalog.text ELSE p.name END
    WHERE pg_catalog.has_schema_privilege(n.oid, 'usage'))
  ELSE pg_catalog.array_to_json(pg_catalog.current_schemas(false)) END,
  (SELECT pg_catalog.json_agg(c.relname) FROM pg_catalog.pg_class AS c
    WHERE c.relnamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema()),
  (SELECT pg_catalog.json_agg(t.typname) FROM pg_catalog.pg_type AS t
    WHERE t.typnamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema()
      AND t.typrelid OPERATOR(pg_catalog.=) 0::pg_catalog.oid)`;

/** Whose answer it is, after names and settings. */
export const LOOKUP_PID = 4;

/** Their values as one JSON object; those that the server does not know are null. */
const values = (settings: readonly string[]): string =>
  `(SELECT pg_catalog.json_object_agg(s.name, pg_catalog.current_setting(s.name, true))
    FROM pg_catalog.unnest(ARRAY[${settings.map(literal).join(', ')}]::pg_catalog.text[]) AS s(name))`;

/** The prepared statement of a probe, closed right behind it. Should it stay, the next probe finds its name taken: an error, never a pass. */
export const PROBE = 'holdpoint_probe';
const REQUEST_COLUMNS = ['id', 'state', 'expires', 'what_next'];
const literal = (text: string): string => `'${text.replaceAll('\0', '').replaceAll("'", "''")}'`;

/** standard_conforming_strings is on for the whole session, so doubling the quote is enough. */
function table(rows: readonly (readonly string[])[]): string {
  const list = rows.map(
    (row) => `(${REQUEST_COLUMNS.map((_, i) => `${literal(row[i] ?? '')}::text`).join(', ')})`,
  );
  const empty = `(${REQUEST_COLUMNS.map(() => 'NULL::text').join(', ')})`;
  const where = rows.length === 0 ? ' WHERE false' : '';
  return `SELECT * FROM (VALUES ${rows.length === 0 ? empty : list.join(', ')}) AS requests (${REQUEST_COLUMNS.join(', ')})${where}`;
}
