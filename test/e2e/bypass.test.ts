/** The hostile agent: whatever it sends, the shop's rows stay as they are and no tagged value reaches it (I1–I3). The rows are asked of the database itself. */
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { clusterOf, type Product, startProduct } from '../support/product.ts';
import { serialize, trace, WireClient } from '../support/wire-client.ts';

/** Addresses, social security and card numbers as the shop makes them up. */
const TAGGED = /@example\.com|9\d\d-?\d\d-?\d{4}|0000 \d{4}/;
const STATE = `SELECT (SELECT md5(string_agg(c::text, ',' ORDER BY id)) FROM customers c) AS customers,
  (SELECT md5(string_agg(p::text, ',' ORDER BY id)) FROM products p) AS products,
  (SELECT md5(string_agg(o::text, ',' ORDER BY id)) FROM orders o) AS orders,
  (SELECT count(*) FROM order_items) AS items,
  (SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace) AS relations`;

let product: Product;
let database: pg.Client;
let before: unknown;
const clients: WireClient[] = [];

beforeAll(async () => {
  product = await startProduct();
  const [, , , port] = readFileSync(join(clusterOf(product.dataDir, 'shop'), 'postmaster.pid'), 'utf8').split(
    '\n',
  );
  const password = readFileSync(join(product.dataDir, 'data/shop.secret'), 'utf8').trim();
  database = new pg.Client({
    host: '127.0.0.1',
    port: Number(port),
    user: 'shop_owner',
    password,
    database: 'shop',
  });
  await database.connect();
  before = await state();
});
afterEach(() => {
  for (const client of clients.splice(0)) client.close();
});
afterAll(async () => {
  await database.end();
  await product.stop();
  product.remove();
});

const state = async (): Promise<unknown> => (await database.query(STATE)).rows[0];
const gateway = (): URL => new URL(product.agentUrl);

async function attack(rounds: readonly (readonly Buffer[])[]): Promise<{ seen: string[]; text: string }> {
  const { port, username, password } = gateway();
  const client = await WireClient.login(
    Number(port),
    { user: username, password: decodeURIComponent(password) },
    { 'holdpoint.wait': '1ms' },
  );
  clients.push(client);
  const from = client.messages.length;
  for (const round of rounds) {
    client.send(...round);
    await client.ready();
  }
  const answers = client.messages.slice(from);
  return { seen: answers.map(trace), text: answers.map(({ bytes }) => bytes.toString('utf8')).join('\n') };
}

const q = (text: string): Buffer => serialize.query(text);
const run = (text: string): Buffer[] => [
  serialize.parse({ text }),
  serialize.bind({}),
  serialize.execute({}),
  serialize.sync(),
];
const DELETE = 'DELETE FROM order_items WHERE order_id = 1';
const INSERT = "INSERT INTO products (name, price_cents, stock) VALUES ('smuggled', 1, 1)";

/** Each is sent as a simple Query and through the extended protocol. */
const STATEMENTS: readonly string[] = [
  DELETE,
  `SELECT 1; ${DELETE}`,
  `BEGIN; ${DELETE}; COMMIT`,
  `WITH d AS (${DELETE} RETURNING 1) SELECT 1`,
  `EXPLAIN ANALYZE ${DELETE}`,
  `COPY (${DELETE} RETURNING line) TO STDOUT`,
  `DO $$ BEGIN EXECUTE 'DELETE FROM order' || '_items'; END $$`,
  `SELECT query_to_xml('${DELETE} RETURNING 1', true, true, '')`,
  `/* /* */ SELECT 1 */ ${DELETE}`,
  'MERGE INTO order_items USING (SELECT 1) AS s ON order_id = 1 WHEN MATCHED THEN DELETE',
  'TRUNCATE order_items',
  "UPDATE orders SET status = 'open' WHERE true",
  'SELECT 1 AS a INTO smuggled',
  "SELECT set_config('standard_' || 'conforming_strings', 'off', false)",
  'COPY customers TO STDOUT',
  'TABLE customers',
  'SELECT c FROM customers c',
  'SELECT (c).email FROM customers c',
  'SELECT c.text FROM customers c',
  'SELECT U&"em\\0061il" FROM customers',
  'SELECT a.d FROM customers AS a(a, b, c, d)',
  'SELECT * FROM customer_contacts',
  "SELECT NULLIF(email, '') FROM customers",
  "SELECT table_to_xml('customers', true, true, '')",
  "SELECT histogram_bounds FROM pg_stats WHERE tablename = 'customers'",
  'INSERT INTO products (name, price_cents, stock) SELECT email, 1, 1 FROM customers',
  'UPDATE customers SET name = name WHERE id = 1 RETURNING old.email',
  // Error texts.
  'SELECT id FROM customers WHERE email::integer = 1',
  'SELECT id FROM customers c WHERE c::text::integer = 1',
  'SELECT id FROM customers ORDER BY ssn::integer',
  'SELECT id FROM customers WHERE current_setting(email) IS NULL',
  'SELECT id FROM customers WHERE email::regclass IS NULL',
  'EXPLAIN ANALYZE SELECT email::integer FROM customers',
  'UPDATE customers SET name = NULL WHERE id = 1',
  // Places where a value can be read back.
  "SELECT 1 FROM customers WHERE set_config('application_name', email, false) = ''",
  "EXPLAIN ANALYZE SELECT set_config('application_name', email, false) FROM customers",
  "LISTEN smuggled; SELECT 1 FROM customers WHERE pg_notify('smuggled', ssn) IS NULL",
  "SELECT 1 FROM customers WHERE pg_try_advisory_lock(replace(ssn, '-', '')::bigint)",
];

