/** DESIGN.md 14: what weakens the boundary is refused at connect unless the configuration accepts it by name. */
import { MEANING } from '../settings.ts';
import type { Target } from '../types.ts';
import { UpstreamFault } from './open.ts';
import type { Talk } from './talk.ts';

export interface LoginFacts {
  readonly role: string;
  /** Who logged in: RESET ROLE goes back to it. */
  readonly login: string;
  /** pg_backend_pid(). */
  readonly pid: string;
  /** Tells backends apart for good: a pid is used again. */
  readonly backend: string;
  /** For how long the backend has been there, in ms by the server's clock; null: it does not say. */
  readonly ageMs: number | null;
  /** Effective schemas. */
  readonly searchPath: readonly string[];
  /** Settings the session starts with, as `current_setting` gives them. */
  readonly settings: ReadonlyMap<string, string>;
}

const SETTINGS = [
  'idle_in_transaction_session_timeout',
  'idle_session_timeout',
  'transaction_timeout',
  'statement_timeout',
  'default_transaction_isolation',
  ...MEANING,
] as const;

/** Privileges of the login and of every role it is a member of: SET ROLE is no boundary. */
const QUERY = `
SELECT current_user, session_user,
  pg_catalog.pg_backend_pid(),
  (SELECT pg_catalog.json_build_array(extract(epoch FROM a.backend_start)::pg_catalog.text,
      extract(epoch FROM pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) a.backend_start))
    FROM pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid()) AS a),
  pg_catalog.array_to_json(pg_catalog.current_schemas(false)),
  pg_catalog.bool_or(r.rolsuper), pg_catalog.bool_or(r.rolbypassrls), pg_catalog.bool_or(r.rolreplication),
  pg_catalog.bool_or(r.rolcreaterole),
  pg_catalog.bool_or(r.rolname = 'pg_execute_server_program'),
  pg_catalog.bool_or(r.rolname = 'pg_read_server_files'),
  pg_catalog.bool_or(r.rolname = 'pg_write_server_files'),
  ${SETTINGS.map((name) => `pg_catalog.current_setting('${name}', true)`).join(',\n  ')}
FROM pg_catalog.pg_roles AS r WHERE pg_catalog.pg_has_role(current_user, r.oid, 'MEMBER')`;

const NAMES = [
  'SUPERUSER',
  'BYPASSRLS',
  'REPLICATION',
  'CREATEROLE',
  'pg_execute_server_program',
  'pg_read_server_files',
  'pg_write_server_files',
] as const;

export async function checkPrivileges(talk: Talk, target: Target): Promise<LoginFacts> {
  const { row, code } = await talk.ask(QUERY);
  if (code !== null) throw new UpstreamFault(`the check of its login failed (${code})`);
  const [role, login, pid, activity, path, ...rest] = row ?? [];
  if (!role || !login || !pid || !path) throw new UpstreamFault('the check of its login gave no answer');
  const [start, age] = JSON.parse(activity ?? '[]') as readonly [string?, number?];
  const held = NAMES.filter((_, i) => rest[i] === 't');
  const accepted = new Set(target.acceptPrivileges.map((name) => name.toLowerCase()));
  const refused = held.filter((name) => !accepted.has(name.toLowerCase()));
  // A superuser has all the others: accepting SUPERUSER by name accepts them.
  const superAccepted = held.includes('SUPERUSER') && accepted.has('superuser');
  if (refused.length > 0 && !superAccepted)
    throw new UpstreamFault(`its login has ${refused.join(', ')}, which the configuration does not accept`);
  const settings = new Map<string, string>();
  SETTINGS.forEach((name, i) => {
    const value = rest[NAMES.length + i];
    if (value) settings.set(name, value);
  });
  const searchPath = JSON.parse(path) as readonly string[];
  return {
    role,
    login,
    pid,
    backend: `${pid} ${start ?? ''}`,
    ageMs: age === undefined ? null : age * 1000,
    searchPath,
    settings,
  };
}
