/** Each statement runs in a transaction on a real PostgreSQL: a lock told is at least as strong as the one in pg_locks. */

import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { strongest } from '../../src/policy/facts/locks.ts';
import type { LockMode, LockUse } from '../../src/policy/types.ts';
import { cases, type Ground, ground } from './corpus/real.ts';

let on: Ground;
let client: pg.Client;
/** Names before a statement renames. */
const before = new Map<number, string>();
beforeAll(async () => {
  on = await ground({ locks: 'v' });
  client = await on.client('locks');
  await client.query('CREATE ROLE somebody');
  const { rows } = await client.query<{ oid: number; name: string }>(
    `SELECT c.oid, n.nspname || '.' || c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace`,
  );
  for (const { oid, name } of rows) before.set(oid, name);
}, 120_000);
afterAll(() => on.stop());

const MODES: Readonly<Record<string, LockMode>> = {
  AccessShareLock: 'ACCESS SHARE',
  RowShareLock: 'ROW SHARE',
  RowExclusiveLock: 'ROW EXCLUSIVE',
  ShareUpdateExclusiveLock: 'SHARE UPDATE EXCLUSIVE',
  ShareLock: 'SHARE',
  ShareRowExclusiveLock: 'SHARE ROW EXCLUSIVE',
  ExclusiveLock: 'EXCLUSIVE',
  AccessExclusiveLock: 'ACCESS EXCLUSIVE',
};

function told(sql: string): readonly LockUse[] {
  const statement = on.judge(sql).facts?.statements[0];
  if (statement === undefined) throw new Error(`${sql}: not judged`);
  return statement.locks ?? [];
}
const modeOf = (locks: readonly LockUse[], name: string): LockMode | undefined =>
  locks.find((lock) => name === `${lock.schema ?? 'public'}.${lock.name}`)?.mode;

/** Indexes, TOAST and sequences go with their table, and are not told by themselves. */
async function taken(sql: string): Promise<readonly (readonly [string, LockMode])[]> {
  await client.query('BEGIN');
  try {
    await client.query(sql);
    const { rows } = await client.query<{ oid: number; name: string; mode: string }>(
      `SELECT c.oid, n.nspname || '.' || c.relname AS name, l.mode FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
       JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE l.pid = pg_backend_pid() AND l.granted AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
         AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')`,
    );
    return rows.map(({ oid, name, mode }) => [before.get(oid) ?? name, MODES[mode] ?? 'ACCESS EXCLUSIVE']);
  } finally {
    await client.query('ROLLBACK');
  }
}

/** Of tables and the like, in every mode above ROW EXCLUSIVE. */
async function keepingWritersOut(): Promise<readonly string[]> {
  const { rows } = await client.query<{ lock: string }>(
    `SELECT c.relname || ' ' || l.mode AS lock FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
     WHERE l.pid = pg_backend_pid() AND l.mode NOT IN ('AccessShareLock', 'RowShareLock', 'RowExclusiveLock')`,
  );
  return rows.map(({ lock }) => lock);
}

