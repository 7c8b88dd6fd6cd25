/** Login by OIDC, against a provider that checks what providers check, and against one that cheats. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { returnPath } from '../../src/console/entrance.ts';
import { loginKey } from '../../src/identity/roles.ts';
import { createSignIn, type SignInConfig } from '../../src/identity/sign-in.ts';
import { browser, startProvider, type TestProvider } from '../support/oidc.ts';
import { aRequest, memoryDesk } from './fakes.ts';
import { quiet, startConsole } from './harness.ts';

const ALICE = { sub: 'u-alice', name: 'Alice', email: 'Alice@Example.com', email_verified: true } as const;
const DANA = { sub: 'u-dana', name: 'Dana D.', email: 'dana@example.com', email_verified: true } as const;

let provider: TestProvider;
let h: Awaited<ReturnType<typeof startConsole>>;
beforeEach(async () => {
  provider = await startProvider();
  provider.person = ALICE;
  h = await up();
});
afterEach(async () => {
  await h.server.close();
  await provider.close();
});

/** A console whose clock is the real one: the provider's tokens are of now. */
async function up(config: Partial<SignInConfig> = {}) {
  const signIn = createSignIn({
    config: {
      issuer: provider.issuer,
      clientId: provider.clientId,
      clientSecret: provider.clientSecret === '' ? null : provider.clientSecret,
      scopes: ['email'],
      groupsClaim: 'groups',
      audience: null,
      trustEmail: false,
      sessionMs: 3_600_000,
      ...config,
    },
    key: Buffer.alloc(32, 7),
    now: () => h.clock.now,
    log: quiet,
  });
  const started = await startConsole({ signIn }, {}, memoryDesk([aRequest()]), {
    login: loginKey(provider.issuer, provider.clientId),
    roles: { approver: ['oncall'], auditor: ['audit'], admin: ['platform'] },
  });
  started.clock.now = Date.now();
  provider.redirectUris = [`${started.base}/login/callback`];
  return started;
}
async function restart(config: Partial<SignInConfig>) {
  await h.server.close();
  h = await up(config);
}
const meOf = async (b: ReturnType<typeof browser>) => (await b.go(`${h.base}/api/me`)).json();
/** Up to where the provider sends the browser back to. */
async function callbackOf(b: ReturnType<typeof browser>, path = '/login'): Promise<string> {
  const begun = await b.go(h.base + path);
  const answer = await b.go(begun.headers.get('location') ?? '');
  return answer.headers.get('location') ?? '';
}

