/** The real PostgreSQL grammar (libpg-query, WASM), with the limits it needs (LIBRARIES.md "libpg-query hazards"). */

import { type Grammar, NEWEST } from '../server.ts';
import type { SyntaxFault, Unjudgeable } from '../types.ts';
import { adapt } from './adapt.ts';
import { reader } from './grammar.ts';
import type { Tree } from './node.ts';
import { asList, asTree } from './node.ts';

/** UTF-8 bytes of one statement string. Nested comments are quadratic in the lexer, as in the server. */
export const MAX_SQL_BYTES = 256 * 1024;
/** JSON levels of a tree: an expression level takes two or three. Our walks recurse, and the stack must outlast them. */
export const MAX_TREE_DEPTH = 1_200;

export interface RawStatement {
  readonly kind: string;
  readonly node: Tree;
  /** UTF-8 byte offsets into the text. */
  readonly start: number;
  readonly end: number;
}

export interface Parsed {
  readonly kind: 'parsed';
  readonly statements: readonly RawStatement[];
}

/** Kind of a statement whose tree has something that is not known: `{ strange: 'Kind.field', tree: { Kind: { … } } }`. */
export const STRANGE = 'StrangeStmt';

export function parse(sql: string, grammar: Grammar): Parsed | SyntaxFault | Unjudgeable {
  const refusal = refuse(sql);
  if (refusal !== null) return { kind: 'unjudgeable', why: refusal };
  if (sql === '') return { kind: 'parsed', statements: [] };
  const { read, faultOf } = reader(grammar);
  let tree: unknown;
  try {
    tree = read(sql);
  } catch (error) {
    const fault = faultOf(error);
    if (fault !== null) return { kind: 'syntax', ...fault };
    return { kind: 'unjudgeable', why: 'The SQL parser failed on this text.', recycle: true };
  }
  if (tooDeep(tree)) {
    return { kind: 'unjudgeable', why: 'The statement is nested too deeply to be judged. Split it up.' };
  }
  const statements: RawStatement[] = [];
  const bytes = Buffer.byteLength(sql);
  for (const raw of asList(asTree(tree)?.['stmts'])) {
    const entry = asTree(raw);
    const wrapped = asTree(entry?.['stmt']);
    const kind = wrapped === null ? undefined : Object.keys(wrapped)[0];
    const node = kind === undefined ? null : asTree(wrapped?.[kind]);
    if (entry === null || kind === undefined || node === null) {
      return { kind: 'unjudgeable', why: 'The SQL parser gave a statement this version cannot read.' };
    }
    const start = typeof entry['stmt_location'] === 'number' ? entry['stmt_location'] : 0;
    const length = typeof entry['stmt_len'] === 'number' ? entry['stmt_len'] : 0;
    const end = length > 0 ? start + length : bytes;
    const strange = grammar === NEWEST ? null : adapt(kind, node, grammar);
    if (strange === null) statements.push({ kind, node, start, end });
    else statements.push({ kind: STRANGE, node: { strange, tree: { [kind]: node } }, start, end });
  }
  return { kind: 'parsed', statements };
}

/** Null where something in it is not known. */
export const readable = (parsed: ReturnType<typeof parse>): readonly RawStatement[] | null =>
  parsed.kind === 'parsed' && parsed.statements.every(({ kind }) => kind !== STRANGE)
    ? parsed.statements
    : null;

function refuse(sql: string): string | null {
  if (sql.length > MAX_SQL_BYTES || Buffer.byteLength(sql) > MAX_SQL_BYTES) {
    return `The statement is larger than ${MAX_SQL_BYTES / 1024} KB, the most that can be judged. Split it up, or pass values as parameters.`;
  }
  // The parser is C: it stops at NUL, the server would not (WIRE.md).
  if (sql.includes('\0')) return 'The statement contains a NUL character.';
  if (/\p{Surrogate}/u.test(sql)) return 'The statement is not well-formed Unicode.';
  return null;
}

function tooDeep(tree: unknown): boolean {
  let level: object[] = typeof tree === 'object' && tree !== null ? [tree] : [];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > MAX_TREE_DEPTH) return true;
    const next: object[] = [];
    for (const node of level) {
      for (const child of Object.values(node))
        if (typeof child === 'object' && child !== null) next.push(child);
    }
    level = next;
  }
  return false;
}
