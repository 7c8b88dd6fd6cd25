/**
 * May this SELECT be planned, or run, before anybody has approved it? Planning works out IMMUTABLE and STABLE functions (DESIGN.md 3), so that
 * nothing in it may be code of users: not called by name, by an operator or a cast, nor hidden in a view, a policy, an index or a default.
 */
import { HARMLESS } from '../../policy/facts/builtins.ts';
import { onlyComputes } from '../../policy/facts/extensions.ts';
import type { CatalogRelation, CatalogSnapshot, Facts } from '../../policy/types.ts';

/** Why not; null: it may. */
export function unsafe(facts: Facts | null, catalog: CatalogSnapshot): string | null {
  const [only, ...more] = facts?.statements ?? [];
  if (only === undefined || more.length > 0) return 'it could not be read';
  if (only.unresolved === true) return 'it names what the catalog does not know';
  if (only.unknowns.length > 0) return `its effect cannot be told (${only.unknowns[0]})`;
  const does = only.settings.length + only.effects.length + (only.changes?.length ?? 0);
  if (only.class !== 'read' || does > 0) return 'it does more than read';
  for (const name of only.functions)
    if (!harmless(name, catalog)) return `it calls ${name}, which is not on the allow-list`;
  for (const { schema, name, known } of only.relations) {
    if (schema === 'pg_temp') return 'it uses a temporary table, which only its session sees';
    if (!known || schema === null) return 'it names what the catalog does not know';
    const found = relationAt(catalog, schema, name);
    if (found === null) {
      if (schema === 'pg_catalog' || schema === 'information_schema') continue;
      return 'it names what the catalog does not know';
    }
    if (found.relkind === 'f') return `${schema}.${name} is a foreign table`;
    const call = found.calls.find(({ function: called }) => !harmless(called, catalog));
    if (call !== undefined) return `${schema}.${name} runs ${call.function}, which is not on the allow-list`;
  }
  return null;
}

/** What a policy trusts is not meant: it may well do things. */
export function harmless(full: string, catalog: CatalogSnapshot): boolean {
  const dot = full.indexOf('.');
  const [schema, name] = [full.slice(0, dot), full.slice(dot + 1)];
  const users = catalog.functions.filter((fn) => fn.schema === schema && fn.name === name);
  if (users.length > 0) return users.every(onlyComputes);
  if (schema === 'information_schema') return name.startsWith('_pg_');
  return schema === 'pg_catalog' && HARMLESS.has(name);
}

const BY_NAME = new WeakMap<CatalogSnapshot, ReadonlyMap<string, CatalogRelation>>();
export function relationAt(catalog: CatalogSnapshot, schema: string, name: string): CatalogRelation | null {
  let names = BY_NAME.get(catalog);
  if (names === undefined) {
    names = new Map(catalog.relations.map((one) => [`${one.schema}.${one.name}`, one]));
    BY_NAME.set(catalog, names);
  }
  return names.get(`${schema}.${name}`) ?? null;
}
