/** What a card hides is shown to approvers whom policy lets look, to them alone, and that is recorded; nowhere else is it kept. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { holdpoint, type Product } from '../support/product.ts';
import { type Ground, ground } from './ground.ts';
import { type Agent, type Approver, agentAt } from './support.ts';

const SECRET = 'nobody-else@example.net';
let here: Ground;
let product: Product;
let dana: Approver;
let eve: Approver;
let agent: Agent;
beforeAll(async () => {
  here = await ground(['Minter', 'Dana', 'Eve'], {
    groups: { Dana: 'dba' },
    policy: "version: 1\npii: [{ columns: ['people.email'], tag: email }]\nreveal: [dba]\n",
    sql: 'CREATE TABLE people (id int, email text); GRANT ALL ON people TO app',
  });
  await here.slack.user({ id: 'UDANA', profile: { email: 'dana@example.com' } });
  await here.slack.user({ id: 'UEVE', profile: { email: 'eve@example.com' } });
  product = await here.start();
  const minter = await here.approver(product, 'Minter');
  dana = await here.approver(product, 'Dana');
  eve = await here.approver(product, 'Eve');
  agent = await agentAt(await here.mint(product, minter));
}, 120_000);
afterAll(async () => {
  await agent?.end();
  await product?.stop();
  product?.remove();
  await here?.stop();
});

/** Of a held statement. */
async function asked(sql: string, values?: readonly string[]) {
  const told = agent.run(sql, values);
  const { id } = await dana.held(/DELETE/);
  return { id, told, end: () => dana.decide(id, 'deny').then(() => told) };
}

it('to those of a group that policy names, from the API and the command line', async () => {
  const { id, end } = await asked(`DELETE FROM people WHERE email = '${SECRET}'`);
  const refused = await eve.post(`/requests/${id}/reveal`, {});
  expect(refused.status).toBe(403);
  expect(JSON.stringify(refused.body)).toContain('does not let you see');
  expect(JSON.stringify(refused.body)).not.toContain(SECRET);

  const shown = await dana.post(`/requests/${id}/reveal`, {});
  expect(shown).toMatchObject({
    status: 200,
    body: { sql: `DELETE FROM people WHERE email = '${SECRET}'`, binds: [] },
  });
  const env = { ...product.env, HOLDPOINT_TOKEN: dana.token, HOLDPOINT_CONSOLE_URL: product.console };
  expect((await holdpoint({ ...product, env }, ['reveal', id])).out).toContain(SECRET);

  expect((await dana.post('/requests/HP-0000/reveal', {})).status).toBe(404);

  await end();
  const after = await dana.post(`/requests/${id}/reveal`, {});
  expect(after.status).toBe(403);
  expect(JSON.stringify(after.body)).toContain('not pending any more');
});

it('in Slack to the one who asks, bind values too', async () => {
  const { id, end } = await asked('DELETE FROM people WHERE email = $1', [SECRET]);
  await here.slack.forget();
  await here.slack.command({ text: `reveal ${id}`, user: 'UEVE' });
  await here.slack.command({ text: `reveal ${id}`, user: 'UDANA' });
  const seen = await here.slack.until((state) => JSON.stringify(state.ephemerals).includes(SECRET) && state);
  expect(seen.ephemerals.filter((one) => JSON.stringify(one).includes(SECRET))).toHaveLength(1);
  expect(JSON.stringify(seen.messages)).not.toContain(SECRET);
  expect(seen.faults).toEqual([]);
  await end();
});

it('and that is recorded, what was shown is not', async () => {
  const { sessions } = await dana.get<{ sessions: { id: string; applicationName: string }[] }>(
    '/sessions?owner=dana@example.com',
  );
  const reveals = sessions.filter(({ applicationName }) => applicationName === 'holdpoint reveal');
  expect(reveals.length).toBeGreaterThanOrEqual(3);
  const files = (dir: string): string[] =>
    readdirSync(dir, { withFileTypes: true, recursive: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .filter((path) => readFileSync(path).includes(SECRET));
  expect(files(product.dataDir)).toEqual([]);
  expect(product.output()).not.toContain(SECRET);
});
