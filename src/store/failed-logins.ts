import type { FailedLogin as FailedLoginRecord } from '../generated/prisma/client.ts';
import type {
  FailedCount,
  FailedLogin,
  FailedLoginRow,
  FailedLoginStore,
} from '../identity/failed-logins.ts';
import { type Client, date, storable, storableOrNull } from './client.ts';

/** What is kept: so long, and so many. */
const KEEP_MS = 30 * 86_400_000;
const KEEP_ROWS = 20_000;
const LATEST = 100;
const COUNTED = 20;

function rowOf(row: FailedLoginRecord): FailedLoginRow {
  const { address, agent, claimed, count, ownerEmail, ownerId, ownerName } = row;
  return {
    at: row.at.getTime(),
    // Written below, as they were.
    via: row.via as FailedLogin['via'],
    reason: row.reason as FailedLogin['reason'],
    address,
    claimed,
    owner: ownerId === null ? null : { id: ownerId, name: ownerName ?? ownerId, email: ownerEmail, agent },
    count,
  };
}

/** Logins that failed, the latest of them. */
export function failedLoginStore(client: Client): FailedLoginStore {
  return {
    save: (rows) =>
      client.atomically('keep failed logins', async (transaction) => {
        await transaction.failedLogin.createMany({
          data: rows.map(({ address, at, claimed, count, owner, reason, source, via }) => ({
            at: date(at),
            via,
            address: storable(address),
            source: storable(source),
            reason,
            claimed: storableOrNull(claimed),
            ownerId: storableOrNull(owner?.id ?? null),
            ownerName: storableOrNull(owner?.name ?? null),
            ownerEmail: storableOrNull(owner?.email ?? null),
            agent: storableOrNull(owner?.agent ?? null),
            count,
          })),
        });
        const newest = Math.max(...rows.map(({ at }) => at));
        await transaction.failedLogin.deleteMany({ where: { at: { lt: date(newest - KEEP_MS) } } });
        await transaction.$executeRaw`
          DELETE FROM failed_logins WHERE id <= (SELECT max(id) FROM failed_logins) - ${KEEP_ROWS}::int`;
      }),

    summary: (since) =>
      client.run('list failed logins', async (prisma) => {
        const where = { at: { gte: date(since) } };
        const counted = { _sum: { count: true }, _max: { at: true } } as const;
        const most = { orderBy: { _sum: { count: 'desc' } }, take: COUNTED } as const;
        const [total, owners, sources, latest] = await Promise.all([
          prisma.failedLogin.aggregate({ where, _sum: { count: true } }),
          prisma.failedLogin.groupBy({
            by: 'ownerId',
            where: { ...where, ownerId: { not: null } },
            ...counted,
            ...most,
          }),
          prisma.failedLogin.groupBy({ by: 'source', where, ...counted, ...most }),
          prisma.failedLogin.findMany({ where, orderBy: [{ at: 'desc' }, { id: 'desc' }], take: LATEST }),
        ]);
        return {
          total: total._sum.count ?? 0,
          byOwner: owners.map((one) => countOf(one.ownerId, one)),
          byAddress: sources.map((one) => countOf(one.source, one)),
          latest: latest.map(rowOf),
        };
      }),
  };
}

const countOf = (
  key: string | null,
  one: { readonly _sum: { readonly count: number | null }; readonly _max: { readonly at: Date | null } },
): FailedCount => ({ key: key ?? '', count: one._sum.count ?? 0, at: one._max.at?.getTime() ?? 0 });
