import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ShopLogins, seedShop } from '../../src/embedded/demo-shop.ts';
import { type TestPostgres, testPostgres } from '../support/postgres.ts';

let server: TestPostgres;
const logins: ShopLogins = {
  'read-only': { user: 'shop_readonly', password: "r'1" },
  'read-write': { user: 'shop_readwrite', password: 'w1' },
  admin: { user: 'shop_admin', password: 'a1' },
};
const connection = () => ({
  host: server.host,
  port: server.port,
  user: server.superuser,
  password: server.password,
});

beforeAll(async () => {
  server = await testPostgres();
  await seedShop(connection(), logins);
});
afterAll(() => server.stop());

async function as(level: keyof ShopLogins, sql: string): Promise<unknown[]> {
  const client = new Client({ connectionString: server.url('shop', logins[level]) });
  await client.connect();
  try {
    return (await client.query({ text: sql, rowMode: 'array' })).rows;
  } finally {
    await client.end();
  }
}
const denied = { code: '42501' };

describe('the demo shop', () => {
  test('has a few thousand rows, order 7 with lines, and views', async () => {
    expect(
      await as(
        'read-only',
        `SELECT (SELECT count(*)::int FROM customers), (SELECT count(*)::int FROM products),
                (SELECT count(*)::int FROM orders), (SELECT count(*)::int FROM order_items),
                (SELECT count(*) > 0 FROM order_items WHERE order_id = 7),
                (SELECT count(*)::int FROM customer_contacts), (SELECT count(*)::int FROM orders_summary)`,
      ),
    ).toEqual([[800, 60, 2500, 5000, true, 800, 2500]]);
  });

  test('holds no number that a card issuer or an authority could have given', async () => {
    const bad =
      "credit_card !~ '^0000 \\d{4} \\d{4} \\d{4}$' OR ssn !~ '^9\\d\\d-\\d\\d-\\d{4}$' OR email NOT LIKE '%@example.com'";
    expect(await as('read-only', `SELECT count(*)::int FROM customers WHERE ${bad}`)).toEqual([[0]]);
  });

  test('gives each level what it needs and no more', async () => {
    await expect(as('read-only', 'DELETE FROM orders WHERE id = 9')).rejects.toMatchObject(denied);
    await expect(as('read-write', 'DROP TABLE orders')).rejects.toMatchObject(denied);
    await expect(as('read-write', 'TRUNCATE order_items')).rejects.toMatchObject(denied);
    await expect(as('read-write', 'CREATE TABLE public.x ()')).rejects.toMatchObject(denied);
    await expect(as('admin', 'CREATE ROLE x')).rejects.toMatchObject(denied);
    await expect(as('admin', "COPY orders TO '/dev/null'")).rejects.toMatchObject(denied);
    await expect(as('admin', 'CREATE DATABASE x')).rejects.toMatchObject(denied);
    await as('read-write', "INSERT INTO orders (customer_id, status) VALUES (1, 'open')");
    await as('admin', 'CREATE TABLE later (a serial); ALTER TABLE orders ADD COLUMN note text');
    await as('read-write', 'INSERT INTO later DEFAULT VALUES');
    expect(await as('read-only', 'SELECT a FROM later')).toEqual([[1]]);
    const roles = `SELECT count(*)::int FROM pg_roles WHERE rolname LIKE 'shop\\_%'
      AND (rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls)`;
    const groups = `SELECT count(*)::int FROM pg_auth_members WHERE member::regrole::text LIKE 'shop\\_%'`;
    expect((await server.query('postgres', roles)).rows).toEqual([{ count: 0 }]);
    expect((await server.query('postgres', groups)).rows).toEqual([{ count: 0 }]);
  });

  test('is seeded once: a second start keeps changes and takes new passwords', async () => {
    await as('read-write', 'DELETE FROM orders WHERE id = 8');
    const renewed = { ...logins, admin: { user: 'shop_admin', password: 'a2' } };
    await seedShop(connection(), renewed);
    expect(await as('read-only', 'SELECT count(*)::int FROM orders WHERE id IN (7, 8)')).toEqual([[1]]);
    await expect(as('admin', 'SELECT 1')).rejects.toMatchObject({ code: '28P01' });
    await seedShop(connection(), logins);
    expect(await as('admin', 'SELECT 1')).toEqual([[1]]);
  });
});
