/** Casts of users, from their types to built-in ones, run only where a value of such a type may be (facts/casts.ts). */
import { beforeAll, describe, expect, it } from 'vitest';
import { analyse, loadParser } from '../../src/policy/analyse.ts';
import type { CatalogRelation, CatalogSnapshot, StatementFacts } from '../../src/policy/types.ts';
import { catalog, input } from './fixture.ts';

beforeAll(loadParser);

const plain = catalog.relations.find(({ name }) => name === 'plain');
const lower = catalog.functions.find(({ name }) => name === 'plus_one');
if (plain === undefined || lower === undefined) throw new Error('the fixture has changed');

/** `type` is that of its rows, `types` are those of its columns. */
const table = (oid: number, name: string, type: number, types: readonly number[]): CatalogRelation => ({
  ...plain,
  oid,
  name,
  type,
  types,
});
const [GLOOM, GLUM, MERRY, ROW] = [700, 702, 710, 7_000];
const type = (oid: number, name: string, part = 0) => ({ oid, schema: 'public', name, part });
const cast = (from: number, called: string) => ({
  schema: 'pg_catalog',
  name: 'text',
  calls: [`public.${called}`],
  from,
});
const made: CatalogSnapshot = {
  ...catalog,
  types: [
    type(GLOOM, 'gloom'),
    type(701, '_gloom', GLOOM),
    type(GLUM, 'glum', GLOOM),
    type(MERRY, 'merry'),
    type(711, '_merry', MERRY),
  ],
  relations: [
    ...catalog.relations,
    table(9_001, 'glooms', ROW, [GLOOM]),
    table(9_002, 'merries', 7_001, [MERRY]),
    table(9_003, 'glums', 7_002, [GLUM]),
    table(9_004, 'holders', 7_003, [ROW]),
  ],
  functions: [
    ...catalog.functions,
    { ...lower, oid: 8_001, name: 'gloomy', types: [GLOOM] },
    { ...lower, oid: 8_002, name: 'merrily', types: [MERRY] },
  ],
  customOperators: [cast(GLOOM, 'mystery')],
};

function statement(
  sql: string,
  customOperators = made.customOperators,
  changed: readonly string[] = [],
  relations = made.relations,
  functions = made.functions,
) {
  const resolution = { ...input.resolution, changed };
  const snapshot = {
    ...made,
    relations,
    functions,
    customOperators,
    version: `${sql} ${customOperators.map(({ from }) => from)}`,
  };
  const analysis = analyse(sql, { ...input, resolution, catalog: snapshot });
  const found: StatementFacts | undefined = analysis.kind === 'facts' ? analysis.statements[0] : undefined;
  if (found === undefined) throw new Error(`${sql}: ${JSON.stringify(analysis)}`);
  return found;
}
const RUN = ['function public.mystery'];

describe('a cast from a type of users runs', () => {
  it.each([
    'SELECT label::text FROM glooms',
    'SELECT label::text FROM glums',
    'SELECT label::text FROM holders',
    "SELECT 'x'::gloom::text",
    "SELECT 'x'::glum::text",
    "SELECT ('{x}'::gloom[])[1]::text",
    "SELECT '{x}'::_gloom::text",
    "SELECT 'x'::glooms::text",
    'SELECT gloomy(1)::text',
    'SELECT count(*)::text FROM glooms',
    // Which type that is cannot be told.
    "SELECT 'x'::elsewhere.thing::text",
    `SELECT 'x'::"a-b"::text`,
    "SELECT 'x'::_merry::text",
  ])('%s', (sql) => {
    expect(statement(sql).unknowns).toEqual(RUN);
  });

  it('in what was made since the types were read', () => {
    expect(statement('SELECT label::text FROM plain', made.customOperators, ['*']).unknowns).toContain(
      'function public.mystery',
    );
  });

  it('from a type that is made of one, and from rows', () => {
    const stable = ['function public.mystery_stable'];
    const ofGlum = [cast(GLUM, 'mystery_stable')];
    expect(statement('SELECT label::text FROM glooms', ofGlum).unknowns).toEqual(stable);
    expect(statement('SELECT label::text FROM merries', ofGlum).unknowns).toEqual([]);
    const ofRow = [cast(ROW, 'mystery_stable')];
    expect(statement('SELECT glooms::text FROM glooms', ofRow).unknowns).toEqual(stable);
    expect(statement('SELECT label::text FROM merries', ofRow).unknowns).toEqual([]);
  });
});

