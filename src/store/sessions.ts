import { Prisma, type Session } from '../generated/prisma/client.ts';
import type { SessionIndex, SessionSummary } from '../recordings/types.ts';
import { type Client, date, json, msOrNull, storable } from './client.ts';

export interface SessionRows extends SessionIndex {
  /** Ends those whose process has fallen silent and left no row in `desks`: they are still open only because it was killed. */
  endAbandoned(): Promise<number>;
}

function summaryOf({ gateway: _, ...row }: Session): SessionSummary {
  return {
    ...row,
    startedAt: row.startedAt.getTime(),
    endedAt: msOrNull(row.endedAt),
    rows: Number(row.rows),
  };
}

/** The index of recordings: whole batches in one statement (LIBRARIES.md: rows one by one are an order slower). */
export function sessionIndex(client: Client): SessionRows {
  return {
    upsert: (rows) =>
      client.run('index sessions', async (prisma) => {
        // The last of two rows with one id wins, as it would one after the other.
        const batch = [...new Map(rows.map((row) => [row.id, json(row)])).values()];
        if (batch.length === 0) return;
        await prisma.$executeRaw`
          INSERT INTO sessions (id, owner_id, owner_name, owner_email, agent, subject, credential_id, target, environment, database,
            role, client_address, application_name, started_at, ended_at, ended_why, statements, held, denied, errors, rows, head, gateway)
          SELECT id, "ownerId", "ownerName", "ownerEmail", agent, subject, "credentialId", target, environment, database,
            role, "clientAddress", "applicationName", to_timestamp("startedAt" / 1000.0), to_timestamp("endedAt" / 1000.0),
            "endedWhy", statements, held, denied, errors, rows, head, ${client.name}
          FROM jsonb_to_recordset(${JSON.stringify(batch)}::jsonb) AS batch (id text, "ownerId" text, "ownerName" text,
            "ownerEmail" text, agent text, subject text, "credentialId" text, target text, environment text, database text,
            role text, "clientAddress" text, "applicationName" text, "startedAt" numeric, "endedAt" numeric, "endedWhy" text,
            statements int, held int, denied int, errors int, rows bigint, head text)
          ON CONFLICT (id) DO UPDATE SET ended_at = excluded.ended_at, ended_why = excluded.ended_why,
            application_name = excluded.application_name, statements = excluded.statements, held = excluded.held,
            denied = excluded.denied, errors = excluded.errors, rows = excluded.rows, head = excluded.head,
            gateway = excluded.gateway`;
      }),

    get: (id) =>
      client.run('read a session', async (prisma) => {
        const row = await prisma.session.findUnique({ where: { id: storable(id) } });
        return row === null ? null : summaryOf(row);
      }),

    list: (filter) =>
      client.run('list sessions', async (prisma) => {
        const limit = Math.min(filter.limit ?? 100, 1000);
        const where: Prisma.Sql[] = [Prisma.sql`true`];
        // Compared with lower(), not ILIKE: an underscore in an address is no wildcard.
        if (filter.owner !== undefined) {
          const owner = storable(filter.owner);
          where.push(Prisma.sql`lower(${owner}) IN (lower(owner_id), lower(owner_email), lower(owner_name))`);
        }
        if (filter.since !== undefined) where.push(Prisma.sql`started_at >= ${date(filter.since)}`);
        if (filter.target !== undefined) where.push(Prisma.sql`target = ${storable(filter.target)}`);
        if (filter.held === true) where.push(Prisma.sql`held > 0`);
        if (filter.open === true) where.push(Prisma.sql`ended_at IS NULL`);
        const ids = await prisma.$queryRaw<readonly { readonly id: string }[]>`
          SELECT id FROM sessions WHERE ${Prisma.join(where, ' AND ')} ORDER BY started_at DESC, id LIMIT ${limit}`;
        const rows = await prisma.session.findMany({
          where: { id: { in: ids.map((row) => row.id) } },
          orderBy: [{ startedAt: 'desc' }, { id: 'asc' }],
        });
        return rows.map(summaryOf);
      }),

    endAbandoned: () =>
      client.run(
        'end the sessions of gateways that are gone',
        (prisma) => prisma.$executeRaw`
          UPDATE sessions SET ended_at = clock_timestamp(), ended_why = 'its gateway is gone'
          WHERE ended_at IS NULL AND gateway IS NOT NULL AND NOT EXISTS (SELECT FROM desks WHERE desks.id = sessions.gateway)`,
      ),
  };
}
