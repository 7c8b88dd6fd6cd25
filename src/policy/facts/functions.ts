/** A function is called: built in and harmless, trusted by the policy, readable, or unknown. */
import type { Context } from '../lineage/context.ts';
import { functionSummary, lookedAt, triggerSummary } from '../lineage/definitions.ts';
import { whole } from '../lineage/deps.ts';
import { firedRow } from '../lineage/fired.ts';
import { shapeOf } from '../lineage/relation.ts';
import { operatorsAt } from '../operands/apply.ts';
import type { Tree } from '../parse/node.ts';
import { asList, literalText, nodeOf, qualified, splitName } from '../parse/node.ts';
import type { CatalogFunction, CatalogRelation, SettingChange, WriteEvent } from '../types.ts';
import { HARMLESS, HELD } from './builtins.ts';
import { meetCasts, nameType } from './casts.ts';
import { onlyComputes } from './extensions.ts';
import { amidst } from './path.ts';

export function callFunction(node: Tree, context: Context): void {
  const { schema, name } = qualified(node['funcname']);
  const builtin = schema === null || schema === 'pg_catalog';
  if (builtin && name === 'set_config') setConfig(asList(node['args']), context);
  callNamed(schema, name, context, asList(node['args']).length);
}

/** What runs `schema.name` without naming it: an operator, a domain's CHECK, a default. */
export function callHidden(full: string, context: Context, use: 'value' | 'predicate' = 'predicate'): void {
  const [schema, name] = splitName(full);
  if (full === 'pg_catalog.set_config') setConfig([], context);
  callNamed(schema, name, context);
  for (const fn of context.env.functionsNamed(schema, name, context.resolution)) {
    const summary = functionSummary(fn, context);
    if (summary !== null) context.out.use(use, whole(summary.shape));
  }
}

/** It may have columns of any built-in type. */
export function meetAnyCompared({ env, out }: Context): void {
  for (const { compared, calls } of env.catalog?.customOperators ?? [])
    if (compared === true) for (const full of calls) out.comparisons.add(full);
}

/** What makes values of a type that users compare: a type's name; of a built-in one, a function's, an operator's. */
export function meetCompared(
  name: string,
  { env, out, resolution }: Context,
  schema: string | null = 'pg_catalog',
): void {
  for (const { compared, calls } of env.operatorsNamed(schema, name, resolution))
    if (compared === true) for (const full of calls) out.comparisons.add(full);
}

/** What a domain's check, or an expression that is stored with a table, calls: of values, or of the rows that are written. */
export function callCheck(full: string, context: Context, of: 'values' | 'rows', use?: 'value'): void {
  context.out.checks[of].add(full);
  callHidden(full, context, use);
}

/** VALUE, NEW and the columns of a stored expression stand for the rows that it is applied to: what it compares them with is told by those. */
export function runChecks(context: Context): void {
  const { out } = context;
  const run = [...(out.tellsRows ? out.checks.values : []), ...(out.writesRows ? out.checks.rows : [])];
  for (const full of run) out.use('value', lookedAt(...splitName(full), context));
  if (out.writesRows) out.use('value', out.branched);
}

/** At no node of the statement's: its types are not known. */
const NOWHERE = {};
/** An operator, a type that is a domain or has casts. Null: nothing of that name runs functions of users. */
export function callOperators(
  schema: string | null,
  name: string,
  what: string,
  context: Context,
  node: object = NOWHERE,
): void {
  for (const operator of operatorsAt(node, schema, name, context)) {
    if (operator.from) {
      context.out.cast(operator.from, operator.calls);
      continue;
    }
    if (operator.compared === true) continue;
    if (operator.calls.length === 0 && !operator.gives)
      context.out.unknowns.add(`${what} ${operator.schema}.${name}`);
    // What it reads may be its result.
    for (const full of operator.calls) callCheck(full, context, 'values', 'value');
  }
}

const DECIDES = /\breturn\s+null\b|\bnew\s*\.\s*\S+\s*:?=/i;

