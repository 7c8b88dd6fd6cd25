/** A search path that comes as a bind value (PostgREST sets it so, at the start of each transaction). */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type TestPostgres, testPostgres } from '../support/postgres.ts';
import { serialize, WireClient } from '../support/wire-client.ts';
import { AGENT, type Bench, bench } from './support.ts';

let server: TestPostgres;
let it_: Bench;
beforeAll(async () => {
  server = await testPostgres();
  await server.createDatabase('shop');
  await server.query(
    'shop',
    `create table codes (label text); create schema plain; create table plain.codes (label text);
     create schema people; create table people.codes (label text); comment on column people.codes.label is 'pii:name'`,
  );
  it_ = await bench(server, 'shop', {
    levelFor: () => 'admin',
    target: {
      logins: { admin: { user: server.superuser, password: server.password } },
      acceptPrivileges: [
        ...['SUPERUSER', 'BYPASSRLS', 'REPLICATION', 'CREATEROLE', 'pg_execute_server_program'],
        ...['pg_read_server_files', 'pg_write_server_files'],
      ],
    },
  });
});
afterAll(async () => {
  await it_?.stop();
  await server?.stop();
});

const SET = "select set_config('search_path', $1, true)";
interface Said {
  readonly sql: string;
  readonly values?: (string | null)[];
  readonly types?: number[];
  /** Set before it, in the same transaction. */
  readonly path?: string;
}
/** What `select label from codes` comes to after it, in one transaction. */
async function after({ sql, values = [], types = [], path }: Said): Promise<string[]> {
  const client = await WireClient.login(it_.port, AGENT, { 'holdpoint.wait': '0' });
  client.send(serialize.query(`begin${path === undefined ? '' : `; set local search_path = ${path}`}`));
  await client.ready();
  client.send(
    serialize.parse({ text: sql, types }),
    serialize.bind({ values }),
    serialize.execute({}),
    serialize.sync(),
  );
  expect((await client.ready()).join()).not.toContain('E:');
  client.send(serialize.query('select label from codes'));
  const seen = await client.ready();
  client.close();
  return seen;
}

it.each<[string, Said]>([
  ['one schema', { sql: SET, values: ['plain'] }],
  ['after one that has tagged columns', { sql: SET, values: ['plain'], path: 'people' }],
  ['after one that is not known', { sql: SET, values: ['plain'], path: 'default' }],
  ['several, quoted', { sql: SET, values: ['"plain", "public"'] }],
  ['declared as text', { sql: SET, values: ['plain'], types: [25] }],
])('is known: %s', async (_name, said) => {
  expect((await after(said)).join()).not.toContain('E:');
});

it.each<[string, Said]>([
  ['one that has tagged columns', { sql: SET, values: ['people'] }],
  ['perhaps never set', { sql: `${SET} from codes`, values: ['plain'], path: 'people' }],
  ['among others', { sql: SET, values: ['plain, people'] }],
  ['NULL brings back who knows what', { sql: SET, values: [null] }],
  ['what is no list of names', { sql: SET, values: ['no-name'] }],
  ['first used as another type, which cuts it', { sql: `${SET}, $1 = 'p'::"char"`, values: ['p'] }],
  ['declared as another type', { sql: SET, values: ['plain'], types: [18] }],
  ['made into another', { sql: `select set_config('search_path', 'peo' || $1, true)`, values: ['ple'] }],
])('counts as it may be: %s', async (_name, said) => {
  expect((await after(said)).join()).toContain('E:HP001');
});
