/** What EXECUTE and FETCH run by name is judged by the names in force where they stand in their string, not where the string begins. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { installed, type TestPostgres, testPostgres } from '../support/postgres.ts';
import { WireClient } from '../support/wire-client.ts';
import { bytesOf } from './model-steps.ts';
import { AGENT, type Bench, bench } from './support.ts';

const SECRET = 'ada@corp.example';
const PRIVILEGES = [
  ...['SUPERUSER', 'BYPASSRLS', 'REPLICATION', 'CREATEROLE', 'pg_execute_server_program'],
  ...['pg_read_server_files', 'pg_write_server_files'],
];

/** `archive` has by each name of `util` what must not pass. */
const SCHEMA = `
  create schema util; create schema archive;
  create table public.victims (id int); insert into public.victims values (1), (2), (3);
  create table util.items (id int, t text); insert into util.items values (1, 'plain');
  create table archive.items (id int, t text); insert into archive.items values (1, '${SECRET}');
  comment on column archive.items.t is 'pii:email';
  create function util.price(int) returns text language sql as 'select ''plain''';
  create function archive.price(int) returns text language sql as 'select t from archive.items';
  create function util.wipe(int) returns int language sql as 'select 1';
  create function archive.wipe(int) returns int language plpgsql as
    'begin delete from public.victims where id = $1; return 1; end';
  create function archive.shown() returns text language sql immutable as 'select t from archive.items where id = 1';
  create view util.plain as select 'plain' as t;
  create view archive.plain as select t from archive.items;`;

const PREPARED = [
  'Q set search_path = util, public',
  'Q prepare a(int) as select price($1)',
  'Q prepare b as select t from items where id = 1',
  'Q prepare v as select t from plain',
  'Q prepare w as select wipe(1)',
  "Q prepare s as select set_config('search_path', 'archive', false)",
];

