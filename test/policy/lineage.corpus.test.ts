/**
 * Twin databases that differ in the values of tagged columns only. What reaches an unheld client must not differ: neither rows nor
 * errors nor notices. `value` is held; `predicate` may tell the twins apart but shows no value; `none` must pass and look the same.
 */
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cases, type Ground, ground, majors } from './corpus/real.ts';

const corpus = cases('lineage.jsonl');

let on: Ground;
const twins: pg.Client[] = [];

/** Everything a client sees. An error's text is withheld by the gateway when `exposed`. */
async function seen(client: pg.Client, sql: string, setup: string, exposed: boolean): Promise<string> {
  const lines: string[] = [];
  const notice = (message: { readonly message?: string | undefined }): void => {
    if (!exposed) lines.push(`notice ${message.message ?? ''}`);
  };
  await client.query(`BEGIN; SAVEPOINT s; ${setup}`);
  client.on('notice', notice);
  try {
    const answer: unknown = await client.query({ text: sql, rowMode: 'array' });
    for (const result of Array.isArray(answer) ? answer : [answer]) {
      const { rows, command, rowCount } = result as pg.QueryResult<unknown[]>;
      lines.push(`${command} ${rowCount}`, ...rows.map((row) => JSON.stringify(row)));
    }
  } catch (error) {
    const { code, message, detail } = error as pg.DatabaseError;
    lines.push(`error ${code}`, ...(exposed ? [] : [message, detail ?? '']));
  } finally {
    client.off('notice', notice);
    await client.query('ROLLBACK; RESET ALL; DEALLOCATE ALL');
    await client.query("SET statement_timeout = '5s'");
  }
  return lines.join('\n');
}

describe('lineage on twin databases', () => {
  it('is tried on at least 300 different statements', () => {
    expect(new Set(corpus.map(([, sql, setup]) => `${setup}\0${sql}`)).size).toBeGreaterThanOrEqual(300);
  });

  describe.each(majors)('PostgreSQL $major', ({ major, here }) => {
    beforeAll(async () => {
      if (!here) return;
      on = await ground({ one: 'qqone', two: 'zztwo' }, major);
      twins.length = 0;
      for (const name of ['one', 'two']) {
        const client = await on.client(name);
        await client.query("SET statement_timeout = '5s'");
        twins.push(client);
      }
    });
    afterAll(() => on?.stop());

    it.skipIf(!here).each(cases('lineage.jsonl', major))('%s: %s', async (expected, sql, setup) => {
      const { facts, verdict } = on.judge(sql, setup);
      const uses = new Set(facts?.statements.flatMap(({ columns }) => columns.map(({ use }) => use)));
      const exposed = facts === null || facts.exposes;
      const [one, two] = [
        await seen(twins[0] as pg.Client, sql, setup, exposed),
        await seen(twins[1] as pg.Client, sql, setup, exposed),
      ];
      if (verdict.effect === 'allow') {
        expect(`${one}\n${two}`, 'a tagged value').not.toMatch(/qqone|zztwo|QQONE|ZZTWO/);
        if (!uses.has('predicate')) expect(one, 'the twins differ').toBe(two);
      }
      switch (expected) {
        case 'value':
          expect(verdict.effect, verdict.reason).not.toBe('allow');
          break;
        case 'predicate':
          expect(verdict.effect, verdict.reason).toBe('allow');
          expect([...uses]).toContain('predicate');
          break;
        default:
          expect(verdict.effect, verdict.reason).toBe('allow');
          expect([...uses].filter((use) => use !== 'written')).toEqual([]);
      }
    });
  });
});
