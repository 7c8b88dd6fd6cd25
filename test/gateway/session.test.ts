import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type TestPostgres, testPostgres } from '../support/postgres.ts';
import { serialize, WireClient } from '../support/wire-client.ts';
import { AGENT, type Bench, bench, SCHEMA } from './support.ts';

let server: TestPostgres;
let it_: Bench;
const clients: pg.Client[] = [];

beforeAll(async () => {
  server = await testPostgres();
  await server.createDatabase('shop');
  await server.query('shop', SCHEMA);
  it_ = await bench(server, 'shop');
});
afterEach(async () => {
  for (const client of clients.splice(0)) await client.end().catch(() => {});
});
afterAll(async () => {
  await it_?.stop();
  await server?.stop();
});

async function connect(login = AGENT): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: it_.url(login) });
  client.on('error', () => {});
  clients.push(client);
  await client.connect();
  return client;
}

describe('a session', () => {
  it('passes an allowed statement, with and without parameters', async () => {
    const client = await connect();
    expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    expect((await client.query('select id, total from orders where id = $1', [7])).rows).toEqual([
      { id: 7, total: '7' },
    ]);
  });

  const refusal = async (work: Promise<unknown>): Promise<{ code: string; message: string }> => {
    try {
      await work;
    } catch (error) {
      if (error instanceof pg.DatabaseError) return { code: error.code ?? '', message: error.message };
      throw error;
    }
    throw new Error('it went through');
  };
  const rows = async (sql: string): Promise<unknown> => (await server.query('shop', sql)).rows;

  it('holds a DELETE until it is approved, runs it once, and says how it ended', async () => {
    const client = await connect();
    const work = client.query('delete from orders where id = 1');
    const request = await it_.desk.waiting();
    expect(await rows('select 1 from orders where id = 1')).toHaveLength(1);
    it_.desk.approve(request.id);
    expect((await work).rowCount).toBe(1);
    await it_.desk.until(() => it_.desk.finishes.some((one) => one.id === request.id));
    expect(it_.desk.finishes.at(-1)).toMatchObject({
      kind: 'executed',
      outcome: { rows: 1, tag: 'DELETE 1' },
    });
  });

  it('asks nobody about a LOCK TABLE that is certain to fail, and holds one in a transaction', async () => {
    const client = await connect();
    const alone = await refusal(client.query('lock table orders'));
    expect(alone).toEqual({ code: '25P01', message: 'LOCK TABLE can only be used in transaction blocks' });
    expect((await refusal(client.query({ name: 'l', text: 'lock table orders' }))).code).toBe('25P01');
    await client.query('begin');
    expect((await refusal(client.query('lock table ordres'))).code).toBe('42P01');
    await client.query('rollback');
    await client.query('begin');
    const work = client.query('lock table orders in share mode nowait');
    const request = await it_.desk.waiting();
    expect(request.statement).toMatchObject({ class: 'lock', verb: 'LOCK TABLE', transaction: 'open' });
    it_.desk.approve(request.id);
    await work;
    expect(
      await rows(`select mode from pg_locks where relation = 'orders'::regclass and mode = 'ShareLock'`),
    ).toHaveLength(1);
    await client.query('rollback');
  });

  it('holds a prepared DELETE with its values, before its Parse goes out', async () => {
    const client = await connect();
    const work = client.query('delete from orders where id = $1', [2]);
    const request = await it_.desk.waiting();
    expect(request.statement.binds).toEqual(['2']);
    expect(
      await rows("select 1 from pg_locks l join pg_class c on c.oid = l.relation where c.relname = 'orders'"),
    ).toHaveLength(0);
    it_.desk.approve(request.id);
    expect((await work).rowCount).toBe(1);
  });

  it('answers pending when the wait is over, and the retry of the same statement uses the approval', async () => {
    const client = await connect();
    await client.query('set holdpoint.wait = 0');
    const { code, message } = await refusal(client.query('delete from orders where id = 3'));
    expect(code).toBe('HP001');
    const [, id] =
      /^(HP-\w+) pending approval in #db: DELETE on orders \(rule deletes\)\. Not run\. Resend exactly this statement in 60 s; do not rewrite it\.$/.exec(
        message,
      ) ?? [];
    expect(id).toBeDefined();
    it_.desk.approve(id ?? '');
    expect((await client.query('DELETE  FROM orders /* again */ where id = 3')).rowCount).toBe(1);
    await it_.desk.until(() => it_.desk.finishes.some((one) => one.id === id && one.kind === 'executed'));
  });

  it('tells the model of a denial, in a simple and in an extended query, and goes on', async () => {
    const client = await connect();
    it_.desk.auto = 'deny';
    const text =
      /^HP-\w+ denied by Dana: too broad\. Not run\. Do not retry or work around it; tell the user\.$/;
    for (const work of [
      client.query('delete from orders'),
      client.query('delete from orders where id > $1', [0]),
    ]) {
      const { code, message } = await refusal(work);
      expect(code).toBe('42501');
      expect(message).toMatch(text);
    }
    it_.desk.auto = null;
    expect((await client.query('select count(*)::int as n from orders')).rows).toEqual([{ n: 97 }]);
  });

  it('leaves the transaction failed on the server when a statement in it is denied', async () => {
    const client = await connect();
    await client.query('begin');
    await client.query('insert into orders values (1000, 1, 1)');
    it_.desk.auto = 'deny';
    expect((await refusal(client.query('delete from orders'))).code).toBe('42501');
    expect((await refusal(client.query('select 1'))).code).toBe('25P02');
    // In the failed transaction no card is made.
    const cards = it_.desk.drafts.length;
    expect((await refusal(client.query('delete from orders'))).code).toBe('25P02');
    expect((await refusal(client.query('delete from orders where id = $1', [1]))).code).toBe('25P02');
    expect(it_.desk.drafts.length).toBe(cards);
    it_.desk.auto = null;
    await client.query('rollback');
    expect(await rows('select 1 from orders where id = 1000')).toHaveLength(0);
  });

  it('gives the permission back when the transaction is rolled back, in time for a retry that follows at once', async () => {
    const client = await connect();
    it_.desk.auto = 'approve';
    it_.desk.slow = true;
    await client.query('begin');
    await client.query('delete from orders where id = 4');
    expect(it_.desk.progress.at(-1)).toMatchObject({ tag: 'DELETE 1', transactionOpen: true });
    it_.desk.auto = null;
    await client.query('rollback');
    await client.query('begin');
    await client.query('delete from orders where id = 4');
    await client.query('commit');
    await it_.desk.until(() => it_.desk.finishes.at(-1)?.kind === 'executed');
    expect(it_.desk.finishes.at(-2)?.kind).toBe('rolled-back');
    it_.desk.slow = false;
  });

  it('relays the error of the server for a typo, without a card', async () => {
    const client = await connect();
    const cards = it_.desk.drafts.length;
    expect((await refusal(client.query('selec 1'))).code).toBe('42601');
    expect((await refusal(client.query('select * from nowhere'))).code).toBe('42P01');
    expect((await refusal(client.query('delete from nowhere where id = $1', [1]))).code).toBe('42P01');
    expect((await refusal(client.query('selec $1', [1]))).code).toBe('42601');
    expect(it_.desk.drafts.length).toBe(cards);
    expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  });

  it('waits no longer than the server would with a pipeline or a transaction that has run for a while', async () => {
    const client = await WireClient.login(it_.port, AGENT);
    const { query, parse, bind, execute, sync, flush } = serialize;
    client.send(query("set statement_timeout = '2s'"));
    await client.ready();
    client.send(parse({ name: 'd', text: 'delete from orders where id = 7' }), flush());
    await client.until('1');
    client.send(bind({ statement: 'd' }), execute({}), sync());
    expect(await client.ready()).toEqual(['E:HP001', 'Z:I']);
    client.send(query("set statement_timeout = 0; set transaction_timeout = '2s'"));
    await client.ready();
    client.send(query('begin'), query('select pg_sleep(1.4)'));
    await client.ready(2);
    client.send(query('delete from orders where id = 7'));
    expect(await client.ready()).toEqual(['E:HP001', 'Z:E']);
    client.close();
  });

  it('leaves no probed text behind that a Bind could run', async () => {
    const client = await WireClient.login(it_.port, AGENT);
    // So new that the gateway asks the server whether there is such a table.
    client.send(
      serialize.query("set holdpoint.wait = '0'"),
      serialize.parse({ text: 'select 1' }),
      serialize.sync(),
    );
    await client.ready(2);
    await server.query('shop', 'create table brand_new as select 1 as id; grant all on brand_new to app');
    client.send(serialize.query('delete from brand_new'));
    expect(await client.ready()).toEqual(['E:HP001', 'Z:I']);
    client.send(serialize.bind({}), serialize.execute({}), serialize.sync());
    expect(await client.ready()).toEqual(['2', 'D', 'C:SELECT 1', 'Z:I']);
    expect(await rows('select from brand_new')).toHaveLength(1);
    client.close();
  });

  it('answers as the server would where a statement names what is not there, without a card', async () => {
    const client = await connect();
    const direct = new pg.Client({ connectionString: server.url('shop') });
    clients.push(direct);
    await direct.connect();
    const cards = it_.desk.drafts.length;
    for (const sql of [
      'drop table nope',
      'drop table orders, "Nope"',
      'drop table nosuch.nope',
      'drop view nope',
      'drop index nope',
      'drop sequence nope cascade',
      'drop trigger t on nope',
      'alter table nope add column x int',
      'alter table public.nope rename to x',
      'alter table orders inherit nope',
      'truncate nope',
      'create index on nope (id)',
      'copy nope from stdin',
      'prepare p as delete from nope',
    ])
      for (const values of [undefined, []]) {
        const real = await refusal(direct.query(sql, values));
        expect(await refusal(client.query(sql, values)), sql).toEqual(real);
      }
    expect(it_.desk.drafts.length).toBe(cards);
    await client.query('begin');
    expect((await refusal(client.query('drop table nope'))).code).toBe('42P01');
    expect((await refusal(client.query('select 1'))).code).toBe('25P02');
    await client.query('rollback');
  });

  it('asks where what is named may be there after all', async () => {
    const client = await connect();
    it_.desk.auto = 'deny';
    await server.query('shop', 'create table "Mixed ""Case" (id int)');
    for (const sql of [
      'drop table "Mixed ""Case"',
      'drop table if exists nope',
      'drop table if/**/exists nope',
      'create table neu (id int)',
      'create table neu as select 1 as one',
      'create view neu as select 1 as one',
      'create table late (id int); drop table late',
    ]) {
      const cards = it_.desk.drafts.length;
      expect((await refusal(client.query(sql))).message, sql).toMatch(/denied by/);
      expect(it_.desk.drafts.length, sql).toBe(cards + 1);
    }
    it_.desk.auto = null;
    await server.query('shop', 'drop table "Mixed ""Case"');
  });

  it('withdraws the request when the client cancels, and keeps the connection', async () => {
    const client = await WireClient.login(it_.port, AGENT);
    client.send(serialize.query('delete from orders where id = 5'));
    const request = await it_.desk.waiting();
    const other = await WireClient.open(it_.port);
    other.send(serialize.cancel(client.key.pid, client.key.secret));
    expect(await client.ready()).toEqual(['E:57014', 'Z:I']);
    expect(it_.desk.withdrawn).toContain(request.id);
    client.send(serialize.query('select 1'));
    expect(await client.ready()).toEqual(['T', 'D', 'C:SELECT 1', 'Z:I']);
    client.close();
  });

  it('stops waiting when the client goes away', async () => {
    const client = await WireClient.login(it_.port, AGENT);
    client.send(serialize.query('delete from orders where id = 6'));
    const request = await it_.desk.waiting();
    client.close();
    await it_.desk.until(() => it_.desk.left.includes(request.id));
    expect(await rows('select 1 from orders where id = 6')).toHaveLength(1);
  });

  it('judges what EXECUTE runs, and a cursor by what it was declared for', async () => {
    const client = await connect();
    it_.desk.auto = null;
    await client.query('set holdpoint.wait = 0');
    const prepared = await refusal(client.query('prepare d as delete from orders where id = 8')).catch(
      () => null,
    );
    if (prepared === null) {
      expect((await refusal(client.query('execute d'))).code).toBe('HP001');
    } else expect(prepared.code).toBe('HP001');
    expect((await refusal(client.query('execute never_prepared'))).code).toBe('26000');
    await client.query('begin');
    await client.query('declare c cursor for select id from orders order by id');
    expect((await client.query('fetch 1 from c')).rows).toEqual([{ id: 5 }]);
    await client.query('rollback');
    expect(await rows('select 1 from orders where id = 8')).toHaveLength(1);
  });

  it('refuses settings that change how text is read, and passes no-ops', async () => {
    const client = await connect();
    await client.query("set client_encoding = 'UTF8'");
    await client.query('set standard_conforming_strings = on');
    await client.query("set statement_timeout = '10s'");
    for (const sql of [
      "set client_encoding = 'SJIS'",
      'set standard_conforming_strings = off',
      "select set_config('standard_conforming_strings', 'off', false)",
      'set session_replication_role = replica',
      'set role postgres',
      "set names 'SJIS'",
    ])
      expect(await refusal(client.query(sql)), sql).toMatchObject({ code: '42501' });
  });

  it('shows the open requests to the one who made them', async () => {
    const client = await connect();
    const shown = await client.query('show holdpoint.requests');
    expect(shown.fields.map((field) => field.name)).toEqual(['id', 'state', 'expires', 'what_next']);
    expect(shown.rows.length).toBeGreaterThan(0);
  });

  it('records the statement before, and the result after, without tagged values', async () => {
    const client = await connect();
    await client.query('select id from orders where id = $1', [50]);
    const statement = it_.recorder.statements().at(-1);
    expect(statement).toMatchObject({
      sql: 'select id from orders where id = $1',
      binds: ['50'],
      effect: 'allow',
    });
    expect(it_.recorder.results().at(-1)).toMatchObject({
      n: statement?.n,
      tag: 'SELECT 1',
      values: [['50']],
    });
    await client.query("select id from customers where email = 'alice@example.com'");
    expect(JSON.stringify(it_.recorder.events)).not.toContain('alice@example.com');
  });
});
