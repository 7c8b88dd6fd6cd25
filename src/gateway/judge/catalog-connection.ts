/** The catalog's own connection to the target (DESIGN.md 16): never a client's backend. */
import { isIP } from 'node:net';
import pg from 'pg';
import { z } from 'zod';
import type { Server } from '../../policy/server.ts';
import type { Target, UpstreamLogin } from '../types.ts';
import { UpstreamFault } from '../upstream/open.ts';
import { accepted, CASTS, CASTS_REFUSED, WHO } from '../upstream/server.ts';

export interface CatalogConnection {
  /** Who is at the other end. */
  readonly server: Server;
  /** Runs a string of statements; the rows of the last one that gave any. Rejects with the server's `code` on it. */
  query(text: string): Promise<readonly unknown[]>;
  /** Called once when the connection is lost. */
  onLost(listener: () => void): void;
  close(): void;
}

const CONNECT_MS = 3000;
const QUERY_MS = 15_000;

/** The login named for the catalog, else the least of the others. */
export function catalogLogin(target: Target): UpstreamLogin | null {
  const { logins } = target;
  return target.catalogLogin ?? logins['read-only'] ?? logins['read-write'] ?? logins.admin ?? null;
}

export async function connectCatalog(target: Target, login: UpstreamLogin): Promise<CatalogConnection> {
  const client = new pg.Client({
    host: target.host,
    port: target.port,
    database: target.database,
    user: login.user,
    // An empty function result keeps `pg` from looking for PGPASSWORD or ~/.pgpass.
    password: login.password ?? (() => ''),
    ssl: tls(target),
    application_name: 'holdpoint catalog',
    connectionTimeoutMillis: CONNECT_MS,
    query_timeout: QUERY_MS,
    keepAlive: true,
  });
  const listeners = new Set<() => void>();
  let lost = false;
  const lose = () => {
    if (lost) return;
    lost = true;
    for (const listener of listeners) listener();
  };
  client.on('error', lose);
  client.on('end', lose);
  let server: Server;
  try {
    await client.connect();
    const { said, number } = whoShape.parse((await client.query(WHO)).rows[0]);
    server = accepted(said, number, target);
    if (server.grammar !== null && castsShape.parse((await client.query(CASTS)).rows[0]).found)
      throw new UpstreamFault(CASTS_REFUSED);
  } catch (error) {
    client.end().catch(() => undefined);
    throw error;
  }
  return {
    server,
    async query(text) {
      // A string of several statements gives a list of results.
      const answer: unknown = await client.query(text);
      const results = Array.isArray(answer) ? answer : [answer];
      for (const result of results.reverse()) {
        if (hasRows(result) && result.rows.length > 0) return result.rows;
      }
      return [];
    },
    onLost: (listener) => {
      if (lost) listener();
      else listeners.add(listener);
    },
    close: () => {
      listeners.clear();
      client.end().catch(() => undefined);
    },
  };
}

const castsShape = z.object({ found: z.boolean() });
const whoShape = z.object({ said: z.string(), number: z.string() });

function hasRows(result: unknown): result is { readonly rows: readonly unknown[] } {
  return typeof result === 'object' && result !== null && 'rows' in result && Array.isArray(result.rows);
}

function tls(target: Target): pg.ClientConfig['ssl'] {
  switch (target.tls) {
    case 'disable':
      return false;
    case 'require':
      return { rejectUnauthorized: false };
    case 'verify-full':
      return {
        rejectUnauthorized: true,
        ...(target.ca !== null && { ca: target.ca }),
        ...(isIP(target.host) === 0 && { servername: target.host }),
      };
  }
}
