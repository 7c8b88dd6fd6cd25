/** Whose access is suspended, in memory for the hot path (DESIGN.md 17); the store is asked about once a second. */
import type { CredentialStore } from './types.ts';

/** People are compared in this form: two spellings of an address are one person. */
export function suspensionKey(personId: string): string {
  return personId.normalize('NFKC').trim().toLowerCase();
}

export interface Suspensions {
  /** By any of a person's keys. */
  holds(keys: readonly (string | null)[]): boolean;
  /** Who suspended them; null: they are not. */
  by(keys: readonly (string | null)[]): string | null;
  refresh(): Promise<void>;
  /** false: suspended already. */
  suspend(personId: string, by: string): Promise<boolean>;
  /** false: there is no such suspension. */
  lift(personId: string): Promise<boolean>;
}

export function createSuspensions(credentials: CredentialStore, now: () => number): Suspensions {
  /** Who suspended whom. */
  let keys = new Map<string, string>();
  return {
    holds: (of) => keys.size > 0 && of.some((key) => key !== null && keys.has(suspensionKey(key))),
    by: (of) => of.flatMap((key) => (key === null ? [] : (keys.get(suspensionKey(key)) ?? [])))[0] ?? null,
    async refresh() {
      keys = new Map((await credentials.listSuspensions()).map((row) => [row.personId, row.by]));
    },
    async suspend(personId, by) {
      const key = suspensionKey(personId);
      const done = await credentials.suspend({ personId: key, by, at: now() });
      if (done || !keys.has(key)) keys.set(key, by);
      return done;
    },
    async lift(personId) {
      const key = suspensionKey(personId);
      const done = await credentials.unsuspend(key);
      keys.delete(key);
      return done;
    },
  };
}
