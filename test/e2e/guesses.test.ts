/** Whoever compares tagged columns again and again is told of: to approvers, in Slack, and with the way to stop it. */
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { holdpoint, type Product } from '../support/product.ts';
import { body, buttonsOf, type Ground, ground } from './ground.ts';
import type { Approver } from './support.ts';

let here: Ground;
let product: Product;
let dana: Approver;
let url: string;

beforeAll(async () => {
  here = await ground(['Minter', 'Dana'], {
    yaml: 'slack: { alerts: {} }\nalerts: { guesses: { count: 15, within: 10m } }',
    policy: 'version: 1\npii: [{ columns: ["*.people.ssn"], tag: ssn }]\n',
    sql: "CREATE TABLE people (id int, ssn text); INSERT INTO people VALUES (1, '078-05-1120'); GRANT SELECT ON people TO app;",
  });
  product = await here.start();
  dana = await here.approver(product, 'Dana');
  url = await here.mint(product, await here.approver(product, 'Minter'));
}, 120_000);
afterAll(async () => {
  await product?.stop();
  product?.remove();
  await here?.stop();
});

it('guesses digit by digit, until it is told of, and is suspended with one tap', async () => {
  const client = new pg.Client({ connectionString: url });
  const ended = new Promise((resolve) => client.on('error', resolve));
  await client.connect();
  let known = '';
  while (known.length < 4) {
    let next = 0;
    for (;;) {
      const { rows } = await client.query('SELECT count(*)::int AS n FROM people WHERE ssn LIKE $1', [
        `${known}${next}%`,
      ]);
      if (rows[0].n > 0) break;
      next = known.length === 3 ? -1 : next + 1;
      if (next < 0) break;
    }
    known += next < 0 ? '-' : String(next);
  }
  expect(known).toBe('078-');
  const alert = await here.slack.until(({ messages }) =>
    messages.find((one) => /Alice: 15 statements compared tagged columns in a minute/.test(body(one))),
  );
  expect(body(alert)).toContain('SELECT compares public.people.ssn on demo/shop');
  expect(body(alert)).toContain('hold pii_predicate');
  expect(body(alert)).not.toMatch(/078-|LIKE/);
  expect(buttonsOf(alert)).toEqual(['hp_suspend']);
  const { alerts } = await dana.get<{ alerts: { id: string; about: string; count: number }[] }>('/alerts');
  expect(alerts).toMatchObject([{ about: 'guesses', count: 15 }]);
  const link = await dana.post('/links', {});
  await holdpoint(product, ['login', 'url' in link.body ? String(link.body.url) : '']);
  expect((await holdpoint(product, ['alerts'])).out).toContain('statements compared tagged columns');
  expect((await dana.post(`/alerts/${alerts[0]?.id}/suspend`, {})).status).toBe(200);
  expect(await ended).toMatchObject({ code: '28000' });
  expect(product.output()).toContain('"many comparisons with tagged columns"');
}, 60_000);
