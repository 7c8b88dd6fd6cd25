/**
 * INSERT … ON CONFLICT: a unique index compares the rows given with those that are there. Over a tagged column that is an equality: what
 * comes of the rows given, be it that they are there afterwards, tells which of them were met.
 */
import type { Tree } from '../parse/node.ts';
import { asList, asText, asTree, nodeOf, relationName } from '../parse/node.ts';
import { relate } from './compare.ts';
import type { Context } from './context.ts';
import type { Deps, Shape } from './deps.ts';
import { adding, lookup, NONE, originsOnly, tagsOnly, told, union, whole } from './deps.ts';
import type { Source } from './scope.ts';

/** The rows given. */
export interface Given {
  /** Those named; null: the first so many. */
  readonly columns: readonly string[] | null;
  readonly source: Shape;
  /** VALUES, written out. */
  readonly lists: readonly unknown[];
}

/** What goes into a column; null: nothing of what is given, as far as can be told. */
function into(name: string, target: Shape, { columns, source }: Given): Deps | null {
  if (source.open !== null) return told(source);
  const at = columns === null ? target.columns.findIndex((one) => one.name === name) : columns.indexOf(name);
  return source.columns[at]?.deps ?? null;
}

/** EXCLUDED is the row given. */
export function excludedShape(target: Shape, given: Given): Shape {
  const columns = target.columns.map((column) =>
    adding(column, originsOnly(into(column.name, target, given) ?? NONE)),
  );
  return { ...target, columns };
}

/** Relates the columns of the index to what goes into them; gives those that are tagged. */
export function met(relation: Tree, { shape }: Source, conflict: Tree, given: Given, context: Context): Deps {
  const keys = asList(asTree(conflict['infer'])?.['indexElems']).map(
    (item) => nodeOf(item, 'IndexElem')?.['name'],
  );
  const named = keys.length > 0 && keys.every((key) => typeof key === 'string');
  // By the name of a constraint, an expression or none, any of them may be meant.
  const names = named ? keys.map(asText) : shape.columns.map(({ name }) => name);
  const changed = context.env
    .resolve(relationName(relation), context.resolution)
    .relations.some(({ triggers }) => triggers.some(({ before, on }) => before && on.includes('insert')));
  let tagged: Deps = named ? NONE : tagsOnly(whole(shape));
  for (const name of names) {
    const key = tagsOnly(lookup(shape, name) ?? NONE);
    if (key.size === 0) continue;
    tagged = union(tagged, key);
    // A generated column, or what a trigger puts there, is made of others.
    const made = changed ? null : into(name, shape, given);
    compared(key, made ?? told(given.source), given.lists, context);
  }
  return tagged;
}

/** So many rows written out are so many comparisons with constants. */
function compared(key: Deps, value: Deps, lists: readonly unknown[], context: Context): void {
  const origins = originsOnly(value);
  const constant = lists.length > 0 && [...origins].every(({ kind }) => kind === 'made');
  if (!constant) relate(key, origins, 'equality', context);
  else for (const list of lists) for (const one of key) context.out.comparedAt(one, list);
}

/** Which of the rows given are there already decides how many come out, and which. */
export function choosing(
  node: Tree,
  conflict: Tree,
  keyed: Deps,
  source: Shape,
  context: Context,
): Source | null {
  const all = conflict['action'] === 'ONCONFLICT_UPDATE' && conflict['whereClause'] === undefined;
  if (all && node['returningClause'] === undefined) return null;
  const given = originsOnly(told(source));
  relate(keyed, given, 'order', context);
  return { alias: null, schema: null, shape: { columns: [], open: null, count: given } };
}
