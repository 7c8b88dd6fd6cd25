/** Limits, digests and stubbornness of the analysis. */
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { analyse, loadParser } from '../../src/policy/analyse.ts';
import { amid, movesNames } from '../../src/policy/resolution.ts';
import type { Analysis, ResolutionContext } from '../../src/policy/types.ts';
import { holds } from '../support/property.ts';
import { input } from './fixture.ts';

beforeAll(loadParser);

const judge = (sql: string): Analysis => analyse(sql, input);
const digest = (sql: string): string => {
  const analysis = judge(sql);
  if (analysis.kind !== 'facts') throw new Error(JSON.stringify(analysis));
  return analysis.treeDigest;
};

describe('names that do not exist', () => {
  const unresolved = (sql: string): boolean => {
    const analysis = judge(sql);
    return analysis.kind === 'facts' && analysis.statements.some((one) => one.unresolved === true);
  };
  it.each([
    'DELETE FROM orders WHERE idd = 1',
    'DELETE FROM orders o WHERE o.idd = 1',
    'DELETE FROM orders WHERE o.id = 1',
    'DELETE FROM orders WHERE lowr(status) = $1',
    'DELETE FROM orders WHERE nowhere.lower(status) = $1',
    'UPDATE orders SET statu = 1',
    'SELECT emial FROM customers',
    'WITH gone AS (DELETE FROM orders RETURNING idd) SELECT 1',
  ])('are told: %s', (sql) => expect(unresolved(sql)).toBe(true));
  it.each([
    'DELETE FROM orders WHERE id = 1 AND ctid IS NOT NULL RETURNING orders.*, tableoid',
    'DELETE FROM orders o USING customers c WHERE o.id = c.id AND lower(c.email) = $1',
    'UPDATE orders SET status = lower(status)',
    'SELECT email AS e FROM customers ORDER BY email',
    'SELECT c FROM customers c',
    'SELECT * FROM customer_contacts',
    'SELECT count_customers()',
    'DELETE FROM nowhere WHERE x = 1',
  ])('are not seen where all exist, or nothing is known of the table: %s', (sql) =>
    expect(unresolved(sql)).toBe(false),
  );
});

describe('texts that are not judged', () => {
  it.each([
    ['NUL', 'SELECT 1\0; DELETE FROM orders'],
    ['a lone high surrogate', "SELECT '\ud800'"],
    ['a lone low surrogate', "SELECT '\udc00 '"],
    ['more than 256 KB', `SELECT '${'x'.repeat(256 * 1024)}'`],
    ['more than 256 KB of UTF-8', `SELECT '${'é'.repeat(130 * 1024)}'`],
    ['nesting without end', `SELECT ${'('.repeat(3000)}1${')'.repeat(3000)} ${'+1'.repeat(2000)}`],
  ])('%s', (_, sql) => {
    expect(judge(sql).kind).toBe('unjudgeable');
  });

  it('recursive queries nested in one another', () => {
    let sql = 'SELECT email FROM customers';
    for (let i = 0; i < 25; i++)
      sql = `WITH RECURSIVE r${i}(x) AS (${sql} UNION ALL SELECT x FROM r${i}) SELECT x FROM r${i}`;
    expect(judge(sql)).toMatchObject({ kind: 'unjudgeable', why: expect.stringContaining('too complex') });
  });

  it('a syntax error tells where, as a character position from 1', () => {
    expect(judge("SELECT 'é' FORM orders WHERE")).toMatchObject({
      kind: 'syntax',
      position: expect.any(Number),
    });
    expect(judge('selec 1')).toMatchObject({ kind: 'syntax', position: 1 });
  });
});

