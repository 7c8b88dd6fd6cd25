/** The started product before a target with personal data: no file that it writes, and no line that it prints, has a value that an error quoted. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Product } from '../support/product.ts';
import { type Ground, ground } from './ground.ts';

const SECRETS = /qqmail|Qqalice|999-88-7777/i;
const SQL = `
CREATE TABLE customers (id int PRIMARY KEY, name text, email text, ssn text);
INSERT INTO customers VALUES (1, 'Qqalice', 'qqmail@secret.example', '999-88-7777');
CREATE FUNCTION tell(code text) RETURNS void LANGUAGE plpgsql AS $$ DECLARE s text; BEGIN
  SELECT ssn INTO s FROM customers; RAISE WARNING 'found %', s;
  RAISE EXCEPTION 'found %', s USING ERRCODE = code, DETAIL = s, CONSTRAINT = s, COLUMN = s; END $$;
CREATE TABLE late (id int);
CREATE FUNCTION fires() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM tell('23503'); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER fires AFTER INSERT ON late DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fires();
GRANT ALL ON ALL TABLES IN SCHEMA public TO app;`;
const POLICY = `version: 1
pii: [{ columns: ["*.customers.name", "*.*.email", "*.*.ssn"], tag: pii }]
defaults: { insert: allow, unknown: allow, do: allow, pii_value: allow, pii_predicate: allow, pii_written: allow }
`;

let here: Ground;
let product: Product;
let url: string;
beforeAll(async () => {
  here = await ground(['Minter'], { policy: POLICY, sql: SQL });
  product = await here.start();
  url = await here.mint(product, await here.approver(product, 'Minter'));
}, 120_000);
afterAll(async () => {
  await product?.stop();
  product?.remove();
  await here?.stop();
});

function files(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .map((name) => join(directory, name))
    .filter((path) => statSync(path).isFile());
}

const asked: readonly (readonly [code: string, texts: readonly string[]])[] = [
  ['22P02', ['SELECT name::int FROM customers']],
  ['22P02', ['WITH x AS MATERIALIZED (SELECT json_agg(c)::text::int FROM customers c) SELECT 1 FROM x']],
  [
    '3D000',
    ["SELECT 1 WHERE has_database_privilege((SELECT json_agg(c)::text FROM customers c), 'connect')"],
  ],
  ['42P01', ['SELECT name::regclass FROM customers']],
  ['23505', ['INSERT INTO customers SELECT * FROM customers']],
  ['23514', ["SELECT tell('23514')"]],
  ['P0001', ["SELECT tell('A1234')"]],
  ['23503', ['BEGIN', 'INSERT INTO late VALUES (1)', 'COMMIT']],
];

it('keeps them from the client, the recording, the store and the log', async () => {
  for (const [code, texts] of asked)
    for (const values of [undefined, []]) {
      const client = new pg.Client({ connectionString: url });
      client.on('error', () => undefined);
      const heard: unknown[] = [];
      client.on('notice', (notice) => heard.push({ ...notice, message: notice.message }));
      await client.connect();
      let failure: unknown;
      for (const text of texts)
        await client.query({ text, ...(values === undefined ? {} : { values }) }).catch((error: unknown) => {
          failure ??= error;
        });
      await client.end();
      expect(failure).toMatchObject({ code });
      heard.push({ ...(failure as pg.DatabaseError), message: (failure as pg.DatabaseError).message });
      expect(JSON.stringify(heard)).not.toMatch(SECRETS);
    }
  expect(await product.stop()).toBe(0);
  const kept = files(product.dataDir);
  expect(kept.some((path) => /recordings/.test(path))).toBe(true);
  // The recordings were written, and hold the codes.
  expect(kept.some((path) => readFileSync(path, 'latin1').includes('"3D000"'))).toBe(true);
  for (const path of kept) expect(readFileSync(path, 'latin1'), path).not.toMatch(SECRETS);
  expect(product.output()).not.toMatch(SECRETS);
});
