/** Every role at every route of the table, and that the table is all there is. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ROUTES, type RouteName } from '../../src/console/routes.ts';
import { loginKey, ROLES, type Role } from '../../src/identity/roles.ts';
import type { ProvenLogin } from '../../src/identity/types.ts';
import { aRequest, aSession, memoryDesk, memorySessions, T0 } from './fakes.ts';
import { startConsole } from './harness.ts';

const LOGIN = loginKey('https://id.example', 'c');
const GROUPS = { approver: ['approvers'], auditor: ['auditors'], admin: ['admins'] } as const;

let h: Awaited<ReturnType<typeof startConsole>>;
beforeEach(async () => {
  h = await startConsole({}, {}, memoryDesk([aRequest()]), { login: LOGIN, roles: GROUPS });
});
afterEach(() => h.server.close());

const login = (patch: Partial<ProvenLogin> = {}): ProvenLogin => ({
  issuer: 'https://id.example',
  clientId: 'c',
  subject: 'u1',
  email: 'erin@example.com',
  name: 'Erin',
  groups: [],
  until: T0 + 3_600_000,
  ...patch,
});
/** A session with exactly this role beside that of everyone. */
async function as(role: Role, patch: Partial<ProvenLogin> = {}) {
  const groups = role === 'requester' ? [] : GROUPS[role];
  const grant = await h.access.login(login({ groups, ...patch }));
  if (grant === null) throw new Error('no session');
  const cookie = `holdpoint=${grant.secret}`;
  const me = await fetch(`${h.base}/terminal`, { headers: { cookie } });
  return { cookie, csrf: /name="csrf" value="([^"]+)"/.exec(await me.text())?.[1] ?? '' };
}

/** What a route needs to be asked in earnest. */
const BODIES: Partial<Record<RouteName, object>> = {
  'POST /api/requests/:id/decision': { effect: 'deny' },
  'POST /api/requests/:id/withdraw': {},
  'POST /api/requests/:id/reason': { reason: 'because' },
  'POST /api/requests/:id/count': {},
  'POST /api/policy/explain': { sql: 'x', target: 'shop' },
  'POST /api/policy/suggest': { target: 'shop' },
  'POST /api/policy/replay': { target: 'shop', since: 0 },
  'POST /api/credentials': { ttlMs: 3_600_000 },
  'POST /api/people/logout': { person: 'x@example.com' },
  'POST /api/people/suspend': { person: 'x@example.com' },
  'POST /api/people/restore': { person: 'x@example.com' },
};

function ask(name: RouteName, who: { cookie: string; csrf: string } | null, csrf = who?.csrf ?? '') {
  const [method = '', path = ''] = name.split(' ');
  const id = path.includes('sessions')
    ? 'ses_1'
    : path.includes('credentials')
      ? 'cred_00112233445566778899aabb'
      : 'HP-7Q2F';
  const api = path.startsWith('/api/');
  return fetch(h.base + path.replace(':id', id).replace(':link', 'hpl_x').replace(':token', 'x.y'), {
    method,
    redirect: 'manual',
    headers: {
      ...(who === null ? {} : { cookie: who.cookie }),
      ...(api && method !== 'GET' ? { 'content-type': 'application/json', 'x-csrf-token': csrf } : {}),
    },
    ...(method === 'GET'
      ? {}
      : {
          body: api
            ? JSON.stringify(BODIES[name] ?? {})
            : new URLSearchParams({ csrf, effect: 'deny', person: 'x@example.com' }),
        }),
  });
}
const NAMES = Object.keys(ROUTES) as RouteName[];
const GUARDED = NAMES.filter((name) => ROUTES[name] !== 'nobody');

