/**
 * Does the WHERE of an UPDATE or DELETE choose rows? `true`, `1 = 1`, `id = id`, `id IS NOT NULL` on a NOT NULL column, `id IN (SELECT id
 * FROM t)`, `… OR true` and whatever says nothing about the row itself admit every row: that is a missing WHERE.
 */
import type { Context } from '../lineage/context.ts';
import { canonical } from '../parse/digest.ts';
import type { RelationName, Tree } from '../parse/node.ts';
import {
  asList,
  asTree,
  literalText,
  names,
  nodeOf,
  qualified,
  relationName,
  unwrap,
} from '../parse/node.ts';
import type { CatalogColumn } from '../types.ts';

interface Target {
  readonly name: RelationName;
  /** null: the catalog does not know the table, so that any column may be its own. */
  readonly columns: ReadonlyMap<string, CatalogColumn> | null;
  /** Other names in FROM or USING for the very same table. */
  readonly twins: ReadonlySet<string>;
  /** Columns that a table in a subquery surely has. */
  readonly columnsOf: (name: RelationName) => readonly string[];
}

export function limits(statement: Tree, name: RelationName, context: Context): boolean {
  const where = statement['whereClause'];
  if (where === undefined || where === null) return false;
  const [relation, ...others] = context.env.resolve(name, context.resolution).relations;
  const known = relation !== undefined && others.length === 0;
  const twins = new Set<string>();
  for (const item of [...asList(statement['fromClause']), ...asList(statement['usingClause'])]) {
    const range = nodeOf(item, 'RangeVar');
    if (range === null) continue;
    const other = relationName(range);
    if (other.name === name.name && (other.schema ?? name.schema) === (name.schema ?? other.schema))
      twins.add(other.alias ?? other.name);
  }
  return chooses(where, true, {
    name,
    columns: known ? new Map(relation.columns.map((column) => [column.name, column])) : null,
    twins,
    columnsOf: (other) => {
      const found = context.env.resolve(other, context.resolution).relations;
      return found.length === 1 ? (found[0]?.columns.map((column) => column.name) ?? []) : [];
    },
  });
}

/** Operators that hold of a value and itself. */
const REFLEXIVE = new Set(['=', '<=', '>=', '~~', '~~*', '@>', '<@', '&&']);
const IRREFLEXIVE = new Set(['<>', '!=', '<', '>', '!~~', '!~~*']);
/** Patterns that every text matches. */
const ANYTHING = /^(?:%*|\.\*|\^|\$|\^\.\*\$?)$/u;

/** May it leave a row of the target out? `sense` false: of its negation. */
function chooses(value: unknown, sense: boolean, target: Target): boolean {
  const truth = constant(value);
  // `WHERE false` and `WHERE NULL` leave all out.
  if (truth !== undefined) return truth !== sense;
  if (!concerns(value, target)) return false;
  const wrapped = unwrap(value);
  if (wrapped === null) return true;
  const { kind, node } = wrapped;
  switch (kind) {
    case 'BoolExpr': {
      const args = asList(node['args']);
      if (node['boolop'] === 'NOT_EXPR') return chooses(args[0], !sense, target);
      const all = (node['boolop'] === 'AND_EXPR') === sense;
      const parts = args.map((arg) => chooses(arg, sense, target));
      return all ? parts.some(Boolean) : parts.every(Boolean);
    }
    case 'NullTest':
      return !(neverNull(node['arg'], target) && (node['nulltesttype'] === 'IS_NOT_NULL') === sense);
    case 'BooleanTest':
      switch (node['booltesttype']) {
        case 'IS_TRUE':
        case 'IS_NOT_FALSE':
          return chooses(node['arg'], sense, target);
        case 'IS_FALSE':
        case 'IS_NOT_TRUE':
          return chooses(node['arg'], !sense, target);
        default:
          return !(neverNull(node['arg'], target) && (node['booltesttype'] === 'IS_NOT_UNKNOWN') === sense);
      }
    case 'A_Expr':
      return !tautology(node, sense, target);
    case 'SubLink':
      return !(
        sense &&
        node['subLinkType'] === 'ANY_SUBLINK' &&
        wholeColumn(node['testexpr'], node['subselect'], target)
      );
    case 'CaseExpr': {
      const results = asList(node['args']).map((item) => nodeOf(item, 'CaseWhen')?.['result']);
      return [...results, node['defresult']].some(
        (result) => result === undefined || chooses(result, sense, target),
      );
    }
    case 'CoalesceExpr':
      return asList(node['args']).every((arg) => chooses(arg, sense, target));
    default:
      return true;
  }
}

