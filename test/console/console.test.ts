import { request as httpRequest } from 'node:http';
import { createServer } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ConsoleListenError, createConsole } from '../../src/console/server.ts';
import { aRequest, DANA, memoryDesk, memoryRecorder, memorySessions, policyOf, T0 } from './fakes.ts';
import { quiet, startConsole } from './harness.ts';

let h: Awaited<ReturnType<typeof startConsole>>;
beforeEach(async () => {
  h = await startConsole();
});
afterEach(() => h.server.close());

/** fetch does not let one forge Host. */
function raw(port: number, path: string, headers: Record<string, string>): Promise<number> {
  return new Promise((resolve, reject) => {
    httpRequest({ host: '127.0.0.1', port, path, headers }, (answer) => {
      answer.resume();
      resolve(answer.statusCode ?? 0);
    })
      .on('error', reject)
      .end();
  });
}

describe('who gets in', () => {
  test('everything but login, health and assets needs an approver', async () => {
    for (const path of [
      '/',
      '/requests/HP-7Q2F',
      '/sessions',
      '/sessions/ses_1',
      '/policy',
      '/api/requests',
      '/api/events',
      '/api/policy',
    ]) {
      expect((await fetch(h.base + path)).status, path).toBe(401);
    }
    for (const path of [
      '/healthz',
      '/readyz',
      '/login/hpl_x',
      '/assets/console.css',
      '/assets/console.js',
      '/assets/mark.svg',
    ]) {
      expect((await fetch(h.base + path)).status, path).toBe(200);
    }
  });

  test('an approver has it counted, on the page and through the API; what cannot be is told', async () => {
    const asked: string[] = [];
    const impact = {
      rows: 10,
      why: null,
      approximate: false,
      tables: [],
      lock: null,
      cascades: [],
      triggers: [],
    };
    const more = {
      rewrites: null,
      dependents: [],
      transactionMs: null,
      counted: { rows: 12_400, at: T0, ms: 3 },
    };
    const request = { ...aRequest(), impact: { ...impact, ...more } };
    const counting = await startConsole({
      counter: {
        count: async (id) => {
          asked.push(id);
          return asked.length < 3
            ? { kind: 'counted', request }
            : { kind: 'not-counted', sentence: 'Too slow.' };
        },
      },
    });
    const { cookie, csrf } = await counting.signIn();
    expect((await counting.form('/requests/HP-7Q2F/count', { csrf }, { cookie })).status).toBe(303);
    const page = await (await fetch(`${counting.base}/requests/HP-7Q2F`, { headers: { cookie } })).text();
    expect(page).toContain('HP-7Q2F would touch exactly 12,400 rows now.');
    expect(page).toContain('formaction="/requests/HP-7Q2F/count"');
    const token = await counting.token();
    expect(await counting.api('/requests/HP-7Q2F/count', token, {})).toMatchObject({ status: 200 });
    expect(await counting.api('/requests/HP-7Q2F/count', token, {})).toMatchObject({
      status: 409,
      body: { error: 'Too slow.' },
    });
    expect((await counting.api('/requests/HP-NONE/count', token, {})).status).toBe(404);
    expect(asked).toEqual(['HP-7Q2F', 'HP-7Q2F', 'HP-7Q2F']);
    await counting.server.close();
  });

  test('what it hides is shown to whom the gateway shows it, on a page that nobody keeps', async () => {
    const request = aRequest();
    const hiding = {
      ...request,
      statement: { ...request.statement, sql: 'DELETE FROM t WHERE a = <pii:text>' },
    };
    const asked: string[] = [];
    const console = await startConsole(
      {
        revealer: {
          reveal: async (id, { surface, groups }) => {
            asked.push(`${surface} ${groups.length}`);
            if (surface !== 'console') return { kind: 'not-revealed', sentence: 'Not by that way.' };
            return {
              kind: 'revealed',
              request: { ...hiding, id },
              statement: { ...hiding.statement, sql: "DELETE FROM t WHERE a = '<b>x'", binds: ['y'] },
            };
          },
        },
      },
      {},
      memoryDesk([hiding]),
    );
    const { cookie, csrf } = await console.signIn();
    const pending = await (await fetch(`${console.base}/requests/HP-7Q2F`, { headers: { cookie } })).text();
    expect(pending).toContain('formaction="/requests/HP-7Q2F/reveal"');
    expect(
      await (await console.form('/requests/HP-7Q2F/reveal', { csrf: 'x' }, { cookie })).text(),
    ).not.toContain('&lt;b&gt;x');
    expect(asked).toEqual([]);
    const answer = await console.form('/requests/HP-7Q2F/reveal', { csrf }, { cookie });
    expect(answer.headers.get('cache-control')).toBe('no-store');
    const page = await answer.text();
    expect(page).toContain('What HP-7Q2F hides');
    expect(page).toMatch(/&#39;&lt;b&gt;x|&lt;b&gt;x/);
    expect(page).not.toContain('<b>x');
    expect(await console.api('/requests/HP-7Q2F/reveal', await console.token(), {})).toMatchObject({
      status: 403,
      body: { error: 'Not by that way.' },
    });
    expect(asked).toHaveLength(2);
    await console.server.close();
  });

  test('nobody has their own request counted: a count says something of the data', async () => {
    const own = aRequest();
    const counted: string[] = [];
    const counting = await startConsole(
      {
        counter: {
          count: async (id) => {
            counted.push(id);
            return { kind: 'not-counted', sentence: 'Too slow.' };
          },
        },
      },
      {},
      memoryDesk([{ ...own, requester: { ...own.requester, ownerId: 'Dana@Example.com' } }]),
    );
    const refused = 'HP-7Q2F is your own request (Cursor for Alice). Somebody else must decide it.';
    expect(await counting.api('/requests/HP-7Q2F/count', await counting.token(), {})).toMatchObject({
      status: 403,
      body: { error: refused },
    });
    const { cookie, csrf } = await counting.signIn();
    await counting.form('/requests/HP-7Q2F/count', { csrf }, { cookie });
    const page = await (await fetch(`${counting.base}/requests/HP-7Q2F`, { headers: { cookie } })).text();
    expect(page).toContain(refused);
    expect(counted).toEqual([]);
    await counting.server.close();
  });

  test('no agent credential decides, in whatever form it is presented', async () => {
    const path = '/requests/HP-7Q2F/decision';
    for (const secret of [
      'cred_0123456789abcdef01234567',
      `hpc_${'a'.repeat(43)}`,
      `hpa_${'a'.repeat(43)}`,
      'eyJhbGciOiJub25lIn0.e30.',
    ]) {
      expect((await h.api(path, secret, { effect: 'approve' })).status).toBe(401);
      expect((await h.api(path, null, { effect: 'approve' }, { cookie: `holdpoint=${secret}` })).status).toBe(
        401,
      );
    }
    expect(h.desk.asked).toEqual([]);
  });

  test('looking at a login link does not spend it, signing in does, once', async () => {
    const link = await h.access.mintLink(DANA.id);
    for (let i = 0; i < 3; i += 1) expect((await fetch(`${h.base}/login/${link}`)).status).toBe(200);
    const first = await h.form('/login', { link }, {});
    expect(first.status).toBe(303);
    expect(first.headers.get('set-cookie')).toMatch(
      /^holdpoint=hps_\S+; .*Path=\/; HttpOnly; SameSite=Strict/,
    );
    expect((await h.form('/login', { link }, {})).status).toBe(401);
  });

  test('a session cookie is no bearer token and a token is no cookie', async () => {
    const { cookie } = await h.signIn();
    const token = await h.token();
    expect((await h.api('/me', cookie.split('=')[1] ?? '')).status).toBe(401);
    expect((await fetch(h.base, { headers: { cookie: `holdpoint=${token}` } })).status).toBe(401);
  });

  test('logging out ends the session', async () => {
    const { cookie, csrf } = await h.signIn();
    expect((await h.form('/logout', { csrf }, { cookie })).status).toBe(303);
    expect((await fetch(h.base, { headers: { cookie } })).status).toBe(401);
  });

  test('behind an https address the cookie is Secure and bound to the host', async () => {
    const secure = await startConsole({}, { publicUrl: 'https://hold.example.com' });
    const link = await secure.access.mintLink(DANA.id);
    const body = `link=${link}`;
    const cookie = await new Promise<string>((resolve, reject) => {
      const headers = {
        host: 'hold.example.com',
        origin: 'https://hold.example.com',
        'content-type': 'application/x-www-form-urlencoded',
      };
      httpRequest(
        { host: '127.0.0.1', port: secure.port, path: '/login', method: 'POST', headers },
        (answer) => {
          answer.resume();
          resolve(String(answer.headers['set-cookie']));
        },
      )
        .on('error', reject)
        .end(body);
    });
    expect(cookie).toMatch(/^__Host-holdpoint=.*Secure/);
    await secure.server.close();
  });
});

test('browsers are told to come by https only, where that is how they come', async () => {
  const told = (port: number, host: string, path = '/') =>
    new Promise<string | undefined>((resolve, reject) => {
      httpRequest({ host: '127.0.0.1', port, path, headers: { host } }, (answer) => {
        answer.resume();
        resolve(answer.headers['strict-transport-security']);
      })
        .on('error', reject)
        .end();
    });
  const secure = await startConsole({}, { publicUrl: 'https://hold.example.com' });
  for (const path of ['/', '/login/x', '/assets/console.css', '/api/me', '/healthz', '/none'])
    expect(await told(secure.port, 'HOLD.example.com', path), path).toBe('max-age=31536000');
  expect(await told(secure.port, `127.0.0.1:${secure.port}`)).toBeUndefined();
  await secure.server.close();
  const plain = await startConsole({}, { publicUrl: 'http://hold.example.com' });
  expect(await told(plain.port, 'hold.example.com')).toBeUndefined();
  await plain.server.close();
});

describe('other sites', () => {
  test('a foreign Host is refused, except for the health probe', async () => {
    expect(await raw(h.port, '/', { host: `evil.example:${h.port}` })).toBe(421);
    expect(await raw(h.port, '/assets/console.js', { host: 'evil.example' })).toBe(421);
    for (const path of ['/healthz', '/readyz'])
      expect(await raw(h.port, path, { host: '10.1.2.3:9999' })).toBe(200);
    expect(await raw(h.port, '/login/x', { host: `LOCALHOST:${h.port}` })).toBe(200);
  });

  test('a post from another origin or site is refused even with a valid session and CSRF token', async () => {
    const { cookie, csrf } = await h.signIn();
    const fields = { csrf, effect: 'approve' };
    for (const headers of [
      { origin: 'https://evil.example' },
      { origin: 'null' },
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
    ]) {
      expect((await h.form('/requests/HP-7Q2F/decision', fields, { cookie, ...headers })).status).toBe(403);
    }
    expect(h.desk.asked).toEqual([]);
  });

  test('a decision without the CSRF token is refused, on the page and through the API', async () => {
    const { cookie } = await h.signIn();
    expect((await h.form('/requests/HP-7Q2F/decision', { effect: 'approve' }, { cookie })).status).toBe(403);
    expect(
      (await h.form('/requests/HP-7Q2F/decision', { effect: 'approve', csrf: 'x'.repeat(43) }, { cookie }))
        .status,
    ).toBe(403);
    expect((await h.api('/requests/HP-7Q2F/decision', null, { effect: 'approve' }, { cookie })).status).toBe(
      403,
    );
    expect(h.desk.asked).toEqual([]);
  });

  test('pages carry a strict content security policy and hold no inline script or style', async () => {
    const { cookie } = await h.signIn();
    const answer = await fetch(h.base, { headers: { cookie } });
    expect(answer.headers.get('content-security-policy')).toMatch(
      /default-src 'none'.*frame-ancestors 'none'/,
    );
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
    expect(await answer.text()).not.toMatch(/<script>|<style|\sstyle=|\son[a-z]+=/);
  });
});

describe('deciding', () => {
  test('approve on the page goes to the desk as the console and says so after the redirect', async () => {
    const { cookie, csrf } = await h.signIn();
    const answer = await h.form(
      '/requests/HP-7Q2F/decision',
      { csrf, effect: 'approve', reason: ' fine\u202e\n ' },
      { cookie },
    );
    expect([answer.status, answer.headers.get('location')]).toEqual([303, '/requests/HP-7Q2F']);
    expect(h.desk.asked).toEqual([
      {
        id: 'HP-7Q2F',
        effect: 'approve',
        reason: 'fine',
        approver: { ...DANA, subject: null, surface: 'console' },
      },
    ]);
    const page = await (await fetch(`${h.base}/requests/HP-7Q2F`, { headers: { cookie } })).text();
    expect(page).toContain('HP-7Q2F approved.');
    expect(await (await fetch(`${h.base}/requests/HP-7Q2F`, { headers: { cookie } })).text()).not.toContain(
      'HP-7Q2F approved.',
    );
  });

  test('denies with the reasons of Slack’s menu, and asks once more before DDL and what touches every row', async () => {
    const { cookie, csrf } = await h.signIn();
    const decide = (fields: Record<string, string>) =>
      h.form('/requests/HP-7Q2F/decision', { csrf, ...fields }, { cookie });
    const [request] = await h.desk.list({});
    if (request === undefined) throw new Error('no request');
    h.desk.put({ ...request, statement: { ...request.statement, missingWhere: true } });
    const asked = await decide({ effect: 'approve', reason: 'go "on"' });
    const page = await asked.text();
    expect([asked.status, h.desk.asked.length]).toEqual([200, 0]);
    expect(page).toContain('It touches every row.');
    expect(page).toContain('name="reason" value="go &quot;on&quot;"');
    expect((await decide({ effect: 'approve', confirmed: 'HP-OTHER' })).status).toBe(200);
    expect((await decide({ effect: 'approve', confirmed: 'HP-7Q2F' })).status).toBe(303);
    for (const fields of [
      { deny: 'too-broad' },
      { deny: 'ask-first', reason: 'call me' },
      { deny: 'other', reason: 'my words' },
    ])
      expect((await decide(fields)).status).toBe(303);
    await decide({ deny: 'other', reason: ' ' });
    const told = await (await fetch(`${h.base}/requests/HP-7Q2F`, { headers: { cookie } })).text();
    expect(told).toContain('Nothing was decided: write your own words');
    expect((await decide({ deny: 'made-up' })).status).toBe(403);
    expect(h.desk.asked.map(({ effect, reason }) => [effect, reason])).toEqual([
      ['approve', null],
      ['deny', 'too broad'],
      ['deny', 'ask me first: call me'],
      ['deny', 'my words'],
    ]);
  });

  test('deny through the API carries the reason; the command line names itself', async () => {
    const token = await h.token();
    const answer = await h.api(
      '/requests/hp-7q2f/decision',
      token,
      { effect: 'deny', reason: 'too broad' },
      { 'x-holdpoint-client': 'cli' },
    );
    expect(answer.status).toBe(200);
    expect(h.desk.asked[0]).toMatchObject({
      effect: 'deny',
      reason: 'too broad',
      approver: { surface: 'cli' },
    });
    const again = await h.api('/requests/HP-7Q2F/decision', token, { effect: 'approve' });
    expect(again).toMatchObject({ status: 409, body: { kind: 'lost' } });
  });

  test('an alert is shown to approvers below what waits, with the way to suspend whose it is', async () => {
    const burst = {
      id: 'AL-0123456789abcdef',
      requester: aRequest().requester,
      count: 5,
      since: T0 - 180_000,
      at: T0,
      lines: ['DELETE <b>orders</b> on demo/shop: denied'],
    };
    const suspended: string[] = [];
    await h.server.close();
    h = await startConsole({
      bursts: {
        recent: async () => [burst],
        suspend: async (id, by) => {
          suspended.push(`${id} ${by.id}`);
          return burst;
        },
      },
    });
    const { cookie, csrf } = await h.signIn();
    const page = await (await fetch(h.base, { headers: { cookie } })).text();
    expect(page).toContain('Cursor for Alice: 5 destructive statements in 3 minutes');
    expect(page).toContain('DELETE &lt;b&gt;orders&lt;/b&gt; on demo/shop: denied');
    expect((await h.form(`/alerts/${burst.id}/suspend`, { csrf: 'x' }, { cookie })).status).toBe(403);
    await h.form('/alerts/AL-1/suspend', { csrf }, { cookie });
    expect(suspended).toEqual([]);
    expect((await h.form(`/alerts/${burst.id}/suspend`, { csrf }, { cookie })).status).toBe(303);
    expect(await (await fetch(h.base, { headers: { cookie } })).text()).toContain(
      'Cursor for Alice is suspended',
    );
    expect((await h.api('/alerts', await h.token())).body).toMatchObject({ alerts: [{ id: burst.id }] });
    expect((await h.api('/alerts/AL-1/suspend', await h.token(), {})).status).toBe(404);
    expect(suspended).toEqual([`${burst.id} ${DANA.id}`]);
  });

  test('the page of a request says who decides, what is easily overlooked, and links its session', async () => {
    const { terms, statement } = aRequest();
    h.desk.put(
      aRequest({
        sessionId: 'ses_1',
        waiterLive: false,
        terms: { ...terms, approverGroups: ['dba'], quorum: 2 },
        statement: { ...statement, missingWhere: true, taggedColumns: ['public.customers.email'] },
      }),
    );
    const { cookie } = await h.signIn();
    const page = await (await fetch(`${h.base}/requests/HP-7Q2F`, { headers: { cookie } })).text();
    for (const words of [
      '<a href="/sessions/ses_1"><code>ses_1</code></a>',
      '2 approvers of dba',
      'No WHERE: every row',
      'Personal data: public.customers.email',
      'The client waits no longer: approval lets one retry through',
    ])
      expect(page).toContain(words);
  });

  test('the owner gets no buttons, and a refusal of the desk is passed on', async () => {
    h.desk.put(aRequest({ requester: { ...aRequest().requester, ownerId: DANA.id } }));
    const { cookie } = await h.signIn();
    const page = await (await fetch(h.base, { headers: { cookie } })).text();
    expect(page).toContain('This is your own request');
    expect(page).not.toContain('value="approve"');
    const answer = await h.api('/requests/HP-7Q2F/decision', await h.token(), { effect: 'approve' });
    expect(answer).toMatchObject({ status: 403, body: { kind: 'refused' } });
  });

  test('a body that is not what it should be is refused in a sentence', async () => {
    const token = await h.token();
    const path = '/requests/HP-7Q2F/decision';
    expect((await h.api(path, token, { effect: 'maybe' })).status).toBe(400);
    expect((await h.api(path, token, { effect: 'approve', approver: 'x' })).status).toBe(400);
    expect((await h.api(path, token, { effect: 'approve' }, { 'content-type': 'text/plain' })).status).toBe(
      415,
    );
    expect((await h.api(path, token, { effect: 'approve', reason: 'x'.repeat(70_000) })).status).toBe(413);
    expect((await h.api('/requests/HP-9999/decision', token, { effect: 'approve' })).status).toBe(404);
    expect(h.desk.asked).toEqual([]);
  });

  test('a store that fails is told as unavailable, without details', async () => {
    const desk = memoryDesk();
    const broken = await startConsole(
      {},
      {},
      { ...desk, list: () => Promise.reject(new Error('password=hunter2')) },
    );
    const answer = await broken.api('/requests', await broken.token());
    expect(answer.status).toBe(503);
    expect(JSON.stringify(answer.body)).not.toContain('hunter2');
    await broken.server.close();
  });
});

describe('what is shown', () => {
  test('markup and invisible characters in SQL and reasons of others stay text', async () => {
    const evil = `SELECT '<script>alert(1)</script>' AS "\u202e</pre>" -- \u200b`;
    h.desk.put({ ...aRequest({ reason: '<img src=x onerror=y>' }, evil) });
    const { cookie } = await h.signIn();
    for (const path of ['/', '/requests/HP-7Q2F']) {
      const page = await (await fetch(h.base + path, { headers: { cookie } })).text();
      expect(page).not.toMatch(/<script>alert|<img src=x|\u202e|\u200b/);
      expect(page).toContain('U+202E');
    }
  });

  test('sessions are listed, filtered by owner and shown with what came back', async () => {
    const token = await h.token();
    expect((await h.api('/sessions?owner=ALICE', token)).body['sessions']).toHaveLength(1);
    expect((await h.api('/sessions?owner=bob', token)).body['sessions']).toHaveLength(0);
    expect((await h.api('/sessions?since=yesterday', token)).status).toBe(400);
    expect((await h.api('/sessions/ses_1/verify', token)).body).toMatchObject({ result: { kind: 'intact' } });
    const { cookie } = await h.signIn();
    const page = await (await fetch(`${h.base}/sessions/ses_1`, { headers: { cookie } })).text();
    for (const text of [
      '129.90',
      'The rows are not kept',
      'HP-3KD9',
      '42501',
      'record intact',
      'would hold: tried',
    ])
      expect(page).toContain(text);
    expect((await fetch(`${h.base}/sessions/..%2f..%2fetc`, { headers: { cookie } })).status).toBe(404);
  });

  test('changes of requests are streamed while the approver stays signed in', async () => {
    const token = await h.token();
    const answer = await fetch(`${h.base}/api/events`, { headers: { authorization: `Bearer ${token}` } });
    const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    const until = async (mark: string) => {
      while (!text.includes(mark)) {
        const part = await reader?.read();
        if (part === undefined || part.done) return;
        text += part.value;
      }
    };
    await until('ready');
    h.desk.put(aRequest({ version: 2, state: 'withdrawn' }));
    await until('withdrawn');
    expect(text).toContain('{"id":"HP-7Q2F","version":2,"state":"withdrawn"}');
    await h.access.end(token);
    h.desk.put(aRequest({ version: 3, state: 'lapsed' }));
    await until('lapsed');
    expect(text).not.toContain('lapsed');
  });
});

test('nobody suspends themselves, however they spell it', async () => {
  const token = await h.token();
  for (const person of ['dana@example.com', 'DANA@example.com ', '\uff44ana@example.com'])
    expect(await h.api('/people/suspend', token, { person })).toMatchObject({ status: 409 });
  expect((await h.api('/me', token)).status).toBe(200);
});

test('one person cannot take the live view from the others', async () => {
  const erin = { ...DANA, id: 'erin@example.com', email: 'erin@example.com', name: 'Erin' };
  const two = await startConsole({}, {}, undefined, { approvers: [DANA, erin] });
  const over = new AbortController();
  const status = async (token: string) =>
    (
      await fetch(`${two.base}/api/events`, {
        headers: { authorization: `Bearer ${token}` },
        signal: over.signal,
      })
    ).status;
  const dana = await two.token();
  for (let i = 0; i < 8; i += 1) expect(await status(dana)).toBe(200);
  expect(await status(dana)).toBe(503);
  const other = await two.access.redeemLink(await two.access.mintLink(erin.id), 'token');
  expect(await status(other?.secret ?? '')).toBe(200);
  over.abort();
  await two.server.close();
});

describe('credentials and policy', () => {
  test('a minted credential always has an owner: the one named, else the approver', async () => {
    const token = await h.token();
    const body = {
      owner: { email: 'Alice@Example.com', name: 'Alice' },
      agent: 'Cursor',
      groups: ['dev'],
      ttlMs: 3_600_000,
    };
    expect((await h.api('/credentials', token, body)).status).toBe(201);
    await h.api('/credentials', token, { ttlMs: 3_600_000 });
    expect(h.minted.map((input) => input.owner?.id)).toEqual(['alice@example.com', DANA.id]);
    expect((await h.api('/credentials', null, body)).status).toBe(401);
    expect((await h.api('/credentials/cred_00112233445566778899aabb/revoke', token, {})).status).toBe(200);
    expect((await h.api('/credentials/nonsense/revoke', token, {})).status).toBe(404);
  });

  test('the policy page shows what is in force, its version, who changed it last and what', async () => {
    const change = {
      version: '00112233aabbccdd',
      previous: 'ffff000011112222',
      at: T0,
      author: 'Dana',
      surface: 'cli' as const,
      session: 'pol_1',
      diff: '-defaults: { delete: hold }\n+defaults: { delete: deny }',
    };
    const other = await startConsole({ policy: policyOf({ change, path: '/etc/holdpoint/policy.yaml' }) });
    try {
      const { cookie } = await other.signIn();
      const page = await (await fetch(`${other.base}/policy`, { headers: { cookie } })).text();
      for (const text of [
        'version 00112233aabbccdd',
        'Dana',
        'ffff000011112222',
        '+defaults: { delete: deny }',
        '/sessions/pol_1',
      ])
        expect(page).toContain(text);
      expect(page).not.toContain('/etc/holdpoint');
      expect((await fetch(`${other.base}/policy?target=none`, { headers: { cookie } })).status).toBe(404);
      const put = await fetch(`${other.base}/api/policy`, {
        method: 'PUT',
        headers: { cookie, 'content-type': 'application/json', 'if-match': `"${change.version}"` },
        body: JSON.stringify({ text: 'version: 1' }),
      });
      // A cookie alone, without the CSRF token, changes nothing.
      expect([put.status, await put.text()]).toEqual([403, expect.stringContaining('CSRF')]);
    } finally {
      await other.server.close();
    }
  });

  test('a verdict at a target can be asked for', async () => {
    const token = await h.token();
    expect(
      (await h.api('/policy/explain', token, { sql: 'DELETE FROM t', target: 'shop' })).body['verdict'],
    ).toBe('hold');
    expect((await h.api('/policy/explain', token, { sql: 'x', target: 'none' })).status).toBe(404);
  });
});

describe('listening', () => {
  const nobody = async () => false;
  const options = (listen: object) => ({
    access: h.access,
    signIn: null,
    people: { suspensions: async () => [], suspend: nobody, restore: nobody },
    slackLinking: null,
    bursts: { recent: async () => [], suspend: async () => null },
    failedLogins: { note: () => {}, summary: () => Promise.reject(new Error('not in this test')) },
    desk: h.desk,
    counter: { count: async () => ({ kind: 'not-counted' as const, sentence: '' }) },
    revealer: { reveal: async () => ({ kind: 'not-revealed' as const, sentence: '' }) },
    sessions: memorySessions(),
    recorder: memoryRecorder(),
    policy: policyOf(),
    mintCredential: async () => ({ id: '', secret: '', expiresAt: 0 }),
    revokeCredential: async () => false,
    explain: async () => null,
    suggest: async () => null,
    replay: async () => null,
    health: { parts: async () => [] },
    listen: { host: '127.0.0.1', port: 0, publicUrl: null, allowedHosts: [], ...listen },
    log: quiet,
    now: () => T0,
  });

  test('a non-loopback address without a login is refused', () => {
    for (const host of ['0.0.0.0', '::', '192.168.1.4', 'console.internal', '127.0.0.1.evil.example']) {
      expect(() => createConsole(options({ host })), host).toThrow(ConsoleListenError);
    }
    const signIn = {
      start: async () => null,
      leave: async () => null,
      finish: () => Promise.reject(new Error()),
    };
    expect(() => createConsole({ ...options({ host: '0.0.0.0' }), signIn })).not.toThrow();
  });

  test('a busy configured port is an error, a busy default port moves on', async () => {
    const blocker = createServer();
    const port = await new Promise<number>((resolve) => {
      blocker.listen(0, '127.0.0.1', () => {
        const address = blocker.address();
        resolve(typeof address === 'object' && address !== null ? address.port : 0);
      });
    });
    await expect(createConsole(options({ port, configured: true })).listen()).rejects.toThrow(/in use/);
    const moving = createConsole(options({ port, configured: false }));
    expect((await moving.listen()).port).toBeGreaterThan(port);
    await moving.close();
    blocker.close();
  });
});
