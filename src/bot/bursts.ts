/** Counts what somebody keeps doing: so many within so long are a burst, which is told once and ends when it has been quiet for as long. */

export interface Burst {
  readonly count: number;
  readonly since: number;
}
export interface Bursts {
  /** null: nothing to tell. */
  note(key: string): Burst | null;
}

/** Keys that are remembered; beyond, those silent longest are forgotten. */
const KEYS = 2000;

export function createBursts(options: {
  readonly count: number;
  readonly withinMs: number;
  readonly now: () => number;
}): Bursts {
  const { count, withinMs, now } = options;
  const known = new Map<string, { readonly times: number[]; told: boolean }>();
  return {
    note(key) {
      const at = now();
      const entry = known.get(key) ?? { times: [], told: false };
      // Last touched, last forgotten.
      known.delete(key);
      known.set(key, entry);
      const [oldest] = known.keys();
      if (known.size > KEYS && oldest !== undefined) known.delete(oldest);
      const { times } = entry;
      if (at - (times.at(-1) ?? at) > withinMs) entry.told = false;
      times.push(at);
      while (times.length > count || at - (times[0] ?? at) > withinMs) times.shift();
      if (entry.told || times.length < count) return null;
      entry.told = true;
      return { count: times.length, since: times[0] ?? at };
    },
  };
}
