import { randomUUID } from 'node:crypto';
import type { ApprovalRequest, Clearance, DeskStore, RequestPatch } from './types.ts';

type End = Parameters<Clearance['finish']>[0];

export interface ClearanceDesk {
  readonly store: DeskStore;
  readonly desk: string;
  readonly now: () => number;
  changed(request: ApprovalRequest): void;
  /** Does it now; when the store cannot be asked, again at each sweep until it is done. Never rejects. */
  persist(what: string, id: string, work: () => Promise<void>): Promise<void>;
}

/** Who is about to run it. */
export interface Claimant {
  readonly sessionId: string;
  readonly credentialId: string;
}

/**
 * Grants turned into clearances. The claim is a secret of one clearance: no other, not even a later one of the same request,
 * can be finished with it (invariant I1: spent once).
 */
export class Clearances {
  readonly #options: ClearanceDesk;
  /** Requests whose executing is accounted for in this process. */
  readonly #active = new Map<string, number>();

  constructor(options: ClearanceDesk) {
    this.#options = options;
  }

  isActive(id: string): boolean {
    return this.#active.has(id);
  }

  get size(): number {
    return this.#active.size;
  }

  /** null: somebody else was first, or the grant is over. Rejects when the store cannot be asked. */
  async claim(
    granted: ApprovalRequest,
    by: Claimant,
  ): Promise<{ readonly request: ApprovalRequest; readonly clearance: Clearance } | null> {
    const { store, desk, now, changed } = this.#options;
    if (granted.state !== 'granted' || (granted.grantExpiresAt ?? 0) <= now()) return null;
    const secret = randomUUID();
    const release = this.#hold(granted.id);
    let request: ApprovalRequest | null = null;
    try {
      request = await store.transition(
        granted.id,
        ['granted'],
        {
          state: 'executing',
          claim: secret,
          holder: desk,
          waiterLive: true,
          outcome: null,
          sessionId: by.sessionId,
          credentialId: by.credentialId,
        },
        { version: granted.version },
      );
    } finally {
      // Where the answer got lost the row may be executing: the desk finds it as a stray and puts the grant back.
      if (request === null) release();
    }
    if (request === null) return null;
    changed(request);
    return { request, clearance: this.#clearance(request.id, secret, release) };
  }

  #hold(id: string): () => void {
    this.#active.set(id, (this.#active.get(id) ?? 0) + 1);
    return () => {
      const left = (this.#active.get(id) ?? 1) - 1;
      if (left === 0) this.#active.delete(id);
      else this.#active.set(id, left);
    };
  }

  #clearance(id: string, secret: string, release: () => void): Clearance {
    const { store, now, changed, persist } = this.#options;
    let finished = false;
    return {
      requestId: id,
      progress: async (outcome) => {
        if (finished) throw new Error(`The clearance of ${id} is finished already.`);
        // Shown, not decisive: where the store is away, the end will say it.
        const request = await store
          .transition(id, ['executing'], { state: 'executing', outcome }, { claim: secret })
          .catch(() => null);
        if (request !== null) changed(request);
      },
      finish: async (end) => {
        if (finished) throw new Error(`The clearance of ${id} is finished already.`);
        finished = true;
        const at = now();
        await persist('finish', `${id} ${secret}`, async () => {
          const row = await store.get(id);
          const request =
            row?.state === 'executing'
              ? await store.transition(id, ['executing'], ending(row, end, at), { claim: secret })
              : null;
          release();
          if (request !== null) changed(request);
        });
      },
    };
  }
}

/** What an executing request becomes. */
function ending(row: ApprovalRequest, end: End, at: number): RequestPatch {
  const over = { claim: null, holder: null, waiterLive: false };
  switch (end.kind) {
    case 'executed':
    case 'failed':
      return { ...over, state: end.kind, outcome: end.outcome, endedAt: at };
    case 'lost':
      return {
        ...over,
        state: 'unknown',
        outcome: end.outcome,
        note: end.note ?? 'the connection was lost before the outcome was known',
        endedAt: at,
      };
    case 'void':
      return { ...over, state: 'withdrawn', outcome: null, note: end.note ?? null, endedAt: at };
    case 'rolled-back':
    case 'unused':
      return restored(row, at);
  }
}

/** Proven not to have happened: the grant is back while it lasts. */
export function restored(row: ApprovalRequest, at: number): RequestPatch {
  const over = { claim: null, holder: null, waiterLive: false, outcome: null };
  return (row.grantExpiresAt ?? 0) > at
    ? { ...over, state: 'granted' }
    : { ...over, state: 'lapsed', endedAt: at };
}
