/**
 * Does the WHERE of an UPDATE or DELETE choose rows? It does when one of its clauses (clauses.ts) leaves rows out: when it compares
 * something of the row with something that is made neither from the same columns of that row nor from an unrestricted read of the
 * same relation (reach.ts). What cannot be shown to choose counts as a missing WHERE.
 */
import type { Context } from '../lineage/context.ts';
import type { RelationName, Tree } from '../parse/node.ts';
import { asList, asText, asTree, literalText, names, nodeOf, qualified, unwrap } from '../parse/node.ts';
import type { CatalogColumn } from '../types.ts';
import { type Clause, clauses, type Literal, nullByRow } from './clauses.ts';
import {
  AGGREGATES,
  answer,
  type Ctes,
  type Inputs,
  inputsOf,
  own,
  queryReach,
  type Reach,
  type Target,
  targetReach,
  Undecided,
  withQueries,
} from './reach.ts';

export function limits(statement: Tree, name: RelationName, outer: Ctes | null, context: Context): boolean {
  const where = statement['whereClause'];
  if (where === undefined || where === null) return false;
  const from = [...asList(statement['fromClause']), ...asList(statement['usingClause'])];
  const ctes = withQueries(statement, outer);
  return shown(() => {
    const { reach, conditions } = targetReach(targetOf(name, context), from, ctes, context, restricts, where);
    return restricts(conditions, reach);
  });
}

function shown(tell: () => boolean): boolean {
  try {
    return tell();
  } catch (error) {
    if (error instanceof Undecided) return false;
    throw error;
  }
}

/** `INSERT INTO t SELECT … FROM t ON CONFLICT … DO UPDATE` meets every row of t. */
export function overwritesAll(
  insert: Tree,
  name: RelationName,
  conflict: Tree,
  outer: Ctes | null,
  context: Context,
): boolean {
  const excluded = [
    { RangeVar: { relname: name.name, schemaname: name.schema, alias: { aliasname: 'excluded' } } },
  ];
  const ctes = withQueries(insert, outer);
  return !shown(() => {
    const target = targetOf(name, context);
    const where = conflict['whereClause'];
    const { reach, conditions } = targetReach(target, excluded, ctes, context, restricts, where);
    const above = { ...reach, target: null, sources: [], seen: new Map() };
    const columns = answer(insert['selectStmt'], above, restricts);
    if (columns === null) return false;
    const some = columns.some(({ inputs }) => inputs.copies.size > 0 && !inputs.other);
    return !some || restricts(conditions, reach);
  });
}

function targetOf(name: RelationName, context: Context): Target {
  const [relation, ...others] = context.env.resolve(name, context.resolution).relations;
  const known = relation !== undefined && others.length === 0;
  return { alias: name.alias ?? name.name, name, relation: known ? relation : null };
}

function restricts(conditions: readonly unknown[], reach: Reach): boolean {
  return conditions.some((condition) => clauses(condition).some((clause) => leavesOut(clause, reach)));
}

function leavesOut(clause: Clause, reach: Reach): boolean {
  return clause.every((literal) => chooses(literal, reach)) && !covers(clause, reach);
}

/** May this predicate by itself leave a row out? */
function chooses({ node: value, sense }: Literal, reach: Reach): boolean {
  const wrapped = unwrap(value);
  if (wrapped === null) return false;
  const { kind, node } = wrapped;
  if (kind === 'SubLink' && node['subLinkType'] !== 'EXPR_SUBLINK') return subquery(node, sense, reach);
  const inputs = inputsOf(value, reach, restricts);
  // `tableoid` is the same for all.
  if ([...inputs.row].every((column) => column === 'tableoid')) return false;
  switch (kind) {
    case 'ColumnRef':
    case 'A_Indirection':
    case 'JsonIsPredicate':
      return true;
    case 'NullTest':
      return sense ? nullByRow(node['arg']) : mayHide(node['arg'], inputs, reach);
    case 'A_Expr':
      return compares(node, sense, reach);
    case 'FuncCall': {
      const empty = asList(node['args']).some((arg) => literalText(arg) === '');
      return !empty && (inputs.fixed || inputs.other || inputs.row.size > 1);
    }
    default:
      return inputs.fixed || inputs.other;
  }
}

