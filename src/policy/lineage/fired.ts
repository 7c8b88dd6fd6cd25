/** The row that a trigger fires on: what OLD and NEW carry in the trigger's body. */
import type { CatalogRelation, WriteEvent } from '../types.ts';
import type { Context, Fired } from './context.ts';
import type { Column, Deps, Shape, Tagged } from './deps.ts';
import { adding, isTagged, tagsOnly } from './deps.ts';
import { shapeOf } from './relation.ts';

export interface FiredRow {
  /** Whose bodies see the same. */
  readonly key: string;
  /** `own`: what the function is given. */
  seenBy(own: Deps): Fired;
  /** What is assigned there stays with what is tagged: `new.email`. */
  hides(target: string): boolean;
}

/** Null: nothing in it is tagged, or all of it is the client's own (INSERT), unless another trigger put it there. */
export function firedRow(relation: CatalogRelation, event: WriteEvent, context: Context): FiredRow | null {
  if (event === 'truncate' || (event === 'insert' && !context.fired)) return null;
  const { columns } = shapeOf(relation, context);
  const tagged = columns.filter(({ deps }) => isTagged(deps));
  if (tagged.length === 0) return null;
  const names = new Set(tagged.map(({ name }) => name));
  return {
    key: `${relation.oid}`,
    hides: (target) => {
      const [row, column, ...more] = target.split('.').map(folded);
      return row === 'new' && column !== undefined && more.length === 0 && names.has(column);
    },
    seenBy: (own) => {
      const copies = new Map<Tagged, Tagged>();
      const copy = (deps: Deps): Deps =>
        new Set(
          [...tagsOnly(deps)].flatMap((one) => {
            if (one.kind !== 'tagged') return [];
            const known = copies.get(one) ?? { ...one };
            copies.set(one, known);
            return [known];
          }),
        );
      const old: Column[] = columns.map(({ name, deps }) => {
        const tags = copy(deps);
        return { name, deps: tags.size > 0 ? tags : own };
      });
      const rows = new Map<string, Shape>([
        ['old', { columns: old, open: null }],
        ['new', { columns: old.map((column) => adding(column, own)), open: null }],
      ]);
      return { rows, tags: new Set(copies.values()) };
    },
  };
}

const folded = (name: string): string =>
  name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name.toLowerCase();
