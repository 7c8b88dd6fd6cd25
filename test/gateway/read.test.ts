/**
 * To read a text makes values of its literals, and with them runs the checks of users' domains inside arrays, rows and ranges: what waits for an approver
 * is not even read by the server before (I1).
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { installed, type TestPostgres, testPostgres } from '../support/postgres.ts';
import { WireClient } from '../support/wire-client.ts';
import { bytesOf } from './model-steps.ts';
import { AGENT, type Bench, bench, SCHEMA } from './support.ts';

const MORE = `
  create table seen (what text);
  create function note() returns boolean language plpgsql as 'begin insert into public.seen values (''noted''); return true; end';
  create domain noted as text check (note());
  create domain short as text check (length(value) < 100);
  create type pair as (a noted, b int);
  create table kept (id int primary key, c noted, p pair, list noted[]);
  create table plainly (id int primary key, name text, s short, list short[]);
  create function takes_pair(pair) returns int language sql as 'select 1';
  create operator === (function = texteq, leftarg = text, rightarg = text);
  grant all on seen, kept, plainly to app;`;

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
        'version: 1\ndefaults: { delete: hold, insert: hold, update: hold }\nrules: [{ name: never, match: { relations: ["*.plainly"], classes: [delete] }, effect: deny }]\n',
    });
    client = await WireClient.login(it_.port, AGENT, { 'holdpoint.wait': '0' });
  });
  afterAll(async () => {
    await it_?.stop();
    await server?.stop();
  });
  const say = async (...steps: readonly string[]): Promise<string[]> => {
    client.send(...steps.map(bytesOf));
    return client.ready(steps.filter((step) => step === 'S' || step.startsWith('Q ')).length);
  };
  const noted = async (): Promise<number | null> => (await server.query('shop', 'select from seen')).rowCount;

  const RUNS: readonly (readonly [string, string])[] = [
    ['an array of a domain', "delete from orders where '{x}'::noted[] is null"],
    ['a row', "delete from orders where '(x,1)'::pair is null"],
    ['a row of a table', "delete from orders where '(1,x,,)'::kept is null"],
    ['a column', "insert into kept (id, list) values (1, '{x}')"],
    ['a column that is set', "update kept set list = '{x}' where id = 1"],
    ['a column that is compared', "delete from kept where list = '{x}'"],
    ['an argument', "delete from orders where takes_pair('(x,1)') = 1"],
    ['a dollar-quoted literal', 'delete from orders where $a$ {x}$a$::noted[] is null'],
    ['an escaped one', "delete from orders where E'{x}'::noted[] is null"],
    ['something that is only read', "select '{x}'::noted[]"],
    ['something behind an unknown name', "with a as (select '{x}'::noted[]) delete from nope"],
    ['something that is refused', "delete from plainly where '{x}'::noted[] is null"],
    [
      'something refused behind an unknown name',
      "with a as (select '{x}'::noted[]), b as (delete from plainly) delete from nope",
    ],
    ['what is explained', "explain delete from orders where '{x}'::noted[] is null"],
    ['a cursor', "declare c cursor with hold for select '{x}'::noted[]"],
    ['what is prepared', "prepare p as delete from orders where '{x}'::noted[] is null"],
  ];
  it.skipIf(!here).each(RUNS)('%s is not read before it is approved', async (_, sql) => {
    for (const steps of [
      [`P: ${sql}`, 'S'],
      [`P:a ${sql}`, 'DS:a', 'S'],
      [`P: ${sql}`, 'H', 'S'],
      [`P: ${sql}`, 'B:< []', 'E: 0', 'S'],
      [`Q ${sql}`],
    ])
      expect(
        (await say(...steps)).filter((one) => !one.startsWith('Z')),
        steps.join(),
      ).toEqual([expect.stringMatching(/^E:/)]);
    expect(await noted()).toBe(0);
  });

  it.skipIf(!here)('says what to do instead, and holds it then', async () => {
    const sql = "update kept set list = '{x}' where id = 1";
    const before = it_.desk.drafts.length;
    expect(await say(`P: ${sql}`, 'DS:', 'S')).toEqual(['E:42501', 'Z:I']);
    expect(it_.recorder.results().at(-1)?.error?.message).toContain('in one message');
    expect(it_.desk.drafts.length).toBe(before);
    it_.desk.auto = 'approve';
    client.send(bytesOf("Q set holdpoint.wait = '5s'"));
    await client.ready();
    expect(await say(`P: ${sql}`, 'B:< []', 'E: 0', 'S')).toEqual(['1', '2', 'C:UPDATE 0', 'Z:I']);
    it_.desk.auto = null;
    client.send(bytesOf("Q set holdpoint.wait = '0'"));
    await client.ready();
    await server.query('shop', 'delete from seen');
  });

  it
    .skipIf(!here)
    .each([
      ['delete from orders where id = 1'],
      ["delete from orders where id = '1'"],
      ["update plainly set name = 'x', s = 'y', list = '{z}' where id = $1"],
      ["delete from orders where 'a' === 'b'"],
      ['delete from kept where id = $1'],
    ])('%s is read at once: nothing runs', async (sql) => {
    const answer = await say(`P: ${sql}`, 'DS:', 'S');
    expect(answer).toEqual(['1', 't', 'n', 'Z:I']);
    expect(await noted()).toBe(0);
  });

  it.skipIf(!here)('a Describe reads it again where it may mean something else by then', async () => {
    const own = await WireClient.login(it_.port, AGENT, { 'holdpoint.wait': '0' });
    const tell = async (...steps: readonly string[]): Promise<string[]> => {
      own.send(...steps.map(bytesOf));
      return own.ready(steps.filter((step) => step === 'S' || step.startsWith('Q ')).length);
    };
    await server.query(
      'shop',
      'create schema away; create domain away.short as text check (public.note()); grant usage on schema away to app',
    );
    expect(await tell("P:a select '{x}'::short[]", 'S')).toEqual(['1', 'Z:I']);
    it_.judge.invalidate();
    expect((await tell('Q set search_path = away, public'))[0]).toBe('C:SET');
    expect((await tell('DS:a', 'S'))[0]).toMatch(/^E:/);
    expect(await noted()).toBe(0);
    own.close();
  });
});
