/** Targets behind a pooler: where sessions keep their backends they are served as ever, elsewhere refused (DESIGN.md 14). */
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { probeTarget } from '../../src/gateway/upstream/probe.ts';
import { faultNotices } from '../../src/notices.ts';
import { installed, type Pooler, pgbouncer, pgpool } from '../support/poolers.ts';
import { type TestPostgres, testPostgres } from '../support/postgres.ts';
import { AGENT, type Bench, bench, SCHEMA } from './support.ts';

let server: TestPostgres;
const open: { stop(): Promise<void> }[] = [];
const clients: pg.Client[] = [];
beforeAll(async () => {
  server = await testPostgres();
  await server.createDatabase('shop');
  await server.query('shop', SCHEMA);
  await server.query(
    'shop',
    `create schema evil authorization app; create table evil.customers (id int, email text); grant all on evil.customers to app;
     insert into evil.customers values (666, 'nobody')`,
  );
});
afterEach(async () => {
  for (const client of clients.splice(0)) await client.end().catch(() => {});
  for (const one of open.splice(0).reverse()) await one.stop();
});
afterAll(() => server?.stop());

async function behind(pooler: Pooler): Promise<Bench> {
  open.push(pooler);
  const one = await bench(server, 'shop', { target: { port: pooler.port } });
  open.push(one);
  return one;
}
async function connect(through: Bench, more: pg.ClientConfig = {}): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: through.url(AGENT), ...more });
  client.on('error', () => {});
  await client.connect();
  clients.push(client);
  return client;
}
const refused = async (through: Bench): Promise<string> => {
  try {
    await connect(through);
  } catch (error) {
    if (error instanceof pg.DatabaseError) return `${error.code} ${error.message}`;
    throw error;
  }
  throw new Error('it was let in');
};
const value = async (client: pg.Client, sql: string): Promise<unknown> =>
  Object.values((await client.query(sql)).rows[0] ?? {})[0];
const SHARED = /^XX000 Target shop cannot be used: it is behind a pooler in transaction mode/;

