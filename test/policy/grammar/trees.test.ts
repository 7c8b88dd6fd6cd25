/** Every grammar's trees are in 18's shape, and what is not known of a tree is unknown. */
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { analyse } from '../../../src/policy/analyse.ts';
import { adapt } from '../../../src/policy/parse/adapt.ts';
import { canonical } from '../../../src/policy/parse/digest.ts';
import { loadGrammar } from '../../../src/policy/parse/grammar.ts';
import { parse, type RawStatement, STRANGE } from '../../../src/policy/parse/parser.ts';
import { tokensFor } from '../../../src/policy/parse/spans.ts';
import { createPolicyHolder } from '../../../src/policy/rules/index.ts';
import { GRAMMARS, NEWEST } from '../../../src/policy/server.ts';
import { evaluate } from '../../../src/policy/verdict.ts';
// @ts-expect-error A script without types.
import { differences, source } from '../../suites/shapes.mjs';
import { cases } from '../corpus/real.ts';
import { context } from '../facts-of.ts';
import { catalog, input } from '../fixture.ts';

const OLDER = [15, 16, 17] as const;
beforeAll(async () => {
  for (const grammar of GRAMMARS) await loadGrammar(grammar);
});

const read = (sql: string, grammar: (typeof GRAMMARS)[number]): readonly RawStatement[] | null => {
  const parsed = parse(sql, grammar);
  return parsed.kind === 'parsed' ? parsed.statements : null;
};
/** Fields in one order, without positions (`jumble_args`: a setting's, which 18 keeps). */
const shape = (statements: readonly RawStatement[]): string =>
  JSON.stringify(JSON.parse(canonical(statements.map(({ kind, node }) => ({ [kind]: node })))), (_, value) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(
          Object.entries(value)
            .filter(([field]) => field !== 'jumble_args')
            .sort(([a], [b]) => (a < b ? -1 : 1)),
        )
      : value,
  );

/** One statement for each thing that an older grammar says otherwise than 18, and for clauses of which nothing else here has one. */
const MORE = [
  'GRANT a TO b WITH ADMIN OPTION',
  'REVOKE ADMIN OPTION FOR a FROM b',
  'ALTER STATISTICS s SET STATISTICS 0',
  'ALTER STATISTICS s SET STATISTICS 100',
  'CREATE TABLE p (i int) PARTITION BY RANGE (i)',
  'CREATE TABLE p (i int) PARTITION BY "List" (i)',
  'CREATE TABLE p (i int) PARTITION BY hash (i)',
  'MERGE INTO t USING s ON t.a = s.a WHEN MATCHED THEN DO NOTHING WHEN NOT MATCHED THEN INSERT DEFAULT VALUES',
  'DEALLOCATE ALL',
  'DEALLOCATE PREPARE p',
  'SELECT GROUPING(a, b), count(*) FROM t GROUP BY CUBE (a, b)',
  'CREATE INDEX CONCURRENTLY ON t (a)',
  'CREATE TABLE t (a int CHECK (a > 0) NOT NULL REFERENCES u, b int GENERATED ALWAYS AS (a) STORED, FOREIGN KEY (a) REFERENCES u)',
  'CREATE MATERIALIZED VIEW m AS SELECT 1 WITH NO DATA',
  'SELECT 1 INTO t',
  'DISCARD ALL',
  'CHECKPOINT',
  'CREATE SCHEMA s CREATE TABLE t (a int) CREATE VIEW v AS SELECT 1',
  'ALTER TABLE t ATTACH PARTITION p FOR VALUES FROM (1) TO (2)',
  'ALTER TABLE t DETACH PARTITION p CONCURRENTLY',
  'SELECT xmlserialize(CONTENT x AS text), xmlelement(NAME a, xmlattributes(b)), xmlforest(c) FROM t',
  "SELECT * FROM XMLTABLE('/a' PASSING x COLUMNS b int PATH 'c')",
  'SELECT a, b, ROW_NUMBER() OVER (PARTITION BY c ORDER BY d ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM t',
  'SELECT DISTINCT ON (a) a FROM ONLY t TABLESAMPLE system (1) REPEATABLE (2) FOR UPDATE OF t SKIP LOCKED',
  'WITH RECURSIVE r AS (SELECT 1) SEARCH DEPTH FIRST BY a SET o CYCLE a SET c USING p SELECT * FROM r',
];
/** Words that 16 or 17 made keywords of: the same text is another one there. */
const WORDS = /\bjson(?:_\w+)?\b|system_user|merge_action/i;

