/** Views and function bodies, read as statements of their own. */

import { meetCasts, nameType } from '../facts/casts.ts';
import { Collector } from '../facts/collector.ts';
import { amidst } from '../facts/path.ts';
import { asList, nodeOf, unwrap } from '../parse/node.ts';
import type { RawStatement } from '../parse/parser.ts';
import { parse, readable } from '../parse/parser.ts';
import { triggerBody } from '../parse/plpgsql.ts';
import type { Grammar } from '../server.ts';
import { analyseStatement } from '../statement.ts';
import {
  type CatalogFunction,
  type CatalogRelation,
  type ResolutionContext,
  withModifiers,
} from '../types.ts';
import type { Context } from './context.ts';
import { MAX_DEFINITION_DEPTH } from './context.ts';
import type { Deps, Shape } from './deps.ts';
import { counted, NONE, tagsOnly, union, whole } from './deps.ts';
import type { Summary, TriggerSummary } from './env.ts';
import type { FiredRow } from './fired.ts';
import { shapeOf } from './relation.ts';

export const ANYWHERE: ResolutionContext = { searchPath: null, tempRelations: [] };
const QUALIFIED: ResolutionContext = { searchPath: [], tempRelations: [] };
/** Where names resolve in the definition of a view or of a generated column. What people write themselves may leave schemas out. */
export function definedIn({ env, resolution: { written } }: Context): ResolutionContext {
  const names = env.catalog?.qualified === true ? QUALIFIED : ANYWHERE;
  return written === undefined ? names : { ...names, written };
}

/** Whose rows are known decides what a definition tells, too. */
export const knowing = ({ resolution: { written = [] } }: Context): string => written.join('\0');

/** What a definition comes to, kept by its key; apart for each path where it calls bodies whose names that decides. */
export function readOnce<T>(
  known: Map<string, T>,
  key: string,
  context: Context,
  look: () => { readonly value: T; readonly byPath: boolean; readonly keep: boolean },
): T {
  const own = `${key}\0${JSON.stringify([context.moves, context.running])}`;
  let value = context.moves ? undefined : known.get(key);
  if (value !== undefined) return value;
  value = known.get(own);
  if (value !== undefined) {
    context.out.byPath = true;
    return value;
  }
  const found = look();
  if (found.keep) known.set(found.byPath || context.moves ? own : key, found.value);
  context.out.byPath ||= found.byPath;
  return found.value;
}

export function viewSummary(view: CatalogRelation, context: Context): Summary {
  const { env } = context;
  const key = `v${context.trustedKey}\0${view.oid}\0${knowing(context)}`;
  return readOnce(env.bodies, key, context, () => readView(view, context));
}

function readView(view: CatalogRelation, context: Context) {
  const { env } = context;
  const facts = new Collector();
  const seen = `v${view.oid}`;
  const parsed =
    view.definition === null || context.stack.includes(seen) || context.stack.length > MAX_DEFINITION_DEPTH
      ? null
      : parse(view.definition, env.grammar);
  const statement =
    parsed?.kind === 'parsed' && parsed.statements.length === 1 ? parsed.statements[0] : undefined;
  if (statement === undefined || statement.kind !== 'SelectStmt') {
    facts.unknowns.add(`view ${view.schema}.${view.name}`);
    return { value: { facts, shape: opaque(context, view) }, byPath: false, keep: false };
  }
  const inner = inside(context, facts, definedIn(context), seen, false);
  const shape = analyseStatement(statement, inner, 'body');
  return { value: { facts, shape: named(shape, view) }, byPath: facts.byPath, keep: true };
}

/** Null when the body cannot be read: another language, hidden source, a cycle, or text that does not parse. */
export function functionSummary(fn: CatalogFunction, context: Context): Summary | null {
  if (fn.language !== 'sql' || fn.body === null || changesLexer(fn)) return null;
  const seen = `f${fn.oid}`;
  if (context.stack.includes(seen) || context.stack.length > MAX_DEFINITION_DEPTH) return null;
  const path = pathOf(fn, context);
  const key = `f${context.trustedKey}\0${fn.oid}\0${JSON.stringify(path)}`;
  const known = context.env.bodies.get(key);
  if (known !== undefined) return known;
  const statements = bodyStatements(fn.body, context.env.grammar);
  if (statements === null) return null;
  const facts = new Collector();
  const inner = inside(context, facts, path, seen, true);
  let shape: Shape = { columns: [], open: null };
  for (const statement of statements) shape = analyseStatement(statement, inner, 'body');
  const summary = { facts, shape };
  context.env.bodies.set(key, summary);
  return summary;
}