/** Writing rows fires the triggers of that event: their bodies are read (PL/pgSQL too), or unknown. */
export function callTriggers(
  relation: CatalogRelation,
  event: WriteEvent,
  context: Context,
  set: ReadonlySet<string> | null = null,
): void {
  const { env, out } = context;
  for (const { function: full, on, before, columns, deferrable } of relation.triggers) {
    if (!on.includes(event)) continue;
    if (event === 'update' && set !== null && columns && !columns.some((column) => set.has(column))) continue;
    const [schema, name] = splitName(full);
    const found = env.functionsNamed(schema, name, context.resolution);
    out.functions.add(full);
    if (context.trusted(schema, name)) continue;
    // The server's own: foreign keys, tsvector updates, suppressed no-op updates.
    if (schema === 'pg_catalog' && found.length === 0) continue;
    const row = env.tags ? firedRow(relation, event, context) : null;
    const fired = deferrable === true ? { ...context, running: amidst(context.running) } : context;
    const summaries = found.map((fn) => triggerSummary(fn, fired, row));
    for (const fn of found) out.definitions.set(`f${fn.oid}`, env.functionDigest(fn));
    if (summaries.length === 0 || summaries.includes(null)) {
      out.unknowns.add(`trigger function ${full}`);
      continue;
    }
    for (const [i, summary] of summaries.entries()) {
      const fn = found[i];
      if (summary === null || fn === undefined) continue;
      out.absorb(summary.facts, 'view');
      // Whether it acts at all, row by row, tells what it compares them with.
      if (summary.raises || summary.facts.acts)
        for (const one of summary.facts.related.tagsTold(env.parameters(fn.oid))) out.branched.add(one);
      // Which rows stay, and what becomes of them, tells what theirs are compared with.
      if (before && DECIDES.test(fn.body ?? ''))
        out.use('value', summary.facts.related.tagsTold(env.parameters(fn.oid)));
      // A notice or error it raises may quote the row.
      if (summary.raises) out.use('predicate', whole(shapeOf(relation, context)));
    }
  }
}

/** `given`: how many arguments; those that are left out have defaults. */
function callNamed(schema: string | null, name: string, context: Context, given = 0): void {
  const { out, env } = context;
  const custom = env.functionsNamed(schema, name, context.resolution);
  for (const fn of custom) {
    const full = `${fn.schema}.${fn.name}`;
    out.functions.add(full);
    callDefaults(fn, context, given);
    // Casts may call for one another: from_a(b), from_b(a).
    if (out.definitions.has(`f${fn.oid}`)) continue;
    out.definitions.set(`f${fn.oid}`, env.functionDigest(fn));
    const row = fn.rowType ? env.relationByOid(fn.rowType) : null;
    if (row !== null) out.definitions.set(`r${row.oid}`, env.relationDigest(row));
    for (const called of fn.calls) if (called !== full) callCheck(called, context, 'values', 'value');
    for (const { from, function: cast } of fn.casts ?? []) out.cast(from, [cast]);
    // Its last query becomes rows of that type, column by column.
    if (row !== null) meetCasts(context);
    const summary = functionSummary(fn, context);
    if (summary !== null) out.absorb(summary.facts, 'function');
    else if (onlyComputes(fn) || context.trusted(fn.schema, fn.name)) continue;
    else if (fn.supports === undefined || fn.supports.length === 0) out.unknowns.add(`function ${full}`);
    // An aggregate does what the functions do that it is made of.
    else for (const support of fn.supports) callHidden(support, context, 'value');
  }
  // Those of the server and of extensions (ST_AsGeoJSON of a row) look for casts to json for values of users' types.
  if (/json/.test(name)) meetCasts(context, /^json/);
  if (schema !== null && schema !== 'pg_catalog') {
    if (custom.length > 0) return;
    out.functions.add(`${schema}.${name}`);
    if (schema === 'information_schema' && name.startsWith('_pg_')) return;
    out.unresolved = true;
    if (!context.trusted(schema, name)) out.unknowns.add(`function ${schema}.${name}`);
    return;
  }
  meetCompared(name, context);
  // It reads the name of a type in a text, or takes or gives what is read so; `text(x)` is a cast.
  callOperators('pg_catalog', name, 'function', context);
  if (COMPARING.test(name)) out.compares = true;
  if (TO_TEXT.test(name)) callOperators('pg_catalog', 'text', 'cast', context);
  // What ALTER SEQUENCE … RESTART does, with no transaction to undo it: numbers are handed out again that rows hold already.
  if (name === 'setval') out.raise('ddl');
  const exists = HARMLESS.has(name) || HELD.has(name) || name === 'set_config' || name === 'setval';
  if (!exists && custom.length > 0) return;
  if (!exists) out.unresolved = true;
  out.functions.add(exists || schema !== null ? `pg_catalog.${name}` : name);
  if (HARMLESS.has(name) || name === 'set_config' || name === 'setval') return;
  if (!context.trusted(exists ? 'pg_catalog' : 'public', name)) out.unknowns.add(`function ${name}`);
}

