/** Calls of functions whose body can be read, by columns: what they put out, and what they read of rows they are given. */
import { HARMLESS, HELD } from '../facts/builtins.ts';
import { onlyComputes } from '../facts/extensions.ts';
import type { Tree } from '../parse/node.ts';
import { asList, asText, asTree, names, nodeOf, qualified, unwrap } from '../parse/node.ts';
import type { Grammar } from '../server.ts';
import type { CatalogFunction } from '../types.ts';
import type { Context } from './context.ts';
import { bodyStatements, functionSummary } from './definitions.ts';
import type { Column, Deps, Shape } from './deps.ts';
import { adding, isTagged, NONE, union, whole } from './deps.ts';
import { expression } from './expression.ts';
import { rowValue } from './row.ts';
import { once, type Scope } from './scope.ts';
import { isRevealing, reveals, SETS } from './system.ts';

/** Functional notation for casts: `c.text` turns the whole row into text. */
const CASTS: ReadonlySet<string> = new Set(['text', 'varchar', 'bpchar', 'name', 'char']);

/**
 * The columns of what a call puts out. `definition`: names that the query gives them, `AS t(a int, b text)`. Null: they are not told apart
 * (several functions or a built-in may be meant, the body cannot be read, it puts out a scalar).
 */
export function resultRow(call: Tree, definition: unknown, scope: Scope, context: Context): Shape | null {
  const { schema, name } = qualified(call['funcname']);
  const [fn, ...more] = context.env.functionsNamed(schema, name, context.resolution);
  if (fn === undefined || more.length > 0 || fn.kind !== 'f') return null;
  if ((schema === null || schema === 'pg_catalog') && (HARMLESS.has(name) || HELD.has(name))) return null;
  if (isRevealing(fn.name) && onlyComputes(fn)) return revealed(fn, context);
  const wanted = outputNames(fn, definition, context);
  const summary = wanted === null ? null : functionSummary(fn, context);
  if (wanted === null || summary === null) return null;
  const given = argumentDeps(call, scope, context);
  const made = byPosition(summary.shape, wanted.length);
  return {
    columns: wanted.map((name, i) => adding({ ...(made[i] ?? { deps: whole(summary.shape) }), name }, given)),
    open: null,
  };
}

/** What an extension's view over other people's statements is made of. */
function revealed(fn: CatalogFunction, { env }: Context): Shape {
  const columns = (fn.outputs ?? []).map((name) => {
    return { name, deps: reveals(fn.name, name) ? env.everyTag(fn.schema, fn.name, name) : NONE };
  });
  return { columns, open: null };
}

/** Does it return a set, as far as its name tells? */
export function returnsSet(schema: string | null, name: string, { env, resolution }: Context): boolean {
  const custom = env.functionsNamed(schema, name, resolution);
  if (custom.length > 0) return custom.some(({ set }) => set !== false);
  return (schema === null || schema === 'pg_catalog') && SETS.has(name);
}

function outputNames(fn: CatalogFunction, definition: unknown, { env }: Context): readonly string[] | null {
  const defined = asList(definition).map((item) => asText(nodeOf(item, 'ColumnDef')?.['colname']));
  if (defined.length > 0) return defined;
  // One OUT parameter alone is a scalar, which an alias renames.
  if (fn.outputs !== undefined && fn.outputs.length > 1) return fn.outputs;
  const type = fn.rowType ? env.relationByOid(fn.rowType) : null;
  return type?.columns.map(({ name }) => name) ?? null;
}

/** The last query puts out the columns one by one, or the whole of them as one row. */
function byPosition({ columns, open }: Shape, count: number): readonly Omit<Column, 'name'>[] {
  if (open !== null) return [];
  if (columns.length === count) return columns;
  const [only] = columns;
  const row = columns.length === 1 ? (only?.row ?? null) : null;
  return row !== null && row.open === null && row.columns.length === count ? row.columns : [];
}

/** What arguments carry into a call: of a whole row only the attributes that every function it may mean reads. */
export function argumentDeps(call: Tree, scope: Scope, context: Context): Deps {
  return once(call, scope, () => given(call, scope, context));
}

