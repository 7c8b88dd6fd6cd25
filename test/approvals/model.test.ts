/**
 * Random lives of requests by two desks on one store keep I1 and I5, whatever comes in between.
 * `node test/suites/model.mjs --approvals --runs 10000` lives more of them.
 */
import fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, it } from 'vitest';
import { openStore, type Store } from '../../src/store/store.ts';
import { type TestPostgres, testPostgres } from '../support/postgres.ts';
import { holdsAsync } from '../support/property.ts';
import { audit, auditor } from './audit.ts';
import { lives, World } from './model.ts';
import { quiet } from './support.ts';

const RUNS = Number(process.env['HP_RUNS'] ?? 12);
const SEED = Number(process.env['HP_SEED'] ?? Date.now() % 1_000_000);
const LANES = 2;

let postgres: TestPostgres;
const stores: Store[] = [];
const clients: pg.Client[] = [];
const named = (lane: number) => `model_${lane}`;
beforeAll(async () => {
  postgres = await testPostgres();
  for (let lane = 0; lane < LANES; lane += 1) {
    await postgres.createDatabase(named(lane));
    stores.push(await openStore({ url: postgres.url(named(lane)), log: quiet }));
    const client = new pg.Client({ connectionString: postgres.url(named(lane)) });
    await client.connect();
    await audit(client);
    clients.push(client);
  }
});
afterAll(async () => {
  await Promise.all([...stores.map((store) => store.close()), ...clients.map((client) => client.end())]);
  await postgres?.stop();
});

it(
  `a request settles once, is spent once, by those who may, whatever happens to it (${RUNS} lives, seed ${SEED})`,
  async () => {
    let done = 0;
    await Promise.all(
      clients.map(async (client, lane) => {
        const store = stores[lane];
        if (store === undefined) throw new Error('no store');
        let seq = 0;
        let run = 0;
        await holdsAsync(
          fc.asyncProperty(lives, async (life) => {
            run += 1;
            const world = new World(`${lane}-${run}`, seq, store.requests, auditor(client));
            try {
              for (const steps of life) await world.at(steps);
              await world.rest();
            } finally {
              seq = world.seq;
            }
            done += 1;
            if (process.env['HP_RUNS'] && done % 100 === 0) console.log(`${done} of ${RUNS}, seed ${SEED}`);
          }),
          { numRuns: Math.ceil(RUNS / LANES), seed: SEED * LANES + lane, seconds: 300 + RUNS, large: true },
        );
      }),
    );
  },
  2 ** 31 - 1,
);
