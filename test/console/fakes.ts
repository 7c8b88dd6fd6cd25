/** In-memory stand-ins of the console's ports, for tests only. */
import type { ApprovalRequest, DecideResult, Desk } from '../../src/approvals/types.ts';
import type {
  ApproverRecord,
  CredentialStore,
  StoredAccess,
  StoredCredential,
  Suspension,
} from '../../src/identity/types.ts';
import type { PolicyEditor, PolicyView } from '../../src/policy/live.ts';
import type { RecordedEvent, Recorder, SessionIndex, SessionSummary } from '../../src/recordings/types.ts';
import { draftOf, requestOf } from '../support/request.ts';

export const DANA: ApproverRecord = {
  id: 'dana@example.com',
  name: 'Dana',
  email: 'dana@example.com',
  slackId: null,
  groups: ['dba'],
};
export const T0 = Date.parse('2026-11-20T14:02:00Z');

export function memoryCredentials(): CredentialStore & {
  readonly access: Map<string, StoredAccess>;
  readonly stored: Map<string, StoredCredential>;
} {
  const stored = new Map<string, StoredCredential>();
  const access = new Map<string, StoredAccess>();
  const suspended = new Map<string, Suspension>();
  return {
    stored,
    access,
    async insertCredential(credential) {
      stored.set(credential.id, credential);
    },
    findCredential: async (id) => stored.get(id) ?? null,
    listCredentials: async () => [...stored.values()],
    recentCredentials: async (since, limit) =>
      [...stored.values()].filter(({ expiresAt }) => expiresAt > since).slice(-limit),
    recentAccess: async (since, limit) =>
      [...access.values()].filter(({ expiresAt }) => expiresAt > since).slice(-limit),
    async revokeCredential(id, at) {
      const found = stored.get(id);
      if (found === undefined || found.revokedAt !== null) return false;
      stored.set(id, { ...found, revokedAt: at });
      return true;
    },
    revokedSince: async (since) =>
      [...stored.values()].filter((c) => c.revokedAt !== null && c.revokedAt >= since).map((c) => c.id),
    async insertAccess(row) {
      access.set(row.secretHash, row);
    },
    findAccess: async (hash) => access.get(hash) ?? null,
    async consumeAccess(hash, at) {
      const found = access.get(hash);
      if (found === undefined || found.usedAt !== null) return false;
      access.set(hash, { ...found, usedAt: at });
      return true;
    },
    async revokeAccess(hash, at) {
      const found = access.get(hash);
      if (found === undefined || found.revokedAt !== null) return false;
      access.set(hash, { ...found, revokedAt: at });
      return true;
    },
    listAccess: async (at) =>
      [...access.values()].filter(
        (row) => row.kind !== 'link' && row.revokedAt === null && row.expiresAt > at,
      ),
    async revokeAccessOf(person, at) {
      const rows = [...access.values()].filter(
        (row) =>
          row.approverId === person && row.revokedAt === null && row.usedAt === null && row.expiresAt > at,
      );
      for (const row of rows) access.set(row.secretHash, { ...row, revokedAt: at });
      return rows.length;
    },
    async suspend(row) {
      if (suspended.has(row.personId)) return false;
      suspended.set(row.personId, row);
      return true;
    },
    unsuspend: async (person) => suspended.delete(person),
    listSuspensions: async () => [...suspended.values()],
  };
}

export function aRequest(
  patch: Partial<ApprovalRequest> = {},
  sql = 'DELETE FROM orders WHERE id = 7',
): ApprovalRequest {
  const expiresAt = T0 + 8 * 3_600_000;
  return requestOf(draftOf({ statement: { sql } }), T0 - 12_000, { expiresAt, ...patch });
}

export interface MemoryDesk extends Desk {
  readonly asked: Parameters<Desk['decide']>[0][];
  put(request: ApprovalRequest): void;
  answer: DecideResult | null;
}

