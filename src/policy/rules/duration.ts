const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `25s`, `8h`, `1h30m`, `0`. Milliseconds, or null when it is no duration. */
export function parseDuration(text: string): number | null {
  if (text === '0') return 0;
  if (!/^(\d{1,9}(ms|s|m|h|d))+$/.test(text)) return null;
  let total = 0;
  for (const [, count, unit] of text.matchAll(/(\d+)(ms|s|m|h|d)/g)) {
    total += Number(count) * (UNITS[unit ?? ''] ?? Number.NaN);
  }
  return Number.isSafeInteger(total) ? total : null;
}
