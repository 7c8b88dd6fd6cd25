/**
 * Transactions of agents that hold locks and in which nothing runs end after a while, by the gateway's own clock: the client may set the server's to
 * nothing, and the server's does not count a pipeline without Sync, a COPY without data or a client that does not read. What asks for no work (Sync, an
 * empty query, as pools say to keep a connection) begins nothing anew.
 */
import type { TransactionStatus } from './upstream/link.ts';

export const DEFAULT_AGENT_IDLE_MS = 5 * 60_000;

/** A session at one moment. */
export interface Moment {
  /** Waiting for an approver, or for the target with work that was asked for: the next step is not the client's. */
  readonly atWork: boolean;
  /** Something of the client's is looked at: it is not ended in the midst of that. */
  readonly busy: boolean;
  readonly status: TransactionStatus;
  /** Something in the transaction may hold locks. */
  readonly worked: boolean;
  /** Extended messages went out since the last Sync; to parse is enough to hold locks until then. */
  readonly unsynced: boolean;
  /** A COPY awaits the client's data, or a result that the client does not read. */
  readonly awaited: boolean;
}

export class IdleWatch {
  readonly #now: () => number;
  readonly #limitMs: number;
  #since: number;
  #active = true;

  constructor(now: () => number, limitMs: number) {
    this.#now = now;
    this.#limitMs = limitMs;
    this.#since = now();
  }

  /** A statement ran, data came, or a result was read on. On the path of every statement: the clock is looked at in `over` alone. */
  touch(): void {
    this.#active = true;
  }

  /** Asked about once a second. */
  over(moment: Moment): boolean {
    if (this.#active || moment.atWork || !mayHoldLocks(moment)) {
      this.#active = false;
      this.#since = this.#now();
      return false;
    }
    return !moment.busy && this.#now() - this.#since >= this.#limitMs;
  }
}

const mayHoldLocks = ({ status, worked, unsynced, awaited }: Moment): boolean =>
  awaited || unsynced || (status !== 'I' && worked);
