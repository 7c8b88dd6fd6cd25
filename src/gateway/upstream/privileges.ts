/** DESIGN.md 14: what weakens the boundary is refused at connect unless the configuration accepts it by name. */
import type { Socket } from 'node:net';
import { serialize } from 'pg-protocol';
import { MEANING } from '../settings.ts';
import type { Target } from '../types.ts';
import { decodeDataRow, decodeError } from '../wire/backend.ts';
import type { MessageReader } from './messages.ts';
import { UpstreamFault } from './open.ts';

export interface LoginFacts {
  readonly role: string;
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
SELECT current_user,
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

export async function checkPrivileges(
  socket: Socket,
  reader: MessageReader,
  target: Target,
): Promise<LoginFacts> {
  socket.write(serialize.query(QUERY));
  let row: (string | null)[] | null = null;
  for (;;) {
    const message = await reader.next();
    const type = String.fromCharCode(message[0] ?? 0);
    if (type === 'D') row = decodeDataRow(message).map((value) => value?.toString('utf8') ?? null);
    else if (type === 'E')
      throw new UpstreamFault(`the check of its login failed (${decodeError(message).code})`);
    else if (type === 'Z') break;
  }
  const [role, path, ...rest] = row ?? [];
  if (!role || !path) throw new UpstreamFault('the check of its login gave no answer');
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
  return { role, searchPath, settings };
}
