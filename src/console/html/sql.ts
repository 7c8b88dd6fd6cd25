/**
 * SQL for reading: lexical colouring only, every character kept. What could deceive the reader (control, zero-width and
 * bidirectional characters) is shown by its code point. Not a parser: what it mistakes is a colour, never the text.
 */
import { html, raw } from 'hono/html';
import type { HtmlEscapedString } from 'hono/utils/html';
import { visible } from '../../approvals/text.ts';

export type Html = HtmlEscapedString | Promise<HtmlEscapedString>;

const KEYWORDS = new Set(
  `ADD ALL ALTER ANALYZE AND ANY ARRAY AS ASC BEGIN BETWEEN BY CALL CASCADE CASE CAST COLUMN COMMIT CONFLICT CONSTRAINT COPY
  CREATE CROSS CURRENT DATABASE DECLARE DEFAULT DELETE DESC DISTINCT DO DROP ELSE END EXCEPT EXECUTE EXISTS EXPLAIN FALSE FETCH
  FOR FOREIGN FROM FULL FUNCTION GRANT GROUP HAVING IF ILIKE IN INDEX INNER INSERT INTERSECT INTO IS JOIN KEY LATERAL LEFT
  LIKE LIMIT LOCK MATERIALIZED MERGE NOT NOTHING NULL OF OFFSET ON ONLY OR ORDER OUTER OVER PARTITION PREPARE PRIMARY PROCEDURE
  RECURSIVE REFERENCES RENAME REPLACE RESET RESTRICT RETURNING REVOKE RIGHT ROLLBACK ROW SAVEPOINT SCHEMA SELECT SET SHOW SOME
  TABLE TEMP TEMPORARY THEN TO TRANSACTION TRIGGER TRUE TRUNCATE UNION UNIQUE UPDATE USING VACUUM VALUES VIEW WHEN WHERE
  WINDOW WITH WORK`.split(/\s+/),
);
/** What makes a statement dangerous is what the eye should find first. */
const DANGER = new Set(['DELETE', 'DROP', 'TRUNCATE', 'ALTER', 'GRANT', 'REVOKE', 'UPDATE', 'CASCADE']);

const TOKEN = new RegExp(
  [
    String.raw`(?<comment>--[^\n]*|/\*[\s\S]*?(?:\*/|$))`,
    String.raw`(?<dollar>\$(?<tag>[A-Za-z_]\w*)?\$[\s\S]*?(?:\$\k<tag>\$|$))`,
    "(?<string>'(?:[^']|'')*(?:'|$))",
    '(?<quoted>"(?:[^"]|"")*(?:"|$))',
    '(?<placeholder><[a-z]{1,20}:[a-z0-9_ .-]{1,60}>)',
    String.raw`(?<bind>\$\d+)`,
    String.raw`(?<number>\b\d+(?:\.\d+)?\b)`,
    String.raw`(?<word>[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*)`,
  ].join('|'),
  'g',
);
const PLACEHOLDER = /&lt;[a-z]{1,20}:[a-z0-9_ .-]{1,60}&gt;/g;
const DECEPTIVE = /[\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]|(?![\n\t])\p{Cc}/gu;

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};
const escaped = (text: string): string => text.replace(/[&<>"']/g, (char) => ESCAPES[char] ?? '');
const point = (char: string): string =>
  `U+${(char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`;

const marked = (char: string): string =>
  `<span class="ctl" title="not what it looks like">${point(char)}</span>`;

/** SQL and values, as approvals/text.ts has them everywhere. */
const exact = (text: string): string => visible(text, marked, escaped);
export const value = (text: string): Html => raw(exact(text));

/** Escaped, with deceptive characters made visible. `\r\n` counts as a line end. */
function shown(text: string): string {
  let out = '';
  let last = 0;
  for (const match of text.matchAll(DECEPTIVE)) {
    out += escaped(text.slice(last, match.index)) + marked(match[0]);
    last = match.index + match[0].length;
  }
  return out + escaped(text.slice(last));
}

/** Text of others in a page: escaped, invisible characters visible. */
export function plain(text: string): Html {
  return raw(shown(text));
}

/** The same for places that take no markup (titles, attributes): deceptive characters are left out; escaped by the template. */
export const bare = (text: string): string => text.replace(DECEPTIVE, '');

/** Beyond this a text is shown without colours, all of it. */
const COLOUR_LIMIT = 100_000;

export function highlight(text: string): string {
  const sql = text.replace(/\r\n/g, '\n');
  if (sql.length > COLOUR_LIMIT) return exact(sql);
  let out = '';
  let last = 0;
  for (const match of sql.matchAll(TOKEN)) {
    const word = match[0];
    out += exact(sql.slice(last, match.index));
    last = match.index + word.length;
    const groups = match.groups ?? {};
    let kind: string | null = null;
    if (groups['comment'] !== undefined) kind = 'c';
    else if (groups['string'] !== undefined || groups['dollar'] !== undefined) kind = 's';
    else if (groups['quoted'] !== undefined) kind = 'q';
    else if (groups['placeholder'] !== undefined) kind = 'p';
    else if (groups['bind'] !== undefined) kind = 'b';
    else if (groups['number'] !== undefined) kind = 'n';
    else if (DANGER.has(word.toUpperCase())) kind = 'd';
    else if (KEYWORDS.has(word.toUpperCase())) kind = 'k';
    // What stands for personal data is to be seen in a literal too.
    const inner =
      kind === 's' ? exact(word).replace(PLACEHOLDER, '<span class="t-p">$&</span>') : exact(word);
    out += kind === null ? inner : `<span class="t-${kind}">${inner}</span>`;
  }
  return out + exact(sql.slice(last));
}

export function sqlBlock(sql: string, label = 'SQL'): Html {
  return html`<div class="block"><pre class="sql" tabindex="0" aria-label="${label}"><code>${raw(highlight(sql))}</code></pre><button
      class="quiet copy" type="button" data-copy hidden>Copy</button></div>`;
}