/** What the functions that a call may mean put out of their own, besides what they are given. */
export function calledDeps(schema: string | null, name: string, context: Context): Deps {
  let deps: Deps = NONE;
  for (const fn of context.env.functionsNamed(schema, name, context.resolution)) {
    const summary = functionSummary(fn, context);
    if (summary !== null) deps = union(deps, whole(summary.shape));
  }
  return deps;
}

/** What the number of rows tells that those put out that return sets. */
export function calledCounts(schema: string | null, name: string, context: Context): Deps {
  const called = context.env.functionsNamed(schema, name, context.resolution);
  const shapes = called.flatMap((fn) => functionSummary(fn, context)?.shape ?? []);
  return union(...shapes.map(counted));
}

/** Tagged columns that the functions that a call may mean compare or put out by themselves. What their bodies tell is told already. */
export function lookedAt(schema: string | null, name: string, context: Context): Deps {
  let deps: Deps = NONE;
  for (const fn of context.env.functionsNamed(schema, name, context.resolution)) {
    const summary = functionSummary(fn, context);
    if (summary === null) continue;
    const { facts, shape } = summary;
    deps = union(deps, facts.uses('predicate'), tagsOnly(whole(shape)));
  }
  return deps;
}

/** As functionSummary, for a function that runs as a trigger; PL/pgSQL is read too, and only for what it does. */
export function triggerSummary(
  fn: CatalogFunction,
  context: Context,
  row: FiredRow | null = null,
): TriggerSummary | null {
  if (fn.language !== 'plpgsql' || fn.body === null || changesLexer(fn)) return null;
  const seen = `f${fn.oid}`;
  // A trigger that writes a table of its own triggers comes round again: what it does is being looked at already.
  if (context.stack.includes(seen)) return { facts: new Collector(), raises: false };
  if (context.stack.length > MAX_DEFINITION_DEPTH) return null;
  const path = pathOf(fn, context);
  const key = `${seen}\0${row?.key ?? ''}\0${context.trustedKey}\0${context.stack.join()}\0${JSON.stringify(path)}`;
  const known = context.env.triggers.get(key);
  if (known !== undefined) return known;
  const body = row !== null && ALIAS.test(fn.body) ? null : triggerBody(fn.body, context.env.grammar);
  let summary: TriggerSummary | null = null;
  if (body !== null) {
    const facts = new Collector();
    const fired = row?.seenBy(context.env.parameters(fn.oid)) ?? null;
    const inner: Context = { ...inside(context, facts, path, seen, true), fired };
    for (const part of body.parts) {
      const shape = analyseStatement(part.statement, inner, 'body');
      const deps = whole(shape);
      // Rows that it changes can be counted.
      if (part.statement.kind !== 'SelectStmt') facts.use('value', counted(shape));
      // What it reads may go into the row, and from there out.
      const kept = fired !== null && (part.raised || row?.hides(part.target ?? '') === true);
      facts.use('value', kept ? new Set([...deps].filter((one) => !fired.tags.has(one))) : deps);
    }
    // Assignments and conditions cast to the type of their place, which no text names.
    meetCasts(inner);
    for (const type of body.types) {
      nameType(null, type, inner);
      const modified = withModifiers(type.replace(/\s*\(.*$/s, ''));
      const own = (type.includes('(') ? [type, modified] : [type]).flatMap((name) =>
        context.env.operatorsNamed(null, name, ANYWHERE).filter(({ from }) => !from),
      );
      if (own.length > 0) facts.unknowns.add(`type ${type}`);
    }
    // An error quotes rows, named or not.
    if (CAUGHT.test(fn.body))
      for (const { schema, name } of facts.relations.values())
        for (const one of context.env.resolve({ schema, name }, ANYWHERE).relations)
          facts.use('value', tagsOnly(whole(shapeOf(one, inner))));
    // How many rows a statement went through goes into a variable.
    if (DIAGNOSTICS.test(fn.body)) facts.countsSteps = true;
    if (facts.settings.length > 0) facts.unknowns.add(`settings in ${fn.schema}.${fn.name}`);
    summary = { facts, raises: body.raises };
  }
  context.env.triggers.set(key, summary);
  return summary;
}

/** OLD and NEW by other names. */
const ALIAS = /\balias\s+for\b/i;

const CAUGHT = /\bsqlerrm\b|\bstacked\s+diagnostics\b/i;
const DIAGNOSTICS = /\bdiagnostics\b/i;

/** Its text is cut into words otherwise than ours. */
function changesLexer(fn: CatalogFunction): boolean {
  return fn.config.some((setting) =>
    /^(?:standard_conforming_strings|backslash_quote|escape_string_warning|client_encoding)=/i.test(setting),
  );
}

export function inside(
  context: Context,
  out: Collector,
  resolution: ResolutionContext,
  seen: string,
  inBody: boolean,
): Context {
  return {
    ...context,
    out,
    resolution,
    running: inBody ? resolution : context.running,
    inBody,
    executing: true,
    indirect: true,
    stack: [...context.stack, seen],
    item: null,
    fired: null,
    cleared: new Set(),
  };
}

/** A body runs under the caller's search path unless the function sets its own. */
function pathOf(fn: CatalogFunction, { out, moves, running: caller }: Context): ResolutionContext {
  const own = fn.config.find((setting) => setting.toLowerCase().startsWith('search_path='));
  if (own === undefined || moves) {
    out.byPath = true;
    // Whose `$user` it is, and which schemas are left out, is another role's then.
    return fn.securityDefiner ? amidst(caller) : caller;
  }
  const schemas = own
    .slice(own.indexOf('=') + 1)
    .split(',')
    .map((part) => part.trim().replace(/^"(.*)"$/, '$1'));
  const { among: _, ...rest } = caller;
  const named = schemas.filter(Boolean);
  if (named.includes('$user')) return { ...rest, searchPath: null };
  // Those that the role may not use are left out.
  return named.length > 1 ? { ...rest, searchPath: null, among: named } : { ...rest, searchPath: named };
}

/** `prosrc` is a list of statements; an SQL-standard body (BEGIN ATOMIC, RETURN) parses only inside its CREATE FUNCTION. */
export function bodyStatements(body: string, grammar: Grammar): readonly RawStatement[] | null {
  if (!/^\s*(?:BEGIN\s+ATOMIC|RETURN)\b/i.test(body)) {
    return readable(parse(body, grammar));
  }
  const parsed = parse(`CREATE FUNCTION f() RETURNS void LANGUAGE sql ${body}`, grammar);
  const [create] = readable(parsed) ?? [];
  if (create === undefined || create.kind !== 'CreateFunctionStmt') return null;
  return sqlBodyStatements(create.node['sql_body']);
}

export function sqlBodyStatements(body: unknown): readonly RawStatement[] {
  const list = nodeOf(body, 'List');
  if (list !== null) return asList(list['items']).flatMap(sqlBodyStatements);
  const wrapped = unwrap(body);
  return wrapped === null ? [] : [{ ...wrapped, start: 0, end: 0 }];
}

/** The view's own column names, by position; its own tags come on top (lineage/relation.ts). */
function named(shape: Shape, view: CatalogRelation): Shape {
  const count = counted(shape);
  if (shape.open === null && shape.columns.length === view.columns.length) {
    return {
      count,
      columns: view.columns.map(({ name }, i) => ({ ...(shape.columns[i] ?? { deps: NONE }), name })),
      open: null,
    };
  }
  const all = whole(shape);
  return { columns: view.columns.map(({ name }) => ({ name, deps: all })), open: null, count };
}

/** Unknown lineage counts as tagged (DESIGN.md 6). */
export function opaque(context: Context, relation: CatalogRelation): Shape {
  return {
    columns: relation.columns.map(({ name }) => ({
      name,
      deps: context.env.everyTag(relation.schema, relation.name, name),
    })),
    open: null,
  };
}
