/**
 * Does ALTER COLUMN … TYPE write the table anew? PostgreSQL does not where the cast changes no bytes and the length or precision only
 * grows (tablecmds.c ATColumnChangeRequiresRewrite, the support functions of varchar, numeric, varbit and of the times). Version 12 and later.
 */
import type { Tree } from './parse/node.ts';
import { asList, asText, asTree, nodeOf, qualified } from './parse/node.ts';

/** A column gets another type. */
export interface Retype {
  readonly column: string;
  /** One of the server's own, as pg_type names it; null: another, or an array. */
  readonly type: {
    readonly name: string;
    readonly qualified: boolean;
    readonly mods: readonly number[];
  } | null;
  /** USING says how: what that comes to is not known. */
  readonly using: boolean;
}

/** The column as it is, and how the server casts it to the new type: `b` the same bytes, else by work. */
export interface ColumnNow {
  readonly type: string;
  readonly mod: number;
  readonly cast: string | null;
}

export function retypeOf(command: Tree): Retype {
  const definition = nodeOf(command['def'], 'ColumnDef') ?? {};
  const type = asTree(definition['typeName']);
  const { schema, name } = qualified(type?.['names']);
  const mods = asList(type?.['typmods']).map((item) => modOf(nodeOf(item, 'A_Const')));
  const plain =
    type !== null &&
    type['pct_type'] !== true &&
    type['setof'] !== true &&
    asList(type['arrayBounds']).length === 0;
  const own = (schema === null || schema === 'pg_catalog') && NAME.test(name) && !name.startsWith('_');
  const known = mods.flatMap((mod) => mod ?? []);
  return {
    column: asText(command['name']),
    type:
      plain && own && known.length === mods.length
        ? { name, qualified: schema === 'pg_catalog', mods: known }
        : null,
    using: definition['raw_default'] !== undefined,
  };
}
const NAME = /^[a-z][a-z0-9_]{0,62}$/;
/** A zero is not written in the tree. */
const modOf = (constant: Tree | null): number | null => {
  const held = asTree(constant?.['ival']);
  if (held === null) return null;
  return typeof held['ival'] === 'number' ? held['ival'] : 0;
};

/** `utc`: in the session's time zone; null: that is not known. Anything in doubt may write it. */
export function writesAnew({ type, using }: Retype, now: ColumnNow, utc: boolean | null): boolean | 'maybe' {
  if (type === null || using) return 'maybe';
  const mod = typmod(type.name, type.mods);
  if (mod === null) return 'maybe';
  if (type.name === now.type) return mod < 0 || mod === now.mod ? false : !grows(type.name, now.mod, mod);
  const zones = `${now.type} ${type.name}`;
  if (zones === 'timestamp timestamptz' || zones === 'timestamptz timestamp')
    return utc === null ? 'maybe' : !utc || (mod >= 0 && mod < 6);
  if (now.cast === 'b') return mod >= 0;
  // Every type has a text, without an entry for that.
  return now.cast === null && !STRINGS.has(type.name) ? 'maybe' : true;
}

const STRINGS: ReadonlySet<string> = new Set(['text', 'varchar', 'bpchar']);
const TIMES: ReadonlySet<string> = new Set(['timestamp', 'timestamptz', 'time', 'timetz']);

/** As pg_attribute has it; −1: none. null: not one that is known here. */
function typmod(name: string, mods: readonly number[]): number | null {
  const [first, second = 0, ...more] = mods;
  if (first === undefined) return -1;
  if (more.length > 0 || (second !== 0 && name !== 'numeric')) return null;
  if (name === 'varchar' || name === 'bpchar') return first + 4;
  if (name === 'numeric') return ((first << 16) | (second & 0x7ff)) + 4;
  if (TIMES.has(name)) return Math.min(first, 6);
  return name === 'bit' || name === 'varbit' ? first : null;
}

function grows(name: string, from: number, to: number): boolean {
  if (name === 'varchar' || name === 'varbit') return from >= 0 && to >= from;
  if (TIMES.has(name)) return to >= 6 || (from >= 0 && to >= from);
  if (name !== 'numeric' || from < 4) return false;
  const [before, after] = [from - 4, to - 4];
  return (before & 0x7ff) === (after & 0x7ff) && after >> 16 >= before >> 16;
}
