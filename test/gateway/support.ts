/** A gateway before a real PostgreSQL with the real judge; desk, recorder and identity live in memory. */
import { randomBytes } from 'node:crypto';
import { type Logger, pino } from 'pino';
import { NOTHING_KNOWN } from '../../src/approvals/impact.ts';
import type {
  ApprovalRequest,
  Clearance,
  Desk,
  HoldDraft,
  HoldResult,
  Outcome,
  Settlement,
} from '../../src/approvals/types.ts';
import type { Appraiser } from '../../src/gateway/impact/index.ts';
import { createJudge } from '../../src/gateway/judge/index.ts';
import { createGateway, type Gateway, type GatewayDeps } from '../../src/gateway/listener.ts';
import type { Judge, Target } from '../../src/gateway/types.ts';
import { makeVerifier } from '../../src/gateway/wire/scram.ts';
import type { Identity, StoredCredential } from '../../src/identity/types.ts';
import { createPolicyHolder, DEFAULT_POLICY, type PolicyHolder } from '../../src/policy/rules/index.ts';
import type { RecordedEvent, Recorder, SessionMeta } from '../../src/recordings/types.ts';
import type { TestPostgres } from '../support/postgres.ts';

export const AGENT = { user: 'cred_agent', password: 'agent-secret' };
export const PERSON = { user: 'cred_person', password: 'person-secret' };
/** Of another owner than those two. */
export const OTHERS = { user: 'cred_others', password: 'others-secret' };

export interface Finish {
  readonly id: string;
  readonly kind: string;
  readonly outcome: Outcome | null;
}

/** Grants and waiters of the desk's contract, nothing more. */
export class FakeDesk implements Desk {
  readonly drafts: HoldDraft[] = [];
  readonly finishes: Finish[] = [];
  readonly progress: Outcome[] = [];
  readonly withdrawn: string[] = [];
  readonly left: string[] = [];
  readonly ended: string[] = [];
  /** Answers at once instead of waiting. */
  auto: 'approve' | 'deny' | null = null;
  down = false;
  /** What became of a statement is kept only after a while. */
  slow = false;
  tooMany: readonly string[] | null = null;
  readonly #requests = new Map<string, ApprovalRequest>();
  readonly #waiters = new Map<string, (settlement: Settlement) => void>();
  #watchers: (() => void)[] = [];

