import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type EmbeddedPostgres, startPostgres } from '../../src/embedded/postgres.ts';
import { identify, isAlive, type ProcessId } from '../../src/embedded/processes.ts';

let directory: string;
const stops: (() => Promise<void> | void)[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'holdpoint-test-'));
  chmodSync(directory, 0o711);
});
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
  rmSync(directory, { recursive: true, force: true });
});

const said: string[] = [];
const log = { info: (line: string) => void said.push(line) };

async function start(dataDir: string, port = 0): Promise<EmbeddedPostgres> {
  const settings = { fsync: 'off' };
  const server = await startPostgres({ dataDir, port, superuser: 'holdpoint', password: 'p', settings, log });
  stops.push(() => server.stop());
  return server;
}

async function query(port: number, sql: string, password = 'p'): Promise<unknown[]> {
  const client = new Client({ host: '127.0.0.1', port, user: 'holdpoint', password, database: 'postgres' });
  await client.connect();
  try {
    return (await client.query({ text: sql, rowMode: 'array' })).rows;
  } finally {
    await client.end();
  }
}

/** Bounded: nothing of another session can be awaited by event. */
async function gone(id: ProcessId): Promise<boolean> {
  for (const end = Date.now() + 15_000; Date.now() < end; ) {
    if (!isAlive(id)) return true;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return false;
}

function alive(pid: number): ProcessId {
  const id = identify(pid);
  if (id === null) throw new Error(`no process ${pid}`);
  return id;
}

/** Another Node process that starts the same data directory (from dist/: Node 20 runs no TypeScript). */
async function elsewhere(dataDir: string): Promise<{ child: ChildProcess; port: number; pid: number }> {
  const module = new URL('../../dist/embedded/postgres.js', import.meta.url);
  if (!existsSync(module)) throw new Error('dist/ is missing; run `npm run build` first.');
  const script = `import { startPostgres } from ${JSON.stringify(module.href)};
    const s = await startPostgres({ dataDir: ${JSON.stringify(dataDir)}, port: 0, superuser: 'holdpoint', password: 'p', log: { info() {} } });
    process.send({ port: s.port, pid: s.pid });
    setInterval(() => {}, 1e6);`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  stops.push(() => void child.kill('SIGKILL'));
  const [message] = (await once(child, 'message')) as [{ port: number; pid: number }];
  return { child, ...message };
}

describe('the embedded PostgreSQL', () => {
  test('keeps its data over a restart, in a path beyond the limit of sockets', async () => {
    const dataDir = join(directory, `long-${'x'.repeat(120)}`, 'and a space');
    const first = await start(dataDir);
    await query(first.port, 'CREATE TABLE kept AS SELECT 42 AS answer');
    const postmaster = alive(first.pid);
    await Promise.all([first.stop(), first.stop()]);
    expect(isAlive(postmaster)).toBe(false);
    expect(existsSync(join(dataDir, 'holdpoint.lock'))).toBe(false);

    const second = await start(dataDir);
    expect(await query(second.port, 'SELECT answer FROM kept')).toEqual([[42]]);
    expect(
      await query(
        second.port,
        `SELECT current_setting('listen_addresses'), current_setting('unix_socket_directories'), getdatabaseencoding(),
                (SELECT datcollate FROM pg_database WHERE datname = 'postgres')`,
      ),
    ).toEqual([['127.0.0.1', '', 'UTF8', 'C']]);
    await expect(query(second.port, 'SELECT 1', 'wrong')).rejects.toMatchObject({ code: '28P01' });
  });

  test('writes no statement and no data value to its log', async () => {
    const { port } = await start(join(directory, 'data'));
    await query(port, "CREATE TABLE t (a text PRIMARY KEY); INSERT INTO t VALUES ('secret-value')");
    await expect(query(port, "INSERT INTO t VALUES ('secret-value')")).rejects.toMatchObject({
      code: '23505',
    });
    const { readFileSync } = await import('node:fs');
    const text = readFileSync(join(directory, 'data', 'postgres.log'), 'utf8');
    expect(text).toContain('duplicate key');
    expect(text).not.toContain('secret-value');
  });

  test('is refused to a second Holdpoint, and leaves no postmaster when the first is killed', async () => {
    const dataDir = join(directory, 'data');
    const first = await elsewhere(dataDir);
    const postmaster = alive(first.pid);
    await expect(start(dataDir)).rejects.toThrow(
      `is in use by another Holdpoint (process ${first.child.pid}); stop that one`,
    );
    expect(await query(first.port, 'SELECT 1')).toEqual([[1]]);

    first.child.kill('SIGKILL');
    expect(await gone(postmaster)).toBe(true);
  });

  test('starts at once after a kill -9, when the orphan has been stopped', async () => {
    const dataDir = join(directory, 'data');
    const first = await elsewhere(dataDir);
    await query(first.port, 'CREATE TABLE kept AS SELECT 42 AS answer');
    const postmaster = alive(first.pid);
    first.child.kill('SIGKILL');
    await once(first.child, 'exit');
    const second = await start(dataDir);
    expect(isAlive(postmaster)).toBe(false);
    expect(await query(second.port, 'SELECT answer FROM kept')).toEqual([[42]]);
  });

  test('is refused to the same process twice, and a stale lock of a reused pid is not believed', async () => {
    const dataDir = join(directory, 'data');
    mkdirSync(dataDir);
    const stale = { owner: { pid: process.pid, started: 'another boot/1' }, watchdog: null };
    writeFileSync(join(dataDir, 'holdpoint.lock'), JSON.stringify(stale));
    await start(dataDir);
    await expect(start(dataDir)).rejects.toThrow('already in use by this process');
  });

  test('is not kept from starting by a postmaster.pid whose pid now belongs to another program', async () => {
    const dataDir = join(directory, 'data');
    await (await start(dataDir)).stop();
    const [cluster = ''] = readdirSync(dataDir).filter((name) => name === 'cluster');
    writeFileSync(join(dataDir, cluster, 'postmaster.pid'), `${process.pid}\n${join(dataDir, cluster)}\n`);
    expect(await query((await start(dataDir)).port, 'SELECT 1')).toEqual([[1]]);
    expect(isAlive(alive(process.pid))).toBe(true);
  });

  test('says so when the port is taken, and can be started afterwards', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    stops.push(() => void server.close());
    const address = server.address();
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
    await expect(start(join(directory, 'data'), port)).rejects.toThrow(`Port ${port} of 127.0.0.1 is in use`);
    await start(join(directory, 'data'));
  });
});
