/** Which tagged columns a statement puts out (v), compares (p) or writes (w). DESIGN.md 6; LANDSCAPE.md "Masking leaks". */
import { beforeAll, describe, expect, it } from 'vitest';
import { analyse, loadParser } from '../../src/policy/analyse.ts';
import type { CatalogFunction, Facts } from '../../src/policy/types.ts';
import { catalog, input } from './fixture.ts';

beforeAll(loadParser);

function facts(sql: string, over: Partial<typeof input> = {}): Facts {
  const analysis = analyse(sql, { ...input, ...over });
  if (analysis.kind !== 'facts') throw new Error(`${sql}: ${JSON.stringify(analysis)}`);
  return analysis;
}

function uses(sql: string, over: Partial<typeof input> = {}): string {
  const found = facts(sql, over).statements.flatMap((s) =>
    s.columns.map(
      (c) => `${c.use.slice(0, 1)}:${c.schema === 'public' ? '' : `${c.schema}.`}${c.relation}.${c.column}`,
    ),
  );
  return [...new Set(found)].sort().join(' ').replaceAll('customers.', '');
}

const ALL = 'v:credit_card v:email v:ssn';
const STATS = (name: string): string => `v:pg_catalog.${name}`;

const corpus: readonly (readonly [string, string])[] = [
  // nothing tagged leaves
  ['SELECT id, name FROM customers', ''],
  ['SELECT count(*) FROM customers', ''],
  ['SELECT 1 FROM customers', ''],
  ['SELECT count(*) FROM (SELECT * FROM customers) s', ''],
  ['SELECT s.name FROM (SELECT * FROM customers) s', ''],
  ['WITH c AS (SELECT * FROM customers) SELECT id FROM c', ''],
  ['SELECT id FROM customers ORDER BY name', ''],
  ['SELECT EXISTS (SELECT * FROM customers WHERE id = 1)', ''],
  ['SELECT * FROM customer_names', ''],
  ['SELECT id FROM customer_emails', ''],
  ['SELECT o.id FROM orders o JOIN customers c ON c.id = o.customer_id', ''],
  ['SELECT ctid, tableoid FROM customers', ''],
  ['SELECT count_customers()', ''],
  ['SELECT plus_one(id) FROM customers', ''],
  ['COPY customers (id, name) TO STDOUT', ''],
  ['DELETE FROM customers WHERE id = 1', ''],
  ['DELETE FROM customers WHERE id = 1 RETURNING id', ''],
  ["INSERT INTO customers (id, name) VALUES (1, 'x')", ''],
  ['SELECT id, at FROM events', ''],
  ['SELECT (c).name FROM customers c', ''],
  ['SELECT x.d FROM customers AS x(a, b, c, e, f, d)', ''],
  ['SELECT nick FROM other.customers', ''],
  ['SELECT relname FROM pg_class, customers', ''],
  ['TRUNCATE customers', ''],
  ['CREATE TABLE t (email text)', ''],
  // by value
  ['SELECT email FROM customers', 'v:email'],
  ['SELECT label IN (SELECT email FROM customers) FROM plain', 'p:email'],
  ['SELECT label <> ALL (SELECT email FROM customers) FROM plain', 'p:email'],
  ['SELECT JSON_ARRAY(SELECT email FROM customers)', 'v:email'],
  ['SELECT JSON_OBJECTAGG(id: name) FILTER (WHERE email::bool) FROM customers', 'p:email'],
  ['SELECT (nowhere()).get_emails', 'v:email'],
  ['SELECT u.id FROM customers c JOIN plain p USING (id) AS u', ''],
  [
    "SELECT z.id FROM customers c, LATERAL (SELECT id FROM json_populate_record(NULL::plain, json_build_object('id', c.email)) j NATURAL FULL JOIN plain) z",
    'p:email v:email',
  ],
  [
    "SELECT z.id FROM customers c, LATERAL (SELECT id FROM plain NATURAL FULL JOIN json_populate_record(NULL::plain, json_build_object('id', c.email)) j) z",
    'p:email v:email',
  ],
  [
    "SELECT z.id FROM customers c, LATERAL (SELECT * FROM json_populate_record(NULL::plain, json_build_object('id', c.email)) j NATURAL FULL JOIN plain) z",
    'p:email v:email',
  ],
  [
    "SELECT z.id FROM customers c, LATERAL (SELECT * FROM plain NATURAL FULL JOIN json_populate_record(NULL::plain, json_build_object('id', c.email)) j) z",
    'p:email v:email',
  ],
  [
    "SELECT z.id FROM (plain NATURAL FULL JOIN json_populate_record(NULL::plain, (SELECT json_build_object('id', email) FROM customers)) j) z",
    'p:email v:email',
  ],
  [
    `SELECT count(*) FROM json_populate_record(NULL::customers, '{"email": "a@b"}') j NATURAL JOIN customers c`,
    'p:credit_card p:email p:ssn',
  ],
  ['SELECT s.name FROM (SELECT c.* FROM customers c) s', ''],
  [
    "SELECT z.b FROM (SELECT (json_populate_record(NULL::plain, json_build_object('label', c.email))).*, 1 AS k FROM customers c) z (a, b, d)",
    'v:email',
  ],
  ...['o.*, j.*', 'j.*, o.*'].map((both): readonly [string, string] => [
    `SELECT z.x FROM (SELECT ${both} FROM json_each('{}') o, json_populate_record(NULL::plain, (SELECT json_build_object('id', email) FROM customers)) j) z`,
    'v:email',
  ]),
  ['REFRESH MATERIALIZED VIEW customer_summary', 'p:email'],
  // Rows of one shape: each attribute, and the whole.
  ['SELECT x FROM (SELECT p FROM plain p UNION ALL SELECT b FROM bits_tagged b) s(x)', 'v:bits_tagged.data'],
  ['SELECT x FROM (SELECT b FROM bits_tagged b UNION ALL SELECT p FROM plain p) s(x)', 'v:bits_tagged.data'],
  [
    'SELECT (x).data FROM (SELECT b FROM bits_tagged b UNION ALL SELECT p FROM plain p) s(x)',
    'v:bits_tagged.data',
  ],
  ['SELECT (r).a FROM (SELECT s AS r FROM (SELECT id AS a, email AS a FROM customers) s) q', 'v:email'],
  ['SELECT c.email FROM customers c', 'v:email'],
  ['SELECT customers.email FROM customers', 'v:email'],
  ['SELECT public.customers.email FROM public.customers', 'v:email'],
  ['SELECT shop.public.customers.email FROM customers', 'v:email'],
  ['SELECT "email" AS harmless FROM "customers"', 'v:email'],
  ['SELECT EMAIL FROM CUSTOMERS', 'v:email'],
  ['SELECT * FROM customers', ALL],
  ['TABLE customers', ALL],
  ['SELECT c.* FROM customers c', ALL],
  ['SELECT c FROM customers c', ALL],
  ['SELECT customers FROM customers', ALL],
  ['SELECT c::text FROM customers c', ALL],
  ['SELECT row_to_json(c) FROM customers c', ALL],
  ['SELECT json_agg(c) FROM customers c', ALL],
  ['SELECT to_jsonb(customers.*) FROM customers', ALL],
  ['SELECT ROW(c.*) FROM customers c', ALL],
  ['SELECT (c).* FROM customers c', ALL],
  ['SELECT (c).email FROM customers c', 'v:email'],
  ['SELECT c.to_json FROM customers c', ALL],
  ['SELECT (c.*)::text FROM customers c', ALL],
  ["SELECT name || ' ' || email FROM customers", 'v:email'],
  ['SELECT lower(email), substr(ssn, 1, 3) FROM customers', 'v:email v:ssn'],
  ['SELECT md5(email) FROM customers', 'v:email'],
  ['SELECT max(email) FROM customers', 'v:email'],
  ["SELECT string_agg(email, ',') FROM customers", 'v:email'],
  ['SELECT array_agg(email ORDER BY ssn) FROM customers', 'p:ssn v:email'],
  ['SELECT email::bytea FROM customers', 'v:email'],
  ['SELECT CASE WHEN id = 1 THEN email END FROM customers', 'v:email'],
  ['SELECT CASE WHEN email IS NULL THEN 1 END FROM customers', 'p:email'],
  ['SELECT coalesce(NULL, email) FROM customers', 'v:email'],
  ['SELECT greatest(email, name) FROM customers', 'v:email'],
  ['SELECT ARRAY[email] FROM customers', 'v:email'],
  ['SELECT (ARRAY[email])[1] FROM customers', 'v:email'],
  ['SELECT DISTINCT email FROM customers', 'p:email v:email'],
  ['SELECT first_value(email) OVER (ORDER BY id) FROM customers', 'v:email'],
  ['SELECT rank() OVER (PARTITION BY email) FROM customers', 'p:email'],
  ['SELECT mail FROM customer_emails', 'v:email'],
  ['SELECT * FROM customer_emails', 'v:email'],
  ['SELECT contact FROM customer_contacts', 'v:email'],
  ['SELECT mail FROM customer_summary', 'v:email'],
  ['SELECT customer_contacts FROM customer_contacts', 'v:email'],
  ['SELECT e.x FROM (SELECT email AS x FROM customers) e', 'v:email'],
  ['SELECT e.b FROM (SELECT id, email FROM customers) e(a, b)', 'v:email'],
  ['SELECT e.x FROM customers AS e(a, b, x)', 'v:email'],
  ['SELECT (SELECT email FROM customers LIMIT 1)', 'v:email'],
  ['SELECT ARRAY(SELECT email FROM customers)', 'v:email'],
  ['SELECT (SELECT c.email) FROM customers c', 'v:email'],
  ['SELECT (SELECT email) FROM customers', 'v:email'],
  ['WITH c AS (SELECT * FROM customers) SELECT * FROM c', ALL],
  ['WITH c(a, b) AS (SELECT id, email FROM customers) SELECT b FROM c', 'v:email'],
  ['WITH a AS (SELECT email e FROM customers), b AS (SELECT e f FROM a) SELECT f FROM b', 'v:email'],
  ['WITH customers AS (SELECT * FROM customers) SELECT email FROM customers', 'v:email'],
  [
    "WITH RECURSIVE t(n, x) AS (SELECT 1, 'a' UNION ALL SELECT n + 1, email FROM t, customers) SELECT x FROM t",
    'v:email',
  ],
  [
    'WITH RECURSIVE t(a, b, c) AS (SELECT 1, 2, email FROM customers UNION ALL SELECT b, c, 1 FROM t) SELECT a FROM t',
    'v:email',
  ],
  ['SELECT name FROM plain, LATERAL (SELECT email AS name FROM customers) x', 'v:email'],
  ['SELECT x.e FROM customers c, LATERAL (SELECT c.email AS e) x', 'v:email'],
  ['SELECT x.e FROM customers c CROSS JOIN LATERAL (VALUES (c.email)) x(e)', 'v:email'],
  ['SELECT u FROM customers c, unnest(ARRAY[c.email]) u', 'v:email'],
  ['SELECT u FROM customers c, unnest(ARRAY[c.id]) u', ''],
  ['SELECT label FROM plain UNION SELECT email FROM customers', 'p:email v:email'],
  ['SELECT label FROM plain UNION ALL SELECT email FROM customers', 'v:email'],
  [
    'SELECT label FROM plain UNION ALL (SELECT email FROM customers UNION ALL SELECT ssn FROM customers)',
    'v:email v:ssn',
  ],
  ['SELECT x FROM (SELECT label FROM plain UNION ALL SELECT email FROM customers) s(x)', 'v:email'],
  ['SELECT label FROM plain EXCEPT ALL SELECT email FROM customers', 'p:email v:email'],
  ['VALUES ((SELECT email FROM customers))', 'v:email'],
  ['SELECT * FROM orders JOIN customers USING (id)', ALL],
  ['SELECT j.b FROM (orders JOIN customers USING (id)) AS j(a, x, y, z, w, v, n, b)', 'v:email'],
  ['SELECT * FROM orders NATURAL JOIN customers', ALL],
  ['SELECT email FROM orders, customers', 'v:email'],
  ['SELECT j.email FROM (orders o CROSS JOIN customers c) j', 'v:email'],
  ['SELECT get_emails()', 'v:email'],
  ['SELECT * FROM get_emails()', 'v:email'],
  ['SELECT g FROM get_emails() AS g', 'v:email'],
  ['SELECT atomic_email(1)', 'v:email'],
  ['SELECT upper(x) FROM get_emails() AS g(x)', 'v:email'],
  ['SELECT count(*) FROM get_emails()', ''],
  ['DELETE FROM customers RETURNING *', ALL],
  ['DELETE FROM customers WHERE id = 1 RETURNING email', 'v:email'],
  ['UPDATE customers SET name = name WHERE id = 1 RETURNING old.email', 'v:email'],
  ["UPDATE customers SET name = 'x' WHERE id = 1 RETURNING WITH (OLD AS o) o.ssn", 'v:ssn'],
  ['INSERT INTO customers (id) VALUES (1) RETURNING *', ALL],
  ['WITH d AS (DELETE FROM customers RETURNING email) SELECT * FROM d', 'v:email'],
  ['WITH d AS (DELETE FROM customers RETURNING email) SELECT 1', ''],
  ["UPDATE plain SET label = 'x' FROM customers c WHERE c.id = plain.id RETURNING c.email", 'v:email'],
  [
    'MERGE INTO plain p USING customers c ON c.id = p.id WHEN MATCHED THEN UPDATE SET label = c.email',
    'v:email',
  ],
  [
    'MERGE INTO customers c USING plain p ON c.id = p.id WHEN NOT MATCHED THEN INSERT (email) VALUES (p.label)',
    'w:email',
  ],
  ['COPY customers TO STDOUT', ALL],
  ['COPY customers (email) TO STDOUT', 'v:email'],
  ['COPY (SELECT email FROM customers) TO STDOUT', 'v:email'],
  ['COPY customers FROM STDIN', 'w:credit_card w:email w:ssn'],
  ['DECLARE c CURSOR FOR SELECT email FROM customers', 'v:email'],
  ['PREPARE p AS SELECT email FROM customers WHERE id = $1', 'v:email'],
  ['CREATE TABLE t AS SELECT email FROM customers', 'v:email'],
  ['SELECT email INTO t FROM customers', 'v:email'],
  ['CREATE MATERIALIZED VIEW m AS SELECT * FROM customers', ALL],
  ['INSERT INTO archive SELECT id, email FROM customers', 'v:email'],
  ['INSERT INTO archive (contact) SELECT mail FROM customer_emails', 'v:email'],
  ['INSERT INTO archive SELECT id, name FROM customers', ''],
  ['UPDATE archive SET contact = c.email FROM customers c WHERE c.id = archive.id', 'v:email'],
  ['UPDATE archive SET (contact) = (SELECT email FROM customers LIMIT 1)', 'v:email'],
  ['UPDATE archive SET (id, contact) = ROW (1, (SELECT email FROM customers LIMIT 1))', 'v:email'],
  ['SELECT actor_email FROM events_2026', 'v:events.actor_email'],
  ['SELECT data FROM bits', 'v:bits_tagged.data'],
  ['SELECT secret FROM hidden_view', 'v:hidden_view.secret v:hidden_view.secret v:hidden_view.secret'],
  ['SELECT email FROM other.customers', 'v:other.email'],
  ["SELECT set_config('x.y', email, false) FROM customers", 'v:email'],
  ['SELECT id FROM customers LIMIT (SELECT length(email) FROM customers LIMIT 1)', 'v:email'],
  ['SELECT nonsense FROM customers', ALL],
  ['SELECT x.nonsense FROM customers', ALL],
  ['CALL do_purge((SELECT email::int FROM customers))', 'v:email'],
  ["SELECT JSON_OBJECT('a': email) FROM customers", 'v:email'],
  ['SELECT XMLELEMENT(name x, email) FROM customers', 'v:email'],
  ["SELECT x.a FROM customers c, JSON_TABLE(c.email, '$' COLUMNS (a text PATH '$')) x", 'v:email'],
  ['SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY email) FROM customers', 'v:email'],
  ['SELECT id FROM customers c WHERE (SELECT true FROM plain WHERE label = c.email)', 'p:email'],
  ["SELECT nullif(email, '') FROM customers", 'v:email'],
  ['CALL get_emails()', 'v:email'],
  ['SELECT ROW(o.*) FROM orders o, customers c', ''],
  ['SELECT x FROM (SELECT * FROM get_emails() UNION ALL SELECT label FROM plain) s(x)', 'v:email'],
  ['SELECT x FROM (SELECT label FROM plain UNION ALL SELECT * FROM get_emails()) s(x)', 'v:email'],
  ['SELECT c.ctid FROM customers c', ''],
  ['SELECT nothing.* FROM customers', ALL],
  ['SELECT s.name FROM (SELECT (c).* FROM customers c) s', ''],
  ['SELECT public.plain.label FROM public.customers, public.plain', ''],
  ['SELECT x FROM get_emails() g, unnest(ARRAY[1]) u', 'v:email'],
  ['SELECT nonsense FROM customers, plain', ALL],
  ['SELECT label FROM plain UNION ALL SELECT email FROM customers ORDER BY 1', 'p:email v:email'],
  ['VALUES ((SELECT email FROM customers)) ORDER BY 1', 'p:email v:email'],
  ["VALUES ((SELECT email FROM customers)), ('x')", 'v:email'],
  ['SELECT label FROM plain FULL JOIN get_emails() g USING (label)', 'p:email v:email'],
  ['SELECT label FROM (SELECT email AS label FROM customers) c JOIN plain USING (label)', 'p:email v:email'],
  ['SELECT * FROM get_emails() NATURAL JOIN plain', 'p:email v:email'],
  ['SELECT * FROM plain NATURAL JOIN get_emails()', 'p:email v:email'],
  ['SELECT lo_get(email::oid) FROM customers', `v:email ${STATS('lo_get.*')}`],
  ['SELECT mode(email) WITHIN GROUP (ORDER BY id) FROM customers', 'v:email'],
  ['SELECT label FROM plain JOIN (SELECT email AS label FROM customers) c USING (label)', 'p:email v:email'],
  [
    'MERGE INTO archive a USING customers c ON c.id = a.id WHEN NOT MATCHED THEN INSERT (contact) VALUES (c.email)',
    'v:email',
  ],
  // by comparison
  ['SELECT email IS NULL FROM customers', 'p:email'],
  ['SELECT id FROM plain TABLESAMPLE system ((SELECT length(email) FROM customers LIMIT 1))', 'v:email'],
  ['INSERT INTO customers (id) VALUES (1) ON CONFLICT (lower(email)) DO NOTHING', 'p:email'],
  ['INSERT INTO customers (id) VALUES (1) ON CONFLICT (id) WHERE ssn IS NULL DO NOTHING', 'p:ssn'],
  [
    'INSERT INTO customers (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET id = 2 WHERE customers.ssn IS NULL',
    'p:ssn',
  ],
  ['MERGE INTO plain p USING customers c ON c.email = p.label WHEN MATCHED THEN DELETE', 'p:email v:email'],
  ['MERGE INTO plain p USING customers c ON c.id = p.id WHEN MATCHED AND c.ssn IS NULL THEN DELETE', 'p:ssn'],
  ["SELECT CASE email WHEN 'a' THEN 1 END FROM customers", 'p:email'],
  ['SELECT nullif(name, email) FROM customers', 'p:email v:email'],
  ['SELECT rank() OVER w FROM customers WINDOW w AS (PARTITION BY email)', 'p:email'],
  ['SELECT id FROM customers WHERE email IN (SELECT label FROM plain)', 'p:email'],
  ['SELECT (ARRAY[1, 2])[length(email)] FROM customers', 'v:email'],
  ["SELECT id FROM customers WHERE email = 'a@b'", 'p:email'],
  ["SELECT id FROM customers WHERE email LIKE 'a%' OR ssn IN ('1', '2')", 'p:email p:ssn'],
  ["SELECT email = 'a@b' FROM customers", 'p:email'],
  ['SELECT id FROM customers ORDER BY email', 'p:email'],
  ['SELECT count(*) FROM customers GROUP BY email', 'p:email'],
  ['SELECT count(email), count(DISTINCT ssn) FROM customers', 'p:email p:ssn'],
  ["SELECT count(*) FROM customers HAVING max(email) > 'x'", 'p:email'],
  ['SELECT o.id FROM orders o JOIN customers c ON c.email = o.note', 'p:email'],
  ['SELECT 1 FROM customers a JOIN customers b USING (email)', 'p:email'],
  ['SELECT id FROM orders WHERE note IN (SELECT email FROM customers)', 'p:email'],
  ['SELECT id FROM orders WHERE EXISTS (SELECT 1 FROM customers WHERE email = note)', 'p:email'],
  ["SELECT id FROM customer_emails WHERE mail = 'x'", 'p:email'],
  ["DELETE FROM customers WHERE email = 'x'", 'p:email'],
  ['EXPLAIN SELECT email FROM customers', 'p:email'],
  ['SELECT DISTINCT ON (email) id FROM customers', 'p:email'],
  ["SELECT find_customer('a@b')", 'p:email'],
  ['SELECT count(*) FILTER (WHERE ssn IS NULL) FROM customers', 'p:ssn'],
  ['SELECT email e FROM customers ORDER BY e', 'p:email v:email'],
  ['SELECT id, email FROM customers ORDER BY 2', 'p:email v:email'],
  ['COPY customers (id) FROM STDIN WHERE email IS NULL', 'p:email'],
  // defined over a table
  ['ALTER TABLE customers ADD CHECK (email IS NOT NULL)', 'p:email'],
  ['CREATE INDEX ON customers (lower(email))', 'p:email'],
  ['CREATE POLICY p ON customers USING (email = current_user)', 'p:email'],
  ['ALTER POLICY p ON customers USING (ssn IS NULL)', 'p:ssn'],
  [
    'CREATE TRIGGER t BEFORE UPDATE ON customers FOR EACH ROW WHEN (old.email IS NULL) EXECUTE FUNCTION stamp()',
    'p:email',
  ],
  ['CREATE RULE r AS ON UPDATE TO customers WHERE new.ssn IS NULL DO NOTHING', 'p:ssn'],
  ['CREATE VIEW v AS SELECT email FROM customers', 'v:email'],
  ['ALTER TABLE customers RENAME COLUMN email TO mail', 'v:email'],
  ['ALTER TABLE customers RENAME COLUMN name TO mail', ''],
  ['ALTER TABLE customers RENAME TO people', ALL],
  // written
  ["UPDATE customers SET email = 'x' WHERE id = 1", 'w:email'],
  ['UPDATE customers SET email = lower(email) WHERE id = 1', 'p:email w:email'],
  ['UPDATE customers SET name = email', 'v:email'],
  ["INSERT INTO customers VALUES (1, 'n', 'a@b')", 'w:email'],
  ["INSERT INTO customers (ssn) VALUES ('1')", 'w:ssn'],
  [
    "INSERT INTO customers (id, name) VALUES (1, 'x') ON CONFLICT (email) DO UPDATE SET ssn = excluded.ssn",
    'p:email w:ssn',
  ],
  ["UPDATE customer_emails SET mail = 'x' WHERE id = 1", 'w:email'],
];

