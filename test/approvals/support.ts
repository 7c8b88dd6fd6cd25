import { createDesk, type DeskOptions } from '../../src/approvals/desk.ts';
import type { Approver, DeskStore, HoldDraft } from '../../src/approvals/types.ts';

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

type DraftChange = Partial<Omit<HoldDraft, 'requester' | 'terms' | 'statement'>> & {
  readonly requester?: Partial<HoldDraft['requester']>;
  readonly terms?: Partial<HoldDraft['terms']>;
  readonly statement?: Partial<HoldDraft['statement']>;
};

export function draft(fingerprint: string, change: DraftChange = {}): HoldDraft {
  return {
    fingerprint,
    sessionId: 'session-1',
    target: { name: 'prod', environment: 'production', database: 'shop', role: 'hp_rw' },
    rules: ['deletes'],
    reason: 'Deletes wait for a human.',
    ...change,
    requester: {
      ownerId: 'alice@example.com',
      ownerName: 'Alice',
      ownerEmail: 'alice@example.com',
      agent: 'Cursor',
      credentialId: 'cred_1',
      subject: 'cred_1',
      mintedBy: null,
      ...change.requester,
    },
    statement: {
      sql: 'DELETE FROM orders WHERE id = 1',
      tidied: null,
      class: 'delete',
      verb: 'DELETE',
      relations: ['public.orders'],
      taggedColumns: [],
      missingWhere: false,
      binds: [],
      statementCount: 1,
      bytes: 31,
      sha256: '00',
      transaction: 'idle',
      snapshotPredates: false,
      clientSays: null,
      ...change.statement,
    },
    terms: {
      approverGroups: [],
      quorum: 1,
      waitMs: null,
      expiresMs: null,
      reasonRequired: false,
      ...change.terms,
    },
  };
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
