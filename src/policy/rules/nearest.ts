/** ` (did you mean "x"?)` for a near miss, else nothing. */
export function nearest(input: unknown, values: readonly string[]): string {
  if (typeof input !== 'string' || input.length > 40) return '';
  const lower = input.toLowerCase();
  let best: string | null = null;
  let least = 3;
  for (const value of values) {
    const distance = editDistance(lower, value);
    if (distance < least) {
      least = distance;
      best = value;
    }
  }
  return best === null ? '' : ` (did you mean "${best}"?)`;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + same));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