describe('lineage', () => {
  it('is tried on at least 100 statements', () => {
    expect(corpus.length).toBeGreaterThanOrEqual(100);
  });
  it.each(corpus)('%s → %s', (sql, expected) => {
    expect(uses(sql)).toBe([...new Set(expected.split(' '))].join(' '));
  });
});

describe('places that keep values of other tables', () => {
  it.each([
    ['SELECT * FROM pg_stats', STATS('pg_stats.*')],
    [
      "SELECT most_common_vals FROM pg_stats WHERE tablename = 'customers'",
      STATS('pg_stats.most_common_vals'),
    ],
    ['SELECT query FROM pg_stat_activity', STATS('pg_stat_activity.query')],
    ['SELECT s FROM pg_statistic s', `${STATS('pg_statistic.*')} ${STATS('pg_statistic.s')}`],
    ['SELECT data FROM pg_catalog.pg_largeobject', STATS('pg_largeobject.data')],
    ['SELECT lo_get(1)', STATS('lo_get.*')],
    ['SELECT * FROM pg_stat_get_activity(NULL)', STATS('pg_stat_get_activity.*')],
    ['SELECT n_distinct FROM pg_stats', ''],
    ['SELECT state, pid FROM pg_stat_activity', ''],
    ['SELECT count(*) FROM pg_stats', ''],
  ])('%s → %s', (sql, expected) => {
    expect(uses(sql)).toBe(expected);
  });

  it('are no source in a database without tags', () => {
    expect(uses('SELECT * FROM pg_stats', { tagsOf: () => null })).toBe('');
  });
});

