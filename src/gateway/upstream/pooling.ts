/**
 * A pooler that gives a session another backend for each transaction makes every judgement of session state wrong: one client's search_path is the next one's.
 * What tells is that two connections held open at once report one backend, or one connection reports two. That a cancel key is not the
 * backend's pid is only a hint: poolers invent keys in session mode too.
 */
import type { Logger } from 'pino';
import { UpstreamFault } from './open.ts';
import type { Talk } from './talk.ts';

/** How long a proof stands for the sessions that follow: a pooler may be put in the way, or set otherwise. */
const STANDS_MS = 10 * 60_000;
const POOLED_STANDS_MS = 60_000;
const ROUNDS = 4;
/** In one connection's transaction the other one's question waits where there is one backend for both. */
const PATIENCE_MS = 1000;
/** Two servers behind one address may have backends of one pid; none of them began in the same microsecond. */
export const BACKEND = `SELECT pg_catalog.concat(pg_catalog.pg_backend_pid(), ' ', (SELECT extract(epoch FROM a.backend_start)
  FROM pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid()) AS a))`;

export const SHARED =
  'it is behind a pooler in transaction mode, where sessions share backends; take the server itself, or session mode (docs/compatibility.md)';
const UNPROVEN = 'it is behind a pooler, and whether that keeps sessions apart cannot be told: ';

export interface Candidate {
  readonly talk: Talk;
  /** As `BACKEND` says it. */
  readonly backend: string;
  /** The backend was there before, or the key is another's. */
  readonly pooled: boolean;
}

export class Pooling {
  readonly #now: () => number;
  readonly #log: Logger | null;
  /** When each target's login was proven last. */
  readonly #proven = new Map<string, number>();
  readonly #running = new Map<string, Promise<void>>();

  constructor(now: () => number, log: Logger | null) {
    this.#now = now;
    this.#log = log;
  }

  /** Rejects with an UpstreamFault where its sessions do not keep their backends. `name`: of the target's login. */
  async prove(name: string, first: Candidate, second: () => Promise<Talk>): Promise<void> {
    const at = this.#proven.get(name);
    const stands = first.pooled ? POOLED_STANDS_MS : STANDS_MS;
    if (at !== undefined && this.#now() - at < stands) return;
    let running = this.#running.get(name);
    if (running === undefined) {
      running = this.#prove(name, first, second).finally(() => this.#running.delete(name));
      this.#running.set(name, running);
    }
    await running;
  }

  /** Something else has shown that it does not hold any more. */
  forget(name: string): void {
    this.#proven.delete(name);
  }

  async #prove(name: string, first: Candidate, second: () => Promise<Talk>): Promise<void> {
    const before = this.#proven.has(name);
    try {
      if (!(await keepsBackends(first, second))) {
        this.#proven.delete(name);
        throw new UpstreamFault(SHARED);
      }
    } catch (error) {
      if (error instanceof UpstreamFault && error.message === SHARED) throw error;
      return this.#unproven(name, first, error);
    }
    this.#proven.set(name, this.#now());
    if (first.pooled && !before)
      this.#log?.warn(
        { target: name },
        'a target is behind a pooler in session mode: each session keeps its backend, so it is accepted',
      );
  }

  /** The server takes no more connections, say. What the hint speaks for, or what was proven before, goes on; the rest does not. */
  #unproven(name: string, first: Candidate, error: unknown): void {
    const why = error instanceof UpstreamFault ? error.message : 'no second connection';
    this.#log?.warn({ target: name, why }, 'whether a target is behind a pooler could not be looked at');
    if (first.pooled && !this.#proven.has(name)) throw new UpstreamFault(UNPROVEN + why);
  }
}

/**
 * The backend that was used last, or the one that waits the longest, goes to whoever asks next: a second connection's transaction meets the
 * first, two questions in a row meet the second. Never both in turn alone: of two backends each would keep finding its own. Each
 * round has a second connection of its own, as a pooler of several processes has as many pools.
 */
async function keepsBackends(first: Candidate, open: () => Promise<Talk>): Promise<boolean> {
  for (let round = 0; round < (first.pooled ? ROUNDS : 1); round++) {
    if (!(await still(first)) || !(await still(first))) return false;
    const second = await open();
    try {
      if (!(await apart(first, second))) return false;
    } finally {
      second.leave();
    }
  }
  return true;
}

const still = async ({ talk, backend }: Candidate): Promise<boolean> =>
  (await talk.ask(BACKEND)).row?.[0] === backend;

/** Has the second one a backend of its own while it is in a transaction? */
async function apart(first: Candidate, second: Talk): Promise<boolean> {
  const { row, code } = await second.ask(`BEGIN; ${BACKEND}`);
  if (code !== null) {
    // Statement mode takes no transaction of anybody; whoever waits in vain for a backend may have one elsewhere.
    if ((await first.talk.ask('BEGIN')).code !== null) return false;
    throw new UpstreamFault(`a second connection got no backend (${code})`);
  }
  const other = row?.[0] ?? null;
  if (other === null || other === first.backend) return false;
  const kept = still(first);
  kept.catch(() => {});
  await settled(kept, PATIENCE_MS);
  const ended = second.ask('ROLLBACK');
  ended.catch(() => {});
  if (!(await kept)) return false;
  await ended;
  return true;
}

/** It is settled, or that long has passed. */
function settled(work: Promise<unknown>, ms: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    const done = (): void => {
      clearTimeout(timer);
      resolve();
    };
    work.then(done, done);
  });
}
