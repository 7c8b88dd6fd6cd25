import type { Outbox, Place } from '../bot/types.ts';
import { type Client, dateOrNull, msOrNull } from './client.ts';

/** What Slack has not been shown yet. Rows are written by `requests.ts`, with the change itself. */
export function outbox(client: Client): Outbox {
  return {
    behind: (limit) =>
      client.run('read the outbox', async (prisma) => {
        const groups = await prisma.outboxRow.groupBy({
          by: ['requestId'],
          _max: { version: true },
          orderBy: [{ _min: { queuedAt: 'asc' } }, { requestId: 'asc' }],
          take: limit,
        });
        return groups.map((group) => ({ requestId: group.requestId, version: group._max.version ?? 1 }));
      }),

    card: (requestId) =>
      client.run('read a card', async (prisma) => {
        const card = await prisma.card.findUnique({ where: { requestId } });
        if (card === null) return null;
        return { ...card, postingSince: msOrNull(card.postingSince), stray: placeOf(card.stray) };
      }),

    patchCard: (requestId, { told, postingSince, stray, ...same }) =>
      client.run('save a card', async (prisma) => {
        const change = {
          ...same,
          ...(told === undefined ? {} : { told: [...told] }),
          ...(postingSince === undefined ? {} : { postingSince: dateOrNull(postingSince) }),
          ...(stray === undefined ? {} : { stray: textOf(stray) }),
        };
        const create = { channel: '', ...change, requestId };
        await prisma.card.upsert({ where: { requestId }, create, update: change });
      }),

    ask: (requestId, stray) =>
      client.atomically('ask for a card', async (transaction) => {
        const seen = stray === null ? {} : { stray: textOf(stray) };
        await transaction.card.updateMany({ where: { requestId }, data: { version: 0, ...seen } });
        await transaction.$executeRaw`
          INSERT INTO outbox (request_id, version) SELECT id, version FROM requests WHERE id = ${requestId} ON CONFLICT DO NOTHING`;
      }),

    done: (requestId, version) =>
      client.run('clear the outbox', async (prisma) => {
        await prisma.outboxRow.deleteMany({ where: { requestId, version: { lte: version } } });
      }),
  };
}

const textOf = (place: Place | null): string | null =>
  place === null ? null : `${place.channel} ${place.ts}`;

function placeOf(text: string | null): Place | null {
  const [channel, ts] = text?.split(' ') ?? [];
  return channel === undefined || ts === undefined ? null : { channel, ts };
}
