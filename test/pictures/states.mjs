/** The states that are pictured: requests as they stand in the store, rendered by the product itself. */
import { createHash } from 'node:crypto';
import { renderAlert } from '../../dist/bot/alerts.js';
import { renderCard } from '../../dist/bot/cards.js';
import { directMessage } from '../../dist/bot/direct.js';
import { homeBlocks } from '../../dist/bot/home.js';
import { outcomeNote, reminderNote, sessionNote } from '../../dist/bot/thread.js';

const NOW = Date.UTC(2026, 10, 21, 10, 2);
const MINUTE = 60_000;
const PUBLIC = 'https://holdpoint.example.com';

function request(change = {}) {
  const { statement = {}, terms = {}, requester = {}, ...rest } = change;
  const sql =
    statement.sql ?? "DELETE FROM orders\nWHERE status = 'cancelled'\n  AND created_at < '2026-01-01'";
  return {
    id: 'HP-7Q2F',
    version: 1,
    state: 'pending',
    fingerprint: 'f',
    sessionId: 'ses_5f2c81',
    requester: {
      ownerId: 'alice@example.com',
      ownerName: 'Alice',
      ownerEmail: 'alice@example.com',
      agent: 'Cursor',
      credentialId: 'cred_1',
      subject: 'cred_1',
      ...requester,
    },
    target: { name: 'prod', environment: 'production', database: 'shop', role: 'shop_rw' },
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
      clientSays: 'Cursor 2.1',
      ...statement,
    },
    rules: ['deletes'],
    reason: 'Rows would be deleted.',
    terms: {
      approverGroups: ['dba'],
      quorum: 1,
      waitMs: null,
      expiresMs: null,
      reasonRequired: false,
      ...terms,
    },
    createdAt: NOW,
    expiresAt: NOW + 8 * 60 * MINUTE,
    decisions: [],
    waiterLive: true,
    grantExpiresAt: null,
    outcome: null,
    note: null,
    endedAt: null,
    purpose: 'OPS-412: clear out cancelled orders of last year',
    impact: {
      rows: 12_387,
      why: null,
      approximate: false,
      counted: null,
      tables: [{ name: 'public.orders', rows: 51_200, bytes: 9_437_184 }],
      lock: { mode: 'RowExclusiveLock', relations: ['public.orders'] },
      cascades: ['public.order_items (delete)'],
      triggers: [],
      rewrites: null,
      dependents: [],
      transactionMs: null,
    },
    ...rest,
  };
}
const decision = (name, effect, change = {}) => ({
  approverId: `${name.toLowerCase()}@example.com`,
  approverName: name,
  surface: 'slack',
  effect,
  reason: null,
  at: NOW + MINUTE,
  groups: ['dba'],
  ...change,
});
const card = (one, options = {}) =>
  renderCard(one, { now: NOW, publicUrl: PUBLIC, countable: true, ...options }).blocks;
const dana = decision('Dana', 'approve');
const ran = { code: null, rows: 12_412, tag: 'DELETE 12412', ms: 184, transactionOpen: false };

const ONCALL = { kind: 'usergroup', id: 'S0ONCALL1' };
const DROP = {
  sql: 'DROP TABLE audit_old',
  class: 'ddl',
  verb: 'DROP TABLE',
  relations: ['public.audit_old'],
};
const ended = request({
  version: 4,
  state: 'executed',
  decisions: [dana],
  outcome: ran,
  endedAt: NOW + MINUTE + 184,
});
const retry = request({
  version: 3,
  state: 'granted',
  waiterLive: false,
  grantExpiresAt: NOW + 15 * MINUTE,
  decisions: [dana],
});
const ALERT = {
  id: 'AL-0123456789abcdef',
  key: '',
  requester: request().requester,
  count: 5,
  since: NOW - 3 * MINUTE,
  at: NOW,
  lines: [
    'DELETE public.orders on production/prod: held as HP-7Q2F',
    'DROP TABLE public.audit_old on production/prod: held as HP-M3KD',
    'TRUNCATE public.audit_log on production/prod: denied',
    'DELETE public.customers on production/prod: denied',
    'DELETE public.customers on production/prod: denied',
  ],
  channel: '#db',
  ts: null,
  shown: false,
  suspendedBy: null,
};

