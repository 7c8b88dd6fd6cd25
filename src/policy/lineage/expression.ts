/** What an expression may carry, and what it only compares. */
import { operatorsAt } from '../operands/apply.ts';
import type { Tree } from '../parse/node.ts';
import { asList, asTree, names, nodeOf, qualified, splitName, unwrap } from '../parse/node.ts';
import type { CatalogFunction } from '../types.ts';
import { arrange, type Comparing, comparingBy, madeBy, relate } from './compare.ts';
import type { Context } from './context.ts';
import { calledDeps, functionSummary } from './definitions.ts';
import type { Column, Deps, Shape } from './deps.ts';
import { isMade, isTagged, NONE, tagsOnly, union, whole } from './deps.ts';
import { argumentDeps, attributeCall, resultRow, returnsSet } from './functions.ts';
import { clearLiterals } from './literals.ts';
import type { Scope } from './scope.ts';
import {
  countsIn,
  countsOf,
  findSource,
  parameters,
  resolveName,
  resolveQualified,
  resolveRow,
} from './scope.ts';
import { select } from './select.ts';
import { AGGREGATES, BY_ROW, CARRYING_FUNCTIONS, REVEALING_FUNCTIONS } from './system.ts';

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
  const deps = expression(value, scope, context);
  context.out.use('predicate', deps);
  relate(deps, NONE, 'order', context);
}

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
          compare(arg, expr, 'equality', context);
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
function children(node: Tree, scope: Scope, context: Context): Deps {
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
  // `t.*` inside an expression, as in row(t.*) or count(t.*)
  if (last === null) return resolveQualifiedStar(parts.at(-2) ?? '', scope, context);
  const known = parts.filter((part) => part !== null);
  if (known.length === 1 && last !== undefined) return resolveName(last, scope, context);
  return resolveQualified(known, scope, context);
}

function resolveQualifiedStar(table: string, scope: Scope, context: Context): Deps {
  const source = findSource(scope, table);
  return source === null ? resolveName(table, scope, context) : whole(source.shape);
}

function operator(node: Tree, scope: Scope, context: Context): Deps {
  const left = expression(node['lexpr'], scope, context);
  const right = expression(node['rexpr'], scope, context);
  const { schema, name } = qualified(node['name']);
  const kind = typeof node['kind'] === 'string' ? node['kind'] : '';
  if (kind === 'AEXPR_NULLIF') {
    // Its operator is `=`, its result the left side.
    compare(NONE, right, 'equality', context);
    relate(left, right, 'equality', context);
    return left;
  }
  given(calledBy(schema, name, node, context), union(left, right), context);
  const compares =
    BOOLEAN_KINDS.has(kind) || (COMPARISONS.has(name) && isBoolean(schema, name, node, context));
  if (!compares || node['lexpr'] === undefined) return union(left, right);
  compare(left, right, comparingBy(name), context);
  counts(node, [node['lexpr'], node['rexpr']], left, right, context);
  if (!isTagged(left) && !isTagged(right)) clearLiterals([node['lexpr'], node['rexpr']], context);
  return NONE;
}

/** One comparison with a constant tells little; a ladder of them tells the value, and sooner one of its parts: bits, letters. */
function counts(node: unknown, sides: readonly unknown[], left: Deps, right: Deps, context: Context): void {
  if (isTagged(left) && isTagged(right)) return;
  const bare = sides.every(
    (side) => nodeOf(side, 'ColumnRef') !== null || !isTagged(side === sides[0] ? left : right),
  );
  for (const one of union(left, right))
    if (one.kind === 'tagged' || one.kind === 'stored') context.out.comparedAt(one, node, bare ? 1 : 3);
}

/** What is compared was looked at, not put out; what it is compared with may tell it. */
function compare(left: Deps, right: Deps, by: Comparing, context: Context): void {
  context.out.use('predicate', union(left, right));
  relate(left, right, by, context);
}

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

/** The functions of users behind an operator. */
function calledBy(
  schema: string | null,
  name: string,
  node: Tree,
  context: Context,
): readonly CatalogFunction[] {
  const { env, resolution } = context;
  return operatorsAt(node, schema, name, context).flatMap(({ calls }) =>
    calls.flatMap((full) => env.functionsNamed(...splitName(full), resolution)),
  );
}

/** What a function's body compares its parameters with, it compares these with. */
function given(functions: readonly CatalogFunction[], deps: Deps, context: Context): void {
  if (deps.size === 0) return;
  for (const fn of functions) {
    const parameter = context.env.parameters(fn.oid);
    const compared = functionSummary(fn, context)?.facts.related.has(parameter) ?? false;
    if (compared) relate(deps, parameter, 'order', context);
  }
}