// ── comparisons ────────────────────────────────────────────────────────────────────────────────────────────────────
/** Patterns that every text matches. */
const ANYTHING = /^(?:%*|\.\*|\^|\$|\^\.\*\$?)$/u;
const PATTERNS = new Set(['~~', '~~*', '~', '~*']);
/** Operators that hold of a value and itself. */
const REFLEXIVE = new Set(['=', '~~', '~~*', '@>', '<@', '&&']);

function compares(node: Tree, sense: boolean, reach: Reach): boolean {
  const { name } = qualified(node['name']);
  const [left, right] = [node['lexpr'], node['rexpr']];
  const against = (value: unknown, holds: boolean): boolean =>
    sides(left, inputsOf(value, reach, restricts), value, name, holds, reach);
  switch (node['kind']) {
    case 'AEXPR_LIKE':
    case 'AEXPR_ILIKE':
    case 'AEXPR_SIMILAR':
    case 'AEXPR_OP':
      if (sense && PATTERNS.has(name) && matchesAll(right, name)) return false;
      return against(right, sense);
    case 'AEXPR_NOT_DISTINCT':
      return against(right, sense);
    case 'AEXPR_OP_ANY':
      return against(right, sense);
    case 'AEXPR_OP_ALL':
      // `<> ANY` of two values is true of every row.
      return (sense || name !== '=') && against(right, sense);
    case 'AEXPR_BETWEEN_SYM': {
      const bounds = asList(nodeOf(right, 'List')?.['items'] ?? right);
      return bounds.every((bound) => against(bound, false));
    }
    default:
      return false;
  }
}

function matchesAll(pattern: unknown, name: string): boolean {
  // SIMILAR TO is a function of the pattern.
  const text = literalText(asList(nodeOf(pattern, 'FuncCall')?.['args'])[0] ?? pattern);
  return text !== null && ANYTHING.test(text) && (!name.includes('~~') || text.startsWith('%'));
}

function sides(
  left: unknown,
  b: Inputs,
  right: unknown,
  name: string,
  sense: boolean,
  reach: Reach,
): boolean {
  const a = inputsOf(left, reach, restricts);
  if (a.row.size === 0 && b.row.size === 0) return false;
  if (a.other || b.other) return true;
  const [x, y] = [own(a), own(b)];
  // `id - id = 0`: one column against itself is not compared with anything.
  if (x.size === 0 || y.size === 0) return !((x.size === 0 ? y : x).size === 1 && a.count + b.count > 1);
  if (x.size !== y.size || [...x].some((column) => !y.has(column))) return true;
  if (a.copies.size === 0 && b.copies.size === 0)
    return name === '=' && !sense && (settles(left) || settles(right));
  const aggregate = a.aggregate ?? b.aggregate;
  if (aggregate !== null && aggregate !== 'array_agg')
    return sense || !(name === '<' || name === '>') || !/^(?:min|max)$/.test(aggregate);
  return sense ? !REFLEXIVE.has(name) : name !== '<' && name !== '>';
}

/** Done twice it changes nothing more: `email <> lower(email)` leaves out what is in order already. */
const SETTLING = new Set(
  'lower upper initcap trim btrim ltrim rtrim normalize round trunc ceil floor abs date_trunc'.split(' '),
);

function settles(value: unknown): boolean {
  const call = nodeOf(value, 'FuncCall');
  if (call === null || !SETTLING.has(qualified(call['funcname']).name)) return false;
  return asList(call['args']).every((arg) => {
    const kind = unwrap(arg)?.kind;
    return kind === 'ColumnRef' || kind === 'A_Const' || kind === 'ParamRef' || settles(arg);
  });
}

