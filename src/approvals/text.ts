/**
 * Text that a client or a model chose may try to break a line, hide or reorder what a person reads, or flood a card
 * (DESIGN.md 19). Everything shown goes through here.
 */

/** Control characters and every kind of line end. */
const BREAKS = /[\p{Cc}\u2028\u2029]+/gu;
/** Zero-width and bidirectional marks, variation selectors, tags, unassigned and private characters, lone surrogates. */
const HIDDEN = /\p{Cf}|\p{Co}|\p{Cn}|\p{Cs}|\p{Variation_Selector}|\p{Default_Ignorable_Code_Point}/gu;
/** More combining marks on one letter than any language writes. */
const STACKED = /(\p{M}{3})\p{M}+/gu;

/** One plain line of at most `max` characters (UTF-16 units, the stricter count); ends in … when something was cut. */
export function plain(text: string, max = 300): string {
  // Cut first, generously: the patterns below must not meet megabytes.
  const line = text
    .slice(0, max * 8)
    .replace(BREAKS, ' ')
    .replace(HIDDEN, '')
    .replace(STACKED, '$1')
    .replace(/\s+/gu, ' ')
    .trim();
  const cut = text.length > max * 8;
  if (line.length <= max && !cut) return line;
  // Never half of a surrogate pair.
  const end = /[\uD800-\uDBFF]/.test(line.charAt(max - 2)) ? max - 2 : max - 1;
  return `${line.slice(0, end).trimEnd()}…`;
}

/** As `plain`, and `fallback` where nothing is left to read. */
export function named(text: string | null, fallback: string, max = 60): string {
  const line = text === null ? '' : plain(text, max);
  return line === '' ? fallback : line;
}

/** `14:02 UTC`, with the date when it is another day than `now`'s. */
export function clock(at: number, now: number): string {
  const iso = new Date(at).toISOString();
  const time = `${iso.slice(11, 16)} UTC`;
  return iso.slice(0, 10) === new Date(now).toISOString().slice(0, 10) ? time : `${iso.slice(0, 10)} ${time}`;
}
