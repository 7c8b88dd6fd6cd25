/**
 * SQL laid out for reading on a card. node-sql-parser rewrites it; because that parser misreads PostgreSQL in places
 * (LIBRARIES.md), its text is shown only where PostgreSQL's own grammar gives the same tree with constants for both.
 * Slow on some input (exponential in nested parentheses): runs in a worker with a time limit, see tidy.worker.ts.
 */
import sqlParser from 'node-sql-parser/build/postgresql.js';
import { treeDigest } from './parse/digest.ts';
import { parse } from './parse/parser.ts';
import { tokensOf } from './parse/spans.ts';
import { type Grammar, NEWEST } from './server.ts';

/** Longer text is not made readable by laying it out; the exact text is shown beside it anyway. */
export const MAX_TIDY_LENGTH = 16 * 1024;

const DIALECT = { database: 'postgresql' };
const parser = new sqlParser.Parser();

/** Needs its grammar loaded. Null when no tidy form is proven equal. */
export function tidy(sql: string, grammar: Grammar = NEWEST): string | null {
  if (sql.length > MAX_TIDY_LENGTH) return null;
  const wanted = digest(sql, grammar);
  if (wanted === null) return null;
  let written: string;
  try {
    written = parser.sqlify(parser.astify(sql, DIALECT), DIALECT);
  } catch {
    return null;
  }
  if (digest(written, grammar) !== wanted) return null;
  const readable = layOut(written);
  if (readable !== null && digest(readable, grammar) === wanted) return readable;
  return written;
}

function digest(sql: string, grammar: Grammar): string | null {
  const parsed = parse(sql, grammar);
  return parsed.kind === 'parsed' && parsed.statements.length > 0 ? treeDigest(parsed.statements) : null;
}

/** Keywords that start a line of their own outside parentheses. */
const CLAUSES = new Set([
  'FROM',
  'WHERE',
  'SET',
  'VALUES',
  'USING',
  'HAVING',
  'GROUP',
  'ORDER',
  'LIMIT',
  'OFFSET',
  'RETURNING',
  'UNION',
  'INTERSECT',
  'EXCEPT',
]);
const JOINERS = new Set(['LEFT', 'RIGHT', 'FULL', 'INNER', 'CROSS', 'NATURAL', 'OUTER']);
const CONDITIONS = new Set(['AND', 'OR']);

/** One clause a line, without quotes that PostgreSQL does not need. What it changes is proven harmless by the digest. */
function layOut(sql: string): string | null {
  const tokens = tokensOf(sql);
  if (tokens === null) return null;
  const bytes = Buffer.from(sql);
  let text = '';
  let at = 0;
  let depth = 0;
  let between = false;
  let previous = '';
  for (const token of tokens) {
    const raw = bytes.subarray(token.start, token.end).toString();
    // The lexer says IDENT for names, quoted ones too; libpg-query has no name for keywords.
    const word = token.name === 'IDENT' || token.name === 'SCONST' ? '' : raw.toUpperCase();
    const gap = bytes.subarray(at, token.start).toString();
    if (raw === '(') depth += 1;
    if (raw === ')') depth -= 1;
    if (word === 'BETWEEN') between = true;
    const joins = word === 'JOIN' || JOINERS.has(word);
    const clause = CLAUSES.has(word) || (joins && !JOINERS.has(previous));
    const condition = CONDITIONS.has(word) && !(between && word === 'AND');
    if (between && word === 'AND') between = false;
    if (depth === 0 && text !== '' && gap.trim() === '' && (clause || condition))
      text += condition ? '\n  ' : '\n';
    else text += gap;
    text += /^"[a-z_][a-z0-9_]*"$/.test(raw) ? raw.slice(1, -1) : raw;
    at = token.end;
    previous = word;
  }
  return text + bytes.subarray(at).toString();
}
