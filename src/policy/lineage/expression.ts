/** What an expression may carry, and what it only compares. */
import { MAX_CONSTANTS } from '../facts/collector.ts';
import { operatorsAt } from '../operands/apply.ts';
import type { Tree } from '../parse/node.ts';
import { asList, asTree, names, nodeOf, qualified, splitName, unwrap } from '../parse/node.ts';
import type { CatalogFunction } from '../types.ts';
import { arrange, type Comparing, comparingBy, counts, inIndexOrder, madeBy, relate } from './compare.ts';
import type { Context } from './context.ts';
import { calledCounts, calledDeps, functionSummary } from './definitions.ts';
import type { Deps } from './deps.ts';
import { isMade, isTagged, NONE, originsOnly, tagsOnly, union, whole } from './deps.ts';
import { tellsEach } from './failing.ts';
import { argumentDeps, attributesRead, returnsSet } from './functions.ts';
import { clearLiterals } from './literals.ts';
import { elementsOf, inAll, indirection } from './row.ts';
import type { Scope, Source } from './scope.ts';
import {
  countsIn,
  countsOf,
  everything,
  parameters,
  resolveName,
  resolveQualified,
  sourceNamed,
} from './scope.ts';
import { select } from './select.ts';
import { AGGREGATES, BY_ROW, CARRYING_FUNCTIONS, carries, looksUp, REVEALING_FUNCTIONS } from './system.ts';
import { isWhole } from './whole.ts';

const COMPARISONS = new Set([
  '=',
  '<>',
  '!=',
  '<',
  '<=',
  '>',
  '>=',
  '~~',
  '!~~',
  '~~*',
  '!~~*',
  '~',
  '!~',
  '~*',
  '!~*',
  '^@',
  '@>',
  '<@',
  '&&',
  '?',
  '?|',
  '?&',
  '@@',
  'BETWEEN',
  'NOT BETWEEN',
  'BETWEEN SYMMETRIC',
  'NOT BETWEEN SYMMETRIC',
]);
/** The server takes none but operators that return boolean here. */
const BOOLEAN_KINDS = new Set([
  'AEXPR_OP_ANY',
  'AEXPR_OP_ALL',
  'AEXPR_DISTINCT',
  'AEXPR_NOT_DISTINCT',
  'AEXPR_IN',
  'AEXPR_BETWEEN',
  'AEXPR_NOT_BETWEEN',
  'AEXPR_BETWEEN_SYM',
  'AEXPR_NOT_BETWEEN_SYM',
]);

export function expression(value: unknown, scope: Scope, context: Context): Deps {
  if (Array.isArray(value)) {
    let deps: Deps = NONE;
    for (const item of value) deps = union(deps, expression(item, scope, context));
    return deps;
  }
  const wrapped = unwrap(value);
  if (wrapped !== null) return ofKind(wrapped.kind, wrapped.node, scope, context);
  const tree = asTree(value);
  if (tree === null) return NONE;
  if (Array.isArray(tree['funcname'])) return call(tree, scope, context);
  return children(tree, scope, context);
}

/** Evaluates for its comparisons; what is left over was looked at, not put out. Items of a list, and of AND, have nothing to do with each other. */
export function predicate(value: unknown, scope: Scope, context: Context): void {
  if (value === undefined) return;
  const both = nodeOf(value, 'BoolExpr');
  const items = Array.isArray(value) ? value : both?.['boolop'] === 'AND_EXPR' ? asList(both['args']) : null;
  if (items !== null) {
    for (const item of items) predicate(item, scope, context);
    return;
  }
  const deps = expression(value, scope, inItem(value, context));
  context.out.use('predicate', deps);
  counts(value, [value, null], deps, NONE, context);
  relate(deps, NONE, 'order', context);
}

/** Its comparisons are parts of this. */
export const inItem = (value: unknown, context: Context): Context => ({
  ...context,
  item: { value, around: context.item ?? null },
});

