/**
 * Output columns of a query, and what the number of its rows tells. What is worked out is a use, read or not; a column handed on as it is
 * and read by nobody is none: `SELECT count(*) FROM (SELECT * FROM customers) s`.
 */

import { MAX_CONSTANTS } from '../facts/collector.ts';
import type { Tree } from '../parse/node.ts';
import { asList, asText, asTree, bare, names, nodeOf, qualified, unwrap } from '../parse/node.ts';
import { arrange, madeBy, relate } from './compare.ts';
import type { Context } from './context.ts';
import { TooComplex } from './context.ts';
import type { Column, Deps, Shape, Tagged } from './deps.ts';
import { adding, counted, counting, lookup, merge, NONE, rename, union, whole } from './deps.ts';
import { arrangeBy, expression, inItem, predicate, windowOf } from './expression.ts';
import { from } from './from.ts';
import { clearPositions } from './literals.ts';
import { modification } from './modify.ts';
import { partOf, rowValue } from './row.ts';
import type { Ctes, Scope, Source } from './scope.ts';
import { scopeOf, sourceNamed } from './scope.ts';
import { isWhole } from './whole.ts';

const EMPTY: Shape = { columns: [], open: null };
/** It may have any column, and carries nothing yet. */
const UNKNOWN: Shape = { columns: [], open: () => NONE };

/** Each takes what a recursive query's columns carry one further: more than anybody writes. */
const MAX_ROUNDS = 100;
/** PostgreSQL has no more in a target list. */
const MAX_COLUMNS = 1_664;

export function select(node: Tree, parent: Scope | null, context: Context): Shape {
  if (--context.work.left < 0) throw new TooComplex();
  const outer = scopeOf([], parent, withQueries(node, parent, context));
  if (asText(node['op']) !== 'SETOP_NONE' && node['larg'] !== undefined) {
    const left = arm(node['larg'], outer, context);
    const right = arm(node['rarg'], outer, context);
    const merged = merge(left, right);
    // Rows without a source are those of the query itself.
    const made = constantArms(node) > MAX_CONSTANTS ? madeBy(node) : NONE;
    const shape = counted(merged).size > 0 ? widened(merged, made) : counting(merged, madeBy(node));
    // Rows are found by comparing, duplicates too.
    if (node['all'] !== true || node['op'] !== 'SETOP_UNION') {
      context.out.use('predicate', whole(shape));
      arrange(whole(shape), context);
      left.columns.forEach((column, i) => {
        const other = right.columns[i]?.deps ?? whole(right);
        relate(column.deps, other, 'equality', context);
      });
      if (left.open !== null) relate(whole(left), whole(right), 'equality', context);
    }
    ordering(node, shape, outer, context);
    return shape;
  }
  if (Array.isArray(node['valuesLists'])) {
    const lists = node['valuesLists'];
    const values = valuesShape(lists, outer, context);
    // One row is a set of constants.
    const shape = lists.length > 1 ? counting(values, madeBy(node)) : values;
    ordering(node, shape, outer, context);
    return shape;
  }
  // Locks of rows can be looked up.
  const locked = node['lockingClause'] !== undefined;
  const choosing: Context = locked ? { ...context, marks: 'any' } : context;
  const items = from(node['fromClause'], outer, choosing);
  const scope = scopeOf(items.sources, outer);
  predicate(node['whereClause'], scope, choosing);
  const listed = targets(node['targetList'], scope, items.star, context);
  const shape = counting(listed, union(...items.sources.map(countOf), madeRows(listed)));
  // Plain DISTINCT compares every column of the output.
  if (Array.isArray(node['distinctClause'])) distinct(node['distinctClause'], shape, context);
  for (const item of asList(node['windowClause'])) windowOf(item, scope, context);
  predicate(node['havingClause'], scope, context);
  ordering(node, shape, scope, context);
  if (locked) context.out.use('value', counted(shape));
  return chosen(shape, context);
}

/** Queries of it that read nothing. */
function constantArms(node: Tree): number {
  if (node['larg'] === undefined) return node['fromClause'] === undefined ? 1 : 0;
  return constantArms(asTree(node['larg']) ?? {}) + constantArms(asTree(node['rarg']) ?? {});
}