describe.each([18, 15] as const)('server %i', (major) => {
  const here = installed(major);
  let server: TestPostgres;
  let it_: Bench;
  beforeAll(async () => {
    if (!here) return;
    server = await testPostgres({}, major);
    await server.createDatabase('shop');
    await server.query('shop', SCHEMA);
    it_ = await bench(server, 'shop', {
      levelFor: () => 'admin',
      target: {
        logins: { admin: { user: server.superuser, password: server.password } },
        acceptPrivileges: PRIVILEGES,
      },
    });
  });
  afterAll(async () => {
    await it_?.stop();
    await server?.stop();
  });

  /** All that the server says, with its bytes. */
  async function says(steps: readonly string[]): Promise<{ readonly types: string; readonly text: string }> {
    const client = await WireClient.login(it_.port, AGENT, { 'holdpoint.wait': '0' });
    let types = '';
    let text = '';
    for (const step of steps) {
      client.send(bytesOf(step), ...(step.startsWith('Q ') ? [] : [bytesOf('S')]));
      for (;;) {
        const message = await client.next();
        types += message.type;
        text += message.bytes.toString('latin1');
        if (message.type === 'Z') break;
      }
    }
    client.close();
    return { types, text };
  }
  const victims = async () => (await server.query('shop', 'select id from public.victims')).rows.length;

  it.skipIf(!here).each<[string, readonly string[]]>([
    ['a path set before it', ['Q set search_path = archive; execute b']],
    ['a path set before it, a function', ['Q set search_path = archive; execute a(1)']],
    ['a path set before it, a view', ['Q set search_path = archive; execute v']],
    ['a path set before it, what deletes', ['Q set search_path = archive; execute w']],
    ['a path of the transaction', ['Q begin; set local search_path = archive; execute a(1); commit']],
    ['the same, what deletes', ['Q begin; set local search_path = archive; execute w; commit']],
    ['by set_config', ["Q select 1; select set_config('search_path', 'archive', false); execute a(1)"]],
    ['explained', ['Q set search_path = archive; explain analyze execute w']],
    ['into a table', ['Q set search_path = archive; create temp table x as execute w; select 1']],
    ['plans discarded', ['Q discard plans; reset search_path; set search_path = archive; execute b']],
    ['prepared in the same string', ['Q prepare n as select wipe(1); set search_path = archive; execute n']],
    [
      'a path that may be any',
      ['Q set search_path = default; execute b; set search_path = archive; execute b'],
    ],
    ['twice, the second moved', ['Q execute w; set search_path = archive; execute w']],
    ['twice, the first moved', ['Q set search_path = archive; execute b; set search_path = util; execute b']],
    [
      'back by a rollback',
      ['Q set search_path = archive', 'Q begin; set search_path = util; rollback; execute b'],
    ],
    ['set by what is executed', ['Q execute s; execute b']],
    ['the same, what deletes', ['Q execute s; execute w']],
    ['the same, not executed by name', ['Q execute s; select t from items']],
    ['the same behind another path', ['Q set search_path = util; execute s; select wipe(1)']],
    ['set by what was executed', ['Q execute s', 'Q select t from items']],
    ['the same, what deletes', ['Q execute s', 'Q select wipe(1)']],
    [
      'set by what was executed in the transaction',
      ['Q begin', 'Q execute s', 'Q select wipe(1)', 'Q commit'],
    ],
    ['the same by name', ['Q begin', 'Q execute s', 'Q execute b', 'Q commit']],
    ['a setting prepared by the protocol', ['P:p set search_path = archive', 'Q execute p; execute b']],
    ['the same, one by one', ['P:p set search_path = archive', 'Q execute p', 'Q select t from items']],
    ['EXECUTE prepared by the protocol', ['P:d delete from victims', 'P:p execute d', 'Q execute p']],
    [
      'a name given anew by what is executed',
      [
        'P:x select 1',
        'P:y deallocate x',
        'P:z prepare x as select wipe(1)',
        'Q execute y',
        'Q execute z',
        'Q set search_path = archive',
        'Q execute x',
      ],
    ],
    [
      'the same in one string',
      [
        'P:x select 1',
        'P:y deallocate x',
        'P:z prepare x as select wipe(1)',
        'Q execute y; execute z; set search_path = archive; execute x',
      ],
    ],
    [
      'EXECUTE of what the string prepares',
      [
        'Q prepare n as select 1',
        'P:p execute n',
        'Q deallocate n; prepare n as select wipe(1); set search_path = archive; execute p',
      ],
    ],
    ['EXECUTE of EXECUTE', ['P:p execute b', 'Q set search_path = archive; execute p']],
    [
      'set by what is fetched',
      [
        "Q begin; declare c cursor for select set_config('search_path', 'archive', false); set search_path = util",
        'Q fetch c; select wipe(1)',
        'Q commit',
      ],
    ],
    [
      'set by what was fetched',
      [
        "Q begin; declare c cursor for select set_config('search_path', 'archive', false); set search_path = util",
        'Q fetch c',
        'Q execute b',
        'Q commit',
      ],
    ],
    ...['Q prepare e as', 'P:e'].flatMap((prepare): [string, readonly string[]][] => [
      [
        `explained step by step, ${prepare}`,
        [
          `${prepare} select exists (select 1 from generate_series(1, 99) g where g = (select length(t) from archive.items))`,
          'Q explain (analyze, costs off) execute e',
        ],
      ],
      [
        `explained with what the planner made of it, ${prepare}`,
        [`${prepare} select 1 where archive.shown() = 'x'`, 'Q explain (verbose) execute e'],
      ],
    ]),
    [
      'a view that was made before it',
      ['Q create temp view items as select t, id from archive.items; execute b'],
    ],
  ])('waits: %s', async (_name, steps) => {
    const before = await victims();
    const { text } = await says([...PREPARED, ...steps]);
    expect(text.includes(SECRET), 'the value came out').toBe(false);
    expect(await victims()).toBe(before);
    expect(text.includes('HP001'), 'it waits').toBe(true);
  });

  it.skipIf(!here).each<[string, string]>([
    ['prepared and executed', 'Q prepare p as select 1; execute p'],
    ['by names that nothing moved', 'Q select 1; execute b'],
    ['by a path that shows the same', 'Q set search_path = util; execute b; execute a(1)'],
    ['several', 'Q begin; execute b; execute w; execute v; commit'],
    ['explained', 'Q explain execute b; explain (analyze, verbose) execute a(1)'],
    ['fetched', 'Q begin; declare c cursor for select t from items; fetch c; fetch c; commit'],
  ])('passes: %s', async (_name, step) => {
    const { types } = await says([...PREPARED, step]);
    expect(types).not.toContain('E');
  });
});
