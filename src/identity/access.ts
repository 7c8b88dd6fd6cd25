/**
 * The approver's side: one-time links, console sessions and CLI tokens (DESIGN.md 13). A secret is 256 random bits; only its
 * SHA-256 is stored, and looking it up by that digest leaks no timing of the secret. No agent credential is of this kind.
 */
import { createHash, randomBytes } from 'node:crypto';
import { createLimiter } from './limiter.ts';
import type { ApproverRecord, CredentialStore, StoredAccess } from './types.ts';

const PREFIX = { link: 'hpl_', session: 'hps_', token: 'hpa_' } as const;
const LIFETIME_MS = { link: 10 * 60_000, session: 12 * 3_600_000, token: 30 * 86_400_000 } as const;
const SECRET = /^hp[lsa]_[A-Za-z0-9_-]{43}$/;
const KNOWN_LIMIT = 1_000;

/** Too many wrong secrets from one source: answered before the store is asked. */
export class TooManyFailures extends Error {
  constructor() {
    super('Too many wrong credentials from here; wait a minute and try again.');
    this.name = 'TooManyFailures';
  }
}

export interface AccessGrant {
  /** Shown once. */
  readonly secret: string;
  readonly expiresAt: number;
  readonly approver: ApproverRecord;
}

export interface Access {
  /** A link secret (`hpl_…`), good once within ten minutes. Throws when nobody of that id is configured as approver. */
  mintLink(approverId: string): Promise<string>;
  /** Spends the link. null: wrong, spent, expired, or its approver is configured no more. Throws TooManyFailures. */
  redeemLink(secret: string, kind: 'session' | 'token', source?: string): Promise<AccessGrant | null>;
  /** Who holds this session or token; the approver is looked up anew each time. Throws TooManyFailures. */
  authenticate(secret: string, source?: string): Promise<ApproverRecord | null>;
  /** Logs out. */
  end(secret: string): Promise<boolean>;
}

export const hashSecret = (secret: string): string => createHash('sha256').update(secret).digest('hex');

function kindOf(secret: string): StoredAccess['kind'] | null {
  if (!SECRET.test(secret)) return null;
  if (secret.startsWith(PREFIX.link)) return 'link';
  return secret.startsWith(PREFIX.session) ? 'session' : 'token';
}

export function createAccess(options: {
  readonly credentials: CredentialStore;
  readonly approvers: readonly ApproverRecord[];
  readonly now: () => number;
}): Access {
  const { credentials, now } = options;
  const approvers = new Map(options.approvers.map((approver) => [approver.id, approver]));
  const limiter = createLimiter({ burst: 20, perMinute: 20, now });
  /** Digests that were right before are looked up even while their source is limited: a flood locks no logged-in approver out. */
  const known = new Set<string>();

  async function issue(kind: StoredAccess['kind'], approver: ApproverRecord): Promise<AccessGrant> {
    const secret = `${PREFIX[kind]}${randomBytes(32).toString('base64url')}`;
    const createdAt = now();
    const expiresAt = createdAt + LIFETIME_MS[kind];
    await credentials.insertAccess({
      secretHash: hashSecret(secret),
      kind,
      approverId: approver.id,
      createdAt,
      expiresAt,
      usedAt: null,
      revokedAt: null,
    });
    return { secret, expiresAt, approver };
  }

  /** The approver behind a secret that stands now, without spending it. */
  async function lookUp(
    secret: string,
    allowed: readonly StoredAccess['kind'][],
    source: string,
  ): Promise<{ readonly approver: ApproverRecord; readonly hash: string } | null> {
    const kind = kindOf(secret);
    const hash = hashSecret(secret);
    if (!known.has(hash) && limiter.limited(source)) throw new TooManyFailures();
    const found = kind === null || !allowed.includes(kind) ? null : await credentials.findAccess(hash);
    const stands =
      found !== null &&
      found.kind === kind &&
      found.revokedAt === null &&
      found.usedAt === null &&
      found.expiresAt > now();
    const approver = stands ? approvers.get(found.approverId) : undefined;
    if (approver === undefined) {
      known.delete(hash);
      limiter.failed(source);
      return null;
    }
    return { approver, hash };
  }

  return {
    async mintLink(approverId) {
      const approver = approvers.get(approverId);
      if (approver === undefined)
        throw new Error('No approver of that id is configured; add one to `approvers`.');
      return (await issue('link', approver)).secret;
    },

    async redeemLink(secret, kind, source = '') {
      const found = await lookUp(secret, ['link'], source);
      // Conditional in the store: of two redemptions at once, one wins.
      if (found === null || !(await credentials.consumeAccess(found.hash, now()))) return null;
      return issue(kind, found.approver);
    },

    async authenticate(secret, source = '') {
      const found = await lookUp(secret, ['session', 'token'], source);
      if (found === null) return null;
      if (known.size >= KNOWN_LIMIT) known.clear();
      known.add(found.hash);
      return found.approver;
    },

    async end(secret) {
      const kind = kindOf(secret);
      if (kind === null || kind === 'link') return false;
      known.delete(hashSecret(secret));
      return credentials.revokeAccess(hashSecret(secret), now());
    },
  };
}
