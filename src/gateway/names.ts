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
  /** Syncs that had gone out before it. */
  readonly pipeline: number;
  known: boolean;
}

export type Settle = (end: 'done' | 'failed' | 'skipped') => void;

export class Names<T> {
  readonly #map = new Map<string, Entry<T>[]>();
  readonly #weigh: (value: T) => number;
  readonly #changed: (bytes: number) => void;
  readonly #syncs: () => number;
  #bytes = 0;

  /** `syncs`: how many have gone out. `changed` is told how much more, or less, is kept. */
  constructor(
    weigh: (value: T) => number,
    syncs: () => number = () => 0,
    changed: (bytes: number) => void = () => {},
  ) {
    this.#weigh = weigh;
    this.#syncs = syncs;
    this.#changed = changed;
  }

  get size(): number {
    return this.#map.size;
  }

  /** What the values keep in memory. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * What it may stand for where the next message is looked at. The unnamed one sent last in this pipeline is it, or that message is skipped as well;
   * behind a Sync it may have been skipped, and what was there before still is.
   */
  candidates(name: string): T[] {
    const list = this.#map.get(name) ?? [];
    const pipeline = this.#syncs();
    const last = name === '' ? list.findLastIndex((one) => one.known || one.pipeline === pipeline) : 0;
    return list.slice(Math.max(0, last)).map((entry) => entry.value);
  }

  has(name: string): boolean {
    return this.#map.has(name);
  }

  /** On its way to the server. `keep`: it stays a candidate even if its string failed (an earlier part of it may have run). */
  propose(name: string, value: T, keep = false): Settle {
    const entry: Entry<T> = { value, pipeline: this.#syncs(), known: false };
    const list = this.#map.get(name);
    if (list === undefined) this.#map.set(name, [entry]);
    else list.push(entry);
    this.#count(this.#weigh(value));
    return (end) => {
      if (end === 'done') {
        entry.known = true;
        // It takes the place of what was sent before it.
        const at = this.#map.get(name)?.indexOf(entry) ?? -1;
        this.#remove(name, (_, i) => i < at);
      } else if (end === 'skipped' || !keep) this.#remove(name, (one) => one === entry);
    };
  }

  /** A Close or DEALLOCATE on its way; null: all, but for the unnamed one. */
  closing(name: string | null): Settle {
    const names = name === null ? [...this.#map.keys()].filter((one) => one !== '') : [name];
    const doomed = new Set(names.flatMap((one) => this.#map.get(one) ?? []));
    return (end) => {
      if (end === 'done') for (const one of names) this.#remove(one, (entry) => doomed.has(entry));
    };
  }

  /** Forgets what the server has and `test` names; what is on its way stays. */
  forget(test: (value: T) => boolean): T[] {
    return [...this.#map.keys()].flatMap((name) =>
      this.#remove(name, ({ known, value }) => known && test(value)),
    );
  }

  #remove(name: string, test: (entry: Entry<T>, i: number) => boolean): T[] {
    const list = this.#map.get(name) ?? [];
    const gone: T[] = [];
    const rest = list.filter((entry, i) => {
      if (!test(entry, i)) return true;
      gone.push(entry.value);
      return false;
    });
    if (gone.length === 0) return gone;
    if (rest.length === 0) this.#map.delete(name);
    else this.#map.set(name, rest);
    this.#count(-gone.reduce((bytes, value) => bytes + this.#weigh(value), 0));
    return gone;
  }

  #count(bytes: number): void {
    this.#bytes += bytes;
    this.#changed(bytes);
  }
}
