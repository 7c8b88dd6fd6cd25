/** The target's server knows each session by its id, whatever the client calls itself (DESIGN.md 14). */
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeParameterStatus } from '../../src/gateway/wire/backend.ts';
import { type TestPostgres, testPostgres } from '../support/postgres.ts';
import { serialize, WireClient } from '../support/wire-client.ts';
import { AGENT, type Bench, bench, SCHEMA } from './support.ts';

const { query, parse, bind, execute, sync, describe: describePortal } = serialize;
const OTHER = `ses_${'b'.repeat(20)}`;
let server: TestPostgres;
let gateway: Bench;
const clients: WireClient[] = [];

beforeAll(async () => {
  server = await testPostgres();
  await server.createDatabase('shop');
  await server.query(
    'shop',
    `${SCHEMA}
    create function rename(text) returns void language plpgsql as
      $$ begin perform set_config('application_name', $1, false); end $$;
    create procedure rename_by_call(text) language plpgsql as
      $$ begin perform set_config('application_name', $1, false); end $$;`,
  );
  gateway = await bench(server, 'shop', {
    policyText: 'version: 1\ndefaults: { do: allow, call: allow, unknown: allow }\n',
  });
});
afterAll(async () => {
  for (const client of clients) client.close();
  await gateway?.stop();
  await server?.stop();
});

/** With the session's id. */
async function connect(parameters: Readonly<Record<string, string>> = {}) {
  const client = await WireClient.login(gateway.port, AGENT, parameters);
  clients.push(client);
  const told = client.messages
    .filter(({ type }) => type === 'S')
    .map(({ bytes }) => decodeParameterStatus(bytes));
  const id = gateway.gateway.sessions().at(-1)?.id ?? '';
  return { client, id, told: told.find(({ name }) => name === 'application_name')?.value };
}
type Connected = Awaited<ReturnType<typeof connect>>;

/** What the server shows of that backend, once nothing of the gateway's own is under way. */
async function shown({ client }: Connected, expected: string): Promise<void> {
  const sql = 'select application_name as name from pg_stat_activity where pid = $1';
  await expect
    .poll(async () => (await server.query('shop', sql, [client.key.pid])).rows[0]?.name, { timeout: 5_000 })
    .toBe(expected);
}
/** What the client is told of its name by what it sends, and the trace. */
async function send({ client }: Connected, ...parts: readonly Buffer[]) {
  client.forget();
  client.send(...parts);
  const trace = await client.ready();
  const names = client.messages
    .filter(({ type }) => type === 'S')
    .map(({ bytes }) => decodeParameterStatus(bytes))
    .flatMap(({ name, value }) => (name === 'application_name' ? [value] : []));
  return { trace: trace.join(' '), names };
}
const run = (one: Connected, sql: string) => send(one, query(sql));

