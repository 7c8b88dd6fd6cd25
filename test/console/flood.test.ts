/** Whoever holds connections or wrong secrets shuts nobody out (I7). */
import { randomBytes } from 'node:crypto';
import { afterEach, describe, expect, test } from 'vitest';
import { networksOf } from '../../src/edge/address.ts';
import { createAccess, TooManyFailures } from '../../src/identity/access.ts';
import type { FailedLoginSummary } from '../../src/identity/failed-logins.ts';
import { createDirectory } from '../../src/identity/roles.ts';
import { ask, type Flood, flood, UNFINISHED } from '../support/flood.ts';
import { aRequest, DANA, memoryCredentials } from './fakes.ts';
import { startConsole } from './harness.ts';

let h: Awaited<ReturnType<typeof startConsole>> | undefined;
const floods: Flood[] = [];
afterEach(async () => {
  for (const one of floods.splice(0)) one.close();
  await h?.server.close();
  h = undefined;
});

const wrong = (prefix = 'hpa_') => `${prefix}${randomBytes(32).toString('base64url')}`;
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

describe('unfinished requests', () => {
  test.each(Object.entries(UNFINISHED))('700 of one address, %s, shut out nobody', async (_, bytes) => {
    h = await startConsole();
    const token = await h.token();
    floods.push(await flood(h.port, 700, bytes));
    for (const from of ['127.0.0.2', '127.0.0.1']) {
      expect(await ask(h.port, '/healthz', { from })).toMatchObject({ status: 200 });
      expect(await ask(h.port, '/api/me', { from, headers: bearer(token) })).toMatchObject({ status: 200 });
    }
    expect((await h.signIn()).cookie).toContain('holdpoint=');
  });

  test('of many addresses shut out nobody either', async () => {
    h = await startConsole();
    const token = await h.token();
    for (let i = 10; i < 20; i += 1) floods.push(await flood(h.port, 70, UNFINISHED.silent, `127.0.0.${i}`));
    expect(await ask(h.port, '/api/me', { from: '127.0.0.2', headers: bearer(token) })).toMatchObject({
      status: 200,
    });
    expect(await ask(h.port, '/healthz', { from: '127.0.0.10' })).toMatchObject({ status: 200 });
  });

  test('end no request that came with a credential', async () => {
    h = await startConsole();
    const token = await h.token();
    const live = await fetch(`${h.base}/api/events`, { headers: bearer(token) });
    const reader = live.body?.getReader();
    expect(new TextDecoder().decode((await reader?.read())?.value)).toContain('ready');
    floods.push(await flood(h.port, 700, UNFINISHED['half a head']));
    h.desk.put(aRequest({ version: 9 }));
    expect(new TextDecoder().decode((await reader?.read())?.value)).toContain('"version":9');
    await reader?.cancel();
  });

  test('are given up within seconds', async () => {
    h = await startConsole();
    const begun = await flood(h.port, 20, UNFINISHED['half a head']);
    floods.push(begun);
    await expect.poll(begun.open, { timeout: 9_000 }).toBe(0);
  });
});