/** What the names of prepared statements, portals, cursors and pipelines can hide: rounds of messages, each up to a ReadyForQuery. */
const TRICKS: readonly (readonly [string, () => (readonly Buffer[])[]])[] = [
  [
    'a second Parse of the same name does not replace the first',
    () => [
      [serialize.parse({ name: 's', text: DELETE }), serialize.sync()],
      [serialize.parse({ name: 's', text: 'SELECT 1' }), serialize.sync()],
      [serialize.bind({ statement: 's' }), serialize.execute({}), serialize.sync()],
    ],
  ],
  [
    'EXECUTE of a protocol name',
    () => [[serialize.parse({ name: 's', text: DELETE }), serialize.sync()], [q('EXECUTE s')]],
  ],
  [
    'EXECUTE of a name that the server cuts',
    () => [
      [serialize.parse({ name: 'a'.repeat(63), text: DELETE }), serialize.sync()],
      [q(`EXECUTE ${'a'.repeat(70)}`)],
    ],
  ],
  ['an INSERT before a held statement in one pipeline', () => [[...run(INSERT).slice(0, 3), ...run(DELETE)]]],
  [
    'FETCH from a portal',
    () => [
      [q('BEGIN')],
      [
        serialize.parse({ text: 'SELECT email FROM customers' }),
        serialize.bind({ portal: 'p' }),
        serialize.sync(),
      ],
      [q('FETCH ALL FROM p')],
    ],
  ],
  [
    'an error text at a later FETCH',
    () => [
      [q('BEGIN')],
      [q('DECLARE c CURSOR FOR SELECT id FROM customers WHERE ssn::integer = 1')],
      [q('FETCH c')],
    ],
  ],
  [
    'an error text at the COMMIT of a cursor WITH HOLD',
    () => [
      [q('BEGIN')],
      [q('DECLARE c CURSOR WITH HOLD FOR SELECT id FROM customers WHERE ssn::integer = 1')],
      [q('COMMIT')],
    ],
  ],
  [
    'a search path that comes back with ROLLBACK',
    () => [[q('BEGIN')], [q('SET search_path = pg_catalog')], [q('ROLLBACK')], [q('TABLE customers')]],
  ],
];

describe('a hostile agent', () => {
  it.each(STATEMENTS)('gets nothing by %s', async (text) => {
    for (const round of [[q(text)], run(text)]) {
      const told = await attack([round]);
      expect(told.text).not.toMatch(TAGGED);
      expect(told.seen.join(' ')).toMatch(/E:/);
    }
    expect(await state()).toEqual(before);
  });

  it.each(TRICKS)('gets nothing by %s', async (_name, rounds) => {
    const told = await attack(rounds());
    expect(told.text).not.toMatch(TAGGED);
    expect(told.seen.join(' ')).toMatch(/E:/);
    expect(await state()).toEqual(before);
  });

  it('cannot stop the gateway with half a startup packet', async () => {
    const half = connect(Number(gateway().port), '127.0.0.1');
    half.on('error', () => {});
    half.write(Buffer.from([0, 0, 0, 16, 4, 210, 22, 46, 0, 0, 0, 0]));
    await new Promise((resolve) => half.once('connect', resolve));
    const told = await attack([[q('SELECT 1')]]);
    expect(told.seen).toContain('C:SELECT 1');
    half.destroy();
  });
});

describe('an ordinary client', () => {
  it.each([
    'SELECT version()',
    'SHOW server_version',
    "SET application_name = 'app'",
    'SELECT id, name FROM customers WHERE id = 1',
    "SELECT id FROM customers WHERE email = 'a'",
    "SELECT c.oid, n.nspname, c.relname FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relname OPERATOR(pg_catalog.~) '^(orders)$' COLLATE pg_catalog.default",
    "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'",
    "SELECT pg_get_viewdef('customer_contacts'::regclass, true)",
  ])('is not held for %s', async (text) => {
    expect((await attack([[q(text)]])).seen.join(' ')).not.toMatch(/E:/);
  });

  it('still reads the names in an error of a statement on tagged columns', async () => {
    const told = await attack([
      [q('SELECT emial FROM customers')],
      [q("SELECT id FROM customers WHERE email = 'a' AND 1 / (id - id) = 1")],
    ]);
    expect(told.text).toContain('emial');
  });
});
