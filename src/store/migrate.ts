import { createHash, randomUUID } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { codeOf } from './failure.ts';

/** The key on which Prisma's own engine locks while it migrates: the two never run at once. */
const PRISMA_LOCK = 72_707_369;
const LOCK_WAIT_MS = 30_000;

/** src/store and dist/store are equally deep. */
export const MIGRATIONS = fileURLToPath(new URL('../../prisma/migrations', import.meta.url));

/** The database does not fit this program; starting anyway could lose records. The message says what to do. */
export class MigrationRefused extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'MigrationRefused';
  }
}

interface Migration {
  readonly name: string;
  readonly sql: string;
  readonly checksum: string;
}
interface Applied {
  readonly migration_name: string;
  readonly checksum: string;
  readonly finished_at: Date | null;
}

/**
 * Applies what is missing of the checked-in migrations, one transaction each, and keeps Prisma's own table about it, so that
 * `prisma migrate` goes on where this stopped. Safe to run from several processes at once.
 */
export async function migrate(url: string, directory: string = MIGRATIONS): Promise<readonly string[]> {
  const migrations = await load(directory);
  const client = new pg.Client({
    connectionString: url,
    application_name: 'holdpoint-migrate',
    connectionTimeoutMillis: 5_000,
  });
  // A connection that breaks while idle emits; the next query rejects with the same cause.
  client.on('error', () => undefined);
  await client.connect();
  try {
    await client.query(`SET lock_timeout = ${LOCK_WAIT_MS}`);
    await client.query('SELECT pg_advisory_lock($1)', [PRISMA_LOCK]);
    await client.query(TABLE);
    const { rows } = await client.query<Applied>(
      `SELECT migration_name, checksum, finished_at FROM _prisma_migrations WHERE rolled_back_at IS NULL ORDER BY started_at`,
    );
    const missing = compare(migrations, rows);
    for (const migration of missing) await apply(client, migration);
    return missing.map((migration) => migration.name);
  } finally {
    // Ends the session, and with it the lock.
    await client.end();
  }
}

/** Migrations that are still to be applied, or a refusal. */
export function compare(there: readonly Migration[], applied: readonly Applied[]): readonly Migration[] {
  const known = new Map(there.map((migration) => [migration.name, migration]));
  for (const row of applied) {
    const name = row.migration_name;
    const migration = known.get(name);
    if (migration === undefined) {
      throw new MigrationRefused(
        `The store has migration ${name}, which this version of Holdpoint does not know: run the version that made it, or a later one.`,
      );
    }
    if (row.finished_at === null) {
      throw new MigrationRefused(
        `Migration ${name} was begun in the store and did not finish: repair it and mark it with "prisma migrate resolve", or restore a backup.`,
      );
    }
    if (row.checksum !== migration.checksum) {
      throw new MigrationRefused(
        `Migration ${name} was changed after it was applied: restore its file as released; changes belong in a new migration.`,
      );
    }
    known.delete(name);
  }
  return there.filter((migration) => known.has(migration.name));
}

async function apply(client: pg.Client, migration: Migration): Promise<void> {
  await client.query('BEGIN');
  try {
    await client.query(migration.sql);
    await client.query(
      `INSERT INTO _prisma_migrations (id, checksum, migration_name, started_at, finished_at, applied_steps_count)
       VALUES ($1, $2, $3, now(), clock_timestamp(), 1)`,
      [randomUUID(), migration.checksum, migration.name],
    );
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw new MigrationRefused(
      `Migration ${migration.name} failed with ${codeOf(error)}; nothing of it was kept. See the log of the store's PostgreSQL.`,
    );
  }
}

async function load(directory: string): Promise<readonly Migration[]> {
  const entries = await readdir(directory, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  return Promise.all(
    names.sort().map(async (name) => {
      const bytes = await readFile(`${directory}/${name}/migration.sql`);
      const checksum = createHash('sha256').update(bytes).digest('hex');
      return { name, sql: bytes.toString('utf8'), checksum };
    }),
  );
}

const TABLE = `CREATE TABLE IF NOT EXISTS _prisma_migrations (
  id                  VARCHAR(36) PRIMARY KEY NOT NULL,
  checksum            VARCHAR(64) NOT NULL,
  finished_at         TIMESTAMPTZ,
  migration_name      VARCHAR(255) NOT NULL,
  logs                TEXT,
  rolled_back_at      TIMESTAMPTZ,
  started_at          TIMESTAMPTZ NOT NULL DEFAULT now(),
  applied_steps_count INTEGER NOT NULL DEFAULT 0
)`;
