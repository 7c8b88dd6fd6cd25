/** Gateways before one PostgreSQL, with the real desk and store, and a ledger: how often a held statement took effect is asked of the database. */
import { randomBytes } from 'node:crypto';
import pg from 'pg';
import type { RunningDesk } from '../../src/approvals/desk.ts';
import type { ApprovalRequest, DecideResult } from '../../src/approvals/types.ts';
import type { GatewayDeps } from '../../src/gateway/ports.ts';
import type { Target } from '../../src/gateway/types.ts';
import type { StoredCredential } from '../../src/identity/types.ts';
import { openStore } from '../../src/store/store.ts';
import { approver, quiet, testDesk } from '../approvals/support.ts';
import { type TestPostgres, testPostgres } from '../support/postgres.ts';
import { WireClient } from '../support/wire-client.ts';
import { bytesOf } from './model-steps.ts';
import { type Bench, bench, identityOf, SCHEMA, stored } from './support.ts';

/** Who may come. The password is the name. */
const CALLERS = {
  cred_cursor: ['alice@example.com', 'Cursor'],
  cred_cursor2: ['alice@example.com', 'Cursor'],
  cred_other_agent: ['alice@example.com', 'Claude'],
  cred_no_agent: ['alice@example.com', null],
  cred_other_owner: ['bob@example.com', 'Cursor'],
  cred_minted: ['alice@example.com', 'Cursor'],
} as const;
export type Caller = keyof typeof CALLERS;

export const LEDGER = `create schema other;
  create table ledger (id int, at date);
  create table other.ledger (id int, at date);
  create table free (id int);
  create role app2 login password 'app-secret';
  grant usage, create on schema other to app;
  grant all on ledger, other.ledger, free to app, app2;`;

/** What goes into the ledger waits, and nothing else. */
export const POLICY = `version: 1
defaults: { merge: allow, lock: allow, call: allow, do: hold, delete: allow, truncate: allow, ddl: allow, dcl: allow, admin: allow,
  unknown: allow, missing_where: allow, pii_value: allow, pii_predicate: allow }
rules:
  - { name: ledger, match: { relations: ["*.ledger*"] }, effect: hold }
`;

export interface Ground {
  readonly server: TestPostgres;
  readonly desk: RunningDesk;
  /** Asks the database itself. */
  readonly side: pg.Client;
  /** Credentials whose access was revoked. */
  readonly revoked: Set<string>;
  gateway(more?: Partial<GatewayDeps> & { policyText?: string; target?: Partial<Target> }): Promise<Bench>;
  /** Not logged in. */
  open(to: Bench): Promise<WireClient>;
  connect(to: Bench, as?: Caller, parameters?: Record<string, string>): Promise<WireClient>;
  /** The newest request that waits and whose text has this in it. */
  card(text: string): Promise<ApprovalRequest>;
  /** The newest that gives something. */
  seen<T>(find: (request: ApprovalRequest) => T | null): Promise<T>;
  /** Resolves once it is in this state. */
  state(id: string, ...states: readonly string[]): Promise<ApprovalRequest>;
  approve(id: string): Promise<DecideResult>;
  deny(id: string): Promise<DecideResult>;
  /** How often it is in a ledger. */
  entries(id: number): Promise<number>;
  /** Nothing of the gateway's sessions is left in the server. */
  idle(): Promise<void>;
  /** The desk's clock. */
  pass(ms: number): void;
  stop(): Promise<void>;
}

