/** FROM items: what they are called, their columns, and what `*` over them means. */
import type { Tree } from '../parse/node.ts';
import { asList, asText, asTree, names, nodeOf, relationName, unwrap } from '../parse/node.ts';
import { madeBy, relate } from './compare.ts';
import type { Context } from './context.ts';
import type { Column, Deps, Shape } from './deps.ts';
import {
  adding,
  counted,
  counting,
  lookup,
  NONE,
  originsOnly,
  rename,
  tagsOnly,
  union,
  whole,
} from './deps.ts';
import { expression, predicate } from './expression.ts';
import { relationShape } from './relation.ts';
import { rowOf } from './row.ts';
import type { Scope, Source } from './scope.ts';
import { findCte, scopeOf } from './scope.ts';
import { select } from './select.ts';

export interface Items {
  readonly sources: readonly Source[];
  readonly star: Shape;
}

const NOTHING: Items = { sources: [], star: { columns: [], open: null } };

/** `extra` come first: the target of UPDATE, DELETE and MERGE. */
export function from(clause: unknown, outer: Scope, context: Context, extra: readonly Source[] = []): Items {
  let items: Items = { sources: extra, star: concat(extra.map((source) => source.shape)) };
  for (const item of asList(clause)) {
    const next = fromItem(item, outer, items.sources, context);
    items = { sources: [...items.sources, ...next.sources], star: concat([items.star, next.star]) };
  }
  return items;
}

/** `before`: what LATERAL items can see. */
export function fromItem(item: unknown, outer: Scope, before: readonly Source[], context: Context): Items {
  const wrapped = unwrap(item);
  if (wrapped === null) return NOTHING;
  const { kind, node } = wrapped;
  switch (kind) {
    case 'RangeVar':
      return single(tableSource(node, outer, context));
    case 'RangeSubselect': {
      const query = nodeOf(node['subquery'], 'SelectStmt');
      const scope = node['lateral'] === true ? scopeOf(before, outer) : outer;
      const shape = query === null ? NOTHING.star : select(query, scope, context);
      return single(aliased(node, shape));
    }
    case 'JoinExpr':
      return join(node, outer, before, context);
    case 'RangeTableSample': {
      const inner = fromItem(node['relation'], outer, before, context);
      const scope = scopeOf(before, outer);
      // How many rows it takes.
      context.out.use('value', expression([...asList(node['args']), node['repeatable']], scope, context));
      return inner;
    }
    default: {
      // RangeFunction, RangeTableFunc (XMLTABLE), JsonTable: every column may carry whatever goes in.
      const scope = scopeOf(before, outer);
      const given = expression(withoutAlias(node), scope, context);
      if (kind === 'RangeFunction') {
        const row = calledRow(node, scope, context);
        const count = originsOnly(given);
        if (row === null) return single(aliased(node, { columns: [], open: () => given, count }));
        return single({ ...aliased(node, counting(row, count)), rows: valuesOf(node, row) });
      }
      context.out.use('value', rowsDecidedBy(node, scope, context));
      const made = madeBy(node);
      const deps = union(given, made);
      return single(aliased(node, { columns: [], open: () => deps, count: made }));
    }
  }
}

/** The document and the paths of XMLTABLE and JSON_TABLE decide how many rows there are. Functions: expression.ts. */
function rowsDecidedBy(node: Tree, scope: Scope, context: Context): Deps {
  const { columns: _, ...rest } = node;
  return tagsOnly(expression(withoutAlias(rest), scope, context));
}

/** One function alone: `unnest` of an array of rows, or one that puts out columns. */
function calledRow(node: Tree, scope: Scope, context: Context): Shape | null {
  const [only, ...more] = asList(node['functions']);
  const [call, inner] = asList(nodeOf(only, 'List')?.['items']);
  if (more.length > 0) return null;
  const definition = asList(unwrap(inner) === null ? node['coldeflist'] : nodeOf(inner, 'List')?.['items']);
  const row = rowOf(call, definition, scope, context);
  if (row === null || node['ordinality'] !== true) return row;
  return { ...row, columns: [...row.columns, { name: 'ordinality', deps: NONE }] };
}

