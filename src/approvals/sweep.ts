/** What becomes of requests that nobody decides: they are told of again, expire, lapse, or lose the desk that held them. */
import { type createBundles, isLead } from './bundle.ts';
import { type Clearances, restored } from './clearance.ts';
import type { ApprovalRequest, DeskStore, RequestPatch } from './types.ts';
import type { Waiters } from './waiters.ts';

/** Each retry follows somebody else's progress. */
const TRIES = 60;
const SILENT_MS = 30_000;

export interface SweepOptions {
  readonly store: DeskStore;
  readonly desk: string;
  readonly now: () => number;
  readonly waiters: Waiters;
  readonly clearances: Clearances;
  readonly bundles: ReturnType<typeof createBundles>;
  changed(request: ApprovalRequest): void;
  persist(what: string, id: string, work: () => Promise<void>): Promise<void>;
}

export interface Sweep {
  end(request: ApprovalRequest, patch: RequestPatch): Promise<void>;
  endIdentity(credentialId: string, note: string): Promise<void>;
  /** Expires, lapses, reminds, escalates what is due. */
  due(): Promise<void>;
  /** What desks that are gone left behind, and what this one does not know that it holds. */
  strays(): Promise<void>;
  adoptOrphans(): Promise<void>;
}

export function createSweep(options: SweepOptions): Sweep {
  const { store, desk, now, waiters, clearances, bundles, changed, persist } = options;

  async function end(request: ApprovalRequest, patch: RequestPatch): Promise<void> {
    const over = { waiterLive: false, holder: null, claim: null };
    const ended = await store.transition(
      request.id,
      [request.state],
      { ...over, ...patch },
      { version: request.version },
    );
    if (ended !== null) changed(ended);
  }

  async function endIdentity(credentialId: string, note: string): Promise<void> {
    const states = ['pending', 'granted', 'executing'] as const;
    await persist('end identity', credentialId, async () => {
      for (let attempt = 0; attempt < TRIES; attempt += 1) {
        const rows = await store.list({ states, credentialId, limit: 1000 });
        const open = rows.filter((row) => row.state !== 'executing' || (row.grantExpiresAt ?? 0) > now());
        if (open.length === 0) return;
        for (const row of open) {
          if (row.state !== 'executing') await end(row, { state: 'withdrawn', note, endedAt: now() });
          // It may be running: its session settles it. What it rolls back must not become a grant again.
          else {
            const patch = { state: 'executing' as const, grantExpiresAt: now() };
            const voided = await store.transition(row.id, ['executing'], patch, { version: row.version });
            if (voided !== null) changed(voided);
          }
        }
      }
    });
  }

  /** Nobody has decided for long: the card says so, and others are asked where the rule says who. */
  async function hurry(request: ApprovalRequest): Promise<void> {
    const at = now();
    const reminds = (request.remindAt ?? Infinity) <= at && !request.remindedAt;
    const escalates = (request.escalateAt ?? Infinity) <= at && !request.escalatedAt;
    if (!reminds && !escalates) return;
    const patch: RequestPatch = {
      state: 'pending',
      ...(reminds ? { remindedAt: at } : {}),
      ...(escalates ? { escalatedAt: at } : {}),
    };
    const told = await store.transition(request.id, ['pending'], patch, { version: request.version });
    if (told !== null) changed(told);
  }

  /** What desks that are gone were executing may have happened or not: nobody may say which. */
  async function adoptOrphans(): Promise<void> {
    for (const request of await store.orphans()) {
      if (request.state === 'executing') {
        const note = 'the gateway that ran it stopped before the outcome was known';
        await end(request, { state: 'unknown', note, endedAt: now() });
      } else await end(request, { state: request.state });
    }
  }

  /** Rows that name this desk though nothing here knows of them: the answer of the store was lost, or a waiter's leaving was. */
  async function tidyStrays(): Promise<void> {
    const rows = await store.list({ states: ['pending', 'granted', 'executing'], limit: 1000 });
    for (const row of rows) {
      // Whoever ran its last part may have died before they said so.
      if (row.state === 'granted' && isLead(row)) await bundles.follow(row.id);
      if (row.holder !== desk || waiters.has(row.id) || clearances.isActive(row.id)) continue;
      // Read again: the one that is waiting or running may have come just now.
      if (row.state !== 'executing') await waiters.disown(row.id);
      else await end(row, restored(row, now()));
    }
  }

  return {
    end,
    endIdentity,
    adoptOrphans,
    async due() {
      // What has become of its parts says what became of it.
      for (const request of await store.due(now()))
        if (request.state === 'granted' && isLead(request)) await bundles.follow(request.id);
        else
          await end(request, { state: request.state === 'pending' ? 'expired' : 'lapsed', endedAt: now() });
      for (const request of await store.slow(now())) await hurry(request);
    },
    async strays() {
      await store.bury(null, now() - SILENT_MS);
      await adoptOrphans();
      await tidyStrays();
    },
  };
}