/** With rows that the statement makes. */
const widened = (shape: Shape, made: Deps): Shape => ({
  ...shape,
  columns: shape.columns.map((column) => adding(column, made)),
  count: union(counted(shape), made),
});

/** Of a recursion, only what goes on counts as going on. */
function arm(value: unknown, scope: Scope, context: Context): Shape {
  const stays = context.loop && !mentions(value, context.loop.query);
  return select(bare(value, 'SelectStmt') ?? {}, scope, stays ? { ...context, loop: null } : context);
}

/** Rows that were chosen by comparing them with a tagged column: what is in them tells it. */
function chosen(shape: Shape, { out }: Context): Shape {
  const tags = out.related.tagsTold(counted(shape));
  return { ...shape, columns: shape.columns.map((column) => adding(column, tags)) };
}

function distinct(clause: readonly unknown[], shape: Shape, context: Context): void {
  if (clause.some((item) => unwrap(item) !== null)) return;
  context.out.use('predicate', whole(shape));
  arrange(whole(shape), context);
  for (const { deps } of shape.columns) relate(deps, NONE, 'order', context);
}

/** GROUP BY, ORDER BY and DISTINCT ON may name an output column; LIMIT may not. */
function ordering(node: Tree, shape: Shape, scope: Scope, context: Context): void {
  const withOutput = scopeOf(
    [...scope.sources, { alias: null, schema: null, shape }],
    scope.parent,
    scope.ctes,
  );
  for (const field of ['groupClause', 'sortClause', 'distinctClause']) {
    if (node[field] === undefined) continue;
    predicate(node[field], withOutput, context);
    for (const item of asList(node[field])) kept(item, withOutput, context);
    clearPositions(asList(node[field]), context);
    for (const item of asList(node[field])) positional(item, shape, context);
  }
  for (const field of ['limitCount', 'limitOffset']) {
    if (node[field] === undefined) continue;
    // The number of rows tells it.
    context.out.use('value', expression(node[field], scope, context));
    clearPositions([node[field]], context);
  }
}

/** What rows are sorted or grouped by is kept with them. */
function kept(item: unknown, scope: Scope, context: Context): void {
  const value = nodeOf(item, 'SortBy')?.['node'] ?? item;
  arrangeBy(item, scope, context);
  if (nodeOf(value, 'ColumnRef') === null) context.out.sized(expression(value, scope, context));
}

const countOf = ({ shape }: Source): Deps => counted(shape);

/** Functions in the target list that return sets. */
function madeRows(shape: Shape): Deps {
  const made = [...whole(shape)].filter(({ kind }) => kind === 'made');
  return made.length === 0 ? NONE : new Set(made);
}

/** `ORDER BY 2` */
function positional(item: unknown, shape: Shape, context: Context): void {
  const constant = nodeOf(nodeOf(item, 'SortBy')?.['node'] ?? item, 'A_Const');
  const at = asTree(constant?.['ival'])?.['ival'];
  if (typeof at !== 'number') return;
  const deps = shape.columns[at - 1]?.deps ?? shape.open?.(null) ?? NONE;
  context.out.use('predicate', deps);
  arrange(deps, context);
}

export function valuesShape(lists: readonly unknown[], scope: Scope, context: Context): Shape {
  const columns: Column[] = [];
  for (const list of lists) {
    asList(nodeOf(list, 'List')?.['items']).forEach((item, i) => {
      const deps = expression(item, scope, context);
      context.out.evaluated(deps);
      context.out.sized(deps);
      columns[i] = { name: `column${i + 1}`, deps: union(columns[i]?.deps ?? NONE, deps) };
    });
  }
  return { columns, open: null };
}

