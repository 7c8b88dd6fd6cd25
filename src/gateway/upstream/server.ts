/** Who is at the other end of a new link: its grammar decides how what goes there is judged. */
import type { Socket } from 'node:net';
import { serialize } from 'pg-protocol';
import { refusalOf, type Server, serverOf } from '../../policy/server.ts';
import type { Target } from '../types.ts';
import { decodeDataRow, decodeError } from '../wire/backend.ts';
import type { MessageReader } from './messages.ts';
import { UpstreamFault } from './open.ts';

export const WHO = `SELECT pg_catalog.version() AS said, pg_catalog.current_setting('server_version_num') AS number`;

export async function checkServer(socket: Socket, reader: MessageReader, target: Target): Promise<Server> {
  socket.write(serialize.query(WHO));
  let row: (string | null)[] = [];
  for (;;) {
    const message = await reader.next();
    const type = String.fromCharCode(message[0] ?? 0);
    if (type === 'D') row = decodeDataRow(message).map((value) => value?.toString('utf8') ?? null);
    else if (type === 'E')
      throw new UpstreamFault(`it does not say which server it is (${decodeError(message).code})`);
    else if (type === 'Z') break;
  }
  return accepted(row[0], row[1], target);
}

/** Throws with a sentence where the configuration does not name it. */
export function accepted(said: unknown, number: unknown, { server: named }: Target): Server {
  if (typeof said !== 'string' || !/^\d{1,9}$/.test(String(number)))
    throw new UpstreamFault('it does not say which server it is');
  const server = serverOf(said, Number(number), named ?? null);
  if (!server.accepted) throw new UpstreamFault(refusalOf(server));
  return server;
}
