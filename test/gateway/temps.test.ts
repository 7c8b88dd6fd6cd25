/** Temporary objects are in no catalog: once somebody approved that they are made, what they run and show is not known (DESIGN.md 16). */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type TestPostgres, testPostgres } from '../support/postgres.ts';
import { serialize, WireClient } from '../support/wire-client.ts';
import { AGENT, type Bench, bench, SCHEMA } from './support.ts';

let server: TestPostgres;
let it_: Bench;
beforeAll(async () => {
  server = await testPostgres();
  await server.createDatabase('shop');
  await server.query(
    'shop',
    `${SCHEMA}
     create function evil() returns int language plpgsql as 'begin delete from public.orders where id = 1; return 1; end';
     create function trick() returns trigger language plpgsql as 'begin delete from public.orders; return new; end';
     create domain watched as int check (evil() > 0);`,
  );
  it_ = await bench(server, 'shop', {});
});
afterAll(async () => {
  await it_?.stop();
  await server?.stop();
});

async function made(...setup: readonly string[]): Promise<WireClient> {
  it_.desk.auto = 'approve';
  const client = await WireClient.login(it_.port, AGENT, { 'holdpoint.wait': '0' });
  for (const sql of setup) {
    client.send(serialize.query(sql));
    expect((await client.ready()).at(-1), sql).toMatch(/^Z:[IT]$/);
  }
  it_.desk.auto = null;
  return client;
}
const held = async (client: WireClient, sql: string): Promise<void> => {
  client.send(serialize.query(sql));
  expect(await client.ready(), sql).toContain('E:HP001');
  client.send(serialize.parse({ text: sql }), serialize.bind({}), serialize.execute({}), serialize.sync());
  expect(await client.ready(), sql).toContain('E:HP001');
};
const passes = async (client: WireClient, sql: string): Promise<void> => {
  client.send(serialize.query(sql));
  expect((await client.ready()).join(), sql).not.toContain('E:');
};

it.each([
  ['a view over code', ['create temp view t as select evil() as id'], 'select id from t'],
  ['a view, by its schema', ['create temp view t as select evil() as id'], 'select id from pg_temp.t'],
  [
    'a view over what is tagged',
    ['create temp view t as select email from customers'],
    'select email from t',
  ],
  [
    'a copy of what is tagged',
    ['create temp table t as select email as x from customers'],
    'select x from t',
  ],
  ['a copy by SELECT INTO', ['select email as x into temp t from customers'], 'select x from t'],
  ['a default', ['create temp table t (id int default evil(), n int)'], 'insert into t (n) values (1)'],
  ['a check', ['create temp table t (id int check (evil() > 0))'], 'insert into t values (1)'],
  ['a domain', ['create temp table t (id watched)'], 'insert into t values (1)'],
  [
    'a generated column',
    ['create temp table t (id int)', 'alter table t add g int default evil()'],
    'insert into t values (1)',
  ],
  [
    'a trigger',
    [
      'create temp table t (id int)',
      'create trigger x before insert on t for each row execute function trick()',
    ],
    'insert into t values (1)',
  ],
  [
    'a rule',
    ['create temp table t (id int)', 'create rule x as on insert to t do also delete from orders'],
    'insert into t values (1)',
  ],
  ['a block', ['do $$begin create temp view t as select evil() as id; end$$'], 'select id from t'],
  [
    'a plain one that comes back by a rollback',
    [
      'create temp view t as select evil() as id',
      'begin',
      'drop view t',
      'create temp table t (id int)',
      'rollback',
    ],
    'select id from t',
  ],
  [
    'a plain one that was one for a savepoint',
    [
      'create temp view t as select evil() as id',
      'begin',
      'savepoint a',
      'drop view t',
      'create temp table t (id int)',
      'rollback to a',
      'commit',
    ],
    'select id from t',
  ],
  [
    'a renamed one',
    [
      'create temp view v as select evil() as id',
      'create temp table t (id int)',
      'alter table t rename to u',
      'alter view v rename to t',
    ],
    'select id from t',
  ],
  [
    'a function',
    ["create function pg_temp.f() returns int language plpgsql as 'begin return evil(); end'"],
    'select pg_temp.f()',
  ],
  ['a type', ['create domain pg_temp.d as int check (evil() > 0)'], 'select 1::pg_temp.d'],
  [
    'a type that stands before a built-in one',
    ['create domain pg_temp.date as pg_catalog.date check (evil() > 0)'],
    "select '2026-11-21'::date",
  ],
  [
    'a type, by a block',
    ['do $$begin create domain pg_temp.d as int check (evil() > 0); end$$'],
    'select 1::d',
  ],
] as const)('%s', async (_, setup, use) => {
  const client = await made(...setup);
  await held(client, use);
  client.close();
});

it('a plain table is read and written as it comes, also beside others', async () => {
  const client = await made(
    'create temp view other as select evil() as id',
    'create temp table plain (id int primary key, note text)',
    'create temp table copy as select id, total from orders',
    'create index on copy (total)',
  );
  for (const sql of [
    'insert into plain values (1, null)',
    'select id, note from plain',
    'select sum(total) from copy',
    'update copy set total = 1 where id = 1',
  ])
    await passes(client, sql);
  await held(client, 'select id from other');
  client.close();
});

it('a parameter that a Parse declares of a temporary domain', async () => {
  const client = await made('create domain pg_temp.d as int check (evil() > 0)');
  client.send(serialize.query("select 'pg_temp.d'::pg_catalog.regtype::pg_catalog.oid::pg_catalog.text"));
  expect((await client.ready()).at(-1)).toBe('Z:I');
  const { rows } = await server.query('shop', "select oid::int from pg_type where typname = 'd'");
  expect(rows.length).toBeGreaterThan(0);
  for (const { oid } of rows) {
    client.send(
      serialize.parse({ text: 'select $1', types: [oid] }),
      serialize.bind({ values: ['1'] }),
      serialize.execute({}),
      serialize.sync(),
    );
    expect(await client.ready()).toContain('E:HP001');
  }
  client.close();
});
