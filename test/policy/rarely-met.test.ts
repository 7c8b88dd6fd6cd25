/** Rules of the classifier that no statement of the corpora meets (test/suites/mutate.mjs names such). */
import { beforeAll, describe, expect, it } from 'vitest';
import { analyse, loadParser } from '../../src/policy/analyse.ts';
import type {
  CatalogFunction,
  CatalogRelation,
  CatalogSnapshot,
  StatementFacts,
} from '../../src/policy/types.ts';
import { catalog, input } from './fixture.ts';

beforeAll(loadParser);

function statement(sql: string, more: Partial<CatalogSnapshot>): StatementFacts {
  const analysis = analyse(sql, { ...input, catalog: { ...catalog, ...more, version: sql } });
  const found = analysis.kind === 'facts' ? analysis.statements[0] : undefined;
  if (found === undefined) throw new Error(JSON.stringify(analysis));
  return found;
}
function customers(): CatalogRelation {
  const found = catalog.relations.find(({ schema, name }) => schema === 'public' && name === 'customers');
  if (found === undefined) throw new Error('no customers');
  return found;
}

describe('what cannot be seen through is unknown', () => {
  it('an operator whose function nobody could read', () => {
    const custom = { customOperators: [{ schema: 'public', name: '<~>', calls: [] }] };
    expect(statement('SELECT 1 <~> 2', custom)).toMatchObject({
      class: 'unknown',
      unknowns: ['operator public.<~>'],
    });
  });

  it('a statement of more relations than are listed', () => {
    const children = Array.from({ length: 2100 }, (_, i): CatalogRelation => {
      return { ...customers(), oid: 100_000 + i, name: `part_${i}`, parents: [customers().oid] };
    });
    const found = statement('SELECT id FROM customers', { relations: [...catalog.relations, ...children] });
    expect(found.class).toBe('unknown');
    expect(found.unknowns).toContain('too many relations');
  });
});

describe('a trigger', () => {
  const withTrigger = (trigger: string, body: string | null): Partial<CatalogSnapshot> => {
    const name = trigger.split('.')[1] ?? '';
    const made: CatalogFunction = {
      oid: 90_000,
      schema: 'public',
      name,
      language: 'plpgsql',
      kind: 'f',
      volatility: 'v',
      body,
      config: [],
      securityDefiner: false,
      extension: null,
      calls: [],
    };
    return {
      relations: catalog.relations.map((one) =>
        one.oid === customers().oid ? { ...one, triggers: [trigger] } : one,
      ),
      functions: body === null ? catalog.functions : [...catalog.functions, made],
    };
  };
  const INSERT = 'INSERT INTO customers (id) VALUES (1)';

  it('that raises may show the row: its tagged columns are compared with', () => {
    const found = statement(
      INSERT,
      withTrigger('public.shout', "BEGIN RAISE NOTICE 'row %', NEW; RETURN NEW; END"),
    );
    expect(found.unknowns).toEqual([]);
    expect(found.columns.filter(({ use }) => use === 'predicate').map(({ column }) => column)).toContain(
      'email',
    );
  });

  it('of the server’s own, and one that policy trusts, is no unknown', () => {
    expect(statement(INSERT, withTrigger('pg_catalog.tsvector_update_trigger', null)).unknowns).toEqual([]);
    expect(statement(INSERT, withTrigger('public.trusted_one', null)).unknowns).toEqual([]);
    expect(statement(INSERT, withTrigger('public.gone', null)).unknowns).toEqual([
      'trigger function public.gone',
    ]);
  });
});

describe('the rows that a statement may change', () => {
  it.each([
    // orders and what goes with it: order_items is deleted, audit set to null; 100 rows each.
    ['DELETE FROM orders WHERE id = 7', 300],
    ['UPDATE plain SET label = $1', 100],
    ['SELECT id FROM orders', undefined],
    ['INSERT INTO plain SELECT * FROM plain', undefined],
    ['WITH gone AS (DELETE FROM plain RETURNING id) INSERT INTO audit (id) SELECT id FROM gone', undefined],
    ['DELETE FROM plain WHERE id = mystery()', undefined],
    ['DROP TABLE plain', undefined],
    ['DELETE FROM nowhere', undefined],
  ])('%s: %s', (sql, rows) => {
    expect(statement(sql, {}).rows).toBe(rows);
  });

  it('are unknown without statistics', () => {
    for (const rows of [-1, 0]) {
      const relations = catalog.relations.map((one) => (one.name === 'plain' ? { ...one, rows } : one));
      expect(statement('DELETE FROM plain', { relations })).not.toHaveProperty('rows');
    }
  });
});

describe('settings', () => {
  const of = (sql: string) => statement(sql, {}).settings;
  it.each([
    ['BEGIN ISOLATION LEVEL SERIALIZABLE', 'transaction_isolation', 'serializable', true, 'set'],
    ['START TRANSACTION READ ONLY', 'transaction_read_only', '1', true, 'set'],
    ['SET work_mem FROM CURRENT', 'work_mem', null, false, 'set'],
    ['SET LOCAL search_path TO DEFAULT', 'search_path', null, true, 'reset'],
    ['RESET search_path', 'search_path', null, false, 'reset'],
    ['RESET ALL', '*', null, false, 'reset'],
  ])('%s', (sql, name, value, local, form) => {
    expect(of(sql)).toContainEqual({ name, value, local, form });
  });

  it('may be any after a write to pg_settings', () => {
    expect(of("UPDATE pg_settings SET setting = 'x' WHERE name = 'role'")).toContainEqual({
      name: '*',
      value: null,
      local: false,
      form: 'unknown',
    });
  });
});