function neverNull(value: unknown, target: Target): boolean {
  const column = own(value, target);
  return column !== null && target.columns?.get(column)?.notNull === true;
}

function tautology(node: Tree, sense: boolean, target: Target): boolean {
  const { name } = qualified(node['name']);
  const [left, right] = [node['lexpr'], node['rexpr']];
  switch (node['kind']) {
    case 'AEXPR_OP':
    case 'AEXPR_LIKE':
    case 'AEXPR_ILIKE': {
      if (same(left, right, target)) return (sense ? REFLEXIVE : IRREFLEXIVE).has(name);
      const pattern = literalText(right);
      const matches = sense ? ['~~', '~~*', '~', '~*'] : ['!~~', '!~~*', '!~', '!~*'];
      return (
        pattern !== null &&
        matches.includes(name) &&
        ANYTHING.test(pattern) &&
        (!name.includes('~~') || pattern.startsWith('%'))
      );
    }
    case 'AEXPR_NOT_DISTINCT':
      return sense && same(left, right, target);
    case 'AEXPR_DISTINCT':
      return !sense && same(left, right, target);
    case 'AEXPR_IN':
      return (
        sense === (name === '=') &&
        asList(nodeOf(right, 'List')?.['items'] ?? right).some((item) => same(left, item, target))
      );
    case 'AEXPR_OP_ANY': {
      if (!sense || name !== '=') return false;
      const link = nodeOf(right, 'SubLink');
      if (link !== null) return wholeColumn(left, link['subselect'], target);
      return asList(nodeOf(right, 'A_ArrayExpr')?.['elements']).some((item) => same(left, item, target));
    }
    case 'AEXPR_BETWEEN':
    case 'AEXPR_BETWEEN_SYM':
      return (
        sense && asList(nodeOf(right, 'List')?.['items'] ?? right).every((item) => same(left, item, target))
      );
    default:
      return false;
  }
}

/** The same expression, also through another name of the same table. */
function same(left: unknown, right: unknown, target: Target): boolean {
  if (left === undefined || right === undefined) return false;
  const [a, b] = [columnText(left, target), columnText(right, target)];
  if (a !== null || b !== null) return a === b;
  return canonical(left) === canonical(right);
}

/** A column of the target, by its bare name. */
function own(value: unknown, target: Target): string | null {
  const parts = names(nodeOf(value, 'ColumnRef')?.['fields']);
  const column = parts.at(-1);
  if (column === undefined || column === null) return null;
  const table = parts.at(-2);
  if (table === undefined) return target.columns === null || target.columns.has(column) ? column : null;
  return table === (target.name.alias ?? target.name.name) ? column : null;
}

function columnText(value: unknown, target: Target): string | null {
  const mine = own(value, target);
  if (mine !== null) return mine;
  const parts = names(nodeOf(value, 'ColumnRef')?.['fields']);
  const [table, column] = [parts.at(-2), parts.at(-1)];
  return typeof table === 'string' && typeof column === 'string' && target.twins.has(table) ? column : null;
}

/** `column IN (SELECT column FROM the same table)`, all of it. */
function wholeColumn(tested: unknown, query: unknown, target: Target): boolean {
  const select = nodeOf(query, 'SelectStmt');
  const [item, ...more] = asList(select?.['fromClause']);
  const range = nodeOf(item, 'RangeVar');
  if (select === null || range === null || more.length > 0) return false;
  for (const field of ['whereClause', 'havingClause', 'limitCount', 'limitOffset', 'groupClause'])
    if (select[field] !== undefined) return false;
  const other = relationName(range);
  if (other.name !== target.name.name) return false;
  const column = own(tested, target);
  const output = names(
    nodeOf(nodeOf(asList(select['targetList'])[0], 'ResTarget')?.['val'], 'ColumnRef')?.['fields'],
  );
  return column !== null && output.at(-1) === column;
}