function ofKind(kind: string, node: Tree, scope: Scope, context: Context): Deps {
  switch (kind) {
    case 'ColumnRef':
      return column(node, scope, context);
    case 'A_Const':
    case 'TypeName':
      return NONE;
    case 'ParamRef':
      return context.inBody ? parameters(context) : NONE;
    case 'A_Expr':
      return operator(node, scope, context);
    case 'NullTest':
      predicate(node['arg'], scope, context);
      return NONE;
    case 'SubLink':
      return subLink(node, scope, context);
    case 'FuncCall':
      return call(node, scope, context);
    case 'CaseExpr': {
      const arg = node['arg'] === undefined ? null : expression(node['arg'], scope, context);
      let deps = expression(node['defresult'], scope, context);
      for (const item of asList(node['args'])) {
        const when = nodeOf(item, 'CaseWhen');
        if (arg === null) predicate(when?.['expr'], scope, context);
        else {
          const expr = expression(when?.['expr'], scope, context);
          compare(node, arg, expr, 'equality', context);
          counts(item, [node['arg'], when?.['expr']], arg, expr, context);
        }
        deps = union(deps, expression(when?.['result'], scope, context));
      }
      return deps;
    }
    case 'A_Indirection':
      return indirection(node, scope, context);
    case 'SelectStmt':
      return whole(select(node, scope, context));
    case 'JsonArrayAgg':
    case 'JsonObjectAgg':
      return jsonAggregate(node, scope, context);
    default:
      return children(node, scope, context);
  }
}

/** A node this file has no opinion on carries what its parts carry. */
export function children(node: Tree, scope: Scope, context: Context): Deps {
  let deps: Deps = NONE;
  for (const field in node) {
    const child = node[field];
    if (typeof child === 'object' && child !== null) deps = union(deps, expression(child, scope, context));
  }
  return deps;
}

function column(node: Tree, scope: Scope, context: Context): Deps {
  const fields = asList(node['fields']);
  const parts = names(fields);
  const last = parts.at(-1);
  const known = parts.filter((part) => part !== null);
  if (last === undefined) return NONE;
  // `t.*` inside an expression, as in row(t.*) or count(t.*)
  if (last === null) {
    const source = sourceNamed(known, scope);
    return source === null ? resolveName(known.at(-1) ?? '', scope, context) : whole(source.shape);
  }
  if (known.length === 1) return resolveName(last, scope, context);
  const source = sourceNamed(known.slice(0, -1), scope);
  return (
    (source && resolveQualified(source, last)) ??
    attribute(last, source, known.at(-2) ?? '', node, scope, context)
  );
}

/** `table.f`, where the table has no column f: f(table). */
function attribute(
  name: string,
  source: Source | null,
  row: string,
  node: Tree,
  scope: Scope,
  context: Context,
): Deps {
  const read = source && attributesRead(name, source.rows ?? source.shape, context);
  if (read !== null) return called(node, null, name, read, scope, context);
  if (source !== null || !context.inBody) context.out.unresolved = true;
  const all =
    source !== null
      ? whole(source.shape)
      : context.inBody
        ? parameters(context, row, name)
        : everything(scope);
  return called(node, null, name, all, scope, context);
}

