/**
 * Random legal and illegal sequences of messages read the same through the gateway as from the server itself, up to the differences that
 * docs/compatibility.md lists. `node test/suites/model.mjs --runs 100000` runs more of them.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type TestPostgres, testPostgres } from '../support/postgres.ts';
import { holdsAsync } from '../support/property.ts';
import { differs, Lane, reproduction, type Side, TABLES } from './model.ts';
import { sequences } from './model-sequences.ts';
import { AGENT, type Bench, bench, SCHEMA } from './support.ts';

const RUNS = Number(process.env['HP_RUNS'] ?? 1000);
const SEED = Number(process.env['HP_SEED'] ?? 1);
const LANES = 6;
const ALLOW_ALL = `version: 1
defaults: { merge: allow, lock: allow, call: allow, do: allow, delete: allow, truncate: allow, ddl: allow, dcl: allow, admin: allow,
  unknown: allow, missing_where: allow, pii_value: allow, pii_predicate: allow }
`;

let server: TestPostgres;
let it_: Bench;
const lanes: Lane[] = [];
beforeAll(async () => {
  server = await testPostgres({ max_prepared_transactions: '20' });
  await server.createDatabase('shop');
  await server.query('shop', SCHEMA + TABLES(LANES));
  it_ = await bench(server, 'shop', {
    policyText: ALLOW_ALL,
    levelFor: () => 'admin',
    target: { logins: { admin: { user: 'app', password: 'app-secret' } } },
  });
  const sides: Side[] = [
    { port: server.port, login: { user: 'app', password: 'app-secret' } },
    { port: it_.port, login: AGENT },
  ];
  for (let i = 0; i < LANES; i++) lanes.push(new Lane(server, i, sides));
  await Promise.all(lanes.map((lane) => lane.open()));
});
afterAll(async () => {
  await Promise.all(lanes.map((lane) => lane.close()));
  await it_?.stop();
  await server?.stop();
});

it(
  `any sequence of messages reads the same through the gateway (${RUNS}, seed ${SEED})`,
  async () => {
    let done = 0;
    await Promise.all(
      lanes.map((lane, i) =>
        holdsAsync(
          fc.asyncProperty(sequences, async (sequence) => {
            const difference = differs(await lane.run(sequence));
            done += 1;
            if (process.env['HP_RUNS'] && done % 1000 === 0) console.log(`${done} of ${RUNS}, seed ${SEED}`);
            expect(difference, `differs at ${difference}\n    ${reproduction(sequence)}`).toBeNull();
          }),
          { numRuns: Math.ceil(RUNS / LANES), seed: SEED * LANES + i, seconds: 300 + RUNS },
        ),
      ),
    );
  },
  2 ** 31 - 1,
);
