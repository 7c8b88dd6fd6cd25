/**
 * Attacker text made fit for a card (DESIGN.md 19; SLACK.md "Limits"). SQL is shown truthfully (`visible`), in one-liners the same characters
 * are dropped.
 */
import { COMBINING, UNSEEN } from '../approvals/text.ts';

export { hasUnseen, visible } from '../approvals/text.ts';

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
