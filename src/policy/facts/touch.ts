/** A relation is touched: by name, and by what hangs on it (views, partitions, rules, cascades). */
import type { Context } from '../lineage/context.ts';
import { viewSummary } from '../lineage/definitions.ts';
import { applyPolicies } from '../lineage/policies.ts';
import type { RelationName } from '../parse/node.ts';
import {
  ANY_RELATION,
  type CatalogRelation,
  type RelationUse,
  SYSTEM_RELATION,
  type WriteEvent,
} from '../types.ts';
import {
  callCheck,
  callHidden,
  callOperators,
  callTriggers,
  meetAnyCompared,
  meetCompared,
} from './functions.ts';

type Access = RelationUse['access'];

/** Whose triggers a write fires. */
const EVENTS: Readonly<Partial<Record<Access, WriteEvent>>> = {
  insert: 'insert',
  'copy-in': 'insert',
  update: 'update',
  delete: 'delete',
  truncate: 'truncate',
};
const LOCKS: ReadonlySet<Access> = new Set(['lock', 'table-lock']);
/** Columns that an UPDATE sets; null: any. */
type Columns = ReadonlySet<string> | null;
/** Columns that are given a value: by name, the first so many, all, or (null) perhaps none. The default of the others runs. */
export type Given = ReadonlySet<string> | number | 'all' | null;

export function touch(
  name: RelationName,
  access: Access,
  context: Context,
  set: Columns = null,
  given: Given = null,
): void {
  const { env, out } = context;
  const resolved = env.resolve(name, context.resolution);
  if (resolved.system !== null) {
    out.relation({ ...resolved.system, access, indirect: context.indirect, known: true });
    meetCompared(SYSTEM_RELATION, context);
    callOperators('pg_catalog', resolved.system.name, 'type', context);
    // `UPDATE pg_settings` is set_config by another name; the rest of the catalog is no place to write at all.
    if (EVENTS[access] !== undefined) {
      out.unknowns.add(`write to ${resolved.system.schema}.${resolved.system.name}`);
      if (resolved.system.name === 'pg_settings') {
        out.settings.push({ name: '*', value: null, local: false, form: 'unknown' });
      }
    }
  }
  if (resolved.temporary) {
    out.relation({ schema: 'pg_temp', name: name.name, access, indirect: context.indirect, known: true });
    // No catalog shows what its columns are.
    meetAnyCompared(context);
  }
  for (const relation of resolved.relations) {
    applyPolicies(relation, access, context, true);
    touchRelation(relation, access, context, context.indirect, name.inherits, set, given);
  }
  if (resolved.relations.length === 0 && resolved.system === null && !resolved.temporary) {
    out.relation({ schema: name.schema, name: name.name, access, indirect: context.indirect, known: false });
    // DDL makes names; everything else that means nothing here may mean anything there.
    if (env.catalog !== null && access !== 'ddl') out.unknowns.add(`relation ${name.name}`);
  }
}

/** Row security of what is reached through its parent, or by a foreign key, is not asked. */
function touchRelation(
  relation: CatalogRelation,
  access: Access,
  context: Context,
  indirect: boolean,
  inherits: boolean,
  set: Columns = null,
  given: Given = null,
): void {
  const { out } = context;
  const { schema, name } = relation;
  out.relation({ schema, name, access, indirect, known: true });
  const values = given instanceof Set ? [...given] : [given];
  const key = JSON.stringify([relation.oid, access, inherits, set === null ? '*' : [...set], values]);
  if (out.followed.has(key)) return;
  out.followed.add(key);
  const { env } = context;
  out.definitions.set(`r${relation.oid}`, env.relationDigest(relation));
  meetCompared(ANY_RELATION, context);
  rowTypes(relation, context);

  if (relation.relkind === 'v' || relation.relkind === 'm') through(relation, access, context);
  else if (ruled(relation, access)) out.unknowns.add(`rules on ${schema}.${name}`);
  if (relation.relkind === 'f') foreign(relation, access, context);

  const own = access === 'update' ? written(relation, set) : null;
  if (access === 'truncate') callTriggers(relation, 'truncate', context);
  else if (access !== 'ddl' && !LOCKS.has(access)) hidden(relation, access, context, given, own);

  if (inherits || access === 'truncate') {
    for (const child of env.childrenOf(relation.oid)) {
      touchRelation(child, access, context, true, inherits, own, typeof given === 'number' ? null : given);
      if (access === 'update' && relation.relkind === 'p') moves(child, context);
    }
  }
  if (access === 'insert' || access === 'copy-in' || access === 'update') {
    // An UPDATE compares the key's columns to see whether they changed.
    for (const { calls = [] } of env.keysOf(relation.oid))
      for (const called of calls) callHidden(called, context);
  }
  if (access === 'delete' || access === 'update') {
    for (const { from: oid, columns, keys, onDelete, onUpdate, calls = [] } of env.referencing(
      relation.oid,
    )) {
      const from = env.relationByOid(oid);
      if (from === null) continue;
      if (own !== null && !keys.some((column) => own.has(column))) continue;
      for (const called of calls) callHidden(called, context);
      const action = access === 'delete' ? onDelete : onUpdate;
      if (action === 'no action' || action === 'restrict') continue;
      const reached = action === 'cascade' ? access : 'update';
      const rest = action === 'set default' ? null : 'all';
      touchRelation(from, reached, context, true, true, new Set(columns), rest);
    }
  }
}

