/** Rows as values: whole rows, columns that are rows, rows given to functions and put out by them. Attributes keep their tags. */
import { beforeAll, describe, expect, it } from 'vitest';
import { analyse, loadParser } from '../../src/policy/analyse.ts';
import type { CatalogFunction, CatalogRelation, Facts } from '../../src/policy/types.ts';
import { catalog, input } from './fixture.ts';

beforeAll(loadParser);

const model = catalog.relations.find(({ name }) => name === 'plain');
const other = catalog.functions.find(({ name }) => name === 'plus_one');
if (model === undefined || other === undefined) throw new Error('the fixture has changed');
const plain = model.oid;
const customers = catalog.relations.find(({ name }) => name === 'customers')?.oid ?? 0;
/** `part:5` is a column that holds rows of relation 5, `x!` is tagged. */
const table = (oid: number, name: string, columns: string, more: Partial<CatalogRelation> = {}) => ({
  ...model,
  oid,
  name,
  columns: columns.split(' ').map((column) => {
    const [head = '', rowType] = column.split(':');
    return {
      name: head.replace('!', ''),
      type: 'text',
      generated: null,
      comment: head.endsWith('!') ? 'secret' : null,
      rowType: rowType === undefined ? null : Number(rowType),
    };
  }),
  ...more,
});
const relations: readonly CatalogRelation[] = [
  ...catalog.relations,
  table(9_001, 'a', `id part:${customers}`),
  table(9_002, 'b', `id part:${plain}`),
  table(9_003, 'nested', 'id inner:9002'),
  table(9_004, 'self', 'self email!'),
  table(9_005, 'top', 'id data'),
  table(9_006, 'middle', 'id data', { parents: [9_005] }),
  table(9_008, 'kept', `id part!:${customers}`),
  table(9_009, 'shown', `part!:${customers}`, {
    relkind: 'v',
    definition: 'SELECT k.part FROM public.kept k',
  }),
  table(9_007, 'leaf', 'id data!', { parents: [9_006] }),
];
const fn = (name: string, body: string, more: Partial<CatalogFunction> = {}): CatalogFunction => ({
  ...other,
  oid: 8_000,
  name,
  body,
  volatility: 's',
  parameters: ['p'],
  ...more,
});

const ALL = 'v:customers.credit_card v:customers.email v:customers.ssn';

function facts(sql: string, made: readonly CatalogFunction[] = [], changed = relations): Facts {
  const functions = [...catalog.functions, ...made];
  const analysis = analyse(sql, { ...input, catalog: { ...catalog, relations: changed, functions } });
  if (analysis.kind !== 'facts') throw new Error(`${sql}: ${JSON.stringify(analysis)}`);
  return analysis;
}
function uses(sql: string, ...made: readonly CatalogFunction[]): string {
  const found = facts(sql, made).statements.flatMap(({ columns }) =>
    columns.map(({ use, relation, column }) => `${use.slice(0, 1)}:${relation}.${column}`),
  );
  return [...new Set(found)].sort().join(' ');
}

describe('the attribute of a row', () => {
  it.each([
    ['SELECT (part).email FROM a', 'v:customers.email'],
    ['SELECT (part).name FROM a', ''],
    // The name is that of a column further in as well.
    ['SELECT (SELECT (o.part).email FROM b LIMIT 1) FROM a o', 'v:customers.email'],
    ['SELECT (SELECT (o.part).label FROM a LIMIT 1) FROM b o', ''],
    ['SELECT part FROM shown', `${ALL} v:kept.part v:shown.part`],
    ['SELECT data FROM top', 'v:leaf.data'],
    ["UPDATE a SET part.name = 'x' WHERE id = 1", ''],
    ["UPDATE a SET part.email = 'x' WHERE id = 1", 'w:customers.email'],
  ])('%s: %s', (sql, expected) => {
    expect(uses(sql)).toBe(expected);
  });

  it('may be one of a source whose columns are not told apart, where that is nearer', () => {
    const made = "xmltable('/a' PASSING (c.email::xml) COLUMNS part plain PATH 'x') x";
    expect(uses(`SELECT (SELECT (part).label FROM ${made}) FROM b, customers c`)).toContain(
      'v:customers.email',
    );
  });
});

describe('a function of a row', () => {
  it.each([
    ['SELECT p.email', 'v:customers.email'],
    ['SELECT p.name', ''],
    ['SELECT ($1).email', 'v:customers.email'],
    ['SELECT ($1).*', ALL],
    ['SELECT p', ALL],
  ])('that says %s: %s', (body, expected) => {
    expect(uses('SELECT f(c) FROM customers c', fn('f', body))).toBe(expected);
    expect(uses('SELECT (c).f FROM customers c', fn('f', body))).toBe(expected);
    expect(uses('SELECT c.f FROM customers c', fn('f', body))).toBe(expected);
  });

  it('is one of several that are read side by side', () => {
    const pair = fn('pair', 'SELECT 1, 2', { parameters: [], outputs: ['a', 'b'] });
    expect(uses('SELECT a FROM ROWS FROM (pair(), get_emails()) AS s (a, b, c)', pair)).not.toBe('');
    expect(uses('SELECT * FROM ROWS FROM (pair(), get_emails()) AS s', pair)).toBe('v:customers.email');
    expect(uses('SELECT * FROM pair() AS s', pair)).toBe('');
  });

  it('counts for all of the row where its body cannot be read', () => {
    const unread = fn('f', 'SELECT p.name', { language: 'other' });
    expect(uses('SELECT f(c) FROM customers c', unread)).toBe(ALL);
  });

  it('counts for all of the row where its parameter has its name', () => {
    expect(uses('SELECT self(s) FROM self s', fn('self', 'SELECT self.self', { parameters: ['self'] }))).toBe(
      'v:self.email',
    );
  });

  it('may be meant besides a built-in of the name', () => {
    const upper = fn('upper', 'SELECT email FROM public.customers');
    expect(uses('SELECT o.upper FROM orders o', upper)).toBe('v:customers.email');
    expect(uses('SELECT nowhere.get_emails')).toBe('v:customers.email');
    const shown = fn('pg_stat_get_activity', 'SELECT 1, 2', { parameters: [], outputs: ['pid', 'query'] });
    expect(uses('SELECT query FROM pg_stat_get_activity(NULL)', shown)).not.toBe('');
  });
});

describe('definitions that rows are made of', () => {
  it.each([
    ['SELECT id FROM b', 'plain'],
    ['SELECT id FROM nested', 'plain'],
    ['SELECT id FROM nested', 'b'],
  ])('%s relies on %s', (sql, name) => {
    const changed = relations.map((one) =>
      one.name === name ? { ...one, columns: one.columns.slice(1) } : one,
    );
    expect(facts(sql, [], changed).definitionsDigest).not.toBe(facts(sql).definitionsDigest);
  });
});