/** Rows of a type keep its names where the query gives others, those of no type have the new ones. */
function valuesOf(node: Tree, row: Shape): Shape {
  if (asTree(node['alias'])?.['colnames'] === undefined) return row;
  const all = whole(row);
  return { columns: [], open: () => all };
}

function single(source: Source): Items {
  return { sources: [source], star: source.shape };
}

function withoutAlias(node: Tree): unknown[] {
  return Object.entries(node)
    .filter(([field, value]) => field !== 'alias' && typeof value === 'object')
    .map(([, value]) => value);
}

export function tableSource(rangeVar: Tree, outer: Scope | null, context: Context, mayBeCte = true): Source {
  const name = relationName(rangeVar);
  const cte = mayBeCte && name.schema === null ? findCte(outer?.ctes ?? null, name.name) : null;
  const shape = cte?.shape ?? relationShape(name, context, rangeVar);
  return {
    alias: name.alias ?? name.name,
    schema: name.alias !== null || cte !== null ? null : (name.schema ?? ''),
    shape: rename(shape, name.aliasColumns),
    ...(cte === null ? { rows: shape } : {}),
  };
}

function aliased(node: Tree, shape: Shape): Source {
  const alias = asTree(node['alias']);
  return {
    alias: alias === null ? null : asText(alias['aliasname']),
    schema: null,
    shape:
      alias === null
        ? shape
        : rename(
            shape,
            names(alias['colnames']).map((name) => name ?? ''),
          ),
  };
}

function join(node: Tree, outer: Scope, before: readonly Source[], context: Context): Items {
  const left = fromItem(node['larg'], outer, before, context);
  const right = fromItem(node['rarg'], outer, [...before, ...left.sources], context);
  const sources = [...left.sources, ...right.sources];
  predicate(node['quals'], scopeOf([...before, ...sources], outer), context);
  const natural = node['isNatural'] === true;
  const using = natural
    ? namedAlike(left.star, right.star)
    : names(node['usingClause']).map((name) => name ?? '');
  const merged: Column[] = using.map((name) => {
    const [one, other] = [lookup(left.star, name) ?? NONE, lookup(right.star, name) ?? NONE];
    const deps = union(one, other);
    context.out.use('predicate', deps);
    relate(one, other, 'equality', context);
    return { name, deps };
  });
  const rest = (shape: Shape): Shape => ({
    ...shape,
    columns: shape.columns.filter((column) => !using.includes(column.name)),
  });
  let star =
    using.length === 0
      ? concat([left.star, right.star])
      : concat([{ columns: merged, open: null }, rest(left.star), rest(right.star)]);
  const opened = (name: string): Deps =>
    union(left.star.open?.(name) ?? NONE, right.star.open?.(name) ?? NONE);
  // Any column may be one of both sides.
  if (natural && (left.star.open !== null || right.star.open !== null)) {
    context.out.use('predicate', union(whole(left.star), whole(right.star)));
    relate(whole(left.star), whole(right.star), 'equality', context);
    star = { ...star, columns: star.columns.map((column) => adding(column, opened(column.name))) };
  }
  const usingAlias = asTree(node['join_using_alias']);
  if (usingAlias !== null) {
    sources.push({
      alias: asText(usingAlias['aliasname']),
      schema: null,
      shape: { columns: merged, open: null },
    });
  }
  // An alias of the whole join hides the names inside.
  return asTree(node['alias']) === null ? { sources, star } : single(aliased(node, star));
}

function namedAlike(left: Shape, right: Shape): string[] {
  const names = new Set(right.columns.map((column) => column.name));
  return left.columns.map((column) => column.name).filter((name) => names.has(name));
}

export function concat(shapes: readonly Shape[]): Shape {
  const columns = shapes.flatMap((shape) => shape.columns);
  const open = shapes.flatMap((shape) => shape.open ?? []);
  const count = union(...shapes.map(counted));
  if (open.length === 0) return { columns, open: null, count };
  return { columns, open: (name) => union(...open.map((look) => look(name))), count };
}