describe('without a catalog', () => {
  it('goes by names', () => {
    expect(uses('SELECT c.email FROM customers c WHERE ssn IS NULL', { catalog: null })).toBe(
      'p:ssn v:email',
    );
    expect(facts('SELECT email FROM customers', { catalog: null }).statements[0]?.relations[0]?.known).toBe(
      false,
    );
  });
  it('cannot tell what * stands for', () => {
    expect(facts('SELECT * FROM customers', { catalog: null }).class).toBe('unknown');
    expect(facts('SELECT id FROM customers', { catalog: null }).class).toBe('read');
  });
});

describe('names that may mean several relations', () => {
  it('count for each when the search path is not known', () => {
    const anywhere = { resolution: { searchPath: null, tempRelations: [] } };
    expect(uses('SELECT email FROM customers', anywhere)).toBe('v:email v:other.email');
  });
  it('follow the search path otherwise', () => {
    expect(
      uses('SELECT email FROM customers', {
        resolution: { searchPath: ['other', 'public'], tempRelations: [] },
      }),
    ).toBe('v:other.email');
    const second = { searchPath: ['nowhere', 'public'], tempRelations: [] };
    expect(uses('SELECT email FROM customers', { resolution: second })).toBe('v:email');
  });
  it('follow it in a later statement of the string too', () => {
    const resolution = { searchPath: ['other', 'public'], tempRelations: [] };
    expect(uses('SELECT 1; SELECT email FROM customers', { resolution })).toBe('v:other.email');
  });
  it('mean in a function what its own search path says', () => {
    const under = (path: string) => {
      const body = 'SELECT email FROM customers';
      const made = (f: CatalogFunction) => ({ ...f, body, config: [`search_path=${path}`] });
      const functions = catalog.functions.map((f) => (f.name === 'get_emails' ? made(f) : f));
      return uses('SELECT get_emails()', { catalog: { ...catalog, functions } });
    };
    expect(under('"other"')).toBe('v:other.email');
    expect(under('nowhere, other')).toBe('v:other.email');
    expect(under('"$user"')).toBe('v:email v:other.email');
    // Whose role may not use `other` comes to `public`.
    expect(under('"other", public')).toBe('v:email v:other.email');
  });
  it('mean any of the functions that have the name', () => {
    const also = (body: string) =>
      catalog.functions.flatMap((f) =>
        f.name === 'get_emails' ? [f, { ...f, oid: f.oid + 50_000, body }] : [f],
      );
    const functions = also('SELECT 1');
    for (const list of [functions, functions.toReversed()])
      expect(uses('SELECT o.get_emails FROM orders o', { catalog: { ...catalog, functions: list } })).toBe(
        'v:email',
      );
  });
  it('mean in an SQL-standard body what they mean there', () => {
    const functions = catalog.functions.map((f) =>
      f.name === 'plus_one' ? { ...f, body: 'RETURN (SELECT email FROM public.customers)' } : f,
    );
    expect(uses('SELECT plus_one(1)', { catalog: { ...catalog, functions } })).toBe('v:email');
  });
  it('count for all of a view whose columns are not those of its query', () => {
    const relations = catalog.relations.map((r) =>
      r.name === 'customer_emails' ? { ...r, definition: 'SELECT email FROM public.customers' } : r,
    );
    expect(uses('SELECT mail FROM customer_emails', { catalog: { ...catalog, relations } })).toBe('v:email');
  });
  it('still count when a temporary relation has the name', () => {
    expect(
      uses('SELECT email FROM customers', {
        resolution: { searchPath: ['public'], tempRelations: ['customers'] },
      }),
    ).toBe('v:email');
  });
});

