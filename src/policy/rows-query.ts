/**
 * A SELECT of one row for each row that a statement would change or return, written from pieces of the statement's own text. Cutting
 * text is guesswork: what was cut counts only where PostgreSQL's grammar reads in it the very nodes of the statement.
 */
import { canonical } from './parse/digest.ts';
import type { Tree } from './parse/node.ts';
import { asList, asTree, nodeOf, unwrap } from './parse/node.ts';
import type { RawStatement } from './parse/parser.ts';
import { parse } from './parse/parser.ts';
import { type Token, tokensOf, utf16Offsets } from './parse/spans.ts';
import { type Grammar, NEWEST } from './server.ts';

export type RowsQuery =
  | {
      readonly kind: 'rows';
      readonly select: string;
      /** `SELECT count(*)` of exactly those rows; null: `why` it cannot be counted. */
      readonly count: string | null;
      readonly why: string | null;
      /** Numbers of the parameters that it has. */
      readonly params: readonly number[];
      /** One row of a table each, rather than of the query: who may see them is who may read, and not who may change. */
      readonly changes: boolean;
    }
  /** So many, without asking. */
  | { readonly kind: 'fixed'; readonly rows: number }
  /** Every row of the tables that it names; `only`: none of those that inherit from them. */
  | { readonly kind: 'tables'; readonly only: boolean }
  /** EXECUTE: what was prepared, with these values; null: they are worked out when it runs. */
  | { readonly kind: 'execute'; readonly values: readonly (string | null)[] | null }
  | { readonly kind: 'none'; readonly why: string };

const none = (why: string): RowsQuery => ({ kind: 'none', why });
const UNREADABLE = none('its parts could not be told apart');

/** Never throws; needs its grammar loaded. */
export function rowsQuery(sql: string, grammar: Grammar = NEWEST): RowsQuery {
  try {
    const parsed = parse(sql, grammar);
    if (parsed.kind !== 'parsed') return none('it could not be read');
    const [statement, ...more] = parsed.statements.filter(({ kind }) => kind !== 'TransactionStmt');
    if (statement === undefined) return none('it changes and returns no rows');
    if (more.length > 0) return none('there are several statements in one string');
    return ofStatement(sql, statement, grammar);
  } catch {
    return none('it could not be read');
  }
}

function ofStatement(sql: string, statement: RawStatement, grammar: Grammar): RowsQuery {
  const { kind, node } = statement;
  if (kind === 'TruncateStmt') {
    const only = asList(node['relations']).map((item) => nodeOf(item, 'RangeVar')?.['inh'] !== true);
    // Of both kinds at once: with those that inherit, which is more.
    return { kind: 'tables', only: only.every((one) => one) };
  }
  const text = cutter(sql, statement, grammar);
  if (text === null) return UNREADABLE;
  switch (kind) {
    case 'SelectStmt':
      if (node['intoClause'] !== undefined) return into(text, node);
      return rows(text.grammar, text.slice(0, text.end), false, (select) => same(select, node));
    case 'DeleteStmt':
      return changed(text, node, 'delete', node['usingClause'], ['using']);
    case 'UpdateStmt':
      return changed(text, node, 'update', node['fromClause'], ['from']);
    case 'InsertStmt':
      return inserted(text, node);
    case 'MergeStmt':
      return merged(text, node);
    case 'CopyStmt':
      return copied(text, node);
    case 'CreateTableAsStmt':
      return madeAs(text, node);
    case 'DeclareCursorStmt':
      return rows(text.grammar, after(text, 'for', [text.end]), false, (select) =>
        same(select, nodeOf(node['query'], 'SelectStmt')),
      );
    case 'ExecuteStmt':
      return { kind: 'execute', values: constants(node['params']) };
    default:
      return none('the planner does not look at statements of its kind');
  }
}

// ── cutting ───────────────────────────────────────────────────────────────────────────────────────────────────────
interface Cutter {
  readonly grammar: Grammar;
  /** Tokens outside of parentheses: positions of those with this text. */
  at(word: string, after?: number): readonly number[];
  /** How many there are. */
  readonly end: number;
  /** From one token outside of parentheses to before another. */
  slice(from: number, to: number): string;
}

