/** Which time windows of a policy are open: what a kept verdict depends on besides its statement (DESIGN.md 2). */
import type { Policy } from './types.ts';
import { inWindow, type TimeWindow } from './window.ts';

interface Windows {
  readonly all: readonly TimeWindow[];
  minute: number;
  open: string;
}
const KNOWN = new WeakMap<Policy, Windows>();

/** Never throws: a window that cannot be told is told as such, and its rule denies. */
export function openWindows(policy: Policy, now: number): string {
  let windows = KNOWN.get(policy);
  if (windows === undefined) {
    const all = policy.rules.flatMap(({ match, unless }) =>
      [match.time, unless?.time].filter((time) => time !== undefined),
    );
    windows = { all, minute: Number.NaN, open: '' };
    KNOWN.set(policy, windows);
  }
  if (windows.all.length === 0) return '';
  // Zones differ by whole minutes.
  const minute = Math.floor(now / 60_000);
  if (minute !== windows.minute) {
    windows.open = windows.all.map((window) => told(window, now)).join('');
    windows.minute = minute;
  }
  return windows.open;
}

function told(window: TimeWindow, now: number): string {
  try {
    return inWindow(window, now) ? '1' : '0';
  } catch {
    return '?';
  }
}
