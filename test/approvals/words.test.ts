import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cautions, decidedBy, waiterWords } from '../../src/approvals/about.ts';
import { plain } from '../../src/approvals/text.ts';
import { type ApprovalRequest, type Decision, REQUEST_STATES } from '../../src/approvals/types.ts';
import * as words from '../../src/approvals/words.ts';
import { holds } from '../support/property.ts';
import { requestOf } from '../support/request.ts';
import { draft } from './support.ts';

const NOW = Date.UTC(2026, 10, 20, 14, 10);
const dana: Decision = {
  approverId: 'dana',
  approverName: 'Dana',
  surface: 'slack',
  effect: 'approve',
  reason: null,
  at: NOW - 8 * 60_000,
};
function request(change: Partial<ApprovalRequest> = {}): ApprovalRequest {
  return requestOf(draft('f'), NOW, { waiterLive: false, ...change });
}

describe('the words', () => {
  it('are those of the design', () => {
    expect(words.headline(request())).toBe('DELETE prod/orders · Cursor for Alice · HP-7Q2F');
    const granted = request({
      state: 'granted',
      decisions: [dana],
      grantExpiresAt: Date.UTC(2026, 10, 20, 18, 40),
    });
    expect(words.stateSentence(granted, NOW)).toBe(
      'Approved by Dana in Slack at 14:02 UTC, not run, waiting for retry until 18:40 UTC.',
    );
    const denied = request({
      state: 'denied',
      decisions: [{ ...dana, effect: 'deny', reason: 'too broad' }],
    });
    expect(words.lostSentence(denied, NOW)).toBe('Already denied by Dana in Slack at 14:02 UTC.');
  });

  it('are one plain line of at most 300 characters, whatever is in the request', () => {
    const nasty = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 900 }),
      fc.constantFrom(
        '\u202eevil\u200b\r\n\0\u2028',
        'x'.repeat(5000),
        '𝔘'.repeat(700),
        'e\u0301\u0301\u0301\u0301\u0301'.repeat(90),
        '',
      ),
    );
    holds(
      fc.property(
        nasty,
        nasty,
        fc.integer({ min: 0, max: 9 }),
        fc.constantFrom(...REQUEST_STATES),
        (a, b, n, state) => {
          const asked = draft('f', {
            rules: [a, b],
            requester: { ownerName: a, agent: b },
            statement: { relations: Array(n).fill(b), verb: a },
            target: { name: b, environment: a, database: a, role: b },
            terms: { approverGroups: Array(n).fill(a) },
          });
          const decisions: Decision[] = Array.from({ length: n }, () => ({
            ...dana,
            approverName: a,
            reason: b,
            effect: n % 2 ? 'deny' : 'approve',
          }));
          const it = request({ ...asked, state, decisions, note: b });
          const lines = [
            words.headline(it),
            words.stateSentence(it, NOW),
            words.lostSentence(it, NOW),
            words.unavailableSentence(),
            ...(
              [
                'own-request',
                'minted-by-you',
                'not-approver',
                'already-counted',
                'reason-needed',
                'owner-unknown',
                'elsewhere',
                'identity-unclear',
                'not-owed',
                'not-owner',
                'part',
              ] as const
            ).map((why) => words.refusalSentence(why, it, NOW)),
          ];
          for (const line of lines) {
            expect([...line].length, line).toBeLessThanOrEqual(300);
            expect(line).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/u);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it('say who decides it, whom an approval lets go on, and what is easily overlooked', () => {
    const { terms, statement } = request();
    const by = (more: Partial<typeof terms>, at: number | null = null) =>
      decidedBy(request({ terms: { ...terms, ...more }, escalatedAt: at }), NOW);
    expect(by({ approverGroups: [] })).toBe('any approver');
    expect(by({ approverGroups: [], quorum: 2 })).toBe('2 approvers');
    expect(by({ approverGroups: ['dba', 'on-call'] })).toBe('an approver of dba or on-call');
    const owed = [
      { groups: ['dba'], count: 1 },
      { groups: ['security'], count: 2 },
      { groups: [], count: 1 },
    ];
    expect(by({ approverGroups: ['dba', 'security'], quorum: 4, owed })).toBe(
      '1 of dba and 2 of security and 1 of any approver',
    );
    const escalation = { afterMs: 1, groups: ['leads'] };
    expect(by({ approverGroups: ['dba'], escalation })).toBe('an approver of dba');
    expect(by({ approverGroups: ['dba'], escalation }, NOW)).toBe(
      'an approver of dba, since 14:10 UTC leads as well',
    );
    expect(waiterWords(request())).toContain('approval lets one retry through');
    expect(waiterWords(request({ waiterLive: true }))).toBe('The client is waiting on its connection');
    const lead = { lead: 'HP-7Q2F', index: 0, of: 3, loose: false, changes: false };
    expect(waiterWords(request({ bundle: lead }))).toContain('each of 3 statements may run once, in order');
    const odd = {
      missingWhere: true,
      statementCount: 2,
      sql: 'DELETE FROM \u043erders',
      transaction: 'open',
    } as const;
    expect(
      cautions(request({ statement: { ...statement, ...odd } })).map(({ words, grave }) => [words, grave]),
    ).toEqual([
      ['No WHERE: every row', true],
      ['2 statements in one string', false],
      ['Inside an open transaction', false],
      ['Invisible, reordering or disguised characters, which are spelled out', false],
    ]);
  });

  it('say that code is hidden, where it is', () => {
    const of = (sql: string) => cautions(request({ statement: { ...request().statement, sql } }))[0]?.words;
    for (const sql of ['DO <pii:code>', '<pii:statement>', 'DELETE FROM a WHERE b = <pii>'])
      expect(of(sql)).toContain('Parts of it are hidden');
    expect(of('DELETE FROM a WHERE b = <pii:email>')).toBeUndefined();
  });

  it('keep ordinary text as it is, in any script', () => {
    for (const text of ['Zoë Müller', '山田 太郎', 'محمد', 'a <b> & c']) expect(plain(text)).toBe(text);
    expect(plain('a\n  b\u202e\u200dc')).toBe('a bc');
  });
});
