/**
 * Logins that failed leave a trace: an event, a line in the log, counts by owner and by source, and an alert when they come in a burst or
 * when something revoked is tried. However many they are, the work is bounded: what is more than that is counted, not told one by one.
 */
import { randomBytes } from 'node:crypto';
import { sourceOf } from '../edge/address.ts';
import { createBudget } from './limiter.ts';

export type LoginFailure =
  /** The credential is known, the secret is wrong. */
  | 'wrong-secret'
  /** Nobody issued it. */
  | 'unknown'
  /** Of an issuer's token: `detail` says more. */
  | 'token-refused'
  | 'expired'
  | 'revoked'
  | 'suspended'
  /** A one-time link, a second time. */
  | 'used'
  /** Whoever it was issued to may no more. */
  | 'not-named'
  /** At the identity provider. */
  | 'sign-in-refused'
  | 'no-access'
  | 'unknown-target'
  | 'too-many-connections'
  | 'in-clear'
  | 'late'
  | 'malformed'
  /** The store could not be asked. */
  | 'unchecked';

export interface FailedLogin {
  readonly via: 'gateway' | 'link' | 'session' | 'token' | 'sign-in';
  readonly address: string;
  readonly reason: LoginFailure;
  /** The user or credential that was named: attackers' text. */
  readonly claimed: string | null;
  /** Of a credential that exists, whoever tried it. */
  readonly owner: FailedOwner | null;
  /** In our own words. */
  readonly detail?: string;
}
export interface FailedOwner {
  readonly id: string;
  readonly name: string;
  readonly email: string | null;
  readonly agent: string | null;
}

export interface FailedLoginRow extends Omit<FailedLogin, 'detail'> {
  readonly at: number;
  /** Alike ones that came with it. */
  readonly count: number;
}
/** Port: implemented by store. */
export interface FailedLoginStore {
  save(rows: readonly (FailedLoginRow & { readonly source: string })[]): Promise<void>;
  summary(since: number): Promise<FailedLoginSummary>;
}
export interface FailedLoginSummary {
  readonly total: number;
  readonly byOwner: readonly FailedCount[];
  readonly byAddress: readonly FailedCount[];
  /** Newest first. */
  readonly latest: readonly FailedLoginRow[];
}
export interface FailedCount {
  readonly key: string;
  readonly count: number;
  readonly at: number;
}

export interface LoginBurst {
  /** One alert a key, until it has been quiet for as long as a burst lasts. */
  readonly key: string;
  readonly kind: 'logins' | 'revoked';
  readonly owner: FailedOwner | null;
  readonly credential: string | null;
  readonly address: string;
  readonly count: number;
  readonly since: number;
  readonly at: number;
  readonly lines: readonly string[];
}

/** As the store keeps alerts. `channel` null: there is nobody to send it to, the console shows it. */
export function alertOf(burst: LoginBurst, channel: string | null) {
  const { address, at, count, credential, key, kind, lines, owner, since } = burst;
  return {
    id: `AL-${randomBytes(8).toString('hex')}`,
    key,
    about: kind,
    requester: {
      ownerId: owner?.id ?? null,
      ownerName: owner?.name ?? null,
      ownerEmail: owner?.email ?? null,
      agent: owner?.agent ?? null,
      credentialId: credential ?? '',
      subject: address,
    },
    count,
    since,
    at,
    lines,
    channel,
  };
}

/** So many of one owner or source within so long are a burst. */
export const BURST = { count: 10, withinMs: 10 * 60_000, lines: 5 } as const;
const MAX_KEYS = 5_000;
/** Events of one flush; what is more is counted with an alike one. */
const MAX_ROWS = 50;
const FLUSH_MS = 1_000;

interface Counter {
  count: number;
  since: number;
  at: number;
  told: boolean;
  lines: string[];
}

