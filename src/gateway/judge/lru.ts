/** Least recently used out first; bounded by count and by bytes (DESIGN.md I7). */
export interface Lru<V> {
  get(key: string): V | undefined;
  /** `bytes`: what key and value are about; a value larger than a quarter of the bound is not kept. */
  set(key: string, value: V, bytes: number): void;
  clear(): void;
  readonly size: number;
  readonly bytes: number;
}

export function createLru<V>(maxCount: number, maxBytes: number): Lru<V> {
  const entries = new Map<string, { readonly value: V; readonly bytes: number }>();
  let total = 0;
  function remove(key: string): void {
    const entry = entries.get(key);
    if (entry === undefined) return;
    entries.delete(key);
    total -= entry.bytes;
  }
  return {
    get(key) {
      const entry = entries.get(key);
      if (entry === undefined) return undefined;
      // A Map keeps insertion order: last in is last used.
      entries.delete(key);
      entries.set(key, entry);
      return entry.value;
    },
    set(key, value, bytes) {
      remove(key);
      if (bytes > maxBytes / 4) return;
      entries.set(key, { value, bytes });
      total += bytes;
      for (const oldest of entries.keys()) {
        if (entries.size <= maxCount && total <= maxBytes) break;
        remove(oldest);
      }
    },
    clear() {
      entries.clear();
      total = 0;
    },
    get size() {
      return entries.size;
    },
    get bytes() {
      return total;
    },
  };
}
