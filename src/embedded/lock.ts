/** One live Holdpoint per data directory. */
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { identify, isAlive, type ProcessId } from './processes.ts';

export interface LockFile {
  readonly owner: ProcessId;
  /** The watchdog, parent of the postmaster: known before it may start anything. */
  readonly watchdog: ProcessId | null;
}

export interface Lock {
  /** What the previous owner left behind when it was killed; null after an orderly end. */
  readonly left: LockFile | null;
  setWatchdog(watchdog: ProcessId): void;
  release(): void;
}

/** Throws one sentence when another live process holds the directory. */
export function lock(dataDir: string): Lock {
  const path = join(dataDir, 'holdpoint.lock');
  const mine = `${path}.${process.pid}`;
  const owner = identify(process.pid);
  if (owner === null) throw new Error(`The process list cannot be read, so ${dataDir} cannot be locked.`);
  const write = (content: LockFile): void => writeFileSync(mine, JSON.stringify(content), { mode: 0o600 });

  write({ owner, watchdog: null });
  let left: LockFile | null = null;
  try {
    for (let attempt = 0; !tryLink(mine, path); attempt++) {
      const text = readText(path);
      if (text === null) continue;
      const held = parse(text);
      if (held !== null && isAlive(held.owner)) throw new Error(inUse(dataDir, held.owner.pid));
      if (attempt > 20)
        throw new Error(`The lock ${path} cannot be taken; remove it when no Holdpoint runs.`);
      // Taken away by rename: two who find it stale cannot both succeed, and a lock made meanwhile is put back.
      const aside = `${mine}.stale`;
      try {
        renameSync(path, aside);
      } catch {
        continue;
      }
      if (readText(aside) === text) left = held;
      else tryLink(aside, path);
      rmSync(aside, { force: true });
    }
  } finally {
    rmSync(mine, { force: true });
  }
  return {
    left,
    setWatchdog(watchdog) {
      write({ owner, watchdog });
      renameSync(mine, path);
    },
    release() {
      rmSync(path, { force: true });
    },
  };
}

function inUse(dataDir: string, pid: number): string {
  if (pid === process.pid) return `The data directory ${dataDir} is already in use by this process.`;
  return `The data directory ${dataDir} is in use by another Holdpoint (process ${pid}); stop that one, or choose another data directory.`;
}

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}

function parse(text: string): LockFile | null {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || !('owner' in value)) return null;
    const owner = processId(value.owner);
    return owner && { owner, watchdog: 'watchdog' in value ? processId(value.watchdog) : null };
  } catch {
    return null;
  }
}

function processId(value: unknown): ProcessId | null {
  if (typeof value !== 'object' || value === null || !('pid' in value) || !('started' in value)) return null;
  const { pid, started } = value;
  return typeof pid === 'number' && typeof started === 'string' ? { pid, started } : null;
}
