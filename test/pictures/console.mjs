#!/usr/bin/env node
// Renders the console's pages in real Chromium: `node test/pictures/console.mjs [all]`. The few that the documents use go to
// docs/pictures/console-*.png; `all` puts every page and state, wide and narrow, light and dark, into the directory it names at the end.
import { mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { runnerImport } from 'vite';

const at = (path) => fileURLToPath(new URL(path, import.meta.url));
const load = async (path) => (await runnerImport(at(path), { logLevel: 'error' })).module;
const { startConsole } = await load('../console/harness.ts');
const { aRequest, aSession, EVENTS, memoryDesk, memoryRecorder, memorySessions, T0 } =
  await load('../console/fakes.ts');
const LOGIN = 'https://login.example.com holdpoint';
const all = process.argv[2] === 'all';

const by = (name, effect, surface, reason = null) => ({
  approverId: `${name.toLowerCase()}@example.com`,
  approverName: name,
  surface,
  effect,
  reason,
  at: T0 - 60_000,
  groups: ['dba'],
});
const one = (id, patch, statement = {}, sql = undefined) => {
  const request = aRequest({ id, ...patch }, sql);
  return { ...request, statement: { ...request.statement, ...statement } };
};
const production = { name: 'shop', environment: 'production', database: 'shop', role: 'app_rw' };
const UPDATE = `UPDATE orders o
   SET status = 'cancelled', cancelled_at = now()
  FROM customers c
 WHERE c.id = o.customer_id
   AND c.region = $1
   AND o.created_at < $2`;
const outcome = { code: null, rows: 12_400, tag: 'UPDATE 12400', ms: 184, transactionOpen: false };
const REQUESTS = [
  one(
    'HP-7Q2F',
    {
      target: production,
      purpose: 'OPS-311: orders of the closed region',
      impact: {
        ...{ rows: 12_387, why: null, approximate: false, counted: null, triggers: [], dependents: [] },
        tables: [{ name: 'public.orders', rows: 51_200, bytes: 9_437_184 }],
        ...{ lock: null, cascades: [], rewrites: null, transactionMs: null },
      },
      waiterLive: true,
      terms: { ...aRequest().terms, quorum: 2, approverGroups: ['dba'] },
      decisions: [by('Erin', 'approve', 'slack')],
    },
    { verb: 'UPDATE', class: 'update', relations: ['public.orders'], binds: ['EMEA', '2026-01-01'] },
    UPDATE,
  ),
  one(
    'HP-3KD9',
    { target: production, waiterLive: false, rules: ['ddl'], reason: 'Tables are changed by people.' },
    { verb: 'DROP TABLE', class: 'ddl', relations: ['public.orders_2019'] },
    'DROP TABLE orders_2019 CASCADE',
  ),
  one('HP-8XW4', {
    requester: {
      ...aRequest().requester,
      ownerId: 'dana@example.com',
      ownerName: 'Dana',
      ownerEmail: 'dana@example.com',
    },
  }),
  ...[
    'granted',
    'executing',
    'executed',
    'failed',
    'unknown',
    'denied',
    'expired',
    'withdrawn',
    'lapsed',
  ].map((state, i) =>
    one(`HP-S${i}ATE`, {
      state,
      version: 3,
      target: production,
      waiterLive: state === 'executing',
      endedAt: T0 - 30_000,
      createdAt: T0 - 600_000 * (i + 1),
      grantExpiresAt: T0 + 600_000,
      note: state === 'withdrawn' ? 'by Alice from the command line: not needed' : null,
      outcome:
        state === 'executed'
          ? outcome
          : state === 'failed'
            ? { ...outcome, code: '23503', rows: null, tag: null }
            : null,
      decisions:
        state === 'denied'
          ? [by('Dana', 'deny', 'slack', 'too broad: name the region')]
          : state === 'expired' || state === 'withdrawn'
            ? []
            : [by('Dana', 'approve', 'console')],
    }),
  ),
];
const sessions = [
  aSession(),
  aSession({
    id: 'ses_2',
    ownerName: 'Bob',
    ownerEmail: 'bob@example.com',
    ownerId: 'bob@example.com',
    agent: null,
    held: 0,
    denied: 0,
    statements: 118,
    rows: 20_412,
    startedAt: T0 - 7_200_000,
    endedAt: T0 - 5_000_000,
    endedWhy: 'closed by the client',
  }),
  aSession({
    id: 'ses_3',
    agent: 'CI deploy',
    target: 'billing',
    held: 4,
    errors: 2,
    startedAt: T0 - 90_000_000,
    endedAt: T0 - 89_000_000,
  }),
];
const signIn = {
  start: async () => null,
  finish: async () => ({
    kind: 'refused',
    sentence: 'The identity provider did not let you in; ask for access to Holdpoint there.',
    returnTo: '/',
  }),
};
const BURST = {
  id: 'AL-0123456789abcdef',
  requester: aRequest().requester,
  count: 5,
  since: T0 - 180_000,
  at: T0 - 60_000,
  lines: [
    'DELETE public.orders on production/shop: held as HP-7Q2F',
    'DROP TABLE public.orders_2019 on production/shop: held as HP-3KD9',
    'TRUNCATE public.audit_log on production/shop: denied',
  ],
};
/** Shown by `all`: the document's picture is of what waits. */
const bursts = { recent: async () => (all ? [BURST] : []), suspend: async () => BURST };
const h = await startConsole(
  { bursts, signIn, sessions: memorySessions(sessions), recorder: memoryRecorder(EVENTS) },
  {},
  memoryDesk(REQUESTS),
  { login: LOGIN, roles: { approver: ['dba'], auditor: ['dba'], admin: ['dba'] } },
);
const login = (email, name, groups) =>
  h.access.login({
    issuer: 'https://login.example.com',
    clientId: 'holdpoint',
    subject: email,
    email,
    name,
    groups,
    until: T0 + 8 * 3_600_000,
  });
const { secret } = await login('dana@example.com', 'Dana', ['dba']);
h.clock.now = T0 - 4_000_000;
await login('alice@example.com', 'Alice', []);
await login('erin@example.com', 'Erin', ['dba']);
await h.access.redeemLink(await h.access.mintLink('dana@example.com'), 'token');
h.clock.now = T0;
await h.credentials.suspend({ personId: 'mallory@example.com', by: 'erin@example.com', at: T0 - 86_400_000 });

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox'],
});
const out = all ? mkdtempSync(join(tmpdir(), 'console-pictures-')) : at('../../docs/pictures');
mkdirSync(out, { recursive: true });