it('tags of a parent hold for partitions of partitions', () => {
  const [part] = catalog.relations.filter(({ name }) => name === 'events_2026');
  const relations = part
    ? [...catalog.relations, { ...part, oid: 1, name: 'events_2026_01', parents: [part.oid] }]
    : [];
  expect(uses('SELECT actor_email FROM events_2026_01', { catalog: { ...catalog, relations } })).toBe(
    'v:events.actor_email',
  );
});

it('a table that moves to a schema where its columns are not tagged shows them', () => {
  const tagsOf: typeof input.tagsOf = (schema, _relation, column) =>
    schema === 'public' && column === 'email' ? 'email' : null;
  expect(uses('ALTER TABLE customers SET SCHEMA other', { tagsOf })).toBe('v:email');
  expect(uses('ALTER TABLE customers SET SCHEMA public', { tagsOf })).toBe('');
});

describe('a column of a subquery without a name has that of', () => {
  it.each([
    ['name', 'name'],
    ['lower(name)', 'lower'],
    ['name::text', 'name'],
    ["'x'::text", 'text'],
    ['name COLLATE "C"', 'name'],
    ['(o).name', 'name'],
    ['(ARRAY[name])[1]', 'array'],
    ['EXISTS (SELECT 1)', 'exists'],
    ['ARRAY (SELECT 1)', 'array'],
    ['(SELECT label FROM plain)', 'label'],
    ['(SELECT id AS x FROM plain)', 'x'],
    ["coalesce(name, 'x')", 'coalesce'],
    ['CASE WHEN true THEN 1 END', 'case'],
    ['CASE WHEN true THEN 1 ELSE id END', 'id'],
    ['ARRAY[name]', 'array'],
    ['ROW(name, id)', 'row'],
    ['greatest(id, 1)', 'greatest'],
    ['least(id, 1)', 'least'],
    ['id + 1', '?column?'],
  ])('%s: %s', (expression, name) => {
    expect(uses(`SELECT s."${name}" FROM (SELECT ${expression}, email FROM customers o) s`)).toBe('');
  });
});

