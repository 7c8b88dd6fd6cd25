/** What the server skips behind an error changes nothing of what a name stands for: what is judged is what would run (I1, DESIGN.md 3). */
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { type TestPostgres, testPostgres } from '../support/postgres.ts';
import { WireClient } from '../support/wire-client.ts';
import { bytesOf } from './model-steps.ts';
import { AGENT, type Bench, bench, SCHEMA } from './support.ts';

let server: TestPostgres;
let it_: Bench;
const clients: WireClient[] = [];
beforeAll(async () => {
  server = await testPostgres();
  await server.createDatabase('shop');
  await server.query('shop', SCHEMA);
  it_ = await bench(server, 'shop');
});
afterEach(() => {
  for (const client of clients.splice(0)) client.close();
});
afterAll(async () => {
  await it_?.stop();
  await server?.stop();
});

const FAILS = ['P:x select 1/0', 'B:p<x []'];
const HARMLESS = 'P: select 1';
const DELETE = 'delete from orders where id = 1';

/** Judged once, so that all of it goes out in one turn of the event loop, before the server has answered any. */
async function open(): Promise<WireClient> {
  const client = await WireClient.login(it_.port, AGENT);
  clients.push(client);
  for (const steps of [
    [...FAILS, 'S', 'CS:x', 'S'],
    [HARMLESS, 'B:< []', 'E: 0', 'S'],
  ])
    await say(client, ...steps);
  return client;
}
async function say(client: WireClient, ...steps: readonly string[]): Promise<string[]> {
  client.send(...steps.map(bytesOf));
  return client.ready(steps.filter((step) => step === 'S').length);
}
const orders = async (): Promise<number | null> =>
  (await server.query('shop', 'select from orders where id = 1')).rowCount;

it('does not run what was prepared before as what was to take its place', async () => {
  const client = await open();
  expect(await say(client, `P: ${DELETE}`, 'S')).toEqual(['1', 'Z:I']);
  client.send(...[...FAILS, HARMLESS, 'S', 'B:< []', 'E: 0', 'S'].map(bytesOf));
  it_.desk.auto = 'deny';
  expect(await client.ready(2)).toEqual(['1', 'E:22012', 'Z:I', 'E:42501', 'Z:I']);
  expect(await orders()).toBe(1);
});

it.each([
  ['a Parse', [HARMLESS.replace('1', '2')]],
  ['a Parse that is refused', ['P: update customers set name = name; delete from orders']],
  ['a Parse of what cannot be read', ['P: selec']],
  ['a Close', ['CS:']],
  ['a Close and a Parse', ['CS:', HARMLESS.replace('1', '2')]],
  ['a Query', ['Q select 1']],
  ['what drops all of them', ['P: deallocate all', 'B:< []', 'E: 0']],
] as const)('a statement is still what it was behind %s that was skipped', async (_, skipped) => {
  const client = await open();
  await say(client, 'P: select 7', 'P:a select 8', 'S');
  const seen = await say(client, ...FAILS, ...skipped, 'S', 'B:< []', 'E: 0', 'S');
  expect(seen.slice(-4)).toEqual(['2', 'D', 'C:SELECT 1', 'Z:I']);
  const row = client.messages.findLast(({ type }) => type === 'D');
  expect(row?.bytes.toString('latin1').slice(-1)).toBe('7');
  expect(await say(client, 'B:<a []', 'E: 0', 'S')).toEqual(['2', 'D', 'C:SELECT 1', 'Z:I']);
});
