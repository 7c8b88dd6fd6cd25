/** The request's vocabulary, and the ports of approvals (DESIGN.md 8, 9, 13). */
import type { HoldTerms, StatementClass } from '../policy/types.ts';

/**
 * pending ─approve─► granted ─claim─► executing ─commit─► executed
 *    │                 │  ▲               │ ├─ error ──► failed
 *    │                 │  └──rollback─────┘ └─ lost ──► unknown
 *    └► denied │ expired │ withdrawn    └► lapsed │ withdrawn (a grant that is void also out of executing, before anything ran)
 *
 * An approval always leaves a grant; a live waiter claims it at once (`waiterLive` tells the card which words to use).
 */
export const REQUEST_STATES = [
  'pending',
  'granted',
  'executing',
  'executed',
  'failed',
  'unknown',
  'denied',
  'expired',
  'withdrawn',
  'lapsed',
] as const;
export type RequestState = (typeof REQUEST_STATES)[number];

export type Surface = 'slack' | 'console' | 'cli' | 'api';

/** Who asks. Never holds authority; copied from the session's identity. */
export interface Requester {
  readonly ownerId: string | null;
  readonly ownerName: string | null;
  readonly ownerEmail: string | null;
  readonly agent: string | null;
  readonly credentialId: string;
  readonly subject: string;
  /** Approver.id of whoever minted the credential; compared like ownerId. */
  readonly mintedBy?: string | null;
}

export interface RequestTarget {
  readonly name: string;
  readonly environment: string;
  readonly database: string;
  /** Upstream login role. */
  readonly role: string;
}

/** What is asked for, already redacted: literals and values of tagged columns are typed placeholders. */
export interface RequestStatement {
  /** The exact text (redacted where tagged), the truth on the card. */
  readonly sql: string;
  /** The same, tidied for reading; null when no tidy form is proven equal. */
  readonly tidied: string | null;
  readonly class: StatementClass;
  readonly verb: string;
  /** `public.orders` … */
  readonly relations: readonly string[];
  readonly taggedColumns: readonly string[];
  readonly missingWhere: boolean;
  /** Display form of each bind value (redacted, capped); null is SQL NULL. */
  readonly binds: readonly (string | null)[];
  readonly statementCount: number;
  readonly bytes: number;
  /** Hex SHA-256 of the exact text. */
  readonly sha256: string;
  readonly transaction: 'idle' | 'open' | 'failed';
  /** The session runs REPEATABLE READ or SERIALIZABLE: its snapshot predates the approval. */
  readonly snapshotPredates: boolean;
  /** What the client says of itself (application_name): attacker text, plain, ≤ 300 characters. */
  readonly clientSays: string | null;
}

/** What the statement would do, as far as the target can tell before it runs; names as `schema.name`. */
export interface Impact {
  /** Rows that the planner expects it to change, or to return; null: `why` says why not. */
  readonly rows: number | null;
  readonly why: string | null;
  /** Uncommitted work or temporary tables of the session, which the target does not show to others. */
  readonly approximate: boolean;
  /** Exactly, when an approver asked. */
  readonly counted: { readonly rows: number; readonly at: number; readonly ms: number } | null;
  readonly tables: readonly {
    readonly name: string;
    readonly rows: number | null;
    readonly bytes: number | null;
  }[];
  /** The strongest lock and where it is taken. */
  readonly lock: { readonly mode: string; readonly relations: readonly string[] } | null;
  /** Tables that change along: `public.items (delete)`. */
  readonly cascades: readonly string[];
  readonly triggers: readonly string[];
  /** DDL: is the table written anew? null: no DDL, or it cannot be told. */
  readonly rewrites: boolean | 'maybe' | null;
  /** What depends on what it changes or drops. */
  readonly dependents: readonly string[];
  /** How long the transaction has been open when it was asked, ms; null: none. */
  readonly transactionMs: number | null;
  /** It was approved at so many rows, and asks anew since there are more than twice as many by now. */
  readonly grewFrom?: number | null;
  /** Of several statements in one string: the first few of those that weigh, and how many more there are. */
  readonly parts?: {
    readonly lines: readonly {
      readonly what: string;
      readonly rows: number | null;
      readonly why: string | null;
      readonly approximate: boolean;
    }[];
    readonly more: number;
  } | null;
}