describe('tags of columns', () => {
  const where = (sql: string, name: string, change: object): string => {
    const relations = catalog.relations.map((r) => (r.name === name ? { ...r, ...change } : r));
    return uses(sql, { catalog: { ...catalog, relations } });
  };
  const tagged = { name: 'x', type: 'text', comment: 'email', generated: null };

  it('are those of a view itself, and those of its query', () => {
    expect(where('SELECT x FROM customer_names', 'customer_names', { columns: [tagged, tagged] })).toBe(
      'v:customer_names.x',
    );
  });

  it('are those of a generated column itself, and those of its expression', () => {
    const columns = [tagged, { ...tagged, name: 'y', comment: 'ssn', generated: 'lower(x)' }];
    expect(where('SELECT y FROM plain', 'plain', { columns })).toBe('v:plain.x v:plain.y');
  });

  it('hold for the statements that an extension shows, in whatever schema it is', () => {
    const columns = [{ ...tagged, name: 'query', comment: 'statement' }];
    const renamed = { name: 'pg_stat_statements', columns };
    expect(where('SELECT query FROM public.pg_stat_statements', 'plain', renamed)).toBe(
      'v:pg_stat_statements.query',
    );
    expect(
      where('SELECT query FROM public.pg_stat_statements', 'plain', {
        ...renamed,
        columns: [{ ...tagged, name: 'query', comment: null }],
      }),
    ).toBe('v:pg_stat_statements.query');
  });

  it('of a relation of the server hold beside a table of the same name', () => {
    expect(where('SELECT most_common_vals FROM pg_stats', 'plain', { name: 'pg_stats' })).toBe(
      STATS('pg_stats.most_common_vals'),
    );
  });
});

