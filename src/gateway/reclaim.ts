/**
 * Gives memory back to the system soon after much of it was let go (docs/discoveries/memory.md): buffers lie outside of the heap, and a process
 * that has become quiet has no reason to collect what they belonged to.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const MUCH = 32 * 1024 * 1024;
const SOON_MS = 1_000;
/** A full collection stops everything for some tens of milliseconds. */
const PAUSE_MS = 5_000;

/** To be told what is used after each change. */
export function createReclaimer(collect: () => void = collector(), now: () => number = Date.now) {
  let peak = 0;
  let last = Number.NEGATIVE_INFINITY;
  let timer: NodeJS.Timeout | null = null;
  return (used: number): void => {
    peak = Math.max(peak, used);
    if (timer !== null || peak - used < MUCH) return;
    const run = (): void => {
      timer = null;
      last = now();
      peak = 0;
      collect();
    };
    timer = setTimeout(run, Math.max(SOON_MS, last + PAUSE_MS - now()));
    timer.unref();
  };
}

function collector(): () => void {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('globalThis.gc');
  return typeof collect === 'function' ? () => void collect() : () => {};
}
