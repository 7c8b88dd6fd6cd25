/**
 * Words that a later grammar made keywords of. Before that they are calls and columns of users: what the function does and what the column
 * holds counts as of any other name, on the server that reads it so.
 */
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { canonical } from '../../../src/policy/parse/digest.ts';
import { loadGrammar } from '../../../src/policy/parse/grammar.ts';
import { parse } from '../../../src/policy/parse/parser.ts';
import { createPolicyHolder } from '../../../src/policy/rules/index.ts';
import { GRAMMARS, type Grammar } from '../../../src/policy/server.ts';
import { evaluate } from '../../../src/policy/verdict.ts';
// @ts-expect-error A script without types.
import { keywords } from '../../suites/shapes.mjs';
import { type Ground, ground, majors } from '../corpus/real.ts';
import { context } from '../facts-of.ts';

/** The first major that reads some form of it otherwise than the one before. */
const SINCE: Readonly<Record<string, Grammar>> = {
  json_array: 16,
  json_arrayagg: 16,
  json_object: 16,
  json_objectagg: 16,
  system_user: 16,
  json: 17,
  json_exists: 17,
  json_query: 17,
  json_scalar: 17,
  json_serialize: 17,
  json_table: 17,
  json_value: 17,
  merge_action: 17,
};

const FORMS: Readonly<Record<string, (word: string) => string>> = {
  'a call': (word) => `SELECT ${word}('x')`,
  'a call of nothing': (word) => `SELECT ${word}()`,
  'a call with a path': (word) => `SELECT ${word}('{}'::jsonb, '$')`,
  'a function in FROM': (word) => `SELECT * FROM ${word}('x')`,
  'one with a path in FROM': (word) => `SELECT * FROM ${word}('{}'::jsonb, '$') AS f`,
  'a column': (word) => `SELECT ${word} FROM words`,
  'a column in a condition': (word) => `SELECT id FROM words WHERE ${word} = 'x'`,
  'a relation': (word) => `SELECT * FROM ${word}`,
  'a cast': (word) => `SELECT 'x'::${word}`,
  'a typed literal': (word) => `SELECT ${word} 'x'`,
  'an ordered aggregate': (word) => `SELECT ${word}(id ORDER BY id) FROM words`,
  'a call in a CTE': (word) => `WITH w AS (SELECT ${word}('x') AS v) SELECT 1 FROM w`,
  'a call in RETURNING': (word) => `INSERT INTO plain (id, label) VALUES (77, 'x') RETURNING ${word}('x')`,
  'a call under EXPLAIN': (word) => `EXPLAIN ANALYZE SELECT ${word}('x')`,
  'a call in a cursor': (word) => `DECLARE c CURSOR FOR SELECT ${word}('x')`,
  'a call prepared': (word) => `PREPARE p AS SELECT ${word}('x')`,
  'a call copied out': (word) => `COPY (SELECT ${word}('x')) TO STDOUT`,
  'in quotes': (word) => `SELECT "${word}"(1)`,
  'a call in a function': (word) => `SELECT in_${word}()`,
  'a call in a view': (word) => `SELECT * FROM view_${word}`,
  'a call in a trigger': (word) => `INSERT INTO trg_${word} VALUES (1)`,
  'a call in a default': (word) => `INSERT INTO def_${word} (id) VALUES (1)`,
  CALL: (word) => `CALL ${word}('x')`,
};
const WORDS = Object.keys(SINCE);

describe('the table of words', () => {
  beforeAll(async () => {
    for (const grammar of GRAMMARS) await loadGrammar(grammar);
  });
  const tree = (sql: string, grammar: Grammar): string | null => {
    const parsed = parse(sql, grammar);
    return parsed.kind === 'parsed'
      ? canonical(parsed.statements.map(({ kind, node }) => ({ [kind]: node })))
      : null;
  };

  it('has every keyword that some grammar here reads otherwise than the one before', () => {
    const found: Record<string, number> = {};
    const all: readonly string[] = keywords();
    expect(all.length).toBeGreaterThan(450);
    for (const word of all)
      for (const form of Object.values(FORMS)) {
        // Between INSERT and MERGE trees differ in their fields' order alone.
        const trees = GRAMMARS.map((grammar) =>
          tree(form(word).replace(/^INSERT.*RETURNING/, 'SELECT'), grammar),
        );
        GRAMMARS.forEach((grammar, i) => {
          if (i > 0 && trees[i] !== trees[i - 1]) found[word] = Math.min(found[word] ?? 99, grammar);
        });
      }
    expect(found).toEqual(SINCE);
  });
});