describe.skipIf(!installed('pgbouncer'))('PgBouncer', () => {
  it.each([
    ['transaction', 1, []],
    ['transaction', 5, []],
    ['transaction', 5, ['server_round_robin = 1']],
    ['transaction', 2, ['server_round_robin = 1', 'min_pool_size = 2']],
    ['transaction', 20, ['server_round_robin = 1', 'min_pool_size = 20']],
    ['statement', 5, []],
  ] as const)(
    'in %s mode with a pool of %s is refused at start and at each login %j',
    async (mode, size, more) => {
      const one = await behind(await pgbouncer(server, { mode, size, more }));
      expect(await probeTarget(one.target)).toMatchObject({
        faults: [expect.stringContaining('pooler in transaction mode')],
      });
      for (const _ of [1, 2, 3]) expect(await refused(one)).toMatch(SHARED);
      expect(one.recorder.sessions).toEqual([]);
      expect(await faultNotices({ ...one.target, policyPath: null })).toEqual([
        expect.stringMatching(/^Target shop cannot be used now: it is behind a pooler in transaction mode/),
      ]);
    },
  );

  it('in transaction mode is refused while others are at work in its pool', async () => {
    const pooler = await pgbouncer(server, { mode: 'transaction', size: 10 });
    const one = await behind(pooler);
    const others = await Promise.all(
      Array.from({ length: 4 }, async () => {
        const client = new pg.Client({
          connectionString: `postgres://app:app-secret@127.0.0.1:${pooler.port}/shop`,
        });
        await client.connect();
        return client;
      }),
    );
    let busy = true;
    const work = others.map(async (client) => {
      while (busy) await client.query('select 1');
    });
    expect(await refused(one)).toMatch(SHARED);
    busy = false;
    await Promise.all(work);
    for (const client of others) await client.end();
  });

  it('in session mode is accepted, and each session keeps what is its own', async () => {
    const one = await behind(await pgbouncer(server, { mode: 'session' }));
    expect(await probeTarget(one.target)).toEqual({ faults: [], pooled: true });
    expect(await faultNotices({ ...one.target, policyPath: null })).toEqual([
      expect.stringContaining('behind a pooler in session mode'),
    ]);
    const [first, second] = [await connect(one), await connect(one)];
    await first.query('set search_path = evil');
    await second.query('begin');
    expect(await value(first, 'select id from customers')).toBe(666);
    expect(await value(second, 'select id from customers where id = 1')).toBe(1);
    await second.query('commit');
    expect(await value(first, 'select pg_backend_pid()')).not.toBe(
      await value(second, 'select pg_backend_pid()'),
    );
  });

  it('in session mode: a session starts clean, with what it asked for at startup', async () => {
    // What the one before left is not even taken off by the pooler.
    const more = ['server_reset_query =', 'server_reset_query_always = 0'];
    const one = await behind(await pgbouncer(server, { mode: 'session', size: 4, more }));
    const first = await connect(one);
    const pid = await value(first, 'select pg_backend_pid()');
    await first.query('set search_path = evil; set extra_float_digits = 0');
    await first.end();
    const again: pg.Client[] = [];
    for (const _ of [1, 2])
      again.push(await connect(one, { options: '-c timezone=Asia/Tokyo -c statement_timeout=7s' }));
    const pids = await Promise.all(again.map((client) => value(client, 'select pg_backend_pid()')));
    expect(pids).toContain(pid);
    for (const client of again) {
      expect(await value(client, 'select id from customers where id = 1')).toBe(1);
      expect(await value(client, 'show search_path')).toBe('"$user", public');
      expect(await value(client, 'show timezone')).toBe('Asia/Tokyo');
      expect(await value(client, 'show statement_timeout')).toBe('7s');
      expect(await value(client, 'show extra_float_digits')).toBe('1');
    }
  });

  it('that is set to transaction mode under a session ends it when another backend answers', async () => {
    const pooler = await pgbouncer(server, { mode: 'session', size: 3 });
    const one = await behind(pooler);
    const client = await connect(one);
    expect(await value(client, 'select id from customers where id = 1')).toBe(1);
    await pooler.reload('transaction');
    // Its backend is another's now.
    await client.query('select 1');
    const thief = new pg.Client({
      connectionString: `postgres://app:app-secret@127.0.0.1:${pooler.port}/shop`,
    });
    await thief.connect();
    await thief.query('begin');
    await thief.query('select 1');
    const ended = new Promise<string>((resolve) => client.once('error', (error) => resolve(error.message)));
    await client.query('set search_path = evil').catch(() => {});
    await client.query('select id from customers').catch(() => {});
    expect(await ended).toMatch(/pooler in front of target shop|Connection terminated/);
    expect(one.recorder.closed.at(-1)).toContain('pooler');
    await thief.end();
    expect(await refused(one)).toMatch(SHARED);
  });

  it('that is set to transaction mode is noticed while its sessions do nothing', async () => {
    const pooler = await pgbouncer(server, { mode: 'session', size: 4 });
    const one = await behind(pooler);
    const client = await connect(one);
    const ended = new Promise<string>((resolve) => client.once('error', ({ message }) => resolve(message)));
    await pooler.reload('transaction');
    await client.query('select 1');
    expect(await ended).toMatch(/pooler in front of target shop|Connection terminated/);
    expect(one.recorder.closed).toEqual([expect.stringContaining('A pooler in front of target shop')]);
  });

  it('that is set to transaction mode gives two sessions one backend: neither goes on', async () => {
    const pooler = await pgbouncer(server, { mode: 'session', size: 4 });
    const one = await behind(pooler);
    const client = await connect(one);
    await client.query('select 1');
    const ended = new Promise<string>((resolve) => client.once('error', ({ message }) => resolve(message)));
    await pooler.reload('transaction');
    await client.query('select 1');
    // What was proven a moment ago stands: it is the sessions themselves that show it.
    expect(await refused(one)).toMatch(SHARED);
    expect(await ended).toMatch(/pooler in front of target shop|Connection terminated/);
    expect(one.recorder.closed).toEqual([expect.stringContaining('A pooler in front of target shop')]);
  });

  it('in session mode with no room for a second connection cannot be told: refused', async () => {
    const pooler = await pgbouncer(server, { mode: 'session', size: 1 });
    open.push(pooler);
    const one = await bench(server, 'shop');
    open.push(one);
    const { faults } = await probeTarget({ ...one.target, port: pooler.port });
    expect(faults).toEqual([
      expect.stringMatching(/keeps sessions apart cannot be told: it did not answer in time/),
    ]);
  });
});

describe.skipIf(!installed('pgpool'))('Pgpool-II', () => {
  it.each([
    [true, undefined],
    [true, 'ABORT'],
    [false, undefined],
  ] as const)(
    'with connection_cache %s and reset %s is accepted: it keeps sessions apart',
    async (cache, reset) => {
      const one = await behind(await pgpool(server, { cache, ...(reset === undefined ? {} : { reset }) }));
      expect((await probeTarget(one.target)).faults).toEqual([]);
      for (const _ of [1, 2, 3]) {
        const [first, second] = [await connect(one), await connect(one)];
        expect(await value(second, 'show search_path')).toBe('"$user", public');
        await first.query('set search_path = evil');
        expect(await value(first, 'select id from customers')).toBe(666);
        expect(await value(second, 'select id from customers where id = 1')).toBe(1);
        await first.end();
        await second.end();
      }
    },
  );
});
