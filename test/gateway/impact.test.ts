/** What a held statement would do, told by a real PostgreSQL on a connection of its own, while the statement waits. */
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ApprovalRequest, CountResult, Impact } from '../../src/approvals/types.ts';
import { impactLines } from '../../src/approvals/words.ts';
import { type Appraiser, createAppraiser } from '../../src/gateway/impact/index.ts';
import { type Ground, ground } from './held-ground.ts';
import { type Bench, silent } from './support.ts';

const POLICY = `version: 1
defaults: { read: hold, insert: hold, update: hold, delete: hold, merge: hold, copy: hold, truncate: hold, ddl: hold, unknown: hold,
  missing_where: hold, pii_value: hold, pii_predicate: hold, call: hold, do: hold }
rules: []
`;
const TABLES = `
  create table big (id int primary key, kind int, note text);
  insert into big select i, i % 10, 'n' || i from generate_series(1, 20000) i;
  create table child (id int primary key, big_id int references big on delete cascade);
  create table grandchild (id int, child_id int references child on delete set null);
  create table pick (id int);
  insert into pick select i % 50 from generate_series(1, 500) i;
  create table log (id int);
  create function note_it() returns trigger language plpgsql as $$ begin insert into log values (1); return old; end $$;
  create trigger audit after delete on big for each row execute function note_it();
  create trigger stamp before update on big for each row execute function note_it();
  create table keyed (id int primary key, code int unique, note text);
  create table by_code (code int references keyed (code) on update cascade on delete cascade, note text);
  create table retyped (c_varchar varchar(10), c_text text, c_char char(5), c_int int, c_numeric numeric(10,2), c_free numeric, c_varbit varbit(4), c_bit bit(4),
    c_ts timestamp(3), c_tstz timestamptz, c_time time(3), c_cidr cidr, c_array int[], c_interval interval, c_xml xml);
  create view small as select * from big where kind < 3;
  grant all on all tables in schema public to app;
  analyze;`;

let it_: Ground;
let gateway: Bench;
let impact: Appraiser;
const clients: pg.Client[] = [];

beforeAll(async () => {
  it_ = await ground(TABLES);
  impact = createAppraiser({ desk: it_.desk, now: Date.now, log: silent });
  gateway = await it_.gateway({ policyText: POLICY, impact });
});
afterEach(async () => {
  for (const { id } of await it_.desk.list({ states: ['pending'] })) await it_.deny(id);
  await Promise.all(clients.splice(0).map((client) => client.end().catch(() => undefined)));
});
afterAll(async () => {
  impact.close();
  await it_.stop();
});

async function connect(): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: gateway.url({ user: 'cred_cursor', password: 'cred_cursor' }),
  });
  client.on('error', () => undefined);
  await client.connect();
  clients.push(client);
  return client;
}

/** Asks, and gives the request as it is once the target has answered. */
async function appraised(
  sql: string,
  values?: readonly unknown[],
  client?: pg.Client,
): Promise<ApprovalRequest & { readonly impact: Impact }> {
  const asker = client ?? (await connect());
  asker.query(sql, values && [...values]).catch(() => undefined);
  return it_.seen((request) => {
    const { impact: known } = request;
    return request.statement.sql === sql &&
      request.state === 'pending' &&
      known != null &&
      (known.rows ?? known.why) !== null
      ? { ...request, impact: known }
      : null;
  });
}
const close = (rows: number | null, to: number): void => {
  expect(rows).not.toBeNull();
  expect(rows ?? 0).toBeGreaterThan(to * 0.7);
  expect(rows ?? 0).toBeLessThan(to * 1.4);
};
const rowsIn = (result: CountResult): number | string =>
  result.kind === 'counted' ? (result.request.impact?.counted?.rows ?? 'none') : result.sentence;

