/** Does a WHERE choose rows (facts/limits.ts)? On doubt it does not; what people write every day does. */
import { beforeAll, describe, expect, it } from 'vitest';
import { analyse, loadParser } from '../../src/policy/analyse.ts';
import type { CatalogRelation } from '../../src/policy/types.ts';
import { input } from './fixture.ts';

const types: Readonly<Record<string, string>> = { flag: 'boolean' };
const plainly = { comment: null, generated: null };
const made = (
  oid: number,
  name: string,
  columns: string,
  more: Partial<CatalogRelation> = {},
): CatalogRelation => ({
  oid,
  schema: 'public',
  name,
  relkind: 'r',
  columns: columns.split(' ').map((column) => ({
    name: column.replace('!', ''),
    type: types[column.replace('!', '')] ?? 'text',
    notNull: column.endsWith('!'),
    ...plainly,
  })),
  definition: null,
  parents: [],
  triggers: [],
  calls: [],
  rules: [],
  rowSecurity: false,
  rows: 100,
  ...more,
});
const relations = [
  made(1, 'base', 'id! code', {}),
  made(2, 't', 'id! code name email status flag parent deleted_at created_at price total data tags', {
    parents: [1],
  }),
  made(3, 'u', 'id! t_id name status'),
  made(4, 'v', 'ident', { relkind: 'v', definition: 'SELECT t.id AS ident FROM public.t' }),
  made(5, 'w', 'ident', {
    relkind: 'v',
    definition: "SELECT t.id AS ident FROM public.t WHERE t.status = 'x'",
  }),
];
const catalog = { ...(input.catalog ?? { takenAt: 0 }), relations, foreignKeys: [], functions: [] };

function missing(sql: string): boolean {
  const analysis = analyse(sql, {
    ...input,
    catalog: { version: '1', database: 'd', serverVersion: 180000, customOperators: [], ...catalog },
    resolution: { searchPath: ['public'], tempRelations: [] },
  });
  if (analysis.kind !== 'facts') throw new Error(`${analysis.kind}: ${sql}`);
  return analysis.statements.some(({ missingWhere }) => missingWhere);
}

beforeAll(loadParser);

