/** Who is there, and how we know (DESIGN.md 13, 17). */

export type AccessLevel = 'none' | 'read-only' | 'read-write' | 'admin';

/** The accountable person behind a credential. */
export interface Owner {
  /** Stable key on which self-approval is compared: the lower-case e-mail where one is known and verified, else `issuer|subject`. */
  readonly id: string;
  /** For people: "Alice". Never empty. */
  readonly name: string;
  readonly email: string | null;
}

/** What a client proved at login. Immutable for the session; whether it still stands is asked anew before each statement. */
export interface Identity {
  /** `cred_…` for a minted credential, `jwt:<jti or hash>` for a token. Not secret. */
  readonly credentialId: string;
  /** Token subject, or the credential's id. */
  readonly subject: string;
  readonly owner: Owner | null;
  /** "Cursor", "CI deploy" …; null for a person's own credential. */
  readonly agent: string | null;
  readonly groups: readonly string[];
  /** Epoch milliseconds at which it ends. */
  readonly expiresAt: number;
  readonly via: 'credential' | 'oidc';
  /** Approver.id of whoever minted the credential: they may not approve what it asks for. */
  readonly mintedBy?: string | null;
}

/** A short-lived credential that the gateway minted. The secret itself is shown once and never stored. */
export interface StoredCredential {
  readonly id: string;
  readonly owner: Owner | null;
  readonly agent: string | null;
  readonly groups: readonly string[];
  readonly expiresAt: number;
  readonly createdAt: number;
  readonly revokedAt: number | null;
  readonly mintedBy?: string | null;
  /** SCRAM-SHA-256 verifier: base64 salt, storedKey, serverKey. */
  readonly scram: ScramVerifier;
}
export interface ScramVerifier {
  readonly iterations: number;
  readonly salt: string;
  readonly storedKey: string;
  readonly serverKey: string;
}

/** A person who may decide. */
export interface ApproverRecord {
  /** Same key space as Owner.id: compared with it. */
  readonly id: string;
  readonly name: string;
  readonly email: string | null;
  readonly slackId: string | null;
  readonly groups: readonly string[];
}

/** Port: where credentials and console tokens live. Implemented by store. */
export interface CredentialStore {
  insertCredential(credential: StoredCredential): Promise<void>;
  findCredential(id: string): Promise<StoredCredential | null>;
  listCredentials(): Promise<readonly StoredCredential[]>;
  revokeCredential(id: string, at: number): Promise<boolean>;
  /** Those that did not end before `since`; the latest of them, oldest first. */
  recentCredentials(since: number, limit: number): Promise<readonly StoredCredential[]>;
  /** Ids revoked after `since`; used to refresh the in-memory set that the hot path reads. */
  revokedSince(since: number): Promise<readonly string[]>;

  /** Approver tokens and one-time links: only the SHA-256 of the secret is stored. */
  insertAccess(access: StoredAccess): Promise<void>;
  findAccess(secretHash: string): Promise<StoredAccess | null>;
  /** Conditional: true for exactly one caller; a one-time link is spent. */
  consumeAccess(secretHash: string, at: number): Promise<boolean>;
  revokeAccess(secretHash: string, at: number): Promise<boolean>;
  /** Those that did not expire before `since`; the latest of them, oldest first. */
  recentAccess(since: number, limit: number): Promise<readonly StoredAccess[]>;
  /** Sessions and tokens that stand, newest first, at most 500. */
  listAccess(now: number): Promise<readonly StoredAccess[]>;
  /** Ends every link, session and token of one person; how many there were. */
  revokeAccessOf(personId: string, at: number): Promise<number>;

  /** One row a key of a person (Owner.id, Approver.id). false: it was there, or was not, already. */
  suspend(suspension: Suspension): Promise<boolean>;
  unsuspend(personId: string): Promise<boolean>;
  listSuspensions(): Promise<readonly Suspension[]>;
}
export interface Suspension {
  /** As `suspensionKey` folds it. */
  readonly personId: string;
  readonly by: string;
  readonly at: number;
}
/** What a login by OIDC proved, as it was then. Which roles it gives is asked anew each time. */
export interface ProvenLogin {
  readonly issuer: string;
  readonly clientId: string;
  readonly subject: string;
  /** Lower case; null unless the issuer vouches for it. */
  readonly email: string | null;
  readonly name: string;
  readonly groups: readonly string[];
  /** Nothing that comes of this login (a session, a token through a link) lasts longer. */
  readonly until: number;
}
export interface StoredAccess {
  readonly secretHash: string;
  readonly kind: 'link' | 'session' | 'token';
  /** Approver.id, or Person.id of a login. */
  readonly approverId: string;
  /** null: a named approver's, by a one-time link. */
  readonly login: ProvenLogin | null;
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly usedAt: number | null;
  readonly revokedAt: number | null;
}
