/** Statements that compare tagged columns with constants are counted by owner, and are an alert when they are many (DESIGN.md 6). */
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createGuesses, type GuessAlert } from '../../src/gateway/guesses.ts';
import { plan } from '../../src/gateway/plan.ts';
import { facts } from '../policy/facts-of.ts';
import { type TestPostgres, testPostgres } from '../support/postgres.ts';
import { AGENT, type Bench, bench, identityOf, OTHERS, SCHEMA, stored } from './support.ts';

let server: TestPostgres;
let it_: Bench;
let at = 0;
const alerts: GuessAlert[] = [];
const guesses = (count: number) =>
  createGuesses({
    count,
    withinMs: 60_000,
    now: () => at,
    log: { warn: () => undefined },
    onAlert: async (alert) => void alerts.push(alert),
  });
beforeAll(async () => {
  server = await testPostgres();
  await server.createDatabase('shop');
  await server.query('shop', SCHEMA);
  await server.query(
    'shop',
    'create unique index on customers (email); create table letters (mail text references customers (email)); grant all on letters to app',
  );
  it_ = await bench(server, 'shop', {
    policyText:
      'version: 1\ndefaults: { pii_value: allow }\npii: [{ columns: ["*.customers.email"], tag: email }]',
    guesses: guesses(10),
  });
});
beforeEach(() => {
  alerts.length = 0;
  at += 3_600_000;
});
afterAll(async () => {
  await it_?.stop();
  await server?.stop();
});

describe('through the gateway', () => {
  async function run(
    login: typeof AGENT,
    times: number,
    sql: string,
    values: readonly string[] = [],
  ): Promise<void> {
    const client = new pg.Client({ connectionString: it_.url(login) });
    await client.connect();
    for (let i = 0; i < times; i++) await client.query(sql, [...values]);
    await client.end();
  }

  it.each([
    ["select count(*) from customers where email < 'm'", []],
    ['select count(*) from customers where email like $1', ['a%']],
    ["select id from customers where substr(email, 1, 1) > 'k'", []],
    ['update orders set total = 0 where customer in (select id from customers where email = $1)', ['x']],
  ] as const)('counts %s', async (sql, values) => {
    await run(AGENT, 9, sql, values);
    expect(alerts).toEqual([]);
    await run(AGENT, 1, sql, values);
    expect(alerts).toMatchObject([
      { about: 'guesses', count: 10, requester: { ownerName: 'Alice', agent: 'Cursor' } },
    ]);
    const [line] = alerts[0]?.lines ?? [];
    expect(line).toBe(`${sql.split(' ')[0]?.toUpperCase()} compares public.customers.email on test/shop`);
  });

  it.each([
    'select name from customers where id = 1',
    'select id from orders where total > 5 and customer = 1',
    'select email from customers',
    'select count(*) from orders o join customers c on c.id = o.customer',
  ])('does not count %s', async (sql) => {
    await run(AGENT, 12, sql);
    expect(alerts).toEqual([]);
  });

  it.each([
    ["insert into customers values (3, 'alice@example.com')", 'INSERT', 'email'],
    ["update customers set email = 'alice@example.com' where id = 2", 'UPDATE', 'email'],
    ["insert into letters values ('nobody@example.com')", 'INSERT', 'letters.mail'],
  ])('counts a key that is refused: %s', async (sql, verb, column) => {
    const client = new pg.Client({ connectionString: it_.url(AGENT) });
    await client.connect();
    for (let i = 0; i < 10; i++) {
      expect(alerts).toEqual([]);
      await expect(client.query(sql)).rejects.toMatchObject({ code: /^2350/ });
    }
    await client.end();
    expect(alerts).toMatchObject([{ about: 'guesses', count: 10 }]);
    expect(alerts[0]?.lines[0]).toContain(`${verb} compares public.`);
    expect(alerts[0]?.lines[0]).toContain(column);
  });
  it('counts no key of another table, and no row that goes in', async () => {
    const client = new pg.Client({ connectionString: it_.url(AGENT) });
    await client.connect();
    for (let i = 0; i < 12; i++) {
      await expect(client.query('insert into orders values (1, 1, 1)')).rejects.toMatchObject({
        code: '23505',
      });
      await client.query(`insert into customers values (${100 + i}, 'c${i}@example.com')`);
    }
    await client.end();
    expect(alerts).toEqual([]);
  });

  it('counts owners apart, with all of their agents', async () => {
    const sql = "select 1 from customers where email = 'a'";
    await run(AGENT, 9, sql);
    await run(OTHERS, 9, sql);
    expect(alerts).toEqual([]);
    await run(OTHERS, 1, sql);
    expect(alerts).toMatchObject([{ key: 'guesses bob@example.com' }]);
  });

  it('does not count what was approved', async () => {
    it_.desk.auto = 'approve';
    await run(AGENT, 12, "delete from customers where email = 'nobody'");
    it_.desk.auto = null;
    expect(it_.desk.drafts.length).toBeGreaterThan(0);
    expect(alerts).toEqual([]);
  });
});

describe('within a time', () => {
  it('begins anew when it is over, and tells of so many owners a minute', async () => {
    const counted = guesses(10);
    const alice = identityOf(await stored(AGENT, 'Cursor'));
    const times = (n: number, id: string): void => {
      const identity = { ...alice, owner: { id, name: id, email: null } };
      for (let i = 0; i < n; i++) counted.note(identity, it_.target, COMPARES);
    };
    times(9, 'alice');
    at += 60_001;
    times(9, 'alice');
    expect(alerts).toEqual([]);
    times(1, 'alice');
    expect(alerts).toHaveLength(1);
    for (let i = 0; i < 50; i++) times(10, `owner ${i}`);
    expect(alerts).toHaveLength(10);
    at += 60_000;
    times(10, 'another');
    expect(alerts).toHaveLength(11);
  });
});

const COMPARES = plan('', [
  {
    sql: '',
    facts: facts({}),
    verdict: {
      effect: 'allow',
      rules: [],
      reason: '',
      terms: { approverGroups: [], quorum: 1, waitMs: null, expiresMs: null, reasonRequired: false },
    },
    probe: 'none',
    policyVersion: '',
    catalogVersion: '',
  },
]);
