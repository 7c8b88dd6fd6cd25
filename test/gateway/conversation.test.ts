/** Conversations on the bare wire: what goes out, and the trace of what comes back (I6). */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type TestPostgres, testPostgres } from '../support/postgres.ts';
import { serialize, WireClient } from '../support/wire-client.ts';
import { AGENT, type Bench, bench, PERSON, SCHEMA } from './support.ts';

let server: TestPostgres;
let it_: Bench;
const clients: WireClient[] = [];

beforeAll(async () => {
  server = await testPostgres();
  await server.createDatabase('shop');
  await server.query('shop', SCHEMA);
  it_ = await bench(server, 'shop');
});
afterEach(() => {
  it_.desk.auto = null;
  for (const client of clients.splice(0)) client.close();
});
afterAll(async () => {
  await it_?.stop();
  await server?.stop();
});

async function connect(login = AGENT, parameters: Record<string, string> = {}): Promise<WireClient> {
  const client = await WireClient.login(it_.port, login, parameters);
  clients.push(client);
  return client;
}
const count = async (where: string): Promise<number> =>
  Number((await server.query('shop', `select count(*) as n from orders where ${where}`)).rows[0]?.n);

const {
  query,
  parse,
  bind,
  execute,
  describe: described,
  sync,
  flush,
  close,
  copyData,
  copyDone,
  copyFail,
} = serialize;
const run = (text: string, values: unknown[] = []): Buffer =>
  Buffer.concat([parse({ text }), bind({ values }), execute({})]);

