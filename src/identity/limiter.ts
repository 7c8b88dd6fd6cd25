/** Counts failures per source in a leaky bucket; bounded in memory, and in what a source can owe: twice the burst, however long it went on. */
const MAX_SOURCES = 5_000;

export interface Limiter {
  limited(source: string): boolean;
  failed(source: string): void;
}

export function createLimiter(options: {
  readonly burst: number;
  readonly perMinute: number;
  readonly now: () => number;
}): Limiter {
  const buckets = new Map<string, { readonly level: number; readonly at: number }>();
  const level = (source: string): number => {
    const bucket = buckets.get(source);
    if (bucket === undefined) return 0;
    return Math.max(0, bucket.level - ((options.now() - bucket.at) / 60_000) * options.perMinute);
  };
  return {
    limited: (source) => level(source) > options.burst - 1,
    failed(source) {
      const next = { level: Math.min(level(source) + 1, 2 * options.burst), at: options.now() };
      // Re-inserted, so that the map's order is by last failure and the oldest goes first.
      buckets.delete(source);
      if (buckets.size >= MAX_SOURCES) {
        const oldest = buckets.keys().next();
        if (oldest.done !== true) buckets.delete(oldest.value);
      }
      buckets.set(source, next);
    },
  };
}

/** So many at once, and then by the second, for the whole process. */
export function createBudget(options: {
  readonly burst: number;
  readonly perSecond: number;
  readonly now: () => number;
}): () => boolean {
  let left = options.burst;
  let at = options.now();
  return () => {
    const now = options.now();
    left = Math.min(options.burst, left + (Math.max(0, now - at) / 1000) * options.perSecond);
    at = now;
    if (left < 1) return false;
    left -= 1;
    return true;
  };
}
