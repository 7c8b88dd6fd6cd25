/** One postmaster below its watchdog. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Account, spawnAs } from './account.ts';
import { identify, type ProcessId } from './processes.ts';

export interface Postmaster {
  readonly pid: number;
  /** Resolves when the watchdog has ended, and the postmaster with it. */
  readonly ended: Promise<void>;
  stop(): Promise<void>;
}

export interface Order {
  readonly command: string;
  readonly args: readonly string[];
  readonly cluster: string;
  readonly account: Account | null;
  /** An open log file. */
  readonly logFd: number;
  /** Before anything is started. */
  readonly onWatchdog: (watchdog: ProcessId) => void;
  /** Milliseconds; recovery after a crash needs some. */
  readonly patience: number;
}

/** Null: the postmaster ended before it was ready (the log says why). */
export async function startPostmaster(order: Order): Promise<Postmaster | null> {
  const watchdog = spawn(process.execPath, [...watchdogArgs(), '--', 'watch', ...asOrdered(order)], {
    detached: true,
    cwd: '/',
    env: {},
    stdio: ['ignore', order.logFd, order.logFd, 'ipc'],
  });
  let running = true;
  const ended = new Promise<void>((resolve) => {
    const end = (): void => {
      running = false;
      resolve();
    };
    watchdog.once('exit', end);
    watchdog.once('error', end);
  });
  const id = watchdog.pid === undefined ? null : identify(watchdog.pid);
  if (id === null) throw new Error('The process that watches over PostgreSQL could not be started.');

  const spawned = new Promise<number | null>((resolve) => {
    watchdog.once('message', (message: { pid?: number }) => resolve(message.pid ?? null));
    void ended.then(() => resolve(null));
  });
  // The lock names the watchdog before it may start anything (orphan.ts).
  order.onWatchdog(id);
  watchdog.send('start');

  const pid = await spawned;
  const end = performance.now() + order.patience;
  while (pid !== null && running && !isReady(order.cluster, pid)) {
    if (performance.now() > end) {
      await stopWatchdog(watchdog, ended);
      throw new Error(`PostgreSQL was not ready after ${order.patience / 1000} seconds.`);
    }
    await delay(5);
  }
  if (pid === null || !running) {
    await ended;
    return null;
  }
  watchdog.unref();
  watchdog.channel?.unref();
  return { pid, ended, stop: () => stopWatchdog(watchdog, ended) };
}

async function stopWatchdog(watchdog: ChildProcess, ended: Promise<void>): Promise<void> {
  watchdog.ref();
  if (watchdog.connected) watchdog.send('stop', () => {});
  await ended;
}

/** postmaster.pid: pid in the first line, state in the eighth (PostgreSQL's pg_ctl reads the same). */
function isReady(cluster: string, pid: number): boolean {
  try {
    const lines = readFileSync(join(cluster, 'postmaster.pid'), 'latin1').split('\n');
    return Number(lines[0]) === pid && lines[7]?.trim() === 'ready';
  } catch {
    return false;
  }
}

function asOrdered(order: Order): string[] {
  const { uid = '', gid = '' } = spawnAs(order.account);
  return [String(uid), String(gid), order.command, ...order.args];
}

function watchdogArgs(): string[] {
  if (import.meta.url.endsWith('.js')) return [fileURLToPath(new URL('./watchdog.js', import.meta.url))];
  // From the sources: see watchdog.ts.
  const text = readFileSync(new URL('./watchdog.ts', import.meta.url), 'utf8');
  return ['--input-type=module', '--eval', text];
}
