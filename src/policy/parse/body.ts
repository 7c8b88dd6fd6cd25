/** The text of the statement inside PREPARE … AS and DECLARE … CURSOR FOR. */
import type { Grammar } from '../server.ts';
import type { RawStatement } from './parser.ts';
import { tokensFor, utf16Offsets } from './spans.ts';

/** Empty when it cannot be found: what then runs under the name is unknown, and must be treated so. */
export function bodyText(
  sql: string,
  statement: RawStatement,
  keyword: 'as' | 'for',
  grammar: Grammar,
): string {
  const tokens = tokensFor(sql, statement, grammar);
  if (tokens === null) return '';
  const offset = utf16Offsets(sql);
  let depth = 0;
  let quoted = true;
  for (const token of tokens) {
    if (token.start < statement.start || token.end > statement.end) continue;
    if (token.text === '(') depth++;
    if (token.text === ')') depth--;
    // The name comes second and may be the keyword itself, in quotes.
    quoted = token.text.startsWith('"');
    if (depth === 0 && !quoted && token.text.toLowerCase() === keyword) {
      return sql.slice(offset(token.end), offset(statement.end)).trim();
    }
  }
  return '';
}
