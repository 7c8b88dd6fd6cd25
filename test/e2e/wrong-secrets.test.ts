/**
 * Two gateways on one store, and somebody who guesses at one of them from the address of everybody else: what stands is let in at once,
 * wherever it was issued and right after a start; what fails is told to those who look, to approvers and in Slack.
 */
import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { FailedLoginSummary } from '../../src/identity/failed-logins.ts';
import { holdpoint, type Product } from '../support/product.ts';
import { body, buttonsOf, type Ground, ground } from './ground.ts';
import type { Approver } from './support.ts';

let here: Ground;
let first: Product;
let second: Product;
let dana: Approver;
let url: string;

beforeAll(async () => {
  here = await ground(['Minter', 'Dana'], { yaml: 'slack: { alerts: {} }' });
  await here.postgres.createDatabase('store');
  const env = { HOLDPOINT_STORE_URL: here.postgres.url('store') };
  first = await here.start({ env });
  second = await here.start({ env });
  dana = await here.approver(first, 'Dana');
  url = await here.mint(first, await here.approver(first, 'Minter'));
}, 120_000);
afterAll(async () => {
  for (const product of [first, second]) {
    await product?.stop();
    product?.remove();
  }
  await here?.stop();
});

async function me(product: Product, token: string): Promise<number> {
  const answer = await fetch(`${product.console}/api/me`, { headers: { authorization: `Bearer ${token}` } });
  await answer.text();
  return answer.status;
}
const wrong = () => `hpa_${randomBytes(32).toString('base64url')}`;
/** Until whoever guesses is told that it is too much, and all that is asked of the store for them is used up. */
async function guessAt(product: Product): Promise<void> {
  const told = await Promise.all(Array.from({ length: 60 }, () => me(product, wrong())));
  expect(told.filter((status) => status !== 401 && status !== 429)).toEqual([]);
  expect(await me(product, wrong())).toBe(429);
}
/** `null`: let in. */
async function connect(product: Product, password: (right: string) => string): Promise<string | null> {
  const at = new URL(url);
  at.port = /gateway 127\.0\.0\.1:(\d+)/.exec(product.output())?.[1] ?? '';
  at.password = password(at.password);
  const client = new pg.Client({ connectionString: at.href });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return null;
  } catch (error) {
    return error instanceof pg.DatabaseError ? (error.code ?? '') : String(error);
  } finally {
    await client.end().catch(() => undefined);
  }
}

it('what one issues counts at the other, in the same moment and under a flood of wrong ones', async () => {
  await guessAt(second);
  for (let i = 0; i < 5; i += 1) {
    const { body: made } = await dana.post('/links', {});
    const link = ('url' in made ? String(made.url) : '').split('/').at(-1);
    const answer = await fetch(`${second.console}/api/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ link }),
    });
    const { token } = (await answer.json()) as { token: string };
    expect(await me(second, token)).toBe(200);
    expect(await me(first, token)).toBe(200);
  }
}, 60_000);

it('what stands is known right after a start', async () => {
  const { dataDir } = second;
  await second.stop();
  second = await here.start({ dataDir, env: { HOLDPOINT_STORE_URL: here.postgres.url('store') } });
  await guessAt(second);
  expect(await me(second, dana.token)).toBe(200);
  for (let i = 0; i < 30; i += 1) void connect(second, () => 'x');
  expect(await connect(second, (right) => right)).toBeNull();
}, 60_000);

it('what fails is listed, counted, and told of in a burst; so is what was revoked', async () => {
  for (let i = 0; i < 12; i += 1) expect(await connect(first, () => 'x')).toBe('28P01');
  const id = new URL(url).username;
  expect(await dana.post(`/credentials/${id}/revoke`, {})).toMatchObject({ status: 200 });
  await expect.poll(() => connect(second, (right) => right)).toBe('28000');
  const burst = await here.slack.until(({ messages }) =>
    messages.find((one) => /Alice: \d+ logins failed/.test(body(one))),
  );
  expect(body(burst)).toContain('wrong-secret');
  const revoked = await here.slack.until(({ messages }) =>
    messages.find((one) => body(one).includes('Alice: something revoked was tried')),
  );
  expect([...buttonsOf(burst), ...buttonsOf(revoked)]).toEqual([]);
  const { alerts } = await dana.get<{ alerts: { id: string; about: string }[] }>('/alerts');
  expect(new Set(alerts.map(({ about }) => about))).toEqual(new Set(['logins', 'revoked']));
  expect((await dana.post(`/alerts/${alerts[0]?.id}/suspend`, {})).status).toBe(404);

  const { link } = { link: await dana.post('/links', {}) };
  const login = 'url' in link.body ? String(link.body.url) : '';
  expect(await holdpoint(first, ['login', login])).toMatchObject({ code: 0 });
  await expect
    .poll(async () =>
      (await dana.get<FailedLoginSummary>('/logins/failed')).latest.map(({ reason }) => reason),
    )
    .toContain('revoked');
  const { out } = await holdpoint(first, ['logins']);
  for (const words of ['alice@example.com', '127.0.0.1', 'wrong-secret']) expect(out).toContain(words);
  for (const product of [first, second]) {
    expect(product.output()).toContain('"a login failed"');
    expect(product.output()).not.toMatch(/hpc_|hpa_/);
  }
}, 60_000);
