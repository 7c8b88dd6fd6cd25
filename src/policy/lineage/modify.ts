/** INSERT, UPDATE, DELETE, MERGE: what is written, what is copied, and what RETURNING puts out. */
import type { Tree } from '../parse/node.ts';
import { asList, asText, asTree, bare, names, nodeOf } from '../parse/node.ts';
import { choosing, excludedShape, type Given, met } from './conflict.ts';
import type { Context } from './context.ts';
import type { Column, Deps, Shape } from './deps.ts';
import {
  counted,
  counting,
  isTagged,
  lookup,
  NONE,
  originsOnly,
  tagsOnly,
  told,
  union,
  whole,
} from './deps.ts';
import { expression, predicate } from './expression.ts';
import { from, fromItem, tableSource } from './from.ts';
import { clear } from './literals.ts';
import type { Scope, Source } from './scope.ts';
import { scopeOf } from './scope.ts';
import { select, targets, withQueries } from './select.ts';

const NOTHING: Shape = { columns: [], open: null };

export function modification(kind: string, node: Tree, parent: Scope | null, context: Context): Shape {
  const outer = scopeOf([], parent, withQueries(node, parent, context));
  const relation = asTree(node['relation']);
  if (relation === null) throw new Error(`${kind} without a target`);
  const target = tableSource(relation, outer, context, false);
  const marking = { ...context, marks: whole(target.shape) };
  switch (kind) {
    case 'InsertStmt':
      return insert(node, relation, target, outer, context);
    case 'UpdateStmt': {
      context.out.writesRows = true;
      const items = from(node['fromClause'], outer, marking, [target]);
      const scope = scopeOf(items.sources, outer);
      assign(node['targetList'], target.shape, scope, marking);
      predicate(node['whereClause'], scope, marking);
      return returning(node, items.sources, items.star, target, outer, context);
    }
    case 'DeleteStmt': {
      context.out.writesRows = true;
      const items = from(node['usingClause'], outer, marking, [target]);
      predicate(node['whereClause'], scopeOf(items.sources, outer), marking);
      return returning(node, items.sources, items.star, target, outer, context);
    }
    case 'MergeStmt':
      return mergeInto(node, target, outer, marking);
    default:
      throw new Error(`WITH ${kind}`);
  }
}

function insert(node: Tree, relation: Tree, target: Source, outer: Scope, context: Context): Shape {
  const { shape } = target;
  const named = asList(node['cols']);
  const deps =
    named.length > 0
      ? named.map((item) => written(shape, nodeOf(item, 'ResTarget'), outer, context).deps)
      : shape.columns.map((c) => c.deps);
  const query = nodeOf(node['selectStmt'], 'SelectStmt');
  const source = query === null ? NOTHING : select(query, outer, context);
  const lists = asList(query?.['valuesLists']);
  if (query !== null) {
    context.out.use('value', copied(source, deps, context));
    context.out.writesRows ||= originsOnly(told(source)).size > 0;
    const width = source.open === null ? Math.max(source.columns.length, named.length) : deps.length;
    context.out.use('written', union(...deps.slice(0, width)));
    const closed = shape.open === null || named.length > 0;
    for (const list of lists) {
      asList(nodeOf(list, 'List')?.['items']).forEach((item, i) => {
        if (closed && !isTagged(deps[i] ?? NONE)) clear(item, context);
      });
    }
    // INSERT … SELECT 1, 'x' …
    asList(query['targetList']).forEach((item, i) => {
      const literal = nodeOf(item, 'ResTarget')?.['val'];
      if (
        closed &&
        source.open === null &&
        !isTagged(deps[i] ?? NONE) &&
        asList(query['targetList']).length === source.columns.length
      ) {
        clear(literal, context);
      }
    });
  }
  const conflict = bare(node['onConflictClause'], 'OnConflictClause');
  if (conflict === null) return returning(node, [target], shape, target, outer, context);
  const given: Given = {
    columns: named.length > 0 ? named.map((item) => asText(nodeOf(item, 'ResTarget')?.['name'])) : null,
    source,
    lists: source.open === null ? lists : [],
  };
  const excluded: Source = { alias: 'excluded', schema: null, shape: excludedShape(shape, given) };
  const scope = scopeOf([target, excluded], outer);
  const infer = asTree(conflict['infer']);
  if (infer !== null) {
    for (const item of asList(infer['indexElems'])) {
      const element = nodeOf(item, 'IndexElem');
      if (typeof element?.['name'] === 'string')
        context.out.use('predicate', lookup(shape, element['name']) ?? NONE);
      predicate(element?.['expr'], scope, context);
    }
    predicate(infer['whereClause'], scopeOf([target], outer), context);
  }
  assign(conflict['targetList'], shape, scope, context);
  predicate(conflict['whereClause'], scope, context);
  const keyed = met(relation, target, conflict, given, context);
  const chosen = query === null ? null : choosing(node, conflict, keyed, source, context);
  return returning(node, chosen === null ? [target] : [target, chosen], shape, target, outer, context);
}
/** Copying a tagged value elsewhere is a use of the value; what is equal to one, and goes where what is written is hidden, is none. */
function copied(source: Shape, into: readonly Deps[], { fired }: Context): Deps {
  if (source.open !== null) return told(source);
  // What a trigger keeps of its row where that is hidden as well, nobody sees.
  const hidden = (deps: Deps): Deps => without(tagsOnly(deps), fired?.tags ?? NONE);
  const columns = source.columns.map(({ deps }, i) => (isTagged(into[i] ?? NONE) ? hidden(deps) : deps));
  return union(...columns);
}

