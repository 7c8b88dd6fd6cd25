/** Text for a terminal. What others wrote (SQL, reasons, data) must not move the cursor, colour or disguise itself. */
import { bindText, visible } from '../approvals/text.ts';
import type { ApprovalRequest } from '../approvals/types.ts';

const UNSAFE = /[\p{Cf}\p{Zl}\p{Zp}]|(?![\n\t])\p{Cc}/gu;
const code = (char: string): string => `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`;

/** Keeps line ends and tabs, shows every other control or invisible character by its code. */
export function safe(text: string): string {
  return text.replace(/\r\n/g, '\n').replace(UNSAFE, code);
}
/** As `safe`, and letters that pass for others are shown by their codes as well. */
export const exact = (text: string): string => visible(text, code);
/** The same on one line: what a client chose must not begin a line of its own. */
export const flat = (text: string): string => exact(text).replaceAll('\n', '↵');
export const bind = (value: string | null): string => bindText(value, code);
export function oneLine(text: string, most = 70): string {
  const line = safe(text).replace(/\s+/g, ' ').trim();
  return [...line].length > most ? `${[...line].slice(0, most - 1).join('')}…` : line;
}
/** SQL and what else is to be read exactly. */
export function indented(text: string, by = '    '): string {
  return exact(text)
    .split('\n')
    .map((line) => `${by}${line}`)
    .join('\n');
}

/** Columns a terminal gives a text: wide East Asian characters and emoji take two, combining marks none. */
export function width(text: string): number {
  let sum = 0;
  for (const char of text) {
    if (/\p{M}/u.test(char)) continue;
    sum +=
      /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u.test(
        char,
      )
        ? 2
        : 1;
  }
  return sum;
}

/** Aligned columns with a rule below the head, as psql prints them. `right` columns are aligned to the right. */
export function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  right: ReadonlySet<number> = new Set(),
): string {
  const cells = [head, ...rows].map((row) =>
    row.map((cell) => safe(cell).replace(/\n/g, '↵').replace(/\t/g, ' ')),
  );
  const widths = head.map((_, i) => Math.max(...cells.map((row) => width(row[i] ?? ''))));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, i) => {
        const space = ' '.repeat(Math.max(0, (widths[i] ?? 0) - width(cell)));
        return right.has(i) ? space + cell : cell + space;
      })
      .join(' | ')
      .trimEnd();
  const [first = [], ...others] = cells;
  const rule = widths.map((columns) => '-'.repeat(columns)).join('-+-');
  return [` ${line(first)}`, `-${rule}-`, ...others.map((row) => ` ${line(row)}`)].join('\n');
}

/** `1 row`, `3 rows`. */
export const count = (n: number, one: string): string => `${n} ${n === 1 ? one : `${one}s`}`;

/** `12 s`, `4 min`, `3 h`, `2 d`. */
export function span(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 90) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 90) return `${minutes} min`;
  const hours = Math.round(minutes / 60);
  return hours < 48 ? `${hours} h` : `${Math.round(hours / 24)} d`;
}
export const clock = (at: number): string =>
  `${new Date(at).toISOString().slice(0, 19).replace('T', ' ')} UTC`;

/** `DELETE on public.orders`. */
export function what({ statement }: ApprovalRequest): string {
  const [first, ...more] = statement.relations;
  if (first === undefined) return statement.verb;
  return `${statement.verb} on ${first}${more.length > 0 ? ` and ${more.length} more` : ''}`;
}
