/** Names of one query and of those around it, for the types of its columns. */

import { SYSTEM_COLUMNS } from '../lineage/system.ts';
import type { RelationName } from '../parse/node.ts';
import type { CatalogRelation } from '../types.ts';
import type { Operand } from './types.ts';

export interface Typed {
  /** Null: it has a name that the server makes up. */
  readonly name: string | null;
  readonly type: Operand;
}
export interface Source {
  /** How it is referred to; null: not known, any qualified name may mean it. */
  readonly alias: string | null;
  /** Set where it may be referred to as `schema.relation`. */
  readonly schema: string | null;
  /** Null: not known. */
  readonly columns: readonly Typed[] | null;
  /** A join shows its columns in another order: once, where it joins USING them. */
  readonly merged?: true;
}
export interface Names {
  readonly sources: readonly Source[];
  readonly ctes: Ctes | null;
  readonly outer: Names | null;
}
export interface Ctes {
  readonly name: string;
  readonly columns: readonly Typed[] | null;
  readonly next: Ctes | null;
}

export const within = (sources: readonly Source[], outer: Names, ctes = outer.ctes): Names => ({
  sources,
  ctes,
  outer,
});

/** Any name may mean it. */
export const ANYTHING: Source = { alias: null, schema: null, columns: null };

export function ofRelation(name: RelationName, relation: CatalogRelation | null): Source {
  const columns = relation?.columns.map((column) => ({ name: column.name, type: column.typeOid ?? null }));
  return {
    alias: name.alias ?? name.name,
    schema: name.alias === null ? (relation?.schema ?? null) : null,
    columns: renamed(columns ?? null, name.aliasColumns),
  };
}

export const renamed = (
  columns: readonly Typed[] | null,
  names: readonly (string | null)[],
): readonly Typed[] | null =>
  columns?.map((column, i) => ({ ...column, name: names[i] ?? column.name })) ?? null;

/** `column`, `table.column` or `schema.table.column`. */
export function typeOfName(parts: readonly string[], names: Names): Operand {
  const column = parts.at(-1);
  if (column === undefined || SYSTEM_COLUMNS.has(column)) return null;
  for (let at: Names | null = names; at !== null; at = at.outer) {
    const sources = parts.length === 1 ? at.sources : at.sources.filter((source) => means(source, parts));
    const found = sources.flatMap(({ columns }) => columns?.filter(({ name }) => name === column) ?? []);
    if (sources.some(({ columns }) => columns === null || columns.some(({ name }) => name === null)))
      return null;
    const [first] = found;
    if (first !== undefined) return found.every(({ type }) => type === first.type) ? first.type : null;
    // It has no such column: an attribute, or a function of that name.
    if (sources.length > 0 && parts.length > 1) return null;
  }
  return null;
}

function means({ alias, schema }: Source, parts: readonly string[]): boolean {
  const [table, within] = [parts.at(-2), parts.at(-3)];
  return alias === null || (alias === table && (within === undefined || schema === within));
}
