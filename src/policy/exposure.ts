/**
 * May what the server says about a statement (errors, notices) quote tagged values? Whether lineage found a use of them does not matter:
 * it is enough that the statement touches a relation that has any, or that not all is known of what it reaches (I3).
 */
import { HELD } from './facts/builtins.ts';
import { Collector } from './facts/collector.ts';
import { onlyComputes } from './facts/extensions.ts';
import type { Context } from './lineage/context.ts';
import { ANYWHERE, functionSummary, triggerSummary } from './lineage/definitions.ts';
import { isTagged, lookup, whole } from './lineage/deps.ts';
import type { Env } from './lineage/env.ts';
import { shapeOf } from './lineage/relation.ts';
import { isRevealing, REVEALING_FUNCTIONS } from './lineage/system.ts';
import type {
  CatalogFunction,
  CatalogRelation,
  RelationUse,
  StatementClass,
  StatementFacts,
} from './types.ts';

/** What is known of what a statement reaches. */
type Reach = Pick<StatementFacts, 'relations' | 'functions' | 'unknowns'>;

/** Of these, all is among their relations and functions. */
const SEEN_THROUGH: ReadonlySet<StatementClass> = new Set([
  ...([
    'empty',
    'read',
    'explain',
    'session',
    'transaction',
    'cursor',
    'prepare',
    'insert',
    'update',
  ] as const),
  ...(['merge', 'copy', 'call', 'delete', 'truncate'] as const),
]);
/** Definitions that evaluate nothing but what they name. Left out: what checks other tables (domains), or runs a query kept elsewhere. */
const PLAIN_DDL =
  /^(?:CREATE (?:TABLE|TABLE AS|INDEX|VIEW|SCHEMA|SEQUENCE)|SELECT INTO|ALTER (?:TABLE|SEQUENCE|VIEW|INDEX)(?: RENAME)?|DROP [A-Z ]+|COMMENT|GRANT|REVOKE)$/;

export function exposes(facts: StatementFacts, context: Context): boolean {
  const { env, resolution } = context;
  // Without a catalog nothing can be told.
  if (env.catalog === null) return true;
  // What this transaction has made no catalog shows.
  if (env.everyTag('', '', '*').size === 0 && (resolution.changed ?? []).length === 0) return false;
  if (facts.columns.length > 0) return true;
  const plain = PLAIN_DDL.test(facts.verb) && env.catalog.eventTriggers !== true;
  if (!SEEN_THROUGH.has(facts.class) && !plain) return true;
  return reachesTagged(facts, { ...context, out: new Collector() }, new Set());
}

function reachesTagged(
  { relations, functions, unknowns }: Reach,
  context: Context,
  seen: Set<number>,
): boolean {
  if (unknowns.length > 0) return true;
  return (
    relations.some((use) => ofTagged(use, context)) || functions.some((full) => hides(full, context, seen))
  );
}

function ofTagged({ schema, name }: RelationUse, context: Context): boolean {
  const { relations, system } = context.env.resolve({ schema, name }, context.resolution);
  if (system !== null && (system.schema === 'pg_toast' || isRevealing(system.name))) return true;
  return relations.some((relation) => holdsTagged(relation, context));
}

const known = new WeakMap<Env, Map<number, boolean>>();
function holdsTagged(relation: CatalogRelation, context: Context): boolean {
  const { env } = context;
  let found = known.get(env);
  if (found === undefined) {
    found = new Map();
    known.set(env, found);
  }
  const before = found.get(relation.oid);
  if (before !== undefined) return before;
  // What another server does for a foreign table is not among the relations.
  const holds =
    (relation.rowSecurity && relation.policies === undefined) ||
    relation.relkind === 'f' ||
    isTagged(whole(shapeOf(relation, context))) ||
    tiedByTagged(relation, context);
  found.set(relation.oid, holds);
  return holds;
}

/** A foreign key's check compares the rows of both tables, and its error quotes them: of the other table it sees the key alone. */
function tiedByTagged({ oid }: CatalogRelation, context: Context): boolean {
  const { env } = context;
  return (env.catalog?.foreignKeys ?? []).some(({ from, to, columns, keys }) => {
    if (from !== oid && to !== oid) return false;
    const [other, names] = from === oid ? [to, keys] : [from, columns];
    const relation = env.relationByOid(other);
    if (relation === null) return true;
    const shape = shapeOf(relation, context);
    return names.some((name) => isTagged(lookup(shape, name) ?? whole(shape)));
  });
}

/** Is it a function of which not all is known, as one that policy trusts? The others' relations are among the statement's. */
function hides(full: string, context: Context, seen: Set<number>): boolean {
  const dot = full.indexOf('.');
  const [schema, name] = [dot < 0 ? null : full.slice(0, dot), full.slice(dot + 1)];
  const found = context.env.functionsNamed(schema, name, ANYWHERE);
  if (found.length === 0 || schema === 'pg_catalog')
    if (
      REVEALING_FUNCTIONS.has(name) ||
      (schema === 'pg_catalog' && HELD.has(name) && !SERVERS_OWN.has(name))
    )
      return true;
  return found.some((fn) => isOpaque(fn, context, seen));
}

/** Judged by what they are given; no table is read. */
const SERVERS_OWN: ReadonlySet<string> = new Set(['set_config', 'setval']);

function isOpaque(fn: CatalogFunction, context: Context, seen: Set<number>): boolean {
  if (seen.has(fn.oid) || onlyComputes(fn) || functionSummary(fn, context) !== null) return false;
  seen.add(fn.oid);
  // An aggregate is the functions that it is made of, and they are listed.
  if (fn.supports !== undefined && fn.supports.length > 0) return false;
  const trigger = (context.env.catalog?.relations ?? []).some(({ triggers }) =>
    triggers.some((one) => one.function === `${fn.schema}.${fn.name}`),
  );
  const facts = trigger ? triggerSummary(fn, context)?.facts : undefined;
  if (facts === undefined) return true;
  if ((['value', 'predicate', 'written'] as const).some((use) => facts.uses(use).size > 0)) return true;
  const { relations, functions, unknowns } = facts;
  const reach = { relations: [...relations.values()], functions: [...functions], unknowns: [...unknowns] };
  return reachesTagged(reach, context, seen);
}
