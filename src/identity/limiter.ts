/** Counts failures per source in a leaky bucket; bounded in memory. */
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
      const next = { level: level(source) + 1, at: options.now() };
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