describe('the planner is asked', () => {
  it.each<readonly [string, readonly unknown[] | undefined, number]>([
    ['delete from big where kind = 3', undefined, 2000],
    ['delete from big where kind = $1', [3], 2000],
    ['update big set note = $1 where id <= $2', ['x', 500], 500],
    ['select * from big where kind in (1, 2)', undefined, 4000],
    ['insert into log select id from big', undefined, 20000],
    ['insert into log values (1), (2)', undefined, 2],
    ['truncate big cascade', undefined, 20000],
    ['copy (select * from small) to stdout', undefined, 6000],
    ['merge into big using pick on big.id = pick.id when matched then delete', undefined, 490],
    ['create table made as select * from big where kind < 5', undefined, 10000],
    ['select id into made from big where kind = 1', undefined, 2000],
    ['create materialized view made as table pick', undefined, 500],
  ])('%s', async (sql, values, rows) => {
    const request = await appraised(sql, values);
    expect(request.impact.why).toBeNull();
    close(request.impact.rows, rows);
  });

  it('says what hangs on the table: size, cascades, triggers of that event, the lock', async () => {
    const { impact: found } = await appraised('delete from big where id = 1');
    expect(found).toMatchObject({
      rows: 1,
      approximate: false,
      cascades: ['public.child (delete)', 'public.grandchild (set null)'],
      triggers: ['public.big: audit (after delete)'],
      lock: { mode: 'ROW EXCLUSIVE' },
      transactionMs: null,
    });
    expect(found.tables[0]).toMatchObject({ name: 'public.big', rows: 20000 });
    expect(found.tables[0]?.bytes).toBeGreaterThan(500_000);
  });

  it('what a cursor will read, and what EXECUTE runs, with its values', async () => {
    const client = await connect();
    await client.query('begin');
    const cursor = await appraised(
      'declare c cursor for select * from big where kind = 2',
      undefined,
      client,
    );
    close(cursor.impact.rows, 2000);
    await it_.deny(cursor.id);
    const other = await connect();
    const prepare = 'prepare del (int, text) as delete from big where kind = $1 and note <> $2';
    const prepared = other.query(prepare);
    await it_.seen((one) => (one.statement.sql === prepare ? one : null)).then(({ id }) => it_.approve(id));
    await prepared;
    const executes = (values: string) => {
      other.query(`execute del (${values})`).catch(() => undefined);
      return it_.seen(({ id, state, statement, impact: known }) =>
        statement.sql.startsWith(`execute del (${values})`) &&
        state === 'pending' &&
        known &&
        (known.rows ?? known.why) !== null
          ? { id, known }
          : null,
      );
    };
    const { id, known } = await executes("3, ''");
    close(known.rows, 2000);
    expect(rowsIn(await impact.count(id))).toContain('its values get their types when it runs');
    await it_.deny(id);
    expect((await executes("1 + 1, 'x'")).known).toMatchObject({
      rows: null,
      why: 'its values are worked out when it runs',
    });
  });

  it('each of several statements, those after a change as approximate, the first few alone', async () => {
    const { impact: found } = await appraised(
      'delete from big where kind = 3; select 1; update big set note = null where kind = 4; copy log from stdin; set local search_path = pg_catalog; truncate big',
    );
    expect(impactLines({ ...(await appraised('delete from log')), impact: found })).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^1\. DELETE on big: about [\d,]+ rows$/),
        expect.stringMatching(
          /^3\. UPDATE on big: about [\d,]+ rows \(approximate: earlier statements change the data\)$/,
        ),
        expect.stringMatching(/^4\. COPY FROM on log: not estimated, because its rows come from the client$/),
        expect.stringMatching(
          /^6\. TRUNCATE on big: not estimated, because an earlier statement changes settings$/,
        ),
      ]),
    );
    expect(found.rows).toBeNull();
    const deletes = Array.from({ length: 7 }, (_, kind) => `delete from big where kind = ${kind}`);
    const many = await appraised(deletes.join('; '));
    expect(many.impact.parts).toMatchObject({ more: 2 });
    expect(impactLines(many)).toContain('and 2 more statements');
    const made = await appraised(
      'delete from big where kind = 1; create table made (id int); insert into made select id from big',
    );
    expect(made.impact.parts?.lines.map(({ why }) => why)).toEqual([
      null,
      'the planner does not look at statements of its kind',
      'an earlier statement changes what it names',
    ]);
    // One that fails takes none of the others along.
    const failing = await appraised('delete from big where kind = 7 % (id - id); delete from pick');
    expect(failing.impact.parts?.lines.map(({ rows }) => rows !== null)).toContain(true);
    const all = await appraised(
      'create table made as table big with no data; delete from big where kind = 5; delete from pick',
    );
    close(all.impact.rows, 2500);
  });

  it('an update goes on where the columns that it sets are referred to', async () => {
    expect((await appraised('update keyed set note = $$x$$')).impact.cascades).toEqual([]);
    expect((await appraised('update keyed set code = code + 1')).impact.cascades).toEqual([
      'public.by_code (update, where keys change)',
    ]);
    expect((await appraised('delete from keyed')).impact.cascades).toEqual(['public.by_code (delete)']);
  });

  it.each([
    ['varchar', 'varchar(20)'],
    ['varchar', 'varchar(5)'],
    ['varchar', 'text'],
    ['varchar', 'varchar'],
    ['varchar', 'char(10)'],
    ['text', 'varchar'],
    ['text', 'varchar(10)'],
    ['text', 'bpchar'],
    ['char', 'char(9)'],
    ['char', 'text'],
    ['char', 'char(5)'],
    ['int', 'bigint'],
    ['int', 'oid'],
    ['int', 'integer'],
    ['int', 'text'],
    ['numeric', 'numeric(12,2)'],
    ['numeric', 'numeric(12,3)'],
    ['numeric', 'numeric'],
    ['free', 'numeric(30,2)'],
    ['varbit', 'varbit(8)'],
    ['varbit', 'varbit(2)'],
    ['bit', 'varbit'],
    ['ts', 'timestamp'],
    ['ts', 'timestamp(6)'],
    ['ts', 'timestamp(1)'],
    ['ts', 'timestamptz'],
    ['tstz', 'timestamp'],
    ['tstz', 'timestamp(2)'],
    ['time', 'time(5)'],
    ['cidr', 'inet'],
    ['xml', 'text'],
  ])('ALTER COLUMN TYPE as the server itself does it: %s to %s', async (from, to) => {
    const sql = `alter table retyped alter column c_${from} type ${to}`;
    const node = "select pg_relation_filenode('retyped') as node";
    const results: unknown = await it_.server.query(
      'shop',
      `set timezone = 'UTC'; begin; ${node}; ${sql}; ${node}; rollback`,
    );
    const nodes = (Array.isArray(results) ? results : []).flatMap(({ rows }: pg.QueryResult) =>
      rows.map((row) => row.node),
    );
    expect(nodes).toHaveLength(2);
    const client = await connect();
    await client.query("set timezone = 'UTC'");
    expect((await appraised(sql, undefined, client)).impact.rewrites).toBe(nodes[0] !== nodes[1]);
  });

  it.each([
    ['alter table retyped alter column c_int type bigint using c_int + 1'],
    ['alter table retyped alter column c_array type int[]'],
    ['alter table retyped alter column c_interval type interval(2)'],
    ['alter table retyped alter column c_ts type timestamptz'],
    ['alter table retyped alter column c_int type public.own_int'],
  ])('in doubt it may write the table anew: %s', async (sql) => {
    await it_.server.query('shop', 'create domain own_int as int').catch(() => undefined);
    const client = await connect();
    await client.query("set timezone = 'Europe/Berlin'");
    expect((await appraised(sql, undefined, client)).impact.rewrites).toBe('maybe');
  });

  it.each([
    ['alter table big alter column kind type bigint', true],
    ['alter table big add column at timestamptz default clock_timestamp()', true],
    ['alter table big add column n int default 1', false],
    ['alter table big drop column note', false],
  ])('DDL: %s', async (sql, rewrites) => {
    const { impact: found } = await appraised(sql);
    expect(found).toMatchObject({ rewrites, rows: null, lock: { mode: 'ACCESS EXCLUSIVE' } });
    expect(found.dependents).toEqual(expect.arrayContaining(['public.small (view)']));
    expect(found.dependents.join()).toContain('public.child (foreign key');
  });

  it('an open transaction with work of its own makes it approximate', async () => {
    const client = await connect();
    await client.query('begin');
    client.query('insert into log values (77)').catch(() => undefined);
    await it_.approve((await it_.card('values (77)')).id);
    const { impact: found } = await appraised('delete from log', undefined, client);
    expect(found.approximate).toBe(true);
    expect(found.transactionMs).toBeGreaterThanOrEqual(0);
  });
});

