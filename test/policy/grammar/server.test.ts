/** Which servers are judged by a grammar of their own, and what counts of a text for the others. */
import { beforeAll, describe, expect, it } from 'vitest';
import { analyse, loadParser } from '../../../src/policy/analyse.ts';
import { createPolicyHolder } from '../../../src/policy/rules/index.ts';
import { isOtherMajor, refusalOf, serverOf } from '../../../src/policy/server.ts';
import { evaluate } from '../../../src/policy/verdict.ts';
import { context } from '../facts-of.ts';
import { input } from '../fixture.ts';

const LINUX = 'on x86_64-pc-linux-gnu, compiled by gcc (Debian 12.2.0-14+deb12u1) 12.2.0, 64-bit';

describe('a server is PostgreSQL itself', () => {
  it.each([
    [`PostgreSQL 15.18 (Debian 15.18-0+deb12u1) ${LINUX}`, 150018, 15],
    [`PostgreSQL 18.4 ${LINUX}`, 180004, 18],
    [`PostgreSQL 16.14 (Ubuntu 16.14-1.pgdg22.04+1) ${LINUX}`, 160014, 16],
    ['PostgreSQL 16.1, compiled by Visual C++ build 1937, 64-bit', 160001, 16],
    ['PostgreSQL 17.0 on x86_64-windows, compiled by msvc-19.40.33813, 64-bit', 170000, 17],
    [
      'PostgreSQL 15.4 (Homebrew) on aarch64-apple-darwin22.4.0, compiled by Apple clang version 14.0.3 (clang-1403.0.22.14.1), 64-bit',
      150004,
      15,
    ],
    [
      'PostgreSQL 16.1 on x86_64-pc-linux-gnu, compiled by x86_64-pc-linux-gnu-gcc (GCC) 9.5.0, 64-bit',
      160001,
      16,
    ],
    ['PostgreSQL 15.7 on x86_64-pc-linux-gnu, compiled by Debian clang version 12.0.1, 64-bit', 150007, 15],
    [
      `PostgreSQL 17.5 (6bc9ef8) on aarch64-unknown-linux-gnu, compiled by gcc (Debian 12.2.0-14) 12.2.0, 64-bit`,
      170005,
      17,
    ],
    [
      'PostgreSQL 15.3 on x86_64-pc-linux-gnu, compiled by gcc (GCC) 12.2.1, a 387d73f4c1 p da9b3a4d1e, 64-bit',
      150003,
      15,
    ],
    [
      'PostgreSQL 15.4 - Percona Distribution on x86_64-pc-linux-gnu, compiled by gcc (GCC) 8.5.0, 64-bit',
      150004,
      15,
    ],
  ])('%s', (said, number, grammar) => {
    expect(serverOf(said, number, null)).toMatchObject({ grammar, accepted: true, number });
  });
});

describe('another server is refused unless it is named', () => {
  it.each([
    [`PostgreSQL 14.9 ${LINUX}`, 140009, 'PostgreSQL 14'],
    [`PostgreSQL 19.1 ${LINUX}`, 190001, 'PostgreSQL 19'],
    [
      'PostgreSQL 19beta1 on x86_64-pc-linux-gnu, compiled by gcc (GCC) 14.2.0, 64-bit',
      190000,
      'PostgreSQL 19beta1',
    ],
    [
      'PostgreSQL 15.4 (EnterpriseDB Advanced Server 15.4.0) on x86_64-pc-linux-gnu, compiled by gcc (GCC) 8.5.0, 64-bit',
      150004,
      'EnterpriseDB',
    ],
    [
      'PostgreSQL 8.0.2 on i686-pc-linux-gnu, compiled by GCC gcc (GCC) 3.4.2 20041017 (Red Hat 3.4.2-6.fc3), Redshift 1.0.12103',
      80002,
      'Redshift',
    ],
    [
      'CockroachDB CCL v23.1.11 (x86_64-pc-linux-gnu, built 2023/09/27 01:53:43, go1.19.10)',
      130000,
      'CockroachDB',
    ],
    [
      'PostgreSQL 15.2-YB-2025.1.0.0-b0 on x86_64-pc-linux-gnu, compiled by clang version 17.0.6, 64-bit',
      150002,
      'YB',
    ],
    ['PostgreSQL 12.3, compiled by Visual C++ build 1914, 64-bit, QuestDB', 120003, 'QuestDB'],
    ['PostgreSQL 13.14.0-RisingWave-1.9.1 (27f8ee4)', 130014, 'RisingWave'],
    [`PostgreSQL 15.3 (IvorySQL 2.3) ${LINUX}`, 150003, 'IvorySQL 2.3'],
    [`PostgreSQL 17.6 OrioleDB public beta 13 ${LINUX}`, 170006, 'orioledb'],
    ['PostgreSQL 16', 160000, 'PostgreSQL 16'],
  ])('%s', (said, number, named) => {
    expect(serverOf(said, number, null)).toMatchObject({ grammar: null, accepted: false });
    expect(serverOf(said, number, 'SomethingElse')).toMatchObject({ grammar: null, accepted: false });
    expect(serverOf(said, number, named)).toMatchObject({ grammar: null, accepted: true });
    expect(refusalOf(serverOf(said, number, null)).length).toBeLessThan(180);
  });

  it('by whole words, and not where version and number say different things', () => {
    expect(serverOf(`PostgreSQL 14.9 ${LINUX}`, 140009, 'PostgreSQL 1').accepted).toBe(false);
    expect(serverOf(`PostgreSQL 15.9 ${LINUX}`, 80002, null)).toMatchObject({
      grammar: null,
      accepted: false,
    });
    expect(serverOf('\u001b[31mX\n', 150000, null).said).toBe('?[31mX?');
    expect([isOtherMajor(150001, 150018), isOtherMajor(150018, 160000)]).toEqual([false, true]);
  });
});

describe('what a server without a grammar makes of a text is unknown', () => {
  beforeAll(loadParser);
  const catalog = {
    ...{ version: '1', database: '', serverVersion: 130000, unfamiliar: 'CockroachDB CCL v23', takenAt: 0 },
    ...{ relations: [], functions: [], foreignKeys: [], customOperators: [] },
  };
  const at = (sql: string) => analyse(sql, { ...input, catalog });
  const { policy } = createPolicyHolder('version: 1\n').current();

  it.each([
    '',
    'SELECT 1',
    "SELECT 1, 'x'",
    'BEGIN',
    'COMMIT',
    'SAVEPOINT a',
    'SET search_path = a',
    'SHOW timezone',
    'DISCARD ALL',
    'DEALLOCATE p',
  ])('but for %s', (sql) => {
    expect(evaluate(policy, at(sql), context()).effect).toBe('allow');
  });

  it.each([
    'SELECT id FROM orders',
    'SELECT 1 + 1',
    'SELECT now()',
    'SELECT 1 LIMIT 1',
    'SELECT 1 UNION SELECT 2',
    'VALUES (1)',
    'WITH a AS (SELECT 1) SELECT 1',
    'EXPLAIN SELECT 1',
    'INSERT INTO plain VALUES (1)',
    'SELECT 1; SELECT id FROM orders',
    'LISTEN a',
  ])('%s waits', (sql) => {
    const analysis = at(sql);
    expect(evaluate(policy, analysis, context()).effect).toBe('hold');
    expect(analysis).toMatchObject({ touchesTagged: true });
  });
});
