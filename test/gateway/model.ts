/** One sequence of messages, said to the server itself and through the gateway: what came back, and what the tables hold afterwards (I6). */
import pg from 'pg';
import { decodeRowDescription } from '../../src/gateway/wire/backend.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { type Message, serialize, WireClient } from '../support/wire-client.ts';
import type { Sequence } from './model-sequences.ts';
import { bytesOf } from './model-steps.ts';

export interface Side {
  readonly port: number;
  readonly login: { readonly user: string; readonly password: string };
}

export const TABLES = (lanes: number): string =>
  Array.from(
    { length: lanes },
    (_, lane) => `
    create table t_${lane} (id int primary key, v text);
    create table u_${lane} (n int unique deferrable initially deferred);
    grant all on t_${lane}, u_${lane} to app;`,
  ).join('');

const moment = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const FAILED = 'C25P02 | Mcurrent transaction is aborted, commands ignored until end of transaction block';
/** docs/compatibility.md "Differences in the protocol". */
const LISTED: readonly (readonly [RegExp, string])[] = [
  [/(invalid byte sequence for encoding "UTF8").*/, '$1'],
  [/(unexpected message type) 0x..( during COPY)/, '$1$2'],
  [/C(34000 \| Mportal "" does not exist|55000 \| Mportal "" cannot be run)/, FAILED],
];

/** PostgreSQL 18 may lose track of itself where a Query follows extended messages without a Sync between them, and undo what it said was done. */
export const SERVERS_OWN = /CXX000 \| MStartTransactionCommand: unexpected state/;

/** Its content as it came. Of an error only the place in the server's source is left out: the gateway's own errors have none. */
function shown({ type, bytes }: Message, pid: number): string {
  const body = bytes.subarray(5);
  if (type === 'E' || type === 'N') {
    const fields = body
      .toString('utf8')
      .split('\0')
      .filter((field) => field !== '' && !/^[FLR]/.test(field));
    return LISTED.reduce((text, [from, to]) => text.replace(from, to), `${type} ${fields.join(' | ')}`);
  }
  if (type === 'A')
    return `A ${body.readInt32BE(0) === pid ? 'own' : 'other'} ${JSON.stringify(body.subarray(4).toString())}`;
  if (type === 'T') {
    const fields = decodeRowDescription(bytes).map((field) => ({
      ...field,
      tableOid: field.tableOid === 0 ? 0 : 'table',
    }));
    return `T ${JSON.stringify(fields)}`;
  }
  const text =
    body.length > 200
      ? `${body.subarray(0, 200).toString('latin1')}… ${body.length}`
      : body.toString('latin1');
  return `${type} ${JSON.stringify(text)}`;
}

export class Lane {
  readonly #number: number;
  readonly #sides: readonly Side[];
  readonly #side: pg.Client;
  readonly #clients = new Map<Side, WireClient>();
  #marks = 0;

  constructor(server: TestPostgres, number: number, sides: readonly Side[]) {
    this.#number = number;
    this.#sides = sides;
    this.#side = new pg.Client({ connectionString: server.url('shop') });
  }

  async open(): Promise<void> {
    await this.#side.connect();
  }