export interface Approver {
  /** Compared with Requester.ownerId. */
  readonly id: string;
  /** A confirmed address and the Slack id of theirs, where known: whoever goes by several of them is one person. */
  readonly email?: string | null;
  readonly slackId?: string | null;
  /** `issuer|subject` of their login: what they ask may be owned under that key. */
  readonly subject?: string | null;
  readonly name: string;
  readonly groups: readonly string[];
  readonly surface: Surface;
}

export interface Decision {
  readonly approverId: string;
  readonly approverName: string;
  readonly surface: Surface;
  readonly effect: 'approve' | 'deny';
  readonly reason: string | null;
  readonly at: number;
  /** The approver's, as they were then: what several groups owe is reckoned with these. */
  readonly groups?: readonly string[];
}

/** Somebody as the owner of requests: compared like Requester. */
export type Person = Pick<Approver, 'id' | 'email' | 'subject' | 'slackId' | 'name' | 'surface'>;

/**
 * Statements asked for together, ahead of time (docs/decisions/0005). The lead has the card and never runs; each part that needs
 * approval is a request of its own, which follows the lead's decision and then is a grant of its own.
 */
export interface Bundle {
  /** Id of the lead; the lead's own for itself. */
  readonly lead: string;
  /** 0: the lead; else the statement's place in the script, from 1. */
  readonly index: number;
  /** Parts in all. */
  readonly of: number;
  /** It may rely on what earlier parts change: usable only after those, and known without definitions. */
  readonly loose: boolean;
  /** It changes definitions. */
  readonly changes: boolean;
}
export interface BundleDraft {
  readonly fingerprint: string;
  readonly statement: RequestStatement;
  readonly index: number;
  readonly loose: boolean;
  readonly changes: boolean;
}
export type AskResult =
  | { readonly kind: 'asked'; readonly request: ApprovalRequest; readonly joined: boolean }
  | { readonly kind: 'too-many'; readonly open: readonly string[] }
  | { readonly kind: 'unavailable' };

export interface Outcome {
  /** SQLSTATE of the server's error; null on success. */
  readonly code: string | null;
  readonly rows: number | null;
  readonly tag: string | null;
  readonly ms: number;
  /** Inside a transaction block that has not ended yet. */
  readonly transactionOpen: boolean;
}

/** The whole truth of one request; times in epoch milliseconds. */
export interface ApprovalRequest {
  /** `HP-7Q2F`. */
  readonly id: string;
  /** Grows by one with each change: renders and updates go in version order. */
  readonly version: number;
  readonly state: RequestState;
  readonly fingerprint: string;
  readonly sessionId: string;
  readonly requester: Requester;
  readonly target: RequestTarget;
  readonly statement: RequestStatement;
  readonly rules: readonly string[];
  readonly reason: string;
  readonly terms: HoldTerms;
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly decisions: readonly Decision[];
  /** A client waits (or waited when it was settled) on a live connection. */
  readonly waiterLive: boolean;
  /** Set by an approval: until when the permission can be used. */
  readonly grantExpiresAt: number | null;
  readonly outcome: Outcome | null;
  /** Why it ended (withdrawn: "cancelled by the client", "identity suspended" …). */
  readonly note: string | null;
  readonly endedAt: number | null;
  /** Desk whose client waits for it or runs it (several processes may share a store). */
  readonly holder?: string | null;
  /** Why, in the requester's words: attacker text, plain, ≤ 300 characters. */
  readonly purpose?: string | null;
  readonly impact?: Impact | null;
  readonly bundle?: Bundle | null;
  /** Undecided until then, approvers are told again; and when they were. */
  readonly remindAt?: number | null;
  readonly remindedAt?: number | null;
  /** Undecided until then, the groups of its escalation may decide too; and since when they may. */
  readonly escalateAt?: number | null;
  readonly escalatedAt?: number | null;
}

/** What the gateway asks for when a verdict is hold. */
export interface HoldDraft {
  readonly fingerprint: string;
  readonly sessionId: string;
  readonly requester: Requester;
  readonly target: RequestTarget;
  readonly statement: RequestStatement;
  readonly rules: readonly string[];
  readonly reason: string;
  readonly terms: HoldTerms;
  readonly purpose?: string | null;
  readonly impact?: Impact | null;
  /** As a part of a bundle that relies on its own earlier parts would be known; absent: such a grant is not wanted. */
  readonly loose?: string;
}

/** How a hold ended for the one who waits. */
export type Settlement =
  | { readonly kind: 'cleared'; readonly request: ApprovalRequest; readonly clearance: Clearance }
  | { readonly kind: 'denied'; readonly request: ApprovalRequest }
  | { readonly kind: 'expired'; readonly request: ApprovalRequest }
  | { readonly kind: 'withdrawn'; readonly request: ApprovalRequest }
  | { readonly kind: 'superseded'; readonly request: ApprovalRequest };

