/** What an expression may carry: a set of tagged base columns, each interned, so that sets compare by identity. */
export interface Tagged {
  readonly schema: string;
  readonly relation: string;
  readonly column: string;
  readonly tag: string;
}
export type Deps = ReadonlySet<Tagged>;

export const NONE: Deps = new Set();

export function union(...parts: readonly Deps[]): Deps {
  let first = NONE;
  let merged: Set<Tagged> | null = null;
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
    row: row && { columns: row.columns.map((attribute) => adding(attribute, deps)), open: row.open },
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
}

export function whole(shape: Shape): Deps {
  return union(...shape.columns.map((column) => column.deps), shape.open?.(null) ?? NONE);
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
    return { columns: aliases.map((name) => ({ name, deps: all })), open: () => all };
  }
  return {
    columns: shape.columns.map((column, i) => ({ ...column, name: aliases[i] ?? column.name })),
    open: null,
  };
}

/** UNION, INTERSECT, EXCEPT and the arms of a recursive query: by position. */
export function merge(left: Shape, right: Shape): Shape {
  if (left.open !== null || right.open !== null) {
    const all = union(whole(left), whole(right));
    return { columns: left.columns.map(({ name }) => ({ name, deps: all })), open: () => all };
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
  };
}