describe('count now', () => {
  it.each<readonly [string, readonly unknown[] | undefined, number]>([
    ['delete from big where kind = 3 and id > 10', undefined, 1999],
    ['delete from big using pick where big.id = pick.id', undefined, 49],
    ['update big set note = $2 from pick where big.id = pick.id and pick.id < $1', [10, 'y'], 9],
    ['select kind, count(*) from big group by kind', undefined, 10],
    ['truncate pick', undefined, 500],
    ['insert into log select id from pick', undefined, 500],
  ])('%s', async (sql, values, rows) => {
    const { id } = await appraised(sql, values);
    expect(rowsIn(await impact.count(id))).toBe(rows);
  });

  it.each([
    ['merge into big using pick on big.id = pick.id when matched then delete', 'MERGE decides row by row'],
    ['select * from big where random() < 0.5', 'random() answers anew each time'],
    ['select * from big for update', 'it locks rows'],
    ['delete from big where id = (select nextval($$s$$))', 'nextval() answers anew each time'],
  ])('not: %s', async (sql, why) => {
    await it_.server.query('shop', 'create sequence if not exists s');
    const { id } = await appraised(sql);
    expect(rowsIn(await impact.count(id))).toContain(why);
  });

  it('what has ended, or was never here, is not counted', async () => {
    const { id } = await appraised('delete from big where kind = 9');
    await it_.deny(id);
    expect(await impact.count(id)).toMatchObject({ kind: 'not-counted' });
    expect(await impact.count('HP-NONE')).toMatchObject({ kind: 'not-counted' });
  });
});