describe('a login', () => {
  test('signs in who the provider says, with a new Strict session, and goes on to where they wanted to', async () => {
    const b = browser();
    const { answer, url } = await b.follow(
      `${h.base}/login?return=${encodeURIComponent('/requests/HP-7Q2F?x=1')}`,
    );
    expect(answer.status).toBe(200);
    expect(new URL(url).pathname).toBe('/login/callback');
    expect(await answer.text()).toContain('content="0; url=/requests/HP-7Q2F?x=1"');
    const cookies = answer.headers.getSetCookie();
    expect(cookies.find((one) => one.startsWith('holdpoint=hps_'))).toMatch(
      /Max-Age=3600;.*HttpOnly; SameSite=Strict/,
    );
    expect(cookies.find((one) => one.startsWith('holdpoint-login='))).toMatch(/Max-Age=0/);
    expect(await meOf(b)).toMatchObject({ id: 'alice@example.com', name: 'Alice', roles: ['requester'] });

    const [asked] = provider.asked;
    expect(asked?.get('scope')).toBe('openid email');
    expect(url).not.toContain(asked?.get('nonce') ?? 'none');
    expect((await b.go(`${h.base}/`)).status).toBe(200);
    const page = await (await b.go(`${h.base}/terminal`)).text();
    const csrf = /name="csrf" value="([^"]+)"/.exec(page)?.[1] ?? '';
    await b.go(`${h.base}/logout`, { method: 'POST', body: new URLSearchParams({ csrf }) });
    expect((await b.go(`${h.base}/`)).status).toBe(401);
  });

  test('ends at the provider too, where that says how: sent back to one place of ours, and to no address that is not acceptable', async () => {
    const b = browser();
    const signOut = async () => {
      expect((await b.follow(`${h.base}/login`)).answer.status).toBe(200);
      const page = await (await b.go(`${h.base}/terminal`)).text();
      const csrf = /name="csrf" value="([^"]+)"/.exec(page)?.[1] ?? '';
      const answer = await b.go(`${h.base}/logout`, { method: 'POST', body: new URLSearchParams({ csrf }) });
      expect((await b.go(`${h.base}/`)).status).toBe(401);
      return answer;
    };
    const place = `${provider.issuer}/ends?tenant=1`;
    for (const [published, status] of [
      [place, 200],
      ['http://elsewhere.example/ends', 303],
      ['javascript:alert(1)', 303],
    ] as const) {
      await restart({});
      provider.document = { end_session_endpoint: published };
      const answer = await signOut();
      expect(answer.status, published).toBe(status);
      if (status === 303) continue;
      const to = /<a href="([^"]+)">Continue/.exec(await answer.text())?.[1]?.replaceAll('&amp;', '&') ?? '';
      expect(to.startsWith(place)).toBe(true);
      const asked = new URL(to).searchParams;
      expect(asked.get('client_id')).toBe(provider.clientId);
      const back = asked.get('post_logout_redirect_uri') ?? '';
      expect(back).toBe(`${h.base}/login/ended`);
      expect(await (await b.go(back)).text()).toContain('You are signed out of Holdpoint.');
    }
  });

  test('of a public client goes by PKCE alone; an issuer that asks for an audience gets one', async () => {
    await provider.close();
    provider = await startProvider({ public: true });
    provider.person = ALICE;
    await restart({ audience: 'https://hold.example' });
    const b = browser();
    expect((await b.follow(`${h.base}/login`)).answer.status).toBe(200);
    expect(provider.asked[0]?.get('audience')).toBe('https://hold.example');
    expect(await meOf(b)).toMatchObject({ id: 'alice@example.com' });
  });

  test('replaces the session that the browser had: none of an attacker lives on', async () => {
    const b = browser();
    await b.follow(`${h.base}/login`);
    const before = b.jar.get(new URL(h.base).host)?.get('holdpoint') ?? '';
    await b.follow(`${h.base}/login`);
    const after = b.jar.get(new URL(h.base).host)?.get('holdpoint');
    expect(after).not.toBe(before);
    expect(await h.access.authenticate(before)).toBeNull();
  });

  test('gives roles by groups, and a named approver theirs by a verified address, with the groups of both', async () => {
    const cases = [
      [{ ...ALICE, groups: ['oncall', 'x'] }, ['requester', 'approver'], ['oncall', 'x']],
      [{ ...ALICE, groups: ['audit', 'platform'] }, ['requester', 'auditor', 'admin'], ['audit', 'platform']],
      [{ ...DANA, groups: ['x'] }, ['requester', 'approver'], ['dba', 'x']],
      [{ ...DANA, email_verified: false }, ['requester'], []],
      [{ ...DANA, email_verified: undefined }, ['requester'], []],
      [{ ...DANA, email: 'dana@example.com.evil.example' }, ['requester'], []],
      [{ ...DANA, email: 'ｄana@example.com' }, ['requester'], []],
    ] as const;
    for (const [person, roles, groups] of cases) {
      provider.person = person;
      const b = browser();
      await b.follow(`${h.base}/login`);
      const me = (await meOf(b)) as { id: string };
      expect(me, JSON.stringify(person)).toMatchObject({ roles, groups });
      // Nor are they anybody's owner by an address that only looks like theirs.
      if (person.email.startsWith('ｄ')) expect(me.id).toBe(`${provider.issuer}|u-dana`);
    }
  });

  test('an issuer that never says email_verified is believed only where the configuration says so, and never against its word', async () => {
    await restart({ trustEmail: true });
    for (const [email_verified, id] of [
      [undefined, 'dana@example.com'],
      [false, `${provider.issuer}|u-dana`],
    ] as const) {
      provider.person = {
        ...DANA,
        ...(email_verified === undefined ? { email_verified: null } : { email_verified }),
      };
      const b = browser();
      await b.follow(`${h.base}/login`);
      expect(await meOf(b)).toMatchObject({ id });
    }
  });

  test('lasts no longer than the provider lets a session last, nor does what comes of it', async () => {
    provider.claims = { session_expiry: Math.floor(Date.now() / 1000) + 600 };
    const b = browser();
    const { answer } = await b.follow(`${h.base}/login`);
    expect(answer.headers.getSetCookie().join()).toMatch(/holdpoint=hps_[^;]+; Max-Age=(59\d|600);/);
    h.clock.now += 601_000;
    expect((await b.go(`${h.base}/`)).status).toBe(401);
  });

  test('of a suspended person is refused, and their sessions end', async () => {
    const b = browser();
    await b.follow(`${h.base}/login`);
    await h.credentials.suspend({ personId: 'alice@example.com', by: 'x', at: 1 });
    expect((await b.go(`${h.base}/`)).status).toBe(401);
    const { answer } = await browser().follow(`${h.base}/login`);
    expect(answer.status).toBe(403);
    expect(await answer.text()).toContain('suspended');
  });
});

