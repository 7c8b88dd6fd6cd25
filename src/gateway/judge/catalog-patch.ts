/** A step from one snapshot of a catalog to the next: what crosses to the workers instead of the whole, at every DDL. */
import type { CatalogRelation, CatalogSnapshot } from '../../policy/types.ts';

export interface CatalogPatch {
  readonly version: string;
  /** New ones and changed ones. */
  readonly relations: readonly CatalogRelation[];
  readonly removed: readonly number[];
  readonly foreignKeys: CatalogSnapshot['foreignKeys'];
  readonly takenAt: number;
}

export function patched(
  before: CatalogSnapshot,
  { relations, removed, ...rest }: CatalogPatch,
): CatalogSnapshot {
  const gone = new Set(removed);
  const fresh = new Map(relations.map((relation) => [relation.oid, relation]));
  const kept = before.relations.filter(({ oid }) => !gone.has(oid) && !fresh.has(oid));
  return { ...before, ...rest, relations: [...kept, ...relations].sort((a, b) => a.oid - b.oid) };
}
