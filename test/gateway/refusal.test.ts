/** Nobody is asked to approve what the server is certain to refuse: its own error comes first, and nothing of the statement runs for it. */
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { installed, type TestPostgres, testPostgres } from '../support/postgres.ts';
import { serialize, WireClient } from '../support/wire-client.ts';
import { AGENT, type Bench, bench, SCHEMA } from './support.ts';

const MORE = `
  create table seen (what text);
  grant all on seen to app;
  create function note() returns boolean language plpgsql as 'begin insert into public.seen values (''noted''); return true; end';
  create function refuse() returns boolean language plpgsql as 'begin raise exception ''checked''; end';
  create type mood as enum ('sad', 'happy');
  create domain checked as text check (refuse());
  create type pair as (a checked, b int);
  create type span as range (subtype = int);
  create table plainly (id int primary key, mood mood, n int);
  create table strictly (id int primary key, c checked, p pair, s span, list checked[]);
  create function takes_pair(pair) returns int language sql as 'select 1';
  create schema away; create table away.far (id int);
  grant all on plainly, strictly to app; grant usage on schema away to app; grant all on away.far to app;`;

describe.each([15, 18] as const)('on PostgreSQL %i', (major) => {
  const here = installed(major);
  let server: TestPostgres;
  let it_: Bench;
  let client: WireClient;
  beforeAll(async () => {
    if (!here) return;
    server = await testPostgres({}, major);
    await server.createDatabase('shop');
    await server.query('shop', SCHEMA + MORE);
    it_ = await bench(server, 'shop', {
      policyText:
        'version: 1\ndefaults: { delete: hold, update: hold, insert: hold, merge: hold, ddl: allow }\n',
    });
    client = await WireClient.login(it_.port, AGENT, { 'holdpoint.wait': '0' });
  });
  afterAll(async () => {
    await it_?.stop();
    await server?.stop();
  });

  /** The code that the client gets, in both protocols; and whether a card was made. */
  async function answered(sql: string): Promise<readonly [code: string, cards: number]> {
    const before = it_.desk.drafts.length;
    client.send(serialize.query(sql));
    const simple = (await client.ready()).find((one) => one.startsWith('E:')) ?? '';
    client.send(serialize.parse({ text: sql }), serialize.bind({}), serialize.execute({}), serialize.sync());
    const extended = (await client.ready()).find((one) => one.startsWith('E:')) ?? '';
    expect(extended, sql).toBe(simple);
    return [simple.slice(2), it_.desk.drafts.length - before];
  }

  it.skipIf(!here).each([
    ['a column that is not there', 'DELETE FROM orders WHERE nope = 1', '42703'],
    ['a type that does not fit', "DELETE FROM orders WHERE id = 'x'", '22P02'],
    ['an operator that is not there', 'DELETE FROM orders WHERE id = true', '42883'],
    ['a value that the enumeration has not', "UPDATE plainly SET mood = 'angry' WHERE id = 1", '22P02'],
    ['an aggregate where none may be', 'DELETE FROM orders WHERE count(*) = 1', '42803'],
    ['more values than columns', 'INSERT INTO plainly VALUES (1, NULL, 3, 4)', '42601'],
    ['a column named twice', 'UPDATE orders SET total = 1, total = 2 WHERE id = 1', '42601'],
    ['an alias that is not there', 'DELETE FROM orders o WHERE orders.id = 1', '42P01'],
    ['what is no number', 'DELETE FROM orders WHERE id = 1__0', '42601'],
  ])('%s gets the server’s error and no card', async (_what, sql, code) => {
    expect(await answered(sql)).toEqual([code, 0]);
  });

  it.skipIf(!here).each([
    ['an underscore in a number', 'DELETE FROM orders WHERE id = 1_000', '42601'],
    ['old values', 'UPDATE orders SET total = 1 WHERE id = 1 RETURNING old.id', '42P01'],
    [
      'what MERGE returns',
      'MERGE INTO orders o USING plainly p ON o.id = p.id WHEN MATCHED THEN DELETE RETURNING o.id',
      '42601',
    ],
    [
      'a call that came with 17',
      `UPDATE orders SET total = json_value('{"a":1}', '$.a')::int WHERE id = 1`,
      '42883',
    ],
  ])('%s on 15 alone', async (_what, sql, code) => {
    expect(await answered(sql)).toEqual(major === 15 ? [code, 0] : ['HP001', 2]);
  });

  it.skipIf(!here)('what the server takes asks as it did', async () => {
    expect(await answered('DELETE FROM orders WHERE id = 1')).toEqual(['HP001', 2]);
    expect(await answered("UPDATE plainly SET mood = 'sad' WHERE id = 1")).toEqual(['HP001', 2]);
  });

  it.skipIf(!here).each([
    ['a cast to a domain', "DELETE FROM orders WHERE 'x'::checked = 'y' AND nope = 1"],
    ['an array of a domain', "DELETE FROM orders WHERE '{x}'::checked[] IS NULL"],
    ['a composite type', "DELETE FROM orders WHERE '(x,1)'::pair IS NULL"],
    ['a range type', "DELETE FROM orders WHERE '[1,2)'::span IS NULL AND nope = 1"],
    ['a row of a table with such', "DELETE FROM orders WHERE '(1,x,,,)'::strictly IS NULL"],
    ['a column of such a type', "UPDATE strictly SET list = '{x}' WHERE id = 1"],
    ['a function that takes such', "DELETE FROM orders WHERE takes_pair('(x,1)') = 1"],
    ['one in quotes that hide it', `DELETE FROM orders WHERE 'x'::U&"\\0063hecked" = 'y'`],
  ])('a literal of %s is not sent to be read', async (_what, sql) => {
    const before = it_.desk.drafts.length;
    client.send(serialize.query(sql));
    const codes = (await client.ready()).filter((one) => one.startsWith('E:'));
    expect(codes).toEqual(['E:HP001']);
    expect(it_.desk.drafts.length).toBe(before + 1);
  });

  it.skipIf(!here)('a table that somebody holds keeps nobody from asking', async () => {
    const holder = new pg.Client({ connectionString: server.url('shop') });
    await holder.connect();
    try {
      await holder.query('BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE');
      client.send(serialize.query('DELETE FROM orders WHERE id = true'));
      expect(await client.ready()).toContain('E:HP001');
    } finally {
      await holder.end();
    }
    expect(await answered('DELETE FROM orders WHERE id = true')).toEqual(['42883', 0]);
  });

  it.skipIf(!here)(
    'names are those of the session: its path, its transaction, its temporary tables',
    async () => {
      const own = await WireClient.login(it_.port, AGENT, { 'holdpoint.wait': '0' });
      const first = async (sql: string): Promise<string> => {
        own.send(serialize.query(sql));
        return (await own.ready()).find((one) => /^[EC]:/.test(one)) ?? '';
      };
      expect(await first('SET search_path = away')).toBe('C:SET');
      expect(await first('DELETE FROM far WHERE id = 1')).toBe('E:HP001');
      expect(await first("DELETE FROM far WHERE id = 'x'")).toBe('E:22P02');
      expect(await first('SET search_path = public')).toBe('C:SET');
      expect(await first('CREATE TEMP TABLE orders (id text)')).toBe('C:CREATE TABLE');
      expect(await first("DELETE FROM orders WHERE id = 'x'")).toBe('E:HP001');
      own.close();
    },
  );

  it.skipIf(!here)('in a transaction it fails as the statement would have', async () => {
    const own = await WireClient.login(it_.port, AGENT, { 'holdpoint.wait': '0' });
    own.send(serialize.query('BEGIN'));
    await own.ready();
    own.send(serialize.query('DELETE FROM orders WHERE id = true'));
    expect(await own.ready()).toEqual(['E:42883', 'Z:E']);
    own.close();
  });

  it.skipIf(!here)('nothing is sent where users read the modifiers of types', async () => {
    expect(await answered('DELETE FROM orders WHERE id = true')).toEqual(['42883', 0]);
    await server.query(
      'shop',
      `create function modifiers(cstring[]) returns int language plpgsql as 'begin insert into public.seen values (''read''); return 1; end';
       create type word; create function word_in(cstring, oid, int) returns word language internal immutable strict as 'varcharin';
       create function word_out(word) returns cstring language internal immutable strict as 'varcharout';
       create type word (input = word_in, output = word_out, typmod_in = modifiers, like = varchar)`,
    );
    try {
      expect(await answered('DELETE FROM orders WHERE id = true')).toEqual(['HP001', 2]);
    } finally {
      await server.query('shop', 'drop type word cascade; drop function modifiers');
    }
  });

  it.skipIf(!here)('nothing has run for it, and no connection is left', async () => {
    const { rows } = await server.query('shop', 'SELECT count(*)::int AS n FROM seen');
    expect(rows).toEqual([{ n: 0 }]);
    await expect
      .poll(async () => {
        const left =
          "SELECT count(*)::int AS n FROM pg_stat_activity WHERE application_name = 'holdpoint estimate'";
        return (await server.query('shop', left)).rows[0]?.n;
      })
      .toBe(0);
  });
});
