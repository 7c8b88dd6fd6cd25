/** Columns of a relation named in FROM or as a target, with what they may carry. */
import { Collector } from '../facts/collector.ts';
import { walk } from '../facts/walk.ts';
import { type RelationName, splitName } from '../parse/node.ts';
import { parse } from '../parse/parser.ts';
import type { CatalogRelation } from '../types.ts';
import type { Context } from './context.ts';
import { MAX_DEFINITION_DEPTH } from './context.ts';
import { definedIn, lookedAt, readOnce, viewSummary } from './definitions.ts';
import type { Column, Deps, Shape, Tagged } from './deps.ts';
import { adding, counted, either, isTagged, NONE, union, whole } from './deps.ts';
import { type Env, schemasOf } from './env.ts';
import { expression } from './expression.ts';
import { scopeOf } from './scope.ts';
import { reveals, SYSTEM_COLUMNS } from './system.ts';

/** `at`: where it is named. */
export function relationShape(name: RelationName, context: Context, at: unknown): Shape {
  const { env } = context;
  const resolved = env.resolve(name, context.resolution);
  const shapes: Shape[] = resolved.relations.map((relation) => {
    context.out.names(`${relation.schema}.${relation.name}`, at);
    if (relation.relkind === 'v' || relation.relkind === 'm')
      context.out.namesAll(viewSummary(relation, context).facts, at);
    return shapeOf(relation, context);
  });
  if (resolved.system !== null) shapes.push(systemShape(resolved.system.schema, resolved.system.name, env));
  // Filling a temporary relation from tagged columns was a use of their values then.
  if (resolved.temporary) {
    const known = env.known(`pg_temp.${name.name}`);
    shapes.push({ columns: [], open: () => known, count: known });
  }
  const [only] = shapes;
  if (only === undefined) return unresolvedShape(name, context);
  if (shapes.length === 1) return only;
  const open = (column: string | null): Deps => union(...shapes.map((shape) => shape.open?.(column) ?? NONE));
  return {
    // A column of one may be one of the others that has no list.
    columns: shapes.flatMap(({ columns }) => columns).map((column) => adding(column, open(column.name))),
    open,
    count: union(...shapes.map(counted)),
  };
}

export function shapeOf(relation: CatalogRelation, context: Context): Shape {
  const own = withGenerated(ownShape(relation, context), relation, context);
  if (relation.relkind !== 'v' && relation.relkind !== 'm') return own;
  const through = viewSummary(relation, context).shape;
  return {
    columns: own.columns.map((column, i) => either(column, through.columns[i] ?? column)),
    open: through.open,
    count: counted(through),
  };
}

/** A generated column carries what its expression does. */
function withGenerated(own: Shape, relation: CatalogRelation, context: Context): Shape {
  if (relation.columns.every(({ generated }) => generated === null)) return own;
  return readOnce(context.env.generated, `${relation.oid}`, context, () => generated(own, relation, context));
}

function generated(own: Shape, relation: CatalogRelation, context: Context) {
  let byPath = false;
  const scope = scopeOf([{ alias: relation.name, schema: '', shape: own }], null);
  const value: Shape = {
    ...own,
    columns: own.columns.map((column, i) => {
      const text = relation.columns[i]?.generated ?? null;
      if (text === null) return column;
      const out = new Collector();
      const apart: Context = { ...context, out, resolution: definedIn(context), indirect: true, item: null };
      const parsed = parse(`SELECT ${text}`, context.env.grammar);
      const [statement] = parsed.kind === 'parsed' ? parsed.statements : [];
      const deps =
        statement?.kind !== 'SelectStmt'
          ? whole(own)
          : expression(statement.node['targetList'], scope, apart);
      walk(statement?.node, { ctes: null, access: 'read' }, apart);
      // What its functions compare the row with, it tells.
      const seen = [...out.functions].map((full) => lookedAt(...splitName(full), apart));
      byPath ||= out.byPath;
      return adding(column, union(deps, ...seen));
    }),
  };
  return { value, byPath, keep: true };
}

