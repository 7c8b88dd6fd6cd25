/**
 * A cast of users from a type of theirs to a built-in one: `x::text` runs it only where x may be of that type. Types are not told
 * expression by expression; a value of it can be there only if the statement, or what it reaches, touches, calls or names something that
 * has such values. What cannot be told may have them.
 */
import type { Context } from '../lineage/context.ts';
import { callHidden } from './functions.ts';

/** A type is named. A cast to one of users' own, a row or a domain, runs those to what it is made of. */
export function nameType(schema: string | null, name: string, context: Context): void {
  const { env, out } = context;
  if ((env.catalog?.types ?? []).length === 0) return;
  const found = env.typesNamed(name);
  for (const type of found) out.named.add(type);
  // Arrays of rows made since the types were read; `%ROWTYPE`.
  const plain = /^[\p{L}_][\p{L}\p{N}_$ ]*$/u.test(name) && !name.startsWith('_');
  if (!plain || (found.length === 0 && schema !== null && schema !== 'pg_catalog')) out.anyType = true;
  if (found.length > 0 || out.anyType) meetCasts(context);
}

/** Casts to this built-in type, or to any, may be met. */
export function meetCasts({ env, out }: Context, to: RegExp | null = null): void {
  for (const { from, name, calls } of env.casts) if (to === null || to.test(name)) out.cast(from, calls);
}

/** Once all of the statement is known: which of the casts met on the way may run. */
export function runCasts(context: Context): void {
  const { env, out } = context;
  // What one of them calls may meet others, and types of others.
  const extent = (): string =>
    [out.casts, out.named, out.definitions, out.unknowns, out.comparisons].map((s) => s.size).join();
  for (let before = ''; before !== extent(); ) {
    before = extent();
    if (out.compares) for (const called of [...out.comparisons]) callHidden(called, context, 'value');
    const present = presentTypes(context);
    const met = (from: number): boolean =>
      present === null || [...env.carriersOf(from)].some((type) => present.has(type));
    for (const [from, calls] of [...out.casts])
      if (met(from)) for (const called of calls) callHidden(called, context, 'value');
    // No catalog shows what its columns are: where such values could be in it, nothing that uses it is known (gateway/context.ts).
    const temporary = out.effects.some(({ kind }) => kind === 'temp-relation');
    if (temporary && env.casts.some(({ from }) => met(from)))
      out.unknowns.add('a temporary relation of a type with casts of its own');
  }
}

/** Null: any. */
function presentTypes({ env, out, resolution }: Context): ReadonlySet<number> | null {
  const unsure =
    out.anyType ||
    out.unresolved ||
    out.unknowns.size > 0 ||
    resolution.changed?.includes('*') === true ||
    [...out.relations.values()].some(({ known, access }) => !known && access !== 'ddl');
  if (unsure) return null;
  const present = new Set(out.named);
  for (const key of out.definitions.keys()) {
    const oid = Number(key.slice(1));
    const relation = key.startsWith('r') ? env.relationByOid(oid) : null;
    if (relation?.type !== undefined) present.add(relation.type);
    const types = relation === null ? env.functionByOid(oid)?.types : relation.types;
    for (const type of types ?? []) present.add(type);
  }
  return present;
}
