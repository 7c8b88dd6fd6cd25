import { createDesk, type DeskOptions } from '../../src/approvals/desk.ts';
import type { Approver, DeskStore, HoldDraft } from '../../src/approvals/types.ts';
import { type DraftChange, draftOf } from '../support/request.ts';

/** A clock that a test moves. */
export function testClock(start = Date.UTC(2026, 10, 20, 14, 2)): {
  now: () => number;
  pass(ms: number): void;
} {
  let at = start;
  return {
    now: () => at,
    pass: (ms) => {
      at += ms;
    },
  };
}

export const quiet = { info: () => undefined, warn: () => undefined };

export function testDesk(store: DeskStore, now: () => number, more: Partial<DeskOptions> = {}) {
  return createDesk({ store, now, log: quiet, pollMs: 20, ...more });
}

export function draft(fingerprint: string, change: DraftChange = {}): HoldDraft {
  return draftOf({
    fingerprint,
    sessionId: 'session-1',
    target: { name: 'prod', environment: 'production', database: 'shop', role: 'hp_rw' },
    ...change,
    requester: { credentialId: 'cred_1', subject: 'cred_1', mintedBy: null, ...change.requester },
  });
}

export function approver(name: string, change: Partial<Approver> = {}): Approver {
  return { id: `${name.toLowerCase()}@example.com`, name, groups: ['dba'], surface: 'slack', ...change };
}

export function waiting<T extends { readonly kind: string }>(
  result: T,
): Extract<T, { readonly kind: 'waiting' }> {
  if (result.kind !== 'waiting') throw new Error(`expected waiting, got ${result.kind}`);
  return result as Extract<T, { readonly kind: 'waiting' }>;
}

export function cleared<T extends { readonly kind: string }>(
  result: T,
): Extract<T, { readonly kind: 'cleared' }> {
  if (result.kind !== 'cleared') throw new Error(`expected cleared, got ${result.kind}`);
  return result as Extract<T, { readonly kind: 'cleared' }>;
}