/** Each word as a function that empties a table and gives a tagged value, a type's name aside; as a tagged column and a tagged relation. */
const schemaOf = (words: readonly string[]): string => `
CREATE TABLE words (id int, ${words.map((word) => `"${word}" text`).join(', ')});
INSERT INTO words VALUES (1, ${words.map(() => "':v'").join(', ')});
${words.map((word) => `COMMENT ON COLUMN words."${word}" IS 'pii';`).join('\n')}
${words
  .map(
    (word) => `CREATE TABLE "${word}" (id int, secret text); COMMENT ON COLUMN "${word}".secret IS 'pii';
INSERT INTO "${word}" VALUES (1, ':v');
${['', 'text', 'int', 'jsonb, text'].map((given) => `CREATE FUNCTION "${word}"(${given}) RETURNS text LANGUAGE sql VOLATILE AS 'DELETE FROM public.order_items; SELECT ssn FROM public.customers LIMIT 1';`).join('\n')}`,
  )
  .join('\n')}
SET check_function_bodies = off;
${words
  .map(
    (word) => `CREATE FUNCTION in_${word}() RETURNS text LANGUAGE sql AS 'SELECT ${word}(''x'')::text';
CREATE VIEW view_${word} AS SELECT "${word}"(1) AS v;
CREATE FUNCTION on_${word}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM ${word}(''x''); RETURN NEW; END';
CREATE TABLE trg_${word} (id int); CREATE TRIGGER t BEFORE INSERT ON trg_${word} FOR EACH ROW EXECUTE FUNCTION on_${word}();
CREATE TABLE def_${word} (id int, d text DEFAULT "${word}"(1));`,
  )
  .join('\n')}`;

const policies = ['guarded', 'strict'].map(
  (preset) =>
    createPolicyHolder(
      `version: 1\npreset: ${preset}\npii: [{ columns: ["*.customers.ssn"], tag: ssn }]\n`,
    ).current().policy,
);

describe.each(majors)('on PostgreSQL $major', ({ major, here }) => {
  let on: Ground;
  const twins: pg.Client[] = [];
  beforeAll(async () => {
    if (!here) return;
    on = await ground({ one: 'qqone', two: 'zztwo' }, major, { more: schemaOf(WORDS) });
    for (const name of ['one', 'two']) twins.push(await on.client(name));
  });
  afterAll(() => on?.stop());

  /** What a client sees, and what is left. */
  async function run(
    client: pg.Client,
    sql: string,
  ): Promise<{ readonly seen: string; readonly left: number }> {
    await client.query('BEGIN; SAVEPOINT s');
    const seen: string[] = [];
    try {
      const { rows } = await client.query({ text: sql, rowMode: 'array' });
      seen.push(JSON.stringify(rows));
      const more = /^DECLARE/.test(sql) ? 'FETCH ALL FROM c' : /^PREPARE/.test(sql) ? 'EXECUTE p' : null;
      if (more !== null)
        seen.push(JSON.stringify((await client.query({ text: more, rowMode: 'array' })).rows));
    } catch (error) {
      seen.push(error instanceof Error ? error.message : '');
      await client.query('ROLLBACK TO s');
    }
    const { rows } = await client.query<{ n: number }>('SELECT count(*)::int AS n FROM order_items');
    await client.query('ROLLBACK; DEALLOCATE ALL');
    return { seen: seen.join('\n'), left: rows[0]?.n ?? -1 };
  }

  it.skipIf(!here).each(WORDS)('%s hides nothing', async (word) => {
    const whole = (await run(twins[0] as pg.Client, 'SELECT 1')).left;
    expect(whole).toBeGreaterThan(0);
    let acted = 0;
    for (const [what, form] of Object.entries(FORMS)) {
      const sql = form(word);
      const analysis = on.analyse(sql);
      const [one, two] = [await run(twins[0] as pg.Client, sql), await run(twins[1] as pg.Client, sql)];
      const acts =
        one.left < whole || /qqone/.test(one.seen) || (one.seen !== two.seen && !/^EXPLAIN/.test(sql));
      if (acts) acted += 1;
      for (const policy of policies) {
        const { effect, reason } = evaluate(policy, analysis, context());
        if (acts) expect(effect, `${what}: ${sql} (${reason})`).not.toBe('allow');
      }
    }
    // As a function and as a column where it is none of the grammar's; as what the quotes leave of it in any case.
    expect(acted).toBeGreaterThan(major < (SINCE[word] ?? 0) ? 5 : 0);
  });
});