describe('the table', () => {
  for (const role of ROLES) {
    test(`admits ${role} where it says so and nowhere else`, async () => {
      for (const name of GUARDED) {
        // Some of them end the session.
        const who = await as(role);
        const answer = await ask(name, who);
        const roles: readonly string[] = ROUTES[name] === 'nobody' ? [] : ROUTES[name];
        const text = name === 'GET /api/events' ? '' : await answer.text();
        await answer.body?.cancel().catch(() => {});
        const refused = answer.status === 403 && text.includes('which you are not');
        expect(refused, `${role} ${name} ${answer.status}`).toBe(!roles.includes(role));
        if (roles.includes(role)) expect([401], `${role} ${name}`).not.toContain(answer.status);
      }
    });
  }

  test('lets nobody in without a login, and changes nothing without the CSRF token', async () => {
    for (const name of GUARDED) {
      expect((await ask(name, null)).status, name).toBe(401);
      if (name.startsWith('GET')) continue;
      const answer = await ask(
        name,
        await as('admin', { groups: Object.values(GROUPS).flat() }),
        'x'.repeat(43),
      );
      expect([answer.status, name]).toEqual([403, name]);
    }
    expect(h.desk.asked).toEqual([]);
    expect(h.minted).toEqual([]);
  });

  test('is all there is: other methods and paths are refused', async () => {
    const who = await as('admin', { groups: Object.values(GROUPS).flat() });
    for (const [method, path] of [
      ['DELETE', '/api/policy'],
      ['POST', '/api/policy'],
      ['PUT', '/api/people'],
      ['POST', '/sessions'],
      ['PATCH', '/'],
      ['GET', '/people/suspend'],
      ['GET', '/api'],
      ['GET', '/api/nothing'],
    ] as const) {
      const answer = await fetch(h.base + path, {
        method,
        headers: { cookie: who.cookie, 'x-csrf-token': who.csrf },
      });
      expect([404, 405], `${method} ${path}`).toContain(answer.status);
    }
  });

  test('roles are of now: a login whose groups count no more has lost them', async () => {
    const who = await as('admin');
    expect((await ask('GET /people', who)).status).toBe(200);
    const { createAccess } = await import('../../src/identity/access.ts');
    const { createDirectory } = await import('../../src/identity/roles.ts');
    const secret = who.cookie.slice('holdpoint='.length);
    const later = (patch: object) =>
      createAccess({
        credentials: h.credentials,
        directory: createDirectory({
          approvers: [],
          roles: GROUPS,
          policyAdmins: new Set(),
          login: LOGIN,
          ...patch,
        }),
        now: () => T0,
      }).authenticate(secret);
    expect([...((await later({ roles: { admin: ['others'] } }))?.roles ?? [])]).toEqual(['requester']);
    expect(await later({ login: null })).toBeNull();
    expect(await later({ login: loginKey('https://id.example', 'another') })).toBeNull();
  });
});