describe('wrong secrets', () => {
  test('are told that they are too many, and nothing that stands is, nor after a restart', async () => {
    h = await startConsole();
    const [token, link] = [await h.token(), await h.access.mintLink(DANA.id)];
    const { cookie } = await h.signIn();
    const statuses: number[] = [];
    for (let i = 0; i < 60; i += 1)
      statuses.push((await ask(h.port, '/api/me', { headers: bearer(wrong()) })).status);
    expect(statuses[0]).toBe(401);
    expect(statuses.at(-1)).toBe(429);
    expect((await ask(h.port, '/api/me', { headers: bearer(token) })).status).toBe(200);
    expect((await ask(h.port, '/', { headers: { cookie } })).status).toBe(200);
    // Whoever keeps what has ended comes in with what has not.
    const stale = { authorization: `Bearer ${wrong()}`, cookie: `holdpoint=${wrong('hps_')}` };
    expect((await h.api('/login', null, { link: await h.access.mintLink(DANA.id) }, stale)).status).toBe(200);
    expect((await ask(h.port, '/login/x', { headers: { cookie: stale.cookie } })).status).toBe(200);
    expect((await ask(h.port, '/', { headers: { cookie: stale.cookie } })).status).toBe(401);
    // Cold memory, warm attackers.
    const again = createAccess({
      credentials: h.credentials,
      directory: createDirectory({ approvers: [DANA], roles: {}, policyAdmins: new Set(), login: null }),
      now: () => h?.clock.now ?? 0,
    });
    await again.issued.load();
    for (let i = 0; i < 25; i += 1) await again.authenticate(wrong(), 'x').catch(() => null);
    await expect(again.authenticate(wrong(), 'x')).rejects.toThrow(TooManyFailures);
    expect(await again.authenticate(token, 'x')).toMatchObject({ id: DANA.id });
    expect(await again.redeemLink(link, 'token', 'x')).not.toBeNull();
  });

  test('cost the store no query but at a bounded rate, and those that are over cost none', async () => {
    const credentials = memoryCredentials();
    let queries = 0;
    const counting = {
      ...credentials,
      findAccess: async (hash: string) => {
        queries += 1;
        return credentials.findAccess(hash);
      },
    };
    const access = createAccess({
      credentials: counting,
      directory: createDirectory({ approvers: [DANA], roles: {}, policyAdmins: new Set(), login: null }),
      now: () => 1_000_000,
    });
    await access.issued.load();
    const link = await access.mintLink(DANA.id);
    expect(await access.redeemLink(link, 'token')).not.toBeNull();
    queries = 0;
    for (let i = 0; i < 50; i += 1) await access.redeemLink(link, 'token', 'x').catch(() => null);
    expect(queries).toBe(0);
    await Promise.all(
      Array.from({ length: 300 }, (_, i) => access.authenticate(wrong(), `10.0.${i}.1`).catch(() => null)),
    );
    expect(queries).toBeLessThanOrEqual(20);
  });

  test('while the store is away what was issued is told so, and is not called wrong', async () => {
    h = await startConsole();
    const [token, link] = [await h.token(), await h.access.mintLink(DANA.id)];
    h.credentials.findAccess = () => Promise.reject(new Error('away'));
    for (const [path, headers] of [
      ['/api/me', bearer(token)],
      ['/api/me', bearer(wrong())],
    ] as const)
      expect(await ask(h.port, path, { headers })).toMatchObject({
        status: 503,
        body: expect.stringContaining('Try again'),
      });
    expect((await h.api('/login', null, { link })).status).toBe(503);
  });

  test('that failed are shown to administrators, as text', async () => {
    const evil = '<img src=x>\u202e';
    const owner = { id: 'alice@example.com', name: evil, email: null, agent: null };
    const summary: FailedLoginSummary = {
      total: 7,
      byOwner: [{ key: 'alice@example.com', count: 7, at: 0 }],
      byAddress: [{ key: '203.0.113.9', count: 7, at: 0 }],
      latest: [
        {
          at: 0,
          via: 'gateway',
          address: '203.0.113.9',
          reason: 'wrong-secret',
          claimed: evil,
          owner,
          count: 7,
        },
      ],
    };
    h = await startConsole({ failedLogins: { note: () => {}, summary: async () => summary } });
    const { cookie } = await h.signIn();
    const { body } = await ask(h.port, '/people', { headers: { cookie } });
    for (const words of [
      'Failed logins',
      'alice@example.com',
      '203.0.113.9',
      'wrong-secret × 7',
      '&lt;img src=x&gt;',
    ])
      expect(body).toContain(words);
    expect(body).not.toContain('<img src=x>');
    expect((await h.api('/logins/failed?since=0', await h.token())).body).toEqual(summary);
    expect((await h.api('/logins/failed?since=soon', await h.token())).status).toBe(400);
  });

  test('leave a trace each: what was tried, from where, why, and no secret', async () => {
    h = await startConsole({}, { proxies: networksOf(['127.0.0.1']) });
    const [token, secret, link] = [await h.token(), wrong(), await h.access.mintLink(DANA.id)];
    const headers = { 'x-forwarded-for': '203.0.113.9' };
    await ask(h.port, '/api/me', { headers: { ...bearer(secret), ...headers } });
    await h.access.end(token);
    await ask(h.port, '/api/me', { headers: { ...bearer(token), ...headers } });
    await h.api('/login', null, { link });
    await h.api('/login', null, { link }, headers);
    await ask(h.port, '/', { from: '127.0.0.3', headers: { cookie: 'holdpoint=nonsense', ...headers } });
    await ask(h.port, '/api/me', { headers: { authorization: 'Bearer nonsense' } });
    expect(h.failures.map(({ address, owner, reason, via }) => [via, reason, owner?.name, address])).toEqual([
      ['token', 'unknown', undefined, '203.0.113.9'],
      ['token', 'revoked', 'Dana', '203.0.113.9'],
      ['link', 'used', 'Dana', '203.0.113.9'],
      ['session', 'malformed', undefined, '127.0.0.3'],
      ['token', 'malformed', undefined, '127.0.0.1'],
    ]);
    for (const one of [secret, token, link]) expect(JSON.stringify(h.failures)).not.toContain(one.slice(4));
  });
});
