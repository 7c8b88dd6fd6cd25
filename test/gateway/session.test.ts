import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type TestPostgres, testPostgres } from '../support/postgres.ts';
import { AGENT, type Bench, bench, SCHEMA } from './support.ts';

let server: TestPostgres;
let it_: Bench;
const clients: pg.Client[] = [];

beforeAll(async () => {
  server = await testPostgres();
  await server.createDatabase('shop');
  await server.query('shop', SCHEMA);
  it_ = await bench(server, 'shop');
});
afterEach(async () => {
  for (const client of clients.splice(0)) await client.end().catch(() => {});
});
afterAll(async () => {
  await it_?.stop();
  await server?.stop();
});

async function connect(login = AGENT): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: it_.url(login) });
  client.on('error', () => {});
  clients.push(client);
  await client.connect();
  return client;
}

describe('a session', () => {
  it('passes an allowed statement, with and without parameters', async () => {
    const client = await connect();
    expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    expect((await client.query('select id, total from orders where id = $1', [7])).rows).toEqual([
      { id: 7, total: '7' },
    ]);
  });
});
