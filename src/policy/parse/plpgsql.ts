/** The SQL inside a PL/pgSQL trigger function, cut out by PostgreSQL's own PL/pgSQL parser. */
import { parsePlPgSQLSync } from 'libpg-query';
import type { Grammar } from '../server.ts';
import { asTree } from './node.ts';
import type { RawStatement } from './parser.ts';
import { parse, readable } from './parser.ts';

export interface PlpgsqlPart {
  readonly statement: RawStatement;
  /** What its value is assigned to, `new.email`. */
  readonly target?: string;
  /** It is in RAISE or ASSERT: its value goes into a message. */
  readonly raised: boolean;
}

export interface PlpgsqlBody {
  readonly parts: readonly PlpgsqlPart[];
  /** Last parts of the type names its variables have. */
  readonly types: readonly string[];
  /** It may put values into notices and errors. */
  readonly raises: boolean;
}

const MAX_BODY = 64 * 1024;
/** SQL put together while it runs. */
const DYNAMIC = new Set(['PLpgSQL_stmt_dynexecute', 'PLpgSQL_stmt_dynfors', 'dynquery']);

/** Null: it cannot be read, or runs SQL that is not there to be read. */
export function triggerBody(source: string, grammar: Grammar): PlpgsqlBody | null {
  if (source.length > MAX_BODY || source.includes('$holdpoint$')) return null;
  let tree: unknown;
  try {
    tree = parsePlPgSQLSync(
      `CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $holdpoint$${source}$holdpoint$`,
    );
  } catch (error) {
    // Anything but the parser's own complaint may have spoilt the instance: the worker goes (analyse.ts).
    if (error instanceof Error && error.constructor === Error) return null;
    throw error;
  }
  const found: PlpgsqlPart[] = [];
  const types: string[] = [];
  let raises = false;
  let readable = true;
  const visit = (value: unknown, raised: boolean): void => {
    if (Array.isArray(value)) {
      for (const item of value) visit(item, raised);
      return;
    }
    const node = asTree(value);
    if (node === null) return;
    for (const [field, child] of Object.entries(node)) {
      if (DYNAMIC.has(field)) readable = false;
      const message = field === 'PLpgSQL_stmt_raise' || field === 'PLpgSQL_stmt_assert';
      raises ||= message;
      if (field === 'typname' && typeof child === 'string')
        types.push((child.split('.').at(-1) ?? '').replaceAll('"', '').replace(/\[\]$/, ''));
      if (field !== 'PLpgSQL_expr') {
        visit(child, raised || message);
        continue;
      }
      const parts = sqlOf(asTree(child), grammar);
      if (parts === null) readable = false;
      else found.push(...parts.map((part) => ({ ...part, raised })));
    }
  };
  visit(tree, false);
  return readable ? { parts: found, types, raises } : null;
}

/** A whole statement, an expression, or `target := expression`. */
function sqlOf(
  expression: ReturnType<typeof asTree>,
  grammar: Grammar,
): readonly Omit<PlpgsqlPart, 'raised'>[] | null {
  const query = expression?.['query'];
  const mode = expression?.['parseMode'] ?? 0;
  if (typeof query !== 'string') return null;
  let text = query;
  let target: string | undefined;
  if (mode === 2) text = `SELECT ${query}`;
  else if (mode !== 0) {
    // The target is a variable or a field of one; a subscript could call something.
    const assigned = /^\s*([\w."]+)\s*:?=(.*)$/su.exec(query);
    if (assigned === null) return null;
    target = assigned[1];
    text = `SELECT ${assigned[2]}`;
  }
  const statements = readable(parse(text, grammar));
  return statements?.map((statement) => ({ statement, ...(target === undefined ? {} : { target }) })) ?? null;
}