async function picture(
  name,
  path,
  { width = 1000, height = 700, dark = false, signedIn = true, before, full = true } = {},
) {
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: dark ? 'dark' : 'light',
    deviceScaleFactor: width < 500 ? 2 : 1,
    timezoneId: 'Europe/Zurich',
    locale: 'en-GB',
    reducedMotion: 'reduce',
  });
  if (signedIn)
    await context.addCookies([
      { name: 'holdpoint', value: secret, url: h.base, httpOnly: true, sameSite: 'Strict' },
    ]);
  const page = await context.newPage();
  const errors = [];
  page.on('pageerror', (error) => errors.push(error.message));
  page.on(
    'console',
    (message) =>
      message.type() === 'error' && message.text().includes('Content') && errors.push(message.text()),
  );
  await page.clock.setFixedTime(T0);
  await page.goto(h.base + path, { waitUntil: 'load' });
  await before?.(page);
  const wide = await page.evaluate(
    () => document.documentElement.scrollWidth > document.documentElement.clientWidth,
  );
  if (wide) errors.push('scrolls sideways');
  await page.screenshot({ path: join(out, `console-${name}.png`), fullPage: full });
  await context.close();
  if (errors.length > 0) throw new Error(`${name}: ${errors.join('; ')}`);
}
const menu = async (page) => {
  const summary = page.locator('details.menu summary').first();
  await summary.focus();
  await page.keyboard.press('Enter');
};
const approve = async (page) => {
  await page.locator('button.approve').first().click();
  await page.waitForLoadState('load');
};

if (!all) {
  await picture('pending', '/', { full: false, height: 900 });
  await picture('request-phone', '/requests/HP-7Q2F', {
    width: 390,
    height: 844,
    dark: true,
    before: menu,
    full: false,
  });
  await picture('session', '/sessions/ses_1', { full: false, height: 800 });
  await picture('people', '/people', { full: false, height: 640 });
} else {
  for (const [size, width, dark] of [
    ['wide', 1100, false],
    ['narrow', 390, true],
  ]) {
    const as = { width, dark };
    await picture(`signin-${size}`, '/requests/HP-7Q2F', { ...as, signedIn: false });
    await picture(`refused-${size}`, '/login/callback?state=x', { ...as, signedIn: false });
    await picture(`pending-${size}`, '/', as);
    await picture(`menu-${size}`, '/requests/HP-7Q2F', { ...as, before: menu, full: false, height: 844 });
    await picture(`confirm-${size}`, '/requests/HP-3KD9', { ...as, before: approve });
    await picture(`terminal-${size}`, '/terminal', as);
    for (const page of ['sessions', 'people', 'sessions/ses_1'])
      await picture(`${page.replace('/', '-')}-${size}`, `/${page}`, as);
    for (const { id, state } of REQUESTS) await picture(`${state}-${id}-${size}`, `/requests/${id}`, as);
  }
}
await browser.close();
await h.server.close();
console.log(out);