it.each([
  [
    'WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t, customers c WHERE n < 5) SELECT n FROM t',
    '',
  ],
  ['WITH RECURSIVE t AS (SELECT id, email FROM customers UNION ALL SELECT * FROM t) SELECT id FROM t', ''],
  [
    'WITH RECURSIVE t AS (SELECT id, email FROM customers UNION ALL SELECT * FROM t) SELECT email FROM t',
    'v:email',
  ],
  [
    'WITH RECURSIVE a AS (SELECT e FROM b), b AS (SELECT email AS e FROM customers) SELECT e FROM a',
    'v:email',
  ],
  [
    'WITH RECURSIVE t(n) AS (SELECT * FROM get_emails() UNION ALL SELECT n FROM t) SELECT n FROM t',
    'v:email',
  ],
])('a recursive query names its own columns: %s', (sql, expected) => {
  expect(uses(sql)).toBe(expected);
  expect(facts(sql).statements[0]).not.toHaveProperty('unresolved');
});

it('a recursive query has the column that SEARCH adds', () => {
  const sql =
    'WITH RECURSIVE t(e) AS (SELECT email FROM customers UNION ALL SELECT e FROM t) SEARCH DEPTH FIRST BY e SET o SELECT o FROM t';
  expect(uses(sql)).toBe('v:email');
  expect(facts(sql).statements[0]).not.toHaveProperty('unresolved');
});

it('a temporary relation has columns of its own', () => {
  const resolution = { searchPath: ['public'], tempRelations: ['scratch'] };
  expect(facts('SELECT * FROM scratch', { resolution }).class).toBe('read');
});

describe('names from Object.prototype', () => {
  it.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty'])(
    '%s is a name like any other',
    (name) => {
      expect(
        facts(`SELECT "${name}" AS "${name}", "${name}"."${name}" FROM orders "${name}"`).statements,
      ).toHaveLength(1);
      expect(facts(`SELECT "${name}"(1)`).class).toBe('unknown');
    },
  );
});