describe('the id of the session stays in its name', () => {
  it.each([
    ["SET application_name = 'mine'", 'mine', 'mine'],
    ["SET SESSION application_name TO 'mine'", 'mine', 'mine'],
    ["SET application_name = ''", '', ''],
    ['SET application_name TO mine', 'mine', 'mine'],
    ["SELECT set_config('application_name', 'mine', false)", 'mine', 'mine'],
    ["SET application_name = 'mine'; SELECT 1", 'mine', 'mine'],
    ["BEGIN; SET application_name = 'mine'; COMMIT", 'mine', 'mine'],
    ["SELECT rename('mine')", 'mine', 'mine'],
    ["CALL rename_by_call('mine')", 'mine', 'mine'],
    ["DO $$ BEGIN SET application_name = 'mine'; END $$", 'mine', 'mine'],
    [`SELECT rename('as ${OTHER}')`, 'as ses?bbbbbbbbbbbbbbbbbbbb', `as ${OTHER}`],
    [
      `SET application_name = '${'long '.repeat(20)}'`,
      'long '.repeat(7).trim(),
      'long '.repeat(20).slice(0, 63),
    ],
  ])('%s', async (sql, here, said) => {
    const one = await connect({ application_name: 'first' });
    expect(one.told).toBe('first');
    await shown(one, `first ${one.id}`);
    const { trace, names } = await run(one, sql);
    expect(trace).not.toMatch(/E:/);
    expect(names).toEqual([said]);
    await shown(one, `${here} ${one.id}`.trim());
    // It is told of nothing that the gateway itself did.
    expect(await run(one, 'SELECT 1')).toEqual({ trace: 'T D C:SELECT 1 Z:I', names: [] });
    expect((await run(one, 'RESET application_name')).names).toEqual(['first']);
    await shown(one, `first ${one.id}`);
    await run(one, sql);
    await run(one, 'DISCARD ALL');
    await shown(one, `first ${one.id}`);
    await run(one, sql);
    await run(one, 'RESET ALL');
    await shown(one, `first ${one.id}`);
  });

  it('by a parameter, prepared or not', async () => {
    const one = await connect();
    const text = "SELECT set_config('application_name', $1, false)";
    const { trace } = await send(
      one,
      parse({ text, types: [25] }),
      bind({ values: ['mine'] }),
      execute({}),
      sync(),
    );
    expect(trace).toBe('1 2 D C:SELECT 1 S Z:I');
    await shown(one, `mine ${one.id}`);
    await send(one, parse({ name: 's', text }), sync());
    await send(
      one,
      bind({ statement: 's', values: ['again'] }),
      describePortal({ type: 'P' }),
      execute({}),
      sync(),
    );
    await shown(one, `again ${one.id}`);
  });

  it('in a transaction, through savepoints, and as its end leaves it', async () => {
    const one = await connect({ application_name: 'first' });
    await run(one, 'BEGIN');
    expect(await run(one, "SET LOCAL application_name = 'local'")).toEqual({
      trace: 'C:SET S Z:T',
      names: ['local'],
    });
    await shown(one, `local ${one.id}`);
    // Nothing was asked in between that would have taken a snapshot.
    expect((await run(one, 'SET TRANSACTION ISOLATION LEVEL SERIALIZABLE')).trace).toBe('C:SET Z:T');
    await run(one, 'SAVEPOINT a');
    await run(one, "SET application_name = 'deeper'");
    await shown(one, `deeper ${one.id}`);
    expect(await run(one, 'ROLLBACK TO a')).toEqual({ trace: 'C:ROLLBACK S Z:T', names: ['local'] });
    await shown(one, `local ${one.id}`);
    expect((await run(one, 'COMMIT')).names).toEqual(['first']);
    await shown(one, `first ${one.id}`);

    await run(one, 'BEGIN');
    await run(one, "SET application_name = 'kept'");
    await shown(one, `kept ${one.id}`);
    expect(await run(one, 'COMMIT')).toEqual({ trace: 'C:COMMIT Z:I', names: [] });
    await shown(one, `kept ${one.id}`);

    await run(one, 'BEGIN');
    await run(one, "SET application_name = 'undone'");
    await shown(one, `undone ${one.id}`);
    // The server undoes it at the error.
    expect(await run(one, 'SELECT 1/0')).toEqual({ trace: 'E:22012 S Z:E', names: ['kept'] });
    expect((await run(one, 'ROLLBACK')).trace).toBe('C:ROLLBACK Z:I');
    await shown(one, `kept ${one.id}`);
  });

  it('keeps the unnamed portal and statement of an open transaction', async () => {
    const one = await connect();
    await run(one, 'BEGIN');
    const rows = "SELECT set_config('application_name', 'mine', false) FROM generate_series(1, 3)";
    const first = await send(one, parse({ text: rows }), bind({}), execute({ rows: 1 }), sync());
    expect(first.trace).toBe('1 2 D s S Z:T');
    await shown(one, `mine ${one.id}`);
    expect((await send(one, execute({ rows: 1 }), sync())).trace).toBe('D s Z:T');
    expect((await send(one, bind({}), execute({}), sync())).trace).toBe('2 D D D C:SELECT 3 Z:T');
    await run(one, 'COMMIT');
  });

  it('does not come between the messages of a pipeline', async () => {
    const one = await connect();
    const insert = (id: number) => [
      parse({ text: `insert into orders values (${id}, 1, 1)` }),
      bind({}),
      execute({}),
    ];
    one.client.forget();
    one.client.send(
      parse({ text: "SET application_name = 'mine'" }),
      bind({}),
      execute({}),
      sync(),
      ...insert(8001),
      ...insert(1),
      sync(),
      query('select 1'),
    );
    // The second of them fails, so that the first is undone: both are one transaction still.
    expect((await one.client.ready(3)).join(' ')).toBe(
      '1 2 C:SET S Z:I 1 2 C:INSERT 0 1 1 2 E:23505 Z:I T D C:SELECT 1 Z:I',
    );
    const { rowCount } = await server.query('shop', 'select from orders where id = 8001');
    expect(rowCount).toBe(0);
    await shown(one, `mine ${one.id}`);
  });
});

