/** What a Holdpoint that was killed left running on this data directory is ended before anything new starts. */
import { readFileSync, realpathSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { LockFile } from './lock.ts';
import { commandOf, identify, isAlive } from './processes.ts';

/** Written into each postmaster's command line: only one that carries it was started by Holdpoint. */
export const MARK = 'cluster_name=holdpoint';

const PATIENCE = 20_000;

export async function endOrphan(
  cluster: string,
  left: LockFile | null,
  log: (line: string) => void,
): Promise<void> {
  const watchdog = left?.watchdog ?? null;
  if (watchdog !== null && isAlive(watchdog)) {
    log('Holdpoint was killed; its PostgreSQL is being stopped.');
    await until(() => !isAlive(watchdog));
  }
  const pid = postmasterPid(cluster);
  if (pid === null) return;
  const running = identify(pid);
  if (running === null) return;
  const command = commandOf(pid) ?? '';
  if (!command.includes(` -D ${real(cluster)} `)) {
    // The pid was given to something else since; PostgreSQL itself would refuse to start.
    rmSync(join(cluster, 'postmaster.pid'), { force: true });
    return;
  }
  const refusal = `A PostgreSQL (process ${pid}) runs on ${cluster}`;
  if (!command.includes(MARK)) throw new Error(`${refusal} that Holdpoint did not start; stop it first.`);
  log(`A PostgreSQL (process ${pid}) that a killed Holdpoint left is being stopped.`);
  for (const signal of ['SIGINT', 'SIGQUIT'] as const) {
    try {
      process.kill(pid, signal);
    } catch {
      // Gone, or not ours: seen below.
    }
    if (await until(() => !isAlive(running), PATIENCE / 2)) return;
  }
  throw new Error(`${refusal} and does not stop; stop it first.`);
}

/** What postmaster.pid says: its first line. */
export function postmasterPid(cluster: string): number | null {
  try {
    const pid = Number(readFileSync(join(cluster, 'postmaster.pid'), 'latin1').split('\n')[0]);
    return Number.isSafeInteger(pid) && pid > 0 ? pid : null;
  } catch {
    return null;
  }
}

function real(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

async function until(done: () => boolean, patience = PATIENCE): Promise<boolean> {
  const end = performance.now() + patience;
  while (!done()) {
    if (performance.now() > end) return false;
    await delay(20);
  }
  return true;
}
