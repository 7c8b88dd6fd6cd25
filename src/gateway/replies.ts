/** The FIFO of replies that the server owes us. Only what the server answers changes the session's maps (DESIGN.md 3). */
import type { Failure } from './errors.ts';
import type { Run } from './run.ts';
import type { Told } from './upstream/withhold.ts';
import type { Field } from './wire/backend.ts';

export interface Expected {
  readonly kind: 'query' | 'call' | 'parse' | 'bind' | 'describe' | 'execute' | 'close' | 'sync';
  /** The statement that runs, for its record and outcome. */
  readonly run: Run | null;
  /** What the server says from here on to the end of the transaction may quote tagged values: analysis and planning evaluate already. */
  readonly exposes: boolean;
  /** What the client wrote, where an error's position may point into it. */
  readonly text: string | null;
  /** Our own message that must fail: its error is swapped for this. */
  readonly refusal: Failure | null;
  /** Asked by the gateway: the client sees none of it. */
  readonly answer: Answer | null;
  /** Once: did the server do it? `skipped`: never looked at, after an earlier error. */
  readonly settle: ((end: 'done' | 'failed' | 'skipped') => void) | null;
  /** RowDescription or NoData of a Describe. */
  readonly fields: ((fields: readonly Field[] | null) => void) | null;
  /** Set by an error of a simple Query, which still gets its ReadyForQuery. */
  failed: boolean;
  /** Of the message that it answers: what is kept for it until then. */
  bytes: number;
}

/** Collects what the gateway's own question brings. */
export interface Answer {
  readonly rows: (string | null)[][];
  error: Buffer | null;
  /** What may be said of the error. */
  told: Told | null;
}

export function expected(
  kind: Expected['kind'],
  rest: {
    readonly run?: Run | null;
    readonly exposes?: boolean;
    readonly text?: string;
    readonly refusal?: Failure | null;
    readonly answer?: Answer | null;
    readonly settle?: Expected['settle'];
    readonly fields?: Expected['fields'];
  } = {},
): Expected {
  return {
    kind,
    run: rest.run ?? null,
    exposes: rest.exposes ?? rest.run?.plan.exposes ?? false,
    text: rest.text ?? rest.run?.plan.sql ?? null,
    refusal: rest.refusal ?? null,
    answer: rest.answer ?? null,
    settle: rest.settle ?? null,
    fields: rest.fields ?? null,
    failed: false,
    bytes: 0,
  };
}

/** What a client may have sent and not been answered: PostgreSQL keeps back up to 8 KB of answers until a Flush or Sync. */
const MANY = 1024;
const LARGE = 4 * 1024 * 1024;

export class Replies {
  #list: Expected[] = [];
  #from = 0;
  #bytes = 0;

  get size(): number {
    return this.#list.length - this.#from;
  }

  /** More is owed than may be kept in memory (I7). */
  get crowded(): boolean {
    return this.size > MANY || this.#bytes > LARGE;
  }
  /** Enough is answered to go on. */
  get eased(): boolean {
    return this.size <= MANY / 2 && this.#bytes <= LARGE / 2;
  }

  get head(): Expected | null {
    return this.#list[this.#from] ?? null;
  }

  push(entry: Expected): void {
    this.#list.push(entry);
    this.#bytes += entry.bytes;
  }

  shift(): Expected | null {
    const entry = this.#list[this.#from] ?? null;
    if (entry === null) return null;
    this.#from += 1;
    this.#bytes -= entry.bytes;
    if (this.#from > 64 && this.#from * 2 > this.#list.length) {
      this.#list = this.#list.slice(this.#from);
      this.#from = 0;
    }
    return entry;
  }

  /** After an error in the extended protocol the server ignores everything up to the next Sync, even a Query. */
  takeUntilSync(): { readonly skipped: Expected[]; readonly syncFound: boolean } {
    const skipped: Expected[] = [];
    for (;;) {
      const entry = this.head;
      if (entry === null) return { skipped, syncFound: false };
      if (entry.kind === 'sync') return { skipped, syncFound: true };
      skipped.push(entry);
      this.shift();
    }
  }

  some(test: (entry: Expected) => boolean): boolean {
    for (let i = this.#from; i < this.#list.length; i++) {
      const entry = this.#list[i];
      if (entry !== undefined && test(entry)) return true;
    }
    return false;
  }

  clear(): Expected[] {
    const rest = this.#list.slice(this.#from);
    this.#list = [];
    this.#from = 0;
    this.#bytes = 0;
    return rest;
  }
}
