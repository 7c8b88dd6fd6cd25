/** From the parser's UTF-8 byte positions to UTF-16 spans of the text. */
import { scanSync } from 'libpg-query';
import { type Grammar, NEWEST } from '../server.ts';
import { positionsIn } from './digest.ts';
import type { RawStatement } from './parser.ts';

export interface Token {
  /** UTF-8 byte offsets. */
  readonly start: number;
  readonly end: number;
  readonly name: string;
  readonly text: string;
}

/** Of one byte. */
const CONTROLS = /(?![\t\n\r\u007f-\u009f])\p{Cc}/gu;
/** Tokens of the text as PostgreSQL's own lexer cuts it; null when it will not. */
export function tokensOf(sql: string): readonly Token[] | null {
  // What the scanner hands out is no JSON with these in it. They stand in comments and quotes alone, where a blank is as good, or are blanks.
  const scanned = sql.replace(CONTROLS, ' ');
  const bytes = scanned === sql ? null : Buffer.from(sql);
  try {
    return scanSync(scanned).tokens.map((token) => ({
      start: token.start,
      end: token.end,
      name: token.tokenName,
      text: bytes === null ? token.text : bytes.subarray(token.start, token.end).toString(),
    }));
  } catch {
    return null;
  }
}

/**
 * As the scanner of 18 cuts it, there is no other: for a statement that another grammar has read it counts where every position in the tree
 * begins a token of it, and so do the statement's own bounds. Null: it does not, or the scanner will not.
 */
export function tokensFor(sql: string, statement: RawStatement, grammar: Grammar): readonly Token[] | null {
  const tokens = tokensOf(sql);
  if (tokens === null || grammar === NEWEST) return tokens;
  const starts = new Set(tokens.map(({ start }) => start));
  const across = ({ start, end }: Token, at: number): boolean => start < at && at < end;
  if (tokens.some((token) => across(token, statement.start) || across(token, statement.end))) return null;
  return positionsIn(statement.node).every((at) => at < 0 || starts.has(at)) ? tokens : null;
}

/** Maps UTF-8 byte offsets of `sql` to UTF-16 offsets. */
export function utf16Offsets(sql: string): (byte: number) => number {
  const bytes = Buffer.byteLength(sql);
  if (bytes === sql.length) return (byte) => Math.min(byte, bytes);
  const map = new Uint32Array(bytes + 1);
  let at = 0;
  for (let unit = 0; unit < sql.length; ) {
    const point = sql.codePointAt(unit) ?? 0;
    const width = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    for (let i = 0; i < width; i++) map[at + i] = unit;
    at += width;
    unit += point < 0x10000 ? 1 : 2;
  }
  map[bytes] = sql.length;
  return (byte) => map[Math.min(byte, bytes)] ?? sql.length;
}

/** The scanner names some constants UNKNOWN (`U&'…'`, `B'…'`): go by their first characters as well. */
function isConstant(token: Token): boolean {
  return token.name.endsWith('CONST') || /^(?:u&|[bxen])?'/i.test(token.text) || /^\.?\d/.test(token.text);
}

/** The constant token at or after a byte position (a negative number's position is that of its sign). */
export function constantAt(tokens: readonly Token[], start: number): Token | null {
  let low = 0;
  let high = tokens.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((tokens[middle]?.start ?? 0) < start) low = middle + 1;
    else high = middle;
  }
  for (let i = low; i < Math.min(low + 3, tokens.length); i++) {
    const token = tokens[i];
    if (token === undefined || !isConstant(token)) continue;
    const follows = tokens[i + 1];
    const character = tokens[i + 2];
    // U&'…' UESCAPE '!'
    if (follows?.text.toLowerCase() === 'uescape' && character !== undefined)
      return { ...token, end: character.end };
    return token;
  }
  return null;
}
