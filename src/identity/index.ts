/** Who is there, and whether they still may be (DESIGN.md 17). */
import { randomBytes } from 'node:crypto';
import { REMEMBERED_MS } from './access.ts';
import { createIssuer, type IssuerConfig, IssuerConfigError } from './issuer.ts';
import { createKnown, type Known, Unchecked } from './known.ts';
import { createBudget } from './limiter.ts';
import { makeVerifier } from './scram.ts';
import { createSuspensions } from './suspension.ts';
import { type TokenResult, verifyToken } from './token.ts';
import type { CredentialStore, Identity, Owner, StoredCredential } from './types.ts';

export { type Access, createAccess, REMEMBERED_MS, TooManyFailures } from './access.ts';
export { type IssuerConfig, IssuerConfigError } from './issuer.ts';
export { checkProof, decoyVerifier, makeVerifier, SCRAM_ITERATIONS } from './scram.ts';

/** What is used of the logger (pino fits). */
export interface IdentityLog {
  info(details: object, message: string): void;
  warn(details: object, message: string): void;
}

export interface MintInput {
  readonly owner: Owner | null;
  readonly agent: string | null;
  readonly groups: readonly string[];
  readonly ttlMs: number;
  /** Approver.id; null: the gateway itself (the demo). */
  readonly mintedBy?: string | null;
}
export interface Minted {
  /** The user name of the connection: `cred_…`. */
  readonly id: string;
  /** The password. Shown once, never stored. */
  readonly secret: string;
  readonly expiresAt: number;
}
export type Standing = 'live' | 'expired' | 'revoked' | 'suspended';

export interface IdentityService {
  /**
   * The credential whatever its state, null for an unknown or malformed id; from memory, as a rule. Let the client prove the secret first,
   * then ask `confirm`: only who holds the secret learns that it expired, and costs a query. Rejects when nobody knows the id and the
   * store cannot be asked.
   */
  findCredential(id: string): Promise<StoredCredential | null>;
  identityOf(credential: StoredCredential): Identity;
  /** Its standing as the store has it now. Rejects when the store cannot be asked. */
  confirm(credential: StoredCredential): Promise<Standing>;
  /** Never rejects: what cannot be verified is refused. The sentence holds nothing of the token. */
  verifyToken(token: string): Promise<TokenResult>;
  /** Synchronous, from memory: asked before each statement. Revocations arrive within about a second. */
  standing(identity: Identity): Standing;
  /** Who suspended it; null: nobody, or that is not known. */
  suspendedBy(identity: Identity): string | null;
  mint(input: MintInput): Promise<Minted>;
  /** A `cred_…` or `jwt:…` id. false: there is no such credential, or it was revoked before. */
  revoke(id: string): Promise<boolean>;
  /** Every credential of that owner stands no more, on every replica within about a second. false: it was so already. */
  suspend(ownerId: string, by: string): Promise<boolean>;
  /** By any of a person's keys; synchronous, from memory. */
  isSuspended(keys: readonly (string | null)[]): boolean;
  /** Lifts it. false: there was none. */
  unsuspend(ownerId: string): Promise<boolean>;
  readonly issued: Pick<Known<unknown>, 'load' | 'heard' | 'deaf'>;
  close(): void;
}

export interface IdentityOptions {
  readonly issuers: readonly IssuerConfig[];
  readonly credentials: CredentialStore;
  readonly now: () => number;
  readonly log: IdentityLog;
  /** Default 1 s. */
  readonly refreshMs?: number;
  /** May the store be asked about what is not known? Shared by all that ask so. */
  readonly mayAsk?: () => boolean;
}

const CREDENTIAL_ID = /^cred_[0-9a-f]{24}$/;
const TOKEN_ID = /^jwt:[A-Za-z0-9_-]{22}$/;
const MIN_TTL_MS = 60_000;
const MAX_TTL_MS = 90 * 86_400_000;
/** A revocation may be committed later than its time stamp says, and clocks of replicas differ. */
const OVERLAP_MS = 60_000;
/** Older knowledge of revocations than this does not let a new token in: the store is down. */
const STALE_MS = 15_000;
const NEVER = Number.NEGATIVE_INFINITY;

function checkMint(input: MintInput): void {
  if (!Number.isFinite(input.ttlMs) || input.ttlMs < MIN_TTL_MS || input.ttlMs > MAX_TTL_MS) {
    throw new RangeError('A credential lives between 1 minute and 90 days; choose a lifetime in between.');
  }
  if (input.groups.length > 100) throw new RangeError('A credential has at most 100 groups.');
  const texts = [...input.groups, input.agent, input.owner?.id, input.owner?.name, input.owner?.email];
  for (const value of texts) {
    if (value === null || value === undefined) continue;
    if (value.trim() === '' || value.length > 200 || /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(value)) {
      throw new RangeError('Owner, agent and groups are one line of 1 to 200 printable characters each.');
    }
  }
}