function cutter(sql: string, { start, end }: RawStatement, grammar: Grammar): Cutter | null {
  const tokens = tokensOf(sql)?.filter((token) => token.start >= start && token.end <= end);
  if (tokens === undefined) return null;
  const offset = utf16Offsets(sql);
  const outer: Token[] = [];
  let depth = 0;
  for (const token of tokens) {
    if (token.text === ')' || token.text === ']') depth -= 1;
    if (depth === 0 && token.text !== ')' && token.text !== ']') outer.push(token);
    if (token.text === '(' || token.text === '[') depth += 1;
  }
  const words = outer.map(({ name, text }) =>
    name === 'IDENT' || name === 'SCONST' ? '' : text.toLowerCase(),
  );
  return {
    grammar,
    at: (word, after = -1) => words.flatMap((one, i) => (i > after && one === word ? [i] : [])),
    end: outer.length,
    slice: (from, to) =>
      // A comment that runs to the end of the line must not swallow what is put behind it.
      `${sql.slice(offset(outer[from]?.start ?? end), offset(outer[to]?.start ?? end)).trim()}\n`,
  };
}

/** The one statement of a text, as a SELECT. */
function selectOf(text: string, grammar: Grammar): Tree | null {
  const parsed = parse(text, grammar);
  if (parsed.kind !== 'parsed' || parsed.statements.length !== 1) return null;
  const [only] = parsed.statements;
  return only?.kind === 'SelectStmt' ? only.node : null;
}
const same = (a: unknown, b: unknown): boolean => canonical(a ?? null) === canonical(b ?? null);
/** A SELECT of a constant, with these clauses and no others. */
function made(select: Tree, clauses: Tree): boolean {
  const { targetList: _, limitOption, op, ...rest } = select;
  if (limitOption !== 'LIMIT_OPTION_DEFAULT' || op !== 'SETOP_NONE') return false;
  const names = new Set([...Object.keys(rest), ...Object.keys(clauses)]);
  return [...names].every((name) => same(rest[name], clauses[name]));
}

const MODIFIES = new Set(['InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt']);
const TRIES = 30;

/** The first of the texts in which the grammar reads what it should. */
function rows(
  grammar: Grammar,
  texts: string | Iterable<string>,
  changes: boolean,
  proven: (select: Tree) => boolean,
  uncountable: string | null = null,
): RowsQuery {
  let left = TRIES;
  for (const select of typeof texts === 'string' ? [texts] : texts) {
    left -= 1;
    if (left < 0) break;
    const tree = selectOf(select, grammar);
    if (tree === null || !proven(tree)) continue;
    const found = look(tree);
    if (found.makes) return none('it makes a table inside of another query');
    if (found.modifies) return none('it changes rows inside of its WITH');
    if (found.cursor) return none('it changes the row that a cursor is at');
    const count = `SELECT count(*) FROM (\n${select}) AS holdpoint`;
    const query = nodeOf(asList(selectOf(count, grammar)?.['fromClause'])[0], 'RangeSubselect')?.['subquery'];
    const why =
      uncountable ??
      (found.locks ? 'it locks rows' : found.samples ? 'it reads a random sample' : null) ??
      (same(nodeOf(query, 'SelectStmt'), tree) ? null : 'it could not be counted as it is written');
    return {
      kind: 'rows',
      select,
      count: why === null ? count : null,
      why,
      params: [...found.params].sort((a, b) => a - b),
      changes,
    };
  }
  return UNREADABLE;
}

interface Found {
  readonly params: Set<number>;
  modifies: boolean;
  makes: boolean;
  locks: boolean;
  samples: boolean;
  cursor: boolean;
}

function look(tree: Tree): Found {
  const found: Found = {
    params: new Set(),
    modifies: false,
    makes: false,
    locks: false,
    samples: false,
    cursor: false,
  };
  const left: unknown[] = [tree];
  while (left.length > 0) {
    const value = left.pop();
    if (typeof value !== 'object' || value === null) continue;
    const kind = unwrap(value)?.kind ?? '';
    if (MODIFIES.has(kind)) found.modifies = true;
    if ('intoClause' in value) found.makes = true;
    if (kind === 'LockingClause') found.locks = true;
    if (kind === 'RangeTableSample') found.samples = true;
    if (kind === 'CurrentOfExpr') found.cursor = true;
    const number = nodeOf(value, 'ParamRef')?.['number'];
    if (typeof number === 'number') found.params.add(number);
    for (const child of Object.values(value)) left.push(child);
  }
  return found;
}

