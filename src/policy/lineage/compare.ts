/** Comparisons: what they relate (related.ts). */
import { asTree, nodeOf, qualified } from '../parse/node.ts';
import { taggedRows } from '../types.ts';
import type { Context } from './context.ts';
import type { Deps, Made, Origin, Tagged } from './deps.ts';
import { isTagged, union } from './deps.ts';
import { parameters } from './scope.ts';

/** `order`: every comparison but those that only tell values which are equal from values which are not. */
export type Comparing = 'equality' | 'order';

const EQUALITIES: ReadonlySet<string> = new Set(['=', '<>', '!=']);

export const comparingBy = (operator: string): Comparing => (EQUALITIES.has(operator) ? 'equality' : 'order');

/**
 * An equality hands the tag to the columns on the other side; any other comparison, with how many rows it lets through, tells the value
 * as well. Rows that the session knows tell it either way.
 */
export function relate(left: Deps, right: Deps, by: Comparing, context: Context): void {
  if (context.loop)
    for (const side of [left, right])
      for (const one of side) if (one.kind === 'tagged') context.loop.compared.add(one);
  if (context.fired && [...left, ...right].every((one) => isOwn(one, context))) return;
  const sides = [left, right].map((side) => [
    ...taking(by === 'equality' ? asGiven(side, context) : side, context),
  ]);
  const members = new Set(sides.flat());
  const equal = by === 'equality' && !sides.some(isMixed);
  const tagged = [...members].some(({ kind }) => kind === 'tagged');
  for (const one of [...members]) {
    if (one.kind !== 'stored') continue;
    const { rows } = one;
    if (equal) {
      if (tagged) context.out.handed.add(rows.name);
      const known = context.resolution.written?.includes(rows.name) === true;
      const marked = context.marks === 'any' || context.marks?.has(one) === true;
      if (!known && !marked) continue;
    }
    // Two columns of one row are compared within that row: one bit of it.
    const apart = left.size > 0 && right.size > 0 && context.out.namedTwice(rows.name);
    if (apart || [...members].some((other) => other !== one && relationOf(other) !== rows.name))
      members.add(rows);
  }
  if (isTagged(left) && isTagged(right)) for (const rows of knownRows(members, context)) members.add(rows);
  if (members.size > 1) context.out.related.join(members);
}

/** Of tagged columns that are compared with one another: rows that the owner has written, among them or beside them. */
function* knownRows(members: Iterable<Tagged | Origin>, context: Context): Generator<Tagged | Origin> {
  const { env, out, resolution } = context;
  for (const { schema, relation } of tablesOf(members, out)) {
    const name = taggedRows(`${schema}.${relation}`);
    out.handed.add(name);
    if (resolution.written?.includes(name) === true) yield* env.rows(schema, relation);
  }
}

/** Whose rows are compared with those of another, or of itself: none where the columns are of one row. */
function tablesOf(members: Iterable<Tagged | Origin>, out: Context['out']): readonly Tagged[] {
  const tables = new Map<string, Tagged>();
  for (const one of members) if (one.kind === 'tagged') tables.set(`${one.schema}.${one.relation}`, one);
  return [...tables].filter(([name]) => tables.size > 1 || out.namedTwice(name)).map(([, one]) => one);
}

/** Rows are put in order, or into groups, by these. */
export function arrange(deps: Deps, context: Context): void {
  for (const one of deps) if (one.kind === 'tagged') context.out.arranged.add(one);
  inIndexOrder(deps, context);
}

/** Rows may come out in the order of these: where the owner has written some of them, theirs tell the others. */
export function inIndexOrder(deps: Deps, { env, out, resolution }: Context): void {
  for (const one of deps) {
    if (one.kind !== 'tagged') continue;
    const { schema, relation } = one;
    const name = taggedRows(`${schema}.${relation}`);
    out.handed.add(name);
    if (resolution.written?.includes(name) === true) out.related.join([one, ...env.rows(schema, relation)]);
  }
}

/** `n / c.salary = 0`: an equality in name only. So is `k.week % n = 0`, where the week may be a salary by another. */
function isMixed(side: readonly (Tagged | Origin)[]): boolean {
  const tagged = side.filter(({ kind }) => kind === 'tagged').length;
  return (tagged > 0 && tagged < side.length) || new Set(side.map(relationOf)).size > 1;
}

/** Of the row that a trigger fires on, as it was and as it will be: compared within it, that is one bit of it. */
const isOwn = (one: Tagged | Origin, context: Context): boolean =>
  context.fired?.tags.has(one) === true || parameters(context).has(one);

/** What NEW holds is the client's, or it is of one row: equal to something, that is one bit of it. */
function asGiven(side: Deps, context: Context): Deps {
  const { fired } = context;
  if (!fired || ![...parameters(context)].some((one) => side.has(one))) return side;
  return new Set([...side].filter((one) => !fired.tags.has(one)));
}

/** Untagged columns beside a tagged one of their row, as in `name || city`, are not compared with it. */
function* taking(side: Deps, { out }: Context): Generator<Tagged | Origin> {
  const own = new Set<string | null>();
  for (const one of side) if (one.kind === 'tagged') own.add(relationOf(one));
  for (const one of side)
    if (one.kind !== 'stored' || !own.has(one.rows.name) || out.namedTwice(one.rows.name)) yield one;
}

/** Whose row it is a column of. */
function relationOf(one: Tagged | Origin): string | null {
  if (one.kind === 'tagged') return `${one.schema}.${one.relation}`;
  return one.kind === 'stored' ? one.rows.name : null;
}

/** One comparison with a constant tells little; a ladder of them tells the value, and sooner one of its parts: bits, letters. */
export function counts(
  node: unknown,
  sides: readonly unknown[],
  left: Deps,
  right: Deps,
  context: Context,
): void {
  const bare = sides.every(
    (side) => nodeOf(side, 'ColumnRef') !== null || !isTagged(side === sides[0] ? left : right),
  );
  const rows = isTagged(left) && isTagged(right) && tablesOf(union(left, right), context.out).length > 0;
  if (rows && !sides.some(hasConstant)) return;
  for (const one of union(left, right))
    if (one.kind === 'tagged' || one.kind === 'stored')
      context.out.comparedAt(one, node, bare ? 1 : takesBits(sides) ? 9 : 3);
}

function hasConstant(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (nodeOf(value, 'A_Const') !== null || nodeOf(value, 'ParamRef') !== null) return true;
  return Object.values(value).some(hasConstant);
}

/** `wage & 4`, `wage % 10`: hardly anybody asks for that twice. */
function takesBits(value: unknown): boolean {
  if (Array.isArray(value)) return value.some(takesBits);
  const tree = asTree(value);
  if (tree === null) return false;
  const node = nodeOf(tree, 'A_Expr');
  if (node !== null && BITWISE.has(qualified(node['name']).name)) return true;
  const called = nodeOf(tree, 'FuncCall');
  if (called !== null && BITS.has(qualified(called['funcname']).name)) return true;
  return Object.values(tree).some((child) => typeof child === 'object' && takesBits(child));
}
const BITWISE: ReadonlySet<string> = new Set(['&', '|', '#', '%', '<<', '>>']);
const BITS: ReadonlySet<string> = new Set(['get_bit', 'get_byte', 'mod']);

const made = new WeakMap<object, Deps>();

/** The rows that this part of a statement makes: VALUES, a series, a recursion. */
export function madeBy(node: object): Deps {
  let deps = made.get(node);
  if (deps === undefined) {
    const one: Made = { kind: 'made' };
    deps = new Set([one]);
    made.set(node, deps);
  }
  return deps;
}
