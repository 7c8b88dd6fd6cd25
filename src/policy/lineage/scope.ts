/** Names in a query: FROM items innermost first, then those of the queries around it; and WITH queries. */
import type { Tree } from '../parse/node.ts';
import type { Context } from './context.ts';
import type { Deps, Shape } from './deps.ts';
import { counted, lookup, NONE, union, whole } from './deps.ts';
import { SYSTEM_COLUMNS } from './system.ts';

export interface Source {
  /** How the query refers to it; null: by its columns only. */
  readonly alias: string | null;
  /** Set when the relation has no alias and may be referred to as `schema.relation`. */
  readonly schema: string | null;
  readonly shape: Shape;
  /** Where the query renames its columns: its rows as a value keep the names of their type. */
  readonly rows?: Shape;
}

export interface Scope {
  readonly sources: readonly Source[];
  readonly ctes: Ctes | null;
  readonly parent: Scope | null;
}

export interface Ctes {
  readonly name: string;
  readonly shape: Shape;
  readonly next: Ctes | null;
}

export function scopeOf(sources: readonly Source[], parent: Scope | null, ctes: Ctes | null = null): Scope {
  return { sources, ctes: ctes ?? parent?.ctes ?? null, parent };
}

export function findCte(ctes: Ctes | null, name: string): Ctes | null {
  for (let at = ctes; at !== null; at = at.next) if (at.name === name) return at;
  return null;
}

export function findSource(scope: Scope | null, alias: string): Source | null {
  for (let at = scope; at !== null; at = at.parent) {
    for (const source of at.sources) if (source.alias === alias) return source;
  }
  return null;
}

const known = new WeakMap<Scope, WeakMap<Tree, Deps>>();

/** What a part of a query carries; looked at once, however often it is asked for. */
export function once(node: Tree, scope: Scope, look: () => Deps): Deps {
  const here = known.get(scope) ?? new WeakMap<Tree, Deps>();
  known.set(scope, here);
  let deps = here.get(node);
  if (deps === undefined) {
    deps = look();
    here.set(node, deps);
  }
  return deps;
}

/** `table`, `schema.table`. */
export function sourceNamed(parts: readonly string[], scope: Scope | null): Source | null {
  const table = parts.at(-1) ?? '';
  return parts.length === 1 ? findSource(scope, table) : findBySchema(scope, parts.at(-2) ?? '', table);
}

/** What the body being read is given; of the row that fired it, what is in that. */
export function parameters({ env, stack, fired }: Context, row = '', column: string | null = null): Deps {
  const own = env.parameters(Number(stack.at(-1)?.slice(1) ?? 0));
  const shape = fired?.rows.get(row);
  if (shape === undefined) return own;
  return (column === null ? null : lookup(shape, column)) ?? whole(shape);
}

/** What the number of rows tells that a query is made of. */
export const countsOf = ({ sources }: Scope): Deps => union(...sources.map(({ shape }) => counted(shape)));

/** With those of the queries around it. */
export function countsIn(scope: Scope | null): Deps {
  let deps: Deps = NONE;
  for (let at = scope; at !== null; at = at.parent) deps = union(deps, countsOf(at));
  return deps;
}

/** `name`: a column of the nearest query that has one, else a whole row, else (in a body) a parameter, else anything in reach. */
export function resolveName(name: string, scope: Scope, context: Context): Deps {
  let uncertain: Deps = NONE;
  let possible = false;
  for (let at: Scope | null = scope; at !== null; at = at.parent) {
    let closed: Deps | null = null;
    for (const source of at.sources) {
      const named = source.shape.columns.some((column) => column.name === name);
      if (named) closed = union(closed ?? NONE, lookup(source.shape, name) ?? NONE);
      else if (source.shape.open !== null) {
        possible = true;
        uncertain = union(uncertain, source.shape.open(name));
      }
    }
    if (closed !== null) return union(closed, uncertain);
  }
  const row = findSource(scope, name);
  if (row !== null) return union(whole(row.shape), uncertain);
  if (context.inBody) return union(uncertain, parameters(context, name));
  // Where a row lies is known, and another for each row.
  if (SYSTEM_COLUMNS.has(name)) return union(uncertain, countsIn(scope));
  if (possible) return uncertain;
  context.out.unresolved = true;
  return everything(scope);
}

/** `table.column`, `schema.table.column`; null: it has no such column. */
export function resolveQualified(source: Source, column: string): Deps | null {
  const deps = lookup(source.shape, column);
  if (!SYSTEM_COLUMNS.has(column) || source.shape.columns.some(({ name }) => name === column)) return deps;
  // Where a row lies is known, and another for each row.
  return union(deps ?? NONE, counted(source.shape));
}

/** The attributes of the row that a name stands for, by the names that a value of it has; null: they cannot be told apart. */
export function resolveRow(parts: readonly string[], scope: Scope, as: 'value' | 'prefix'): Shape | null {
  const name = parts.at(-1) ?? '';
  if (parts.length > 1) {
    const source = sourceNamed(parts.slice(0, -1), scope);
    return source === null ? null : rowIn([source], name);
  }
  for (let at: Scope | null = scope; at !== null; at = at.parent) {
    const others = at.sources.filter(({ alias }) => alias !== name);
    if (others.some(({ shape }) => shape.open !== null)) return null;
    if (at.sources.some(({ shape }) => shape.columns.some((column) => column.name === name)))
      return rowIn(at.sources, name);
  }
  const source = findSource(scope, name);
  return (as === 'value' ? source?.rows : undefined) ?? source?.shape ?? null;
}

function rowIn(sources: readonly Source[], name: string): Shape | null {
  const [column, ...more] = sources.flatMap(({ shape }) => shape.columns.filter((c) => c.name === name));
  return column === undefined || more.length > 0 ? null : (column.row ?? null);
}

function findBySchema(scope: Scope | null, schema: string, table: string): Source | null {
  for (let at = scope; at !== null; at = at.parent) {
    for (const source of at.sources) {
      if (
        source.alias === table &&
        source.schema !== null &&
        (source.schema === schema || source.schema === '')
      )
        return source;
    }
  }
  return null;
}

/** The name means nothing here (the catalog may be a moment old): every candidate counts. */
export function everything(scope: Scope): Deps {
  let deps: Deps = NONE;
  for (let at: Scope | null = scope; at !== null; at = at.parent) {
    for (const source of at.sources) deps = union(deps, whole(source.shape));
  }
  return deps;
}