function subLink(node: Tree, scope: Scope, context: Context): Deps {
  const test = expression(node['testexpr'], scope, context);
  context.out.use('predicate', test);
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
    case 'ALL_SUBLINK':
    case 'ROWCOMPARE_SUBLINK': {
      const operator = node['operName'] === undefined ? '=' : qualified(node['operName']).name;
      compare(test, whole(shape), comparingBy(operator), context);
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
  let deps = argumentDeps(node, scope, context);
  predicate(node['agg_filter'], scope, context);
  given(context.env.functionsNamed(schema, name, context.resolution), deps, context);
  if (node['agg_within_group'] === true) deps = union(deps, expression(node['agg_order'], scope, context));
  else {
    predicate(node['agg_order'], scope, context);
    arrange(expression(node['agg_order'], scope, context), context);
  }
  windowOf(node['over'], scope, context);
  const custom = context.env.functionsNamed(schema, name, context.resolution);
  if (custom.length === 0 && name === 'count') {
    context.out.use('predicate', deps);
    relate(deps, NONE, 'order', context);
    return countsOf(scope);
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
  if (returnsSet(schema, name, context)) {
    // How many rows it makes is decided by what it is given.
    const row = elementsOf(node, scope, context);
    context.out.use('value', tagsOnly(row === null ? deps : inAll(row)));
    deps = union(deps, madeBy(node, context));
  }
  // The value leaves here, wherever the call stands: in a predicate, under EXPLAIN ANALYZE.
  if (CARRYING_FUNCTIONS.has(name)) context.out.use('value', deps);
  if (REVEALING_FUNCTIONS.has(name) || name.startsWith('pg_stat_get_xact_'))
    deps = union(deps, context.env.everyTag('pg_catalog', name, '*'));
  deps = union(deps, calledDeps(schema, name, context));
  if (changesByRow(schema, name, custom, context) || LOCKING.test(name)) {
    // How often it was asked is told by what it gives next.
    context.out.use('value', countsIn(scope));
    deps = union(deps, countsIn(scope));
    if (COUNTED.test(name)) context.out.countsSteps = true;
  }
  for (const fn of custom) {
    const facts = functionSummary(fn, context)?.facts;
    for (const one of facts?.compared() ?? []) context.out.comparedAt(one, node);
    // How often it was called is told by what it has written.
    if (facts?.writes === true) {
      context.out.use('value', countsIn(scope));
      context.out.countsSteps = true;
    }
  }
  if (custom.length === 0 && !isTagged(deps) && hasColumn(node['args']))
    clearLiterals(asList(node['args']), context);
  return deps;
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
const COUNTED = /^(?:nextval|random|random_normal|pg_(?:try_)?advisory_.*)$/;
/** Taken once for each call. */
const LOCKING = /^pg_(?:try_)?advisory_/;

/** Window functions that are given how many rows. */
const LOOKING: ReadonlySet<string> = new Set(['lag', 'lead', 'nth_value', 'ntile']);

/** A window: its bounds decide which rows are counted. */
export function windowOf(value: unknown, scope: Scope, context: Context): void {
  const window = nodeOf(value, 'WindowDef') ?? asTree(value);
  if (window === null) return;
  for (const field in window) {
    if (field === 'startOffset' || field === 'endOffset')
      context.out.use('value', expression(window[field], scope, context));
    else {
      predicate(window[field], scope, context);
      arrange(expression(window[field], scope, context), context);
    }
  }
}

/** As any aggregate: its ORDER BY, FILTER and window choose, they are not put out. */
function jsonAggregate(node: Tree, scope: Scope, context: Context): Deps {
  const { constructor: made, ...args } = node;
  const { agg_order, agg_filter, over, ...rest } = asTree(made) ?? {};
  for (const part of [agg_order, agg_filter]) predicate(part, scope, context);
  windowOf(over, scope, context);
  return children({ args, rest }, scope, context);
}

function hasColumn(value: unknown): boolean {
  return asList(value).some((item) => nodeOf(item, 'ColumnRef') !== null);
}

/** `(c).email`, `(c.p).email`, `(f(x)).field`, `(expr).function`. */
function indirection(node: Tree, scope: Scope, context: Context): Deps {
  const path = asList(node['indirection']);
  // Which element it is tells the subscript.
  const subscripts = path.filter((item) => nodeOf(item, 'A_Indices') !== null);
  const chosenBy = expression(subscripts, scope, context);
  const { arg } = node;
  const part = partOf({ A_Indirection: node }, scope, context);
  if (part !== null) return union(part.deps, chosenBy);
  const [only, ...more] = names(path);
  const row = typeof only === 'string' && more.length === 0 ? rowValue(arg, scope, context)?.row : null;
  const attribute = row && attributeCall(only ?? '', row, context);
  if (attribute) return union(attribute, chosenBy);
  const called = names(path).map((name) => (name === null ? NONE : calledDeps(null, name, context)));
  return union(expression(arg, scope, context), chosenBy, ...called);
}

/** As partOf, where it is a value of its own: its attributes have the names of its type. */
export function rowValue(value: unknown, scope: Scope, context: Context): Column | null {
  if (nodeOf(value, 'ColumnRef') !== null) return ofName(value, scope, 'value');
  const cast = nodeOf(value, 'TypeCast');
  return cast === null ? partOf(value, scope, context) : asItsType(cast, scope, context);
}

/** `c.*::customers`, as the server prints a whole row: position by position the attributes have the names of the type. */
function asItsType(cast: Tree, scope: Scope, context: Context): Column | null {
  const type = asTree(cast['typeName']);
  const fields = asList(nodeOf(cast['arg'], 'ColumnRef')?.['fields']);
  const name =
    nodeOf(fields.at(-1), 'A_Star') === null ? cast['arg'] : { ColumnRef: { fields: fields.slice(0, -1) } };
  if (type === null || type['arrayBounds'] !== undefined || nodeOf(name, 'ColumnRef') === null) return null;
  const [relation, ...more] = context.env.resolve(qualified(type['names']), context.resolution).relations;
  const row = ofName(name, scope, 'value');
  const same =
    row?.row?.columns.length === relation?.columns.length &&
    relation?.columns.every((column, i) => column.name === row?.row?.columns[i]?.name) === true;
  return same && more.length === 0 ? row : null;
}

function ofName(value: unknown, scope: Scope, as: 'value' | 'prefix'): Column | null {
  const parts = names(nodeOf(value, 'ColumnRef')?.['fields']);
  const known = parts.filter((part) => part !== null);
  const row = known.length < parts.length ? null : resolveRow(known, scope, as);
  return row === null ? null : { name: '', deps: whole(row), row };
}

/** The columns of what a call puts out, `definition` being the names that the query gives them; null: they are not told apart. */
export function rowOf(
  value: unknown,
  definition: readonly unknown[],
  scope: Scope,
  context: Context,
): Shape | null {
  const call = nodeOf(value, 'FuncCall');
  if (call === null) return null;
  return elementsOf(call, scope, context) ?? resultRow(call, definition, scope, context);
}

/** `unnest` of an array of rows. */
function elementsOf(call: Tree, scope: Scope, context: Context): Shape | null {
  const { schema, name } = qualified(call['funcname']);
  const args = asList(call['args']);
  const builtin = schema === null || schema === 'pg_catalog';
  if (!builtin || name !== 'unnest' || args.length !== 1) return null;
  if (context.env.functionsNamed(schema, name, context.resolution).length > 0) return null;
  return rowValue(args[0], scope, context)?.row ?? null;
}

/** What all attributes carry, the array of rows carries itself. */
function inAll({ columns: [first, ...rest] }: Shape): Deps {
  return new Set([...(first?.deps ?? [])].filter((dep) => rest.every(({ deps }) => deps.has(dep))));
}

/** A row value by attributes: `c`, `(t).c`, `(cs[1]).a.b`, `unnest(cs)`, `f(x)`; null: its attributes are not told apart. */
export function partOf(value: unknown, scope: Scope, context: Context): Column | null {
  if (nodeOf(value, 'ColumnRef') !== null) return ofName(value, scope, 'prefix');
  const called = rowOf(value, [], scope, context);
  if (called !== null) return { name: '', deps: whole(called), row: called };
  const node = nodeOf(value, 'A_Indirection');
  let at = node === null ? null : partOf(node['arg'], scope, context);
  for (const item of asList(node?.['indirection'])) {
    if (nodeOf(item, 'A_Indices') !== null) continue;
    const [field] = names([item]);
    const row: Shape | null = at?.row ?? null;
    // A function of that name may take the whole of it.
    const custom =
      typeof field === 'string' && context.env.functionsNamed(null, field, context.resolution).length > 0;
    if (row === null || typeof field !== 'string' || custom) return null;
    const [column, ...more] = row.columns.filter(({ name }) => name === field);
    const open: Deps | null = column === undefined ? (row.open?.(field) ?? null) : NONE;
    if (more.length > 0 || open === null) return null;
    at = column ?? { name: field, deps: open };
  }
  return at;
}