describe('a grant is used', () => {
  const granted = async (sql: string): Promise<{ readonly client: pg.Client; readonly id: string }> => {
    const client = await connect();
    await client.query("set holdpoint.wait = '0'");
    await client.query(sql).catch(() => undefined);
    const { id } = await it_.seen((one) =>
      one.statement.sql === sql &&
      one.state === 'pending' &&
      (one.impact?.rows ?? one.impact?.why ?? null) !== null
        ? one
        : null,
    );
    await it_.approve(id);
    return { client, id };
  };

  it('runs while about as many rows are touched', async () => {
    await it_.server.query(
      'shop',
      'create table steady as select generate_series(1, 1000) i; grant all on steady to app',
    );
    const { client, id } = await granted('delete from steady where i > 0');
    expect((await client.query('delete from steady where i > 0')).rowCount).toBe(1000);
    await it_.state(id, 'executed');
  });

  it('asks anew where it has come to touch more than twice as many; the old grant is void', async () => {
    await it_.server.query(
      'shop',
      'create table growing as select generate_series(1, 1000) i; grant all on growing to app; analyze growing',
    );
    const sql = 'delete from growing where i > 0';
    const { client, id } = await granted(sql);
    await it_.server.query('shop', 'insert into growing select generate_series(1, 9000); analyze growing');
    await expect(client.query(sql)).rejects.toMatchObject({ code: 'HP001' });
    expect(await it_.state(id, 'withdrawn')).toMatchObject({ note: expect.stringContaining('asks anew') });
    const again = await it_.seen((one) =>
      one.statement.sql === sql && one.id !== id && one.impact?.rows != null ? one : null,
    );
    close(again.impact?.rows ?? null, 10000);
    expect(again.impact?.grewFrom).toBe(1000);
    await it_.approve(again.id);
    expect((await client.query(sql)).rowCount).toBe(10000);
  });
});

