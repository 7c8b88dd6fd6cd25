/** Types of the server's own that hold plain values, and operators between them. Pure data: pg_type, pg_operator of PostgreSQL 15 to 18. */

/** The type of an expression: its oid; `literal`: text that takes the type of the other side; null: it may be any. */
export type Operand = number | 'literal' | null;

export const BOOL = 16;
export const TEXT = 25;
const VARCHAR = 1043;
const BPCHAR = 1042;
const JSON_TYPE = 114;

/** By their names in pg_type. No arrays, rows, ranges or domains. */
export const TYPES: ReadonlyMap<string, number> = new Map([
  ['bool', BOOL],
  ['bytea', 17],
  ['name', 19],
  ['int8', 20],
  ['int2', 21],
  ['int4', 23],
  ['text', TEXT],
  ['oid', 26],
  ['json', JSON_TYPE],
  ['float4', 700],
  ['float8', 701],
  ['money', 790],
  ['inet', 869],
  ['bpchar', BPCHAR],
  ['varchar', VARCHAR],
  ['date', 1082],
  ['time', 1083],
  ['timestamp', 1114],
  ['timestamptz', 1184],
  ['interval', 1186],
  ['timetz', 1266],
  ['numeric', 1700],
  ['uuid', 2950],
  ['tsvector', 3614],
  ['tsquery', 3615],
  ['jsonb', 3802],
]);
export const PLAIN: ReadonlySet<number> = new Set(TYPES.values());
export const STRINGS: ReadonlySet<Operand> = new Set<Operand>([TEXT, VARCHAR, BPCHAR]);

const COMPARED = new Set(['=', '<>', '<', '<=', '>', '>=']);
/** Compared by an operator that takes this type on both sides: not varchar, which goes through text, nor json, which is not compared. */
const ALIKE = new Set([...PLAIN].filter((oid) => oid !== VARCHAR && oid !== JSON_TYPE));
const INTEGERS = new Set([20, 21, 23]);
const MATCHING = new Set(['~~', '!~~', '~~*', '!~~*', '~', '!~', '~*', '!~*', '^@']);

/** The server has an operator of just these types: it is taken before any that would need a cast. */
export function exact(name: string, left: number, right: number): boolean {
  if (COMPARED.has(name)) return left === right ? ALIKE.has(left) : INTEGERS.has(left) && INTEGERS.has(right);
  return MATCHING.has(name) && left === TEXT && right === TEXT;
}