describe('nobody is signed in', () => {
  async function refusedAt(b: ReturnType<typeof browser>, url: string): Promise<void> {
    const answer = await b.go(url);
    expect(answer.status, url).toBe(403);
    expect(answer.headers.getSetCookie().join()).not.toContain('hps_');
    const page = await answer.text();
    expect(page).not.toContain('evil');
  }

  test('in a browser that did not begin the login (login CSRF), nor in one that began another', async () => {
    const attacker = browser();
    const link = await callbackOf(attacker);
    await refusedAt(browser(), link);
    const victim = browser();
    await victim.go(`${h.base}/login`);
    await refusedAt(victim, link);
    expect(provider.refused).toEqual([]);
  });

  test('by a code and state that were used, even with the cookie of then and a provider that takes a code twice', async () => {
    provider.fault = { careless: true };
    const b = browser();
    const back = await callbackOf(b);
    const cookie = `holdpoint-login=${b.jar.get(new URL(h.base).host)?.get('holdpoint-login')}`;
    expect((await b.go(back)).status).toBe(200);
    const answer = await fetch(back, { headers: { cookie } });
    expect(answer.status).toBe(403);
    expect(answer.headers.getSetCookie().join()).not.toContain('hps_');
    // Both at once: one wins.
    const c = browser();
    const again = await callbackOf(c);
    const sealed = `holdpoint-login=${c.jar.get(new URL(h.base).host)?.get('holdpoint-login')}`;
    const both = await Promise.all([1, 2].map(() => fetch(again, { headers: { cookie: sealed } })));
    expect(both.map((one) => one.status).sort()).toEqual([200, 403]);
  });

  test('after ten minutes, or by a cookie that was made up or of another key', async () => {
    const b = browser();
    const back = await callbackOf(b);
    const jar = b.jar.get(new URL(h.base).host);
    const sealed = jar?.get('holdpoint-login') ?? '';
    for (const bad of ['x', `${sealed.slice(0, -3)}AAA`, 'eyJhbGciOiJub25lIn0.e30.', 'x'.repeat(5_000)]) {
      jar?.set('holdpoint-login', bad);
      await refusedAt(b, back);
    }
    jar?.set('holdpoint-login', sealed);
    h.clock.now += 10 * 60_000 + 1_000;
    await refusedAt(b, back);
  });

  test('when the answer is another issuer’s (mix-up), without one, doubled, or an error', async () => {
    for (const answer of [
      { iss: 'https://evil.example' },
      { iss: null },
      { state: 'x'.repeat(43) },
      { state: null },
      { code: null },
      { error: 'access_denied', error_description: 'evil words', code: null },
      { error: '<b>evil</b>', code: null },
    ]) {
      provider.answer = answer;
      const b = browser();
      await refusedAt(b, await callbackOf(b));
    }
    provider.answer = {};
    const b = browser();
    await refusedAt(b, `${await callbackOf(b)}&iss=${encodeURIComponent('https://evil.example')}`);
    const c = browser();
    await refusedAt(c, `${await callbackOf(c)}&code=evil`);
  });

  test('by an ID token of another issuer, client, nonce, key or time', async () => {
    const past = Math.floor(Date.now() / 1000) - 3_600;
    for (const claims of [
      { iss: 'https://evil.example' },
      { aud: 'another-client' },
      { aud: ['holdpoint-console', 'another'] },
      { aud: ['holdpoint-console', 'another'], azp: 'another' },
      { nonce: 'n'.repeat(43) },
      { nonce: null },
      { exp: past },
      { exp: null },
      { sub: null },
      { sub: '  ' },
      { groups: Array.from({ length: 201 }, (_, i) => `g${i}`) },
      { groups: [{ evil: true }] },
    ]) {
      provider.claims = claims;
      const b = browser();
      await refusedAt(b, await callbackOf(b));
    }
    provider.claims = {};
    provider.fault = { foreignKey: true };
    const b = browser();
    await refusedAt(b, await callbackOf(b));
  });

  test('with the wrong client secret', async () => {
    await restart({ clientSecret: 'wrong' });
    const b = browser();
    await refusedAt(b, await callbackOf(b));
    expect(provider.refused).toEqual(['invalid_client']);
  });
});

