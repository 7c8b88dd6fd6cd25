/** An ordinary request, as the gateway asks for it and as it stands in the store: what a test does not name is this. */
import { createHash } from 'node:crypto';
import type { ApprovalRequest, HoldDraft, RequestStatement } from '../../src/approvals/types.ts';

export interface DraftChange extends Partial<Omit<HoldDraft, 'requester' | 'terms' | 'statement'>> {
  readonly requester?: Partial<HoldDraft['requester']>;
  readonly terms?: Partial<HoldDraft['terms']>;
  readonly statement?: Partial<RequestStatement>;
}

export function draftOf({ requester, terms, statement, ...rest }: DraftChange = {}): HoldDraft {
  const sql = statement?.sql ?? 'DELETE FROM orders WHERE id = 7';
  return {
    fingerprint: 'f'.repeat(64),
    sessionId: 'ses_01',
    requester: {
      ownerId: 'alice@example.com',
      ownerName: 'Alice',
      ownerEmail: 'alice@example.com',
      agent: 'Cursor',
      credentialId: 'cred_0123456789abcdef01234567',
      subject: 'cred_0123456789abcdef01234567',
      ...requester,
    },
    target: { name: 'shop', environment: 'demo', database: 'shop', role: 'shop_rw' },
    statement: {
      sql,
      tidied: null,
      class: 'delete',
      verb: 'DELETE',
      relations: ['public.orders'],
      taggedColumns: [],
      missingWhere: false,
      binds: [],
      statementCount: 1,
      bytes: Buffer.byteLength(sql),
      sha256: createHash('sha256').update(sql).digest('hex'),
      transaction: 'idle',
      snapshotPredates: false,
      clientSays: null,
      ...statement,
    },
    rules: ['deletes'],
    reason: 'Rows would be deleted.',
    terms: {
      approverGroups: [],
      quorum: 1,
      waitMs: null,
      expiresMs: null,
      reasonRequired: false,
      ...terms,
    },
    ...rest,
  };
}

/** Made of a draft, at that time: pending, and its client waits. */
export function requestOf(
  draft: HoldDraft,
  createdAt: number,
  change: Partial<ApprovalRequest> = {},
): ApprovalRequest {
  return {
    ...draft,
    id: 'HP-7Q2F',
    version: 1,
    state: 'pending',
    createdAt,
    expiresAt: createdAt + 8 * 3_600_000,
    decisions: [],
    waiterLive: true,
    grantExpiresAt: null,
    outcome: null,
    note: null,
    endedAt: null,
    purpose: null,
    impact: null,
    bundle: null,
    remindAt: null,
    remindedAt: null,
    escalateAt: null,
    escalatedAt: null,
    ...change,
  };
}