describe('a cast from a type of users does not run', () => {
  it.each([
    'SELECT label::text FROM plain',
    'SELECT label::text FROM merries',
    "SELECT 'x'::merry::text",
    "SELECT 'x'::text",
    "SELECT 'x'::pg_catalog.text",
    'SELECT merrily(1)::text',
    'SELECT id FROM glooms',
    'SELECT label FROM glooms',
  ])('%s', (sql) => {
    expect(statement(sql).unknowns).toEqual([]);
  });
});

it('the casts of a table run to rows of its type', () => {
  const calls = [{ function: 'public.mystery_stable', on: 'write' as const, from: GLOOM }];
  const relations = [...made.relations, { ...table(9_005, 'assigned', 7_004, []), calls }];
  const of = (sql: string) => statement(sql, [], [], relations).unknowns;
  expect(of('SELECT ROW(1, label)::assigned FROM glooms')).toEqual(['function public.mystery_stable']);
  expect(of('SELECT ROW(1, label)::assigned FROM merries')).toEqual([]);
  expect(of('INSERT INTO assigned SELECT 1, label FROM glooms')).toEqual(['function public.mystery_stable']);
  expect(of('INSERT INTO assigned SELECT 1, label FROM merries')).toEqual([]);
});

it('a trigger may hold such a value in a variable', () => {
  const fires = { function: 'public.fires', on: ['insert' as const], before: true };
  const relations = made.relations.map((one) => (one.name === 'plain' ? { ...one, triggers: [fires] } : one));
  const of = (variable: string) => {
    const body = `DECLARE x ${variable} := 'x'; BEGIN NEW.label := x; RETURN NEW; END`;
    const functions = [...made.functions, { ...lower, oid: 8_003, name: 'fires', language: 'plpgsql', body }];
    return statement('INSERT INTO plain VALUES (1)', undefined, [], relations, functions).unknowns;
  };
  expect(of('gloom')).toEqual(RUN);
  expect(of('merry')).toEqual([]);
});

it('a cast to json runs where an extension makes json of rows', () => {
  const made = { oid: 8_004, name: 'st_asgeojson', language: 'c', body: null, extension: 'postgis' };
  const functions = [...catalog.functions, { ...lower, ...made }];
  const of = (sql: string) =>
    statement(sql, [{ ...cast(GLOOM, 'mystery'), name: 'json' }], [], undefined, functions).unknowns;
  expect(of('SELECT public.st_asgeojson(glooms) FROM glooms')).toEqual(RUN);
  expect(of('SELECT st_asgeojson(glooms) FROM glooms')).toEqual(RUN);
  expect(of('SELECT public.st_asgeojson(merries) FROM merries')).toEqual([]);
});

it('what EXECUTE is given may be cast to what was declared', () => {
  expect(statement('EXECUTE p((SELECT label FROM glooms))').unknowns).toEqual(RUN);
  expect(statement('EXECUTE p((SELECT label FROM merries))').unknowns).toEqual([]);
});

it('a temporary table that may hold such values is unknown from then on', () => {
  const kept = 'a temporary relation of a type with casts of its own';
  expect(statement('CREATE TEMP TABLE t AS SELECT label FROM glooms').unknowns).toEqual([kept]);
  expect(statement('CREATE TEMP TABLE t AS SELECT label FROM merries').unknowns).toEqual([]);
});