function operator(node: Tree, scope: Scope, context: Context): Deps {
  const left = expression(node['lexpr'], scope, context);
  const right = expression(node['rexpr'], scope, context);
  const { schema, name } = qualified(node['name']);
  const kind = typeof node['kind'] === 'string' ? node['kind'] : '';
  if (kind === 'AEXPR_NULLIF') {
    // Its operator is `=`, its result the left side.
    compare(node, NONE, right, 'equality', context);
    relate(left, right, tellsEach(node, context.item ?? null) ? 'order' : 'equality', context);
    return left;
  }
  const both = union(left, right);
  const behind = operatorsAt(node, schema, name, context).flatMap(({ calls }) => calls);
  const called = behind.flatMap((full) => context.env.functionsNamed(...splitName(full), context.resolution));
  given(called, both, context);
  if (behind.some(carries)) context.out.use('value', both);
  // As a function in the target list.
  if (called.some(({ set }) => set !== false)) {
    context.out.use('value', tagsOnly(both));
    return union(both, madeBy(node));
  }
  const compares =
    BOOLEAN_KINDS.has(kind) || (COMPARISONS.has(name) && isBoolean(schema, name, node, context));
  if (!compares || node['lexpr'] === undefined) return both;
  compare(node, left, right, comparingBy(name), context);
  counts(node, [node['lexpr'], node['rexpr']], left, right, context);
  if (!isTagged(left) && !isTagged(right)) clearLiterals([node['lexpr'], node['rexpr']], context);
  return NONE;
}

/** What is compared was looked at, not put out; what it is compared with may tell it. */
function compare(node: Tree, left: Deps, right: Deps, by: Comparing, context: Context): void {
  const both = union(left, right);
  context.out.use('predicate', both);
  if (by === 'order') context.out.ranged(both);
  // An index that is walked for it puts rows out in its order.
  if (walksIndex(node, by)) inIndexOrder(both, context);
  relate(left, right, tellsEach(node, context.item ?? null) ? 'order' : by, context);
}

function walksIndex(node: Tree, by: Comparing): boolean {
  if (node['kind'] === 'AEXPR_OP_ANY' || node['subLinkType'] === 'ANY_SUBLINK') return true;
  if (node['kind'] === 'AEXPR_IN')
    return asList(nodeOf(node['rexpr'], 'List')?.['items']).length > MAX_CONSTANTS;
  return by === 'order' && !UNORDERED.has(qualified(node['name']).name);
}

/** No index puts rows in order for these. */
const UNORDERED: ReadonlySet<string> = new Set(
  '~~* !~~ !~~* !~ ~* !~* ? ?| ?& @@'.split(' ').concat('NOT BETWEEN', 'NOT BETWEEN SYMMETRIC'),
);

/** An operator is what it returns: users may give any name to one that returns text, and `tsquery && tsquery` is a tsquery. */
function isBoolean(schema: string | null, name: string, node: Tree, context: Context): boolean {
  if (operatorsAt(node, schema, name, context).some(({ gives }) => gives === 'value')) return false;
  return name !== '&&' || [node['lexpr'], node['rexpr']].some(isArray);
}

/** The other side is an array then, too. */
function isArray(value: unknown): boolean {
  if (nodeOf(value, 'A_ArrayExpr') !== null) return true;
  return asTree(nodeOf(value, 'TypeCast')?.['typeName'])?.['arrayBounds'] !== undefined;
}

/** What a function's body compares its parameters with, it compares these with. */
function given(functions: readonly CatalogFunction[], deps: Deps, context: Context): void {
  for (const fn of functions) {
    const parameter = context.env.parameters(fn.oid);
    const facts = functionSummary(fn, context)?.facts;
    if (facts?.related.has(parameter) === true) relate(deps, parameter, 'order', context);
    // It is handed on to what carries it, or decides how many rows there are.
    if (facts?.tells(parameter) === true) context.out.use('value', deps);
  }
}

function subLink(node: Tree, scope: Scope, context: Context): Deps {
  const test = expression(node['testexpr'], scope, context);
  const statement = nodeOf(node['subselect'], 'SelectStmt');
  if (statement === null) return expression(node['subselect'], scope, context);
  const shape = select(statement, scope, context);
  switch (node['subLinkType']) {
    case 'EXISTS_SUBLINK':
      // EXISTS looks at no column: `EXISTS (SELECT * …)` is not a use.
      for (const item of asList(statement['targetList']))
        clearIfNumber(nodeOf(item, 'ResTarget')?.['val'], context);
      return NONE;
    case 'ANY_SUBLINK':
    case 'ALL_SUBLINK': {
      const operator = node['operName'] === undefined ? '=' : qualified(node['operName']).name;
      compare(node, test, whole(shape), comparingBy(operator), context);
      counts(node, [node['testexpr'], null], test, whole(shape), context);
      return NONE;
    }
    default:
      return whole(shape);
  }
}

