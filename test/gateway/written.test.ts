/** What somebody wrote is no news to them: comparing it with a tagged column spells the column out. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { WrittenRelations } from '../../src/gateway/written.ts';
import { facts, relation } from '../policy/facts-of.ts';
import { type TestPostgres, testPostgres } from '../support/postgres.ts';
import { serialize, WireClient } from '../support/wire-client.ts';
import { AGENT, type Bench, bench, SCHEMA } from './support.ts';

let server: TestPostgres;
let it_: Bench;
beforeAll(async () => {
  server = await testPostgres();
  await server.createDatabase('shop');
  await server.query(
    'shop',
    `${SCHEMA} create table guesses (id int, mail text); create table others (id int, mail text); create table parted (id int, mail text) partition by list (id); create table part partition of parted default; grant all on all tables in schema public to app;`,
  );
  it_ = await bench(server, 'shop', {});
});
afterAll(async () => {
  await it_?.stop();
  await server?.stop();
});

const login = (): Promise<WireClient> => WireClient.login(it_.port, AGENT, { 'holdpoint.wait': '0' });
const joined = (table: string): string => `select t.id from ${table} t join customers c on c.email = t.mail`;
async function simple(client: WireClient, sql: string): Promise<string> {
  client.send(serialize.query(sql));
  return (await client.ready()).join(' ');
}
async function extended(client: WireClient, sql: string): Promise<string> {
  client.send(serialize.parse({ text: sql }), serialize.bind({}), serialize.execute({}), serialize.sync());
  return (await client.ready()).join(' ');
}

it('waits for an approver once the owner has written the rows, in any of their sessions', async () => {
  const client = await login();
  expect(await simple(client, joined('guesses'))).not.toContain('E:');
  expect(await extended(client, joined('guesses'))).not.toContain('E:');
  expect(await simple(client, "insert into guesses values (1, 'alice@example.com')")).not.toContain('E:');
  expect(await simple(client, joined('guesses'))).toContain('E:HP001');
  expect(await extended(client, joined('guesses'))).toContain('E:HP001');
  const second = await login();
  expect(await simple(second, joined('guesses'))).toContain('E:HP001');
  expect(await simple(second, joined('others'))).not.toContain('E:');
  await Promise.all([client.close(), second.close()]);
});

it('waits where a partition was written and its parent is read', async () => {
  const client = await login();
  expect(await simple(client, joined('parted'))).not.toContain('E:');
  expect(await simple(client, "insert into part values (1, 'alice@example.com')")).not.toContain('E:');
  expect(await simple(client, joined('parted'))).toContain('E:HP001');
  await client.close();
});

it('waits in the string that writes them, and in the pipeline', async () => {
  const client = await login();
  const write = "insert into others values (1, 'bob@example.com')";
  expect(await simple(client, `${write}; ${joined('others')}`)).toContain('E:HP001');
  client.send(
    serialize.parse({ text: write }),
    serialize.bind({}),
    serialize.execute({}),
    serialize.parse({ text: joined('others') }),
    serialize.bind({}),
    serialize.execute({}),
    serialize.sync(),
  );
  expect((await client.ready()).join(' ')).toContain('E:HP001');
  await client.close();
});

it('tells owners apart, and counts all as written where there is no more room', () => {
  const written = new WrittenRelations();
  written.note('al', facts({ relations: [relation('plain', 'insert'), relation('orders', 'read')] }));
  expect(written.among('al', ['public.plain', 'public.orders'])).toEqual(['public.plain']);
  expect(written.among('bea', ['public.plain'])).toEqual([]);
  for (let i = 0; i < 6_000; i++) written.note('al', facts({ relations: [relation(`t${i}`, 'update')] }));
  expect(written.among('al', ['public.never'])).toEqual(['public.never']);
});
