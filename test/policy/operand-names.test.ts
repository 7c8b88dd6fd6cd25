/** Operators of users beside the server's own, where names may stand for something else than they do in the catalog. */
import { beforeAll, describe, expect, it } from 'vitest';
import { analyse, loadGrammar } from '../../src/policy/analyse.ts';
import type { CatalogOperand, CatalogOperator, ResolutionContext } from '../../src/policy/types.ts';
import { catalog, tagsOf } from './fixture.ts';

const TEXT = { type: 25, takes: [18, 19, 25, 1042, 1043] };
const INT = { type: 23, takes: [21, 23] };
const operator = (
  name: string,
  left: CatalogOperand = TEXT,
  right: CatalogOperand = INT,
  schema = 'public',
): CatalogOperator => ({
  schema,
  name,
  calls: ['public.mystery'],
  left,
  right,
});
const relations = catalog.relations.map((relation) => ({
  ...relation,
  columns: relation.columns.map((column) => ({ ...column, typeOid: column.name === 'id' ? 23 : 25 })),
}));

function unseen(
  sql: string,
  operators: readonly CatalogOperator[],
  more: Partial<ResolutionContext> = {},
): boolean {
  const analysis = analyse(sql, {
    catalog: { ...catalog, relations, customOperators: operators },
    resolution: { searchPath: ['public'], tempRelations: [], ...more },
    tagsOf,
    trustedFunctions: [],
  });
  if (analysis.kind !== 'facts') throw new Error(analysis.kind);
  return analysis.statements.some(({ unknowns }) => unknowns.includes('function public.mystery'));
}

beforeAll(() => loadGrammar(18));