describe('redactions', () => {
  it('are of the literals alone, whatever characters stand beside them: nobody hides the rest of a statement', () => {
    for (const odd of ['\u0001', '\u001b', '\b\f\v', '\u007f', '\u0085']) {
      const sql = `DELETE FROM customers /* é${odd} */ WHERE email = 'a${odd}b' OR true`;
      const found = facts(sql).redactions;
      expect(found.map(({ start, end }) => sql.slice(start, end))).toEqual([`'a${odd}b'`]);
    }
  });

  const shown = (sql: string): string => {
    let text = sql;
    for (const { start, end, label } of [...facts(sql).redactions].reverse()) {
      text = text.slice(0, start) + label + text.slice(end);
    }
    return text;
  };
  it.each<[string, string]>([
    ["SELECT id FROM customers WHERE email = 'a@b'", 'SELECT id FROM customers WHERE email = <pii:text>'],
    [
      "SELECT 'é😀', id FROM customers WHERE email = 'ä😀' AND id = 5",
      'SELECT <pii:text>, id FROM customers WHERE email = <pii:text> AND id = 5',
    ],
    [
      "SELECT id FROM customers WHERE ssn IN ('1', $$2$$, E'3\\'', U&'d!0061' UESCAPE '!')",
      'SELECT id FROM customers WHERE ssn IN (<pii:text>, <pii:text>, <pii:text>, <pii:text>)',
    ],
    [
      'SELECT id FROM customers WHERE credit_card = 4111 LIMIT 10',
      'SELECT id FROM customers WHERE credit_card = <pii:number> LIMIT 10',
    ],
    [
      'SELECT id FROM customers WHERE credit_card = -4111',
      'SELECT id FROM customers WHERE credit_card = <pii:number>',
    ],
    [
      "INSERT INTO customers (id, name, email) VALUES (1, 'n', 'a@b'), (2, 'm', 'c' || '@d')",
      "INSERT INTO customers (id, name, email) VALUES (1, 'n', <pii:text>), (2, 'm', <pii:text> || <pii:text>)",
    ],
    [
      "UPDATE customers SET name = 'x', email = 'y' WHERE id = 3",
      "UPDATE customers SET name = 'x', email = <pii:text> WHERE id = 3",
    ],
    [
      "SELECT id FROM customers WHERE created_at > now() - interval '1 day' AND email = 'a'",
      "SELECT id FROM customers WHERE created_at > now() - interval '1 day' AND email = <pii:text>",
    ],
    [
      "WITH p(x) AS (VALUES ('a@b')) SELECT id FROM customers JOIN p ON email = x",
      'WITH p(x) AS (VALUES (<pii:text>)) SELECT id FROM customers JOIN p ON email = x',
    ],
    ["SELECT id FROM orders WHERE status = 'open'", "SELECT id FROM orders WHERE status = 'open'"],
    ['SELECT email FROM customers WHERE id = 7', 'SELECT email FROM customers WHERE id = 7'],
    ["SELECT find_customer('a@b')", 'SELECT find_customer(<pii:text>)'],
    [
      "SELECT 1 FROM customers WHERE ssn = B'1' AND 'b' = 'b' AND 'c' = (SELECT label FROM plain) AND name = trusted_one('d')",
      'SELECT <pii:number> FROM customers WHERE ssn = <pii:bits> AND <pii:text> = <pii:text> AND <pii:text> = (SELECT label FROM plain) AND name = trusted_one(<pii:text>)',
    ],
    [
      "DELETE FROM customers WHERE email = 'a' AND name IN ('b', 'c') AND lower(name) = lower('D') AND name = ANY (ARRAY['e']) AND name < 'f' COLLATE \"C\"",
      "DELETE FROM customers WHERE email = <pii:text> AND name IN ('b', 'c') AND lower(name) = lower('D') AND name = ANY (ARRAY['e']) AND name < 'f' COLLATE \"C\"",
    ],
    [
      "INSERT INTO customers (name, email) SELECT 'n', 'e'",
      "INSERT INTO customers (name, email) SELECT 'n', <pii:text>",
    ],
    [
      "SELECT left(name, 3) FROM customers WHERE email = 'a' AND EXISTS (SELECT 1 FROM plain)",
      'SELECT left(name, 3) FROM customers WHERE email = <pii:text> AND EXISTS (SELECT 1 FROM plain)',
    ],
    ["EXECUTE p('a@b')", 'EXECUTE p(<pii:text>)'],
    [
      "SELECT id FROM customer_contacts WHERE contact = 'A'",
      'SELECT id FROM customer_contacts WHERE contact = <pii:text>',
    ],
    [
      "SELECT 1; DELETE FROM customers WHERE email = 'ü'",
      'SELECT 1; DELETE FROM customers WHERE email = <pii:text>',
    ],
    [
      "DO $$ BEGIN UPDATE customers SET ssn = '123' WHERE id = 5; END $$",
      'DO $$ BEGIN UPDATE customers SET ssn = <pii:text> WHERE id = <pii:number>; END $$',
    ],
    [
      "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT id FROM customers WHERE ssn = ''12'''",
      'CREATE FUNCTION f() RETURNS int LANGUAGE sql AS <pii:code>',
    ],
    ["DO E'BEGIN PERFORM 1 FROM customers WHERE ssn = \\'12\\'; END'", 'DO <pii:code>'],
    ["DO U&'BEGIN PERFORM 1 FROM customers WHERE !0073sn = 1; END' UESCAPE '!'", '<pii:statement>'],
    ["SELECT id FROM customers WHERE email = 'a'\n 'b'", 'SELECT id FROM customers WHERE email = <pii:text>'],
    [
      "SELECT id FROM customers WHERE email = 'x'::varchar(20)",
      'SELECT id FROM customers WHERE email = <pii:text>::varchar(20)',
    ],
    [
      "MERGE INTO customers c USING plain p ON c.id = p.id WHEN NOT MATCHED THEN INSERT (id, email) VALUES (1, 'a')",
      'MERGE INTO customers c USING plain p ON c.id = p.id WHEN NOT MATCHED THEN INSERT (id, email) VALUES (1, <pii:text>)',
    ],
    [
      "SELECT * FROM (SELECT email e FROM customers) s WHERE 'q' = s.e",
      'SELECT * FROM (SELECT email e FROM customers) s WHERE <pii:text> = s.e',
    ],
  ])('%s', (sql, expected) => {
    expect(shown(sql)).toBe(expected);
  });

  it.each<[string, readonly number[]]>([
    ['SELECT id FROM customers WHERE email = $1 AND id = $2', [0]],
    ['INSERT INTO customers (id, email) VALUES ($1, $2)', [1]],
    ['UPDATE customers SET email = $2 WHERE id = $1', [1]],
    ['SELECT id FROM customers WHERE id = $1 OR (email = $1)', [0]],
    ['SELECT id FROM orders WHERE id = $1', []],
    ['SELECT email FROM customers WHERE id = $1 LIMIT $2', []],
  ])('binds of %s', (sql, expected) => {
    expect(facts(sql).taggedBinds).toEqual(expected);
  });
});

