/**
 * Every statement of the corpus is judged and then run on a real PostgreSQL: what it changed must be among what the facts say, and
 * whatever destroys, changes definitions or rights must have been held (issue of policy: 0 missed, 0 false holds).
 */
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Facts } from '../../src/policy/types.ts';
import { cases, type Ground, ground, majors } from './corpus/real.ts';

const corpus = cases('classification.jsonl');

let on: Ground;
let client: pg.Client;
let pristine: State | null = null;
let bags: string | null = null;
/** Rows of every table as a bag, definitions and rights as one text each. */
interface State {
  readonly tables: ReadonlyMap<string, readonly string[]>;
  readonly definitions: string;
  readonly role: string;
}

const TABLES = `SELECT c.oid::regclass::text AS name, n.nspname || '.' || c.relname AS full FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname NOT IN ('pg_catalog', 'information_schema')`;
const DEFINITIONS = [
  'pg_class',
  'pg_proc',
  'pg_attribute',
  'pg_attrdef',
  'pg_constraint',
  'pg_trigger',
  'pg_rewrite',
  'pg_policy',
  'pg_type',
]
  .concat([
    'pg_authid',
    'pg_auth_members',
    'pg_namespace',
    'pg_extension',
    'pg_db_role_setting',
    'pg_default_acl',
  ])
  .concat(['pg_description', 'pg_operator', 'pg_cast', 'pg_event_trigger', 'pg_publication', 'pg_index'])
  .map(
    (name) =>
      `(SELECT count(*) || ':' || coalesce(sum(hashtext(t.xmin::text || t.ctid::text)::bigint), 0) FROM pg_catalog.${name} t)`,
  )
  .join(` || ',' || `);

async function state(session: pg.Client): Promise<State> {
  const who = await session.query<{ role: string }>('SELECT current_user AS role');
  await session.query('SET LOCAL SESSION AUTHORIZATION DEFAULT; SET LOCAL ROLE NONE');
  await session.query(
    'SET LOCAL search_path = pg_catalog; SET LOCAL row_security = off; SET LOCAL standard_conforming_strings = on',
  );
  if (bags === null) {
    const { rows } = await session.query<{ name: string; full: string }>(TABLES);
    bags = rows
      .map(
        ({ name, full }) =>
          `SELECT '${full}' AS name, array(SELECT md5(t::text) FROM ONLY ${name} t ORDER BY 1) AS bag`,
      )
      .join(' UNION ALL ');
  }
  await session.query('SAVEPOINT look');
  const seen = await session.query<{ name: string; bag: string[] }>(bags).catch(() => null);
  await session.query('ROLLBACK TO look');
  const rest = await session.query<{ definitions: string }>(`SELECT ${DEFINITIONS} AS definitions`);
  return {
    tables: new Map((seen?.rows ?? []).map(({ name, bag }) => [name, bag])),
    definitions: rest.rows[0]?.definitions ?? '',
    role: who.rows[0]?.role ?? '',
  };
}

interface Change {
  readonly table: string;
  readonly gone: number;
  readonly come: number;
}
function changes(before: State, after: State): Change[] {
  // A table is gone or renamed.
  if (after.tables.size === 0) return [{ table: '?', gone: 1, come: 0 }];
  const found: Change[] = [];
  for (const [table, old] of before.tables) {
    const now = after.tables.get(table) ?? [];
    const gone = old.filter((row) => !now.includes(row)).length;
    const come = now.filter((row) => !old.includes(row)).length;
    if (gone + come > 0) found.push({ table, gone, come });
  }
  return found;
}

/** It ends transactions, or may not run inside one: on a database of its own. */
const APART = /\b(?:COMMIT|ROLLBACK|VACUUM|CONCURRENTLY|DATABASE|ALTER SYSTEM|PREPARE TRANSACTION)\b/;

async function run(sql: string, setup: string): Promise<{ before: State; after: State }> {
  if (!APART.test(sql)) {
    await client.query('BEGIN');
    try {
      if (setup !== '') await client.query(setup);
      // Everything is rolled back: what was before is the same each time.
      const before = setup === '' && pristine !== null ? pristine : await state(client);
      if (setup === '') pristine = before;
      await client.query('RESET search_path; RESET row_security; SAVEPOINT s');
      const path = /search_path[^;]*/.exec(setup)?.[0];
      if (path !== undefined) await client.query(`SET ${path}`);
      await client.query(sql).catch(() => client.query('ROLLBACK TO s'));
      return { before, after: await state(client) };
    } finally {
      await client.query(
        'ROLLBACK; RESET ALL; RESET SESSION AUTHORIZATION; DEALLOCATE ALL; CLOSE ALL; UNLISTEN *; SELECT pg_advisory_unlock_all()',
      );
      await client.query("SET statement_timeout = '2s'; SET lock_timeout = '1s'");
    }
  }
  await on.server.query('postgres', 'DROP DATABASE IF EXISTS once WITH (FORCE)');
  await on.server.query('postgres', 'CREATE DATABASE once TEMPLATE spare');
  const once = await on.client('once');
  try {
    const look = async (): Promise<State> => {
      await once.query('ROLLBACK; BEGIN');
      const seen = await state(once);
      await once.query('ROLLBACK');
      return seen;
    };
    const before = await look();
    await once.query(`SET statement_timeout = '2s'; ${setup}`);
    await once.query(sql).catch(() => undefined);
    return { before, after: await look() };
  } finally {
    await once.end();
  }
}

const WRITES = new Set(['insert', 'update', 'delete', 'truncate', 'copy-in', 'ddl']);
function written(facts: Facts | null): ReadonlySet<string> {
  return new Set(
    (facts?.statements ?? []).flatMap(({ relations }) =>
      relations.filter(({ access }) => WRITES.has(access)).map(({ schema, name }) => `${schema}.${name}`),
    ),
  );
}

describe('classification against the real server', () => {
  it('is tried on at least 500 different statements', () => {
    expect(new Set(corpus.map(([, sql, setup]) => `${setup ?? ''}\0${sql}`)).size).toBeGreaterThanOrEqual(
      500,
    );
  });

  describe.each(majors)('PostgreSQL $major', ({ major, here }) => {
    beforeAll(async () => {
      if (!here) return;
      on = await ground({ main: 'v', spare: 'v' }, major);
      [pristine, bags] = [null, null];
      client = await on.client('main');
      await client.query("SET statement_timeout = '2s'; SET lock_timeout = '1s'");
    });
    afterAll(() => on?.stop());

    it.skipIf(!here).each(cases('classification.jsonl', major))('%s: %s', async (expected, sql, setup) => {
      const { facts, verdict } = on.judge(sql, setup);
      const { before, after } = await run(sql, setup);
      const changed = changes(before, after);
      const opaque = facts === null || facts.statements.some(({ unknowns }) => unknowns.length > 0);
      if (verdict.effect === 'allow') {
        expect(
          changed.filter(({ gone, come }) => gone > come),
          'rows are gone',
        ).toEqual([]);
        expect(after.definitions, 'definitions and rights').toBe(before.definitions);
        expect(after.role, 'the role').toBe(before.role);
      }
      // What a dropped type or extension takes along is not told; such statements are always held.
      if (!opaque && !(verdict.effect === 'hold' && /CASCADE/i.test(sql))) {
        const told = written(facts);
        expect(
          changed.filter(({ table }) => table !== '?' && !told.has(table)),
          'written, and not told',
        ).toEqual([]);
      }
      expect(verdict.effect, verdict.reason).toBe(expected);
    });
  });
});