export function clearIfNumber(value: unknown, context: Context): void {
  const constant = nodeOf(value, 'A_Const');
  if (constant !== null && constant['sval'] === undefined) context.cleared.add(constant);
}

function call(node: Tree, scope: Scope, context: Context): Deps {
  const { schema, name } = qualified(node['funcname']);
  let args = argumentDeps(node, scope, context);
  predicate(node['agg_filter'], scope, context);
  if (node['agg_within_group'] === true) args = union(args, expression(node['agg_order'], scope, context));
  else sorted(node['agg_order'], scope, context);
  windowOf(node['over'], scope, context);
  return called(node, schema, name, args, scope, context);
}

/** `args`: what it is given. */
export function called(
  node: Tree,
  schema: string | null,
  name: string,
  args: Deps,
  scope: Scope,
  context: Context,
): Deps {
  const custom = context.env.functionsNamed(schema, name, context.resolution);
  const recalled = custom.length === 0 && RECALLING.has(name);
  let deps = recalled ? union(args, context.env.known('what the session keeps')) : args;
  given(custom, deps, context);
  if (custom.length === 0 && name === 'count') {
    context.out.use('predicate', deps);
    counts(node, [node['args'], null], deps, NONE, context);
    relate(deps, NONE, 'order', context);
    return union(countsOf(scope), numberedBy(node['over'], scope, context));
  }
  // How far it looks, and in how many parts, is told by what is counted.
  if (custom.length === 0 && node['over'] !== undefined && LOOKING.has(name))
    context.out.use(
      'value',
      expression(asList(node['args']).slice(name === 'ntile' ? 0 : 1), scope, context),
    );
  // Made of no column, it tells the number of rows.
  if (node['over'] !== undefined || AGGREGATES.has(name))
    deps = isMade(deps) ? union(deps, countsOf(scope)) : deps;
  // Its number among them is one for each of what they are ordered by.
  deps = union(deps, numberedBy(node['over'], scope, context));
  if (returnsSet(schema, name, context)) {
    // How many rows it makes is decided by what it is given.
    const row = elementsOf(node, scope, context);
    context.out.use('value', tagsOnly(row === null ? deps : inAll(row)));
    const made = madeBy(node);
    context.out.related.join(union(made, calledCounts(schema, name, context)));
    deps = union(deps, made);
  }
  // The value leaves here, wherever the call stands: in a predicate, under EXPLAIN ANALYZE.
  if (CARRYING_FUNCTIONS.has(name)) context.out.use('value', deps);
  if (custom.length === 0 && looksUp(name)) context.out.use('value', args);
  if (REVEALING_FUNCTIONS.has(name) || name.startsWith('pg_stat_get_xact_'))
    deps = union(deps, context.env.everyTag('pg_catalog', name, '*'));
  deps = union(deps, calledDeps(schema, name, context));
  if (changesByRow(schema, name, custom, context) || CARRYING_FUNCTIONS.has(name)) {
    // How often it was asked is told by what it gives next.
    context.out.use('value', countsIn(scope));
    deps = union(deps, countsIn(scope));
    if (COUNTED.has(name) || CARRYING_FUNCTIONS.has(name)) countSteps(scope, context);
  }
  for (const fn of custom) {
    if (fn.supports?.some(carries)) context.out.use('value', deps);
    const facts = functionSummary(fn, context)?.facts;
    for (const one of facts?.compared() ?? []) context.out.comparedAt(one, node);
    // How often it was called is told by what it has written.
    if (facts?.writes === true) countSteps(scope, context);
  }
  if (custom.length === 0 && !isTagged(deps) && hasColumn(node['args']))
    clearLiterals(asList(node['args']), context);
  return deps;
}