describe('a provider that fails', () => {
  test('is told as such, and asked again a moment later', async () => {
    provider.fault = { status: 503 };
    const first = await browser().follow(`${h.base}/login`);
    expect(first.answer.status).toBe(503);
    expect(await first.answer.text()).toContain('identity provider cannot be asked');
    provider.fault = {};
    h.clock.now += 6_000;
    expect((await browser().follow(`${h.base}/login`)).answer.status).toBe(200);

    const b = browser();
    const back = await callbackOf(b);
    provider.fault = { status: 500 };
    expect((await b.go(back)).status).toBe(403);
    provider.fault = {};
    // The code was not used up and the sign-in may end after all.
    expect((await browser().follow(`${h.base}/login`)).answer.status).toBe(200);
  });

  test('or whose document names another issuer, or leads elsewhere in the clear, sends nobody anywhere', async () => {
    for (const document of [
      { issuer: 'https://evil.example' },
      { authorization_endpoint: 'http://evil.example/authorize' },
      { authorization_endpoint: 'javascript:alert(1)' },
      { token_endpoint: 'http://evil.example/token' },
      { token_endpoint: null },
      { jwks_uri: 'http://evil.example/keys' },
    ]) {
      provider.document = document;
      await restart({});
      expect((await browser().go(`${h.base}/login`)).status, JSON.stringify(document)).toBe(503);
    }
  });
});

test('only a path of ours is gone on to', () => {
  for (const good of ['/', '/requests/HP-7Q2F', '/sessions?owner=a%40b&since=7d', '/policy'])
    expect(returnPath(good)).toBe(good);
  for (const bad of [
    undefined,
    '',
    'https://evil.example/',
    '//evil.example',
    '/\\evil.example',
    '/a\\..\\evil',
    '/.//evil.example',
    '/x/..//evil.example',
    '/%0d%0aset-cookie:x',
    'javascript:alert(1)',
    '/\tx',
    '/ x',
    '/login?return=/',
    '/login/callback?code=1',
    '/logout',
    '/api/requests',
    `/${'x'.repeat(600)}`,
  ]) {
    const to = returnPath(bad);
    if (bad === '/%0d%0aset-cookie:x') expect(to).toBe(bad);
    else expect(to, bad).toBe('/');
  }
});

test('who comes from another site’s link is asked again from here, so that the Strict cookie is sent', async () => {
  const b = browser();
  await b.follow(`${h.base}/login`);
  const from = { 'sec-fetch-site': 'cross-site' };
  const answer = await fetch(`${h.base}/requests/HP-7Q2F`, { headers: from });
  expect(answer.status).toBe(200);
  const page = await answer.text();
  expect(page).toContain('content="0; url=/requests/HP-7Q2F"');
  expect(page).not.toContain('DELETE');
});