describe.each(OLDER)('the grammar of PostgreSQL %i', (grammar) => {
  const texts = [
    ...['classification.jsonl', 'lineage.jsonl', 'tools.jsonl'].flatMap((name) =>
      cases(name).flatMap(([, sql, setup]) => [sql, ...(setup === '' ? [] : [setup])]),
    ),
    ...readFileSync(new URL('../corpus/schema.sql', import.meta.url), 'utf8').split(/;\n/),
    ...MORE,
  ];

  it('gives the trees of 18 for all that means the same', () => {
    let compared = 0;
    for (const sql of texts) {
      const [old, now] = [read(sql, grammar), read(sql, NEWEST)];
      if (old === null || now === null) continue;
      for (const { kind, node } of old) if (kind === STRANGE) expect(node['strange'], sql).toBeUndefined();
      if (WORDS.test(sql)) continue;
      const [theirs, ours] = [shape(old), shape(now)];
      if (theirs !== ours) expect(theirs, sql).toBe(ours);
      compared += 1;
    }
    expect(compared).toBeGreaterThan(2500);
  });

  it("has its trees' positions at the tokens of 18's scanner", () => {
    for (const sql of texts)
      for (const statement of read(sql, grammar) ?? [])
        if (tokensFor(sql, statement, grammar) === null) expect.unreachable(sql);
  });

  it('reads blank texts and comments as nothing, and what is no blank as an error', () => {
    for (const sql of ['', '  \t\n', '-- x', '/* x */ ;'])
      expect(parse(sql, grammar)).toEqual({ kind: 'parsed', statements: [] });
    expect(parse('\u00a0', grammar)).toMatchObject({ kind: 'syntax', position: 1 });
  });
});

describe('what is not known of a tree', () => {
  it.each([
    ['a kind', 'SelectStmt', { fromClause: [{ Novel: { a: 1 } }] }, 'Novel'],
    ['a field', 'SelectStmt', { novelty: true }, 'SelectStmt.novelty'],
    ['a node in the place of a scalar', 'SelectStmt', { op: { String: {} } }, 'SelectStmt.op'],
    ['a list in the place of a node', 'SelectStmt', { whereClause: [] }, 'SelectStmt.whereClause'],
    ['two nodes in one', 'SelectStmt', { whereClause: { A_Star: {}, String: {} } }, 'SelectStmt.whereClause'],
    ['a field that 18 has no more', 'IntoClause', { viewQuery: { SelectStmt: {} } }, 'IntoClause'],
    [
      'a member that 18 has no more',
      'AlterTableCmd',
      { subtype: 'AT_CheckNotNull' },
      'AlterTableCmd.subtype',
    ],
    ['a way to partition', 'PartitionSpec', { strategy: 'moon' }, 'PartitionSpec'],
    ['a name that every object has', 'SelectStmt', { toString: 1 }, 'SelectStmt.toString'],
  ])('%s is told', (_what, kind, node, strange) => {
    expect(adapt(kind, structuredClone(node), 15)).toBe(strange);
  });

  it('what a later grammar brought is not known to an earlier one', () => {
    const node = { whereClause: { JsonIsPredicate: { expr: { A_Star: {} } } } };
    expect(adapt('SelectStmt', structuredClone(node), 15)).toBe('JsonIsPredicate');
    expect(adapt('SelectStmt', structuredClone(node), 16)).toBeNull();
    expect(adapt('SelectStmt', { whereClause: { MergeSupportFunc: {} } }, 16)).toBe('MergeSupportFunc');
  });

  it('the table is that of the packages, and each difference to 18 has its place', () => {
    const written = readFileSync(new URL('../../../src/policy/parse/shapes.ts', import.meta.url), 'utf8');
    const plain = (text: string): string => text.replace(/[\s,]+/g, '');
    expect(plain(written) === plain(String(source())), 'run test/suites/shapes.mjs').toBe(true);
    expect(differences()).toEqual([
      'AlterStatsStmt.stxstattarget',
      'Constraint.inhcount',
      'DeleteStmt.returningList',
      'GrantRoleStmt.admin_opt',
      'GroupingFunc.cols',
      'IndexStmt.oldFirstRelfilenodeSubid',
      'IndexStmt.oldNode',
      'InsertStmt.returningList',
      'IntoClause.viewQuery',
      'MergeStmt.returningList',
      'MergeWhenClause.matched',
      'PartitionSpec.strategy',
      'UpdateStmt.returningList',
    ]);
  });

  it('makes the statement unknown, wherever it stands, and its constants still count for a grant', () => {
    const at = (sql: string) => analyse(sql, { ...input, catalog: { ...catalog, serverVersion: 150_000 } });
    // PostgreSQL itself does not get that far with it.
    const [one, two] = ['moon', 'sun'].map((how) => at(`CREATE TABLE p (i int) PARTITION BY ${how} (i)`));
    expect(one).toMatchObject({
      class: 'unknown',
      touchesTagged: true,
      redactions: [{ start: 0, end: 44, label: '<pii:statement>' }],
      statements: [{ unknowns: ['PartitionSpec in its parse tree'] }],
    });
    const { policy } = createPolicyHolder('version: 1\n').current();
    expect(evaluate(policy, one ?? at(''), context()).effect).toBe('hold');
    expect(one?.kind === 'facts' && two?.kind === 'facts' && one.treeDigest !== two.treeDigest).toBe(true);
  });
});
