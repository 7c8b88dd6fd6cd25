/** Who is at the other end of a new link: its grammar decides how what goes there is judged. */
import { refusalOf, type Server, serverOf } from '../../policy/server.ts';
import type { Target } from '../types.ts';
import { UpstreamFault } from './open.ts';
import type { Talk } from './talk.ts';

export const WHO = `SELECT pg_catalog.version() AS said, pg_catalog.current_setting('server_version_num') AS number`;

export async function checkServer(talk: Talk, target: Target): Promise<Server> {
  const { row, code } = await talk.ask(WHO);
  if (code !== null) throw new UpstreamFault(`it does not say which server it is (${code})`);
  const server = accepted(row?.[0], row?.[1], target);
  if (server.grammar === null) return server;
  const casts = await talk.ask(CASTS);
  if (casts.row?.[0] !== 'f') throw new UpstreamFault(CASTS_REFUSED);
  return server;
}

/**
 * Casts of users between types that the gateway's own questions are made of: those questions would run them, before any statement is judged.
 * This one has none: literals become what they are compared with.
 */
export const CASTS = `SELECT EXISTS (SELECT FROM pg_catalog.pg_cast k WHERE k.oid OPERATOR(pg_catalog.>=) '16384' AND k.castfunc OPERATOR(pg_catalog.<>) '0'
  AND k.castsource OPERATOR(pg_catalog.=) ANY ('{16,18,19,20,21,23,24,26,28,194,700,701,1009,1028,1184,2202,2205,2206,4089,4096}')
  AND k.casttarget OPERATOR(pg_catalog.=) ANY ('{19,20,23,25,114,701,1009,1043,3802}')) AS found`;
export const CASTS_REFUSED =
  'users have casts between built-in types that the gateway’s own questions would run (pg_cast); drop them';

/** Throws with a sentence where the configuration does not name it. */
export function accepted(said: unknown, number: unknown, { server: named }: Target): Server {
  if (typeof said !== 'string' || !/^\d{1,9}$/.test(String(number)))
    throw new UpstreamFault('it does not say which server it is');
  const server = serverOf(said, Number(number), named ?? null);
  if (!server.accepted) throw new UpstreamFault(refusalOf(server));
  return server;
}
