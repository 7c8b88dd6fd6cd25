import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ApprovalRequest } from '../../src/approvals/types.ts';
import { type Ending, type Failure, line, toEnding, toReport } from '../../src/gateway/errors.ts';
import type { HoldTerms } from '../../src/policy/types.ts';
import { holds } from '../support/property.ts';

const terms: HoldTerms = {
  approverGroups: [],
  quorum: 1,
  waitMs: null,
  expiresMs: null,
  reasonRequired: false,
};
function request(text: string): ApprovalRequest {
  return {
    id: 'HP-7Q2F',
    version: 1,
    state: 'pending',
    fingerprint: 'f',
    sessionId: 's',
    requester: {
      ownerId: null,
      ownerName: null,
      ownerEmail: null,
      agent: null,
      credentialId: 'c',
      subject: 's',
    },
    target: { name: 't', environment: 'e', database: 'd', role: 'r' },
    statement: {
      sql: text,
      tidied: null,
      class: 'delete',
      verb: 'DELETE',
      relations: ['public.orders', ...(text === '' ? [] : [text, `${text}2`, `${text}3`, `${text}4`])],
      taggedColumns: [],
      missingWhere: false,
      binds: [],
      statementCount: 1,
      bytes: 1,
      sha256: '',
      transaction: 'idle',
      snapshotPredates: false,
      clientSays: null,
    },
    rules: text === '' ? ['deletes'] : [text, text],
    reason: text,
    terms,
    createdAt: 0,
    expiresAt: 0,
    decisions: [
      {
        approverId: 'd',
        approverName: text || 'Dana',
        surface: 'slack',
        effect: 'deny',
        reason: text || 'too broad',
        at: 0,
      },
    ],
    waiterLive: true,
    grantExpiresAt: null,
    outcome: null,
    note: text,
    endedAt: null,
  };
}
const failures = (text: string): Failure[] => [
  { kind: 'pending', request: request(text), where: text || '#db', retryMs: 60_000 },
  { kind: 'superseded', request: request(text) },
  { kind: 'denied', request: request(text) },
  { kind: 'expired', request: request(text) },
  { kind: 'withdrawn', request: request(text) },
  { kind: 'blocked', verdict: { effect: 'deny', rules: [text], reason: text, terms }, what: text },
  { kind: 'too-many', open: [text, text] },
  { kind: 'too-many', open: [] },
  { kind: 'reason-needed', request: request(text) },
  { kind: 'setting', name: text, why: 'may not be changed behind Holdpoint' },
  { kind: 'function-call' },
  { kind: 'desk-unavailable' },
  { kind: 'not-recorded' },
  { kind: 'cancelled', requestId: 'HP-7Q2F' },
  { kind: 'no-statement', name: text },
  { kind: 'no-portal', name: text },
  { kind: 'too-many-names' },
  { kind: 'no-room' },
  { kind: 'internal' },
];

const endings: Ending[] = [
  { kind: 'identity', standing: 'revoked' },
  { kind: 'protocol', code: '08P01', message: 'm' },
  { kind: 'protocol', code: '54000', message: 'm' },
  { kind: 'login-failed' },
  { kind: 'login-unchecked' },
  { kind: 'login-late' },
  { kind: 'message-late' },
  { kind: 'token-in-clear' },
  { kind: 'tls-needed' },
  { kind: 'no-access', target: 't' },
  { kind: 'unknown-target', target: 't' },
  { kind: 'replication' },
  { kind: 'startup-setting', name: 'n' },
  { kind: 'too-many-connections' },
  { kind: 'target-down', target: 't', why: 'w' },
  { kind: 'target-lost', target: 't' },
  { kind: 'not-recordable' },
  { kind: 'encoding' },
  { kind: 'tripwire' },
  { kind: 'shutdown' },
];

describe('errors', () => {
  it('say exactly what the design pins', () => {
    const [pending, , denied] = failures('').map(toReport);
    expect(pending).toEqual({
      severity: 'ERROR',
      code: 'HP001',
      message:
        'HP-7Q2F pending approval in #db: DELETE on orders (rule deletes). Not run. Resend exactly this statement in 60 s; do not rewrite it.',
    });
    expect(denied?.message).toBe(
      'HP-7Q2F denied by Dana: too broad. Not run. Do not retry or work around it; tell the user.',
    );
  });

  it('are one line under 300 characters with a code that no driver retries, whatever the names', () => {
    holds(
      fc.property(fc.string({ maxLength: 400 }), (text) => {
        for (const failure of failures(text)) {
          const { code, message } = toReport(failure);
          expect(message.length).toBeLessThan(300);
          // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there.
          expect(message).not.toMatch(/[\u0000-\u001f]|terminating connection|closed the connection/);
          expect(code).not.toMatch(/^(40|53|55|57P|58|08|0A)/);
        }
      }),
    );
  });

  it('are all in docs/errors.md', () => {
    const page = readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8');
    const sections = page.split(/^## /m);
    const [, errors = ''] = sections;
    const fatals = sections.find((section) => /FATAL/.test(section.split('\n')[0] ?? '')) ?? '';
    const listed = (table: string): Set<string> =>
      new Set(
        [...table.matchAll(/^\| (`[^|]*`) \|/gm)].flatMap(([, codes = '']) => codes.match(/\w{5}/g) ?? []),
      );
    for (const failure of failures('')) expect(listed(errors)).toContain(toReport(failure).code);
    for (const ending of endings) expect(listed(fatals)).toContain(toEnding(ending).code);
  });

  it('keep their advice when names are long', () => {
    for (const failure of failures('n'.repeat(400))) {
      const { message } = toReport(failure);
      if (failure.kind === 'pending') expect(message).toMatch(/do not rewrite it\.$/);
      if (failure.kind === 'denied' || failure.kind === 'blocked')
        expect(message).toMatch(/tell the user\.$/);
    }
  });

  it('cut at the bound', () => {
    expect(line('a\nb\tc', 10)).toBe('a b c');
    expect(line('x'.repeat(20), 10)).toHaveLength(10);
  });
});