/** Names that a subquery brings of its own. */
interface Inner {
  readonly tables: ReadonlySet<string>;
  readonly columns: ReadonlySet<string>;
}
const NO_INNER: Inner = { tables: new Set(), columns: new Set() };

/** Does it look at the target's row at all? */
function concerns(value: unknown, target: Target, inner: Inner = NO_INNER): boolean {
  if (Array.isArray(value)) return value.some((item) => concerns(item, target, inner));
  const tree = asTree(value);
  if (tree === null) return false;
  if (nodeOf(tree, 'CurrentOfExpr') !== null) return true;
  const ref = nodeOf(tree, 'ColumnRef');
  if (ref !== null) {
    const parts = names(ref['fields']);
    const [table, column] = [parts.at(-2), parts.at(-1)];
    if (typeof table === 'string') {
      return !inner.tables.has(table) && table === (target.name.alias ?? target.name.name);
    }
    if (column === undefined || column === null) return inner === NO_INNER;
    if (inner.columns.has(column)) return false;
    return SYSTEM.has(column) || column === target.name.name || own(tree, target) !== null;
  }
  const select = nodeOf(tree, 'SelectStmt');
  if (select !== null) return concerns(Object.values(select), target, within(select, target, inner));
  return Object.values(tree).some(
    (child) => typeof child === 'object' && child !== null && concerns(child, target, inner),
  );
}

/** Only tables of the catalog tell which columns they bring; a name that both may have is then the subquery's. */
function within(select: Tree, target: Target, outer: Inner): Inner {
  const tables = new Set(outer.tables);
  const columns = new Set(outer.columns);
  for (const item of asList(select['fromClause'])) {
    const range = nodeOf(item, 'RangeVar');
    if (range === null) continue;
    const name = relationName(range);
    tables.add(name.alias ?? name.name);
    if (name.aliasColumns.length === 0) for (const column of target.columnsOf(name)) columns.add(column);
  }
  return { tables, columns };
}
const SYSTEM = new Set(['ctid', 'xmin', 'xmax', 'tableoid', 'cmin', 'cmax']);

/** The truth of a constant expression: undefined when it is none that can be told; null is as good as false. */
function constant(value: unknown): boolean | null | undefined {
  const wrapped = unwrap(value);
  if (wrapped === null) return undefined;
  const { kind, node } = wrapped;
  switch (kind) {
    case 'A_Const': {
      if (node['isnull'] === true) return null;
      const text = literalText(value);
      return text === null ? undefined : /^(?:t|tr|tru|true|y|yes|on|1)$/i.test(text);
    }
    case 'TypeCast':
      return qualified(asTree(node['typeName'])?.['names']).name === 'bool'
        ? constant(node['arg'])
        : undefined;
    case 'BoolExpr': {
      const parts = asList(node['args']).map(constant);
      if (node['boolop'] === 'NOT_EXPR')
        return parts[0] === undefined || parts[0] === null ? parts[0] : !parts[0];
      const decisive = node['boolop'] === 'OR_EXPR';
      if (parts.includes(decisive)) return decisive;
      return parts.includes(undefined) ? undefined : parts.includes(null) ? null : !decisive;
    }
    case 'A_Expr': {
      if (node['kind'] !== 'AEXPR_OP') return undefined;
      const [a, b] = [number(node['lexpr']), number(node['rexpr'])];
      const { name } = qualified(node['name']);
      if (a !== null && b !== null) return COMPARE[name]?.(a, b);
      const text = literalText(node['lexpr']);
      return name === '=' && text !== null && text === literalText(node['rexpr']) ? true : undefined;
    }
    default:
      return undefined;
  }
}

const COMPARE: Readonly<Record<string, (a: number, b: number) => boolean>> = {
  '=': (a, b) => a === b,
  '<>': (a, b) => a !== b,
  '<': (a, b) => a < b,
  '>': (a, b) => a > b,
  '<=': (a, b) => a <= b,
  '>=': (a, b) => a >= b,
};

/** A bare number: with a cast it may mean anything. */
function number(value: unknown): number | null {
  const node = nodeOf(value, 'A_Const');
  if (node === null || (node['ival'] === undefined && node['fval'] === undefined)) return null;
  return Number(literalText(value));
}