// ── NULL ───────────────────────────────────────────────────────────────────────────────────────────────────────────
/** Of something that can be NULL in some row. */
function mayHide(value: unknown, inputs: Inputs, reach: Reach): boolean {
  const wrapped = unwrap(value);
  if (wrapped === null || inputs.row.has('*')) return false;
  const { kind, node } = wrapped;
  if (kind === 'TypeCast') return mayHide(node['arg'], inputs, reach);
  const part = kind === 'A_Expr' && /->|#>/.test(qualified(node['name']).name);
  if (part || kind === 'A_Indirection' || (kind === 'A_Expr' && node['kind'] === 'AEXPR_NULLIF')) return true;
  const columns = new Map(
    reach.target?.relation?.columns.map((one): [string, CatalogColumn] => [one.name, one]),
  );
  if (inputs.other && kind === 'SubLink') return true;
  return [...inputs.row].some((column) => columns.get(column)?.notNull === false || !known(column, columns));
}

const known = (column: string, columns: ReadonlyMap<string, CatalogColumn>): boolean =>
  columns.has(column)
    ? columns.get(column)?.notNull !== undefined
    : /^(?:ctid|xmin|xmax|cmin|cmax)$/.test(column);

// ── subqueries ─────────────────────────────────────────────────────────────────────────────────────────────────────
function subquery(node: Tree, sense: boolean, reach: Reach): boolean {
  const query = nodeOf(node['subselect'], 'SelectStmt');
  if (query === null) return false;
  if (query['op'] !== 'SETOP_NONE') {
    const arms = ['larg', 'rarg'].map((side) => ({ ...node, subselect: { SelectStmt: query[side] } }));
    const [left = false, right = false] = arms.map((arm) => subquery(arm, sense, reach));
    // Each arm of a union may bring in all rows; of the others, the right one only takes away.
    if (query['op'] === 'SETOP_UNION') return sense ? left && right : left || right;
    const reads = asTree(query['rarg'])?.['fromClause'] !== undefined;
    return query['op'] === 'SETOP_EXCEPT' ? sense && (left || reads) : sense && (left || right);
  }
  const { reach: inner, conditions } = queryReach(query, reach, restricts);
  // NOT IN and NOT EXISTS of what has no rows.
  const rows = query['fromClause'] !== undefined && query['limitCount'] === undefined;
  if (!sense && (!rows || conditions.some((one) => clauses(one).some((clause) => clause.length === 0))))
    return false;
  const correlated = conditions.length > 0 && restricts(conditions, rowOnly(inner, reach));
  if (node['subLinkType'] === 'EXISTS_SUBLINK') {
    // One row, always.
    const counted = query['groupClause'] === undefined && asList(query['targetList']).some(aggregates);
    return correlated && !counted;
  }
  const left = inputsOf(node['testexpr'], reach, restricts);
  if (left.row.size === 0) return sense && correlated;
  const name = names(node['operName']).at(-1) ?? '=';
  if (node['subLinkType'] === 'ALL_SUBLINK' && sense) return rows;
  const right = answer(node['subselect'], reach, restricts);
  if (right === null) return true;
  const together: Inputs = {
    row: new Set(right.flatMap(({ inputs }) => [...inputs.row])),
    copies: new Set(right.flatMap(({ inputs }) => [...inputs.copies])),
    count: right.reduce((sum, { inputs }) => sum + inputs.count, 0),
    other: right.some(({ inputs }) => inputs.other),
    fixed: right.some(({ inputs }) => inputs.fixed),
    aggregate: right.find(({ inputs }) => inputs.aggregate !== null)?.inputs.aggregate ?? null,
  };
  const against = (operator: string, holds: boolean) =>
    sides(node['testexpr'], together, null, operator, holds, reach);
  if (node['subLinkType'] === 'ANY_SUBLINK' && !sense) return against(name, false);
  // Of one row at least: `<> ANY` of two is true of all, `<= ANY` of one's own copies is, too.
  const some = sense ? name : (NEGATION[name] ?? '<>');
  if (sense && correlated) return true;
  if (some.includes('!') || some === '<>') return false;
  return some === '<=' ? against('>', false) : some === '>=' ? against('<', false) : against(some, true);
}

const NEGATION: Readonly<Record<string, string>> = { '<': '>=', '>': '<=', '<=': '>', '>=': '<', '<>': '=' };

