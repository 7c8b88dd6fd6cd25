/** What a card hides is shown to approvers whom policy lets look, to them alone, and that is recorded; nowhere else is it kept. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type TestPostgres, testPostgres } from '../support/postgres.ts';
import { holdpoint, type Product, scratch, startProduct } from '../support/product.ts';
import { APP_TOKEN, BOT_TOKEN, type SlackStandIn, startSlack } from '../support/slack/index.ts';
import { type Agent, type Approver, agentAt, approverOf, textOf } from './support.ts';

const SECRET = 'nobody-else@example.net';
let postgres: TestPostgres;
let slack: SlackStandIn;
let product: Product;
let dana: Approver;
let eve: Approver;
let agent: Agent;
beforeAll(async () => {
  postgres = await testPostgres();
  await postgres.createDatabase('shop');
  await postgres.query(
    'shop',
    `CREATE ROLE app LOGIN PASSWORD 'app-secret'; CREATE TABLE people (id int, email text); GRANT ALL ON people TO app`,
  );
  slack = await startSlack();
  await slack.user({ id: 'UDANA', profile: { email: 'dana@example.com' } });
  await slack.user({ id: 'UEVE', profile: { email: 'eve@example.com' } });
  const dataDir = scratch();
  writeFileSync(
    join(dataDir, 'policy.yaml'),
    "version: 1\npii: [{ columns: ['people.email'], tag: email }]\nreveal: [dba]\n",
  );
  writeFileSync(
    join(dataDir, 'holdpoint.yaml'),
    `policy: policy.yaml
targets:
  shop: { url: "postgres://127.0.0.1:${postgres.port}/shop", environment: demo, logins: { admin: { user: app, password: app-secret } } }
identity:
  levels: { crew: admin }
  approvers:
    - { name: Minter, email: minter@example.com }
    - { name: Dana, email: dana@example.com, groups: [dba] }
    - { name: Eve, email: eve@example.com }
`,
  );
  product = await startProduct({
    dataDir,
    env: {
      SLACK_BOT_TOKEN: BOT_TOKEN,
      SLACK_CHANNEL: '#db',
      SLACK_APP_TOKEN: APP_TOKEN,
      SLACK_API_URL: slack.apiUrl,
    },
  });
  const [minter, ...deciding] = await Promise.all(
    ['Minter', 'Dana', 'Eve'].map((name) => approverOf({ ...product, link: linkOf(name) })),
  );
  [dana, eve] = [at(deciding, 0), at(deciding, 1)];
  const { body } = await at([minter], 0).post('/credentials', {
    owner: { email: 'alice@example.com', name: 'Alice' },
    groups: ['crew'],
    ttlMs: 3_600_000,
  });
  const gateway = /gateway (127\.0\.0\.1:\d+)/.exec(product.output())?.[1] ?? '';
  agent = await agentAt(`postgres://${textOf(body, 'id')}:${textOf(body, 'secret')}@${gateway}/shop`);
}, 120_000);
afterAll(async () => {
  await agent?.end();
  await product?.stop();
  product?.remove();
  await slack?.stop();
  await postgres?.stop();
});

const linkOf = (name: string): string =>
  new RegExp(`For ${name}:\\s+(\\S+)`).exec(product.output())?.[1] ?? product.link;
function at<T>(all: readonly (T | undefined)[], index: number): T {
  const one = all[index];
  if (one === undefined) throw new Error(`no ${index}`);
  return one;
}
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

  await end();
  const after = await dana.post(`/requests/${id}/reveal`, {});
  expect(after.status).toBe(403);
  expect(JSON.stringify(after.body)).toContain('not pending any more');
});

it('in Slack to the one who asks, bind values too', async () => {
  const { id, end } = await asked('DELETE FROM people WHERE email = $1', [SECRET]);
  await slack.forget();
  await slack.command({ text: `reveal ${id}`, user: 'UEVE' });
  await slack.command({ text: `reveal ${id}`, user: 'UDANA' });
  const seen = await slack.until((state) => JSON.stringify(state.ephemerals).includes(SECRET) && state);
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