export async function ground(schema = '', settings: Record<string, string> = {}): Promise<Ground> {
  const server = await testPostgres(settings);
  await server.createDatabase('shop');
  await server.createDatabase('desk');
  await server.query('shop', SCHEMA + LEDGER + schema);
  const store = await openStore({ url: server.url('desk'), log: quiet });
  let passed = 0;
  const desk = testDesk(store.requests, () => Date.now() + passed, {
    limits: { perSession: 10_000, perOwner: 100_000, withdrawn: 100_000 },
  });
  const seen = new Map<string, ApprovalRequest>();
  let watchers: (() => void)[] = [];
  desk.onChange((request) => {
    const known = seen.get(request.id);
    if (known === undefined || known.version < request.version) seen.set(request.id, request);
    const wake = watchers;
    watchers = [];
    for (const one of wake) one();
  });
  const foundAs = async <T>(find: (request: ApprovalRequest) => T | null, what: string): Promise<T> => {
    const late = AbortSignal.timeout(20_000);
    for (;;) {
      for (const one of [...seen.values()].reverse()) {
        const found = find(one);
        if (found !== null) return found;
      }
      await new Promise<void>((resolve, reject) => {
        watchers.push(resolve);
        late.onabort = () => reject(new Error(`never seen: ${what}`));
      });
    }
  };
  const until = (test: (request: ApprovalRequest) => boolean, what: string): Promise<ApprovalRequest> =>
    foundAs((one) => (test(one) ? one : null), what);
  const side = new pg.Client({ connectionString: server.url('shop') });
  await side.connect();
  const credentials = new Map<string, StoredCredential>();
  for (const [user, [owner, agent]] of Object.entries(CALLERS))
    credentials.set(user, {
      ...(await stored({ user, password: user }, agent)),
      owner: { id: owner, name: owner, email: owner },
      ...(user === 'cred_minted' ? { mintedBy: 'dana@example.com' } : {}),
    });
  const revoked = new Set<string>();
  const fingerprintKey = randomBytes(32);
  const benches: Bench[] = [];
  const clients: WireClient[] = [];
  return {
    server,
    desk,
    side,
    revoked,
    async gateway(more = {}) {
      const it = await bench(server, 'shop', {
        policyText: POLICY,
        desk,
        fingerprintKey,
        identity: {
          findCredential: async (id) => credentials.get(id) ?? null,
          identityOf,
          confirm: async ({ id }) => (revoked.has(id) ? 'revoked' : 'live'),
          verifyToken: async () => ({ refused: 'none here' }),
          suspendedBy: () => null,
          standing: ({ credentialId }) => (revoked.has(credentialId) ? 'revoked' : 'live'),
        },
        holdTerms: { agentWaitMs: 30_000, personWaitMs: 30_000, maxWaitMs: 60_000, lockedWaitMs: 30_000 },
        ...more,
      });
      benches.push(it);
      return it;
    },
    open: (to) => WireClient.open(to.port),
    async connect(to, as = 'cred_cursor', parameters = {}) {
      const client = await WireClient.login(to.port, { user: as, password: as }, parameters);
      clients.push(client);
      return client;
    },
    card: (text) =>
      until(
        ({ state, statement, waiterLive }) =>
          state === 'pending' && waiterLive && `${statement.sql} ${statement.binds.join(' ')}`.includes(text),
        `a card of ${text}`,
      ),
    seen: (find) => foundAs(find, 'what was asked for'),
    state: (id, ...states) =>
      until((one) => one.id === id && states.includes(one.state), `${id} ${states.join(' or ')}`),
    approve: (id) => desk.decide({ id, approver: approver('Dana'), effect: 'approve', reason: null }),
    deny: (id) => desk.decide({ id, approver: approver('Dana'), effect: 'deny', reason: 'no' }),
    async entries(id) {
      const { rows } = await side.query(
        'select count(*)::int as n from (select id from ledger union all select id from other.ledger) l where id = $1',
        [id],
      );
      return rows[0].n;
    },
    async idle() {
      for (;;) {
        const { rows } = await side.query(
          "select from pg_stat_activity where backend_type = 'client backend' and usename like 'app%' and application_name not like 'holdpoint catalog%'",
        );
        if (rows.length === 0) return;
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    },
    pass: (ms) => {
      passed += ms;
    },
    async stop() {
      for (const client of clients) client.close();
      for (const one of benches) await one.stop();
      await side.end();
      desk.close();
      await store.close();
      await server.stop();
    },
  };
}

/** Says it, as lines of model-steps.ts. */
export const say = (client: WireClient, ...steps: readonly string[]): void =>
  client.send(...steps.map(bytesOf));