describe('a recursive query', () => {
  const names = (count: number) => Array.from({ length: count }, (_, i) => `c${i}`);
  const further = (count: number): string => {
    const first = names(count).map((_, i) => (i === count - 1 ? 'email' : "'x'"));
    const then = [...names(count).slice(1), "'y'"];
    return `WITH RECURSIVE r (${names(count)}) AS (SELECT ${first} FROM customers UNION ALL SELECT ${then} FROM r) SELECT c0 FROM r`;
  };
  const before = (count: number): string => {
    const last = `c${count} (v) AS (SELECT email FROM customers)`;
    const each = names(count).map((name, i) => `${name} (v) AS (SELECT v FROM c${i + 1})`);
    return `WITH RECURSIVE ${each}, ${last} SELECT v FROM c0`;
  };
  it.each([2, 11, 12, 13, 30, 70])('carries a value over %s columns, and as many queries', (count) => {
    expect(uses(further(count))).toBe('v:email');
    expect(uses(before(count))).toBe('v:email');
  });

  it.each([
    further(300),
    'WITH RECURSIVE a AS (SELECT 1 AS x, b.* FROM b), b AS (SELECT a.* FROM a) SELECT * FROM a',
    'WITH RECURSIVE a AS (SELECT b.*, b.*, 1 AS x FROM b), b AS (SELECT a.*, a.* FROM a) SELECT * FROM a',
  ])('is not judged where that has no end', (sql) => {
    expect(analyse(sql, input)).toMatchObject({ kind: 'unjudgeable' });
  });
});

it('the query of a materialised view runs when it is refreshed', () => {
  const definition =
    ' SELECT customers.id, customers.email FROM public.customers WHERE (customers.ssn IS NULL);';
  const relations = catalog.relations.map((r) => (r.name === 'customer_summary' ? { ...r, definition } : r));
  expect(uses('REFRESH MATERIALIZED VIEW customer_summary', { catalog: { ...catalog, relations } })).toBe(
    'p:email p:ssn',
  );
});

it('system columns carry no tag without a catalog either', () => {
  const blind = { catalog: null, tagsOf: () => 'tagged' };
  expect(uses('SELECT ctid, xmin FROM orders', blind)).toBe('');
  expect(uses('SELECT id FROM orders', blind)).toBe('v:orders.id');
});

describe('the digest of definitions', () => {
  const changed = (relation: string, change: object): typeof input => ({
    ...input,
    catalog: {
      ...catalog,
      relations: catalog.relations.map((r) => (r.name === relation ? { ...r, ...change } : r)),
    },
  });
  it('changes with a view that is used, however deep', () => {
    const before = facts('SELECT * FROM customer_contacts').definitionsDigest;
    const after = changed('customer_emails', { definition: 'SELECT 1, 2' });
    expect(facts('SELECT * FROM customer_contacts', after).definitionsDigest).not.toBe(before);
  });
  it('does not change with a view that is not', () => {
    const before = facts('SELECT * FROM orders').definitionsDigest;
    expect(
      facts('SELECT * FROM orders', changed('customer_emails', { definition: 'SELECT 1, 2' }))
        .definitionsDigest,
    ).toBe(before);
  });
  it('changes with the body of a function', () => {
    const before = facts('SELECT purge()').definitionsDigest;
    const functions = catalog.functions.map((f) =>
      f.name === 'purge' ? { ...f, body: 'DELETE FROM public.orders; SELECT 2' } : f,
    );
    expect(facts('SELECT purge()', { catalog: { ...catalog, functions } }).definitionsDigest).not.toBe(
      before,
    );
  });
  it('changes with the table whose rows a function returns', () => {
    const digest = (label: string): string => {
      const relations = catalog.relations.map((one) =>
        one.name === 'plain'
          ? { ...one, columns: one.columns.map((column) => ({ ...column, name: label })) }
          : one,
      );
      const rowType = catalog.relations.find(({ name }) => name === 'plain')?.oid ?? 0;
      const functions = catalog.functions.map((one) => (one.name === 'purge' ? { ...one, rowType } : one));
      return facts('SELECT purge()', { catalog: { ...catalog, relations, functions } }).definitionsDigest;
    };
    expect(digest('one')).not.toBe(digest('other'));
  });
});

describe('definitions that check the rows there are', () => {
  it.each([
    'ALTER TABLE customers ADD FOREIGN KEY (ssn) REFERENCES plain (label)',
    'ALTER TABLE customers ADD UNIQUE (id, ssn)',
    'ALTER TABLE customers ADD EXCLUDE (ssn WITH =)',
    'ALTER TABLE customers VALIDATE CONSTRAINT c',
    'CREATE UNIQUE INDEX ON customers (ssn)',
    'REINDEX TABLE customers',
    'CLUSTER customers',
    'ANALYZE customers',
    'ANALYZE',
  ])('%s compares tagged columns: its error may quote them', (sql) => {
    expect(facts(sql).statements[0]?.columns.map(({ tag, use }) => `${tag} ${use}`)).toContain(
      'ssn predicate',
    );
  });
  it.each(['ALTER TABLE customers ADD UNIQUE (id)', 'CREATE UNIQUE INDEX ON plain (label)', 'ANALYZE plain'])(
    '%s does not',
    (sql) => {
      expect(facts(sql).touchesTagged).toBe(false);
    },
  );
});