// ── statements ────────────────────────────────────────────────────────────────────────────────────────────────────
/** Each row of the target once, however many others it is joined to. */
function changed(
  text: Cutter,
  node: Tree,
  verb: string,
  others: unknown,
  joining: readonly string[],
): RowsQuery {
  const relation = { RangeVar: node['relation'] };
  const proven = (select: Tree): boolean => {
    const { withClause } = node;
    if (others === undefined)
      return made(select, { fromClause: [relation], whereClause: node['whereClause'], withClause });
    const within = nodeOf(select['whereClause'], 'SubLink');
    const inner = nodeOf(within?.['subselect'], 'SelectStmt');
    if (inner === null || within?.['subLinkType'] !== 'EXISTS_SUBLINK') return false;
    return (
      made(inner, { fromClause: others, whereClause: node['whereClause'] }) &&
      made(select, { fromClause: [relation], whereClause: select['whereClause'], withClause })
    );
  };
  return rows(text.grammar, texts(), true, proven);

  function* texts(): Iterable<string> {
    for (const start of text.at(verb)) {
      const target = verb === 'delete' ? start + 2 : start + 1;
      const ends = [...text.at('returning', target).toReversed(), text.end];
      const end = node['returningClause'] === undefined ? text.end : (ends[0] ?? text.end);
      const [where = end] = node['whereClause'] === undefined ? [end] : text.at('where', target);
      const joins = others === undefined ? [where] : joining.flatMap((word) => text.at(word, target));
      for (const join of joins) {
        const [set = join] = verb === 'update' ? text.at('set', target) : [join];
        const head = `${text.slice(0, start)}SELECT 1 FROM ${text.slice(target, Math.min(set, join))}`;
        const condition = where < end ? `WHERE ${text.slice(where + 1, end)}` : '';
        yield others === undefined
          ? `${head}${condition}`
          : `${head}WHERE EXISTS (SELECT 1 FROM ${text.slice(join + 1, where)}${condition})\n`;
      }
    }
  }
}

function inserted(text: Cutter, node: Tree): RowsQuery {
  const query = nodeOf(node['selectStmt'], 'SelectStmt');
  if (query === null) return { kind: 'fixed', rows: 1 };
  const values = asList(query['valuesLists']).length;
  if (values > 0) {
    const around = [node['withClause'], query['withClause'], query['limitCount'], query['limitOffset']];
    if (around.every((one) => one === undefined)) return { kind: 'fixed', rows: values };
  }
  const outer = node['withClause'];
  if (outer !== undefined && query['withClause'] !== undefined) return UNREADABLE;
  return rows(
    text.grammar,
    texts(),
    false,
    (select) => same(select, query) || (outer !== undefined && with_(select, query, outer)),
    node['onConflictClause'] === undefined ? null : 'some of its rows may be in conflict',
  );

  function* texts(): Iterable<string> {
    const [start = 0] = text.at('insert');
    const head = outer === undefined ? '' : text.slice(0, start);
    const starts = ['select', 'with', 'values', 'table', '('].flatMap((word) => text.at(word, start + 1));
    const ends =
      node['onConflictClause'] === undefined
        ? node['returningClause'] === undefined
          ? [text.end]
          : text.at('returning', start)
        : text.at('on', start);
    for (const from of starts.sort((a, b) => a - b))
      for (const to of ends.toReversed()) yield `${head}${text.slice(from, to)}`;
  }
}
function with_(select: Tree, query: Tree, outer: unknown): boolean {
  const { withClause, ...rest } = select;
  const names = new Set([...Object.keys(rest), ...Object.keys(query)]);
  return same(withClause, outer) && [...names].every((name) => same(rest[name], query[name]));
}

