/**
 * Attacker text made fit for a card (DESIGN.md 19; SLACK.md "Limits"). SQL is shown truthfully: what the eye cannot see, or what
 * reorders what it sees, is written out as ⟨U+202E⟩. In one-liners the same characters are dropped.
 */

/** Invisible, reordering or private: format and control characters, odd spaces, default-ignorables, lone surrogates, blanks that look like letters. */
const UNSEEN =
  /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]|(?! )\p{Zs}/u;
/** Strong right-to-left letters reorder their neighbours without any control character. */
const RIGHT_TO_LEFT = /[\u0590-\u08FF\uFB1D-\uFDFF\uFE70-\uFEFF\u{10800}-\u{10FFF}\u{1E800}-\u{1EFFF}]/u;
const COMBINING = /\p{M}/u;
/** ASCII that needs no look: the common case costs one test. */
const PLAIN = /^[\n\t\x20-\x7E]*$/;

function spelled(character: string): string {
  const code = (character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0');
  return `⟨U+${code}⟩`;
}

/** SQL for a preformatted block: line feeds and tabs stay, CRLF is a line feed, everything unseen is spelled out. */
export function visible(text: string): string {
  const lines = text.replaceAll('\r\n', '\n');
  if (PLAIN.test(lines)) return lines;
  let out = '';
  let marks = 0;
  for (const character of lines) {
    marks = COMBINING.test(character) ? marks + 1 : 0;
    const hidden =
      marks > 2 ||
      RIGHT_TO_LEFT.test(character) ||
      (character !== '\n' && character !== '\t' && UNSEEN.test(character));
    out += hidden ? spelled(character) : character;
  }
  return out;
}

/** Does `visible` have to spell anything out? */
export function hasUnseen(text: string): boolean {
  const lines = text.replaceAll('\r\n', '\n');
  return visible(lines) !== lines;
}

/** A one-liner for a plain_text object: unseen characters dropped, white space collapsed, at most `max` UTF-16 units. Never empty. */
export function oneLine(text: string, max: number): string {
  let out = '';
  let marks = 0;
  for (const character of text.slice(0, max * 8).replaceAll(/\s+/gu, ' ')) {
    marks = COMBINING.test(character) ? marks + 1 : 0;
    if (marks <= 2 && !UNSEEN.test(character)) out += character;
  }
  return cut(out.trim(), max) || '(blank)';
}

/** At most `max` UTF-16 units, the last of them an ellipsis when something was cut; no surrogate pair is split. */
export function cut(text: string, max: number): string {
  return text.length <= max ? text : `${head(text, max - 1)}…`;
}

/** The first `max` UTF-16 units, one fewer when that would split a pair. */
export function head(text: string, max: number): string {
  const last = text.charCodeAt(max - 1);
  return text.slice(0, last >= 0xd800 && last <= 0xdbff ? max - 1 : max);
}
/** The last `max` UTF-16 units, one fewer when that would split a pair. */
export function tail(text: string, max: number): string {
  const from = Math.max(0, text.length - max);
  const first = text.charCodeAt(from);
  return text.slice(first >= 0xdc00 && first <= 0xdfff ? from + 1 : from);
}

/** For a `text` field, which Slack reads as mrkdwn: a one-liner with `& < >` escaped; the limit holds after escaping and no entity is split. */
export function escaped(text: string, max: number): string {
  let out = '';
  for (const character of oneLine(text, max)) {
    const next =
      character === '&' ? '&amp;' : character === '<' ? '&lt;' : character === '>' ? '&gt;' : character;
    if (out.length + next.length > max) break;
    out += next;
  }
  return out;
}

export function thousands(value: number): string {
  return value.toString().replaceAll(/\B(?=(\d{3})+(?!\d))/g, ',');
}
export function counted(value: number, noun: string): string {
  return `${thousands(value)} ${noun}${value === 1 ? '' : 's'}`;
}
