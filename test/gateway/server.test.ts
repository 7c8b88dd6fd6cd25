/** A target that turns into another server: what was judged for the one is not run on the other (DESIGN.md 4). */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Catalog, createCatalog } from '../../src/gateway/judge/catalog.ts';
import { type CatalogConnection, connectCatalog } from '../../src/gateway/judge/catalog-connection.ts';
import { createJudge } from '../../src/gateway/judge/judge.ts';
import type { Judge, Target } from '../../src/gateway/types.ts';
import { connectUpstream } from '../../src/gateway/upstream/connect.ts';
import { probeTarget } from '../../src/gateway/upstream/probe.ts';
import { createPolicyHolder } from '../../src/policy/rules/index.ts';
import { serverOf } from '../../src/policy/server.ts';
import { context } from '../policy/facts-of.ts';
import { installed, type TestPostgres, testPostgres } from '../support/postgres.ts';
import { bench, SCHEMA } from './support.ts';

const here = installed(15);
const servers: TestPostgres[] = [];
const closing: (() => Promise<void>)[] = [];
beforeAll(async () => {
  if (!here) return;
  for (const major of [15, 18] as const) {
    const server = await testPostgres({}, major);
    servers.push(server);
    await server.createDatabase('shop');
    await server.query('shop', SCHEMA);
  }
});
afterAll(async () => {
  for (const close of closing) await close();
  for (const server of servers) await server.stop();
});

const login = { user: 'app', password: 'app-secret' };
const targetAt = (server: TestPostgres, more: Partial<Target> = {}): Target => ({
  ...{ name: 'shop', environment: 'test', host: server.host, port: server.port, database: 'shop' },
  ...{ tls: 'disable', ca: null, logins: { admin: login }, catalogLogin: null, acceptPrivileges: [] },
  protocol: 'strict',
  ...more,
});
function judged(connect: () => Promise<CatalogConnection>): {
  readonly catalog: Catalog;
  readonly judge: Judge;
} {
  const [server] = servers;
  if (server === undefined) throw new Error('no server');
  const catalog = createCatalog({ now: Date.now, maxAgeMs: 50, pollMs: 60_000, connect });
  const policy = createPolicyHolder('version: 1\n');
  const judge = createJudge({ target: targetAt(server), policy, catalog, now: Date.now, workers: 1 });
  closing.push(async () => {
    await judge.close();
    await catalog.close();
  });
  return { catalog, judge };
}
const at = (server?: number) => ({
  policy: context(),
  resolution: { searchPath: ['public'], tempRelations: [] },
  paramTypes: [],
  ...(server === undefined ? {} : { server }),
});
/** A call of some function on 15, none on 18. */
const SQL = 'SELECT json_scalar(1)';

it.skipIf(!here)('each is judged by its own grammar, and a change drops what was judged', async () => {
  let major: 0 | 1 = 0;
  let lose = (): void => {};
  const { catalog, judge } = judged(async () => {
    const link = await connectCatalog(targetAt(servers[major] as TestPostgres), login);
    lose = () => link.close();
    return {
      ...link,
      onLost: (listener) => {
        link.onLost(listener);
        lose = () => {
          listener();
          link.close();
        };
      },
    };
  });
  const old = await judge.judge(SQL, at(150018));
  expect(old).toMatchObject({ verdict: { effect: 'hold' }, probe: 'unknown-name' });
  const before = (await catalog.ensure()).snapshot;
  expect(before.serverVersion).toBeGreaterThanOrEqual(150000);
  expect(before.serverVersion).toBeLessThan(160000);

  major = 1;
  lose();
  // The session on the old server is not judged by the new one's, nor the other way round.
  expect(await judge.judge('SELECT 1', at(150018), { fresh: true })).toMatchObject({
    facts: null,
    verdict: { effect: 'deny', rules: ['error:server'] },
    probe: 'none',
  });
  expect(judge.cached('SELECT 1', at(150018))).toBeNull();
  expect((await judge.judge(SQL, at(180004))).verdict.effect).toBe('allow');
  const after = (await catalog.ensure()).snapshot;
  expect(after.version).not.toBe(before.version);
  expect(after.version.startsWith('18')).toBe(true);
});

it.skipIf(!here)('of a server without a grammar nothing is read, and nothing is sent to ask', async () => {
  const { judge } = judged(async () => {
    const link = await connectCatalog(targetAt(servers[1] as TestPostgres), login);
    const said = 'CockroachDB CCL v23.1.11 (x86_64-pc-linux-gnu)';
    return {
      ...link,
      server: serverOf(said, 130000, 'CockroachDB'),
      query: () => Promise.reject(new Error('asked')),
    };
  });
  expect((await judge.judge('SELECT 1', at(130000))).verdict.effect).toBe('allow');
  expect(await judge.judge('SELECT * FROM orders', at(130000))).toMatchObject({
    verdict: { effect: 'hold' },
    probe: 'none',
  });
  expect(await judge.judge('UPSERT INTO orders VALUES (1)', at(130000))).toMatchObject({
    verdict: { effect: 'deny' },
    probe: 'none',
  });
  expect(judge.catalog()).toMatchObject({
    unfamiliar: expect.stringContaining('CockroachDB'),
    relations: [],
  });
});

it.skipIf(!here)('who it is, is asked at each connect', async () => {
  for (const [i, server] of servers.entries()) {
    const target = targetAt(server);
    const link = await connectUpstream({ target, login, settings: new Map(), timeoutMs: 5000 });
    expect(link.server).toMatchObject({ grammar: [15, 18][i], accepted: true });
    link.socket.destroy();
    expect(await probeTarget(target)).toEqual({ faults: [], pooled: false });
  }
});

it.skipIf(!here)('a session ends when its target is of another major by now', async () => {
  const [server] = servers;
  if (server === undefined) throw new Error('no server');
  const b = await bench(server, 'shop');
  closing.push(() => b.stop());
  const { WireClient, serialize } = await import('../support/wire-client.ts');
  const { AGENT } = await import('./support.ts');
  const client = await WireClient.login(b.port, AGENT);
  client.send(serialize.query('SELECT 1'));
  expect(await client.ready()).toContain('C:SELECT 1');
  const real = b.judge.catalog.bind(b.judge);
  Object.assign(b.judge, {
    catalog: () => {
      const snapshot = real();
      return snapshot && { ...snapshot, serverVersion: 180004, takenAt: Date.now() + 1000 };
    },
  });
  expect(await client.end()).toEqual(['E:XX000']);
});

it.skipIf(!here)('is not asked anything that a cast of users would answer', async () => {
  const [server] = servers;
  if (server === undefined) throw new Error('no server');
  const change = (sql: string) => server.query('shop', sql);
  await change("create function told(oid) returns text language sql as $$select 'x'::text$$");
  await change('create cast (oid as text) with function told(oid) as assignment');
  try {
    const target = targetAt(server);
    const { faults } = await probeTarget(target);
    expect(faults.join()).toContain('casts between built-in types');
    await expect(connectCatalog(target, login)).rejects.toThrow('casts between built-in types');
  } finally {
    await change('drop cast (oid as text)');
    await change('drop function told(oid)');
  }
});
