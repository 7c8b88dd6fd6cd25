/** Rows as values, told apart by attribute: columns of a composite type, elements of arrays, what calls put out. */
import type { Tree } from '../parse/node.ts';
import { asList, asTree, names, nodeOf, qualified } from '../parse/node.ts';
import type { Context } from './context.ts';
import type { Column, Deps, Shape } from './deps.ts';
import { adding, NONE, union, whole } from './deps.ts';
import { called, children, expression } from './expression.ts';
import { attributesRead, resultRow } from './functions.ts';
import type { Scope } from './scope.ts';
import { once, resolveRow } from './scope.ts';

/** `(c).email`, `(c.p).email`, `(f(x)).field`, `(expr).function`. */
export function indirection(node: Tree, scope: Scope, context: Context): Deps {
  const path = asList(node['indirection']);
  const { arg } = node;
  const part = partOf({ A_Indirection: node }, scope, context);
  if (part !== null) return part.deps;
  const [only, ...more] = names(path);
  const row = typeof only === 'string' && more.length === 0 ? rowValue(arg, scope, context)?.row : null;
  const read = row && attributesRead(only ?? '', row, context);
  if (read) return called(node, null, only ?? '', read, scope, context);
  let deps = expression(arg, scope, context);
  for (const item of path) {
    const [name] = names([item]);
    // A field, or a function of what is before it.
    const step =
      typeof name === 'string'
        ? called(node, null, name, deps, scope, context)
        : subscript(item, scope, context);
    deps = union(deps, step);
  }
  return deps;
}

/** Which element it is tells the subscript. */
function subscript(item: unknown, scope: Scope, context: Context): Deps {
  const node = nodeOf(item, 'A_Indices');
  return node === null ? NONE : once(node, scope, () => children(node, scope, context));
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
export function elementsOf(call: Tree, scope: Scope, context: Context): Shape | null {
  const { schema, name } = qualified(call['funcname']);
  const args = asList(call['args']);
  const builtin = schema === null || schema === 'pg_catalog';
  if (!builtin || name !== 'unnest' || args.length !== 1) return null;
  if (context.env.functionsNamed(schema, name, context.resolution).length > 0) return null;
  return rowValue(args[0], scope, context)?.row ?? null;
}

/** What all attributes carry, the array of rows carries itself. */
export function inAll({ columns: [first, ...rest] }: Shape): Deps {
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
    if (nodeOf(item, 'A_Indices') !== null) {
      at &&= adding(at, subscript(item, scope, context));
      continue;
    }
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
