/** A function is called: built in and harmless, trusted by the policy, readable, or unknown. */
import type { Context } from '../lineage/context.ts';
import { functionSummary } from '../lineage/definitions.ts';
import type { Tree } from '../parse/node.ts';
import { asList, literalText, nodeOf, qualified } from '../parse/node.ts';
import { HARMLESS, HELD } from './builtins.ts';

export function callFunction(node: Tree, context: Context): void {
  const { schema, name } = qualified(node['funcname']);
  const { out } = context;
  const builtin = schema === null || schema === 'pg_catalog';
  if (builtin && name === 'set_config') setConfig(asList(node['args']), context);
  if (builtin && name === 'setval') out.raise('update');
  callNamed(schema, name, context);
}

function callNamed(schema: string | null, name: string, context: Context): void {
  const { out, env } = context;
  const custom = env.functionsNamed(schema, name, context.resolution);
  for (const fn of custom) {
    const full = `${fn.schema}.${fn.name}`;
    out.functions.add(full);
    out.definitions.set(`f${fn.oid}`, env.functionDigest(fn));
    const summary = functionSummary(fn, context);
    if (summary !== null) out.absorb(summary.facts, 'function');
    else if (!context.trusted(fn.schema, fn.name)) out.unknowns.add(`function ${full}`);
  }
  if (schema !== null && schema !== 'pg_catalog') {
    if (custom.length > 0) return;
    out.functions.add(`${schema}.${name}`);
    if (schema === 'information_schema' && name.startsWith('_pg_')) return;
    out.unresolved = true;
    if (!context.trusted(schema, name)) out.unknowns.add(`function ${schema}.${name}`);
    return;
  }
  const exists = HARMLESS.has(name) || HELD.has(name) || name === 'set_config' || name === 'setval';
  if (!exists && custom.length > 0) return;
  if (!exists) out.unresolved = true;
  out.functions.add(exists || schema !== null ? `pg_catalog.${name}` : name);
  if (HARMLESS.has(name) || name === 'set_config' || name === 'setval') return;
  if (!context.trusted(exists ? 'pg_catalog' : 'public', name)) out.unknowns.add(`function ${name}`);
}

/** `t.f` and `(x).f` call f when f takes one argument of that type, even for text and numbers. */
export function callByAttribute(name: string, context: Context): void {
  const custom = context.env.functionsNamed(null, name, context.resolution);
  // `system` and `bernoulli` take internal arguments and are ordinary column names.
  if (custom.length === 0 && (!HELD.has(name) || name === 'system' || name === 'bernoulli')) return;
  callNamed(null, name, context);
}

function setConfig(args: readonly unknown[], context: Context): void {
  const positional = args.filter((arg) => nodeOf(arg, 'NamedArgExpr') === null);
  const named = (name: string): unknown => args.find((arg) => nodeOf(arg, 'NamedArgExpr')?.['name'] === name);
  const name = literalText(positional[0] ?? named('setting_name'));
  const setting = name === null ? '*' : name.toLowerCase();
  context.out.settings.push({
    name: setting,
    value: literalText(positional[1] ?? named('new_value')),
    local: literalText(positional[2] ?? named('is_local')) === 'true',
    form: 'set_config',
  });
  context.out.raise(settingClass(setting));
}

/** Changing who one is, is access control. */
export function settingClass(name: string): 'dcl' | 'session' {
  return name === 'role' || name === 'session_authorization' ? 'dcl' : 'session';
}