export function createIdentity(options: IdentityOptions): IdentityService {
  const { credentials, now, log } = options;
  const issuers = new Map<string, ReturnType<typeof createIssuer>>();
  for (const config of options.issuers) {
    // Two entries for one issuer would leave to chance which audience counts.
    if (issuers.has(config.issuer)) throw new IssuerConfigError(`issuer ${config.issuer} is listed twice`);
    issuers.set(config.issuer, createIssuer(config, now));
  }

  const revoked = new Set<string>();
  const suspensions = createSuspensions(credentials, now);
  const known = createKnown<StoredCredential>({
    all: async (limit) =>
      (await credentials.recentCredentials(now() - REMEMBERED_MS, limit)).map((one) => [one.id, one]),
    fetch: (id) => credentials.findCredential(id),
    mayAsk: options.mayAsk ?? createBudget({ burst: 20, perSecond: 5, now }),
    isOver: (one) => one.revokedAt !== null || one.expiresAt <= now(),
  });
  let refreshedAt = NEVER;
  let warned = false;
  let refreshing: Promise<void> | null = null;

  async function refresh(): Promise<void> {
    const since = refreshedAt === NEVER ? 0 : refreshedAt - OVERLAP_MS;
    const at = now();
    try {
      for (const id of await credentials.revokedSince(since)) revoked.add(id);
      await suspensions.refresh();
      refreshedAt = at;
      if (warned) log.info({}, 'revocations are read from the store again');
      warned = false;
    } catch {
      if (!warned)
        log.warn({}, 'revocations cannot be read from the store; new token logins are refused meanwhile');
      warned = true;
    }
  }
  function refreshOnce(): Promise<void> {
    refreshing ??= refresh().finally(() => {
      refreshing = null;
    });
    return refreshing;
  }
  const timer = setInterval(() => void refreshOnce(), options.refreshMs ?? 1_000);
  timer.unref();
  void refreshOnce();

  function identityOf(credential: StoredCredential): Identity {
    if (credential.revokedAt !== null) revoked.add(credential.id);
    return {
      credentialId: credential.id,
      subject: credential.id,
      owner: credential.owner,
      agent: credential.agent,
      groups: credential.groups,
      expiresAt: credential.expiresAt,
      via: 'credential',
      mintedBy: credential.mintedBy ?? null,
    };
  }

  function standing(identity: Identity): Standing {
    if (revoked.has(identity.credentialId)) return 'revoked';
    if (identity.owner !== null && suspensions.holds([identity.owner.id, identity.owner.email]))
      return 'suspended';
    return identity.expiresAt > now() ? 'live' : 'expired';
  }

  async function newCredential(id: string, input: MintInput): Promise<Minted> {
    const secret = `hpc_${randomBytes(32).toString('base64url')}`;
    const createdAt = now();
    const expiresAt = createdAt + input.ttlMs;
    const scram = await makeVerifier(secret, randomBytes(16));
    const credential: StoredCredential = {
      id,
      owner: input.owner,
      agent: input.agent,
      groups: [...new Set(input.groups)],
      mintedBy: input.mintedBy ?? null,
      expiresAt,
      createdAt,
      revokedAt: null,
      scram,
    };
    await credentials.insertCredential(credential);
    known.put(id, credential);
    return { id, secret, expiresAt };
  }

  return {
    identityOf,
    standing,
    suspendedBy: ({ owner }) => (owner === null ? null : suspensions.by([owner.id, owner.email])),

    async findCredential(id) {
      return CREDENTIAL_ID.test(id) ? known.find(id) : null;
    },

    async confirm({ id }) {
      const found = await credentials.findCredential(id);
      if (found === null) return 'revoked';
      known.put(id, found);
      // Right after the start nobody has asked yet who is suspended.
      if (now() - refreshedAt > STALE_MS) await refreshOnce();
      if (now() - refreshedAt > STALE_MS) throw new Unchecked();
      return standing(identityOf(found));
    },

    async verifyToken(token) {
      const result = await verifyToken(token, issuers, now);
      if ('refused' in result) return result;
      if (now() - refreshedAt > STALE_MS) await refreshOnce();
      if (now() - refreshedAt > STALE_MS) {
        return { refused: 'it cannot be checked whether the token was revoked; try again shortly' };
      }
      const stands = standing(result);
      if (stands === 'live') return result;
      return {
        refused: `the token is ${stands}; get a new one`,
        ended: { standing: stands, identity: result },
      };
    },

    async mint(input) {
      checkMint(input);
      return newCredential(`cred_${randomBytes(12).toString('hex')}`, input);
    },

    async revoke(id) {
      if (TOKEN_ID.test(id)) {
        // Tokens have no row until one is revoked: a credential nobody holds the secret of bears the revocation.
        if ((await credentials.findCredential(id)) === null) {
          await newCredential(id, { owner: null, agent: null, groups: [], ttlMs: MAX_TTL_MS });
        }
      } else if (!CREDENTIAL_ID.test(id)) {
        return false;
      }
      const done = await credentials.revokeCredential(id, now());
      if (done) revoked.add(id);
      return done;
    },

    isSuspended: (keys) => suspensions.holds(keys),
    suspend: (ownerId, by) => suspensions.suspend(ownerId, by),
    unsuspend: (ownerId) => suspensions.lift(ownerId),

    issued: known,
    close() {
      clearInterval(timer);
    },
  };
}