function ownShape(relation: CatalogRelation, context: Context): Shape {
  const { env } = context;
  const known = env.shapes.get(relation.oid);
  if (known !== undefined) return known;
  const family = familyOf(relation, env);
  // What is not tagged in a view is where the view has it from.
  const through = relation.relkind === 'v' || relation.relkind === 'm';
  const columns: Column[] = relation.columns.map(({ name, rowType }) => {
    const tags = tagsOf(name, family, env);
    const held = through ? NONE : env.stored(relation.schema, relation.name, name);
    if (rowType !== undefined && rowType !== null) {
      const row = { ...rowOf(rowType, context), name };
      return adding(through ? row : heldBy(row, held), tags);
    }
    const deps = tags.size > 0 ? tags : held;
    return { name, deps };
  });
  // An extension's view over other people's statements lives in any schema.
  const extra = reveals(relation.name, null)
    ? columns.map((column) =>
        reveals(relation.name, column.name)
          ? adding(column, env.everyTag(relation.schema, relation.name, column.name))
          : column,
      )
    : columns;
  const shape: Shape = { columns: extra, open: null, count: env.rows(relation.schema, relation.name) };
  env.shapes.set(relation.oid, shape);
  return shape;
}

/** What is not tagged in a row is of the table that keeps it, not of its type's. */
function heldBy(column: Column, held: Deps): Column {
  const row = column.row ?? null;
  return {
    name: column.name,
    deps: isTagged(column.deps) ? column.deps : held,
    row: row && { ...row, columns: row.columns.map((attribute) => heldBy(attribute, held)) },
  };
}

/** Rows of a type carry what its attributes are tagged with, wherever they are kept. */
function rowOf(oid: number, context: Context): Omit<Column, 'name'> {
  const { env, stack } = context;
  const type = env.relationByOid(oid);
  const seen = `t${oid}`;
  // Only a view can come round to its own type.
  if (type === null || stack.includes(seen) || stack.length > MAX_DEFINITION_DEPTH)
    return { deps: env.everyTag(type?.schema ?? '', type?.name ?? '', '*') };
  const apart: Context = { ...context, out: new Collector(), stack: [...stack, seen] };
  const row = shapeOf(type, apart);
  return { deps: whole(row), row };
}

function tagsOf(column: string, family: readonly CatalogRelation[], env: Env): Deps {
  let deps: Set<Tagged> | null = null;
  for (const member of family) {
    const found = member.columns.find((c) => c.name === column);
    if (found === undefined) continue;
    const tagged = env.tag(member.schema, member.name, column, found.comment);
    if (tagged === null) continue;
    deps ??= new Set();
    deps.add(tagged);
  }
  return deps ?? NONE;
}

/**
 * Partitions and inheritance children hold the parent's rows, and the other way round: a tag on one counts for all. A typed table has
 * the tags of its type.
 */
function familyOf(relation: CatalogRelation, env: Env): readonly CatalogRelation[] {
  const seen = new Map<number, CatalogRelation>([[relation.oid, relation]]);
  const up = [relation];
  for (let next = up.pop(); next !== undefined; next = up.pop()) {
    for (const oid of [...next.parents, ...(next.ofType ? [next.ofType] : [])]) {
      const parent = env.relationByOid(oid);
      if (parent !== null && !seen.has(oid)) {
        seen.set(oid, parent);
        up.push(parent);
      }
    }
  }
  const down = [relation];
  for (let next = down.pop(); next !== undefined; next = down.pop()) {
    for (const child of env.childrenOf(next.oid)) {
      if (!seen.has(child.oid)) {
        seen.set(child.oid, child);
        down.push(child);
      }
    }
  }
  return [...seen.values()];
}

function systemShape(schema: string, name: string, env: Env): Shape {
  const known = env.known(`${schema}.${name}`);
  return {
    columns: [],
    open: (column) => {
      const shown = schema === 'pg_toast' || reveals(name, column);
      return shown ? env.everyTag(schema, name, column ?? '*') : known;
    },
    count: known,
  };
}

/** Without a catalog a column is judged by its name, in every schema the name may mean. */
function unresolvedShape(name: RelationName, context: Context): Shape {
  const { env, resolution } = context;
  const schemas =
    name.schema !== null ? [name.schema] : [...new Set([...(schemasOf(resolution) ?? []), 'public'])];
  return {
    columns: [],
    open: (column) => {
      if (column === null) {
        context.out.unknowns.add(`columns of ${name.name}`);
        return NONE;
      }
      if (SYSTEM_COLUMNS.has(column)) return NONE;
      const deps = new Set<Tagged>();
      for (const schema of schemas) {
        const tagged = env.tag(schema, name.name, column, null);
        if (tagged !== null) deps.add(tagged);
      }
      return deps;
    },
  };
}