/** A target list or RETURNING list. `star` is what `*` stands for. */
export function targets(list: unknown, scope: Scope, star: Shape, context: Context): Shape {
  const columns: Column[] = [];
  let open: Shape['open'] = null;
  const expand = (shape: Shape): void => {
    columns.push(...shape.columns);
    if (columns.length > MAX_COLUMNS) throw new TooComplex();
    if (shape.open === null) return;
    const before = open;
    const inner = shape.open;
    open = before === null ? inner : (name) => union(before(name), inner(name));
  };
  for (const item of asList(list)) {
    const target = nodeOf(item, 'ResTarget');
    if (target === null) continue;
    const value = target['val'];
    const stars = starOf(value, scope, star, context);
    if (stars !== null) {
      expand(stars);
      continue;
    }
    const deps = expression(value, scope, inItem(value, context));
    if (nodeOf(value, 'ColumnRef') === null) {
      context.out.evaluated(deps);
      context.out.sized(deps);
      if (!isWhole(value)) context.out.taken(deps);
    }
    columns.push({
      name: asText(target['name']) || figureName(value),
      deps,
      row: rowValue(value, scope, context)?.row ?? null,
    });
  }
  return { columns, open };
}

/** `*`, `t.*`, `schema.t.*`, `(row).*`; null when it is none of them. */
function starOf(value: unknown, scope: Scope, star: Shape, context: Context): Shape | null {
  const ref = nodeOf(value, 'ColumnRef');
  if (ref !== null) {
    const parts = names(ref['fields']);
    if (parts.at(-1) !== null || nodeOf(asList(ref['fields']).at(-1), 'A_Star') === null) return null;
    if (parts.length === 1) return star;
    const source = sourceNamed(
      parts.slice(0, -1).map((part) => part ?? ''),
      scope,
    );
    if (source !== null) return source.shape;
    const all = expression(value, scope, context);
    return { columns: [], open: () => all };
  }
  const path = nodeOf(value, 'A_Indirection');
  if (path === null || nodeOf(asList(path['indirection']).at(-1), 'A_Star') === null) return null;
  const arg = { A_Indirection: { ...path, indirection: asList(path['indirection']).slice(0, -1) } };
  const row = partOf(arg, scope, context)?.row ?? null;
  if (row !== null) return row;
  const all = expression(arg, scope, context);
  return { columns: [], open: () => all };
}

/** The name PostgreSQL gives an unnamed output column (FigureColname). A wrong guess only makes lookups more careful. */
function figureName(value: unknown): string {
  const wrapped = unwrap(value);
  if (wrapped === null) return '?column?';
  const { kind, node } = wrapped;
  switch (kind) {
    case 'ColumnRef':
      return names(node['fields']).at(-1) ?? '?column?';
    case 'FuncCall':
      return qualified(node['funcname']).name;
    case 'A_Indirection':
      return names(node['indirection']).findLast((name) => name !== null) ?? figureName(node['arg']);
    case 'TypeCast': {
      const inner = figureName(node['arg']);
      return inner === '?column?' ? qualified(asTree(node['typeName'])?.['names']).name : inner;
    }
    case 'CollateClause':
      return figureName(node['arg']);
    case 'SubLink': {
      if (node['subLinkType'] === 'EXISTS_SUBLINK') return 'exists';
      if (node['subLinkType'] === 'ARRAY_SUBLINK') return 'array';
      const [first] = asList(nodeOf(node['subselect'], 'SelectStmt')?.['targetList']);
      const target = nodeOf(first, 'ResTarget');
      return target === null ? '?column?' : asText(target['name']) || figureName(target['val']);
    }
    case 'CoalesceExpr':
      return 'coalesce';
    case 'CaseExpr': {
      const inner = figureName(node['defresult']);
      return inner === '?column?' ? 'case' : inner;
    }
    case 'A_ArrayExpr':
      return 'array';
    case 'RowExpr':
      return 'row';
    case 'MinMaxExpr':
      return node['op'] === 'IS_LEAST' ? 'least' : 'greatest';
    default:
      return '?column?';
  }
}

