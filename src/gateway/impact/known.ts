/** What the facts and the catalog tell of a statement's impact, without asking the target. Names and numbers, never a value. */
import type { Impact } from '../../approvals/types.ts';
import {
  type CatalogRelation,
  type CatalogSnapshot,
  LOCK_MODES,
  type LockUse,
  type RelationUse,
  type StatementFacts,
} from '../../policy/types.ts';
import { type Plan, statementsOf } from '../plan.ts';
import { relationAt } from './safe.ts';

const MAX_LISTED = 20;

export function knownImpact(
  plan: Plan,
  catalog: CatalogSnapshot | null,
  session: { readonly approximate: boolean; readonly transactionMs: number | null },
): Impact {
  const statements = statementsOf(plan);
  return {
    rows: null,
    why: null,
    counted: null,
    approximate: session.approximate,
    tables:
      catalog === null
        ? []
        : tablesOf(statements, catalog).map(({ name, oids }) => ({
            name,
            rows: sum(oids, (oid) => byOid(catalog, oid)?.rows ?? -1),
            bytes: null,
          })),
    lock: strongest(statements.flatMap(({ locks }) => locks ?? [])),
    cascades: catalog === null ? [] : cascadesOf(statements, catalog).slice(0, MAX_LISTED),
    triggers: [],
    rewrites: null,
    dependents: [],
    transactionMs: session.transactionMs,
  };
}

const BY_OID = new WeakMap<CatalogSnapshot, ReadonlyMap<number, CatalogRelation>>();
export function byOid(catalog: CatalogSnapshot, oid: number): CatalogRelation | null {
  let oids = BY_OID.get(catalog);
  if (oids === undefined) {
    oids = new Map(catalog.relations.map((one) => [one.oid, one]));
    BY_OID.set(catalog, oids);
  }
  return oids.get(oid) ?? null;
}

const full = ({ schema, name }: { readonly schema: string | null; readonly name: string }): string =>
  schema === null ? name : `${schema}.${name}`;

/** Tables with what inherits from them. What a view reads, where it is all that is named. */
export function tablesOf(
  statements: readonly StatementFacts[],
  catalog: CatalogSnapshot,
): readonly { readonly name: string; readonly oids: readonly number[] }[] {
  const uses = statements.flatMap(({ relations }) => relations);
  const named = uses.filter(({ indirect }) => !indirect);
  const found = relationsOf(named.length > 0 ? named : uses, catalog);
  const tables = found.filter(({ relkind }) => STORED.has(relkind));
  const shown =
    tables.length > 0 ? tables : relationsOf(uses, catalog).filter(({ relkind }) => STORED.has(relkind));
  return shown.slice(0, MAX_LISTED).map((one) => ({ name: full(one), oids: family(one, catalog) }));
}
const STORED: ReadonlySet<string> = new Set(['r', 'p', 'm']);

export function relationsOf(uses: readonly RelationUse[], catalog: CatalogSnapshot): CatalogRelation[] {
  const found = new Set<CatalogRelation>();
  for (const { schema, name, known } of uses) {
    const relation = known && schema !== null ? relationAt(catalog, schema, name) : null;
    if (relation !== null) found.add(relation);
  }
  return [...found];
}

function family(root: CatalogRelation, catalog: CatalogSnapshot): readonly number[] {
  const oids = new Set([root.oid]);
  let grew = true;
  while (grew) {
    grew = false;
    for (const { oid, parents } of catalog.relations)
      if (!oids.has(oid) && parents.some((parent) => oids.has(parent))) {
        oids.add(oid);
        grew = true;
      }
  }
  // A partitioned table holds nothing itself.
  return [...oids].filter((oid) => oids.size === 1 || byOid(catalog, oid)?.relkind !== 'p').slice(0, 1000);
}

/** null as soon as one of them is not known. */
export function sum(oids: readonly number[], of: (oid: number) => number): number | null {
  let total = 0;
  for (const oid of oids) {
    const one = of(oid);
    if (!(one >= 0)) return null;
    total += one;
  }
  return total;
}

function strongest(locks: readonly LockUse[]): Impact['lock'] {
  const rank = ({ mode }: LockUse): number => LOCK_MODES.indexOf(mode);
  const top = Math.max(-1, ...locks.map(rank));
  const mode = LOCK_MODES[top];
  if (mode === undefined) return null;
  const relations = [...new Set(locks.filter((one) => rank(one) === top).map(full))];
  return { mode, relations: relations.slice(0, MAX_LISTED) };
}

/** Along foreign keys, as far as they go. */
function cascadesOf(statements: readonly StatementFacts[], catalog: CatalogSnapshot): string[] {
  const found = new Set<string>();
  for (const { relations } of statements) {
    const direct = relations.filter(({ indirect }) => !indirect);
    const reached = new Set(
      relations.flatMap((one) => (one.access === 'update' || one.access === 'delete' ? [full(one)] : [])),
    );
    for (const access of ['delete', 'update'] as const) {
      const roots = relationsOf(
        direct.filter((one) => one.access === access),
        catalog,
      );
      const seen = new Set<string>();
      const next = roots.flatMap((one) =>
        family(one, catalog).map((oid) => ({ oid, access: access as string })),
      );
      for (const root of roots) next.push({ oid: root.oid, access });
      for (const at of next) {
        const key = `${at.oid} ${at.access}`;
        if (seen.has(key) || seen.size > 1000) continue;
        seen.add(key);
        for (const { from, to, onDelete, onUpdate } of catalog.foreignKeys) {
          if (to !== at.oid) continue;
          const action = at.access === 'delete' ? onDelete : onUpdate;
          const relation = byOid(catalog, from);
          if (relation === null || action === 'no action' || action === 'restrict') continue;
          // The facts know which columns are set, and what goes on from there.
          if (!reached.has(full(relation))) continue;
          const what = action === 'cascade' ? at.access : action;
          found.add(`${full(relation)} (${what}${at.access === 'update' ? ', where keys change' : ''})`);
          next.push({ oid: from, access: what === 'delete' ? 'delete' : 'update' });
        }
      }
    }
    const truncated = relationsOf(
      direct.filter(({ access }) => access === 'truncate'),
      catalog,
    );
    const own = new Set(truncated.flatMap((one) => [one.oid, ...family(one, catalog)]));
    for (const one of relationsOf(
      relations.filter(({ access }) => access === 'truncate'),
      catalog,
    ))
      if (!own.has(one.oid)) found.add(`${full(one)} (truncate)`);
  }
  return [...found];
}
