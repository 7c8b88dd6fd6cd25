/**
 * Who is let in at a listening socket, and who gives way (I7). Whoever has not proven who they are waits. A newcomer finds a place as
 * long as anybody waits: of the source that has most places, the oldest gives way. So a flood of half-open connections shuts out no
 * other source, and its own only for as long as a flood of `total` within the time that one needs to say who one is.
 */
export interface DoorLimits {
  /** Open at once, proven or not. */
  readonly total: number;
  /** Of one source, waiting: beyond, those that have had their time give way. */
  readonly waiting: number;
}

/** A login over a slow line takes less. */
const GRACE_MS = 2_000;

export class Doorkeeper<Guest> {
  readonly #limits: DoorLimits;
  readonly #now: () => number;
  readonly #close: (guest: Guest) => void;
  /** By source, oldest first, with when they came. */
  readonly #waiting = new Map<string, Map<Guest, number>>();
  readonly #sources = new Map<Guest, string>();
  /** By whom they have proven to be, oldest first. */
  readonly #proven = new Map<string, Set<Guest>>();
  readonly #owners = new Map<Guest, string>();

  /** `close` is called for whoever gives way. */
  constructor(limits: DoorLimits, now: () => number, close: (guest: Guest) => void) {
    this.#limits = limits;
    this.#now = now;
    this.#close = close;
  }

  /** false: everybody who is here has proven who they are, and there is no place. `shared`: the source stands for many, such as a proxy. */
  admit(guest: Guest, source: string, shared = false): boolean {
    if (!shared) this.#thin(source);
    if (this.#sources.size + this.#owners.size >= this.#limits.total) {
      const [oldest] = this.#largest();
      if (oldest === undefined) return false;
      this.#evict(oldest);
    }
    this.#enter(guest, source);
    return true;
  }

  /** Whose it is turned out to be another's. */
  move(guest: Guest, source: string): void {
    if (!this.#sources.has(guest)) return;
    this.leave(guest);
    this.#thin(source);
    this.#enter(guest, source);
  }

  /** It does not give way to newcomers from now on. */
  prove(guest: Guest, owner: string): void {
    if (!this.#sources.has(guest) && !this.#owners.has(guest)) return;
    this.leave(guest);
    this.#owners.set(guest, owner);
    const own = this.#proven.get(owner) ?? new Set();
    this.#proven.set(owner, own.add(guest));
  }

  /** It proves nothing any more: it waits, as if it had come now. */
  wait(guest: Guest, source: string): void {
    if (!this.#owners.has(guest)) return;
    this.leave(guest);
    this.#enter(guest, source);
  }

  /** Oldest first. */
  provenBy(owner: string): readonly Guest[] {
    return [...(this.#proven.get(owner) ?? [])];
  }

  leave(guest: Guest): void {
    const source = this.#sources.get(guest);
    if (source !== undefined) {
      this.#sources.delete(guest);
      const own = this.#waiting.get(source);
      own?.delete(guest);
      if (own?.size === 0) this.#waiting.delete(source);
    }
    const owner = this.#owners.get(guest);
    if (owner !== undefined) {
      this.#owners.delete(guest);
      const own = this.#proven.get(owner);
      own?.delete(guest);
      if (own?.size === 0) this.#proven.delete(owner);
    }
  }

  #enter(guest: Guest, source: string): void {
    this.#sources.set(guest, source);
    const own = this.#waiting.get(source) ?? new Map();
    this.#waiting.set(source, own.set(guest, this.#now()));
  }

  #thin(source: string): void {
    const own = this.#waiting.get(source);
    for (const [guest, since] of own ?? []) {
      if ((own?.size ?? 0) < this.#limits.waiting || this.#now() - since < GRACE_MS) return;
      this.#evict(guest);
    }
  }

  #largest(): Iterable<Guest> {
    let most: ReadonlyMap<Guest, number> = new Map();
    for (const own of this.#waiting.values()) if (own.size > most.size) most = own;
    return most.keys();
  }

  #evict(guest: Guest): void {
    this.leave(guest);
    this.#close(guest);
  }
}