/** SET a = …, (b, c) = (…). A column set from itself copies nothing. */
function assign(list: unknown, shape: Shape, scope: Scope, context: Context): void {
  const fired = context.fired ?? null;
  for (const item of asList(list)) {
    const entry = nodeOf(item, 'ResTarget');
    if (entry === null) continue;
    const target = written(shape, entry, scope, context);
    const column = target.deps;
    context.out.use('written', column);
    const multi = nodeOf(entry['val'], 'MultiAssignRef');
    const set = multi?.['source'] ?? entry['val'];
    const kept = { value: set, around: context.item ?? null, written: true as const };
    const value = expression(set, scope, { ...context, item: kept });
    if (nodeOf(entry['val'], 'ColumnRef') === null) context.out.evaluated(value);
    // Of a row, the value of one attribute may go into another.
    const hidden = fired !== null && isTagged(column) ? union(column, fired.tags) : column;
    context.out.use('value', target.row ? value : without(value, hidden));
    if (!isTagged(column) && !isTagged(value) && multi === null) clear(entry['val'], context);
  }
}

/** A column, or the attribute of it that is set. A name that is no column counts as every column, and the server is to say so. */
function written(shape: Shape, target: Tree | null, scope: Scope, context: Context): Column {
  // Which element it is stays with what is written.
  context.out.use('value', expression(asList(target?.['indirection']).filter(isIndices), scope, context));
  const name = asText(target?.['name']);
  const deps = lookup(shape, name);
  if (deps === null) context.out.unresolved = true;
  const [column, ...more] = shape.columns.filter((each) => each.name === name);
  const sure = column !== undefined && more.length === 0 && shape.open === null;
  let at: Column = sure ? column : { name, deps: deps ?? whole(shape) };
  for (const field of names(target?.['indirection'])) {
    if (field === null) continue;
    at = at.row?.columns.find((column) => column.name === field) ?? { ...at, name: field };
  }
  return at;
}

const isIndices = (item: unknown): boolean => nodeOf(item, 'A_Indices') !== null;

function without(deps: Deps, own: Deps): Deps {
  return new Set([...deps].filter((dep) => !own.has(dep)));
}

function mergeInto(node: Tree, target: Source, outer: Scope, context: Context): Shape {
  context.out.writesRows = true;
  const source = fromItem(node['sourceRelation'], outer, [], context);
  const sources = [target, ...source.sources];
  const scope = scopeOf(sources, outer);
  predicate(node['joinCondition'], scope, context);
  for (const item of asList(node['mergeWhenClauses'])) {
    const when = nodeOf(item, 'MergeWhenClause');
    if (when === null) continue;
    predicate(when['condition'], scope, context);
    const values = asList(when['values']);
    if (when['commandType'] !== 'CMD_INSERT') {
      assign(when['targetList'], target.shape, scope, context);
      continue;
    }
    const columns = asList(when['targetList']);
    values.forEach((value, i) => {
      const entry = columns[i];
      const column =
        entry === undefined
          ? (target.shape.columns[i]?.deps ?? whole(target.shape))
          : written(target.shape, nodeOf(entry, 'ResTarget'), scope, context).deps;
      const deps = expression(value, scope, context);
      context.out.use('written', column);
      context.out.use('value', deps);
      if (!isTagged(column) && !isTagged(deps)) clear(value, context);
    });
  }
  const star: Shape = {
    columns: [...source.star.columns, ...target.shape.columns],
    open: source.star.open ?? target.shape.open,
  };
  return returning(node, sources, star, target, outer, context);
}

/** RETURNING also sees the row before and after, under names of its own choice (PostgreSQL 18). */
function returning(
  node: Tree,
  sources: readonly Source[],
  star: Shape,
  target: Source,
  outer: Scope,
  context: Context,
): Shape {
  const count = union(...sources.map(({ shape }) => counted(shape)));
  const clause = bare(node['returningClause'], 'ReturningClause');
  // The command tag says how many rows there were.
  if (clause === null) return { columns: [], open: null, count };
  const chosen = asList(clause['options']).map((item) => asText(nodeOf(item, 'ReturningOption')?.['value']));
  const rows = ['old', 'new', ...chosen].map((alias) => ({ alias, schema: null, shape: target.shape }));
  const taken = new Set(sources.map((source) => source.alias));
  const versions = rows.filter(({ alias }) => !taken.has(alias));
  // Only by qualified name: an unqualified column is the target's.
  return counting(targets(clause['exprs'], scopeOf(sources, scopeOf(versions, outer)), star, context), count);
}