function given(call: Tree, scope: Scope, context: Context): Deps {
  const { schema, name } = qualified(call['funcname']);
  const args = asList(call['args']);
  const plain = call['func_variadic'] !== true && args.every((arg) => nodeOf(arg, 'NamedArgExpr') === null);
  const read = plain ? rowsRead(schema, name, context) : null;
  return union(
    ...args.map((arg, i) => {
      const all = expression(arg, scope, context);
      const row = read === null || !isTagged(all) ? null : (rowValue(arg, scope, context)?.row ?? null);
      return (row && pick(row, read?.(i) ?? null)) ?? all;
    }),
  );
}

/** What `c.f` and `(c).f` read of the row, where f is a function that takes it; null: it may be all of it. */
export function attributesRead(name: string, row: Shape, context: Context): Deps | null {
  const read = CASTS.has(name) ? null : rowsRead(null, name, context);
  return read && pick(row, read(0));
}

function pick({ columns, open }: Shape, read: ReadonlySet<string> | null): Deps | null {
  if (read === null || open !== null) return null;
  const all = [...read].every((name) => columns.some((column) => column.name === name));
  return all ? union(...columns.filter(({ name }) => read.has(name)).map(({ deps }) => deps)) : null;
}

/** By position; null where a built-in, or one whose body cannot be read, may be meant as well. */
function rowsRead(
  schema: string | null,
  name: string,
  context: Context,
): ((position: number) => ReadonlySet<string> | null) | null {
  const { env } = context;
  const found = env.functionsNamed(schema, name, context.resolution);
  const builtin = (schema === null || schema === 'pg_catalog') && (HARMLESS.has(name) || HELD.has(name));
  if (found.length === 0 || builtin) return null;
  const all = found.map((fn) => {
    if (functionSummary(fn, context) === null) return [];
    const read = env.rowsRead.get(fn.oid) ?? bodyReads(fn, env.grammar);
    env.rowsRead.set(fn.oid, read);
    return read;
  });
  return (position) => {
    const sets = all.map((read) => read[position] ?? null);
    return sets.includes(null) ? null : new Set(sets.flatMap((set) => [...(set ?? [])]));
  };
}

function bodyReads(fn: CatalogFunction, grammar: Grammar): readonly (ReadonlySet<string> | null)[] {
  const statements = fn.kind === 'f' && fn.body !== null ? bodyStatements(fn.body, grammar) : null;
  if (statements === null) return [];
  return (fn.parameters ?? []).map((name, i) => {
    // `f.f` is the whole of it.
    if (name === fn.name) return null;
    const read = new Set<string>();
    return statements.every(({ node }) => onlyParts(node, { name, number: i + 1 }, read)) ? read : null;
  });
}

interface Parameter {
  readonly name: string;
  readonly number: number;
}

/** Every mention of the parameter names an attribute of it: `$1.a`, `($1).a`, `p.a`, `f.p.a`. */
function onlyParts(value: unknown, parameter: Parameter, read: Set<string>): boolean {
  if (Array.isArray(value)) return value.every((item) => onlyParts(item, parameter, read));
  const tree = asTree(value);
  if (tree === null) return true;
  const wrapped = unwrap(tree);
  if (wrapped === null) return Object.values(tree).every((child) => onlyParts(child, parameter, read));
  const { kind, node } = wrapped;
  if (kind === 'ParamRef') return node['number'] !== parameter.number;
  if (kind === 'ColumnRef') {
    const parts = names(node['fields']);
    if (parameter.name === '' || !parts.includes(parameter.name)) return true;
    const attribute = parts.at(-1);
    if (parts.length < 2 || parts.at(-2) !== parameter.name || typeof attribute !== 'string') return false;
    read.add(attribute);
    return true;
  }
  if (kind === 'A_Indirection') {
    const [first, ...rest] = asList(node['indirection']);
    const [attribute] = names([first]);
    const arg = nodeOf(node['arg'], 'ParamRef');
    const column = names(nodeOf(node['arg'], 'ColumnRef')?.['fields']);
    const whole =
      arg?.['number'] === parameter.number || (parameter.name !== '' && column.at(-1) === parameter.name);
    if (whole) {
      if (typeof attribute !== 'string') return false;
      read.add(attribute);
      return onlyParts(rest, parameter, read);
    }
  }
  return Object.values(node).every((child) => onlyParts(child, parameter, read));
}
