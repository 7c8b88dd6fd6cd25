/**
 * What the names of prepared statements and portals stand for. A map changes only when the server says so; until then every candidate counts
 * (DESIGN.md 3). The protocol and SQL (PREPARE, DECLARE) share one namespace.
 */
import type { Approval } from './clearance.ts';
import type { Plan } from './plan.ts';
import type { Field } from './wire/backend.ts';
import type { BindMessage } from './wire/frontend.ts';

export interface Prepared {
  readonly sql: string;
  readonly paramTypes: readonly number[];
  readonly plan: Plan;
  fields: readonly Field[] | null;
  /** Approved before its Parse went out, together with exactly this Bind. */
  early: { readonly bind: Buffer; readonly approval: Approval; readonly n: number } | null;
}

export interface Portal {
  /** null: a cursor that an already judged DECLARE opened. */
  readonly prepared: Prepared | null;
  /** Its query, judged again at each FETCH: a column may be tagged by then. null: no cursor, or an approver let it through. */
  readonly declared: string | null;
  /** As its statement was judged: its rows may be made at each FETCH, in a later transaction too. */
  exposes: boolean;
  readonly bind: BindMessage | null;
  approval: Approval | null;
  /** Number under which it was recorded when it was held; taken by its first Execute. */
  n: number | null;
  fields: readonly Field[] | null;
}

interface Entry<T> {
  readonly value: T;
  known: boolean;
}

export type Settle = (end: 'done' | 'failed' | 'skipped') => void;

export class Names<T> {
  readonly #map = new Map<string, Entry<T>[]>();
  readonly #weigh: (value: T) => number;
  readonly #changed: (bytes: number) => void;
  #bytes = 0;

  /** `changed` is told how much more, or less, is kept. */
  constructor(weigh: (value: T) => number, changed: (bytes: number) => void = () => {}) {
    this.#weigh = weigh;
    this.#changed = changed;
  }

  get size(): number {
    return this.#map.size;
  }

  /** What the values keep in memory. */
  get bytes(): number {
    return this.#bytes;
  }

  candidates(name: string): T[] {
    return (this.#map.get(name) ?? []).map((entry) => entry.value);
  }

  has(name: string): boolean {
    return this.#map.has(name);
  }

  /** On its way to the server. `keep`: it stays a candidate even if its string failed (an earlier part of it may have run). */
  propose(name: string, value: T, keep = false): Settle {
    const entry: Entry<T> = { value, known: false };
    // The unnamed one is dropped by the server before it makes the new one; if that fails there is none (WIRE.md).
    this.#update(name, (list) => (name === '' ? [entry] : [...list, entry]));
    return (end) => {
      if (end === 'done') {
        entry.known = true;
        // It takes the place of what was sent before it.
        this.#update(name, (list) => list.slice(Math.max(0, list.indexOf(entry))));
      } else if (end === 'skipped' || !keep)
        this.#update(name, (list) => list.filter((one) => one !== entry));
    };
  }

  /** A Close or DEALLOCATE on its way; null: all. */
  closing(name: string | null): Settle {
    const doomed = new Set(name === null ? [...this.#map.values()].flat() : this.#map.get(name));
    return (end) => {
      if (end !== 'done') return;
      for (const key of name === null ? [...this.#map.keys()] : [name])
        this.#update(key, (list) => list.filter((entry) => !doomed.has(entry)));
    };
  }

  /** Forgets what the server has and `test` names; what is on its way stays. */
  forget(test: (value: T) => boolean): T[] {
    const gone: T[] = [];
    for (const name of [...this.#map.keys()])
      this.#update(name, (list) =>
        list.filter((entry) => {
          if (!entry.known || !test(entry.value)) return true;
          gone.push(entry.value);
          return false;
        }),
      );
    return gone;
  }

  #update(name: string, change: (list: Entry<T>[]) => Entry<T>[]): void {
    const before = this.#map.get(name) ?? [];
    const list = change(before);
    const sum = (all: readonly Entry<T>[]): number =>
      all.reduce((bytes, { value }) => bytes + this.#weigh(value), 0);
    const more = sum(list) - sum(before);
    this.#bytes += more;
    this.#changed(more);
    if (list.length === 0) this.#map.delete(name);
    else this.#map.set(name, list);
  }
}
