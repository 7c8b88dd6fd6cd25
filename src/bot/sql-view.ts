/** How much of a statement fits a card, and what stands for the rest: nobody approves SQL they cannot see (SLACK.md "Card life"). */
import { bindText } from '../approvals/text.ts';
import type { RequestStatement } from '../approvals/types.ts';
import { head, tail, visible } from './text.ts';

/** Of the card's 8000 characters. Characters that JSON doubles count double, lines are bounded: a phone folds what is longer. */
const SQL_BUDGET = 3800;
const SQL_LINES = 80;
const BINDS_BUDGET = 900;
const HEAD = 1800;
const TAIL = 900;
const HEAD_LINES = 20;
const TAIL_LINES = 8;
/** Of the modal: text per block and in all. */
const MODAL_BLOCK = 2800;
const MODAL_BUDGET = 20_000;

export type SqlView =
  | { readonly kind: 'whole'; readonly sql: string; readonly binds: string | null }
  | {
      readonly kind: 'cut';
      readonly head: string;
      readonly tail: string;
      readonly binds: string | null;
    };

export function sqlView(statement: RequestStatement): SqlView {
  const binds = bindLines(statement);
  // What is longer than any card is not looked through for its beginning and end. CRLF may halve it.
  const long = statement.sql.length > 2 * SQL_BUDGET;
  const sql = visible(long ? statement.sql.slice(0, 2 * HEAD) : statement.sql);
  if (!long && fits(sql, SQL_BUDGET, SQL_LINES) && (binds === null || fits(binds, BINDS_BUDGET, 30)))
    return { kind: 'whole', sql, binds };
  const short = !long && sql.length <= HEAD + TAIL && sql.split('\n').length <= HEAD_LINES;
  return {
    kind: 'cut',
    head: lines(head(sql, short ? sql.length : HEAD), HEAD_LINES, 'first'),
    tail: short
      ? ''
      : lines(tail(long ? visible(statement.sql.slice(-2 * TAIL)) : sql, TAIL), TAIL_LINES, 'last'),
    binds: binds === null ? null : lines(head(binds, BINDS_BUDGET), 30, 'first'),
  };
}

/** The whole text and its values in blocks of the modal; null when even that cannot show them, and then nothing is approved there. */
export function modalTexts(
  statement: RequestStatement,
): { readonly sql: readonly string[]; readonly binds: readonly string[] } | null {
  if (statement.sql.length > 2 * MODAL_BUDGET) return null;
  const binds = bindLines(statement) ?? '';
  const sql = visible(statement.sql);
  return sql.length + binds.length > MODAL_BUDGET ? null : { sql: split(sql), binds: split(binds) };
}
function split(text: string): readonly string[] {
  const parts: string[] = [];
  for (let rest = text; rest.length > 0; ) {
    const part = head(rest, MODAL_BLOCK);
    parts.push(part);
    rest = rest.slice(part.length);
  }
  return parts;
}

function bindLines(statement: RequestStatement): string | null {
  if (statement.binds.length === 0) return null;
  return statement.binds
    .map((value, index) => `$${index + 1} = ${bindText(value?.slice(0, 2 * MODAL_BUDGET) ?? null)}`)
    .join('\n');
}

function fits(text: string, budget: number, maxLines: number): boolean {
  if (text.length > budget) return false;
  return JSON.stringify(text).length <= budget * 1.5 && text.split('\n').length <= maxLines;
}

function lines(text: string, max: number, end: 'first' | 'last'): string {
  const all = text.split('\n');
  if (all.length <= max) return text;
  return (end === 'first' ? all.slice(0, max) : all.slice(-max)).join('\n');
}