/** Built-ins that compare what they are given, or its elements, by the default operator class of their types. */
const COMPARING =
  /^(?!array_(?:agg|to_json|to_string|length|append|prepend|cat|upper|lower|ndims|dims|fill)$|row_to_json$)(?:array|width_bucket|min|max|mode|percentile|rank|dense_rank|percent_rank|cume_dist|ntile|record|row|hash|bt|(?:multi)?range|json_object_agg)/;

/** Built-ins whose bodies are SQL: `$1::text`, whatever it is given. `||` is one of them. */
const TO_TEXT = /^(?:quote_literal|quote_nullable|textanycat|anytextcat)$/;

/** A CALL gives OUT parameters too, so that counting them says nothing there. */
function callDefaults(fn: CatalogFunction, context: Context, given: number): void {
  const { followed } = context.out;
  const all = fn.kind !== 'p' && fn.parameters !== undefined && given >= fn.parameters.length;
  if (all || followed.has(`d${fn.oid}`)) return;
  followed.add(`d${fn.oid}`);
  for (const called of fn.defaults ?? []) callHidden(called, context, 'value');
}

/** `(x).d` is a cast to d, where d is no attribute: of rows, `t.d`, only users have such casts. */
export function castByAttribute(name: string, context: Context): void {
  callOperators(null, name, 'type', context);
  meetCompared(name, context);
  nameType(null, name, context);
}

/** `t.f` and `(x).f` call f when f takes one argument of that type, even for text and numbers. */
export function callByAttribute(name: string, context: Context): void {
  context.out.attributes.add(name);
  for (const { from, calls } of context.env.operatorsNamed('pg_catalog', name, context.resolution))
    if (from) context.out.cast(from, calls);
  const custom = context.env.functionsNamed(null, name, context.resolution);
  // `system` and `bernoulli` take internal arguments and are ordinary column names.
  if (custom.length === 0 && (!HELD.has(name) || name === 'system' || name === 'bernoulli')) return;
  callNamed(null, name, context);
}

function setConfig(args: readonly unknown[], context: Context): void {
  const positional = args.filter((arg) => nodeOf(arg, 'NamedArgExpr') === null);
  const named = (name: string): unknown => args.find((arg) => nodeOf(arg, 'NamedArgExpr')?.['name'] === name);
  const name = literalText(positional[0] ?? named('setting_name'));
  const value = positional[1] ?? named('new_value');
  // In a body it is a parameter of the function.
  const bind = context.inBody ? undefined : nodeOf(value, 'ParamRef')?.['number'];
  const change: SettingChange = {
    name: name === null ? '*' : name.toLowerCase(),
    value: literalText(value),
    ...(typeof bind === 'number' ? { bind: bind - 1 } : {}),
    local: literalText(positional[2] ?? named('is_local')) === 'true',
    form: 'set_config',
  };
  context.out.settings.push(change);
  context.out.raise(settingClass(change));
}

/** Changing who one is, is access control; going back to the login is not (DISCARD ALL does it too). */
export function settingClass({ name, value, form }: SettingChange): 'dcl' | 'session' {
  if (name !== 'role' && name !== 'session_authorization') return 'session';
  return form === 'reset' || (name === 'role' && value === 'none') ? 'session' : 'dcl';
}