describe('an operator of users', () => {
  const mixed = [operator('=')];
  const same = [operator('=', TEXT, TEXT)];
  it('is not meant between values of types that the server compares', () => {
    expect(unseen("SELECT id FROM plain WHERE label = 'x'", mixed)).toBe(false);
    expect(unseen("SELECT id FROM plain WHERE label = 'x'", same)).toBe(false);
    expect(unseen('SELECT id FROM plain WHERE label = 1', mixed)).toBe(true);
  });

  it.each([
    "DELETE FROM plain WHERE label = 'x'",
    "DELETE FROM plain USING orders o WHERE plain.label = 'x' AND o.id = plain.id",
    "UPDATE plain SET label = 'y' WHERE label = 'x'",
    "MERGE INTO plain p USING orders o ON p.label = 'x' WHEN MATCHED THEN DO NOTHING",
    "INSERT INTO plain (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET label = 'y' WHERE excluded.label = 'x'",
    "SELECT 1 FROM plain JOIN orders o ON o.id = plain.id WHERE label = 'x'",
    "SELECT 1 FROM plain TABLESAMPLE system (10) WHERE label = 'x'",
  ])('finds the types of columns in %s', (sql) => {
    expect(unseen(sql, mixed)).toBe(false);
    expect(unseen(sql.replace("= 'x'", '= 1'), mixed)).toBe(true);
  });

  it.each([
    `SELECT id FROM plain WHERE label COLLATE "C" = 'x'`,
    "SELECT id FROM plain WHERE label = ALL (ARRAY['x', 'y'])",
    "SELECT id FROM plain WHERE label = ANY (ARRAY['x', 'y'])",
    "SELECT id FROM plain WHERE label = ANY ('{x}'::text[])",
    "SELECT id FROM plain WHERE lower(label) = 'x'",
    "SELECT id FROM plain WHERE coalesce(label, 'y') = 'x'",
    "SELECT id FROM plain WHERE (SELECT p.label FROM plain p WHERE p.id = 1) = 'x'",
    'SELECT id FROM plain WHERE label IN (SELECT p.label FROM plain p)',
    "SELECT CASE label WHEN 'x' THEN 1 END FROM plain",
    "SELECT id FROM plain WHERE label IN ('x', 'y')",
    "SELECT id FROM plain WHERE nullif(label, 'x') IS NULL",
    "SELECT id FROM (SELECT id, label AS name FROM plain) s WHERE name = 'x'",
    "WITH s(i, name) AS (SELECT id, label FROM plain) SELECT i FROM s WHERE name = 'x'",
    "SELECT id FROM plain JOIN plain q USING (id, label) WHERE q.label = 'x'",
    "SELECT p.id FROM plain p, LATERAL (SELECT 1 WHERE p.label = 'x') s",
    "SELECT label FROM plain GROUP BY label HAVING max(id) > 1 AND label = 'x' ORDER BY label = 'x'",
    'SELECT (label IS NULL) = (id IS NULL) FROM plain',
    'SELECT (label IS NULL) = (id IN (1, 2) AND id < 3) FROM plain',
    'SELECT (label IS NULL) = ((id < 3) IS NOT TRUE) FROM plain',
  ])('finds the type of both sides of %s', (sql) => {
    expect(unseen(sql, mixed)).toBe(false);
  });

  it.each(['BETWEEN', 'NOT BETWEEN', 'BETWEEN SYMMETRIC', 'NOT BETWEEN SYMMETRIC'])(
    'finds the types of both bounds of %s',
    (between) => {
      const bounds = [operator('>='), operator('<=')];
      expect(unseen(`SELECT id FROM plain WHERE label ${between} 'a' AND 'b'`, bounds)).toBe(false);
      expect(unseen(`SELECT id FROM plain WHERE label ${between} 'a' AND 1`, bounds)).toBe(true);
      expect(unseen(`SELECT id FROM plain WHERE label ${between} 1 AND 'b'`, bounds)).toBe(true);
    },
  );

  it.each<[string, Partial<ResolutionContext>]>([
    ['a search_path that puts pg_catalog behind others', { searchPath: ['public', 'pg_catalog'] }],
    ['a search_path that is not known', { searchPath: null }],
  ])('of just those types is meant under %s', (_, more) => {
    expect(unseen("SELECT id FROM plain WHERE label = 'x'", same, more)).toBe(true);
    expect(unseen("SELECT id FROM plain WHERE label = 'x'", mixed, more)).toBe(false);
  });

  it('is meant where it is named by its schema', () => {
    expect(unseen("SELECT id FROM plain WHERE label OPERATOR(public.=) 'x'", same)).toBe(true);
    expect(unseen("SELECT id FROM plain WHERE label OPERATOR(pg_catalog.=) 'x'", same)).toBe(false);
  });

  it('of pg_catalog itself is meant: the server runs it in the place of its own', () => {
    expect(unseen("SELECT id FROM plain WHERE label = 'x'", [operator('=', TEXT, TEXT, 'pg_catalog')])).toBe(
      true,
    );
  });

  it('may be meant by columns of a temporary relation, which no catalog shows', () => {
    const more = { tempRelations: ['plain'] };
    expect(unseen("SELECT id FROM plain WHERE label = 'x'", mixed, more)).toBe(true);
    expect(unseen("SELECT id FROM public.plain WHERE label = 'x'", mixed, more)).toBe(false);
  });

  it('may be meant by a type that a temporary relation hides', () => {
    const cast = "SELECT id FROM plain WHERE label = '1'::int8";
    const wide = [operator('=', TEXT, { type: 1000, takes: [1000] })];
    expect(unseen(cast, wide)).toBe(false);
    expect(unseen(cast, wide, { tempRelations: ['int8'] })).toBe(true);
    expect(unseen(cast, wide, { searchPath: ['public', 'pg_catalog'] })).toBe(true);
  });

  it('may be meant by a parameter, whose type the client declares', () => {
    expect(unseen('SELECT id FROM plain WHERE label = $1', mixed)).toBe(true);
  });

  it('may be meant between literals alone, and by an operand that takes anything', () => {
    expect(unseen("SELECT 'a' = NULL", mixed)).toBe(true);
    expect(
      unseen('SELECT id FROM plain WHERE id ~~~ id', [operator('~~~', { type: 2283, takes: null })]),
    ).toBe(true);
  });
});
