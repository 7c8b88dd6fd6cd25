/** The rows that a statement would change: read off it, and then what a real PostgreSQL changes. */
import fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadParser } from '../../src/policy/analyse.ts';
import { rewritesTable } from '../../src/policy/rewrites.ts';
import { rowsQuery } from '../../src/policy/rows-query.ts';
import { type TestPostgres, testPostgres } from '../support/postgres.ts';
import { holdsAsync } from '../support/property.ts';

it('control characters in comments and quotes keep no statement from being estimated', () => {
  for (const odd of ['\u0001', '\u001b', '\f\v'])
    expect(rowsQuery(`/* ${odd} */ DELETE FROM a WHERE k = '${odd}'`).kind).not.toBe('none');
});

let server: TestPostgres;
let db: pg.Client;
beforeAll(async () => {
  await loadParser();
  server = await testPostgres();
  db = new pg.Client({ connectionString: server.url('postgres') });
  await db.connect();
  await db.query(`
    create table a (id int, k int);
    create table a_more (extra int) inherits (a);
    create table p (id int, k int) partition by list (k);
    create table p1 partition of p for values in (0, 1);
    create table p2 partition of p default;
    create table b (id int, k int);
    create view v as select id, k from a where k > 0;
    insert into a select i % 7, i % 3 from generate_series(1, 12) i;
    insert into a_more select i % 5, i % 4, i from generate_series(1, 9) i;
    insert into p select i % 6, i % 5 from generate_series(1, 15) i;
    insert into b select i % 6, i % 4 from generate_series(1, 14) i;
    insert into b values (null, 1), (1, null);`);
});
afterAll(async () => {
  await db.end();
  await server.stop();
});

const name = fc.constantFrom('a', 'only a', 'p', 'v', 'a_more', 'public.a', 'only (a)');
const number = fc.integer({ min: 0, max: 6 });
const condition: fc.Arbitrary<string> = fc.oneof(
  number.map((n) => `t.id = ${n}`),
  number.map((n) => `t.k < ${n}`),
  number.map((n) => `t.id in (select id from b where b.k = ${n % 4})`),
  fc.constant('t.id is distinct from t.k'),
  fc.constant('exists (select 1 from b where b.id = t.id and b.k = t.k)'),
  fc.constant('not exists (select from b where b.id = t.id)'),
  fc.constant('t.id > (select avg(id) from b)'),
  fc.constant('t.id = any (array(select k from b))'),
);
const join = fc.constantFrom(
  ['b', 'b.id = t.id'],
  ['b, b as c', 'b.id = t.id and c.k = b.k'],
  ['b left join a as x on x.id = b.id', 'b.k = t.k'],
  ['(select id from b union all select id from b) s', 's.id = t.id'],
  ['generate_series(0, 3) g(n)', 'g.n = t.k'],
  ['b cross join lateral (select b.id as i) l', 'l.i = t.id'],
  ['few', 'few.id = t.id'],
);
const statement = fc
  .record({
    target: name,
    where: condition,
    and: fc.option(condition, { nil: null }),
    joined: fc.option(join, { nil: null }),
    update: fc.boolean(),
    returning: fc.boolean(),
    as: fc.constantFrom('t', 'as t', 'AS "t" -- the target\n'),
  })
  .map(({ target, where, and, joined, update, returning, as }) => {
    const conditions = [where, ...(and === null ? [] : [and]), ...(joined === null ? [] : [joined[1]])].join(
      ' and ',
    );
    const others = joined === null ? '' : `${update ? 'from' : 'using'} ${joined[0]} `;
    const head = joined?.[0] === 'few' ? 'with few as (select id from b where k = 1) ' : '';
    const set = 'set id = case when t.id is distinct from 1 then t.id else 1 end ';
    return `${head}${update ? 'update' : 'delete from'} ${target} ${as} ${update ? set : ''}${others}where ${conditions}${returning ? ' returning t.id /* where */' : ''}`;
  });

it('counts exactly what the statement then changes', async () => {
  await holdsAsync(
    fc.asyncProperty(statement, async (sql) => {
      const found = rowsQuery(sql);
      if (found.kind !== 'rows' || found.count === null)
        throw new Error(`${JSON.stringify(found)} of ${sql}`);
      const counted = Number((await db.query(found.count)).rows[0].count);
      await db.query('begin');
      const changed = (await db.query(sql)).rowCount;
      await db.query('rollback');
      expect(counted, `${sql}\n${found.count}`).toBe(changed);
    }),
    { numRuns: 400 },
  );
});

describe('what cannot be told is not guessed', () => {
  it.each([
    ['delete from a where current of c', 'could not be told apart'],
    ['with d as (delete from b returning *) delete from a using d where a.id = d.id', 'inside of its WITH'],
    ['delete from a; delete from b', 'several statements'],
    ['select 1 into c union select 2', 'makes a table inside'],
    ['create table c as execute p', 'what was prepared'],
    ['copy a from stdin', 'come from the client'],
    ['create table c ()', 'does not look at'],
    ['delete fro', 'could not be read'],
    ['', 'no rows'],
  ])('%s', (sql, why) => {
    expect(rowsQuery(sql)).toMatchObject({ kind: 'none', why: expect.stringContaining(why) });
  });

  it('parameters keep their numbers', () => {
    expect(rowsQuery('update a set k = $1 where id = $3 and k = $2')).toMatchObject({ params: [2, 3] });
  });

  it.each([
    'insert into a select 1, 2 on conflict do nothing',
    'merge into a using b on a.id = b.id when matched then delete',
    'select * from a for update',
    'select * from a tablesample system (10)',
  ])('estimated, not counted: %s', (sql) => {
    expect(rowsQuery(sql)).toMatchObject({ kind: 'rows', count: null, why: expect.any(String) });
  });
});

describe('is a table written anew', () => {
  it.each([
    // Of that the column itself tells (gateway/impact).
    ['alter table a alter k type bigint', false],
    ['alter table a alter k type bigint, set unlogged', true],
    ['alter table a set unlogged', true],
    ['alter table a set tablespace x, drop column k', true],
    ['alter table a add column u uuid default gen_random_uuid()', true],
    ['alter table a add column s serial', true],
    ['alter table a add column g int generated always as (k + 1) stored', true],
    ['vacuum full a', true],
    ['vacuum (full off) a', false],
    ['cluster a', true],
    ['alter table a add column n int default 7', false],
    ['alter table a add column n timestamptz default now()', false],
    ['alter table a add column n text default f()', null],
    ['alter table a rename to c', false],
    ['alter table a drop column k', false],
    ['drop table a', null],
    ['select 1', null],
  ])('%s', (sql, anew) => {
    expect(rewritesTable(sql)).toBe(anew);
  });
});