/** What MERGE looks at: it may do nothing with some of them. */
function merged(text: Cutter, node: Tree): RowsQuery {
  const kinds = asList(node['mergeWhenClauses']).map(
    (item) => nodeOf(item, 'MergeWhenClause')?.['matchKind'],
  );
  const both = kinds.includes('MERGE_WHEN_NOT_MATCHED_BY_SOURCE');
  const source = both || kinds.includes('MERGE_WHEN_NOT_MATCHED_BY_TARGET');
  const [join, jointype] = both
    ? ['FULL JOIN', 'JOIN_FULL']
    : source
      ? ['LEFT JOIN', 'JOIN_LEFT']
      : ['JOIN', 'JOIN_INNER'];
  const proven = (select: Tree): boolean => {
    const item = asList(select['fromClause'])[0];
    const found = nodeOf(item, 'JoinExpr');
    return (
      found?.['jointype'] === jointype &&
      same(found['larg'], node['sourceRelation']) &&
      same(nodeOf(found['rarg'], 'RangeVar'), node['relation']) &&
      same(found['quals'], node['joinCondition']) &&
      made(select, { fromClause: [item], withClause: node['withClause'] })
    );
  };
  return rows(text.grammar, texts(), false, proven, 'MERGE decides row by row');

  function* texts(): Iterable<string> {
    for (const start of text.at('merge'))
      for (const using of text.at('using', start).slice(0, 3))
        for (const on of text.at('on', using))
          for (const when of text.at('when', on).slice(0, 3))
            yield `${text.slice(0, start)}SELECT 1 FROM ${text.slice(using + 1, on)}${join} ${text.slice(start + 2, using)}ON ${text.slice(on + 1, when)}`;
  }
}

// ── statements that have another one inside ───────────────────────────────────────────────────────────────────────
function* after(text: Cutter, word: string, ends: readonly number[]): Iterable<string> {
  for (const start of text.at(word))
    for (const end of ends) if (end > start) yield text.slice(start + 1, end);
}

function madeAs(text: Cutter, node: Tree): RowsQuery {
  const query = nodeOf(node['query'], 'SelectStmt');
  if (query === null) return none('it runs what was prepared before');
  if (nodeOf({ IntoClause: node['into'] }, 'IntoClause')?.['skipData'] === true)
    return { kind: 'fixed', rows: 0 };
  return rows(text.grammar, after(text, 'as', [text.end, ...text.at('with').toReversed()]), false, (select) =>
    same(select, query),
  );
}

/** SELECT … INTO a table: the same without that. */
function into(text: Cutter, { intoClause: _, ...query }: Tree): RowsQuery {
  return rows(text.grammar, texts(), false, (select) => same(select, query));

  function* texts(): Iterable<string> {
    for (const start of text.at('into'))
      for (let end = start + 2; end <= Math.min(start + 8, text.end); end += 1)
        yield `${text.slice(0, start)}${end < text.end ? text.slice(end, text.end) : ''}`;
  }
}

/** Not written in the tree. */
const ZERO: Readonly<Record<string, unknown>> = { ival: 0, boolval: false };

/** Values as text, where all of them are constants. */
function constants(list: unknown): readonly (string | null)[] | null {
  const found: (string | null)[] = [];
  for (const item of asList(list)) {
    const constant = nodeOf(item, 'A_Const');
    if (constant === null) return null;
    const value = ['ival', 'fval', 'sval', 'boolval'].flatMap((kind) => {
      const held = asTree(constant[kind]);
      return held === null ? [] : [held[kind] ?? ZERO[kind] ?? ''];
    })[0];
    if (value === undefined && constant['isnull'] !== true) return null;
    found.push(value === undefined ? null : String(value));
  }
  return found;
}

function copied(text: Cutter, node: Tree): RowsQuery {
  if (node['is_from'] === true)
    return none(
      node['filename'] === undefined
        ? 'its rows come from the client'
        : "its rows come from a file or a program on the target's machine",
    );
  const relation = asTree(node['relation']);
  const query = nodeOf(node['query'], 'SelectStmt');
  if (relation !== null) {
    const { inh: _, ...only } = relation;
    const proven = (select: Tree): boolean => made(select, { fromClause: [{ RangeVar: only }] });
    const ends = [...text.at('(', 0), ...text.at('to', 0)];
    return rows(
      text.grammar,
      ends.map((end) => `SELECT 1 FROM ONLY ${text.slice(1, end)}`),
      false,
      proven,
    );
  }
  if (query === null) return none('it changes rows and returns them');
  const ends = text.at('to', 0);
  return rows(
    text.grammar,
    ends.map((end) => text.slice(1, end)),
    false,
    (select) => same(select, query),
  );
}
