/** The record's vocabulary and ports (DESIGN.md 11, 12). */
import type { AccessLevel, Observed, StatementClass } from '../policy/types.ts';

export interface SessionMeta {
  readonly id: string;
  readonly ownerId: string | null;
  readonly ownerName: string | null;
  readonly ownerEmail: string | null;
  readonly agent: string | null;
  readonly subject: string;
  readonly credentialId: string;
  readonly target: string;
  readonly environment: string;
  readonly database: string;
  readonly role: string;
  readonly clientAddress: string;
  readonly applicationName: string | null;
  /** What policy knew of the caller; only in the recording itself. */
  readonly groups?: readonly string[];
  readonly level?: AccessLevel;
  readonly startedAt: number;
}

/** One line of a segment, before `seq`, `prev` and `hash` are added by the chain. `t` is epoch milliseconds. */
export type RecordedEvent =
  | { readonly kind: 'session'; readonly t: number; readonly session: SessionMeta }
  | {
      readonly kind: 'statement';
      readonly t: number;
      /** Number of the statement in the session, from 1; later events refer to it. */
      readonly n: number;
      readonly sql: string;
      readonly class: StatementClass;
      readonly binds: readonly (string | null)[];
      readonly effect: 'allow' | 'hold' | 'deny' | 'probe';
      readonly rules: readonly string[];
      readonly reason: string;
      /** What rules with `mode: observe` would have done. */
      readonly observed?: Observed;
      readonly relations: readonly string[];
      readonly taggedColumns: readonly string[];
      readonly protocol: 'simple' | 'extended';
    }
  | {
      readonly kind: 'approval';
      readonly t: number;
      readonly n: number;
      readonly request: string;
      readonly state: string;
      readonly by: string | null;
      readonly surface: string | null;
      readonly note: string | null;
    }
  | {
      readonly kind: 'result';
      readonly t: number;
      readonly n: number;
      readonly ms: number;
      readonly tag: string | null;
      readonly rows: number | null;
      readonly columns: readonly string[];
      readonly values: readonly (readonly (string | null)[])[];
      /** Rows not kept: over the bound, or withheld because a tagged column is involved. */
      readonly truncated: boolean;
      readonly withheld: boolean;
      readonly error: { readonly code: string; readonly message: string } | null;
    }
  | { readonly kind: 'notice'; readonly t: number; readonly n: number; readonly text: string }
  | {
      readonly kind: 'policy';
      readonly t: number;
      readonly version: string;
      readonly note: string;
      /** Of a change; author null: made in the file, by whom is not known. */
      readonly author?: string | null;
      readonly previous?: string;
      readonly diff?: string;
    }
  /** The access behind the session ended while it was open; `by` whom, where that is known. */
  | {
      readonly kind: 'access';
      readonly t: number;
      readonly standing: 'expired' | 'revoked' | 'suspended';
      readonly by: string | null;
    }
  | { readonly kind: 'end'; readonly t: number; readonly why: string };

/** One session's recording. `append` hands the bytes to the operating system before it returns; it throws when it cannot (fail closed). */
export interface SessionRecording {
  append(events: readonly RecordedEvent[]): void;
  /** Writes `end`, signs the head, closes. Idempotent. */
  close(why: string): void;
}
export interface Recorder {
  /**
   * Throws a RecordingFault when the recording cannot be started: the session is then refused. `onLost`, once: it will never take anything again, as when
   * its file was taken away.
   */
  open(meta: SessionMeta, onLost?: () => void): SessionRecording;
  /**
   * Once, before the first `open`: ends what a killed gateway left open ("gateway stopped"), cuts torn tails, brings the index up to date.
   * Recordings that are shorter than the index knows are left as they are and reported, never signed over.
   */
  recover(): Promise<RecoveryReport>;
  /** Events of a session in order, from its segments. */
  read(sessionId: string): Promise<readonly (RecordedEvent & { readonly seq: number })[]>;
  verify(sessionId: string): Promise<VerifyResult>;
  flush(): Promise<void>;
  close(): Promise<void>;
}
export interface RecoveryReport {
  readonly ended: number;
  readonly torn: number;
  /** Ids of recordings that do not verify or are shorter than the index knows. */
  readonly damaged: readonly string[];
  /** false: the index could not be asked; index rows are brought up to date later. */
  readonly indexed: boolean;
}
export type VerifyResult =
  /**
   * `signed` of `events` are covered by a valid signature: all, once `ended`. The rest is the unsigned tail of a recording that is
   * still being written (or whose gateway was killed).
   */
  | {
      readonly kind: 'intact';
      readonly events: number;
      readonly signed: number;
      readonly ended: boolean;
      readonly sessionId: string;
      /** Number of the first line: 1, or more when only a later segment was verified. */
      readonly from: number;
      /** Hash of the last line. */
      readonly head: string;
    }
  | { readonly kind: 'broken'; readonly at: number; readonly why: string };

/** What `holdpoint sessions` lists. */
export interface SessionSummary extends SessionMeta {
  readonly endedAt: number | null;
  readonly endedWhy: string | null;
  readonly statements: number;
  readonly held: number;
  readonly denied: number;
  readonly errors: number;
  readonly rows: number;
  /** Hex hash of the last event known to the index. */
  readonly head: string | null;
}
/** Port: the index of recordings, implemented by store. Written in batches, off the hot path. */
export interface SessionIndex {
  upsert(rows: readonly SessionSummary[]): Promise<void>;
  get(id: string): Promise<SessionSummary | null>;
  /** Newest first. `owner` matches id, e-mail or name (case-insensitive), `since` is epoch ms. */
  list(filter: {
    readonly owner?: string;
    readonly since?: number;
    readonly target?: string;
    /** Only those that asked for an approval. */
    readonly held?: true;
    /** Only those that have not ended. */
    readonly open?: true;
    readonly limit?: number;
  }): Promise<readonly SessionSummary[]>;
}
