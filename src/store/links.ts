import type { Links } from '../bot/types.ts';
import { type Client, date, storable } from './client.ts';

export interface LinkStore extends Links {
  /** Whatever either of the two was linked to before is no more. */
  save(link: {
    readonly teamId: string;
    readonly userId: string;
    readonly ownerId: string;
    readonly name: string;
    readonly linkedAt: number;
  }): Promise<void>;
}

/** Slack accounts and who they are at the console. */
export function linkStore(client: Client): LinkStore {
  return {
    userOf: (teamId, ownerId) =>
      client.run('read a Slack link', async (prisma) => {
        const where = { teamId_ownerId: { teamId: storable(teamId), ownerId: storable(ownerId) } };
        return (await prisma.slackLink.findUnique({ where }))?.userId ?? null;
      }),

    ownerOf: (teamId, userId) =>
      client.run('read a Slack link', async (prisma) => {
        const where = { teamId_userId: { teamId: storable(teamId), userId: storable(userId) } };
        const row = await prisma.slackLink.findUnique({ where });
        return row === null ? null : { id: row.ownerId, name: row.name };
      }),

    save: (link) =>
      client.atomically('save a Slack link', async (transaction) => {
        const { teamId, userId } = link;
        const ownerId = storable(link.ownerId);
        await transaction.slackLink.deleteMany({ where: { teamId, OR: [{ userId }, { ownerId }] } });
        const data = { teamId, userId, ownerId, name: storable(link.name), linkedAt: date(link.linkedAt) };
        await transaction.slackLink.create({ data });
      }),
  };
}