describe('nothing of users runs before anybody approved', () => {
  const HOSTILE = `
    create function leak(what text) returns boolean language plpgsql immutable as $$ begin
      perform public.dblink_exec('dbname=' || current_database() || ' host=' || host(inet_server_addr()) || ' port=' || inet_server_port() || ' user=postgres password=only-for-tests',
        format('insert into public.trace values (%L)', what)); return true; end $$;
    create table fine (id int, at text);
    insert into fine select i, 'x' from generate_series(1, 10) i;
    create view leaky as select * from fine where leak('view');
    create function leak_int(int) returns int language sql immutable as $$ select case when public.leak('cast') then $1 end $$;
    create function is_leak(text) returns boolean language sql immutable as $$ select public.leak('domain ' || $1) $$;
    create domain checked as text check (is_leak(value));
    create function op_leak(int, int) returns boolean language sql immutable as $$ select leak('operator') $$;
    create operator === (leftarg = int, rightarg = int, function = op_leak);
    create table guarded (id int);
    alter table guarded enable row level security;
    create policy p on guarded using (leak('policy'));
    create table indexed (id int);
    create index on indexed (id) where leak('index');
    create table stat (id int, b int);
    create statistics st on (leak_int(1)), id from stat;
    create table foreign_parent (id int) partition by list (id);
    create extension if not exists file_fdw;
    create server files foreign data wrapper file_fdw;
    create foreign table outside (line text) server files options (filename '/etc/hostname');
    create table ruled (id int);
    create rule r as on delete to ruled do also insert into trace values ('rule');
    grant all on fine, leaky, guarded, indexed, stat, outside, ruled to app;`;
  const SAYS: readonly (readonly [string, (readonly unknown[])?])[] = [
    ["delete from fine where leak('call')"],
    ["delete from fine where id = 1 and leak('and')"],
    ['delete from fine where leak($1)', ['bind']],
    ['delete from leaky where id = 1'],
    ['select * from leaky'],
    ["update fine set at = 'y' where id === 3"],
    ["delete from fine where at::checked = 'x'"],
    ["select 'x'::checked from fine"],
    ['delete from fine where id = leak_int(3)'],
    ['delete from guarded where id = 1'],
    ['delete from indexed where id = 1'],
    ['delete from stat where id = 1'],
    ['select * from outside'],
    ['delete from ruled'],
    ['with d as (delete from fine returning *) select * from d'],
    ['select * from fine where exists (select from leaky)'],
    ['insert into fine select id, at from leaky'],
    ['merge into fine using leaky on fine.id = leaky.id when matched then delete'],
    ["select set_config('search_path', 'x', false) from fine"],
    ['delete from fine where id in (select id from fine where pg_read_file($$x$$) is null)'],
    ["do $$ begin perform leak('do'); end $$"],
    ["delete from fine; select leak('second')"],
    ["delete from fine; delete from fine where leak('third'); create table w as select leak('fourth')"],
    ["create table w as select * from fine where leak('as')"],
    ["select leak('into') into w from fine"],
    ['create table w as table leaky'],
    ["explain analyze delete from fine where leak('explain')"],
  ];

  it('not by an estimate and not by a count, wherever it hides', async () => {
    await it_.server.query('shop', 'create table trace (at text); create extension dblink');
    await it_.server.query('shop', HOSTILE);
    // To make an index or a statistic may run it.
    await it_.server.query('shop', 'truncate trace');
    for (const [sql, values] of SAYS) {
      const { id, impact: found } = await appraised(sql, values);
      expect(found.rows, sql).toBeNull();
      expect(found.why, sql).not.toBeNull();
      expect(rowsIn(await impact.count(id)), sql).toContain('cannot be counted');
      await it_.deny(id);
    }
    expect((await it_.server.query('shop', 'select * from trace')).rows).toEqual([]);
    // The harm would have been done: said to the server itself, planning alone runs it.
    await it_.server.query('shop', "explain select * from fine where leak('planned')");
    expect((await it_.server.query('shop', 'select * from trace')).rows).toEqual([{ at: 'planned' }]);
  });

  it('a thousand values and text with quotes and comments are read as they are', async () => {
    const list = Array.from({ length: 1000 }, (_, i) => i).join();
    const { id } = await appraised(`delete from big where id in (${list}) -- ) ; drop table big`);
    expect(rowsIn(await impact.count(id))).toBe(999);
  });

  it("row security that tells reading from changing is not counted by the reader's rules", async () => {
    await it_.server.query(
      'shop',
      `create table mine (id int); insert into mine select generate_series(1, 10); alter table mine enable row level security;
       create policy r on mine for select using (true); create policy d on mine for delete using (id < 3); grant all on mine to app`,
    );
    const { id } = await appraised('delete from mine where id > 0');
    expect(rowsIn(await impact.count(id))).toContain('row security decides for each command');
    await it_.server.query(
      'shop',
      'drop policy r on mine; drop policy d on mine; create policy a on mine using (id < 3)',
    );
    const again = await appraised('delete from mine where id > -1');
    expect(rowsIn(await impact.count(again.id))).toBe(2);
  });
});
