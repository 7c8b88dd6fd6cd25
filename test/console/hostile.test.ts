/** What agents, owners, databases and policy files say reaches every page as text, never as markup (DESIGN.md 19). */
import { afterEach, expect, test } from 'vitest';
import { REQUEST_STATES } from '../../src/approvals/types.ts';
import {
  aRequest,
  aSession,
  EVENTS,
  memoryDesk,
  memoryRecorder,
  memorySessions,
  policyOf,
  T0,
} from './fakes.ts';
import { startConsole } from './harness.ts';

const EVIL = `"'></code></title><script>pwned(1)</script><img src=x onerror=pwned(1)>\u202e\u0007{{x}}`;
/** Closed sets and what the gateway makes itself. */
const OURS = new Set(
  'id kind state effect class surface request transaction startedAt environment protocol sessionId sha256'.split(
    ' ',
  ),
);

/** Every text in it is the hostile one, wherever it is. */
function hostile<T>(value: T): T {
  return JSON.parse(
    JSON.stringify(value, (key, one: unknown) =>
      typeof one === 'string' && !OURS.has(key) && key !== '' ? EVIL : one,
    ),
  );
}

let h: Awaited<ReturnType<typeof startConsole>> | undefined;
afterEach(async () => {
  await h?.server.close();
});

test('letters and values that pass for others are spelled out', async () => {
  const own = aRequest({}, "DELETE FROM t WHERE state = 'оpen' OR note = '\u05d0'");
  h = await startConsole(
    {},
    {},
    memoryDesk([{ ...own, statement: { ...own.statement, binds: ['оne\u00a0'] } }]),
  );
  const { cookie } = await h.signIn();
  const page = await (await fetch(`${h.base}/requests/HP-7Q2F`, { headers: { cookie } })).text();
  for (const code of ['43E', '5D0', '0A0'])
    expect(page).toMatch(new RegExp(`class="ctl"[^>]*>U\\+0?0?${code}<`));
  expect(page).not.toMatch(/[\u043e\u05d0\u00a0]/);
});

test('hostile text in every field of every page stays text', async () => {
  const decision = {
    approverId: 'x',
    approverName: 'x',
    surface: 'slack',
    effect: 'approve',
    reason: 'x',
    at: T0,
  } as const;
  const base = aRequest({
    note: 'x',
    grantExpiresAt: T0 + 1000,
    outcome: { code: 'x', rows: 2, tag: 'x', ms: 1, transactionOpen: true },
  });
  const full = {
    ...base,
    statement: {
      ...base.statement,
      tidied: 'x',
      clientSays: 'x',
      binds: ['x', null],
      taggedColumns: ['x'],
      relations: ['x', 'y'],
    },
    terms: { ...base.terms, approverGroups: ['x'], reasonRequired: true },
  };
  const requests = REQUEST_STATES.map((state, i) =>
    hostile({ ...full, id: `HP-AAA${i}`, state, decisions: i % 2 === 0 ? [] : [decision] }),
  );
  const session = hostile(aSession({ endedAt: T0, endedWhy: 'x' }));
  const events = hostile([
    ...EVENTS,
    { kind: 'notice', t: T0, n: 1, text: 'x' } as const,
    { kind: 'policy', t: T0, version: 'x', note: 'x' } as const,
  ]);
  const recorder = memoryRecorder(events);
  h = await startConsole(
    {
      sessions: memorySessions([session]),
      recorder: { ...recorder, verify: async () => ({ kind: 'broken', at: 2, why: EVIL }) },
      policy: policyOf({
        text: EVIL,
        version: EVIL,
        target: 'shop',
        path: EVIL,
        warnings: [{ line: 1, column: 1, path: '', message: EVIL }],
        change: {
          version: EVIL,
          previous: EVIL,
          at: T0,
          author: EVIL,
          surface: 'api',
          session: 'pol_1',
          diff: EVIL,
        },
      }),
    },
    {},
    memoryDesk(requests),
  );
  const { cookie } = await h.signIn();
  const paths = [
    '/',
    '/sessions',
    `/sessions?owner=${encodeURIComponent(EVIL)}&since=${encodeURIComponent(EVIL)}`,
    '/sessions/ses_1',
    '/policy',
    ...requests.map(({ id }) => `/requests/${id}`),
    `/login/${encodeURIComponent(EVIL)}`,
    `/${encodeURIComponent(EVIL)}`,
  ];
  for (const path of paths) {
    const answer = await fetch(h.base + path, { headers: { cookie } });
    const page = await answer.text();
    expect(answer.headers.get('content-security-policy'), path).toContain("default-src 'none'");
    expect(page, path).not.toMatch(/<script>pwned|<img src=x|"'>|<\/title>(?=.*<\/title>)/s);
    if (!path.includes('?') && !path.startsWith('/login'))
      for (const char of ['\u202e', '\u0007'])
        expect(
          page.split('\n').filter((line) => line.includes(char)),
          path,
        ).toEqual([]);
    expect(page, path).toContain('</html>');
  }
  const list = await (await fetch(`${h.base}/`, { headers: { cookie } })).text();
  expect(list).toContain('&lt;script&gt;pwned(1)&lt;/script&gt;');
});