/** How often it runs is found out afterwards, and may be while it goes on. */
function countSteps(scope: Scope, { out }: Context): void {
  out.countsSteps = true;
  out.countsRows ||= countsIn(scope).size > 0;
}

/** Another value for each row: compared with it, the number of rows tells what is compared. */
function changesByRow(
  schema: string | null,
  name: string,
  custom: readonly CatalogFunction[],
  context: Context,
): boolean {
  if (custom.length === 0) return (schema === null || schema === 'pg_catalog') && BY_ROW.has(name);
  return custom.some((fn) =>
    [...(functionSummary(fn, context)?.facts.functions ?? [])].some((full) => {
      const [within, called] = splitName(full);
      return within === 'pg_catalog' && BY_ROW.has(called);
    }),
  );
}

/** How often they were called can be found out: where a search stopped that called them. */
const COUNTED: ReadonlySet<string> = new Set(['nextval', 'random', 'random_normal']);

/** They give what the session has put there, by the same statement too. */
const RECALLING: ReadonlySet<string> = new Set(['current_setting', 'set_config', 'currval', 'lastval']);

/** Window functions that are given how many rows. */
const LOOKING: ReadonlySet<string> = new Set(['lag', 'lead', 'nth_value', 'ntile']);

/** A window: its bounds decide which rows are counted. */
export function windowOf(value: unknown, scope: Scope, context: Context): void {
  const window = nodeOf(value, 'WindowDef') ?? asTree(value);
  if (window === null) return;
  for (const field in window) {
    if (field === 'startOffset' || field === 'endOffset') {
      context.out.use('value', expression(window[field], scope, context));
      // So far from a value are these: rows are compared by what lies between.
      if (isRange(window))
        context.out.use('value', tagsOnly(expression(window['orderClause'], scope, context)));
      // The window that it goes on from has the order.
      if (isRange(window) && window['refname'] !== undefined) context.out.framed = true;
    } else sorted(window[field], scope, context);
  }
}

const FRAME_RANGE = 2;
const isRange = ({ frameOptions }: Tree): boolean =>
  typeof frameOptions !== 'number' || (frameOptions & FRAME_RANGE) !== 0;

/** The untagged columns that a window orders its rows by; where it is defined elsewhere, or orders none, all of them. */
function numberedBy(value: unknown, scope: Scope, context: Context): Deps {
  const window = nodeOf(value, 'WindowDef') ?? asTree(value);
  if (window === null) return NONE;
  const by = [...asList(window['partitionClause']), ...asList(window['orderClause'])];
  if (by.length > 0) return originsOnly(expression(by, scope, context));
  return originsOnly(union(...scope.sources.map(({ shape }) => whole(shape))));
}

/** ORDER BY and PARTITION BY of an aggregate or a window. */
function sorted(list: unknown, scope: Scope, context: Context): void {
  predicate(list, scope, context);
  for (const item of asList(list)) arrangeBy(item, scope, context);
}

/** Rows are put in order, or into groups, by this. A part of a tagged column tells it by the group. */
export function arrangeBy(item: unknown, scope: Scope, context: Context): void {
  const value = nodeOf(item, 'SortBy')?.['node'] ?? item;
  const deps = expression(value, scope, context);
  if (!isWhole(value)) context.out.taken(deps);
  arrange(deps, context);
}

/** As any aggregate: its ORDER BY, FILTER and window choose, they are not put out. */
function jsonAggregate(node: Tree, scope: Scope, context: Context): Deps {
  const { constructor: made, ...args } = node;
  const { agg_order, agg_filter, over, ...rest } = asTree(made) ?? {};
  predicate(agg_filter, scope, context);
  sorted(agg_order, scope, context);
  windowOf(over, scope, context);
  return children({ args, rest }, scope, context);
}

function hasColumn(value: unknown): boolean {
  return asList(value).some((item) => nodeOf(item, 'ColumnRef') !== null);
}
