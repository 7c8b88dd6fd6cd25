/** What a held statement would do, told by a real PostgreSQL on a connection of its own, while the statement waits. */
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ApprovalRequest, CountResult, Impact } from '../../src/approvals/types.ts';
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
