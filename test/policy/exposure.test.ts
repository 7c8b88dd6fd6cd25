/** Which statements expose: errors and notices may quote tagged values, whether or not lineage finds a use of them. */
import { beforeAll, expect, it } from 'vitest';
import { type AnalyseInput, analyse, loadParser } from '../../src/policy/analyse.ts';
import type { CatalogRelation } from '../../src/policy/types.ts';
import { catalog, input } from './fixture.ts';

beforeAll(() => loadParser());

function exposes(sql: string, more: Partial<AnalyseInput> = {}): boolean {
  const analysis = analyse(sql, { ...input, ...more });
  return analysis.kind === 'facts' ? analysis.exposes : true;
}

it.each([
  'SELECT id FROM customers',
  'SELECT count(*) FROM customers',
  'SELECT 1 WHERE EXISTS (SELECT FROM customers)',
  'WITH x AS MATERIALIZED (SELECT FROM customers) SELECT 1',
  'SELECT 1 FROM plain WHERE id < (SELECT count(*) FROM customers)',
  'EXPLAIN SELECT count(*) FROM customers',
  'PREPARE p AS SELECT id FROM customers',
  'DECLARE c CURSOR FOR SELECT id FROM customers',
  'COPY customers (id) TO STDOUT',
  'LOCK TABLE customers IN ACCESS SHARE MODE',
  'CREATE TABLE t AS SELECT id FROM customers',
  'DELETE FROM customers WHERE id = 1',
  'UPDATE customers SET id = 1',
  // through views, functions, operators, inheritance, triggers, rules
  'SELECT count(*) FROM customer_names',
  'SELECT count(*) FROM customer_summary',
  'SELECT id FROM hidden_view',
  'SELECT count_customers()',
  'SELECT find_customer()',
  'SELECT mystery()',
  'SELECT mystery_stable()',
  'SELECT 1 === 2',
  "SELECT 'x'::checked_text",
  'SELECT id FROM bits',
  'SELECT id FROM events_2026',
  'INSERT INTO ruled VALUES (1)',
  // trusted not to do harm, which says nothing of what it reads
  'SELECT trusted_one()',
  // statistics and other people's statements
  'SELECT attname FROM pg_stats',
  'SELECT pid FROM pg_stat_activity',
  // what cannot be seen through
  'DO $$ BEGIN NULL; END $$',
  'SELECT id FROM nowhere',
  'SELECT nowhere()',
  'REFRESH MATERIALIZED VIEW customer_summary',
  'ALTER DOMAIN d ADD CHECK (VALUE > 0)',
  'REINDEX TABLE plain',
  'SELECT 1; SELECT id FROM customers',
])('%s exposes', (sql) => expect(exposes(sql)).toBe(true));

it.each([
  'SELECT 1',
  'SELECT * FROM orders',
  'SELECT status::int FROM orders',
  'INSERT INTO orders (id, customer_id) VALUES (1, 2)',
  'UPDATE plain SET label = NULL',
  'DELETE FROM order_items WHERE id = 1',
  'INSERT INTO triggered VALUES (1)',
  'SELECT plus_one(1)',
  'SELECT id FROM pg_class',
  'CREATE TABLE t (id int)',
  'CREATE INDEX ON orders (status)',
  'ALTER TABLE orders ADD COLUMN x int',
  'BEGIN',
  'COMMIT',
  "SET application_name = 'x'",
  "SELECT set_config('application_name', 'x', false)",
  'SHOW timezone',
  'FETCH c',
])('%s does not', (sql) => expect(exposes(sql)).toBe(false));

it('a cascade reaches the tagged table: DELETE FROM orders does not, one that customers refer to does', () => {
  const [from, to] = ['customers', 'plain'].map((name) => relation(name).oid);
  const key = { from: from ?? 0, to: to ?? 0, columns: ['id'], keys: ['id'], onUpdate: 'no action' as const };
  const tied = (onDelete: 'cascade' | 'set null' | 'no action', columns = ['id']) => ({
    catalog: { ...catalog, foreignKeys: [{ ...key, columns, onDelete }] },
  });
  const sql = 'DELETE FROM plain WHERE id = 1';
  expect(exposes(sql)).toBe(false);
  expect(exposes(sql, tied('no action'))).toBe(false);
  expect(exposes(sql, tied('cascade'))).toBe(true);
  expect(exposes(sql, tied('set null'))).toBe(true);
  // Its check compares tagged columns, and its error quotes them.
  expect(exposes(sql, tied('no action', ['email']))).toBe(true);
});

it('with event triggers any DDL runs functions', () => {
  expect(exposes('CREATE TABLE t (id int)', { catalog: { ...catalog, eventTriggers: true } })).toBe(true);
});

it('a row policy may read anything', () => {
  const policed = catalog.relations.map((one) =>
    one.name === 'plain' ? { ...one, rowSecurity: true } : one,
  );
  expect(exposes('SELECT 1 FROM plain', { catalog: { ...catalog, relations: policed } })).toBe(true);
});

it('where nothing is tagged nothing is exposed, unless this transaction has made something', () => {
  const untagged = { tagsOf: () => null };
  for (const sql of ['SELECT * FROM customers', 'SELECT mystery()', 'DO $$ BEGIN NULL; END $$'])
    expect(exposes(sql, untagged)).toBe(false);
  const resolution = { ...input.resolution, changed: ['fresh'] };
  expect(exposes('SELECT * FROM fresh', { ...untagged, resolution })).toBe(true);
  // Without a catalog nothing can be told.
  expect(exposes('SELECT 1 FROM plain', { ...untagged, catalog: null })).toBe(true);
});

function relation(name: string): CatalogRelation {
  const found = catalog.relations.find((one) => one.name === name && one.schema === 'public');
  if (found === undefined) throw new Error(name);
  return found;
}
