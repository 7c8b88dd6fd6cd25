import { isPart } from './bundle.ts';
import type { Clearances } from './clearance.ts';
import type { ApprovalRequest, DeskStore, Settlement, Ticket } from './types.ts';

/** One client that waits on a live connection. */
interface Waiting {
  readonly sessionId: string;
  readonly credentialId: string;
  readonly resolve: (settlement: Settlement) => void;
  /** As last seen; an older observation is ignored. */
  request: ApprovalRequest;
  state: 'waiting' | 'claiming' | 'over';
  /** Why the client cancelled, where it did. */
  withdrawn: string | null;
}

export interface WaitersDesk {
  readonly store: DeskStore;
  readonly desk: string;
  readonly now: () => number;
  readonly clearances: Clearances;
  changed(request: ApprovalRequest): void;
  /** The store could not be asked: for the log. */
  away(error: unknown): void;
  persist(what: string, id: string, work: () => Promise<void>): Promise<void>;
}

/** Those who wait here: at most one a request, the newest. Told of changes made here at once, of others by `poll`. */
export class Waiters {
  readonly #options: WaitersDesk;
  readonly #waiting = new Map<string, Waiting>();

  constructor(options: WaitersDesk) {
    this.#options = options;
  }

  get ids(): readonly string[] {
    return [...this.#waiting.keys()];
  }

  has(id: string): boolean {
    return this.#waiting.has(id);
  }

  /** The newest waiter runs, an earlier one is told so. `request` is the row in which this one became the waiter. */
  join(request: ApprovalRequest, by: { readonly sessionId: string; readonly credentialId: string }): Ticket {
    let resolve: (settlement: Settlement) => void = () => undefined;
    const settled = new Promise<Settlement>((done) => {
      resolve = done;
    });
    const waiting: Waiting = { ...by, resolve, request, state: 'waiting', withdrawn: null };
    const earlier = this.#waiting.get(request.id);
    if (earlier !== undefined && earlier.request.version > request.version) {
      this.#end(waiting, { kind: 'superseded', request: earlier.request });
    } else {
      if (earlier !== undefined) this.#end(earlier, { kind: 'superseded', request });
      this.#waiting.set(request.id, waiting);
    }
    return {
      settled,
      leave: () => this.#leave(waiting),
      withdraw: (note) => this.#withdraw(waiting, note),
    };
  }

  /** The request is now as given: whoever waits for it here is told, or claims the grant. */
  observe(request: ApprovalRequest): void {
    const waiting = this.#waiting.get(request.id);
    if (waiting === undefined || request.version < waiting.request.version) return;
    waiting.request = request;
    const holder = request.holder ?? null;
    const elsewhere = holder !== null && holder !== this.#options.desk;
    switch (request.state) {
      case 'pending':
        if (elsewhere) this.#end(waiting, { kind: 'superseded', request });
        else if (holder === null || !request.waiterLive) void this.#reassert(waiting);
        return;
      case 'granted':
        if (elsewhere) this.#end(waiting, { kind: 'superseded', request });
        else void this.#claim(waiting);
        return;
      case 'executing':
      case 'executed':
      case 'failed':
      case 'unknown':
        // Its own claim tells the waiter by itself, with the clearance.
        if (waiting.state === 'waiting') this.#end(waiting, { kind: 'superseded', request });
        return;
      case 'denied':
        this.#end(waiting, { kind: 'denied', request });
        return;
      case 'withdrawn':
        this.#end(waiting, { kind: 'withdrawn', request });
        return;
      case 'expired':
      case 'lapsed':
        this.#end(waiting, { kind: 'expired', request });
        return;
    }
  }

  #end(waiting: Waiting, settlement: Settlement): void {
    if (waiting.state === 'over') return;
    // A claim under way may still succeed; what it won is then given back.
    waiting.state = 'over';
    if (this.#waiting.get(waiting.request.id) === waiting) this.#waiting.delete(waiting.request.id);
    waiting.resolve(settlement);
  }

  async #claim(waiting: Waiting): Promise<void> {
    if (waiting.state !== 'waiting') return;
    waiting.state = 'claiming';
    const { clearances, store } = this.#options;
    try {
      const won = await clearances.claim(waiting.request, waiting);
      if (won === null) {
        if (this.#isOver(waiting)) return;
        waiting.state = 'waiting';
        const request = await store.get(waiting.request.id);
        // Only a row that changed is looked at again at once; the rest is for the next poll.
        if (request !== null && request.version > waiting.request.version) this.observe(request);
        return;
      }
      if (this.#isOver(waiting)) {
        await won.clearance.finish({ kind: 'unused', outcome: null });
        if (waiting.withdrawn !== null) await this.#withdrawNow(waiting.request.id, waiting.withdrawn);
        return;
      }
      waiting.request = won.request;
      this.#end(waiting, { kind: 'cleared', ...won });
    } catch (error) {
      // Still waiting, the next poll tries again.
      this.#options.away(error);
      if (!this.#isOver(waiting)) waiting.state = 'waiting';
    }
  }

  #isOver(waiting: Waiting): boolean {
    return waiting.state === 'over';
  }

  #leave(waiting: Waiting): void {
    if (waiting.state === 'over') return;
    waiting.state = 'over';
    const { id } = waiting.request;
    if (this.#waiting.get(id) === waiting) this.#waiting.delete(id);
    void this.disown(id).catch(() => undefined);
  }

  async #withdraw(waiting: Waiting, note: string): Promise<void> {
    if (waiting.state === 'over') return;
    const { request } = waiting;
    const claiming = waiting.state === 'claiming';
    waiting.withdrawn = note;
    this.#end(waiting, { kind: 'withdrawn', request: { ...request, state: 'withdrawn', note } });
    // A claim under way withdraws by itself once it has given back.
    if (!claiming) await this.#withdrawNow(request.id, note);
  }

  async #withdrawNow(id: string, note: string): Promise<void> {
    const { store, desk, now, changed, persist } = this.#options;
    const endedAt = now();
    await persist('withdraw', id, async () => {
      const row = await store.get(id);
      // Somebody else waits for it by now: theirs.
      const holder = row?.holder ?? null;
      if (row === null || this.#waiting.has(id) || (holder !== null && holder !== desk)) return;
      // Asked for with its script, before anybody waited for it: only the wait is over.
      if (isPart(row)) return this.disown(id);
      const over = { note, endedAt, waiterLive: false, holder: null };
      const request = await store.transition(id, ['pending', 'granted'], { state: 'withdrawn', ...over });
      if (request !== null) changed(request);
    });
  }

  /** Nobody waits here for it any more; the card must not say so. Rejects when the store cannot be asked (swept up later). */
  async disown(id: string): Promise<void> {
    const { store, desk, changed } = this.#options;
    for (let attempt = 0; attempt < 5; attempt += 1) {
      const row = await store.get(id);
      if (row === null || row.holder !== desk || this.#waiting.has(id)) return;
      if (row.state !== 'pending' && row.state !== 'granted') return;
      const patch = { state: row.state, waiterLive: false, holder: null };
      const request = await store.transition(id, [row.state], patch, { version: row.version });
      if (request === null) continue;
      changed(request);
      return;
    }
  }

  /** Another process took this desk for dead. */
  async #reassert(waiting: Waiting): Promise<void> {
    const { store, desk, changed } = this.#options;
    const { id, version } = waiting.request;
    const patch = { state: 'pending' as const, waiterLive: true, holder: desk };
    const request = await store.transition(id, ['pending'], patch, { version }).catch(() => null);
    if (request !== null) changed(request);
  }
}