  async close(): Promise<void> {
    for (const client of this.#clients.values()) client.close();
    await this.#side.end();
  }

  /** What each side saw, and then the tables. */
  async run(sequence: Sequence): Promise<readonly (readonly string[])[]> {
    const told: string[][] = [];
    for (const side of this.#sides) {
      await this.#reset();
      const { seen, closed } = await this.#converse(side, sequence);
      if (closed) await this.#gone(side);
      // Who breaks off in the middle of a message may not count on what was still to be judged before it (docs/compatibility.md).
      const broken = closed && sequence.steps.at(-1) !== 'X';
      told.push(broken ? seen : [...seen, ...(await this.#tables())]);
    }
    // What differed once would do so again from here: shrinking begins with new sessions.
    if (differs(told) !== null) this.#drop();
    return told;
  }

  async #client(side: Side): Promise<WireClient> {
    const known = this.#clients.get(side);
    if (known !== undefined && !known.closed) return known;
    const client = await WireClient.login(side.port, side.login, {
      application_name: this.#name(side),
    });
    this.#clients.set(side, client);
    return client;
  }

  #name(side: Side): string {
    return `lane ${this.#number}, port ${side.port}.`;
  }

  #drop(): void {
    for (const client of this.#clients.values()) client.close();
    this.#clients.clear();
  }

  async #converse(side: Side, { steps, cut }: Sequence): Promise<{ seen: string[]; closed: boolean }> {
    const client = await this.#client(side);
    client.forget();
    const at = (text: string): string => text.replaceAll('@', String(this.#number));
    const seen: string[] = [];
    this.#marks = 100;
    let waiting: Buffer[] = [];
    const send = (): void => {
      const bytes = Buffer.concat(waiting);
      waiting = [];
      if (cut === 0) client.send(bytes);
      else for (let from = 0; from < bytes.length; from += cut) client.send(bytes.subarray(from, from + cut));
    };
    const until = async (test: (message: Message) => boolean): Promise<void> => {
      for (;;) {
        const message = await client.next();
        seen.push(shown(message, client.key.pid));
        if (test(message)) return;
      }
    };
    const marked = async (last: boolean): Promise<void> => {
      const mark = `the end ${this.#marks++}.`;
      waiting.push(serialize.copyFail('over'), serialize.sync(), serialize.query('rollback'));
      if (last) waiting.push(serialize.query('discard all'));
      waiting.push(serialize.query(`select '${mark}'`));
      send();
      await until(({ type, bytes }) => type === 'D' && bytes.includes(mark));
      await until(({ type }) => type === 'Z');
    };
    try {
      for (const step of steps) {
        if (step === '~') {
          send();
          await moment(1);
        } else if (step.startsWith('cancel')) {
          await marked(false);
          await this.#cancel(client, side, step, until);
        } else waiting.push(bytesOf(at(step)));
      }
      await marked(true);
      return { seen: seen.map((one) => settled(one)), closed: false };
    } catch (error) {
      if (!client.closed) throw error;
      return { seen: [...seen.map((one) => settled(one)), CLOSED], closed: true };
    }
  }

  async #cancel(
    client: WireClient,
    side: Side,
    how: string,
    until: (test: (message: Message) => boolean) => Promise<void>,
  ): Promise<void> {
    const sleep = "do $$ begin raise notice 'it sleeps'; perform pg_sleep(60); end $$";
    if (how.includes('transaction')) client.send(bytesOf('Q begin'));
    if (how.includes('extended')) client.send(...[`P: ${sleep}`, 'B:< []', 'E: 0', 'S'].map(bytesOf));
    else client.send(bytesOf(`Q ${sleep}`));
    await until(({ type }) => type === 'N');
    const other = await WireClient.open(side.port);
    other.send(serialize.cancel(client.key.pid, client.key.secret));
    await until(({ type }) => type === 'Z');
    await other.end();
  }

  /** Sessions that were closed may still be at work. */
  async #gone(side: Side): Promise<void> {
    for (;;) {
      const { rows } = await this.#side.query(
        'select from pg_stat_activity where position($1 in application_name) > 0',
        [this.#name(side)],
      );
      if (rows.length === 0) return;
      await moment(5);
    }
  }

  async #reset(): Promise<void> {
    const lane = this.#number;
    const left = await this.#side.query('select gid from pg_prepared_xacts where gid = $1', [`g${lane}`]);
    if (left.rows.length > 0) await this.#side.query(`rollback prepared 'g${lane}'`);
    const extra = await this.#side.query(`select to_regclass('public.x_${lane}') is not null as there`);
    if (extra.rows[0]?.there) await this.#side.query(`drop table x_${lane}`);
    // Emptied as a file: the place of rows that were deleted would decide which one is read first.
    await this.#side.query(
      `truncate t_${lane}, u_${lane}; insert into t_${lane} select i, 'row ' || i from generate_series(1, 5) i`,
    );
  }

  async #tables(): Promise<string[]> {
    const lane = this.#number;
    const { rows } = await this.#side.query(
      `select (select json_agg(t order by id)::text from t_${lane} t) as t, (select count(*) from u_${lane}) as u,
         to_regclass('public.x_${lane}') is not null as x, (select count(*) from pg_prepared_xacts where gid = 'g${lane}') as g`,
    );
    return [`tables ${JSON.stringify(rows[0])}`];
  }
}

/** What cannot be read is told so, where the server may first look up a name that is in it. */
const MALFORMED =
  /^E SERROR \| VERROR \| C(08P01|22023) \| M(insufficient data left in message|invalid message format|unsupported format code: 30720)$/;
const CLOSED = 'closed';

/** null: the same. A link that is closed may have lost the last words said before; both must be closed, and nothing said may differ. */
export function differs(told: readonly (readonly string[])[]): string | null {
  const [direct = [], through = []] = told;
  if (direct.some((one) => SERVERS_OWN.test(one))) return null;
  const lost = direct.includes(CLOSED) && through.includes(CLOSED);
  const words = (side: readonly string[]): string[] =>
    lost ? side.slice(0, side.indexOf(CLOSED)).filter((one) => !/^E SFATAL/.test(one)) : [...side];
  const [a, b] = [words(direct), words(through)];
  const n = lost ? Math.min(a.length, b.length) : Math.max(a.length, b.length);
  for (let i = 0; i < n; i++)
    if (a[i] !== b[i] && !(MALFORMED.test(b[i] ?? '') && a[i]?.startsWith('E ')))
      return `message ${i + 1}\n  direct:  ${a[i] ?? '(nothing)'}\n  gateway: ${b[i] ?? '(nothing)'}`;
  if (lost && direct.at(-1) !== through.at(-1)) return `${direct.at(-1)}\n  gateway: ${through.at(-1)}`;
  return null;
}

export const reproduction = (sequence: Sequence): string =>
  [`cut ${sequence.cut}`, ...sequence.steps.map((step) => JSON.stringify(step))].join('\n    ');

/** Without what differs from run to run: a number of ours, and where in its statement a cancel reached the server. */
const settled = (seen: string): string =>
  seen.replace(/the end \d+\./g, 'the end').replace(/^(E .*\| C57014 \|.*?) \| W.*$/s, '$1');
