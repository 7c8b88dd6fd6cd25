/** Processes told apart by pid *and* start, because pids are used again. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

export interface ProcessId {
  readonly pid: number;
  /** Opaque; differs between two processes that had the same pid. */
  readonly started: string;
}

/** Null: there is no such process. */
export function identify(pid: number): ProcessId | null {
  if (process.platform === 'linux') {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
      // The name in parentheses may hold anything, so fields are counted from its end: state is 0, start time 19.
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      if (fields[0] === 'Z' || fields[0] === 'X') return null;
      const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
      return { pid, started: `${boot}/${fields[19]}` };
    } catch {
      return null;
    }
  }
  const started = ps(pid, 'lstart=');
  return started === null ? null : { pid, started };
}

export function isAlive(id: ProcessId): boolean {
  return identify(id.pid)?.started === id.started;
}

/** Its command line; null when there is no such process. */
export function commandOf(pid: number): string | null {
  if (process.platform !== 'linux') return ps(pid, 'command=');
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
  } catch {
    return null;
  }
}

function ps(pid: number, field: string): string | null {
  try {
    const env = { PATH: '/bin:/usr/bin', LC_ALL: 'C', TZ: 'UTC' };
    const out = execFileSync('ps', ['-ww', '-o', field, '-p', String(pid)], { encoding: 'utf8', env }).trim();
    return out === '' ? null : out;
  } catch {
    return null;
  }
}