describe('the digest of the tree', () => {
  const gap = fc.constantFrom(' ', '\n', '\t  ', ' /* c */ ', ' -- c\n', ' /* a /* b */ */\n');
  const statements = [
    [
      'SELECT',
      'id',
      ',',
      'total',
      'FROM',
      'orders',
      'WHERE',
      'id',
      '=',
      '1',
      'AND',
      'status',
      'IN',
      '(',
      "'a'",
      ',',
      "'b'",
      ')',
    ],
    ['DELETE', 'FROM', 'orders', 'WHERE', 'id', 'IN', '(', '1', ',', '2', ')'],
    [
      'INSERT',
      'INTO',
      'plain',
      'VALUES',
      '(',
      '1',
      ',',
      "'é'",
      ')',
      ';',
      'SELECT',
      'ARRAY',
      '[',
      '1',
      ',',
      '2',
      ']',
    ],
    ['WITH', 'x', 'AS', '(', 'SELECT', '1', ')', 'SELECT', '*', 'FROM', 'x'],
  ];
  it('does not change with white space and comments', () => {
    holds(
      fc.property(
        fc.constantFrom(...statements),
        fc.array(gap, { minLength: 24, maxLength: 24 }),
        (words, gaps) => {
          const text = words.map((word, i) => word + (gaps[i] ?? ' ')).join('');
          expect(digest(text)).toBe(digest(words.join(' ')));
        },
      ),
      { numRuns: 100 },
    );
  });
  it('changes with every constant', () => {
    holds(
      fc.property(fc.string({ unit: 'grapheme-ascii' }), fc.string({ unit: 'grapheme-ascii' }), (a, b) => {
        const sql = (value: string): string =>
          `DELETE FROM orders WHERE status = '${value.replaceAll("'", "''")}'`;
        expect(digest(sql(a)) === digest(sql(b))).toBe(a === b);
      }),
      { numRuns: 100 },
    );
  });
  it.each([
    ["SELECT '1'", 'SELECT 1'],
    ['SELECT 1; SELECT 2', 'SELECT 2; SELECT 1'],
    ['SELECT "a"', 'SELECT "A"'],
    ["CREATE TABLESPACE t LOCATION '/a'", "CREATE TABLESPACE t LOCATION '/b'"],
    ['DELETE FROM orders WHERE id = $1', 'DELETE FROM orders WHERE id = $2'],
    ['SELECT 1', 'SELECT 1; SELECT 1'],
    ['', 'SELECT 1'],
  ])('tells %s from %s', (a, b) => {
    expect(digest(a)).not.toBe(digest(b));
  });
});

describe('whatever the text', () => {
  const words = [
    'SELECT',
    '*',
    'FROM',
    'customers',
    'c',
    'c.*',
    'email',
    '(',
    ')',
    ',',
    'WHERE',
    '=',
    "'x'",
    '$1',
    'WITH',
    'AS',
    'DELETE',
    'INSERT INTO',
    'VALUES',
    'RETURNING',
    'UPDATE',
    'SET',
    'JOIN',
    'USING',
    'UNION',
    'LATERAL',
    'EXPLAIN ANALYZE',
    'COPY',
    'TO STDOUT',
    'row_to_json(c)',
    'purge()',
    ';',
    '"__proto__"',
    '::text',
    'é😀',
    'ON CONFLICT DO NOTHING',
    'LIMIT 1',
    'PREPARE p AS',
    'DECLARE c CURSOR FOR',
    'ORDER BY 1',
    'customer_contacts',
  ];
  const sound = (sql: string): void => {
    const analysis = judge(sql);
    expect(['facts', 'syntax', 'unjudgeable']).toContain(analysis.kind);
    if (analysis.kind !== 'facts') return;
    for (const { start, end } of analysis.redactions) {
      expect(start).toBeGreaterThanOrEqual(0);
      expect(end).toBeGreaterThan(start);
      expect(end).toBeLessThanOrEqual(sql.length);
    }
  };
  it('an answer comes back for arbitrary strings', () => {
    holds(fc.property(fc.string({ unit: 'binary', maxLength: 200 }), sound), { numRuns: 300 });
  });
  it('an answer comes back for near-SQL', () => {
    holds(
      fc.property(
        fc.array(fc.constantFrom(...words), { maxLength: 14 }).map((list) => list.join(' ')),
        sound,
      ),
      { numRuns: 1500 },
    );
  });
});

