/** Who is at the other end of a new link: its grammar decides how what goes there is judged. */
import { refusalOf, type Server, serverOf } from '../../policy/server.ts';
import type { Target } from '../types.ts';
import { UpstreamFault } from './open.ts';
import type { Talk } from './talk.ts';

export const WHO = `SELECT pg_catalog.version() AS said, pg_catalog.current_setting('server_version_num') AS number`;

export async function checkServer(talk: Talk, target: Target): Promise<Server> {
  const { row, code } = await talk.ask(WHO);
  if (code !== null) throw new UpstreamFault(`it does not say which server it is (${code})`);
  return accepted(row?.[0], row?.[1], target);
}

/** Throws with a sentence where the configuration does not name it. */
export function accepted(said: unknown, number: unknown, { server: named }: Target): Server {
  if (typeof said !== 'string' || !/^\d{1,9}$/.test(String(number)))
    throw new UpstreamFault('it does not say which server it is');
  const server = serverOf(said, Number(number), named ?? null);
  if (!server.accepted) throw new UpstreamFault(refusalOf(server));
  return server;
}
