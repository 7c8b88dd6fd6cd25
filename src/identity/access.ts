/**
 * The console's side: one-time links, sessions and CLI tokens (DESIGN.md 13). A secret is 256 random bits; only its
 * SHA-256 is stored, and looking it up by that digest leaks no timing of the secret. No agent credential is of this kind.
 */
import { createHash, randomBytes } from 'node:crypto';
import { createLimiter } from './limiter.ts';
import type { Directory, Person } from './roles.ts';
import { suspensionKey } from './suspension.ts';
import type { CredentialStore, ProvenLogin, StoredAccess } from './types.ts';

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
  readonly person: Person;
}

/** A session or token that stands; its secret is not to be had. */
export interface ActiveAccess {
  readonly personId: string;
  readonly name: string;
  readonly kind: 'session' | 'token';
  readonly via: 'link' | 'login';
  readonly createdAt: number;
  readonly expiresAt: number;
}

export interface Access {
  /** A link secret (`hpl_…`), good once within ten minutes. Throws when nobody of that id is configured as approver. */
  mintLink(approverId: string): Promise<string>;
  /** A link for whoever holds this session or token; what it is traded for ends when theirs does. null: it stands no more. */
  linkFor(secret: string): Promise<string | null>;
  /** Spends the link. null: wrong, spent, expired, or its person may no more. Throws TooManyFailures. */
  redeemLink(secret: string, kind: 'session' | 'token', source?: string): Promise<AccessGrant | null>;
  /** A session for what a login by OIDC proved. null: suspended, or the login is configured no more. */
  login(login: ProvenLogin): Promise<AccessGrant | null>;
  /** Who holds this session or token, with the roles of now. Throws TooManyFailures. */
  authenticate(secret: string, source?: string): Promise<Person | null>;
  /** Logs out. */
  end(secret: string): Promise<boolean>;
  active(): Promise<readonly ActiveAccess[]>;
  /** Whoever has a login of theirs that stands, with the roles of now; null: none. */
  standing(personId: string): Promise<Person | null>;
  /** Logs a person out everywhere; how many links, sessions and tokens ended. */
  endAll(personId: string): Promise<number>;
}

export const hashSecret = (secret: string): string => createHash('sha256').update(secret).digest('hex');

function kindOf(secret: string): StoredAccess['kind'] | null {
  if (!SECRET.test(secret)) return null;
  if (secret.startsWith(PREFIX.link)) return 'link';
  return secret.startsWith(PREFIX.session) ? 'session' : 'token';
}

export function createAccess(options: {
  readonly credentials: CredentialStore;
  readonly directory: Directory;
  readonly now: () => number;
}): Access {
  const { credentials, directory, now } = options;
  const limiter = createLimiter({ burst: 20, perMinute: 20, now });
  /** Digests that were right before are looked up even while their source is limited: a flood locks nobody out who is logged in. */
  const known = new Set<string>();

  async function issue(
    kind: StoredAccess['kind'],
    person: Person,
    login: ProvenLogin | null,
  ): Promise<AccessGrant> {
    const secret = `${PREFIX[kind]}${randomBytes(32).toString('base64url')}`;
    const createdAt = now();
    const expiresAt = Math.min(createdAt + LIFETIME_MS[kind], login?.until ?? Infinity);
    await credentials.insertAccess({
      secretHash: hashSecret(secret),
      kind,
      approverId: person.id,
      login,
      createdAt,
      expiresAt,
      usedAt: null,
      revokedAt: null,
    });
    return { secret, expiresAt, person };
  }

  /** Asked of the store each time: a suspension counts at the next request, on every replica. */
  async function isSuspended(person: Person): Promise<boolean> {
    const rows = await credentials.listSuspensions();
    if (rows.length === 0) return false;
    const keys = [person.id, person.email, person.subject].flatMap((key) =>
      key === null ? [] : [suspensionKey(key)],
    );
    return rows.some((row) => keys.includes(row.personId));
  }

  function personOf(row: StoredAccess): Person | null {
    return row.login === null ? directory.named(row.approverId) : directory.loggedIn(row.login);
  }

  interface Found {
    readonly row: StoredAccess;
    readonly person: Person;
  }
  /** The person behind a secret that stands now, without spending it. */
  async function lookUp(
    secret: string,
    allowed: readonly StoredAccess['kind'][],
    source: string,
  ): Promise<Found | null> {
    const kind = kindOf(secret);
    const hash = hashSecret(secret);
    if (!known.has(hash) && limiter.limited(source)) throw new TooManyFailures();
    const row = kind === null || !allowed.includes(kind) ? null : await credentials.findAccess(hash);
    const stands =
      row !== null &&
      row.kind === kind &&
      row.revokedAt === null &&
      row.usedAt === null &&
      row.expiresAt > now();
    const person = stands ? personOf(row) : null;
    if (row === null || person === null || (await isSuspended(person))) {
      known.delete(hash);
      limiter.failed(source);
      return null;
    }
    return { row, person };
  }

  return {
    async mintLink(approverId) {
      const person = directory.named(approverId);
      if (person === null) throw new Error('No approver of that id is configured; add one to `approvers`.');
      return (await issue('link', person, null)).secret;
    },

    async linkFor(secret) {
      const found = await lookUp(secret, ['session', 'token'], '');
      if (found === null) return null;
      return (await issue('link', found.person, found.row.login)).secret;
    },

    async redeemLink(secret, kind, source = '') {
      const found = await lookUp(secret, ['link'], source);
      // Conditional in the store: of two redemptions at once, one wins.
      if (found === null || !(await credentials.consumeAccess(found.row.secretHash, now()))) return null;
      return issue(kind, found.person, found.row.login);
    },

    async login(login) {
      const person = directory.loggedIn(login);
      if (person === null || login.until <= now() || (await isSuspended(person))) return null;
      return issue('session', person, login);
    },

    async authenticate(secret, source = '') {
      const found = await lookUp(secret, ['session', 'token'], source);
      if (found === null) return null;
      if (known.size >= KNOWN_LIMIT) known.clear();
      known.add(found.row.secretHash);
      return found.person;
    },

    async end(secret) {
      const kind = kindOf(secret);
      if (kind === null || kind === 'link') return false;
      known.delete(hashSecret(secret));
      return credentials.revokeAccess(hashSecret(secret), now());
    },

    async active() {
      const rows = await credentials.listAccess(now());
      return rows.flatMap((row) => {
        const person = personOf(row);
        if (row.kind === 'link' || person === null) return [];
        const { kind, createdAt, expiresAt } = row;
        const via = row.login === null ? ('link' as const) : ('login' as const);
        return [{ personId: row.approverId, name: person.name, kind, via, createdAt, expiresAt }];
      });
    },

    async standing(personId) {
      for (const row of await credentials.listAccess(now())) {
        if (row.approverId !== personId || row.kind === 'link') continue;
        const person = personOf(row);
        if (person !== null && !(await isSuspended(person))) return person;
      }
      return null;
    },

    async endAll(personId) {
      let ended = 0;
      for (const id of new Set([personId, suspensionKey(personId)]))
        ended += await credentials.revokeAccessOf(id, now());
      return ended;
    },
  };
}
