/** What the gateway is given by app (DESIGN.md 1, 2, 10, 14). */
import type { AccessLevel } from '../identity/types.ts';
import type { StatementEffect } from '../policy/effect.ts';
import type { CatalogSnapshot, Facts, PolicyContext, ResolutionContext, Verdict } from '../policy/types.ts';
import type { CatalogNames } from './judge/names.ts';
import type { WrittenRelations } from './written.ts';

/** One upstream login; the password lives here alone and is never printed. */
export interface UpstreamLogin {
  readonly user: string;
  readonly password: string | null;
}

/** A registered database. */
export interface Target {
  readonly name: string;
  readonly environment: string;
  readonly host: string;
  readonly port: number;
  readonly database: string;
  /** `verify-full` (default), `require` (encrypts, does not verify: warned about), `disable` (loopback or accepted by name). */
  readonly tls: 'verify-full' | 'require' | 'disable';
  /** PEM of extra certificate authorities. */
  readonly ca: string | null;
  readonly logins: Readonly<Partial<Record<Exclude<AccessLevel, 'none'>, UpstreamLogin>>>;
  /** Login for the catalog connection; null: the least of `logins` that exists. */
  readonly catalogLogin: UpstreamLogin | null;
  /** Privileges accepted by name although they weaken the boundary (`SUPERUSER`, `pg_read_server_files`, …). */
  readonly acceptPrivileges: readonly string[];
  /** Settings of its own that clients may set: `app.tenant`, `app.*`; absent: none. Row security may read them. */
  readonly customSettings?: readonly string[];
  /** `trusted` only with environment `test`: lifts the refusals that PostgreSQL's own suites need. */
  readonly protocol: 'strict' | 'trusted';
  /** Words of `version()` by which a server is let in that no grammar here is for: then nearly every statement of it is unknown. */
  readonly server?: string;
}

/** What the session tells the judge about itself. */
export interface JudgeContext {
  /** The judge adds the time. */
  readonly policy: Omit<PolicyContext, 'now'>;
  readonly resolution: ResolutionContext;
  /** Types the client declared for parameters (Parse), else empty. */
  readonly paramTypes: readonly number[];
  /** `server_version_num` of the session's own backend; absent: that of the catalog. */
  readonly server?: number;
}

/** A statement string with its verdict. `facts` is null when it could not be judged (`verdict` is then deny). */
export interface Judged {
  readonly sql: string;
  readonly facts: Facts | null;
  readonly verdict: Verdict;
  /**
   * `judged`: verdict stands. `syntax`: does not parse here: probe with an upstream Parse; an upstream error is relayed, acceptance → deny and alert.
   * `unknown-name`: names what the catalog does not know: probe first as well; an upstream error is relayed, acceptance → refresh the catalog and judge again.
   * `unjudgeable`: denied, nothing is sent.
   */
  readonly probe: 'none' | 'syntax' | 'unknown-name';
  readonly policyVersion: string;
  readonly catalogVersion: string | null;
}

/** Parser worker, caches, catalog and policy version of one target (src/gateway/judge). */
export interface Judge {
  /** The cached answer, or null. Synchronous: the allowed path awaits nothing on a repeat. */
  cached(sql: string, context: JudgeContext): Judged | null;
  /** Never rejects: a failure inside is a deny verdict. `fresh` re-reads the catalog first. */
  judge(sql: string, context: JudgeContext, options?: { readonly fresh?: boolean }): Promise<Judged>;
  /** Reading of the tidied SQL for the card, null when none is proven equal. */
  tidy(sql: string): Promise<string | null>;
  /** What its text tells of its effect; null: it took too long, or there is too much to do. */
  effect(sql: string): Promise<StatementEffect | null>;
  /** As last read, whatever its age. */
  catalog(): CatalogSnapshot | null;
  /** What owners have written through this gateway. */
  readonly written: WrittenRelations;
  /** DDL went through: the catalog is re-read before the next uncached verdict. */
  invalidate(): void;
  /** Types and names of columns that a RowDescription points at carry a tag? Tripwire (LIBRARIES.md): `[tableOid, attnum]` pairs → tagged column names. */
  tagged(fields: readonly (readonly [number, number])[]): readonly string[];
  /** Has the target any tagged column? True while its catalog is not known. */
  tags(): boolean;
  /** Names of the target's own objects, as last read. */
  names(): CatalogNames;
  close(): Promise<void>;
}
