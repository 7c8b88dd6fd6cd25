/**
 * The console's side: one-time links, sessions and CLI tokens (DESIGN.md 13). A secret is 256 random bits; only its
 * SHA-256 is stored, and looking it up by that digest leaks no timing of the secret. No agent credential is of this kind.
 */
import { createHash, randomBytes } from 'node:crypto';
import { sourceOf } from '../edge/address.ts';
import type { FailedLogin, FailedOwner, LoginFailure } from './failed-logins.ts';
import { createKnown, type Known } from './known.ts';
import { createBudget, createLimiter } from './limiter.ts';
import type { Directory, Person } from './roles.ts';
import { suspensionKey } from './suspension.ts';
import type { CredentialStore, ProvenLogin, StoredAccess } from './types.ts';

const PREFIX = { link: 'hpl_', session: 'hps_', token: 'hpa_' } as const;
const LIFETIME_MS = { link: 10 * 60_000, session: 12 * 3_600_000, token: 30 * 86_400_000 } as const;
const SECRET = /^hp[lsa]_[A-Za-z0-9_-]{43}$/;
/** What is over is remembered so long: that it is tried again is worth to be told. */
export const REMEMBERED_MS = 30 * 86_400_000;

/** This secret is wrong, and so were many from its source. Never thrown at one that stands. */
export class TooManyFailures extends Error {
  constructor() {
    super(
      'This credential is wrong, and so were many others from here; wait a minute, then try a right one.',
    );
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
  /** Spends the link; `source` is the address that it came from. null: wrong, spent, expired, or its person may no more. Throws TooManyFailures. */
  redeemLink(secret: string, kind: 'session' | 'token', source?: string): Promise<AccessGrant | null>;
  /** A session for what a login by OIDC proved. null: suspended, or the login is configured no more. */
  login(login: ProvenLogin, source?: string): Promise<AccessGrant | null>;
  /** Who holds this session or token (of this kind, where one is named), with the roles of now. Throws TooManyFailures. */
  authenticate(secret: string, source?: string, kind?: 'session' | 'token'): Promise<Person | null>;
  /** The same, of one that was let in before: what has ended meanwhile is no attempt to log in. */
  still(secret: string): Promise<Person | null>;
  /** Logs out. */
  end(secret: string): Promise<boolean>;
  active(): Promise<readonly ActiveAccess[]>;
  /** Whoever has a login of theirs that stands, with the roles of now; null: none. */
  standing(personId: string): Promise<Person | null>;
  /** Logs a person out everywhere; how many links, sessions and tokens ended. */
  endAll(personId: string): Promise<number>;
  readonly issued: Pick<Known<unknown>, 'load' | 'heard' | 'deaf'>;
}

export const hashSecret = (secret: string): string => createHash('sha256').update(secret).digest('hex');

function kindOf(secret: string): StoredAccess['kind'] | null {
  if (!SECRET.test(secret)) return null;
  if (secret.startsWith(PREFIX.link)) return 'link';
  return secret.startsWith(PREFIX.session) ? 'session' : 'token';
}

/** What is kept in memory of one that was issued; what it says of its end is final. */
type Kept = Pick<StoredAccess, 'kind' | 'approverId' | 'expiresAt' | 'usedAt' | 'revokedAt'>;
const keptOf = ({ kind, approverId, expiresAt, usedAt, revokedAt }: StoredAccess): Kept => ({
  kind,
  approverId,
  expiresAt,
  usedAt,
  revokedAt,
});

export function createAccess(options: {
  readonly credentials: CredentialStore;
  readonly directory: Directory;
  readonly now: () => number;
  /** May the store be asked about what is not known? Shared by all that ask so. */
  readonly mayAsk?: () => boolean;
  readonly onFailed?: (failure: FailedLogin) => void;
}): Access {
  const { credentials, directory, now, onFailed } = options;
  const limiter = createLimiter({ burst: 20, perMinute: 20, now });
  const known = createKnown<Kept>({
    all: async (limit) =>
      (await credentials.recentAccess(now() - REMEMBERED_MS, limit)).map((row) => [
        row.secretHash,
        keptOf(row),
      ]),
    fetch: async (hash) => {
      const row = await credentials.findAccess(hash);
      return row === null ? null : keptOf(row);
    },
    mayAsk: options.mayAsk ?? createBudget({ burst: 20, perSecond: 5, now }),
    isOver: (kept) => endOf(kept) !== null,
  });

  function endOf({ expiresAt, revokedAt, usedAt }: Kept): LoginFailure | null {
    if (revokedAt !== null) return 'revoked';
    if (usedAt !== null) return 'used';
    return expiresAt > now() ? null : 'expired';
  }

  async function issue(
    kind: StoredAccess['kind'],
    person: Person,
    login: ProvenLogin | null,
  ): Promise<AccessGrant> {
    const secret = `${PREFIX[kind]}${randomBytes(32).toString('base64url')}`;
    const createdAt = now();
    const expiresAt = Math.min(createdAt + LIFETIME_MS[kind], login?.until ?? Infinity);
    const row: StoredAccess = {
      secretHash: hashSecret(secret),
      kind,
      approverId: person.id,
      login,
      createdAt,
      expiresAt,
      usedAt: null,
      revokedAt: null,
    };
    await credentials.insertAccess(row);
    known.put(row.secretHash, keptOf(row));
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
  interface Wrong {
    readonly why: LoginFailure;
    readonly kept: Kept | null;
  }
  /** The person behind a secret that stands now, without spending it. Rejects when the store cannot be asked about one that was issued. */
  async function lookUp(secret: string, allowed: readonly StoredAccess['kind'][]): Promise<Found | Wrong> {
    const kind = kindOf(secret);
    if (kind === null || !allowed.includes(kind)) return { why: 'malformed', kept: null };
    const hash = hashSecret(secret);
    const kept = await known.find(hash);
    if (kept === null) return { why: 'unknown', kept };
    // An end is final: not asked again.
    const over = endOf(kept);
    if (over !== null) return { why: over, kept };
    const row = await credentials.findAccess(hash);
    if (row === null || row.kind !== kind) return { why: 'unknown', kept };
    known.put(hash, keptOf(row));
    const why = endOf(row);
    if (why !== null) return { why, kept };
    const person = personOf(row);
    if (person === null) return { why: 'not-named', kept };
    return (await isSuspended(person)) ? { why: 'suspended', kept } : { row, person };
  }

  function ownerOf(kept: Kept | null | undefined): FailedOwner | null {
    if (kept === null || kept === undefined) return null;
    const { approverId: id } = kept;
    const named = directory.named(id);
    return { id, name: named?.name ?? id, email: named?.email ?? null, agent: null };
  }

  /** As above, for whoever comes from outside: what is wrong is told, counted, and told that it is too much. */
  async function admit(
    secret: string,
    allowed: readonly StoredAccess['kind'][],
    address: string,
  ): Promise<Found | null> {
    const via = kindOf(secret) ?? allowed[0] ?? 'token';
    // Not the secret: enough of its digest to tell apart what was tried.
    const claimed = `${via} ${hashSecret(secret).slice(0, 12)}`;
    const result = await lookUp(secret, allowed).catch((error: unknown) => {
      onFailed?.({
        via,
        address,
        claimed,
        reason: 'unchecked',
        owner: ownerOf(known.get(hashSecret(secret))),
      });
      throw error;
    });
    if ('person' in result) return result;
    onFailed?.({ via, address, claimed, reason: result.why, owner: ownerOf(result.kept) });
    const source = sourceOf(address);
    const isMany = limiter.limited(source);
    limiter.failed(source);
    if (isMany) throw new TooManyFailures();
    return null;
  }

  return {
    async mintLink(approverId) {
      const person = directory.named(approverId);
      if (person === null) throw new Error('No approver of that id is configured; add one to `approvers`.');
      return (await issue('link', person, null)).secret;
    },

    async linkFor(secret) {
      const found = await lookUp(secret, ['session', 'token']);
      return 'person' in found ? (await issue('link', found.person, found.row.login)).secret : null;
    },

    async redeemLink(secret, kind, source = '') {
      const found = await admit(secret, ['link'], source);
      // Conditional in the store: of two redemptions at once, one wins.
      if (found === null || !(await credentials.consumeAccess(found.row.secretHash, now()))) return null;
      known.put(found.row.secretHash, keptOf({ ...found.row, usedAt: now() }));
      return issue(kind, found.person, found.row.login);
    },

    async login(login, source = '') {
      const person = directory.loggedIn(login);
      if (person !== null && login.until > now() && !(await isSuspended(person)))
        return issue('session', person, login);
      const { email, name, subject } = login;
      onFailed?.({
        via: 'sign-in',
        address: source,
        claimed: subject,
        reason: person === null ? 'not-named' : login.until > now() ? 'suspended' : 'expired',
        owner: { id: person?.id ?? email ?? `${login.issuer}|${subject}`, name, email, agent: null },
      });
      return null;
    },

    async authenticate(secret, source = '', kind) {
      return (
        (await admit(secret, kind === undefined ? ['token', 'session'] : [kind], source))?.person ?? null
      );
    },

    async still(secret) {
      const found = await lookUp(secret, ['session', 'token']);
      return 'person' in found ? found.person : null;
    },

    async end(secret) {
      const kind = kindOf(secret);
      if (kind === null || kind === 'link') return false;
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

    issued: known,
  };
}
