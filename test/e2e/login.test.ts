/** People sign in with their organisation to the built product: the requester asks, the approver decides, the administrator ends it. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { browser, startProvider, type TestPerson, type TestProvider } from '../support/oidc.ts';
import { holdpoint, type Product, scratch, startProduct } from '../support/product.ts';
import { type Approver, agentAt, approverOf } from './support.ts';

let provider: TestProvider;
let product: Product;
/** A named approver, by the printed link: sees what there is. */
let dana: Approver;

beforeAll(async () => {
  provider = await startProvider();
  const dataDir = scratch();
  const config = join(dataDir, 'holdpoint.yaml');
  writeFileSync(
    config,
    `console:
  oidc: ${oidc()}
  roles: { approver: [on-call], admin: [platform] }
identity: { approvers: [{ name: Dana, email: dana@example.com }] }
`,
  );
  product = await startProduct({ dataDir, args: ['--config', config] });
  provider.redirectUris = [`${product.console}/login/callback`];
  dana = await approverOf(product);
}, 120_000);
afterAll(async () => {
  await product?.stop();
  product?.remove();
  await provider?.close();
});

const oidc = (): string =>
  `{ issuer: "${provider.issuer}", client_id: ${provider.clientId}, client_secret: "${provider.clientSecret}" }`;
const asDana = () => ({ HOLDPOINT_TOKEN: dana.token, HOLDPOINT_CONSOLE_URL: product.console });

async function signIn(person: TestPerson) {
  provider.person = { email_verified: true, ...person };
  const b = browser();
  const { answer } = await b.follow(`${product.console}/login`);
  expect(answer.status).toBe(200);
  const csrf = async (path: string) =>
    /name="csrf" value="([^"]+)"/.exec(await (await b.go(product.console + path)).text())?.[1] ?? '';
  const post = async (path: string, fields: Record<string, string>, from = '/terminal') =>
    b.go(product.console + path, {
      method: 'POST',
      body: new URLSearchParams({ csrf: await csrf(from), ...fields }),
    });
  return { ...b, csrf, post };
}

test('from the provider to the outcome', async () => {
  const alice = await signIn({ sub: 'a', name: 'Alice', email: 'alice@example.com' });
  const erin = await signIn({ sub: 'e', name: 'Erin', email: 'erin@example.com', groups: ['on-call'] });
  const agent = await agentAt(product.agentUrl);

  const sql = 'DELETE FROM orders WHERE id = 7';
  const running = agent.run(sql);
  const { id } = await dana.held(sql);
  // The owner sees it and decides nothing; the approver's tap on the page runs it.
  expect(await (await alice.go(`${product.console}/requests/${id}`)).text()).toContain('your own request');
  expect((await alice.post(`/requests/${id}/decision`, { effect: 'approve' })).status).toBe(403);
  expect((await erin.post(`/requests/${id}/decision`, { effect: 'approve' })).status).toBe(303);
  expect(await running).toMatchObject({ code: null, tag: 'DELETE 1' });
  const [decision] = (await dana.reaches(id, 'executed')).decisions;
  expect(decision).toMatchObject({ approverId: 'erin@example.com', surface: 'console' });

  // The terminal, by the command that the page makes: it is Alice's, who takes a request back.
  const made = await (await alice.post('/terminal', {})).text();
  const link = /holdpoint login (http\S+?)</.exec(made)?.[1] ?? '';
  expect(await holdpoint(product, ['login', link])).toMatchObject({ code: 0 });
  const waiting = agent.run('DELETE FROM orders WHERE id = 8');
  const other = await dana.held('DELETE FROM orders WHERE id = 8');
  expect((await holdpoint(product, ['pending'])).out).toContain(other.id);
  expect(await holdpoint(product, ['approve', other.id])).toMatchObject({ code: 1 });
  expect(await holdpoint(product, ['withdraw', other.id, 'not', 'needed'])).toMatchObject({ code: 0 });
  expect((await waiting).code).not.toBe(null);
  expect(await dana.reaches(other.id, 'withdrawn')).toMatchObject({
    note: expect.stringContaining('not needed'),
  });

  // Suspended: nothing of theirs stands, here or at the gateway.
  const root = await signIn({ sub: 'r', name: 'Root', email: 'root@example.com', groups: ['platform'] });
  const held = agent.run('DELETE FROM orders WHERE id = 9');
  const last = await dana.held('DELETE FROM orders WHERE id = 9');
  // By another agent of theirs, which hung up; and however they are spelled.
  const minted = await root.go(`${product.console}/api/credentials`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-csrf-token': await root.csrf('/people') },
    body: JSON.stringify({
      owner: { email: 'alice@example.com' },
      agent: 'Other',
      groups: ['demo-agents'],
      ttlMs: 3_600_000,
    }),
  });
  const url = new URL(product.agentUrl);
  const { id: user, secret } = (await minted.json()) as { readonly id: string; readonly secret: string };
  [url.username, url.password] = [user, secret];
  const gone = await agentAt(url.href);
  void gone.run('DELETE FROM orders WHERE id = 10');
  const left = await dana.held('DELETE FROM orders WHERE id = 10');
  await gone.end();
  await root.post('/people/suspend', { person: 'Alice@Example.com' }, '/people');
  expect((await held).code).not.toBe(null);
  await dana.reaches(last.id, 'withdrawn');
  await dana.reaches(left.id, 'withdrawn');
  expect((await alice.go(`${product.console}/`)).status).toBe(401);
  expect(await holdpoint(product, ['pending'])).toMatchObject({ code: 1 });
  await expect(agentAt(product.agentUrl)).rejects.toThrow(/suspended/);
  await agent.end();
  // On record, with who did it.
  const session = last.sessionId;
  await expect
    .poll(
      async () =>
        (await holdpoint({ ...product, env: { ...product.env, ...asDana() } }, ['session', session])).out,
    )
    .toMatch(/access suspended by root@example\.com\n[\s\S]*ended: /);
}, 120_000);

test('the demo’s people decide nothing where people log in', async () => {
  const config = join(product.dataDir, 'alone.yaml');
  writeFileSync(config, `console:\n  oidc: ${oidc()}\n  roles: { approver: [on-call] }\n`);
  const alone = await startProduct({ args: ['--config', config] });
  try {
    expect(alone.output()).toContain(`Approvers log in at ${alone.console}`);
    expect(alone.output()).not.toContain('Dana');
    expect(alone.link).toBe('');
  } finally {
    await alone.stop();
    alone.remove();
  }
}, 60_000);
