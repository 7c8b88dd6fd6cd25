import type { Outbox } from '../bot/types.ts';
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
        return card === null ? null : { ...card, postingSince: msOrNull(card.postingSince) };
      }),

    saveCard: (card) =>
      client.run('save a card', async (prisma) => {
        const { requestId, ...rest } = {
          ...card,
          told: [...card.told],
          postingSince: dateOrNull(card.postingSince),
        };
        await prisma.card.upsert({ where: { requestId }, create: { requestId, ...rest }, update: rest });
      }),

    done: (requestId, version) =>
      client.run('clear the outbox', async (prisma) => {
        await prisma.outboxRow.deleteMany({ where: { requestId, version: { lte: version } } });
      }),
  };
}
