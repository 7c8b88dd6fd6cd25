/**
 * Code that runs without being named: every statement is judged, and then run by a role of its own on a new connection, where nothing is
 * planned or cached yet. What fired had to be held.
 */
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cases, type Ground, ground, majors } from './corpus/real.ts';

const corpus = cases('fires.jsonl');

describe.each(majors)('what fires on PostgreSQL $major', ({ major, here }) => {
  let on: Ground;
  beforeAll(async () => {
    if (here) on = await ground({ fires: 'v' }, major, { files: ['fires.sql'] });
  });
  afterAll(() => on?.stop());

  async function fired(sql: string): Promise<boolean> {
    const client = new pg.Client({ connectionString: on.server.url('fires') });
    client.on('error', () => undefined);
    await client.connect();
    try {
      await client.query('BEGIN; SET LOCAL ROLE app; SAVEPOINT s');
      try {
        await client.query(sql);
        // What waits for COMMIT.
        await client.query('SET CONSTRAINTS ALL IMMEDIATE');
      } catch {
        await client.query('ROLLBACK TO s');
      }
      await client.query('RESET ROLE');
      return (await client.query('SELECT FROM fired')).rows.length > 0;
    } finally {
      await client.end();
    }
  }

  it.skipIf(!here).each(corpus)('%s: %s', async (expected, sql) => {
    const { verdict } = on.judge(sql);
    if (await fired(sql)) expect(verdict.effect, verdict.reason).not.toBe('allow');
    expect(verdict.effect, verdict.reason).toBe(expected);
  });

  it.skipIf(!here)('most of them do fire', async () => {
    let count = 0;
    for (const [, sql] of corpus.slice(0, 40)) if (await fired(sql)) count += 1;
    expect(count).toBeGreaterThan(25);
  });
});
