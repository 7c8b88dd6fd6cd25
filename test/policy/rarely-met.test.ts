/** Rules of the classifier that no statement of the corpora meets (test/suites/mutate.mjs names such). */
import { beforeAll, describe, expect, it } from 'vitest';
import { analyse, loadGrammar } from '../../src/policy/analyse.ts';
import { Collector } from '../../src/policy/facts/collector.ts';
import { transaction, variableSet } from '../../src/policy/facts/session.ts';
import { envOf } from '../../src/policy/lineage/env.ts';
import { STRANGE } from '../../src/policy/parse/parser.ts';
import { redact } from '../../src/policy/redact.ts';
import { analyseStatement } from '../../src/policy/statement.ts';
import {
  ANY_RELATION,
  type CatalogFunction,
  type CatalogRelation,
  type CatalogSnapshot,
  type StatementFacts,
} from '../../src/policy/types.ts';
import { catalog, input } from './fixture.ts';

beforeAll(() => loadGrammar(15));

function statement(
  sql: string,
  more: Partial<CatalogSnapshot>,
  resolution = input.resolution,
): StatementFacts {
  const analysis = analyse(sql, { ...input, resolution, catalog: { ...catalog, ...more, version: sql } });
  const found = analysis.kind === 'facts' ? analysis.statements[0] : undefined;
  if (found === undefined) throw new Error(JSON.stringify(analysis));
  return found;
}
function customers(): CatalogRelation {
  const found = catalog.relations.find(({ schema, name }) => schema === 'public' && name === 'customers');
  if (found === undefined) throw new Error('no customers');
  return found;
}

const fires = (name: string) => ({
  function: name,
  on: ['insert', 'update', 'delete'] as const,
  before: true,
});
const withTrigger = (
  trigger: string,
  body: string | null,
  more: Partial<CatalogFunction> = {},
): Partial<CatalogSnapshot> => {
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
    ...more,
  };
  return {
    relations: catalog.relations.map((one) =>
      one.oid === customers().oid ? { ...one, triggers: [fires(trigger)] } : one,
    ),
    functions: body === null ? catalog.functions : [...catalog.functions, made],
  };
};
const INSERT = 'INSERT INTO customers (id) VALUES (1)';

