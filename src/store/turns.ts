import type { Turns } from '../bot/types.ts';
import type { Client } from './client.ts';

export interface TurnStore extends Turns {
  /** Whoever had one is known to be gone. */
  clear(): Promise<void>;
}

/** The server's clock decides: those of the processes may differ. */
export function turnStore(client: Client): TurnStore {
  return {
    take: (name, ms) =>
      client.run('take a turn', async (prisma) => {
        const taken = await prisma.$executeRaw`
          INSERT INTO turns (name, holder, until) VALUES (${name}, ${client.name}, clock_timestamp() + ${ms} * interval '1 ms')
          ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
            WHERE turns.holder = excluded.holder OR turns.until < clock_timestamp()`;
        return taken === 1;
      }),
    give: (name) =>
      client.run('give a turn back', async (prisma) => {
        await prisma.turn.deleteMany({ where: { name, holder: client.name } });
      }),
    clear: () =>
      client.run('clear the turns', async (prisma) => {
        await prisma.turn.deleteMany({});
      }),
  };
}