export const STATES = [
  {
    name: 'pending',
    messages: [card(request(), { mention: ONCALL, owner: { kind: 'user', id: 'U0ALICE01' } })],
  },
  {
    name: 'partial',
    messages: [
      card(
        request({
          version: 3,
          statement: {
            sql: 'ALTER TABLE customers\n  DROP COLUMN email',
            class: 'ddl',
            verb: 'ALTER TABLE',
            relations: ['public.customers'],
            taggedColumns: ['public.customers.email'],
          },
          impact: null,
          rules: ['ddl', 'pii-columns'],
          reason: 'The table would change.',
          terms: {
            approverGroups: ['dba', 'security'],
            quorum: 2,
            owed: [
              { groups: ['dba'], count: 1 },
              { groups: ['security'], count: 1 },
            ],
          },
          decisions: [dana],
        }),
      ),
    ],
  },
  {
    name: 'waiting-for-retry',
    messages: [
      card(
        request({
          version: 3,
          state: 'granted',
          waiterLive: false,
          grantExpiresAt: NOW + 15 * MINUTE,
          decisions: [dana],
        }),
      ),
    ],
  },
  {
    name: 'executed',
    messages: [
      card(
        request({
          version: 4,
          state: 'executed',
          decisions: [dana],
          outcome: ran,
          endedAt: NOW + MINUTE + 184,
        }),
      ),
    ],
  },
  {
    name: 'failed',
    messages: [
      card(
        request({
          version: 4,
          state: 'failed',
          decisions: [dana],
          outcome: { ...ran, code: '23503', rows: null },
          endedAt: NOW + MINUTE + 184,
        }),
      ),
    ],
  },
  {
    name: 'denied',
    messages: [
      card(
        request({
          version: 2,
          state: 'denied',
          decisions: [decision('Dana', 'deny', { reason: 'too broad', surface: 'console' })],
          endedAt: NOW + MINUTE,
        }),
      ),
    ],
  },
  {
    name: 'expired',
    messages: [card(request({ version: 2, state: 'expired', endedAt: NOW + 8 * 60 * MINUTE }))],
  },
  {
    name: 'withdrawn',
    messages: [
      card(
        request({ version: 2, state: 'withdrawn', note: 'cancelled by the client', endedAt: NOW + MINUTE }),
      ),
    ],
  },
  {
    name: 'too-long',
    messages: [
      card(
        request({
          statement: {
            sql: `DELETE FROM orders\nWHERE id IN (\n${Array.from({ length: 700 }, (_, i) => `  ${10_000 + i * 7}`).join(',\n')}\n)`,
          },
        }),
      ),
    ],
  },
  {
    name: 'thread',
    messages: [
      card(ended),
      sessionNote(request(), PUBLIC, NOW).blocks,
      reminderNote(request(), [ONCALL]).blocks,
      outcomeNote(ended, NOW).blocks,
    ],
  },
  { name: 'direct', messages: [directMessage(retry, { now: NOW, publicUrl: PUBLIC }).blocks] },
  { name: 'alert', messages: [renderAlert(ALERT, ONCALL).blocks] },
  {
    name: 'home',
    messages: [
      homeBlocks(
        {
          notice: null,
          waiting: [request(), request({ id: 'HP-M3KD', statement: DROP, impact: null })],
          mine: [{ ...retry, id: 'HP-X8TN', requester: { ...retry.requester, ownerName: 'Dana' } }],
          recent: [{ ...ended, id: 'HP-4WQA' }],
        },
        { now: NOW, me: { id: 'dana@example.com', name: 'Dana', surface: 'slack' } },
      ),
    ],
  },
];