describe("another session's id is not taken", () => {
  it.each([
    `SET application_name = '${OTHER}'`,
    `SET LOCAL application_name = 'x ${OTHER.toUpperCase()}'`,
    `SET application_name = 'x ${OTHER.slice(0, 12)}'`,
    `SELECT set_config('application_name', 'x ${OTHER}', false), pg_sleep(5)`,
    `SELECT set_config('application_name', 'x ses' || '_${'b'.repeat(20)}', true), pg_sleep(5)`,
    `SET search_path TO public; SET application_name = '${OTHER}'; SELECT pg_sleep(5)`,
    "SELECT set_config('application_name', name, false) FROM customers",
    `UPDATE pg_settings SET setting = '${OTHER}' WHERE name = 'application_name'`,
    `PREPARE p AS SELECT set_config('application_name', $1, false)`,
  ])('%s', async (sql) => {
    const one = await connect({ application_name: 'mine' });
    expect((await run(one, sql)).trace).toBe('E:42501 Z:I');
    await shown(one, `mine ${one.id}`);
  });

  it('by a parameter', async () => {
    const one = await connect({ application_name: 'mine' });
    const text = "SELECT set_config('application_name', $1, false), pg_sleep(5)";
    const bound = (value: string | null) => [
      parse({ text, types: [25] }),
      bind({ values: [value] }),
      execute({}),
      sync(),
    ];
    for (const value of [OTHER, null]) expect((await send(one, ...bound(value))).trace).toBe('1 E:42501 Z:I');
    await send(one, parse({ name: 's', text }), sync());
    expect((await send(one, bind({ statement: 's', values: [OTHER] }), execute({}), sync())).trace).toBe(
      'E:42501 Z:I',
    );
    await shown(one, `mine ${one.id}`);
  });

  it('at startup, however it is given', async () => {
    const parameters: readonly Readonly<Record<string, string>>[] = [
      { application_name: OTHER },
      { options: `-c application_name=${OTHER}` },
      { fallback_application_name: OTHER },
    ];
    for (const given of parameters) {
      const one = await connect(given);
      expect(one.told).toBe(OTHER);
      await shown(one, `ses?bbbbbbbbbbbbbbbbbbbb ${one.id}`);
    }
  });

  it('its own is, as a client gives it that restores what it was shown', async () => {
    const one = await connect({ application_name: 'mine' });
    expect((await run(one, `SET application_name = 'mine ${one.id}'`)).trace).toBe('C:SET Z:I');
    await shown(one, `mine ${one.id}`);
    await run(one, `SET application_name = '${one.id}'`);
    await shown(one, one.id);
  });
});

it('a driver that sets and reads it sees its own', async () => {
  const client = new pg.Client({ connectionString: gateway.url(), application_name: 'driver' });
  await client.connect();
  const seen: string[] = [];
  client.connection.on('parameterStatus', ({ parameterName, parameterValue }) => {
    if (parameterName === 'application_name') seen.push(parameterValue);
  });
  await client.query("SET application_name = 'worker 7'");
  await client.query("SELECT set_config('application_name', $1, false)", ['worker 8']);
  await client.query('RESET application_name');
  await client.end();
  expect(seen).toEqual(['worker 7', 'worker 8', 'driver']);
});