/** The row's columns are named further out. */
function rowOnly(inner: Reach, outer: Reach): Reach {
  return { ...inner, of: outer.of, seen: new Map() };
}

function aggregates(item: unknown): boolean {
  const call = nodeOf(nodeOf(item, 'ResTarget')?.['val'], 'FuncCall');
  return call !== null && (call['agg_star'] === true || AGGREGATES.test(qualified(call['funcname']).name));
}

// ── alternatives that together are everything ────────────────────────────────────────────────────────────────────
function covers(clause: Clause, reach: Reach): boolean {
  const seen = new Map<string, boolean>();
  for (const { node, sense } of clause) {
    const text = plain(node, reach);
    if (seen.has(text) && seen.get(text) !== sense) return true;
    seen.set(text, sense);
  }
  const ranges = new Map<string, Bound[]>();
  for (const literal of clause) {
    const bound = boundOf(literal, reach);
    if (bound !== null) ranges.set(bound.subject, [...(ranges.get(bound.subject) ?? []), bound]);
  }
  return [...ranges.values()].some(meet);
}

interface Bound {
  readonly subject: string;
  readonly kind: 'below' | 'above' | 'is' | 'is not';
  readonly inclusive: boolean;
  readonly value: unknown;
  readonly text: string;
}

function boundOf({ node: value, sense }: Literal, reach: Reach): Bound | null {
  const node = nodeOf(value, 'A_Expr');
  if (node === null || node['kind'] === 'AEXPR_OP_ALL') return null;
  const name = asText(names(node['name']).at(-1));
  const base = {
    subject: plain(node['lexpr'], reach),
    value: node['rexpr'],
    text: plain(node['rexpr'], reach),
    inclusive: !sense,
  };
  if (name === '=') return { ...base, kind: sense ? 'is' : 'is not' };
  if (name === '<') return { ...base, kind: sense ? 'below' : 'above' };
  if (name === '>') return { ...base, kind: sense ? 'above' : 'below' };
  return null;
}

function meet(bounds: readonly Bound[]): boolean {
  const of = (kind: Bound['kind']) => bounds.filter((bound) => bound.kind === kind);
  const [below, above, is, not] = [of('below'), of('above'), of('is'), of('is not')];
  // All but one value, or anything else than just another value of the same.
  if (not.some(({ text }) => not[0]?.text !== text)) return true;
  if (not.length > 0 && below.length + above.length + is.length > 0) return true;
  const flags = new Set(is.map(({ value }) => literalText(value)));
  if (flags.has('t') && flags.has('f')) return true;
  return below.some((low) =>
    above.some((high) => {
      if (low.text === high.text)
        return low.inclusive || high.inclusive || is.some(({ text }) => text === low.text);
      const [a, b] = [comparable(low.value), comparable(high.value)];
      return a === null || b === null || typeof a !== typeof b || a >= b;
    }),
  );
}

/** Numbers and dates; of others it cannot be told which is more. */
function comparable(value: unknown): number | string | null {
  const text = literalText(value);
  if (text === null) return null;
  if (/^\d{4}-\d{2}-\d{2}(?:[ T][\d:.]+)?$/.test(text)) return text;
  return /^-?\d+(?:\.\d+)?$/.test(text) ? Number(text) : null;
}

/** The text of an expression without its casts, columns of the row by their bare names. */
function plain(value: unknown, reach: Reach): string {
  return JSON.stringify(value, (field, child: unknown) => {
    if (
      typeof child === 'number' &&
      (field === 'location' || field.includes('_list_') || field.endsWith('_location'))
    )
      return undefined;
    let inner = child;
    for (let cast = nodeOf(inner, 'TypeCast'); cast !== null; cast = nodeOf(inner, 'TypeCast'))
      inner = cast['arg'];
    const fields = names(nodeOf(inner, 'ColumnRef')?.['fields']);
    if (fields.length === 0) return inner;
    const { row } = inputsOf(inner, reach, restricts);
    return row.size > 0 ? { row: [...row] } : inner;
  });
}
