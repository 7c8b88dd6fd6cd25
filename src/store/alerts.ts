import { z } from 'zod';
import type { Alert, AlertStore } from '../bot/types.ts';
import type { Alert as AlertRow, Prisma } from '../generated/prisma/client.ts';
import { type Client, date, json, storable, type Transaction } from './client.ts';

/** Advisory locks of ours: this first key is for alerts. */
const LOCK_ALERT = 0x4851;

const told = z.object({
  requester: z.object({
    ownerId: z.string().nullable(),
    ownerName: z.string().nullable(),
    ownerEmail: z.string().nullable(),
    agent: z.string().nullable(),
    credentialId: z.string(),
    subject: z.string(),
  }),
  count: z.number(),
  since: z.number(),
  lines: z.array(z.string()),
  about: z.enum(['statements', 'logins', 'revoked', 'guesses']).default('statements'),
});

export interface AlertRows extends AlertStore {
  /** Nobody suspended for them yet; newest first. */
  recent(since: number): Promise<readonly Alert[]>;
  /** One that was counted elsewhere; false: it is known already, and goes on. `channel` null: there is nobody to send it to. */
  raise(
    alert: Pick<Alert, 'id' | 'key' | 'requester' | 'count' | 'since' | 'at' | 'lines' | 'about'> & {
      readonly channel: string | null;
    },
    withinMs: number,
  ): Promise<boolean>;
}

function alertOf(row: AlertRow): Alert {
  const { id, key, channel, ts, shown, suspendedBy } = row;
  return { id, key, ...told.parse(row.told), at: row.at.getTime(), channel, ts, shown, suspendedBy };
}

const lockAlert = (transaction: Transaction, key: string) =>
  transaction.$executeRaw`SELECT pg_advisory_xact_lock(${LOCK_ALERT}::int, hashtext(${key}))`;

/** Whether there is an alert that this belongs to. */
async function seen(transaction: Transaction, key: string, at: number, withinMs: number): Promise<boolean> {
  const { count } = await transaction.alert.updateMany({
    where: { key, seenAt: { gte: date(at - withinMs) } },
    data: { seenAt: date(at) },
  });
  return count > 0;
}

/** Alerts that were sent to Slack, or still are to be. */
export function alertStore(client: Client): AlertRows {
  return {
    recent: (since) =>
      client.run('list recent alerts', async (prisma) => {
        const about = ['logins ', 'revoked '].map((prefix) => ({ key: { startsWith: prefix } }));
        const list = (which: Prisma.AlertWhereInput) =>
          prisma.alert.findMany({
            where: { suspendedBy: null, at: { gte: date(since) }, ...which },
            orderBy: { at: 'desc' },
            take: 20,
          });
        // Who fails to log in can be anybody: however many they are, they hide nothing of those who are in.
        const rows = await Promise.all([list({ NOT: { OR: about } }), list({ OR: about })]);
        return rows
          .flat()
          .sort((a, b) => b.at.getTime() - a.at.getTime())
          .map(alertOf);
      }),

    raise: ({ id, key: named, channel, at, requester, count, since, lines, about }, withinMs) =>
      client.atomically('raise an alert', async (transaction) => {
        const key = storable(named);
        await lockAlert(transaction, key);
        const known = await seen(transaction, key, at, withinMs);
        if (known) return false;
        const told = json({ requester, count, since, lines, about });
        const place = { channel: channel ?? '', shown: channel === null };
        await transaction.alert.create({ data: { id, key, told, at: date(at), seenAt: date(at), ...place } });
        return true;
      }),

    attempt: (tried, burst) =>
      client.atomically('count an attempt', async (transaction) => {
        const key = storable(tried.key);
        await lockAlert(transaction, key);
        const at = date(tried.at);
        const within = date(tried.at - burst.withinMs);
        if (await seen(transaction, key, tried.at, burst.withinMs)) return 'known';
        await transaction.attempt.deleteMany({ where: { at: { lt: within } } });
        await transaction.attempt.create({ data: { key, line: storable(tried.line), at } });
        const recent = await transaction.attempt.findMany({
          where: { key },
          orderBy: { id: 'desc' },
          take: burst.count,
        });
        const first = recent.at(-1);
        if (recent.length < burst.count || first === undefined) return 'counted';
        await transaction.attempt.deleteMany({ where: { key } });
        const { id, requester, channel } = tried;
        const lines = recent.slice(0, burst.lines).map(({ line }) => line);
        const told = json({
          requester,
          count: recent.length,
          since: first.at.getTime(),
          lines: lines.reverse(),
        });
        await transaction.alert.create({ data: { id, key, told, channel, at, seenAt: at } });
        return 'told';
      }),

    get: (id) =>
      client.run('read an alert', async (prisma): Promise<Alert | null> => {
        const row = await prisma.alert.findUnique({ where: { id: storable(id) } });
        return row === null ? null : alertOf(row);
      }),

    unsent: () =>
      client.run('list alerts', async (prisma) => {
        const rows = await prisma.alert.findMany({
          where: { shown: false },
          orderBy: { at: 'asc' },
          take: 50,
          select: { id: true },
        });
        return rows.map((row) => row.id);
      }),

    // Where it was suspended meanwhile, it is not shown as it is yet.
    sent: (id, { channel, ts, suspendedBy }) =>
      client.run('note that an alert was sent', async (prisma) => {
        await prisma.alert.updateMany({ where: { id }, data: { channel, ts } });
        await prisma.alert.updateMany({ where: { id, suspendedBy }, data: { shown: true } });
      }),

    suspended: (id, by) =>
      client.run('note who suspended', async (prisma) => {
        await prisma.alert.updateMany({
          where: { id, suspendedBy: null },
          data: { suspendedBy: storable(by), shown: false },
        });
      }),
  };
}