  async hold(draft: HoldDraft): Promise<HoldResult> {
    if (this.down) return { kind: 'unavailable' };
    if (this.tooMany !== null) return { kind: 'too-many', open: this.tooMany };
    this.drafts.push(draft);
    const live = [...this.#requests.values()].find(
      (one) => one.fingerprint === draft.fingerprint && (one.state === 'pending' || one.state === 'granted'),
    );
    if (live?.state === 'granted') {
      const request = this.#set(live.id, { state: 'executing' });
      this.#changed();
      return { kind: 'cleared', request, clearance: this.#clearance(live.id) };
    }
    const request = live ?? this.#open(draft);
    const settled = new Promise<Settlement>((resolve) => this.#waiters.set(request.id, resolve));
    const result: HoldResult = {
      kind: 'waiting',
      request,
      joined: live !== undefined,
      ticket: {
        settled,
        leave: () => {
          this.#waiters.delete(request.id);
          this.left.push(request.id);
          this.#changed();
        },
        withdraw: async () => {
          this.withdrawn.push(request.id);
          this.#waiters.delete(request.id);
          this.#set(request.id, { state: 'withdrawn' });
          this.#changed();
        },
      },
    };
    this.#changed();
    if (this.auto === 'approve') setImmediate(() => this.approve(request.id));
    if (this.auto === 'deny') setImmediate(() => this.deny(request.id, 'Dana', 'too broad'));
    return result;
  }

  async ask(): Promise<never> {
    throw new Error('not here');
  }
  async withdraw(): Promise<never> {
    throw new Error('not here');
  }
  async explain(): Promise<never> {
    throw new Error('not here');
  }
  async appraise(): Promise<null> {
    return null;
  }

  approve(id: string): void {
    const waiter = this.#waiters.get(id);
    this.#waiters.delete(id);
    const request = this.#set(id, { state: waiter === undefined ? 'granted' : 'executing' });
    waiter?.({ kind: 'cleared', request, clearance: this.#clearance(id) });
  }

  deny(id: string, approverName: string, reason: string | null): void {
    const request = this.#set(id, {
      state: 'denied',
      decisions: [{ approverId: 'd', approverName, surface: 'slack', effect: 'deny', reason, at: 1 }],
    });
    this.#waiters.get(id)?.({ kind: 'denied', request });
    this.#waiters.delete(id);
  }

  isWaiting(id: string): boolean {
    return this.#waiters.has(id);
  }

  /** Resolves with the id of the newest request once `test` holds. */
  async until(test: () => boolean): Promise<void> {
    while (!test()) await new Promise<void>((resolve) => this.#watchers.push(resolve));
  }

  async waiting(): Promise<ApprovalRequest> {
    await this.until(() => this.#waiters.size > 0);
    const id = [...this.#waiters.keys()].at(-1) ?? '';
    return this.#request(id);
  }

  async decide(): Promise<never> {
    throw new Error('not here');
  }
  async get(id: string): Promise<ApprovalRequest | null> {
    return this.#requests.get(id) ?? null;
  }
  async list(): Promise<readonly ApprovalRequest[]> {
    return [...this.#requests.values()];
  }
  async endIdentity(credentialId: string): Promise<void> {
    this.ended.push(credentialId);
  }
  onChange(): () => void {
    return () => {};
  }
  async sweep(): Promise<void> {}
  close(): void {}

  #open(draft: HoldDraft): ApprovalRequest {
    const request: ApprovalRequest = {
      ...draft,
      id: `HP-${this.#requests.size + 1}`,
      version: 1,
      state: 'pending',
      createdAt: 1,
      expiresAt: 2,
      decisions: [],
      waiterLive: true,
      grantExpiresAt: null,
      outcome: null,
      note: null,
      endedAt: null,
    };
    this.#requests.set(request.id, request);
    return request;
  }

  #clearance(id: string): Clearance {
    return {
      requestId: id,
      progress: async (outcome) => {
        this.progress.push(outcome);
        this.#changed();
      },
      finish: async ({ kind, outcome }) => {
        if (this.slow) await new Promise((resolve) => setTimeout(resolve, 100));
        this.finishes.push({ id, kind, outcome });
        this.#set(id, { state: kind === 'rolled-back' || kind === 'unused' ? 'granted' : 'executed' });
        this.#changed();
      },
    };
  }

  #request(id: string): ApprovalRequest {
    const request = this.#requests.get(id);
    if (request === undefined) throw new Error(`no request ${id}`);
    return request;
  }
  #set(id: string, patch: Partial<ApprovalRequest>): ApprovalRequest {
    const request = { ...this.#request(id), ...patch };
    this.#requests.set(id, request);
    return request;
  }
  #changed(): void {
    const watchers = this.#watchers;
    this.#watchers = [];
    for (const watcher of watchers) watcher();
  }
}

export class FakeRecorder implements Recorder {
  readonly sessions: SessionMeta[] = [];
  readonly events: RecordedEvent[] = [];
  readonly closed: string[] = [];
  failing = false;

  open(meta: SessionMeta): ReturnType<Recorder['open']> {
    if (this.failing) throw new Error('disk full');
    this.sessions.push(meta);
    return {
      append: (events) => {
        if (this.failing) throw new Error('disk full');
        this.events.push(...events);
      },
      close: (why) => {
        this.closed.push(why);
      },
    };
  }
  statements(): Extract<RecordedEvent, { kind: 'statement' }>[] {
    return this.events.filter((event) => event.kind === 'statement');
  }
  results(): Extract<RecordedEvent, { kind: 'result' }>[] {
    return this.events.filter((event) => event.kind === 'result');
  }
  async recover(): Promise<never> {
    throw new Error('not here');
  }
  async read(): Promise<never> {
    throw new Error('not here');
  }
  async verify(): Promise<never> {
    throw new Error('not here');
  }
  async flush(): Promise<void> {}
  async close(): Promise<void> {}
}

export interface Bench {
  readonly gateway: Gateway;
  readonly port: number;
  readonly desk: FakeDesk;
  readonly recorder: FakeRecorder;
  readonly policy: PolicyHolder;
  readonly judge: Judge;
  readonly target: Target;
  /** Credential ids whose access was revoked. */
  readonly revoked: Set<string>;
  url(login?: { readonly user: string; readonly password: string }): string;
  stop(): Promise<void>;
}

export async function stored(
  { user, password }: { readonly user: string; readonly password: string },
  agent: string | null,
): Promise<StoredCredential> {
  return {
    id: user,
    owner: { id: 'alice@example.com', name: 'Alice', email: 'alice@example.com' },
    agent,
    groups: ['dev'],
    expiresAt: Number.MAX_SAFE_INTEGER,
    createdAt: 0,
    revokedAt: null,
    scram: await makeVerifier(password, randomBytes(16), 4096),
  };
}

/** Looks at no target: what a statement would do has tests of its own. */
export const NO_IMPACT: Appraiser = {
  known: () => NOTHING_KNOWN,
  appraise: async () => undefined,
  grown: async () => null,
  count: async () => ({ kind: 'not-counted', sentence: 'not here' }),
  subjectOf: () => null,
  close: () => undefined,
};

export const identityOf = ({
  id,
  owner,
  agent,
  groups,
  expiresAt,
  mintedBy,
}: StoredCredential): Identity => ({
  credentialId: id,
  subject: id,
  owner,
  agent,
  groups,
  expiresAt,
  via: 'credential',
  mintedBy: mintedBy ?? null,
});

export const silent: Logger = pino({ level: process.env['HP_TEST_LOG'] ?? 'silent' });

/** The database needs a login role `app` with password `app-secret`. */
export async function bench(
  server: TestPostgres,
  database: string,
  more: Partial<GatewayDeps> & { readonly policyText?: string; readonly target?: Partial<Target> } = {},
): Promise<Bench> {
  const target: Target = {
    name: 'shop',
    environment: 'test',
    host: server.host,
    port: server.port,
    database,
    tls: 'disable',
    ca: null,
    logins: { 'read-write': { user: 'app', password: 'app-secret' } },
    catalogLogin: null,
    acceptPrivileges: [],
    protocol: 'strict',
    ...more.target,
  };
  const policy = createPolicyHolder(more.policyText ?? DEFAULT_POLICY);
  const judge = createJudge({ target, policy, now: Date.now, workers: 1 });
  const desk = new FakeDesk();
  const recorder = new FakeRecorder();
  const credentials = new Map<string, StoredCredential>();
  const bob = { id: 'bob@example.com', name: 'Bob', email: 'bob@example.com' };
  for (const one of [
    await stored(AGENT, 'Cursor'),
    await stored(PERSON, null),
    { ...(await stored(OTHERS, 'Cursor')), owner: bob },
  ])
    credentials.set(one.id, one);
  const revoked = new Set<string>();
  const { policyText: _text, target: _target, ...deps } = more;
  const gateway = createGateway({
    targets: new Map([[target.name, target]]),
    judges: new Map([[target.name, judge]]),
    desk,
    recorder,
    identity: {
      findCredential: async (id) => credentials.get(id) ?? null,
      identityOf,
      confirm: async ({ id }) => (revoked.has(id) ? 'revoked' : 'live'),
      verifyToken: async (token) => (token === 'good-token' ? tokenIdentity : { refused: 'bad token' }),
      suspendedBy: () => null,
      standing: (identity) => (revoked.has(identity.credentialId) ? 'revoked' : 'live'),
    },
    holdTerms: { agentWaitMs: 5000, personWaitMs: 5000, maxWaitMs: 60_000, lockedWaitMs: 1000 },
    where: '#db',
    impact: NO_IMPACT,
    tls: null,
    fingerprintKey: randomBytes(32),
    levelFor: (groups) => (groups.includes('dev') ? 'read-write' : 'none'),
    log: silent,
    now: Date.now,
    ...deps,
  });
  const { port } = await gateway.listen({ host: '127.0.0.1', port: 0 });
  return {
    gateway,
    port,
    desk,
    recorder,
    policy,
    judge,
    target,
    revoked,
    url: (login = AGENT) => `postgres://${login.user}:${login.password}@127.0.0.1:${port}/shop`,
    async stop() {
      await gateway.close();
      await judge.close();
    },
  };
}

const tokenIdentity: Identity = {
  credentialId: 'jwt:1',
  subject: 'bob',
  owner: { id: 'bob@example.com', name: 'Bob', email: 'bob@example.com' },
  agent: null,
  groups: ['dev'],
  expiresAt: Number.MAX_SAFE_INTEGER,
  via: 'oidc',
};

export const SCHEMA = `
  create role app login password 'app-secret';
  create table customers (id int primary key, email text, name text);
  create table orders (id int primary key, customer int, total numeric);
  insert into customers values (1, 'alice@example.com', 'Alice'), (2, 'bob@example.com', 'Bob');
  insert into orders select i, 1 + i % 2, i from generate_series(1, 100) i;
  grant usage, create on schema public to app;
  grant all on all tables in schema public to app;`;