describe('a WHERE that chooses', () => {
  it.each([
    'id = $1',
    '$1 = id',
    't.id = 5',
    'id IN (1, 2, 3)',
    'id = ANY ($1)',
    "id = ANY ('{1,2}'::int[])",
    'id NOT IN (1, 2)',
    'id <> 5',
    'id <> ALL ($1)',
    "status = 'x' OR status = 'y'",
    "status = 'x' AND true",
    "(status = 'x' OR 1 = 0) AND id = id",
    'deleted_at IS NULL',
    'deleted_at IS NOT NULL',
    'deleted_at IS DISTINCT FROM NULL',
    'flag',
    'NOT flag',
    'flag IS TRUE',
    'flag IS NOT TRUE',
    'flag = false',
    'coalesce(flag, true)',
    'coalesce(flag, false) = false',
    "coalesce(status, '') = ''",
    "created_at < now() - interval '1 day'",
    "now() - created_at > interval '1 day'",
    "created_at BETWEEN '2020-01-01' AND '2021-01-01'",
    "created_at NOT BETWEEN '2020-01-01' AND '2021-01-01'",
    "created_at < '2020-01-01' OR created_at > '2021-01-01'",
    'price < 0 OR price > 1000',
    'price < 5 OR price > 5',
    'deleted_at IS NULL OR deleted_at > now()',
    "created_at::date = '2020-01-01'",
    "date_trunc('day', created_at) = $1",
    'extract(year from created_at) = 2020',
    "lower(email) = 'x'",
    "name LIKE 'a%'",
    "name NOT LIKE 'a%'",
    "name ~ '^a'",
    "name SIMILAR TO 'a%'",
    "starts_with(name, 'a')",
    "data->>'x' = 'y'",
    "data->>'x' IS NULL",
    "data->>'x' IS NOT NULL",
    'price * total > 100',
    'price > total',
    'id % 10 = 3',
    "tags @> ARRAY['x']",
    "'x' = ANY (tags)",
    'email <> lower(email)',
    'name IS DISTINCT FROM trim(name)',
    'id IN (SELECT t_id FROM u)',
    "id IN (SELECT t_id FROM u WHERE status = 'x')",
    'id NOT IN (SELECT t_id FROM u)',
    "id IN (SELECT id FROM t WHERE status = 'x')",
    'id IN (SELECT id FROM t ORDER BY id LIMIT 100 FOR UPDATE SKIP LOCKED)',
    'ctid IN (SELECT ctid FROM t LIMIT 100)',
    'id NOT IN (SELECT min(id) FROM t GROUP BY email)',
    'id IN (SELECT max(id) FROM t GROUP BY email HAVING count(*) > 1)',
    'id = (SELECT max(id) FROM t)',
    'price < (SELECT avg(price) FROM t)',
    "(SELECT status FROM u WHERE u.t_id = t.id) = 'x'",
    'EXISTS (SELECT 1 FROM u WHERE u.t_id = t.id)',
    'NOT EXISTS (SELECT 1 FROM u WHERE u.t_id = t.id)',
    'EXISTS (SELECT 1 FROM t t2 WHERE t2.id <> t.id AND t2.email = t.email)',
    "EXISTS (SELECT 1 FROM t t2 WHERE t2.id = t.id AND t2.status = 'x')",
    'id IN (SELECT t2.id FROM t t2 JOIN u ON u.t_id = t2.id)',
    'id IN (SELECT t2.id FROM t t2 JOIN u USING (name))',
    'id IN (SELECT parent FROM t)',
    'id IN (SELECT ident FROM w)',
    '(id, code) IN (SELECT t_id, name FROM u)',
    "CASE WHEN flag THEN status = 'x' ELSE status = 'y' END",
    'CASE WHEN flag THEN false ELSE true END',
    'false',
    'CURRENT OF c',
  ])('UPDATE t … WHERE %s', (where) => {
    expect(missing(`UPDATE t SET name = 'n' WHERE ${where}`)).toBe(false);
  });

  it.each([
    'UPDATE t SET name = u.name FROM u WHERE u.t_id = t.id',
    "UPDATE t SET name = v.n FROM (VALUES (1, 'a')) v (id, n) WHERE v.id = t.id",
    'UPDATE t SET name = x.n FROM jsonb_to_recordset($1) x (id text, n text) WHERE x.id = t.id',
    'UPDATE t SET name = s.name FROM unnest($1::int[], $2::text[]) s (id, name) WHERE s.id = t.id',
    "UPDATE t SET flag = true FROM t s WHERE s.id = t.id AND s.status = 'x'",
    'UPDATE t SET flag = true FROM t s WHERE s.parent = t.id',
    "WITH s AS (SELECT id FROM t WHERE status = 'x') UPDATE t SET name = 'n' FROM s WHERE s.id = t.id",
    'WITH s AS (SELECT id FROM t LIMIT 10) UPDATE t SET name = 1 WHERE id IN (SELECT id FROM s)',
    "INSERT INTO t (id, name) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET name = excluded.name",
    "INSERT INTO t (id, name) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET name = excluded.name WHERE true",
    'INSERT INTO t (id, name) SELECT id, name FROM u ON CONFLICT (id) DO UPDATE SET name = excluded.name',
    "INSERT INTO t SELECT * FROM t WHERE status = 'x' ON CONFLICT (id) DO UPDATE SET name = 'n'",
    "INSERT INTO t SELECT * FROM t ON CONFLICT (id) DO UPDATE SET name = 'n' WHERE t.status = 'x'",
  ])('%s', (sql) => {
    expect(missing(sql)).toBe(false);
  });
});

