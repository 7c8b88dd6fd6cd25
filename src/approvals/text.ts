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

/** Invisible, reordering or private: format and control characters, odd spaces, default-ignorables, lone surrogates, blanks that look like letters. */
const HIDES =
  '[\\p{Cc}\\p{Cf}\\p{Cs}\\p{Co}\\p{Cn}\\p{Zl}\\p{Zp}\\p{Default_Ignorable_Code_Point}\\u2800]|(?! )\\p{Zs}';
export const UNSEEN = new RegExp(HIDES, 'u');
export const COMBINING = /\p{M}/u;
/** Strong right-to-left letters reorder their neighbours without any control character. */
const RIGHT_TO_LEFT =
  '[\\u0590-\\u08FF\\uFB1D-\\uFDFF\\uFE70-\\uFEFF\\u{10800}-\\u{10FFF}\\u{1E800}-\\u{1EFFF}]';
/** Full-width and mathematical letters, digits and quotes: none of them is the ASCII that it looks like. */
const DISGUISED = '[\\uFF01-\\uFF5E\\u{1D400}-\\u{1D7FF}]';
/** The third mark on a letter, and every further one. */
const PILED = '(?<=\\p{M}\\p{M})\\p{M}';
const TOLD_HERE = `(?![\\n\\t])(?:${HIDES}|${RIGHT_TO_LEFT}|${DISGUISED}|${PILED})`;
const TOLD = new RegExp(TOLD_HERE, 'gu');
const ANY_TOLD = new RegExp(TOLD_HERE, 'u');
/** Letters of these scripts pass for Latin ones; in a word of their own they are just another language. */
const LOOKALIKE =
  /[\p{Script=Cyrillic}\p{Script=Greek}\p{Script=Armenian}\p{Script=Cherokee}\p{Script=Coptic}\p{Script=Lisu}]/gu;
const WORD = /[\p{L}\p{M}\p{N}_$]+/gu;
/** ASCII that needs no look: the common case costs one test. */
const PLAIN = /^[\n\t\x20-\x7E]*$/;

/** `⟨U+202E⟩`. */
export function spelled(character: string): string {
  return `⟨U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}⟩`;
}

/**
 * SQL for reading, wherever: line feeds and tabs stay, CRLF is a line feed; what the eye cannot see, what reorders what it sees and what passes
 * for something else is spelled out. `as` and `rest` for places that take markup.
 */
export function visible(
  text: string,
  as: (character: string) => string = spelled,
  rest: (run: string) => string = (run) => run,
): string {
  const lines = text.replaceAll('\r\n', '\n');
  if (PLAIN.test(lines)) return rest(lines);
  const told = [...lines.matchAll(TOLD), ...disguised(lines)].map(({ 0: character, index }) => ({
    character,
    index,
  }));
  let out = '';
  let at = 0;
  for (const { character, index } of told.sort((a, b) => a.index - b.index)) {
    if (index < at) continue;
    out += rest(lines.slice(at, index)) + as(character);
    at = index + character.length;
  }
  return out + rest(lines.slice(at));
}

/** A bind value on one line: nothing in it is taken for another value, or for NULL. */
export function bindText(value: string | null, as?: (character: string) => string): string {
  if (value === null) return 'NULL';
  const line = visible(value, as).replaceAll('\n', '↵');
  return /^\s|\s$|^(null)?$/i.test(value) ? `'${line}'` : line;
}

/** Letters that pass for Latin ones, in words with Latin letters; as they are found. */
function* disguised(text: string): Generator<{ readonly 0: string; readonly index: number }> {
  for (const { 0: word, index: start } of text.matchAll(WORD))
    if (/[A-Za-z]/.test(word))
      for (const { 0: letter, index } of word.matchAll(LOOKALIKE)) yield { 0: letter, index: start + index };
}

/** Does `visible` have to spell anything out? */
export function hasUnseen(text: string): boolean {
  const lines = text.replaceAll('\r\n', '\n');
  return !PLAIN.test(lines) && (ANY_TOLD.test(lines) || disguised(lines).next().done !== true);
}