/** Settles on the first decision; keeps what it was asked. `answer` overrides. */
export function memoryDesk(first: readonly ApprovalRequest[] = []): MemoryDesk {
  const requests = new Map(first.map((request) => [request.id, request]));
  const listeners = new Set<(request: ApprovalRequest) => void>();
  const refuse = async (): Promise<never> => {
    throw new Error('not in this test');
  };
  const desk: MemoryDesk = {
    asked: [],
    answer: null,
    put(request) {
      requests.set(request.id, request);
      for (const listener of listeners) listener(request);
    },
    hold: refuse,
    ask: refuse,
    async withdraw({ id, by, note }) {
      const request = requests.get(id);
      if (request === undefined) throw new Error('not in this test');
      const settled: ApprovalRequest = {
        ...request,
        state: 'withdrawn',
        note: `${by.id} ${note}`,
        endedAt: T0,
      };
      desk.put(settled);
      return { kind: 'settled', request: settled };
    },
    async explain({ id, reason }) {
      const request = requests.get(id);
      if (request === undefined) throw new Error('not in this test');
      const settled: ApprovalRequest = { ...request, purpose: reason };
      desk.put(settled);
      return { kind: 'settled', request: settled };
    },
    appraise: refuse,
    async decide(input) {
      desk.asked.push(input);
      if (desk.answer !== null) return desk.answer;
      const request = requests.get(input.id);
      if (request === undefined) {
        return {
          kind: 'refused',
          why: 'no-such-request',
          request: null,
          sentence: 'There is no such request.',
        };
      }
      if (request.requester.ownerId === input.approver.id) {
        return { kind: 'refused', why: 'own-request', request, sentence: 'This is your own request.' };
      }
      if (request.state !== 'pending')
        return { kind: 'lost', request, sentence: `Already decided: ${request.state}.` };
      const settled: ApprovalRequest = {
        ...request,
        version: request.version + 1,
        state: input.effect === 'approve' ? 'granted' : 'denied',
        grantExpiresAt: input.effect === 'approve' ? T0 + 900_000 : null,
        decisions: [
          {
            approverId: input.approver.id,
            approverName: input.approver.name,
            surface: input.approver.surface,
            effect: input.effect,
            reason: input.reason,
            at: T0,
          },
        ],
      };
      desk.put(settled);
      return { kind: 'settled', request: settled };
    },
    get: async (id) => requests.get(id) ?? null,
    list: async (filter) =>
      [...requests.values()].filter(
        (r) =>
          (filter.states === undefined || filter.states.includes(r.state)) &&
          (filter.ownerId === undefined || filter.ownerId === r.requester.ownerId) &&
          (filter.sessionId === undefined || filter.sessionId === r.sessionId),
      ),
    endIdentity: async () => {},
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    sweep: async () => {},
    close: () => {},
  };
  return desk;
}

export function aSession(patch: Partial<SessionSummary> = {}): SessionSummary {
  return {
    id: 'ses_1',
    ownerId: 'alice@example.com',
    ownerName: 'Alice',
    ownerEmail: 'alice@example.com',
    agent: 'Cursor',
    subject: 'cred_0123456789abcdef01234567',
    credentialId: 'cred_0123456789abcdef01234567',
    target: 'shop',
    environment: 'demo',
    database: 'shop',
    role: 'shop_rw',
    clientAddress: '127.0.0.1',
    applicationName: 'psql',
    startedAt: T0 - 600_000,
    endedAt: null,
    endedWhy: null,
    statements: 3,
    held: 1,
    denied: 1,
    errors: 0,
    rows: 42,
    head: null,
    ...patch,
  };
}

export function memorySessions(rows: readonly SessionSummary[] = [aSession()]): SessionIndex {
  return {
    upsert: async () => {},
    get: async (id) => rows.find((row) => row.id === id) ?? null,
    list: async ({ owner, since, held }) =>
      rows.filter(
        (row) =>
          (held !== true || row.held > 0) &&
          (owner === undefined ||
            [row.ownerId, row.ownerName, row.ownerEmail].some(
              (v) => v?.toLowerCase() === owner.toLowerCase(),
            )) &&
          (since === undefined || row.startedAt >= since),
      ),
  };
}

