/** What the gateway needs from its surroundings, and what it offers (composed by app). */
import type { Logger } from 'pino';
import type { Desk, Requester } from '../approvals/types.ts';
import type { Networks } from '../edge/address.ts';
import type { FailedLogin } from '../identity/failed-logins.ts';
import type { TokenResult } from '../identity/token.ts';
import type { AccessLevel, Identity, StoredCredential } from '../identity/types.ts';
import type { StatementClass } from '../policy/types.ts';
import type { Recorder } from '../recordings/types.ts';
import type { Guesses } from './guesses.ts';
import type { Appraiser } from './impact/index.ts';
import type { Judge, Target } from './types.ts';

/** Implemented by src/identity. */
export interface IdentityPort {
  /** From memory, as a rule: it may have been revoked meanwhile. */
  findCredential(id: string): Promise<StoredCredential | null>;
  identityOf(credential: StoredCredential): Identity;
  /** Asked of the store, for whoever has proven the secret. Rejects when it cannot be asked. */
  confirm(credential: StoredCredential): Promise<Standing>;
  verifyToken(token: string): Promise<TokenResult>;
  /** Asked before every statement: must not block. */
  standing(identity: Identity): Standing;
  /** Who suspended it; null: nobody, or that is not known. */
  suspendedBy(identity: Identity): string | null;
}
export type Standing = 'live' | 'expired' | 'revoked' | 'suspended';

/** Milliseconds. */
export interface HoldWaits {
  /** Agents: below the 30–60 s after which MCP clients give up. */
  readonly agentWaitMs: number;
  readonly personWaitMs: number;
  /** Cap of `SET holdpoint.wait`. */
  readonly maxWaitMs: number;
  /** Once earlier work in the transaction holds locks. */
  readonly lockedWaitMs: number;
  /** How long an agent may leave a transaction alone that may hold locks. */
  readonly agentIdleMs?: number;
  /** Between two notices to a person who waits. */
  readonly heartbeatMs?: number;
}

/** Bounds of I7; every one has a default. */
export interface GatewayLimits {
  readonly perAddress: number;
  readonly perOwner: number;
  readonly total: number;
  /** Connections of one address that have not logged in yet; beyond, those of them that have had their time give way. */
  readonly loggingIn: number;
  /** For the client's part of the login. */
  readonly loginMs: number;
  /** How late an address with many failed logins is told of each further one that fails. */
  readonly backoffMs: number;
  readonly messageBytes: number;
  /** For a message, from its first byte to its last. */
  readonly messageMs: number;
  /** Unfinished and unhandled large messages of one owner, and of all. */
  readonly ownerBytes: number;
  readonly totalBytes: number;
  /** Read ahead while a statement is judged or held. */
  readonly aheadBytes: number;
  readonly statements: number;
  readonly portals: number;
  /** Texts of the prepared statements of a session, and values of its portals. */
  readonly namedBytes: number;
  /** The same of all sessions of an owner, and of all. */
  readonly ownerNamedBytes: number;
  readonly totalNamedBytes: number;
}
export const DEFAULT_LIMITS: GatewayLimits = {
  perAddress: 200,
  perOwner: 100,
  total: 1000,
  loggingIn: 100,
  loginMs: 10_000,
  backoffMs: 1000,
  messageBytes: 16 * 1024 * 1024,
  messageMs: 120_000,
  ownerBytes: 128 * 1024 * 1024,
  totalBytes: 512 * 1024 * 1024,
  aheadBytes: 1024 * 1024,
  statements: 5000,
  portals: 1000,
  namedBytes: 64 * 1024 * 1024,
  ownerNamedBytes: 256 * 1024 * 1024,
  totalNamedBytes: 768 * 1024 * 1024,
};

export interface GatewayDeps {
  readonly targets: ReadonlyMap<string, Target>;
  readonly judges: ReadonlyMap<string, Judge>;
  readonly desk: Desk;
  readonly recorder: Recorder;
  readonly identity: IdentityPort;
  readonly holdTerms: HoldWaits;
  /** Where approvals are decided: `#db` or `the console`. */
  readonly where: string;
  readonly impact: Appraiser;
  readonly tls: { readonly cert: string | Buffer; readonly key: string | Buffer } | null;
  readonly fingerprintKey: Buffer;
  levelFor(groups: readonly string[]): AccessLevel;
  readonly log: Logger;
  readonly now: () => number;
  readonly limits?: Partial<GatewayLimits>;
  /** Proxies in front, which say whose a connection is (PROXY protocol, version 2); default: none. */
  readonly proxies?: Networks;
  /** SCRAM iterations shown for unknown users: those that minted credentials have. */
  readonly scramIterations?: number;
  /** Policy refused a statement: recorded already; for those who are to be told. */
  onBlocked?(blocked: BlockedStatement): void;
  onLoginFailed?(failure: FailedLogin): void;
  /** Counts those who compare tagged columns with constants; default: nobody. */
  readonly guesses?: Guesses;
}

export interface BlockedStatement {
  readonly requester: Requester;
  readonly target: { readonly name: string; readonly environment: string };
  readonly class: StatementClass;
  readonly verb: string;
  readonly relations: readonly string[];
}

export interface SessionView {
  readonly id: string;
  readonly ownerId: string | null;
  readonly ownerName: string | null;
  readonly agent: string | null;
  readonly credentialId: string;
  readonly target: string;
  readonly address: string;
  readonly startedAt: number;
  readonly state: 'ready' | 'busy' | 'holding' | 'ended';
}

export interface Gateway {
  listen(at: { readonly host: string; readonly port: number }): Promise<{ readonly port: number }>;
  close(): Promise<void>;
  sessions(): readonly SessionView[];
  /** The identity was revoked or suspended: its sessions end, its requests are withdrawn, its grants void. */
  endIdentity(credentialId: string, why: 'revoked' | 'suspended'): void;
}