describe('what cannot be seen through is unknown', () => {
  it('an operator whose function nobody could read', () => {
    const custom = { customOperators: [{ schema: 'public', name: '<~>', calls: [] }] };
    expect(statement('SELECT 1 <~> 2', custom)).toMatchObject({
      class: 'unknown',
      unknowns: ['operator public.<~>'],
    });
  });

  it('but not one that is a function of the server by another name: it is that', () => {
    const by = (call: string, sql = 'SELECT 1 <~> 2') =>
      statement(sql, { customOperators: [{ schema: 'public', name: '<~>', calls: [call] }] });
    expect(by('pg_catalog.setval')).toMatchObject({ class: 'ddl', unknowns: [] });
    expect(by('pg_catalog.set_config').settings).toMatchObject([{ name: '*', value: null }]);
    const email = 'SELECT 1 FROM customers WHERE (email <~> 2) IS NULL';
    const used = (call: string) => by(call, email).columns.map(({ use }) => use);
    expect(used('pg_catalog.setseed')).toContain('value');
    expect(used('pg_catalog.pg_get_viewdef')).toContain('value');
    expect(used('pg_catalog.clock_timestamp')).toEqual(['predicate']);
    const [one] = catalog.functions.filter(({ name }) => name === 'mystery');
    if (one === undefined) throw new Error('mystery');
    const made = (support: string) =>
      statement('SELECT count(*) FROM (SELECT made(length(email)) FROM customers) s', {
        functions: [{ ...one, name: 'made', kind: 'a', set: false, supports: [support] }],
      }).columns.map(({ use }) => use);
    expect(made('pg_catalog.setseed')).toContain('value');
    expect(made('pg_catalog.float8pl')).toEqual(['predicate']);
  });

  it('a comparison of what every relation has in its system columns, where users wrote it', () => {
    const of = (sql: string) =>
      statement(sql, {
        customOperators: [
          { schema: 'pg_catalog', name: ANY_RELATION, compared: true, calls: ['public.mystery'] },
        ],
      }).unknowns;
    expect(of('SELECT id FROM plain ORDER BY xmin')).toEqual(['function public.mystery']);
    expect(of('SELECT xmin FROM plain')).toEqual([]);
    expect(of('SELECT 1 AS one ORDER BY one')).toEqual([]);
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

describe('the body of a trigger', () => {
  it('is unknown where its variables run checks or it changes settings', () => {
    const of = (body: string) => statement(INSERT, withTrigger('public.made', body)).unknowns;
    expect(of("DECLARE x checked_text; BEGIN x := 'a'; RETURN NEW; END")).toEqual(['type checked_text']);
    expect(of("BEGIN PERFORM set_config('search_path', 'evil', false); RETURN NEW; END")).toEqual([
      'settings in public.made',
    ]);
  });

  it('is unknown where it is no PL/pgSQL, or its text is cut into words otherwise', () => {
    const body = 'BEGIN RETURN NEW; END';
    for (const made of [{ language: 'plpython3u' }, { config: ['standard_conforming_strings=off'] }]) {
      expect(statement(INSERT, withTrigger('public.made', body, made)).unknowns).toEqual([
        'trigger function public.made',
      ]);
    }
  });

  it.each([
    ['does not parse', 'BEGIN RETURN'],
    ['says where another text may end', 'BEGIN RETURN NEW; END $holdpoint$ LANGUAGE plpgsql -- '],
    ['is too long', `BEGIN RETURN NEW; END${' '.repeat(64 * 1024)}`],
  ])('is unknown where it %s', (_why, body) => {
    expect(statement(INSERT, withTrigger('public.made', body)).unknowns).toEqual([
      'trigger function public.made',
    ]);
  });

  it('may write the table it hangs on', () => {
    const body = 'BEGIN UPDATE public.customers SET name = NEW.name WHERE id = NEW.id; RETURN NEW; END';
    expect(statement(INSERT, withTrigger('public.made', body)).unknowns).toEqual([]);
  });

  it('is not followed for ever', () => {
    const numbers = Array.from({ length: 30 }, (_, i) => i);
    const relations = numbers.map((i): CatalogRelation => {
      return { ...customers(), oid: 100_000 + i, name: `step_${i}`, triggers: [fires(`public.step_${i}`)] };
    });
    const functions = numbers.flatMap(
      (i) =>
        withTrigger(
          `public.step_${i}`,
          `BEGIN INSERT INTO public.step_${i + 1} (id) VALUES (1); RETURN NEW; END`,
          { oid: 90_000 + i },
        ).functions?.slice(-1) ?? [],
    );
    const found = statement('INSERT INTO step_0 (id) VALUES (1)', { relations, functions });
    expect(found.unknowns).toEqual([expect.stringMatching(/^trigger function public\.step_2\d$/)]);
  });

  it('runs at TRUNCATE where it is one of TRUNCATE', () => {
    const relations = catalog.relations.map((one) =>
      one.name === 'plain'
        ? { ...one, triggers: [{ function: 'public.gone', on: ['truncate' as const], before: true }] }
        : one,
    );
    expect(statement('TRUNCATE plain', { relations }).unknowns).toEqual(['trigger function public.gone']);
    const checked = relations.map((one) => ({
      ...one,
      calls: [{ function: 'public.unread', on: 'any' as const }],
    }));
    expect(statement('TRUNCATE plain', { relations: checked }).unknowns).toEqual([
      'trigger function public.gone',
    ]);
    expect(statement('DELETE FROM plain WHERE id = 1', { relations }).unknowns).toEqual([]);
  });

  it('before an UPDATE may set any other column', () => {
    const [from, to] = ['audit', 'triggered'].map((name) =>
      catalog.relations.find((one) => one.name === name),
    );
    const onUpdate = 'cascade' as const;
    const foreignKeys = [
      {
        from: from?.oid ?? 0,
        to: to?.oid ?? 0,
        columns: ['order_id'],
        keys: ['id'],
        onDelete: onUpdate,
        onUpdate,
      },
    ];
    const touched = (relations: readonly CatalogRelation[]) =>
      statement("UPDATE triggered SET label = 'x' WHERE id = 1", { foreignKeys, relations }).relations.map(
        ({ name }) => name,
      );
    expect(touched(catalog.relations)).toEqual(['triggered', 'audit']);
    expect(touched(catalog.relations.map((one) => ({ ...one, triggers: [] })))).toEqual(['triggered']);
  });

  it('is one of the definitions that are relied on', () => {
    const digest = (body: string): string => {
      const more = withTrigger('public.made', body);
      const analysis = analyse(INSERT, { ...input, catalog: { ...catalog, ...more } });
      return analysis.kind === 'facts' ? analysis.definitionsDigest : '';
    };
    expect(digest('BEGIN RETURN NEW; END')).not.toBe(digest('BEGIN RETURN NULL; END'));
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
    ['TRUNCATE plain', 100],
    ['WITH gone AS (DELETE FROM plain RETURNING id) SELECT id INTO made FROM gone', undefined],
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

describe('a WHERE', () => {
  it.each([
    ['true OR false', true],
    ['1 IS DISTINCT FROM 2', true],
    ['NULL', false],
    ['NOT id = ANY (ARRAY[id, total])', false],
    ['id IN (SELECT id FROM plain)', false],
    ['id IN (SELECT o.id FROM orders o, plain p)', true],
    ['EXISTS (SELECT FROM plain WHERE label = status)', false],
    ['(id = id) IS NOT FALSE', true],
    ['(id <> id) IS NOT TRUE', true],
    ['coalesce(id = id, false)', true],
    ["status ILIKE '%'", true],
    ["status ILIKE 'open%'", false],
    ['id BETWEEN SYMMETRIC 5 AND 1', false],
    ['id BETWEEN SYMMETRIC id AND id', true],
    ['(1 = 1 OR id = 7)::boolean', true],
  ])('%s admits every row: %s', (where, all) => {
    expect(statement(`DELETE FROM orders WHERE ${where}`, {}).missingWhere).toBe(all);
  });
});

describe('relations', () => {
  it('of the session are told as pg_temp', () => {
    const resolution = { ...input.resolution, tempRelations: ['scratch'] };
    expect(statement('DELETE FROM scratch WHERE id = 1', {}, resolution).relations).toEqual([
      { schema: 'pg_temp', name: 'scratch', access: 'delete', indirect: false, known: true },
    ]);
  });

  it('are named in the text even where a view reaches them too', () => {
    const found = statement('SELECT c.id FROM customers c JOIN customer_emails e ON e.id = c.id', {});
    expect(found.relations.find(({ name }) => name === 'customers')?.indirect).toBe(false);
  });

  it('behind a view are not touched where the view itself is dropped', () => {
    expect(statement('DROP VIEW customer_emails', {}).relations.map(({ name }) => name)).toEqual([
      'customer_emails',
    ]);
  });

  it('written through a view with rules are unknown, read they are not', () => {
    const relations = catalog.relations.map((one) =>
      one.name === 'customer_emails' ? { ...one, rules: ['delete' as const] } : one,
    );
    expect(statement('DELETE FROM customer_emails WHERE id = 1', { relations }).unknowns).toContain(
      'rules on public.customer_emails',
    );
    expect(statement('SELECT id FROM customer_emails', { relations }).unknowns).toEqual([]);
  });

  it('with children are followed where the same statement names them with ONLY too', () => {
    const found = statement('SELECT o.id FROM ONLY events o, events e', {});
    expect(found.relations.map(({ name }) => name)).toContain('events_2026');
  });

  it('moved between partitions are deleted from one before PostgreSQL 15', () => {
    const deleted = (serverVersion: number): boolean =>
      statement("UPDATE events SET actor = 'x' WHERE id = 1", { serverVersion }).relations.some(
        ({ name, access }) => name === 'events_2026' && access === 'delete',
      );
    expect([deleted(140_000), deleted(150_000)]).toEqual([true, false]);
  });

  it('are reached by implicit casts between built-in types wherever there is an expression', () => {
    const customOperators = [{ schema: 'pg_catalog', name: '', calls: ['public.mystery'] }];
    expect(
      statement('SELECT xmlparse(CONTENT a.name) + 1 FROM customers a', { customOperators }).unknowns,
    ).toEqual(['function public.mystery']);
  });

  it('of a schema go with it', () => {
    expect(statement('DROP SCHEMA other CASCADE', {}).relations).toContainEqual(
      expect.objectContaining({ schema: 'other', name: 'customers', access: 'ddl' }),
    );
  });

  it('that refer to themselves are touched once', () => {
    const { oid } = customers();
    const foreignKeys = [
      {
        from: oid,
        to: oid,
        columns: ['id'],
        keys: ['id'],
        onDelete: 'cascade',
        onUpdate: 'cascade',
      } as const,
    ];
    const found = statement('DELETE FROM customers WHERE id = 1', { foreignKeys });
    expect(found.relations.map(({ name }) => name)).toEqual(['customers']);
    expect(
      statement('TRUNCATE customers CASCADE', { foreignKeys }).relations.map(({ name, indirect }) => [
        name,
        indirect,
      ]),
    ).toEqual([['customers', false]]);
  });
});

describe('a foreign', () => {
  it.each([
    ['no action', ['customers']],
    ['restrict', ['customers']],
    ['cascade', ['customers', 'audit']],
  ] as const)('key with %s touches %j', (action, touched) => {
    const audit = catalog.relations.find(({ name }) => name === 'audit')?.oid ?? 0;
    const foreignKeys = [
      { from: audit, to: customers().oid, columns: [], keys: [], onDelete: action, onUpdate: action },
    ];
    const { relations } = statement('DELETE FROM customers WHERE id = 1', { foreignKeys });
    expect(relations.map(({ name }) => name)).toEqual(touched);
  });

  it('table is unknown where its server is asked', () => {
    const relations = catalog.relations.map((one) => (one.name === 'plain' ? { ...one, relkind: 'f' } : one));
    const of = (sql: string) => statement(sql, { relations }).unknowns;
    expect(of('SELECT id FROM plain')).toEqual(['foreign table public.plain']);
    expect(of('LOCK TABLE plain')).toEqual([]);
    expect(of('DROP FOREIGN TABLE plain')).toEqual([]);
  });
});

describe('definitions that a statement changes', () => {
  it.each([
    ['GRANT SELECT ON plain TO somebody', undefined],
    ['GRANT admin TO bob', ['(memberships)']],
    ["COMMENT ON TABLE plain IS 'x'", undefined],
    ["COMMENT ON COLUMN public.plain.label IS 'pii:name'", ['plain']],
    ['COMMENT ON COLUMN public.plain.label IS NULL', undefined],
    ['ALTER TABLE plain RENAME TO made', ['plain', 'made']],
    ['DROP TABLE plain', ['plain']],
    ['DROP TABLE plain CASCADE', ['*']],
  ])('%s: %s', (sql, names) => {
    expect(statement(sql, {}).changes).toEqual(names);
  });

  it.each([
    ['SELECT ROW(1)::token::text', 'unknown'],
    ["SELECT 'a'::checked", 'unknown'],
    ['SELECT OPERATOR(public.!!!) 1', 'unknown'],
    ['PREPARE p AS SELECT 1 ~~> 2', 'unknown'],
    ['SELECT 1', 'read'],
    ['COMMIT', 'transaction'],
  ])('%s after a change that cannot be told: %s', (sql, cls) => {
    expect(statement(sql, {}, { ...input.resolution, changed: ['*'] }).class).toBe(cls);
  });
});

it.each([
  ["SELECT 'a'::mood", 'unknown'],
  ["SELECT 'a'::public.mood", 'unknown'],
  ["SELECT 'a'::pg_catalog.mood", 'read'],
  ["SELECT 'a'::text", 'read'],
])('%s after a type of that name was made: %s', (sql, cls) => {
  expect(statement(sql, {}, { ...input.resolution, changed: ['mood'] }).class).toBe(cls);
});

it('the default of an argument may call the function itself', () => {
  const functions = catalog.functions.map((one) =>
    one.name === 'plus_one' ? { ...one, parameters: ['a'], defaults: ['public.plus_one'] } : one,
  );
  expect(statement('SELECT plus_one()', { functions }).unknowns).toEqual([]);
});

it('what a function RETURNs is looked through', () => {
  const functions = catalog.functions.map((one) =>
    one.name === 'plus_one' ? { ...one, body: 'RETURN public.mystery()' } : one,
  );
  expect(statement('SELECT plus_one(1)', { functions }).unknowns).toEqual(['function public.mystery']);
});

it('a failure inside refuses, and the parser’s worker goes', () => {
  const tagsOf = (): never => {
    throw new Error('broken');
  };
  expect(analyse('SELECT email FROM customers', { ...input, tagsOf })).toMatchObject({
    kind: 'unjudgeable',
    recycle: true,
  });
});

describe('what a later grammar may bring', () => {
  const context = () => ({
    env: envOf(null, input.tagsOf),
    resolution: input.resolution,
    running: input.resolution,
    moves: false,
    trusted: () => false,
    trustedKey: '',
    out: new Collector(),
    executing: true,
    indirect: false,
    inBody: false,
    stack: [],
    cleared: new Set(),
    work: { left: 1 },
  });

  it('is an unknown transaction statement, or any setting', () => {
    const one = context();
    transaction({ kind: 'TRANS_STMT_LATER' }, one);
    expect([...one.out.unknowns]).toEqual(['transaction statement']);
    const other = context();
    variableSet({ kind: 'VAR_LATER', name: 'x' }, 'set', other);
    expect(other.out.settings).toEqual([{ name: '*', value: null, local: false, form: 'unknown' }]);
  });

  it('is an unknown statement', () => {
    const one = context();
    analyseStatement({ kind: 'LaterStmt', node: {} }, one, 'top');
    expect([one.out.class, ...one.out.unknowns]).toEqual(['unknown', 'statement LaterStmt']);
  });

  it('is an unknown tree, which may put out anything: none of its text is shown', () => {
    const one = { ...context(), env: envOf(catalog, input.tagsOf) };
    const tree = { SelectStmt: { whereClause: { Novel: { arg: { ParamRef: { number: 2 } } } } } };
    const later = { kind: STRANGE, node: { strange: 'Novel', tree }, start: 2, end: 10 };
    analyseStatement(later, one, 'top');
    expect([one.out.class, ...one.out.unknowns]).toEqual(['unknown', 'Novel in its parse tree']);
    const [...told] = one.out.uses('value');
    expect(told.map(({ tag }) => tag)).toEqual(expect.arrayContaining(['email', 'ssn']));
    const all = { start: 2, end: 10, label: '<pii:statement>' };
    expect(redact('  SELECT 1', later, one)).toEqual({ redactions: [all], binds: [1] });
    const untagged = { ...context(), env: envOf(catalog, () => null) };
    expect(redact('  SELECT 1', later, untagged)).toEqual({ redactions: [], binds: [] });
  });
});

it('literals compared with untagged columns are shown', () => {
  const analysis = analyse("SELECT id FROM plain WHERE label = 'x'", input);
  expect(analysis).toMatchObject({ kind: 'facts', redactions: [] });
});

it.each([
  [
    'CREATE FUNCTION f() RETURNS text LANGUAGE sql BEGIN ATOMIC SELECT email FROM customers; END',
    'predicate',
  ],
  ['CREATE SCHEMA made CREATE VIEW v AS SELECT email FROM customers', 'value'],
])('%s names a tagged column', (sql, use) => {
  expect(statement(sql, {}).columns).toContainEqual(expect.objectContaining({ column: 'email', use }));
});

describe('the statements of one string', () => {
  it('are prepared with their own texts', () => {
    const analysis = analyse('SELECT 1 AS x; PREPARE p AS SELECT 2; DECLARE c CURSOR FOR SELECT 3', input);
    const effects = analysis.kind === 'facts' ? analysis.statements.flatMap((one) => one.effects) : [];
    expect(effects).toEqual([
      { kind: 'prepare', name: 'p', sql: 'SELECT 2' },
      { kind: 'declare', name: 'c', sql: 'SELECT 3' },
    ]);
  });

  const second = (sql: string): StatementFacts | undefined => {
    const analysis = analyse(sql, input);
    return analysis.kind === 'facts' ? analysis.statements[1] : undefined;
  };
  it('see the temporary tables of earlier ones', () => {
    expect(second('CREATE TEMP TABLE plain (id int); SELECT id FROM plain')?.relations).toContainEqual(
      expect.objectContaining({ schema: 'pg_temp', name: 'plain', access: 'read' }),
    );
  });

  it.each(['ROLLBACK', 'ROLLBACK TO SAVEPOINT s'])(
    'resolve names by any search path after %s: it may undo a SET',
    (undo) => {
      expect(second(`${undo}; SELECT id FROM customers`)?.relations.map(({ schema }) => schema)).toEqual([
        'public',
        'other',
      ]);
    },
  );
});

it('a schema is made with what its elements do', () => {
  expect(statement('CREATE SCHEMA made GRANT SELECT ON plain TO somebody', {}).class).toBe('dcl');
});

it('a foreign table is a definition', () => {
  expect(statement('CREATE FOREIGN TABLE made (id int) SERVER s', {}).class).toBe('ddl');
});

it('COPY FROM … WHERE runs what its condition calls', () => {
  expect(statement('COPY customers FROM STDIN WHERE elsewhere(id)', {}).unknowns).toContain(
    'function elsewhere',
  );
});
