import type { Client } from './client.ts';

/** Small values that every process on this store shares. */
export interface MetaStore {
  get(name: string): Promise<string | null>;
  set(name: string, value: string): Promise<void>;
  /** The value; where there is none yet, `make` makes it, and of several makers at once one wins and all get its value. */
  getOrCreate(name: string, make: () => string): Promise<string>;
}

export function metaStore(client: Client): MetaStore {
  const get = (name: string) =>
    client.run('read a value', async (prisma) => {
      const row = await prisma.meta.findUnique({ where: { name } });
      return row?.value ?? null;
    });
  return {
    get,
    set: (name, value) =>
      client.run('save a value', async (prisma) => {
        await prisma.meta.upsert({ where: { name }, create: { name, value }, update: { value } });
      }),
    getOrCreate: async (name, make) => {
      const there = await get(name);
      if (there !== null) return there;
      const value = make();
      return client.run('save a value', async (prisma) => {
        await prisma.meta.createMany({ data: [{ name, value }], skipDuplicates: true });
        const row = await prisma.meta.findUniqueOrThrow({ where: { name } });
        return row.value;
      });
    },
  };
}
