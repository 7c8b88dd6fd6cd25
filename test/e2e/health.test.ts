/** `/readyz`, `/healthz` and `holdpoint health`, while the store, the target and the recordings go away and come back. */
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { run } from '../../src/cli/program.ts';
import { startPostgres } from '../../src/embedded/postgres.ts';
import { holdpoint, type Product, scratch, startProduct } from '../support/product.ts';

type Server = Awaited<ReturnType<typeof startPostgres>>;
const dataDir = scratch();
const options = (name: string) => ({
  dataDir: join(dataDir, name),
  superuser: 'postgres',
  password: 'sesame-17',
  settings: { fsync: 'off' },
  log: { info: () => {} },
});
let store: Server;
let target: Server;
let product: Product;

beforeAll(async () => {
  store = await startPostgres({ ...options('store'), port: 0 });
  target = await startPostgres({ ...options('target'), port: 0 });
  const owner = new pg.Client(`postgres://postgres:sesame-17@127.0.0.1:${target.port}/postgres`);
  await owner.connect();
  await owner.query("CREATE ROLE app LOGIN PASSWORD 'open-18'");
  await owner.end();
  mkdirSync(join(dataDir, 'conf'));
  writeFileSync(
    join(dataDir, 'conf/holdpoint.yaml'),
    `data: ../data
identity: { levels: { dev: admin }, approvers: [{ name: Dana, email: dana@example.com }] }
targets: { app: { url: "postgres://app:open-18@127.0.0.1:${target.port}/postgres", tls: disable } }
store: { url: "postgres://postgres:\${STORE_PASSWORD}@127.0.0.1:${store.port}/postgres" }
`,
  );
  const env = { HOLDPOINT_CONFIG: join(dataDir, 'conf/holdpoint.yaml'), STORE_PASSWORD: 'sesame-17' };
  product = await startProduct({ dataDir, env });
}, 120_000);
afterAll(async () => {
  await product?.stop();
  await Promise.all([store?.stop(), target?.stop()]);
  product?.remove();
});

async function readiness(): Promise<{ status: number; alive: number; why: Record<string, string | null> }> {
  const answer = await fetch(`${product.console}/readyz`);
  const { ready, parts } = (await answer.json()) as {
    ready: boolean;
    parts: { name: string; ready: boolean; why: string | null }[];
  };
  const text = JSON.stringify(parts);
  for (const secret of [
    'sesame-17',
    'open-18',
    '127.0.0.1',
    String(store.port),
    String(target.port),
    dataDir,
  ])
    expect(text).not.toContain(secret);
  expect(ready).toBe(answer.status === 200);
  expect(parts.every((part) => part.ready === (part.why === null))).toBe(true);
  const alive = (await fetch(`${product.console}/healthz`)).status;
  return { status: answer.status, alive, why: Object.fromEntries(parts.map(({ name, why }) => [name, why])) };
}
const ALL = { status: 200, alive: 200, why: { store: null, recorder: null, 'target app': null } };
const lacks = (name: string, why: RegExp) => ({
  status: 503,
  alive: 200,
  why: { ...ALL.why, [name]: expect.stringMatching(why) },
});

it('is ready when all of it is, and says what is not', async () => {
  expect(await readiness()).toEqual(ALL);

  await target.stop();
  await expect
    .poll(readiness)
    .toEqual(lacks('target app', /^It cannot be used now: it cannot be reached \(ECONNREFUSED\)\.$/));
  target = await startPostgres({ ...options('target'), port: target.port });
  await expect.poll(readiness).toEqual(ALL);

  const recordings = join(dataDir, 'data/recordings');
  renameSync(recordings, `${recordings}.away`);
  writeFileSync(recordings, '');
  await expect.poll(readiness).toEqual(lacks('recorder', /^The session recording could not be written/));
  rmSync(recordings);
  renameSync(`${recordings}.away`, recordings);
  await expect.poll(readiness).toEqual(ALL);

  await store.stop();
  await expect
    .poll(readiness)
    .toEqual(lacks('store', /^The store could not be reached \(\w+\)\.$|^It gives no answer\.$/));
  store = await startPostgres({ ...options('store'), port: store.port });
  await expect.poll(readiness).toEqual(ALL);
  expect(product.output()).toContain('not ready');
}, 120_000);

it('holdpoint health asks whatever was started with the data directory that is configured', async () => {
  /** Without HOLDPOINT_DATA, as the configuration file says where that is. */
  const health = async (...args: readonly string[]) => {
    const said = { out: '', err: '' };
    const say = (to: 'out' | 'err') => (text: string) => {
      said[to] += `${text}\n`;
    };
    const given = {
      env: { ...product.env, STORE_PASSWORD: undefined },
      cwd: dataDir,
      stdin: Readable.from([]),
    };
    const cli = { ...given, out: say('out'), err: say('err'), now: Date.now };
    return { code: await run(['health', ...args], cli, '0.0.0'), ...said };
  };
  const ready = 'store: ready\nrecorder: ready\ntarget app: ready\n';
  expect(await health()).toEqual({ code: 0, out: ready, err: '' });
  expect(await health('--alive')).toEqual({ code: 0, out: 'alive\n', err: '' });
  expect(await holdpoint(product, ['health'])).toEqual({ code: 0, out: ready, err: '' });
  const elsewhere = await health('--data', join(dataDir, 'conf'));
  expect(elsewhere).toMatchObject({
    code: 1,
    out: '',
    err: expect.stringContaining('Nothing was started with'),
  });

  await target.stop();
  await expect.poll(async () => (await readiness()).status).toBe(503);
  expect(await health()).toMatchObject({
    code: 1,
    out: expect.stringContaining('target app: It cannot be used now: it cannot be reached'),
  });
  expect(await health('--alive')).toMatchObject({ code: 0 });
  await product.stop();
  expect(await health('--alive')).toMatchObject({
    code: 1,
    err: expect.stringContaining('does not answer'),
  });
}, 60_000);
