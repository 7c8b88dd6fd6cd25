import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { MIGRATIONS, MigrationRefused, migrate } from '../../src/store/migrate.ts';
import { type TestPostgres, testPostgres } from '../support/postgres.ts';

let postgres: TestPostgres;
let directory: string;
let url: string;
let name: string;
let count = 0;

beforeAll(async () => {
  postgres = await testPostgres();
  directory = mkdtempSync(join(tmpdir(), 'holdpoint-migrations-'));
});
afterAll(async () => {
  rmSync(directory, { recursive: true, force: true });
  await postgres?.stop();
});
beforeEach(async () => {
  count += 1;
  name = `store${count}`;
  await postgres.createDatabase(name);
  url = postgres.url(name);
});

function migrations(extra: Readonly<Record<string, string>> = {}): string {
  count += 1;
  const copy = join(directory, String(count));
  cpSync(MIGRATIONS, copy, { recursive: true });
  for (const [folder, sql] of Object.entries(extra)) {
    mkdirSync(join(copy, folder), { recursive: true });
    writeFileSync(join(copy, folder, 'migration.sql'), sql);
  }
  return copy;
}

describe('migrate', () => {
  it('applies what is missing once, however many processes start together', async () => {
    const runs = await Promise.all([migrate(url), migrate(url), migrate(url)]);
    const released = readdirSync(MIGRATIONS)
      .filter((one) => /^\d/.test(one))
      .sort();
    expect(runs.flat()).toEqual(released);
    const { rows } = await postgres.query(
      name,
      'SELECT migration_name, length(checksum) AS length, finished_at IS NOT NULL AS finished, applied_steps_count FROM _prisma_migrations ORDER BY 1',
    );
    expect(rows).toEqual(
      released.map((one) => ({ migration_name: one, length: 64, finished: true, applied_steps_count: 1 })),
    );
    const later = migrations({ '20990101000000_more': 'CREATE TABLE more (id int)' });
    expect(await migrate(url, later)).toEqual(['20990101000000_more']);
  });

  it('keeps nothing of a migration that fails, and tries it again when mended', async () => {
    const broken = migrations({ '20990101000000_more': 'CREATE TABLE more (id int); SELECT nonsense' });
    await expect(migrate(url, broken)).rejects.toThrow(/20990101000000_more failed with 42703/);
    const mended = migrations({ '20990101000000_more': 'CREATE TABLE more (id int)' });
    expect(await migrate(url, mended)).toEqual(['20990101000000_more']);
  });

  it('refuses one that was edited, one that did not finish, and a store of a later version', async () => {
    await migrate(url);
    const edited = migrations({ '20261121000000_init': '-- other' });
    await expect(migrate(url, edited)).rejects.toThrow(MigrationRefused);
    await expect(migrate(url, edited)).rejects.toThrow(/was changed after it was applied/);
    await postgres.query(name, 'UPDATE _prisma_migrations SET finished_at = NULL');
    await expect(migrate(url)).rejects.toThrow(/did not finish/);
    await postgres.query(
      name,
      `UPDATE _prisma_migrations SET finished_at = now(), migration_name = '2999_future'`,
    );
    await expect(migrate(url)).rejects.toThrow(/does not know/);
  });
});
