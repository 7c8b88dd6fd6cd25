/** `holdpoint start` as a newcomer meets it: what it prints, how it ends, what it refuses, and what happens when what it stands on goes away. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, chmodSync, chownSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import pg from 'pg';
import postgres from 'postgres';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startPostgres } from '../../src/embedded/postgres.ts';
import { clusterOf, holdpoint, type Product, scratch, startProduct } from '../support/product.ts';
import { WireClient } from '../support/wire-client.ts';

const PSQL = spawnSync('psql', ['--version']).status === 0;
const PSYCOPG = spawnSync('python3', ['-c', 'import psycopg']).status === 0;
const ROOT = process.geteuid?.() === 0;
const LINUX = process.platform === 'linux';

/** Processes that carry one of these texts in their command line: servers of a data directory, their watchdogs, Holdpoint itself. */
function processesOf(...texts: readonly string[]): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
        return texts.some((text) => line.includes(text)) ? [`${pid} ${line}`] : [];
      } catch {
        return [];
      }
    });
}
const left = (dataDir: string) =>
  processesOf(dataDir, clusterOf(dataDir, 'store'), clusterOf(dataDir, 'shop'));

/** `holdpoint start` that is to be refused. */
async function refused(env: NodeJS.ProcessEnv, args: readonly string[] = [], cwd = scratch()): Promise<string> {
  const said = await startProduct({ dataDir: cwd, env, args }).then(
    async (product) => {
      await product.stop();
      return 'it started';
    },
    (error: Error) => error.message,
  );
  expect(left(cwd)).toEqual([]);
  return said;
}

async function outcome(url: string, sql: string): Promise<{ rows?: unknown; code?: string | undefined; message?: string }> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 15_000 });
  client.on('error', () => {});
  try {
    await client.connect();
    return { rows: (await client.query(sql)).rows };
  } catch (error) {
    return error instanceof pg.DatabaseError ? { code: error.code, message: error.message } : { message: String(error) };
  } finally {
    await client.end().catch(() => {});
  }
}

describe('the demo', () => {
  // A path beyond the limit of sockets, the C locale, production, no terminal.
  const env = { LC_ALL: 'C', LANG: 'C', NODE_ENV: 'production' };
  let dataDir: string;
  let product: Product;
  beforeAll(async () => {
    dataDir = join(scratch(), 'd'.repeat(110));
    mkdirSync(dataDir);
    product = await startProduct({ dataDir, env });
  });
  afterAll(async () => {
    await product?.stop();
    product?.remove();
  });

  it('prints what to paste, in the order of use', () => {
    const out = product.output();
    const parts = [
      /Holdpoint is up \([\d.]+ s\): gateway 127\.0\.0\.1:\d+, console http:\/\/127\.0\.0\.1:\d+/,
      /npx holdpoint sql "DELETE FROM orders WHERE id = 7"/,
      /psql "postgres:\/\/cred_\w+:hpc_[\w-]+@127\.0\.0\.1:\d+\/shop"/,
      /DATABASE_URL="postgres:\/\/cred_/,
      /As the approver \(Dana\)/,
      /http:\/\/127\.0\.0\.1:\d+\/login\/hpl_/,
      /To try:/,
      /npx holdpoint sql "SELECT email FROM customer_contacts"/,
      /npx holdpoint pending \| show \| approve \| deny/,
      /Ctrl-C stops everything\./,
    ];
    const places = parts.map((part) => out.search(part));
    expect(places).not.toContain(-1);
    expect(places).toEqual([...places].sort((a, b) => a - b));
    expect(out).not.toContain('"level":');
  });

  it('prints a URL that drivers take as it is', async () => {
    const sql = 'SELECT count(*)::int AS n FROM orders WHERE id <= 10';
    expect(await outcome(product.agentUrl, sql)).toEqual({ rows: [{ n: 10 }] });
    const client = postgres(product.agentUrl, { max: 1 });
    expect([...(await client.unsafe(sql))]).toEqual([{ n: 10 }]);
    await client.end();
    const query = (command: string, ...args: string[]) => spawnSync(command, args, { encoding: 'utf8' }).stdout.trim();
    if (PSQL) expect(query('psql', product.agentUrl, '-XAtc', sql)).toBe('10');
    const python = `import sys, psycopg; print(psycopg.connect(sys.argv[1]).execute("${sql}").fetchone()[0])`;
    if (PSYCOPG) expect(query('python3', '-c', python, product.agentUrl)).toBe('10');
  });

  it('runs SQL from the command line: rows, notices, message and code', async () => {
    expect(await holdpoint(product, ['sql', 'SELECT id, status IS NULL AS gone FROM orders WHERE id < 3 ORDER BY 1'])).toEqual({
      code: 0,
      out: ' id | gone\n----+------\n  1 | f\n  2 | f\n(2 rows)\n',
      err: '',
    });
    expect(await holdpoint(product, ['sql', 'BEGIN; BEGIN; COMMIT'])).toEqual({
      code: 0,
      out: 'BEGIN\nBEGIN\nCOMMIT\n',
      err: 'WARNING: there is already a transaction in progress\n',
    });
    expect(await holdpoint(product, ['sql', 'SELECT * FROM ordres'])).toEqual({
      code: 1,
      out: '',
      err: 'ERROR: relation "ordres" does not exist\nSQLSTATE: 42P01\n',
    });
    const held = await holdpoint(product, ['sql', "SET holdpoint.wait = '0'; DELETE FROM orders WHERE id = 7"]);
    expect(held).toMatchObject({ code: 1, err: expect.stringMatching(/^ERROR: HP-[\s\S]*SQLSTATE: (HP001|42501)\n$/) });
  });

  it('refuses a wrong password, an unknown user and an unknown target alike to the server', async () => {
    const other = (change: (url: URL) => void) => {
      const url = new URL(product.agentUrl);
      change(url);
      return outcome(url.href, 'SELECT 1');
    };
    const wrong = await other((url) => (url.password = 'hpc_wrong'));
    expect(wrong).toMatchObject({ code: '28P01', message: expect.stringMatching(/^Login failed: /) });
    expect(await other((url) => (url.username = 'cred_0123456789abcdef01234567'))).toEqual(wrong);
    expect(await other((url) => (url.pathname = '/nope'))).toMatchObject({
      code: '3D000',
      message: expect.stringContaining('database "nope" does not exist'),
    });
  });

  it.skipIf(!LINUX)('refuses a second start on its data directory in one sentence', async () => {
    const before = left(dataDir);
    const said = await startProduct({ dataDir, env }).catch((error: Error) => error.message);
    expect(said).toMatch(
      /Holdpoint does not start: The data directory \S+ is in use by another Holdpoint \(process \d+\); stop that one, or choose another data directory\.\n$/,
    );
    expect(left(dataDir)).toEqual(before);
    expect(await outcome(product.agentUrl, 'SELECT 1 AS one')).toEqual({ rows: [{ one: 1 }] });
  });
});