/** WITH queries of a statement, on top of those it can already see. */
export function withQueries(node: Tree, parent: Scope | null, context: Context): Ctes | null {
  let ctes = parent?.ctes ?? null;
  const clause = bare(node['withClause'], 'WithClause');
  if (clause === null) return ctes;
  const recursive = clause['recursive'] === true;
  const queries = asList(clause['ctes']).map((item) => nodeOf(item, 'CommonTableExpr') ?? {});
  if (recursive) {
    // Later ones may be named by earlier ones too: the first round finds their columns, the others what those carry, until nothing grows.
    let shapes = queries.map(() => UNKNOWN);
    const loops = queries.map((query) => {
      const name = asText(query['ctename']);
      return mentions(query['ctequery'], name) ? { query: name, compared: new Set<Tagged>() } : null;
    });
    for (let round = 0; ; round++) {
      if (round > MAX_ROUNDS) throw new TooComplex();
      let seen = ctes;
      queries.forEach((query, i) => {
        seen = { name: asText(query['ctename']), shape: shapes[i] ?? EMPTY, next: seen };
      });
      const next = queries.map((query, i) => {
        const loop = loops[i] ?? context.loop ?? null;
        return cteShape(query, scopeOf([], parent, seen), { ...context, loop });
      });
      const stable = round > 0 && next.every((shape, i) => sameSize(shape, shapes[i] ?? EMPTY));
      shapes = next.map(round === 0 ? emptied : settled);
      if (stable) break;
    }
    queries.forEach((query, i) => {
      ctes = {
        name: asText(query['ctename']),
        shape: rounds(shapes[i] ?? EMPTY, loops[i]?.compared),
        next: ctes,
      };
    });
    return ctes;
  }
  for (const query of queries) {
    const shape = cteShape(query, scopeOf([], parent, ctes), context);
    ctes = { name: asText(query['ctename']), shape, next: ctes };
  }
  return ctes;
}

/** Does it read a relation of that name? */
function mentions(query: unknown, name: string): boolean {
  return JSON.stringify(query ?? null).includes(`"relname":${JSON.stringify(name)}`);
}

/** How many there are tells what it carries from one to the next and compares there. */
function rounds(shape: Shape, loop: ReadonlySet<Tagged> | undefined): Shape {
  const tags = [...whole(shape)].filter((dep) => dep.kind === 'tagged' && loop?.has(dep) === true);
  const count = new Set(tags);
  return {
    ...shape,
    columns: shape.columns.map((column) => adding(column, count)),
    count: union(counted(shape), count),
  };
}

function emptied({ columns }: Shape): Shape {
  return { columns: columns.map(({ name }) => ({ name, deps: NONE })), open: null };
}

/** What the round found, not how: the next one starts from it. */
function settled(shape: Shape): Shape {
  const all = shape.open?.(null) ?? NONE;
  return { ...shape, open: shape.open && (() => all) };
}

function sameSize(a: Shape, b: Shape): boolean {
  return (
    a.columns.length === b.columns.length &&
    whole(a).size === whole(b).size &&
    a.columns.every((column, i) => {
      const other = b.columns[i];
      return (
        column.deps.size === other?.deps.size &&
        (!column.row || !other.row || sameSize(column.row, other.row))
      );
    })
  );
}

function cteShape(query: Tree, scope: Scope, context: Context): Shape {
  const wrapped = unwrap(query['ctequery']);
  if (wrapped === null) return EMPTY;
  const inner =
    wrapped.kind === 'SelectStmt'
      ? select(wrapped.node, scope, context)
      : modification(wrapped.kind, wrapped.node, scope, context);
  const shape = rename(
    inner,
    names(query['aliascolnames']).map((name) => name ?? ''),
  );
  const search = asTree(query['search_clause']);
  const cycle = asTree(query['cycle_clause']);
  if (search === null && cycle === null) return shape;
  // SEARCH and CYCLE add columns made of those they list.
  const made = (column: unknown, list: unknown): Column[] =>
    column === undefined
      ? []
      : [
          {
            name: asText(column),
            deps: union(...names(list).map((name) => lookup(shape, name ?? '') ?? whole(shape))),
          },
        ];
  return {
    ...shape,
    columns: [
      ...shape.columns,
      ...made(search?.['search_seq_column'], search?.['search_col_list']),
      ...made(cycle?.['cycle_mark_column'], cycle?.['cycle_col_list']),
      ...made(cycle?.['cycle_path_column'], cycle?.['cycle_col_list']),
    ],
  };
}
