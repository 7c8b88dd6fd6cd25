/** A real PostgreSQL for tests: fresh, on a free port, without fsync. As root it runs as another user by itself. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { startPostgres } from '../../src/embedded/postgres.ts';
import { debianBinaries, startDebian } from './postgres-debian.ts';

export interface TestPostgres {
  readonly host: '127.0.0.1';
  readonly port: number;
  readonly superuser: string;
  readonly password: string;
  /** For the superuser, or for the login given. */
  url(database: string, login?: { readonly user: string; readonly password: string }): string;
  createDatabase(name: string): Promise<void>;
  /** Runs as superuser. */
  query(database: string, sql: string, values?: readonly unknown[]): Promise<pg.QueryResult>;
  stop(): Promise<void>;
}

/** Majors that tests can be run on here: the embedded one, and those that Debian's packages installed. */
export const MAJORS = [15, 16, 17, 18] as const;
export type Major = (typeof MAJORS)[number];
export const installed = (major: Major): boolean => major === 18 || debianBinaries(major) !== null;

/** Call in `beforeAll`, `stop` in `afterAll`. A killed test run leaves no server (the watchdog sees to it). */
export async function testPostgres(
  settings: Readonly<Record<string, string>> = {},
  major: Major = 18,
): Promise<TestPostgres> {
  const directory = mkdtempSync(join(tmpdir(), 'holdpoint-test-'));
  // mkdtemp makes 0700; the account that runs PostgreSQL for root must get through.
  chmodSync(directory, 0o711);
  const superuser = 'postgres';
  const password = 'only-for-tests';
  const remove = (): void => rmSync(directory, { recursive: true, force: true });
  const options = {
    dataDir: join(directory, 'postgres'),
    port: 0,
    superuser,
    password,
    settings: { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', ...settings },
    log: { info: () => {} },
  };
  const started = major === 18 ? startPostgres(options) : startDebian(major, options);
  const server = await started.catch((error: unknown) => {
    remove();
    throw error;
  });
  const { host, port } = server;
  const url: TestPostgres['url'] = (database, login = { user: superuser, password }) =>
    `postgres://${encodeURIComponent(login.user)}:${encodeURIComponent(login.password)}@${host}:${port}/${encodeURIComponent(database)}`;
  const query: TestPostgres['query'] = async (database, sql, values = []) => {
    const client = new pg.Client({ connectionString: url(database) });
    await client.connect();
    try {
      return await client.query(sql, [...values]);
    } finally {
      await client.end();
    }
  };
  return {
    host,
    port,
    superuser,
    password,
    url,
    query,
    async createDatabase(name) {
      await query('postgres', `CREATE DATABASE ${pg.escapeIdentifier(name)}`);
    },
    async stop() {
      await server.stop();
      remove();
    },
  };
}
