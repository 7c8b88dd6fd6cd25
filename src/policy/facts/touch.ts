/** A relation is touched: by name, and by what hangs on it (views, partitions, rules, cascades). */
import type { Context } from '../lineage/context.ts';
import { viewSummary } from '../lineage/definitions.ts';
import type { RelationName } from '../parse/node.ts';
import type { CatalogRelation, RelationUse } from '../types.ts';
import { callHidden, callTriggers } from './functions.ts';

type Access = RelationUse['access'];

const WRITES: ReadonlySet<Access> = new Set(['insert', 'update', 'delete', 'truncate', 'copy-in']);

export function touch(name: RelationName, access: Access, context: Context): void {
  const { env, out } = context;
  const resolved = env.resolve(name, context.resolution);
  if (resolved.system !== null) {
    out.relation({ ...resolved.system, access, indirect: context.indirect, known: true });
    // `UPDATE pg_settings` is set_config by another name; the rest of the catalog is no place to write at all.
    if (WRITES.has(access)) {
      out.unknowns.add(`write to ${resolved.system.schema}.${resolved.system.name}`);
      if (resolved.system.name === 'pg_settings') {
        out.settings.push({ name: '*', value: null, local: false, form: 'unknown' });
      }
    }
  }
  if (resolved.temporary) {
    out.relation({ schema: 'pg_temp', name: name.name, access, indirect: context.indirect, known: true });
  }
  for (const relation of resolved.relations)
    touchRelation(relation, access, context, context.indirect, name.inherits);
  if (resolved.relations.length === 0 && resolved.system === null && !resolved.temporary) {
    out.relation({ schema: name.schema, name: name.name, access, indirect: context.indirect, known: false });
    // DDL makes names; everything else that means nothing here may mean anything there.
    if (env.catalog !== null && access !== 'ddl') out.unknowns.add(`relation ${name.name}`);
  }
}

function touchRelation(
  relation: CatalogRelation,
  access: Access,
  context: Context,
  indirect: boolean,
  inherits: boolean,
): void {
  const { env, out } = context;
  const { schema, name } = relation;
  const seen = out.relations.has(`${schema}\0${name}\0${access}`);
  out.relation({ schema, name, access, indirect, known: true });
  if (seen) return;
  out.definitions.set(`r${relation.oid}`, env.relationDigest(relation));
  rowTypes(relation, context);

  if (relation.relkind === 'v' || relation.relkind === 'm') through(relation, access, context);
  else if (relation.hasRules && WRITES.has(access)) out.unknowns.add(`rules on ${schema}.${name}`);

  if (access !== 'ddl' && access !== 'truncate' && access !== 'lock') hidden(relation, access, context);

  if (inherits || access === 'truncate') {
    for (const child of env.childrenOf(relation.oid)) touchRelation(child, access, context, true, inherits);
  }
  if (access === 'delete' || access === 'update') {
    for (const foreign of env.referencing(relation.oid)) {
      const from = env.relationByOid(foreign.from);
      if (from === null) continue;
      const action = access === 'delete' ? foreign.onDelete : foreign.onUpdate;
      if (action === 'cascade') touchRelation(from, access, context, true, true);
      if (action === 'set null' || action === 'set default')
        touchRelation(from, 'update', context, true, true);
    }
  }
}

/** What its rows are made of may change without the relation: definitions relied on. */
function rowTypes(relation: CatalogRelation, context: Context): void {
  const { env, out } = context;
  for (const oid of [relation.ofType, ...relation.columns.map(({ rowType }) => rowType)]) {
    const type = oid ? env.relationByOid(oid) : null;
    if (type === null || out.types.has(type.oid)) continue;
    out.types.set(type.oid, type.name);
    out.definitions.set(`r${type.oid}`, env.relationDigest(type));
    rowTypes(type, context);
  }
}

/** Functions that reading or writing its rows runs, named by nobody. */
function hidden(relation: CatalogRelation, access: Access, context: Context): void {
  const writes = WRITES.has(access);
  for (const { function: called, on } of relation.calls) {
    // A default may put what it read into the row.
    if (on === 'any' || writes) callHidden(called, context, on === 'any' ? 'predicate' : 'value');
  }
  if (writes && relation.relkind !== 'v') callTriggers(relation, context);
}

/** TRUNCATE … CASCADE empties every table that refers to one of those, whatever its foreign key says. */
export function cascadeTruncate(names: readonly RelationName[], context: Context): void {
  const reached = new Set(names.flatMap((name) => context.env.resolve(name, context.resolution).relations));
  for (const next of reached) {
    for (const foreign of context.env.referencing(next.oid)) {
      const from = context.env.relationByOid(foreign.from);
      if (from === null) continue;
      touchRelation(from, 'truncate', context, true, true);
      reached.add(from);
    }
  }
}

function through(view: CatalogRelation, access: Access, context: Context): void {
  const { out } = context;
  if (access === 'ddl') return;
  const { facts } = viewSummary(view, context);
  // A materialised view is read without running its query; REFRESH is DDL and judged by what it names.
  out.absorb(facts, 'view');
  if (!WRITES.has(access)) return;
  // An INSTEAD rule may do anything; without one, writing the view writes its base table.
  if (view.hasRules) out.unknowns.add(`rules on ${view.schema}.${view.name}`);
  if (view.triggers.length > 0) out.unknowns.add(`triggers on view ${view.schema}.${view.name}`);
  for (const base of facts.relations.values()) {
    const [relation] = context.env.resolve(
      { schema: base.schema, name: base.name },
      context.resolution,
    ).relations;
    if (relation !== undefined && relation.relkind !== 'v')
      touchRelation(relation, access, context, true, true);
  }
}