/** The right to forward one statement once; whoever holds it owes exactly one `finish`. */
export interface Clearance {
  readonly requestId: string;
  /** Progress inside an open transaction: shown, not terminal. */
  progress(outcome: Outcome): Promise<void>;
  /**
   * Exactly once. `rolled-back` and `unused` restore the grant while it has not expired; `lost` spends it (state unknown); `void`:
   * what it was given for is not so any more.
   */
  finish(end: {
    readonly kind: 'executed' | 'failed' | 'rolled-back' | 'lost' | 'unused' | 'void';
    readonly outcome: Outcome | null;
    readonly note?: string;
  }): Promise<void>;
}

export type HoldResult =
  /** A grant was there and is now reserved for this caller. */
  | { readonly kind: 'cleared'; readonly request: ApprovalRequest; readonly clearance: Clearance }
  | {
      readonly kind: 'waiting';
      readonly request: ApprovalRequest;
      readonly joined: boolean;
      readonly ticket: Ticket;
    }
  /** Limits of DESIGN.md 8: no request was made. None open: too many were taken back. */
  | { readonly kind: 'too-many'; readonly open: readonly string[] }
  /** The store could not be asked: fail closed. */
  | { readonly kind: 'unavailable' };

export interface Ticket {
  /** Resolves once; never rejects. */
  readonly settled: Promise<Settlement>;
  /** The wait is over (timeout, lost socket): the request stays open, an approval then leaves a grant. Idempotent. */
  leave(): void;
  /** The client cancelled: the request ends `withdrawn`. */
  withdraw(note: string): Promise<void>;
}

export type DecideResult =
  | { readonly kind: 'settled'; readonly request: ApprovalRequest }
  /** Counted, quorum not reached yet. */
  | { readonly kind: 'counted'; readonly request: ApprovalRequest; readonly missing: number }
  | { readonly kind: 'lost'; readonly request: ApprovalRequest; readonly sentence: string }
  | {
      readonly kind: 'refused';
      readonly why: RefusedWhy;
      readonly request: ApprovalRequest | null;
      readonly sentence: string;
    }
  | { readonly kind: 'unavailable'; readonly sentence: string };
export type RefusedWhy =
  | 'own-request'
  | 'minted-by-you'
  | 'not-approver'
  | 'already-counted'
  /** What the groups of this approver owe is there; others are still to decide. */
  | 'not-owed'
  | 'no-such-request'
  /** Part of a bundle: its lead is what is decided. */
  | 'part'
  /** Only the owner may do this. */
  | 'not-owner'
  /** The requester has not said why yet, or named no ticket. */
  | 'reason-needed'
  | 'owner-unknown'
  /** The rule names the places where it may be approved, and this is none. */
  | 'elsewhere'
  /** Somebody behind the request, or who approved it already, may be the same person under another key. */
  | 'identity-unclear';

/** The one decision path (DESIGN.md 13). */
export interface Desk {
  hold(draft: HoldDraft): Promise<HoldResult>;
  /** One card for a whole script, ahead of time; nobody waits for it. */
  ask(draft: HoldDraft, parts: readonly BundleDraft[]): Promise<AskResult>;
  decide(input: {
    readonly id: string;
    readonly approver: Approver;
    readonly effect: 'approve' | 'deny';
    readonly reason: string | null;
  }): Promise<DecideResult>;
  /** The owner takes it back, while it has not run. */
  withdraw(input: {
    readonly id: string;
    readonly by: Person;
    readonly note: string | null;
  }): Promise<DecideResult>;
  /** The owner says why, in place of what was said before. */
  explain(input: {
    readonly id: string;
    readonly by: Person;
    readonly reason: string;
  }): Promise<DecideResult>;
  /** What is newly known of a pending request's impact, put to what was known before; null: not pending any more. */
  appraise(id: string, impact: Partial<Impact>): Promise<ApprovalRequest | null>;
  get(id: string): Promise<ApprovalRequest | null>;
  list(filter: {
    readonly states?: readonly RequestState[];
    readonly ownerId?: string;
    readonly sessionId?: string;
    readonly limit?: number;
  }): Promise<readonly ApprovalRequest[]>;
  /** The identity ended (expired, revoked, suspended): its pending requests are withdrawn, its grants void. */
  endIdentity(credentialId: string, note: string): Promise<void>;
  /** The session's socket was lost: its executing requests are settled by the gateway; waiters leave. */
  onChange(listener: (request: ApprovalRequest) => void): () => void;
  /** Expires what is due; recovers `executing` requests of dead sessions as `unknown`. Called by app every second. */
  sweep(): Promise<void>;
  close(): void;
}