const CORPUS: readonly (readonly [sql: string, relation: string, mode: LockMode])[] = [
  ['SELECT 1 FROM plain', 'public.plain', 'ACCESS SHARE'],
  ['SELECT * FROM renamed', 'public.customers', 'ACCESS SHARE'],
  ['SELECT id FROM customer_summary', 'public.customer_summary', 'ACCESS SHARE'],
  ['SELECT id FROM events', 'public.events_2025', 'ACCESS SHARE'],
  ['SELECT id FROM plain FOR UPDATE', 'public.plain', 'ROW SHARE'],
  ['WITH orders AS (SELECT 1) SELECT p.id FROM plain p, orders FOR SHARE OF p', 'public.plain', 'ROW SHARE'],
  ['SELECT id FROM upd FOR UPDATE', 'public.plain', 'ROW SHARE'],
  ["INSERT INTO plain VALUES (100, 'x')", 'public.plain', 'ROW EXCLUSIVE'],
  ["INSERT INTO events VALUES (9, '2026-01-01', 'a', 'b')", 'public.events_2026', 'ROW EXCLUSIVE'],
  ['INSERT INTO orders (id, customer_id) VALUES (90, 1)', 'public.customers', 'ROW SHARE'],
  ['UPDATE upd SET label = label WHERE id = 1', 'public.plain', 'ROW EXCLUSIVE'],
  ['DELETE FROM orders WHERE id = 1', 'public.order_items', 'ROW EXCLUSIVE'],
  ['DELETE FROM plain WHERE id = 1', 'public.key_child', 'ROW EXCLUSIVE'],
  [
    'MERGE INTO plain p USING archive a ON a.id = p.id WHEN MATCHED THEN DELETE',
    'public.plain',
    'ROW EXCLUSIVE',
  ],
  ['EXPLAIN DELETE FROM orders WHERE id = 1', 'public.orders', 'ROW EXCLUSIVE'],
  ['EXPLAIN UPDATE upd SET label = NULL', 'public.plain', 'ROW EXCLUSIVE'],
  ['PREPARE p AS DELETE FROM plain', 'public.plain', 'ROW EXCLUSIVE'],
  ['DECLARE c CURSOR FOR SELECT id FROM plain FOR UPDATE', 'public.plain', 'ROW SHARE'],
  ['SELECT count_customers()', 'public.customers', 'ACCESS SHARE'],
  ['SELECT purge()', 'public.orders', 'ROW EXCLUSIVE'],
  ['TRUNCATE orders CASCADE', 'public.audit_log', 'ACCESS EXCLUSIVE'],
  ['LOCK TABLE plain IN SHARE MODE', 'public.plain', 'SHARE'],
  ['LOCK TABLE plain', 'public.plain', 'ACCESS EXCLUSIVE'],
  ['LOCK TABLE part_parent IN SHARE MODE', 'public.part_child', 'SHARE'],
  ['SELECT locks_orders()', 'public.orders', 'ACCESS EXCLUSIVE'],
  ['LOCK TABLE customer_names IN EXCLUSIVE MODE', 'public.customers', 'EXCLUSIVE'],
  ['LOCK TABLE events IN ROW SHARE MODE', 'public.events_2026', 'ROW SHARE'],
  ['CREATE TABLE made (id int REFERENCES plain)', 'public.plain', 'SHARE ROW EXCLUSIVE'],
  ['CREATE TABLE made (LIKE plain) INHERITS (people)', 'public.people', 'SHARE UPDATE EXCLUSIVE'],
  ['CREATE TABLE made (LIKE plain)', 'public.plain', 'ACCESS SHARE'],
  ['CREATE TABLE made PARTITION OF part_parent FOR VALUES IN (7)', 'public.part_parent', 'ACCESS EXCLUSIVE'],
  ['CREATE TABLE made AS SELECT id FROM plain', 'public.plain', 'ACCESS SHARE'],
  ['CREATE VIEW made AS SELECT id FROM plain', 'public.plain', 'ACCESS SHARE'],
  [
    'CREATE OR REPLACE VIEW counted AS SELECT city, count(*) AS n FROM customers GROUP BY city',
    'public.counted',
    'ACCESS EXCLUSIVE',
  ],
  ['CREATE INDEX ON plain (label)', 'public.plain', 'SHARE'],
  ['CREATE INDEX ON events (actor)', 'public.events_2025', 'SHARE'],
  ['CREATE STATISTICS s ON id, label FROM plain', 'public.plain', 'SHARE UPDATE EXCLUSIVE'],
  [
    'CREATE TRIGGER made BEFORE INSERT ON plain EXECUTE FUNCTION stamp()',
    'public.plain',
    'SHARE ROW EXCLUSIVE',
  ],
  ['CREATE RULE made AS ON INSERT TO plain DO ALSO DELETE FROM archive', 'public.archive', 'ROW EXCLUSIVE'],
  ['CREATE POLICY made ON plain USING (true)', 'public.plain', 'ACCESS EXCLUSIVE'],
  ['CREATE SEQUENCE made OWNED BY plain.id', 'public.plain', 'ACCESS SHARE'],
  [
    "CREATE FUNCTION made() RETURNS int LANGUAGE sql AS 'DELETE FROM plain RETURNING id'",
    '*',
    'ROW EXCLUSIVE',
  ],
  [
    'CREATE FUNCTION made() RETURNS void LANGUAGE sql BEGIN ATOMIC DELETE FROM plain; END',
    'public.plain',
    'ROW EXCLUSIVE',
  ],
  ['ALTER TABLE plain ADD COLUMN made int', 'public.plain', 'ACCESS EXCLUSIVE'],
  ['ALTER TABLE plain ADD COLUMN made int REFERENCES suppliers', 'public.suppliers', 'SHARE ROW EXCLUSIVE'],
  ['ALTER TABLE people ALTER COLUMN full_name TYPE varchar', 'public.employees', 'ACCESS EXCLUSIVE'],
  ['ALTER TABLE orders ALTER COLUMN id TYPE bigint', 'public.order_items', 'ACCESS EXCLUSIVE'],
  ['ALTER TABLE plain ALTER COLUMN label SET STATISTICS 10', 'public.plain', 'SHARE UPDATE EXCLUSIVE'],
  ['ALTER TABLE plain ALTER COLUMN label SET (n_distinct = 5)', 'public.plain', 'SHARE UPDATE EXCLUSIVE'],
  [
    'ALTER TABLE plain SET (fillfactor = 70, autovacuum_enabled = off)',
    'public.plain',
    'SHARE UPDATE EXCLUSIVE',
  ],
  ['ALTER TABLE plain SET (fillfactor = 70, user_catalog_table = off)', 'public.plain', 'ACCESS EXCLUSIVE'],
  ['ALTER TABLE plain RESET (fillfactor)', 'public.plain', 'SHARE UPDATE EXCLUSIVE'],
  ['ALTER TABLE plain CLUSTER ON plain_pkey', 'public.plain', 'SHARE UPDATE EXCLUSIVE'],
  ['ALTER TABLE plain DISABLE TRIGGER ALL', 'public.plain', 'SHARE ROW EXCLUSIVE'],
  [
    'ALTER TABLE plain ADD FOREIGN KEY (amount) REFERENCES suppliers NOT VALID',
    'public.plain',
    'SHARE ROW EXCLUSIVE',
  ],
  ['ALTER TABLE plain ADD CHECK (id > 0)', 'public.plain', 'ACCESS EXCLUSIVE'],
  [
    'ALTER TABLE key_child VALIDATE CONSTRAINT key_child_plain_id_fkey',
    'public.key_child',
    'SHARE UPDATE EXCLUSIVE',
  ],
  ['ALTER TABLE key_child DROP CONSTRAINT key_child_plain_id_fkey', 'public.plain', 'ACCESS EXCLUSIVE'],
  ['ALTER TABLE key_child DROP COLUMN plain_id', 'public.plain', 'ACCESS EXCLUSIVE'],
  ['ALTER TABLE archive ENABLE ROW LEVEL SECURITY', 'public.archive', 'ACCESS EXCLUSIVE'],
  ['ALTER TABLE events DETACH PARTITION events_2025', 'public.events', 'ACCESS EXCLUSIVE'],
  ['ALTER TABLE employees NO INHERIT people', 'public.people', 'SHARE UPDATE EXCLUSIVE'],
  ['ALTER TABLE plain RENAME COLUMN label TO made', 'public.plain', 'ACCESS EXCLUSIVE'],
  ['ALTER TABLE plain RENAME TO made', 'public.plain', 'ACCESS EXCLUSIVE'],
  ['ALTER TABLE plain SET SCHEMA app', 'public.plain', 'ACCESS EXCLUSIVE'],
  ['ALTER INDEX plain_pkey RENAME TO made', 'public.plain_pkey', 'ACCESS EXCLUSIVE'],
  ['ALTER SEQUENCE numbers OWNED BY plain.id', 'public.numbers', 'SHARE ROW EXCLUSIVE'],
  ['ALTER DOMAIN positive ADD CONSTRAINT made CHECK (VALUE < 1000)', '*', 'SHARE'],
  ['DROP TABLE key_child', 'public.plain', 'ACCESS EXCLUSIVE'],
  ['DROP TABLE events_2025', 'public.events', 'ACCESS EXCLUSIVE'],
  ['DROP TABLE customers CASCADE', '*', 'ACCESS EXCLUSIVE'],
  ['DROP INDEX orders_status_idx', 'public.orders', 'ACCESS EXCLUSIVE'],
  ['DROP VIEW upd', 'public.upd', 'ACCESS EXCLUSIVE'],
  ['DROP TRIGGER t ON stamped', 'public.stamped', 'ACCESS EXCLUSIVE'],
  ['REINDEX TABLE plain', 'public.plain', 'SHARE'],
  ['REINDEX INDEX orders_status_idx', 'public.orders', 'SHARE'],
  ['ALTER INDEX orders_status_idx SET (fillfactor = 50)', 'public.orders', 'ACCESS SHARE'],
  ['CLUSTER plain USING plain_pkey', 'public.plain', 'ACCESS EXCLUSIVE'],
  ['ANALYZE plain', 'public.plain', 'SHARE UPDATE EXCLUSIVE'],
  ['REFRESH MATERIALIZED VIEW city_summary', 'public.city_summary', 'ACCESS EXCLUSIVE'],
  ["COMMENT ON TABLE plain IS 'x'", 'public.plain', 'SHARE UPDATE EXCLUSIVE'],
  ["COMMENT ON COLUMN plain.label IS 'x'", 'public.plain', 'SHARE UPDATE EXCLUSIVE'],
  ["COMMENT ON CONSTRAINT plain_pkey ON plain IS 'x'", 'public.plain', 'SHARE UPDATE EXCLUSIVE'],
  ['GRANT SELECT ON plain TO somebody', 'public.plain', 'ACCESS SHARE'],
  ['COPY plain TO STDOUT', 'public.plain', 'ACCESS SHARE'],
  ['DO $$BEGIN LOCK TABLE public.plain; END$$', '*', 'ACCESS EXCLUSIVE'],
];