describe('what is run by name', () => {
  const at = { searchPath: ['public'], tempRelations: [] };
  const reached = (sql: string, resolution: ResolutionContext = at) => {
    const analysis = analyse(sql, { ...input, resolution });
    if (analysis.kind !== 'facts') throw new Error(JSON.stringify(analysis));
    return analysis.reached;
  };
  it.each([
    'EXECUTE p',
    'FETCH c',
    'EXPLAIN ANALYZE EXECUTE p',
    'EXECUTE p; SET search_path = other',
    'SELECT 1; SELECT 2',
  ])('is looked for where the string begins: %s', (sql) => expect(reached(sql)).toBeUndefined());
  it.each<[string, Partial<ResolutionContext>]>([
    ['SELECT 1; EXECUTE p', { searchPath: ['public'] }],
    ['SET search_path = other; EXECUTE p', { searchPath: null, among: ['other'] }],
    ['SET search_path = other; FETCH c', { searchPath: null, among: ['other'] }],
    ['EXECUTE p; SET search_path = other; EXECUTE p', { searchPath: null, among: ['public', 'other'] }],
    [
      'SET search_path = a; EXECUTE p; SET search_path = b; EXECUTE p',
      { searchPath: null, among: ['a', 'b'] },
    ],
    ['CREATE TEMP TABLE t (id int); EXECUTE p', { searchPath: ['public'], tempRelations: ['t'] }],
  ])('is looked for where the string has got to: %s', (sql, expected) =>
    expect(reached(sql)).toMatchObject(expected),
  );
  it.each([
    'ROLLBACK; EXECUTE p',
    'EXECUTE p; ROLLBACK; EXECUTE p',
    'ROLLBACK; EXECUTE p; SET search_path = other; EXECUTE p',
    'SET search_path = DEFAULT; EXECUTE p',
  ])('may be anywhere: %s', (sql) => {
    expect(reached(sql)).toMatchObject({ searchPath: null });
    expect(reached(sql)).not.toHaveProperty('among');
  });
  it.each(['EXECUTE p; EXECUTE q', 'FETCH c; EXECUTE q'])('and moves the path: %s', (sql) => {
    expect(reached(sql)).toMatchObject({ searchPath: ['public'] });
    expect(reached(sql, { ...at, moving: true })).toMatchObject({ searchPath: null });
    expect(reached(sql, { ...at, moving: true })).not.toHaveProperty('among');
  });

  const only = (sql: string) => {
    const [first] = statementsOf(sql);
    if (first === undefined) throw new Error(sql);
    return first;
  };
  const statementsOf = (sql: string) => {
    const analysis = judge(sql);
    if (analysis.kind !== 'facts') throw new Error(JSON.stringify(analysis));
    return analysis.statements;
  };
  it.each([
    'SET search_path = other',
    "SELECT set_config('search_path', 'other', false)",
    'CREATE TABLE t (id int)',
    'CREATE TEMP TABLE t (id int)',
    'COMMIT',
    'ROLLBACK',
    'ROLLBACK TO SAVEPOINT s',
    'DISCARD TEMP',
  ])('moves names: %s', (sql) => expect(movesNames(only(sql))).toBe(true));
  it.each(['SELECT id FROM orders', 'DELETE FROM orders', 'EXECUTE p', 'BEGIN'])('moves none: %s', (sql) =>
    expect(movesNames(only(sql))).toBe(false),
  );
  it('leaves what it makes to what follows', () => {
    const made = statementsOf(
      'CREATE TEMP TABLE t (id int); CREATE TABLE u (id int); INSERT INTO orders VALUES (1)',
    );
    expect(amid(at, made)).toMatchObject({
      ...{ searchPath: ['public'], tempRelations: ['t'], moving: true },
      ...{ changed: expect.arrayContaining(['u']), written: ['public.orders'] },
    });
  });
});