describe('the wire', () => {
  it('answers pipelined queries in order, however they are cut', async () => {
    const bytes = Buffer.concat([
      query('select 1'),
      query(''),
      run('select $1::int', ['5']),
      sync(),
      query('select 2'),
    ]);
    for (const cut of [1, 3, 7, bytes.length]) {
      const client = await connect();
      for (let at = 0; at < bytes.length; at += cut) client.send(bytes.subarray(at, at + cut));
      expect(await client.ready(4)).toEqual(
        'T D C:SELECT 1 Z:I I Z:I 1 2 D C:SELECT 1 Z:I T D C:SELECT 1 Z:I'
          .replace(/SELECT 1/g, 'SELECT_1')
          .split(' ')
          .map((one) => one.replace('_', ' ')),
      );
    }
  });

  it('undoes the whole pipeline when one of its statements is denied', async () => {
    const client = await connect();
    it_.desk.auto = 'deny';
    client.send(
      run('insert into orders values (2000, 1, 1)'),
      run('delete from orders'),
      run('select 1'),
      sync(),
    );
    expect(await client.ready()).toEqual(['1', '2', 'C:INSERT 0 1', 'E:42501', 'Z:I']);
    expect(await count('id = 2000')).toBe(0);
    client.send(query('select 1'));
    expect((await client.ready()).at(-1)).toBe('Z:I');
  });

  it('holds at Bind where the Execute comes later, and runs it once', async () => {
    const client = await connect();
    client.send(
      parse({ name: 's', text: 'delete from orders where id = $1' }),
      described({ type: 'S', name: 's' }),
      sync(),
    );
    expect(await client.ready()).toEqual(['1', 't', 'n', 'Z:I']);
    client.send(bind({ statement: 's', portal: 'p', values: ['1'] }), execute({ portal: 'p' }), sync());
    it_.desk.approve((await it_.desk.waiting()).id);
    expect(await client.ready()).toEqual(['2', 'C:DELETE 1', 'Z:I']);
    client.send(bind({ statement: 's', portal: 'p', values: ['2'] }), sync());
    it_.desk.deny((await it_.desk.waiting()).id, 'Dana', null);
    expect(await client.ready()).toEqual(['E:42501', 'Z:I']);
    expect(await count('id = 2')).toBe(1);
  });

  it('gives an approval back whose portal is closed before it ran', async () => {
    const client = await connect();
    client.send(parse({ text: 'delete from orders where id = 3' }), bind({ portal: 'p' }), flush());
    const { id } = await it_.desk.waiting();
    it_.desk.approve(id);
    await client.until('2');
    client.send(close({ type: 'P', name: 'p' }), sync());
    expect(await client.ready()).toEqual(['3', 'Z:I']);
    expect(it_.desk.finishes.at(-1)).toMatchObject({ id, kind: 'unused' });
  });

  it('does not let a name stand for another statement while its Parse is unanswered', async () => {
    const client = await connect();
    client.send(parse({ name: 's', text: 'delete from orders' }), sync());
    await client.ready();
    // The server refuses the second Parse, so that s is still the DELETE.
    client.send(parse({ name: 's', text: 'select 1' }), bind({ statement: 's' }), execute({}), sync());
    expect(await client.ready()).toEqual(['E:42P05', 'Z:I']);
    client.send(bind({ statement: 's' }), execute({}), sync());
    it_.desk.deny((await it_.desk.waiting()).id, 'Dana', null);
    expect(await client.ready()).toEqual(['E:42501', 'Z:I']);
  });

  it('runs no older unnamed statement after a refused Parse', async () => {
    const client = await connect();
    client.send(parse({ text: 'select 1' }), sync());
    await client.ready();
    client.send(parse({ text: "set client_encoding = 'SJIS'" }), sync());
    expect(await client.ready()).toEqual(['E:42501', 'Z:I']);
    client.send(bind({}), execute({}), sync());
    expect(await client.ready()).toEqual(['E:26000', 'Z:I']);
  });

  it('takes COPY from stdin, simple and extended with Syncs around the data', async () => {
    const client = await connect();
    client.send(query('copy orders from stdin'));
    await client.until('G');
    client.send(copyData(Buffer.from('3001\t1\t1\n')), copyData(Buffer.from('3002\t1\t1\n')), copyDone());
    expect(await client.ready()).toEqual(['C:COPY 2', 'Z:I']);
    client.send(run('copy orders from stdin'), sync());
    await client.until('G');
    client.send(copyData(Buffer.from('3003\t1\t1\n')), copyDone(), sync());
    expect(await client.ready()).toEqual(['C:COPY 1', 'Z:I']);
    client.send(query('copy orders from stdin'));
    await client.until('G');
    client.send(copyFail('no'));
    expect(await client.ready()).toEqual(['E:57014', 'Z:I']);
    client.send(copyData(Buffer.from('stray')), copyDone(), query('select 1'));
    expect(await client.ready()).toEqual(['T', 'D', 'C:SELECT 1', 'Z:I']);
  });

  it('goes on after bad COPY data, and takes a row larger than a read', async () => {
    const client = await connect();
    client.send(run('copy orders from stdin'), sync());
    await client.until('G');
    client.send(copyData(Buffer.from('not a number\n')), copyDone(), sync());
    expect(await client.ready()).toEqual(['E:22P02', 'Z:I']);
    client.send(query('create temp table big (t text)'));
    it_.desk.approve((await it_.desk.waiting()).id);
    await client.ready();
    it_.desk.auto = 'approve';
    client.send(query('copy big from stdin'));
    await client.until('G');
    client.send(copyData(Buffer.from(`${'x'.repeat(3_000_000)}\n`)), copyDone());
    expect(await client.ready()).toEqual(['C:COPY 1', 'Z:I']);
    client.send(query('select length(t) from big'));
    expect((await client.ready()).slice(-2)).toEqual(['C:SELECT 1', 'Z:I']);
  });

  it('sends COPY out', async () => {
    const client = await connect();
    client.send(query('copy (select id from orders where id <= 10 and id > 5) to stdout'));
    expect((await client.ready()).join(' ')).toBe('H d d d d d c C:COPY 5 Z:I');
  });

  it('tells the number of the backend, as notifications and pg_stat_activity do', async () => {
    const client = await connect();
    client.send(
      query(`select pid from pg_stat_activity where pid = ${client.key.pid} and pid = pg_backend_pid()`),
    );
    expect(await client.ready()).toEqual(['T', 'D', 'C:SELECT 1', 'Z:I']);
  });

  it('tells the server the name of the application and the session, as it can show them', async () => {
    const client = await connect(AGENT, { application_name: `Zoë's ${'long '.repeat(20)}` });
    client.send(query('show application_name'));
    await client.ready();
    const shown = client.messages
      .findLast(({ type }) => type === 'D')
      ?.bytes.subarray(11)
      .toString();
    expect(shown).toMatch(/^Zo\?'s (long ){6}ses_[0-9a-f]{20}$/);
  });

  it('keeps the unnamed statement while it looks up names of its own', async () => {
    const client = await connect();
    client.send(
      Buffer.concat([
        parse({ name: 's', text: 'set search_path to public' }),
        parse({ text: 'select 1 where false' }),
        sync(),
      ]),
    );
    expect(await client.ready()).toEqual(['1', '1', 'Z:I']);
    client.send(Buffer.concat([bind({ statement: 's' }), execute({}), sync()]));
    expect(await client.ready()).toContain('C:SET');
    client.send(Buffer.concat([bind({}), execute({}), sync()]));
    expect(await client.ready()).toEqual(['2', 'C:SELECT 0', 'Z:I']);
  });

  it('refuses the function call of the protocol with the true status', async () => {
    const client = await connect();
    const call = Buffer.from('460000000e000004d2000000000000', 'hex');
    client.send(call);
    expect(await client.ready()).toEqual(['E:42501', 'Z:I']);
    client.send(query('begin'));
    await client.ready();
    client.send(call);
    expect(await client.ready()).toEqual(['E:42501', 'Z:E']);
  });

  it('closes on what is no message', async () => {
    for (const hex of ['5100000003', '51ffffffff', '517fffffff', '2100000004']) {
      const client = await connect();
      client.send(Buffer.from(hex, 'hex'));
      expect((await client.end()).at(0), hex).toMatch(/^E:(08P01|54000)$/);
    }
  });

  it('tells a person that the statement waits, and an agent nothing', async () => {
    for (const [login, notices] of [
      [PERSON, 1],
      [AGENT, 0],
    ] as const) {
      const client = await connect(login);
      client.send(query('delete from orders where id = 90'));
      it_.desk.deny((await it_.desk.waiting()).id, 'Dana', null);
      expect((await client.ready()).filter((one) => one.startsWith('N'))).toHaveLength(notices);
    }
  });

  it('serves its own cancel key, not the key of the server', async () => {
    const client = await connect();
    it_.desk.auto = 'approve';
    client.send(query('select pg_sleep(30)'));
    const running = async (): Promise<boolean> =>
      (
        await server.query(
          'shop',
          "select 1 from pg_stat_activity where state = 'active' and query = 'select pg_sleep(30)'",
        )
      ).rows.length > 0;
    while (!(await running()));
    const wrong = await WireClient.open(it_.port);
    wrong.send(serialize.cancel(client.key.pid, client.key.secret ^ 1));
    await wrong.end();
    expect(await running()).toBe(true);
    const right = await WireClient.open(it_.port);
    right.send(serialize.cancel(client.key.pid, client.key.secret));
    expect((await client.ready()).at(-2)).toBe('E:57014');
  });

  it('reads a pipelined statement with the search_path that the one before it sets', async () => {
    await server.query(
      'shop',
      'create schema vault; create table vault.orders (id int, ssn text); grant usage on schema vault to app; grant select on vault.orders to app',
    );
    const client = await connect();
    it_.desk.auto = 'deny';
    // public.orders has no tagged column, vault.orders has.
    client.send(
      query('set search_path = vault'),
      query('select * from orders'),
      query('select * from orders'),
    );
    // PostgreSQL 18 reports search_path, earlier ones do not.
    expect((await client.ready(3)).filter((one) => one !== 'S')).toEqual([
      'C:SET',
      'Z:I',
      'E:42501',
      'Z:I',
      'E:42501',
      'Z:I',
    ]);
    client.send(parse({ name: 's', text: 'select id from public.orders where id = 5' }), sync());
    await client.ready();
    client.send(query('reset search_path'), query('select count(*) from orders'));
    expect((await client.ready(2)).slice(-2)).toEqual(['C:SELECT 1', 'Z:I']);
  });

  it.each([
    // In vault orders has a tagged column, in public it has none.
    ['what it is set to counts', ['begin', 'set local search_path = public'], true],
    ['the last counts', ['begin', 'set local search_path = vault', 'set search_path = public'], true],
    ['what it is set to counts', ['begin', 'set local search_path = vault'], false],
    ['each of them counts', ['begin', 'set local search_path = public, vault'], false],
    ['a temporary table moves nothing', ['begin', 'create temp table orders_2 (id int)'], true],
    [
      'any counts once it may be gone',
      ['begin', 'savepoint a', 'set local search_path = public', 'rollback to a'],
      false,
    ],
    [
      'in a query it may not have been set',
      [
        'begin',
        'set local search_path = vault',
        "select set_config('search_path', 'public', true) where false",
      ],
      false,
    ],
    [
      'any counts behind what cannot be read',
      ['begin', 'set local search_path = public', 'do $$ begin end $$'],
      false,
    ],
    ['it ends with the transaction', ['begin', 'set local search_path = vault', 'commit', 'begin'], true],
    ['it ends with the transaction', ['begin', 'set search_path = vault', 'rollback', 'begin'], true],
    ['it lasts', ['begin', 'set search_path = vault', 'commit', 'begin'], false],
    ['outside of one it does nothing', ['set local search_path = vault'], true],
  ])('search_path in a transaction: %s', async (_what, before, reads) => {
    const client = await connect();
    it_.desk.auto = 'approve';
    for (const text of before) {
      client.send(query(text));
      await client.ready();
    }
    it_.desk.auto = 'deny';
    client.send(query('select * from orders limit 0'));
    expect((await client.ready()).includes('C:SELECT 0')).toBe(reads);
  });

  it('judges a prepared statement anew where its names have moved', async () => {
    const client = await connect();
    client.send(parse({ name: 's', text: 'select * from orders' }), sync());
    await client.ready();
    client.send(query('set search_path = vault'));
    await client.ready();
    it_.desk.auto = 'deny';
    client.send(bind({ statement: 's' }), execute({}), sync());
    expect(await client.ready()).toEqual(['E:42501', 'Z:I']);
  });

  it('judges what a name stands for across SQL and protocol', async () => {
    const client = await connect();
    client.send(parse({ name: 'a', text: 'delete from orders' }), sync());
    await client.ready();
    it_.desk.auto = 'deny';
    client.send(query('execute a'));
    expect(await client.ready()).toEqual(['E:42501', 'Z:I']);
    expect(it_.desk.drafts.at(-1)?.statement.sql).toBe('execute a\n-- runs:\ndelete from orders');
    client.send(query('prepare b as select 1; execute a'));
    expect(await client.ready()).toEqual(['E:42501', 'Z:I']);
    client.send(query('prepare c as select 1; prepare d as delete from orders; execute d'));
    expect(await client.ready()).toEqual(['E:42501', 'Z:I']);
    expect(await count('true')).toBeGreaterThan(0);
  });

  it('finds a temporary table where it is, and the permanent one when it is gone', async () => {
    const client = await connect();
    it_.desk.auto = 'approve';
    client.send(query('create temp table customers (id int, email text)'));
    await client.ready();
    client.send(query('drop table pg_temp.customers'));
    await client.ready();
    it_.desk.auto = 'deny';
    client.send(query('select email from customers'));
    expect(await client.ready()).toEqual(['E:42501', 'Z:I']);
  });

  it('makes no temporary schema by asking where names resolve', async () => {
    const client = await connect();
    client.send(query('set search_path to pg_temp, "$user", public'));
    await client.ready();
    client.send(query('select 1 / (pg_my_temp_schema() = 0)::int'));
    expect(await client.ready()).toEqual(['T', 'D', 'C:SELECT 1', 'Z:I']);
    it_.desk.auto = 'deny';
    client.send(query('select email from customers'));
    expect(await client.ready()).toEqual(['E:42501', 'Z:I']);
  });

  it('ends the session when the server reports another encoding after all', async () => {
    await server.query(
      'shop',
      "create function public.sneak() returns void language sql set search_path = public as 'select null::void'; create or replace function public.sneak() returns void language plpgsql as $$ begin perform set_config('standard_conforming_strings', 'off', false); end $$; grant execute on function sneak() to app",
    );
    const client = await connect();
    it_.desk.auto = 'approve';
    client.send(query('select public.sneak()'));
    expect((await client.end()).at(-1)).toBe('E:XX000');
  });
});