describe('locks told', () => {
  it.each(CORPUS)('%s', async (sql, relation, mode) => {
    const locks = told(sql);
    const any = locks.find(({ name }) => name === '*')?.mode;
    expect(relation === '*' ? any : modeOf(locks, relation)).toBe(mode);
    if (/^COPY/.test(sql)) return;
    const missed = (await taken(sql)).filter(([name, really]) => {
      const said = modeOf(locks, name) ?? any;
      return said === undefined || strongest(said, really) !== said;
    });
    expect(missed).toEqual([]);
  });

  // No transaction block may hold them.
  it.each<readonly [sql: string, relation: string, mode: LockMode]>([
    ['CREATE INDEX CONCURRENTLY ON plain (label)', 'public.plain', 'SHARE UPDATE EXCLUSIVE'],
    ['DROP INDEX CONCURRENTLY orders_status_idx', 'public.orders', 'SHARE UPDATE EXCLUSIVE'],
    ['REFRESH MATERIALIZED VIEW CONCURRENTLY city_summary', 'public.city_summary', 'EXCLUSIVE'],
    ['REINDEX TABLE CONCURRENTLY plain', 'public.plain', 'SHARE UPDATE EXCLUSIVE'],
    [
      'ALTER TABLE events DETACH PARTITION events_2025 CONCURRENTLY',
      'public.events',
      'SHARE UPDATE EXCLUSIVE',
    ],
    [
      'ALTER TABLE part_parent ATTACH PARTITION plain FOR VALUES IN (9)',
      'public.part_parent',
      'SHARE UPDATE EXCLUSIVE',
    ],
    ['ALTER TABLE part_parent ATTACH PARTITION plain FOR VALUES IN (9)', 'public.plain', 'ACCESS EXCLUSIVE'],
    ['VACUUM plain', 'public.plain', 'SHARE UPDATE EXCLUSIVE'],
    ['VACUUM (FULL) plain', 'public.plain', 'ACCESS EXCLUSIVE'],
    ['VACUUM (FULL off)', '*', 'SHARE UPDATE EXCLUSIVE'],
    ['CLUSTER', '*', 'ACCESS EXCLUSIVE'],
    ['REINDEX SCHEMA public', '*', 'ACCESS EXCLUSIVE'],
    ['DROP INDEX no_such_index', '*', 'ACCESS EXCLUSIVE'],
    ['EXECUTE p', '*', 'ACCESS EXCLUSIVE'],
    ['ALTER TABLE nowhere ADD COLUMN a int', 'public.nowhere', 'ACCESS EXCLUSIVE'],
    ['SELECT * FROM nowhere', '*', 'ACCESS EXCLUSIVE'],
  ])('%s', (sql, relation, mode) => {
    const locks = told(sql);
    expect(relation === '*' ? locks.find(({ name }) => name === '*')?.mode : modeOf(locks, relation)).toBe(
      mode,
    );
  });

  it('that keep others from writing are taken by nothing that passes', async () => {
    let ran = 0;
    const found: string[] = [];
    await client.query("SET statement_timeout = '2s'");
    const corpus = ['classification', 'tools', 'lineage'].flatMap((name) => cases(`${name}.jsonl`));
    for (const [, sql, setup] of corpus) {
      // They would end the transaction that is looked at, or wait for data.
      if (/\b(begin|commit|end|abort|rollback|start|copy|prepare transaction)\b/i.test(setup + sql)) continue;
      if (on.judge(sql, setup).verdict.effect !== 'allow') continue;
      await client.query('BEGIN');
      try {
        if (setup !== '') await client.query(setup);
        const before = new Set(await keepingWritersOut());
        await client.query(sql);
        ran += 1;
        found.push(
          ...(await keepingWritersOut()).filter((lock) => !before.has(lock)).map((lock) => `${sql}: ${lock}`),
        );
      } catch {
        // Bind values are missing, or it fails by itself: it holds no locks then.
      } finally {
        await client.query('ROLLBACK');
      }
    }
    await client.query('RESET statement_timeout');
    expect(found).toEqual([]);
    expect(ran).toBeGreaterThan(500);
  });

  it('none where nothing is touched', () => {
    for (const sql of ['SELECT 1', 'BEGIN', 'SET work_mem = 1000', 'SHOW work_mem'])
      expect(told(sql)).toEqual([]);
  });
});
