import { describe, expect, it } from 'vitest';
import { cardBinds, neededRelations, plan, redacted, relationsOf } from '../../src/gateway/plan.ts';
import type { Judged } from '../../src/gateway/types.ts';
import type { Facts } from '../../src/policy/types.ts';
import { facts, relation } from '../policy/facts-of.ts';

const judged = (sql: string, of: Facts): Judged => ({
  sql,
  facts: of,
  verdict: {
    effect: 'hold',
    rules: [],
    reason: '',
    terms: { approverGroups: [], quorum: 1, waitMs: null, expiresMs: null, reasonRequired: false },
  },
  probe: 'none',
  policyVersion: '',
  catalogVersion: '',
});

describe('what a statement is about', () => {
  it('names first what it changes, not what it only reads', () => {
    const it = plan('', [
      judged(
        '',
        facts(
          { class: 'insert', relations: [relation('notes', 'insert')] },
          { class: 'delete', relations: [relation('orders'), relation('customers', 'delete')] },
        ),
      ),
    ]);
    expect(relationsOf(it)).toEqual(['public.customers', 'public.notes', 'public.orders']);
  });

  it('is found in one pass over the text', () => {
    const sql = `COMMENT ON TABLE orders IS '${'if '.repeat(80_000)}'`;
    const it = plan(sql, [
      judged(
        sql,
        facts({ class: 'ddl', verb: 'COMMENT', relations: [relation('gone', 'ddl', { known: false })] }),
      ),
    ]);
    expect(neededRelations(it).map(({ name }) => name)).toEqual(['gone']);
  });
});

describe('what approvers are shown', () => {
  it('has its end, however many placeholders stand before it', () => {
    const sql = `DELETE FROM customers WHERE ssn IN (${Array.from({ length: 60_000 }, () => "'a'").join()}) OR true`;
    const redactions = [...sql.matchAll(/'a'/g)].map(({ index }) => ({
      start: index,
      end: index + 3,
      label: 'pii:social-security-number',
    }));
    const text = redacted(judged(sql, { ...facts({ class: 'delete' }), redactions }));
    expect(text.endsWith('<pii>) OR true')).toBe(true);
    expect(text).not.toContain("'a'");
  });

  const it0 = plan('', [judged('', facts({ class: 'delete' }))]);
  const shown = (...values: readonly (string | null)[]) =>
    cardBinds(
      it0,
      values.map((value) => (value === null ? null : Buffer.from(value))),
      values.map(() => 0),
    );

  it('has long values whole', () => {
    const ids = `{${Array.from({ length: 5000 }, (_, i) => i).join()}}`;
    expect(shown(ids, null, 'x')).toEqual([ids, null, 'x']);
  });

  it('says how much of a value, and of how many values, is not there', () => {
    const [long = ''] = shown('a'.repeat(100_000));
    expect(long).toMatch(/^a{65536}… \(100000 bytes, SHA-256 [0-9a-f]{64}\)$/);
    const many = shown(...Array.from({ length: 60_000 }, (_, i) => `v${i}`));
    expect(JSON.stringify(many).length).toBeLessThan(1_000_000);
    expect(many.at(-1)).toMatch(/^… and \d+ values more, not shown$/);
  });
});
