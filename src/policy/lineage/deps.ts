/** A base column that carries a tag. */
export interface Tagged {
  readonly kind: 'tagged';
  readonly schema: string;
  readonly relation: string;
  readonly column: string;
  readonly tag: string;
}
/** An untagged column of a table: a predicate that relates it to a tagged one hands the tag on. */
export interface Stored {
  readonly kind: 'stored';
  readonly column: string;
  readonly rows: Rows;
}
/** The rows of a table, `schema.relation`: how many of them come out. */
export interface Rows {
  readonly kind: 'rows';
  readonly name: string;
}
/** Rows whose values the session knows, because the statement or the session makes them: series, VALUES, recursion, temporary tables. */
export interface Made {
  readonly kind: 'made';
}
export type Origin = Stored | Rows | Made;
/** What an expression may carry: tagged columns and origins, each interned, so that sets compare by identity. */
export type Deps = ReadonlySet<Tagged | Origin>;

export const NONE: Deps = new Set();

/** Does it carry anything tagged? */
export function isTagged(deps: Deps): boolean {
  for (const { kind } of deps) if (kind === 'tagged') return true;
  return false;
}

export function tagsOnly(deps: Deps): Deps {
  const all = [...deps].filter(({ kind }) => kind === 'tagged');
  return all.length === deps.size ? deps : new Set(all);
}

export function originsOnly(deps: Deps): Deps {
  const all = [...deps].filter(({ kind }) => kind !== 'tagged');
  return all.length === deps.size ? deps : new Set(all);
}

export function union(...parts: readonly Deps[]): Deps {
  let first = NONE;
  let merged: Set<Tagged | Origin> | null = null;
  for (const part of parts) {
    if (part.size === 0 || part === first) continue;
    if (first.size === 0) {
      first = part;
      continue;
    }
    merged ??= new Set(first);
    for (const dep of part) merged.add(dep);
  }
  return merged ?? first;
}

export interface Column {
  readonly name: string;
  readonly deps: Deps;
  /** A row, or an array of rows: what each attribute carries, all of it in `deps` too. Absent: not told apart. */
  readonly row?: Shape | null;
}

/** The column may carry `deps` besides, in any attribute of its row. */
export function adding(column: Column, deps: Deps): Column {
  if (deps.size === 0) return column;
  const row = column.row ?? null;
  return {
    name: column.name,
    deps: union(column.deps, deps),
    row: row && { ...row, columns: row.columns.map((attribute) => adding(attribute, deps)) },
  };
}

/** The column may hold what the other does. */
export function either(column: Column, other: Column): Column {
  const [row, theirs] = [column.row ?? null, other.row ?? null];
  if (row === null || theirs === null || row.columns.length !== theirs.columns.length)
    return adding(column, other.deps);
  const columns = row.columns.map((attribute, i) => either(attribute, theirs.columns[i] ?? other));
  return { name: column.name, deps: union(column.deps, other.deps), row: { columns, open: row.open } };
}

/**
 * Columns of a relation or of a query's output. `open`: there may be more, at unknown places: what a name (null: any of them)
 * may carry.
 */
export interface Shape {
  readonly columns: readonly Column[];
  readonly open: ((name: string | null) => Deps) | null;
  /** What the number of its rows tells of, beside what its columns carry. Absent: nothing. */
  readonly count?: Deps;
}

/** Its values. */
export function whole(shape: Shape): Deps {
  return union(...shape.columns.map((column) => column.deps), shape.open?.(null) ?? NONE);
}

export const counted = (shape: Shape): Deps => shape.count ?? NONE;

/** What somebody learns who sees its rows. */
export const told = (shape: Shape): Deps => union(whole(shape), counted(shape));

/** As many rows as something tells of; columns made from no others, as count(*) is, tell it as well. */
export function counting(shape: Shape, count: Deps): Shape {
  return {
    ...shape,
    columns: shape.columns.map((column) => (isMade(column.deps) ? adding(column, count) : column)),
    count,
  };
}

/** It holds no value of a table's. */
export function isMade(deps: Deps): boolean {
  for (const { kind } of deps) if (kind === 'tagged' || kind === 'stored') return false;
  return true;
}

/** What `name` may carry; null when the shape cannot have it. */
export function lookup(shape: Shape, name: string): Deps | null {
  let found: Deps | null = null;
  for (const column of shape.columns) {
    if (column.name === name) found = found === null ? column.deps : union(found, column.deps);
  }
  return found ?? shape.open?.(name) ?? null;
}

/** `AS t(a, b)`: renames by position; where positions are not known every new name may be anything. */
export function rename(shape: Shape, aliases: readonly string[]): Shape {
  if (aliases.length === 0) return shape;
  if (shape.open !== null) {
    const all = whole(shape);
    return { ...shape, columns: aliases.map((name) => ({ name, deps: all })), open: () => all };
  }
  return {
    ...shape,
    columns: shape.columns.map((column, i) => ({ ...column, name: aliases[i] ?? column.name })),
  };
}

/** UNION, INTERSECT, EXCEPT and the arms of a recursive query: by position. */
export function merge(left: Shape, right: Shape): Shape {
  const count = union(counted(left), counted(right));
  if (left.open !== null || right.open !== null) {
    const all = union(whole(left), whole(right));
    return { columns: left.columns.map(({ name }) => ({ name, deps: all })), open: () => all, count };
  }
  const rest = right.columns.length > left.columns.length ? right.columns.slice(left.columns.length) : [];
  return {
    columns: [
      ...left.columns.map((column, i) => ({
        name: column.name,
        deps: union(column.deps, right.columns[i]?.deps ?? NONE),
      })),
      ...rest,
    ],
    open: null,
    count,
  };
}