export interface FailedLogins {
  note(failure: FailedLogin): void;
  /** What is kept so far is written. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

export function createFailedLogins(options: {
  readonly store: Pick<FailedLoginStore, 'save'>;
  readonly log: { warn(details: object, message: string): void };
  readonly now: () => number;
  readonly onBurst: (burst: LoginBurst) => Promise<unknown>;
}): FailedLogins {
  const { log, now, onBurst, store } = options;
  const mayLog = createBudget({ burst: 30, perSecond: 5, now });
  // Whoever has many addresses must not bury what else there is to be told.
  const mayAlert = {
    logins: createBudget({ burst: 5, perSecond: 1 / 60, now }),
    revoked: createBudget({ burst: 20, perSecond: 1 / 6, now }),
  };
  const counters = new Map<string, Counter>();
  let rows = new Map<string, FailedLoginRow>();
  let unlogged = 0;

  function count(key: string, at: number, line: string): Counter {
    const known = counters.get(key);
    const counter =
      known === undefined ||
      at - known.at > BURST.withinMs ||
      (!known.told && at - known.since > BURST.withinMs)
        ? { count: 0, since: at, at, told: false, lines: [] }
        : known;
    counter.count += 1;
    counter.at = at;
    counter.lines = [...counter.lines.slice(1 - BURST.lines), line];
    // Re-inserted, so that the one that was quiet longest goes first.
    counters.delete(key);
    const [first] = counters.keys();
    if (counters.size >= MAX_KEYS && first !== undefined) counters.delete(first);
    counters.set(key, counter);
    return counter;
  }

  function tell(burst: LoginBurst): void {
    if (!mayAlert[burst.kind]()) return;
    log.warn(
      { about: burst.kind, owner: burst.owner?.id ?? null, address: burst.address, count: burst.count },
      burst.kind === 'revoked' ? 'something revoked was tried' : 'logins keep failing',
    );
    onBurst(burst).catch(() => log.warn({ about: burst.kind }, 'an alert about logins could not be kept'));
  }

  function alert(failure: FailedLogin, claimed: string | null, at: number): void {
    const { address, owner, reason, via } = failure;
    const line = `${via} from ${address}: ${reason}${claimed === null ? '' : ` (${claimed})`}`;
    const mine = owner === null ? null : count(`owner ${owner.id}`, at, line);
    const source = count(`address ${sourceOf(address)}`, at, line);
    const base = { owner, credential: claimed, address, at };
    if (reason === 'revoked') {
      const key = `revoked ${claimed ?? owner?.id ?? address}`;
      const tried = count(key, at, line);
      if (!tried.told) tell({ ...base, key, kind: 'revoked', count: 1, since: at, lines: [line] });
      tried.told = true;
      return;
    }
    // One alert is enough for what is counted twice.
    for (const [counter, of, whose] of [
      [mine, `owner ${owner?.id}`, owner],
      [source, `address ${sourceOf(address)}`, null],
    ] as const) {
      if (counter === null || counter.told || counter.count < BURST.count) continue;
      tell({ ...base, ...counter, key: `logins ${of}`, kind: 'logins', owner: whose });
      source.told = true;
      if (mine !== null) mine.told = true;
      return;
    }
  }

  /** Each by itself as long as they are few; then those alike together; then whatever went wrong, from several places. */
  function keep(row: FailedLoginRow): void {
    const alike = `${row.via} ${row.reason} ${sourceOf(row.address)} ${row.owner?.id ?? ''}`;
    if (rows.size < MAX_ROWS) rows.set(`${rows.size}`, row);
    else if (rows.size < 2 * MAX_ROWS || rows.has(alike)) add(alike, row);
    else add(`${row.via} ${row.reason}`, { ...row, address: 'several', claimed: null, owner: null });
  }
  function add(key: string, row: FailedLoginRow): void {
    rows.set(key, { ...row, count: (rows.get(key)?.count ?? 0) + 1 });
  }

  async function flush(): Promise<void> {
    if (unlogged > 0) log.warn({ count: unlogged }, 'more logins failed than are logged one by one');
    unlogged = 0;
    if (rows.size === 0) return;
    const kept = [...rows.values()];
    rows = new Map();
    await store
      .save(kept.map((row) => ({ ...row, source: sourceOf(row.address) })))
      .catch(() => log.warn({ count: kept.length }, 'failed logins could not be kept in the store'));
  }
  const timer = setInterval(() => void flush(), FLUSH_MS);
  timer.unref();

  return {
    note(failure) {
      const at = now();
      const claimed = failure.claimed === null ? null : shown(failure.claimed);
      const { address, owner, reason, via } = failure;
      if (mayLog())
        log.warn(
          {
            via,
            address,
            claimed,
            owner: owner?.id ?? null,
            reason,
            ...(failure.detail === undefined ? {} : { detail: failure.detail }),
          },
          'a login failed',
        );
      else unlogged += 1;
      keep({ via, address, reason, claimed, owner, at, count: 1 });
      alert(failure, claimed, at);
    },
    flush,
    async close() {
      clearInterval(timer);
      await flush();
    },
  };
}

const SECRET = /hp[clsa]_[A-Za-z0-9_-]{8}|^eyJ/;
/** One line, bounded; somebody may have typed a secret where a name belongs. */
function shown(text: string): string {
  if (SECRET.test(text)) return '(a secret)';
  const flat = text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ').trim();
  return flat.length <= 80 ? flat : `${flat.slice(0, 79)}…`;
}
