/** What a statement does to where names resolve, as far as its text tells. */
import type { Env } from '../lineage/env.ts';
import { asList, nodeOf, qualified } from '../parse/node.ts';
import type { RawStatement } from '../parse/parser.ts';
import type { ResolutionContext, SettingChange, StatementFacts } from '../types.ts';
import { fixed } from './clauses.ts';

const RESOLVING: ReadonlySet<string> = new Set(['search_path', 'role', 'session_authorization', '*']);

/** Names resolve elsewhere by it. */
export const resolves = ({ name }: SettingChange): boolean => RESOLVING.has(name.toLowerCase());

/** While a statement runs that sets the path. */
export function amidst({ searchPath: _, among: __, ...rest }: ResolutionContext): ResolutionContext {
  return { ...rest, searchPath: null };
}

/** Schemas that names may resolve in, once it is done, `before` being those until then; null: any. */
export function schemasAfter(
  { settings, sets }: Pick<StatementFacts, 'settings' | 'sets'>,
  before: readonly string[] | null,
): readonly string[] | null {
  let schemas = before;
  for (const change of settings) {
    if (!resolves(change)) continue;
    const listed = listedIn(change);
    // set_config runs as often as its query has rows: perhaps never.
    if (listed === null || sets === true) schemas = listed;
    else schemas &&= [...new Set([...schemas, ...listed])];
  }
  return schemas;
}

/** `SET …`, or `SELECT set_config(…), set_config(…)`: one row, so that each runs once. */
export function setsAll({ kind, node }: RawStatement, env: Env, resolution: ResolutionContext): boolean {
  if (kind === 'VariableSetStmt') return true;
  const bare = Object.keys(node).every((field) => /^(?:targetList|limitOption|op)$/.test(field));
  if (kind !== 'SelectStmt' || !bare || node['op'] !== 'SETOP_NONE') return false;
  if (env.functionsNamed(null, 'set_config', resolution).length > 0) return false;
  return asList(node['targetList']).every((item) => {
    const call = nodeOf(nodeOf(item, 'ResTarget')?.['val'], 'FuncCall');
    const { schema, name } = qualified(call?.['funcname']);
    const builtin = schema === null || schema === 'pg_catalog';
    // A function among the arguments may put out no row at all.
    return builtin && name === 'set_config' && asList(call?.['args']).every(fixed);
  });
}
const ELEMENT = /^(?:[a-z_][a-z0-9_$]{0,62}|"[a-z_][a-z0-9_$]{0,62}")$/i;

/** The server leaves out what the role may not use or what is not there, so that it may be any of them. `$user` depends on the role. */
function listedIn({ name, value, form }: SettingChange): readonly string[] | null {
  if (name.toLowerCase() !== 'search_path' || (form !== 'set' && form !== 'set_config')) return null;
  if (value === null) return null;
  if (value.trim() === '') return [];
  const elements = value.split(',').map((element) => element.trim());
  if (!elements.every((element) => ELEMENT.test(element))) return null;
  // SET keeps the case of what was in quotes, set_config folds what is in none.
  return [...new Set(elements.map((e) => e.replaceAll('"', '')).flatMap((e) => [e, e.toLowerCase()]))];
}
