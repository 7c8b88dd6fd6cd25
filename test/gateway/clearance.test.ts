import { serialize } from 'pg-protocol';
import { describe, expect, it } from 'vitest';
import type { Clearance } from '../../src/approvals/types.ts';
import { Approval, Cleared, clear, clearParse, own } from '../../src/gateway/clearance.ts';
import type { Verdict } from '../../src/policy/types.ts';

const verdict = (effect: Verdict['effect']): Verdict => ({
  effect,
  rules: ['r'],
  reason: 'because',
  terms: { approverGroups: [], quorum: 1, waitMs: null, expiresMs: null, reasonRequired: false },
});
function approval(): { approval: Approval; ends: string[] } {
  const ends: string[] = [];
  const clearance: Clearance = {
    requestId: 'HP-1',
    progress: async () => {},
    finish: async ({ kind }) => {
      ends.push(kind);
    },
  };
  return { approval: new Approval(clearance), ends };
}
const message = serialize.query('delete from orders');

describe('a clearance', () => {
  it('comes out of an allow verdict alone', () => {
    expect(clear({ kind: 'verdict', verdict: verdict('allow') }, message).spend()).toBe(message);
    for (const effect of ['hold', 'deny'] as const)
      expect(() => clear({ kind: 'verdict', verdict: verdict(effect) }, message)).toThrow();
  });

  it('is spent once, and made by nobody else', () => {
    const cleared = clear({ kind: 'verdict', verdict: verdict('allow') }, message);
    cleared.spend();
    expect(() => cleared.spend()).toThrow();
    expect(() => Reflect.construct(Cleared, [Symbol('mine'), message])).toThrow();
  });

  it('lets an approval run one statement, and finish once', async () => {
    const one = approval();
    one.approval.clear(serialize.bind({})).spend();
    one.approval.clear(serialize.execute({})).spend();
    expect(() => one.approval.clear(serialize.execute({}))).toThrow(/spent/);
    expect(() => one.approval.clear(message)).toThrow(/spent/);
    one.approval.resume(serialize.execute({})).spend();
    await one.approval.finish('executed', null);
    await one.approval.finish('rolled-back', null);
    expect(one.ends).toEqual(['executed']);
    const unused = approval();
    await unused.approval.finish('unused', null);
    expect(() => unused.approval.clear(message)).toThrow(/over/);
    expect(() => unused.approval.resume(serialize.execute({}))).toThrow();
  });

  it('lets only a Parse out as a probe', () => {
    expect(() => clearParse(message)).toThrow();
    expect(() => clearParse(serialize.execute({}))).toThrow();
  });

  it('quotes what the gateway itself answers with', () => {
    const text = own
      .query([["HP-1'; drop table x; --", 'a\\', '', '']])
      .spend()
      .toString();
    expect(text).toContain("'HP-1''; drop table x; --'::text, 'a\\'::text");
  });
});
