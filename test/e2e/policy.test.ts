/** The policy of a running product: changed by who may, in force for the next statement of a connection that stays. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { PolicyView } from '../../src/policy/live.ts';
import { type TestPostgres, testPostgres } from '../support/postgres.ts';
import { holdpoint, type Product, scratch, startProduct } from '../support/product.ts';
import { type Agent, type Approver, agentAt, approverOf, textOf } from './support.ts';

const POLICY = 'version: 1\ndefaults: { delete: deny, read: allow }\n';
let target: TestPostgres;
let product: Product;
let dana: Approver;
let eve: Approver;
let agent: Agent;
let agentSecret = '';

beforeAll(async () => {
  target = await testPostgres();
  await target.query(
    'postgres',
    `CREATE ROLE app LOGIN PASSWORD 'app'; CREATE TABLE t AS SELECT 1 AS a;
     CREATE TABLE contacts AS SELECT i AS id, 'c' || i || '@example.com' AS reach FROM generate_series(1, 40) i;
     GRANT ALL ON t, contacts TO app`,
  );
  const dataDir = scratch();
  writeFileSync(join(dataDir, 'policy.yaml'), POLICY);
  writeFileSync(
    join(dataDir, 'holdpoint.yaml'),
    `policy: policy.yaml
targets: { app: { url: "${target.url('postgres', { user: 'app', password: 'app' })}" } }
identity:
  levels: { devs: read-write }
  approvers:
    - { name: Dana, email: dana@example.com }
    - { name: Eve, email: eve@example.com }
  policy_admins: [Dana@example.com]
`,
  );
  product = await startProduct({ dataDir });
  dana = await approverOf(product);
  const link = /For Eve:\s+(\S+)/.exec(product.output())?.[1] ?? '';
  eve = await approverOf({ ...product, link });
  const { body } = await dana.post('/credentials', {
    owner: { email: 'alice@example.com' },
    agent: 'Cursor',
    groups: ['devs'],
    ttlMs: 3_600_000,
  });
  agentSecret = textOf(body, 'secret');
  const run: { gateway: { host: string; port: number } } = JSON.parse(
    readFileSync(join(product.dataDir, 'data', 'run.json'), 'utf8'),
  );
  agent = await agentAt(
    `postgres://${textOf(body, 'id')}:${agentSecret}@${run.gateway.host}:${run.gateway.port}/app`,
  );
});
afterAll(async () => {
  await agent?.end();
  await product?.stop();
  product?.remove();
  await target?.stop();
});

const put = (token: string, text: string, ifMatch?: string) =>
  fetch(`${product.console}/api/policy?target=app`, {
    method: 'PUT',
    headers: {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      ...(ifMatch === undefined ? {} : { 'if-match': ifMatch }),
    },
    body: JSON.stringify({ text }),
  });
const as = (approver: Approver, args: readonly string[]) =>
  holdpoint(
    {
      ...product,
      env: { ...product.env, HOLDPOINT_TOKEN: approver.token, HOLDPOINT_CONSOLE_URL: product.console },
    },
    args,
  );

test('a policy set by one who may is in force for the next statement of a connection that stays', async () => {
  const pid = await agent.value('SELECT pg_backend_pid()');
  expect((await agent.run('DELETE FROM t WHERE a = 2')).code).toBe('42501');
  const { version } = await eve.get<PolicyView>('/policy?target=app');

  // Who may not, changes nothing: another approver, an agent, nobody, a stale or missing version, a text with mistakes.
  const open = POLICY.replace('deny', 'allow');
  expect((await put(eve.token, open, `"${version}"`)).status).toBe(403);
  expect((await put(agentSecret, open, `"${version}"`)).status).toBe(401);
  expect((await put('', open, `"${version}"`)).status).toBe(401);
  expect((await put(dana.token, open, '"0011223344556677"')).status).toBe(412);
  expect((await put(dana.token, open)).status).toBe(428);
  const bad = await put(dana.token, 'version: 1\ndefaults: { delete: perhaps }\n', `"${version}"`);
  expect(bad.status).toBe(422);
  expect(await bad.json()).toMatchObject({ mistakes: [{ line: 2, column: 21 }] });
  expect(readFileSync(join(product.dataDir, 'policy.yaml'), 'utf8')).toBe(POLICY);
  expect((await agent.run('DELETE FROM t WHERE a = 2')).code).toBe('42501');

  writeFileSync(join(product.dataDir, 'open.yaml'), open);
  expect(await as(eve, ['policy', 'set', 'open.yaml'])).toMatchObject({
    code: 1,
    err: expect.stringContaining('not one of identity.policy_admins'),
  });
  const set = await as(dana, ['policy', 'set', 'open.yaml', '--target', 'app']);
  expect(set).toMatchObject({
    code: 0,
    out: expect.stringContaining('+defaults: { delete: allow, read: allow }'),
  });
  expect((await agent.run('DELETE FROM t WHERE a = 2')).tag).toBe('DELETE 0');
  expect(await agent.value('SELECT pg_backend_pid()')).toBe(pid);

  const after = await dana.get<PolicyView>('/policy?target=app');
  expect(after.change).toMatchObject({ author: 'Dana', surface: 'cli', previous: version });
  const { events } = await dana.get<{ events: { kind: string; author?: string }[] }>(
    `/sessions/${after.change?.session}`,
  );
  expect(events).toContainEqual(
    expect.objectContaining({ kind: 'policy', author: 'dana@example.com', version: after.version }),
  );
  expect((await as(dana, ['verify', after.change?.session ?? ''])).out).toContain('intact');
});

test('columns to tag are suggested from the data itself, without a value', async () => {
  const { code, out } = await as(eve, ['policy', 'suggest', '--target', 'app']);
  expect(code).toBe(0);
  expect(out).toContain('"public.contacts.reach" # 40 of 40 values are e-mail addresses');
  expect(out).not.toContain('@');
  expect((await as(eve, ['policy', 'suggest', '--target', 'none'])).err).toContain('no such target');
});

test('a candidate is tried on what was recorded: by the running gateway with its catalog, and offline', async () => {
  await agent.run("SELECT reach FROM contacts WHERE reach = 'c1@example.com'");
  writeFileSync(
    join(product.dataDir, 'candidate.yaml'),
    'version: 1\npii: [{ columns: [contacts.reach], tag: email }]\ndefaults: { delete: allow, read: allow }\n',
  );
  const flags = ['policy', 'replay', '--since', '1h', '--policy', 'candidate.yaml'];
  const online = await as(eve, [...flags, '--target', 'app']);
  expect(online.err).not.toContain('left out');
  expect(online).toMatchObject({
    code: 3,
    out: expect.stringContaining('1 × allow → hold: SELECT on public.contacts'),
  });
  expect(online.out).not.toContain('c1@');
  const offline = await as(eve, [...flags, '--dir', join('data', 'recordings')]);
  expect(offline.err).toContain('No catalog was at hand');
  expect(offline).toMatchObject({ code: 3, out: expect.stringContaining('SELECT on ') });
  const same = await as(eve, [...flags.slice(0, 4), '--policy', 'policy.yaml', '--target', 'app']);
  expect(same).toMatchObject({ code: 0, out: expect.stringContaining('Nothing would change.') });
  writeFileSync(join(product.dataDir, 'bad.yaml'), 'version: 1\nrules: 7\n');
  expect(await as(eve, [...flags.slice(0, 4), '--policy', 'bad.yaml', '--target', 'app'])).toMatchObject({
    code: 1,
    err: expect.stringContaining('bad.yaml:2:'),
  });
});