export function memoryRecorder(events: readonly RecordedEvent[] = []): Recorder {
  return {
    open: () => {
      throw new Error('not in this test');
    },
    recover: () => Promise.reject(new Error('not in this test')),
    read: async () => events.map((event, seq) => ({ ...event, seq })),
    verify: async (sessionId) => ({
      kind: 'intact',
      events: events.length,
      signed: events.length,
      ended: true,
      sessionId,
      from: 1,
      head: '00',
    }),
    flush: async () => {},
    close: async () => {},
  };
}

const statement = (
  n: number,
  sql: string,
  patch: Partial<Extract<RecordedEvent, { kind: 'statement' }>> = {},
) =>
  ({
    kind: 'statement',
    t: T0 - 300_000 + n * 21_000,
    n,
    sql,
    class: 'read',
    binds: [],
    effect: 'allow',
    rules: ['default:read'],
    reason: 'Reads pass.',
    relations: ['public.orders'],
    taggedColumns: [],
    protocol: 'simple',
    ...patch,
  }) satisfies RecordedEvent;
const result = (n: number, patch: Partial<Extract<RecordedEvent, { kind: 'result' }>> = {}) =>
  ({
    kind: 'result',
    t: T0 - 299_000 + n * 21_000,
    n,
    ms: 3.4,
    tag: null,
    rows: null,
    columns: [],
    values: [],
    truncated: false,
    withheld: false,
    error: null,
    ...patch,
  }) satisfies RecordedEvent;

export const EVENTS: readonly RecordedEvent[] = [
  { kind: 'session', t: T0 - 300_000, session: aSession() },
  statement(
    1,
    "SELECT id, status, total\n  FROM orders\n WHERE status = 'stuck' -- since this morning\n LIMIT 3",
    { observed: { effect: 'hold', rules: ['tried'] } },
  ),
  result(1, {
    tag: 'SELECT 3',
    rows: 3,
    columns: ['id', 'status', 'total'],
    values: [
      ['7', 'stuck', '129.90'],
      ['12', 'stuck', null],
      ['31', 'stuck', '54.00'],
    ],
    truncated: true,
  }),
  statement(2, 'SELECT email FROM customer_contacts WHERE customer_id = $1', {
    effect: 'hold',
    rules: ['pii'],
    reason: 'Personal data would be read.',
    taggedColumns: ['public.customers.email'],
    binds: ['4'],
    protocol: 'extended',
  }),
  {
    kind: 'approval',
    t: T0 - 250_000,
    n: 2,
    request: 'HP-3KD9',
    state: 'approved',
    by: 'Dana',
    surface: 'slack',
    note: 'support case 311',
  },
  result(2, { tag: 'SELECT 1', rows: 1, withheld: true, ms: 5.1 }),
  statement(3, 'DROP TABLE orders', {
    class: 'ddl',
    effect: 'deny',
    rules: ['no-drops'],
    reason: 'Tables of this target are never dropped here.',
  }),
  result(3, {
    error: {
      code: '42501',
      message: 'Blocked by rule no-drops. Not run. Do not retry or work around it; tell the user.',
    },
  }),
  statement(4, 'DELETE FROM orders WHERE id = 7', {
    class: 'delete',
    effect: 'hold',
    rules: ['deletes'],
    reason: 'Rows would be deleted.',
  }),
  {
    kind: 'approval',
    t: T0 - 200_000,
    n: 4,
    request: 'HP-7Q2F',
    state: 'pending',
    by: null,
    surface: null,
    note: null,
  },
];

/** One target, `shop`, nobody may change it. */
export function policyOf(patch: Partial<PolicyView> = {}): PolicyEditor {
  const view = {
    target: 'shop',
    text: 'version: 1\n',
    version: '00112233aabbccdd',
    warnings: [],
    path: null,
    change: null,
    ...patch,
  };
  return {
    targets: ['shop'],
    view: (target) => (target === 'shop' ? view : null),
    admits: () => false,
    put: async () => ({ kind: 'not-allowed', anybody: false }),
  };
}