/** Port, implemented by the gateway: counts exactly what a pending request would touch, on a connection of its own, reading only. */
export interface Counter {
  count(id: string): Promise<CountResult>;
}
export type CountResult =
  | { readonly kind: 'counted'; readonly request: ApprovalRequest }
  | { readonly kind: 'not-counted'; readonly sentence: string };

/** Port, implemented by the gateway: literals and bind values that the card hides, for one approver, where policy lets them look. Recorded. */
export interface Revealer {
  reveal(id: string, approver: Approver): Promise<Revealed>;
}
export type Revealed =
  | {
      readonly kind: 'revealed';
      readonly request: ApprovalRequest;
      /** For their eyes only: never stored, logged or sent to a channel. */
      readonly statement: RequestStatement;
    }
  | { readonly kind: 'not-revealed'; readonly sentence: string };

/**
 * Port, implemented by store. Every change writes the outbox row (request id, version) in the same transaction, and is conditional:
 * it returns null when the row was not in one of `from` any more (somebody else was first).
 */
export interface RequestStore {
  /** Creates, or returns the live (pending | granted, not expired) request of the same fingerprint. Unique per fingerprint while live. */
  openOrJoin(
    request: ApprovalRequest,
    limits: {
      readonly perSession: number;
      readonly perOwner: number;
      /** Of an owner, taken back since then: a card that comes and goes calls people for nothing. */
      readonly withdrawn?: { readonly most: number; readonly since: number };
      readonly now: number;
    },
    more?: {
      /** A grant of this fingerprint is as good. */
      readonly loose?: string;
      /** Opened with it: the parts of a bundle that it leads. */
      readonly parts?: readonly ApprovalRequest[];
    },
  ): Promise<
    | { readonly kind: 'opened' | 'joined'; readonly request: ApprovalRequest }
    | { readonly kind: 'too-many'; readonly open: readonly string[] }
    /** The id is another request's: try again with a new one. */
    | { readonly kind: 'id-taken' }
  >;
  transition(
    id: string,
    from: readonly RequestState[],
    patch: RequestPatch,
    guard?: { readonly version?: number; readonly claim?: string },
  ): Promise<ApprovalRequest | null>;
  get(id: string): Promise<ApprovalRequest | null>;
  list(filter: {
    readonly states?: readonly RequestState[];
    readonly ownerId?: string;
    readonly sessionId?: string;
    readonly credentialId?: string;
    readonly ids?: readonly string[];
    /** The parts of this bundle. */
    readonly lead?: string;
    /** No parts of bundles. */
    readonly heads?: true;
    readonly limit?: number;
  }): Promise<readonly ApprovalRequest[]>;
  /** Ids due: pending past expiresAt, granted past grantExpiresAt. */
  due(now: number): Promise<readonly ApprovalRequest[]>;
  /** Pending, and a reminder or an escalation is due. */
  slow(now: number): Promise<readonly ApprovalRequest[]>;
}
export interface RequestPatch {
  readonly state: RequestState;
  readonly sessionId?: string;
  readonly credentialId?: string;
  readonly holder?: string | null;
  /** Secret of one clearance, shown again by whoever finishes it. */
  readonly claim?: string | null;
  readonly decision?: Decision;
  readonly waiterLive?: boolean;
  readonly grantExpiresAt?: number | null;
  readonly outcome?: Outcome | null;
  readonly note?: string | null;
  readonly endedAt?: number | null;
  readonly purpose?: string | null;
  readonly impact?: Impact | null;
  readonly remindedAt?: number;
  readonly escalatedAt?: number;
}

/**
 * What a desk needs beyond: several desks may work on one store, and any of them may die. A desk that has been silent holds
 * nothing any more: what it was executing is of unknown outcome, what waited there has no waiter.
 */
export interface DeskStore extends RequestStore {
  beat(desk: string, now: number): Promise<void>;
  /** The desk is gone; forgets those silent since `before` as well. */
  bury(desk: string | null, before: number): Promise<void>;
  /** Executing, or pending with a waiter, while no desk of that name lives. */
  orphans(): Promise<readonly ApprovalRequest[]>;
}
