/** Who gets in with what, and that nobody stays longer than their identity: OIDC over TLS, SCRAM, revocation, expiry. */
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SignJWT, UnsecuredJWT } from 'jose';
import { OAuth2Server } from 'oauth2-mock-server';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Product, scratch, startProduct } from '../support/product.ts';
import { type Approver, agentAt, approverOf, textOf } from './support.ts';

const idp = new OAuth2Server();
const other = new OAuth2Server();
let product: Product;
let dana: Approver;
let issuer = '';
beforeAll(async () => {
  await Promise.all([idp.issuer.keys.generate('RS256'), other.issuer.keys.generate('RS256')]);
  await Promise.all([idp.start(0, '127.0.0.1'), other.start(0, '127.0.0.1')]);
  issuer = `http://127.0.0.1:${idp.address().port}`;
  idp.issuer.url = issuer;
  const dataDir = scratch();
  mkdirSync(dataDir, { recursive: true });
  for (const name of ['server.key', 'server.crt'])
    copyFileSync(new URL(`../support/tls/${name}`, import.meta.url), join(dataDir, name));
  writeFileSync(
    join(dataDir, 'holdpoint.yaml'),
    `gateway: { tls: { cert_file: server.crt, key_file: server.key } }
identity:
  issuers:
    - { issuer: "${issuer}", audience: holdpoint }
  levels: { devs: admin }
  approvers:
    - { name: Dana, email: dana@example.com }
`,
  );
  product = await startProduct({ dataDir });
  dana = await approverOf(product);
});
afterAll(async () => {
  await product?.stop();
  product?.remove();
  await Promise.all([idp.stop(), other.stop()]);
});

const CLAIMS = { aud: 'holdpoint', sub: 'u1', email: 'Bea@Example.com', groups: ['devs'] };
const seconds = (ahead: number) => Math.floor(Date.now() / 1000) + ahead;
const token = (payload: object = {}, server = idp) =>
  server.issuer.buildToken({
    scopesOrTransform: (_, body) => Object.assign(body, CLAIMS, { iss: issuer, ...payload }),
  });
/** The URL of a token's login; over TLS unless told otherwise. */
function urlOf(password: string, tls = true): string {
  const url = new URL(product.agentUrl);
  url.username = 'bea';
  url.password = password;
  url.search = tls ? '?sslmode=no-verify' : '?sslmode=disable';
  return url.href;
}
async function refusal(url: string): Promise<{ code: string; message: string }> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {});
  try {
    await client.connect();
    return { code: '', message: 'let in' };
  } catch (error) {
    return { code: String((error as { code?: unknown }).code), message: (error as Error).message };
  } finally {
    await client.end().catch(() => {});
  }
}

test('a token of the configured issuer logs in over TLS, and its owner is on the request', async () => {
  const agent = await agentAt(urlOf(await token()));
  expect(await agent.value('SELECT 42')).toBe('42');
  const sql = 'DELETE FROM orders WHERE id = 920001';
  await agent.run("SET holdpoint.wait = '0'");
  expect((await agent.run(sql)).code).toBe('HP001');
  expect((await dana.requestsFor(sql))[0]?.requester).toMatchObject({ ownerId: 'bea@example.com' });
  await agent.end();
});

test('every other token is refused alike, and nothing of it is told, logged or sent in the clear', async () => {
  const good = await token();
  const hs256 = await new SignJWT({ ...CLAIMS })
    .setProtectedHeader({ alg: 'HS256' })
    .setIssuer(issuer)
    .setExpirationTime('1h')
    .sign(Buffer.alloc(32, 7));
  const none = new UnsecuredJWT({ ...CLAIMS }).setIssuer(issuer).setExpirationTime('1h').encode();
  const bad = {
    audience: await token({ aud: 'another' }),
    issuer: await token({ iss: 'https://elsewhere.example.com' }),
    'foreign key': await token({}, other),
    expired: await token({ exp: seconds(-5) }),
    hs256,
    none,
    'cut signature': good.slice(0, -8),
    garbage: 'not-a-token',
  };
  for (const [name, each] of Object.entries(bad)) {
    const told = await refusal(urlOf(each));
    expect(told.code, name).toBe('28P01');
    expect(told.message, name).toBe((await refusal(urlOf('garbage'))).message.replace('garbage', ''));
    expect(product.output()).not.toContain(each);
  }
  const clear = await refusal(urlOf(good, false));
  expect(clear.code).toBe('28000');
  expect(clear.message).not.toContain(good.slice(0, 20));
  expect(product.output()).not.toContain(good.slice(-40));
});

test('an unknown credential and a wrong password look alike', async () => {
  const known = new URL(product.agentUrl);
  known.password = 'wrong';
  const unknown = new URL(known);
  unknown.username = `cred_${'0'.repeat(24)}`;
  const [one, two] = [await refusal(known.href), await refusal(unknown.href)];
  expect(one.code).toBe('28P01');
  expect(two.message.replaceAll(unknown.username, '')).toBe(one.message.replaceAll(known.username, ''));
});

test('revocation ends a live session before its next statement, and its requests', async () => {
  const { body } = await dana.post('/credentials', {
    owner: { email: 'carl@example.com' },
    agent: 'Cursor',
    groups: ['devs'],
    ttlMs: 600_000,
  });
  const [id, secret] = [textOf(body, 'id'), textOf(body, 'secret')];
  const url = new URL(product.agentUrl);
  [url.username, url.password] = [id, secret];
  const [agent, idle] = await Promise.all([agentAt(url.href), agentAt(url.href)]);
  const sql = 'DELETE FROM orders WHERE id = 920002';
  const told = agent.run(sql);
  const request = await dana.held(sql);
  expect((await dana.post(`/credentials/${id}/revoke`, {})).status).toBe(200);
  expect((await told).code).not.toBeNull();
  expect((await idle.run('SELECT 1')).code).not.toBeNull();
  await dana.reaches(request.id, 'withdrawn');
  expect((await refusal(url.href)).code).toBe('28000');
  expect((await dana.decide(request.id, 'deny')).status).toBe(409);
});

test('what a session holds does not run once its token has expired', async () => {
  const agent = await agentAt(urlOf(await token({ exp: seconds(4), jti: 'short' })));
  await agent.run("SET holdpoint.wait = '30s'");
  const sql = 'DELETE FROM orders WHERE id = 920003';
  const told = agent.run(sql);
  const request = await dana.held(sql);
  await dana.reaches(request.id, 'withdrawn');
  expect((await told).code).not.toBeNull();
  expect((await agent.run('SELECT 1')).code).toBe('lost');
});