describe('a requester', () => {
  const mine = { ownerId: 'erin@example.com', ownerName: 'Erin', ownerEmail: 'erin@example.com' };
  beforeEach(async () => {
    await h.server.close();
    const other = aRequest();
    const own = aRequest({ id: 'HP-9MNE', requester: { ...other.requester, ...mine }, sessionId: 'ses_2' });
    const bySubject = aRequest({
      id: 'HP-8SVB',
      sessionId: 'ses_3',
      requester: { ...other.requester, ownerId: 'https://id.example|u1', ownerEmail: null },
    });
    h = await startConsole(
      {
        sessions: memorySessions([
          aSession(),
          aSession({ id: 'ses_2', ...mine }),
          aSession({ id: 'ses_4', held: 0, ownerId: 'x@example.com', ownerName: 'erin@example.com' }),
        ]),
      },
      {},
      memoryDesk([other, own, bySubject]),
      { login: LOGIN, roles: GROUPS },
    );
  });
  const get = async (path: string, who: { cookie: string }) =>
    fetch(h.base + path, { headers: { cookie: who.cookie } });

  test('sees their own requests and sessions, whichever key they are kept under, and no others', async () => {
    const who = await as('requester');
    const { requests } = (await (await get('/api/requests', who)).json()) as { requests: { id: string }[] };
    expect(requests.map(({ id }) => id).sort()).toEqual(['HP-8SVB', 'HP-9MNE']);
    const page = await (await get('/', who)).text();
    expect(page).toContain('HP-9MNE');
    expect(page).not.toContain('HP-7Q2F');
    expect(page).not.toContain('value="approve"');
    for (const [path, status] of [
      ['/requests/HP-9MNE', 200],
      ['/requests/HP-7Q2F', 404],
      ['/api/requests/HP-7Q2F', 404],
      ['/sessions/ses_2', 200],
      ['/sessions/ses_1', 404],
      ['/api/sessions/ses_1', 404],
      ['/api/sessions/ses_1/verify', 404],
      ['/sessions/ses_4', 404],
    ] as const)
      expect([(await get(path, who)).status, path]).toEqual([status, path]);
    const list = async (query: string) =>
      (
        (await (await get(`/api/sessions${query}`, who)).json()) as { sessions: { id: string }[] }
      ).sessions.map(({ id }) => id);
    expect(await list('')).toEqual(['ses_2']);
    expect(await list('?owner=alice@example.com')).toEqual([]);
  });

  test('says why, and withdraws, what is their own; of another’s there is nothing', async () => {
    const who = await as('requester');
    const page = await (await get('/requests/HP-9MNE', who)).text();
    expect(page).toContain('formaction="/requests/HP-9MNE/withdraw"');
    const post = (path: string) => h.form(path, { csrf: who.csrf, reason: 'OPS-1 ' }, { cookie: who.cookie });
    expect((await post('/requests/HP-9MNE/reason')).status).toBe(303);
    expect(await h.desk.get('HP-9MNE')).toMatchObject({ state: 'pending', purpose: 'OPS-1' });
    // Approved and not run: it can still be taken back.
    const own = await h.desk.get('HP-9MNE');
    if (own === null) throw new Error('no request');
    h.desk.put({ ...own, state: 'granted', grantExpiresAt: own.expiresAt });
    const granted = await (await get('/requests/HP-9MNE', who)).text();
    expect(granted).toContain('action="/requests/HP-9MNE/withdraw"');
    expect(granted).not.toContain('/requests/HP-9MNE/reason');
    expect((await post('/requests/HP-9MNE/withdraw')).status).toBe(303);
    expect(await h.desk.get('HP-9MNE')).toMatchObject({ state: 'withdrawn', note: 'erin@example.com OPS-1' });
    for (const what of ['reason', 'withdraw']) {
      expect((await post(`/requests/HP-7Q2F/${what}`)).status).toBe(404);
      const answer = await fetch(`${h.base}/api/requests/HP-7Q2F/${what}`, {
        method: 'POST',
        headers: { cookie: who.cookie, 'x-csrf-token': who.csrf, 'content-type': 'application/json' },
        body: JSON.stringify(what === 'reason' ? { reason: 'x' } : {}),
      });
      expect(answer.status).toBe(404);
      expect(await answer.text()).not.toContain('orders');
    }
    expect(await h.desk.get('HP-7Q2F')).toMatchObject({ state: 'pending' });
  });

  test('is told of changes of their own requests alone', async () => {
    const who = await as('requester');
    const stream = await get('/api/events', who);
    const reader = stream.body?.getReader();
    if (reader === undefined) throw new Error('no stream');
    await reader.read();
    h.desk.put({ ...aRequest(), version: 2 });
    const own = await h.desk.get('HP-9MNE');
    if (own === null) throw new Error('no request');
    h.desk.put({ ...own, version: 2 });
    const text = Buffer.from((await reader.read()).value ?? []).toString();
    expect(text).toContain('HP-9MNE');
    expect(text).not.toContain('HP-7Q2F');
    await reader.cancel();
  });

  test('an approver sees all that waits, and the recording of a session that asked; an auditor sees all and decides nothing', async () => {
    const approver = await as('approver', { email: 'frank@example.com', subject: 'u2' });
    const auditor = await as('auditor', { email: 'gina@example.com', subject: 'u3' });
    for (const [path, a, b] of [
      ['/requests/HP-7Q2F', 200, 200],
      ['/sessions/ses_2', 200, 200],
      ['/sessions/ses_4', 404, 200],
    ] as const) {
      expect([(await get(path, approver)).status, path]).toEqual([a, path]);
      expect([(await get(path, auditor)).status, path]).toEqual([b, path]);
    }
    const list = async (who: { cookie: string }) =>
      ((await (await get('/api/sessions?owner=erin@example.com', who)).json()) as { sessions: unknown[] })
        .sessions.length;
    expect([await list(approver), await list(auditor)]).toEqual([1, 2]);
    const all = (await (await get('/api/sessions', approver)).json()) as { sessions: { id: string }[] };
    expect(all.sessions.map(({ id }) => id)).toEqual(['ses_1', 'ses_2']);
    const page = await (await get('/requests/HP-7Q2F', auditor)).text();
    expect(page).not.toContain('value="approve"');
    await ask('POST /api/requests/:id/decision', approver);
    expect(h.desk.asked).toMatchObject([
      {
        approver: {
          id: 'frank@example.com',
          subject: 'https://id.example|u2',
          groups: ['approvers'],
          surface: 'console',
        },
      },
    ]);
  });
});

test('an administrator suspends and restores people, but not themselves', async () => {
  const admin = await as('admin');
  const victim = await as('requester', { email: 'mallory@example.com', subject: 'u9' });
  const post = (path: string, person: string) =>
    h.form(path, { csrf: admin.csrf, person }, { cookie: admin.cookie });
  const status = async () => (await fetch(h.base, { headers: { cookie: victim.cookie } })).status;
  expect(await status()).toBe(200);
  await post('/people/suspend', 'erin@example.com');
  expect(await h.credentials.listSuspensions()).toEqual([]);
  await post('/people/suspend', 'Mallory@Example.com');
  expect(await status()).toBe(401);
  const page = await (await fetch(`${h.base}/people`, { headers: { cookie: admin.cookie } })).text();
  expect(page).toContain('mallory@example.com');
  await post('/people/restore', 'mallory@example.com');
  // What ended then has ended, however they were spelled.
  expect(await status()).toBe(401);
  const again = await as('requester', { email: 'mallory@example.com', subject: 'u9' });
  expect((await fetch(h.base, { headers: { cookie: again.cookie } })).status).toBe(200);
  await post('/people/logout', 'mallory@example.com');
  expect((await fetch(h.base, { headers: { cookie: again.cookie } })).status).toBe(401);
});