/** FOR UPDATE, FOR SHARE: row security asks of their rows what it asks of those that an UPDATE changes. */
export function touchLocked(name: RelationName, context: Context): void {
  touch(name, 'lock', context);
  for (const relation of context.env.resolve(name, context.resolution).relations) {
    applyPolicies(relation, 'update', context, true);
    for (const one of behind(relation, context)) applyPolicies(one, 'update', context);
  }
}

/**
 * It is planned to be written, and not run (EXPLAIN): what stands for the columns that are not given is planned with it, and a rule's
 * statements are. Planning works out what is not VOLATILE; SQL may be put in its place, whatever it says.
 */
export function touchPlanned(
  name: RelationName,
  access: Access,
  context: Context,
  _set: Columns = null,
  given: Given = null,
): void {
  touch(name, 'read', context);
  for (const relation of context.env.resolve(name, context.resolution).relations) {
    planned(relation, access, given, context, true);
    for (const base of behind(relation, context)) planned(base, access, null, context, false);
  }
}

function planned(
  relation: CatalogRelation,
  access: Access,
  given: Given,
  context: Context,
  own: boolean,
): void {
  const { env, out } = context;
  if (ruled(relation, access)) out.unknowns.add(`rules on ${relation.schema}.${relation.name}`);
  applyPolicies(relation, access, context, own);
  for (const { function: full, on, column, from } of relation.calls) {
    const dot = full.indexOf('.');
    const found = env.functionsNamed(full.slice(0, dot), full.slice(dot + 1), context.resolution);
    if (found.every(({ language, volatility }) => language !== 'sql' && volatility === 'v')) continue;
    if (from !== undefined) out.cast(from, [full]);
    else if (on === 'write' && (column === undefined || !isGiven(column, relation, given)))
      callHidden(full, context, 'value');
  }
}

/** What a view reads, through other views too. */
function behind(relation: CatalogRelation, context: Context): readonly CatalogRelation[] {
  const named = relation.relkind === 'v' ? [...viewSummary(relation, context).facts.relations.values()] : [];
  return named.flatMap(
    ({ schema, name }) => context.env.resolve({ schema, name }, context.resolution).relations,
  );
}

/** What its server does when it is asked is in nobody's catalog here: a view over there calls functions, a file is a program's output. */
function foreign({ schema, name }: CatalogRelation, access: Access, context: Context): void {
  if (access === 'ddl' || LOCKS.has(access)) return;
  const reads = access === 'read' || access === 'copy-out';
  if (!reads || !context.trusted(schema, name)) context.out.unknowns.add(`foreign table ${schema}.${name}`);
}

/** COPY runs no rules, nor does TRUNCATE. */
const ruled = ({ rules }: CatalogRelation, access: Access): boolean =>
  rules.some((event) => event === access);

/** Other columns change with those that are set: generated ones, and what BEFORE triggers do to the row. */
function written({ columns, triggers }: CatalogRelation, set: Columns): Columns {
  if (set === null || triggers.some(({ on, before }) => before && on.includes('update'))) return null;
  const generated = columns.filter((column) => column.generated !== null).map(({ name }) => name);
  return generated.length === 0 ? set : new Set([...set, ...generated]);
}

/** An UPDATE moves rows between partitions: out of one, into another. Before PostgreSQL 15 foreign keys took that for a DELETE. */
function moves(partition: CatalogRelation, context: Context): void {
  callTriggers(partition, 'delete', context);
  callTriggers(partition, 'insert', context);
  if ((context.env.catalog?.serverVersion ?? 0) < 150_000)
    touchRelation(partition, 'delete', context, true, true);
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
function hidden(
  relation: CatalogRelation,
  access: Access,
  context: Context,
  given: Given,
  set: Columns,
): void {
  const event = EVENTS[access];
  for (const { function: called, on, column, from } of relation.calls) {
    if (from !== undefined) {
      if (event !== undefined) context.out.cast(from, [called]);
      continue;
    }
    if (on === 'compare') {
      context.out.comparisons.add(called);
      continue;
    }
    if (column !== undefined && (event === 'delete' || isGiven(column, relation, given))) continue;
    // A default may put what it read into the row.
    if (event !== undefined) callCheck(called, context, 'rows', on === 'any' ? undefined : 'value');
    else if (on === 'any') callHidden(called, context);
  }
  if (event !== undefined && relation.relkind !== 'v') callTriggers(relation, event, context, set);
}

function isGiven(column: string, { columns }: CatalogRelation, given: Given): boolean {
  if (given === null || given === 'all') return given === 'all';
  if (typeof given !== 'number') return given.has(column);
  const at = columns.findIndex(({ name }) => name === column);
  return at >= 0 && at < given;
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
  const event = EVENTS[access];
  // LOCK goes through a view to all that it reads.
  if (event === undefined && access !== 'table-lock') return;
  // An INSTEAD rule may do anything; without one, writing the view writes its base table.
  if (ruled(view, access)) out.unknowns.add(`rules on ${view.schema}.${view.name}`);
  if (event !== undefined && view.triggers.some(({ on }) => on.includes(event)))
    out.unknowns.add(`triggers on view ${view.schema}.${view.name}`);
  for (const base of facts.relations.values()) {
    const [relation] = context.env.resolve(
      { schema: base.schema, name: base.name },
      context.resolution,
    ).relations;
    if (relation === undefined) continue;
    applyPolicies(relation, access, context);
    touchRelation(relation, access, context, true, true);
  }
}
