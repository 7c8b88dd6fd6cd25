/** What a card says about tagged columns that would lose their tag. */
import { beforeAll, describe, expect, it } from 'vitest';
import { analyse, loadParser } from '../../src/policy/analyse.ts';
import { createPolicyHolder, createTagLookup } from '../../src/policy/rules/index.ts';
import { evaluate } from '../../src/policy/verdict.ts';
import { context } from './facts-of.ts';
import { input } from './fixture.ts';

beforeAll(loadParser);

const { policy } = createPolicyHolder(
  'version: 1\npii:\n  - columns: ["*.customers.email"]\n    tag: email\n',
).current();
function reason(sql: string): string {
  const { effect, reason: why } = evaluate(
    policy,
    analyse(sql, { ...input, tagsOf: createTagLookup(policy) }),
    context(),
  );
  return `${effect}: ${why}`;
}

describe('the reason of a hold', () => {
  it.each([
    [
      'CREATE TABLE copy AS SELECT email FROM customers',
      'copying customers.email into copy, where it carries no tag',
    ],
    ['SELECT email INTO copy FROM customers', 'copying customers.email into copy, where it carries no tag'],
    [
      'INSERT INTO archive SELECT id, email FROM customers',
      'copying customers.email into archive, where it carries no tag',
    ],
    ['ALTER TABLE customers RENAME COLUMN email TO contact', 'taking the tag off customers.email'],
    ['ALTER TABLE customers RENAME TO clients', 'taking the tag off customers.email'],
  ])('%s', (sql, told) => {
    expect(reason(sql)).toContain('hold: ');
    expect(reason(sql)).toContain(told);
  });

  it.each(['ALTER TABLE customers RENAME COLUMN name TO title', 'ALTER TABLE customers SET SCHEMA other'])(
    '%s says nothing of a tag that stays',
    (sql) => {
      expect(reason(sql)).not.toContain('tag off');
    },
  );
});