describe('a WHERE that limits nothing', () => {
  it.each([
    'true',
    '1 = 1',
    "'a' = 'a'",
    'NOT false',
    '1 IN (1)',
    '$1',
    '$1 = $2',
    'now() > $1',
    'random() < 2',
    'id = id',
    't.id = id',
    'id = id::int',
    'id::text = id::varchar',
    'id >= id',
    'id = id + 0',
    'id < id + 1',
    'id <> id + 1',
    'id - id = 0',
    "name = name || ''",
    'name LIKE name',
    "name LIKE name || '%'",
    "name LIKE '%'",
    "name NOT SIMILAR TO '' OR name SIMILAR TO '%'",
    "name ~ ''",
    "starts_with(name, '')",
    'starts_with(name, name)',
    'id = abs(id)',
    'int4eq(id, id)',
    'id BETWEEN id AND id',
    'id BETWEEN SYMMETRIC id AND 5',
    'id IN (id)',
    'id IN (id, 5)',
    'id = ANY (ARRAY[id])',
    "id <> ALL ('{}')",
    'id IS NOT NULL',
    'id IS DISTINCT FROM NULL',
    'id::text IS NOT NULL',
    't IS NOT NULL',
    'ROW(id) IS NOT NULL',
    'ctid IS NOT NULL',
    'ctid = ctid',
    't = t',
    't.* IS NOT DISTINCT FROM t.*',
    'tableoid = 5',
    "pg_typeof(id) = 'integer'::regtype",
    '(id = NULL) IS NULL',
    '(id > 5) IS NOT UNKNOWN',
    '(id = 5) = (id = 5)',
    '(id = 5) IN (true, false)',
    'id > 0 OR id <= 0',
    'id > 0 OR 0 >= t.id',
    'id > 5 OR id < 10',
    'id > $1 OR id < $2',
    "created_at > 'yesterday' OR created_at < 'tomorrow'",
    'id < 5 OR id > 5 OR id = 5',
    "status <> 'x' OR status <> 'y'",
    "status = 'x' OR status <> 'x'",
    "status IN ('x') OR status NOT IN ('x')",
    'code IS NULL OR code IS NOT NULL',
    'NOT (code IS NULL AND code IS NOT NULL)',
    'flag OR NOT flag',
    'flag IN (true, false)',
    "flag = 't' OR flag = 'f'",
    'flag = true OR flag = false OR flag IS NULL',
    'flag IS TRUE OR flag IS NOT TRUE',
    '(id > 0 AND true) OR (id <= 0 AND 1 = 1)',
    'id BETWEEN 1 AND 5 OR id NOT BETWEEN 1 AND 5',
    "name LIKE 'a' OR name NOT LIKE 'a'",
    "status = 'x' OR true",
    'id = $1 OR $1 IS NULL',
    'coalesce(true, flag)',
    'coalesce(id = 5, true)',
    'CASE WHEN id = 5 THEN true ELSE true END',
    'CASE WHEN id = 5 THEN id = 5 ELSE id <> 5 END',
    'CASE id WHEN 5 THEN true ELSE true END',
    '(SELECT true)',
    '(SELECT id = id)',
    'EXISTS (SELECT 1)',
    'EXISTS (SELECT id)',
    'EXISTS (SELECT 1 FROM u)',
    'EXISTS (SELECT 1 FROM t)',
    'EXISTS (SELECT 1 FROM t t2 WHERE t2.id = t.id)',
    'EXISTS (SELECT count(*) FROM u WHERE u.t_id = t.id)',
    'NOT EXISTS (SELECT 1 WHERE false)',
    'NOT EXISTS (SELECT 1 FROM u WHERE u.t_id = t.id AND false)',
    'NOT EXISTS (SELECT 1 FROM u WHERE u.t_id = t.id LIMIT 0)',
    'id IN (SELECT id)',
    'id IN (SELECT id FROM t)',
    'id IN (SELECT t2.id FROM t t2 WHERE true)',
    'id IN (SELECT ident FROM (SELECT id AS ident FROM t) x)',
    'id IN (SELECT a FROM t x (a))',
    'id IN (TABLE v)',
    'id IN (SELECT id FROM base)',
    'id IN (SELECT DISTINCT id FROM t)',
    'id IN (SELECT id FROM t ORDER BY id OFFSET 0)',
    'id IN (SELECT id FROM t LIMIT ALL)',
    'id IN (SELECT max(id) FROM t GROUP BY id)',
    'id IN (SELECT id FROM t UNION SELECT t_id FROM u)',
    'id IN (SELECT id FROM t, u)',
    'id IN (SELECT t2.id FROM t t2 LEFT JOIN u ON u.t_id = t2.id)',
    'id IN (SELECT t2.id FROM t t2 JOIN t t3 ON t3.id = t2.id)',
    'id = ANY (SELECT id FROM t)',
    'id = ANY (ARRAY(SELECT id FROM t))',
    'id = ANY ((SELECT array_agg(id) FROM t)::text[])',
    'id = (SELECT id)',
    'id = (SELECT t2.id FROM t t2 WHERE t2.id = t.id)',
    'id <= (SELECT max(id) FROM t)',
    'ctid IN (SELECT ctid FROM t)',
    '(id, code) IN (SELECT id, code FROM t)',
    'id IN (WITH x AS (SELECT id FROM t) SELECT id FROM x)',
    // u has no `code`: it is the row's own.
    'code IN (SELECT code FROM u)',
  ])('UPDATE t … WHERE %s', (where) => {
    expect(missing(`UPDATE t SET name = 'n' WHERE ${where}`)).toBe(true);
  });

  it.each([
    "UPDATE t SET name = 'n' FROM (SELECT id FROM t) s WHERE s.id = t.id",
    "UPDATE t SET name = 'n' FROM t s WHERE s.id = t.id",
    "UPDATE t AS a SET name = 'n' FROM t WHERE a.id = t.id",
    "UPDATE t SET name = 'n' FROM v WHERE v.ident = t.id",
    "UPDATE t SET name = 'n' FROM u WHERE u.status = 'x'",
    "WITH s AS (SELECT id FROM t) UPDATE t SET name = 'n' FROM s WHERE s.id = t.id",
    "WITH s (a) AS (SELECT id FROM t) UPDATE t SET name = 'n' WHERE id IN (SELECT a FROM s)",
    "WITH s AS (SELECT id FROM t), d AS (UPDATE t SET name = 'n' WHERE id IN (SELECT id FROM s) RETURNING 1) SELECT 1",
    "INSERT INTO t SELECT * FROM t ON CONFLICT (id) DO UPDATE SET name = 'n'",
    "INSERT INTO t SELECT * FROM t ON CONFLICT (id) DO UPDATE SET name = 'n' WHERE true",
    "INSERT INTO t SELECT * FROM t ON CONFLICT (id) DO UPDATE SET name = 'n' WHERE excluded.id = t.id",
    "INSERT INTO t TABLE t ON CONFLICT (id) DO UPDATE SET name = 'n'",
    "INSERT INTO t SELECT * FROM (SELECT * FROM t) x ON CONFLICT (id) DO UPDATE SET name = 'n'",
    "WITH x AS (SELECT * FROM t) INSERT INTO t SELECT * FROM x WHERE true ON CONFLICT (id) DO UPDATE SET name = 'n'",
  ])('%s', (sql) => {
    expect(missing(sql)).toBe(true);
  });

  it('is told in time, however it is nested', () => {
    const deep = Array.from({ length: 60 }).reduce<string>(
      (inner) => `id IN (SELECT id FROM t WHERE ${inner})`,
      'true',
    );
    expect(missing(`UPDATE t SET name = 1 WHERE ${deep}`)).toBe(true);
    const wide = Array.from({ length: 2000 }, (_, i) => `id = ${i}`).join(' OR ');
    expect(missing(`UPDATE t SET name = 1 WHERE ${wide}`)).toBe(false);
    const mixed = Array.from({ length: 30 }, (_, i) => `(id = ${i} AND code = '${i}')`).join(' OR ');
    expect(missing(`UPDATE t SET name = 1 WHERE status = 'x' AND (${mixed})`)).toBe(false);
  });
});
