/** Pages for a browser: plain forms and links, rendered here. */

import { type Context, Hono } from 'hono';
import { deleteCookie, setCookie } from 'hono/cookie';
import { html } from 'hono/html';
import { REQUEST_STATES } from '../approvals/types.ts';
import { headline } from '../approvals/words.ts';
import { hashSecret } from '../identity/access.ts';
import { cleanReason, decideAs, outcomeOf, REQUEST_ID } from './deciding.ts';
import { type Caller, cookieName, csrfMatches, type Env, type Places, sourceOf } from './guard.ts';
import { type Frame, layout, loginPage, noticePage, signInNeeded } from './html/layout.ts';
import { policyPage } from './html/policy.ts';
import { pendingPage, requestPage } from './html/requests.ts';
import { sessionPage, sessionsPage } from './html/sessions.ts';
import type { Html } from './html/sql.ts';
import type { ConsoleOptions } from './types.ts';

type Flash = NonNullable<Frame['flash']>;
const MAX_FLASHES = 500;
const SETTLED = REQUEST_STATES.filter((state) => state !== 'pending');
const SINCE: ReadonlyMap<string, number> = new Map([
  ['1d', 1],
  ['7d', 7],
  ['30d', 30],
]);
const SESSION_ID = /^[A-Za-z0-9_-]{1,64}$/;

/** The fields of a form; none when the body is not a well-formed one. */
async function formOf(c: Context<Env>): Promise<Readonly<Record<string, unknown>>> {
  try {
    return await c.req.parseBody();
  } catch {
    return {};
  }
}

/** A message for the next page of this session; kept here, so that no link can put words into the console's mouth. */
function createFlashes() {
  const flashes = new Map<string, Flash>();
  return {
    put(caller: Caller, flash: Flash): void {
      if (flashes.size >= MAX_FLASHES) flashes.clear();
      flashes.set(hashSecret(caller.secret), flash);
    },
    take(caller: Caller): Flash | null {
      const key = hashSecret(caller.secret);
      const flash = flashes.get(key) ?? null;
      flashes.delete(key);
      return flash;
    },
  };
}

export function createPages(
  options: ConsoleOptions,
  callerOf: (c: Context<Env>) => Caller,
  places: () => Places,
): Hono<Env> {
  const { desk, sessions, recorder, access, now, log } = options;
  const flashes = createFlashes();
  const app = new Hono<Env>();

  const show = (c: Context<Env>, frame: Omit<Frame, 'caller' | 'flash'>, body: Html) => {
    const caller = callerOf(c);
    // The script's own re-reading of the page must not swallow the message.
    const flash = c.req.header('x-holdpoint-live') === '1' ? null : flashes.take(caller);
    return c.html(layout({ ...frame, caller, flash }, body));
  };
  const missing = (c: Context<Env>, what: string, back: Html) =>
    c.html(noticePage('Not found', `There is no such ${what}.`, back, c.get('caller')), 404);
  const home = html`<a href="/">Back to the requests</a>`;

  /** Shows a button only: what previews the link does not spend it. Says nothing about whether it is good. */
  app.get('/login/:link', (c) => c.html(loginPage(c.req.param('link').slice(0, 100))));
  app.post('/login', async (c) => {
    const form = await formOf(c);
    const link = typeof form['link'] === 'string' ? form['link'] : '';
    const grant = await access.redeemLink(link, 'session', sourceOf(c));
    if (grant === null) {
      const next = html`A link works once, within ten minutes. Get a new one with <code>holdpoint link</code>, or start Holdpoint again.`;
      return c.html(noticePage('Link not valid', 'This link is wrong, used or too old.', next, null), 401);
    }
    const name = cookieName(c, places());
    setCookie(c, name, grant.secret, {
      path: '/',
      httpOnly: true,
      sameSite: 'Strict',
      secure: name.startsWith('__Host-'),
      maxAge: Math.max(1, Math.floor((grant.expiresAt - now()) / 1000)),
    });
    log.info({ approver: grant.approver.id }, 'approver signed in to the console');
    return c.redirect('/', 303);
  });

  app.use(async (c, next) => {
    const caller = c.get('caller');
    // Pages are for browsers: a token belongs to the API.
    if (caller === null || caller.via !== 'session') return c.html(signInNeeded(), 401);
    return next();
  });

  app.post('/logout', async (c) => {
    const form = await formOf(c);
    if (!csrfMatches(callerOf(c), form['csrf'])) return stale(c);
    await access.end(callerOf(c).secret);
    deleteCookie(c, cookieName(c, places()), { path: '/', secure: places().secureHost !== null });
    return c.redirect('/', 303);
  });

  const stale = (c: Context<Env>) =>
    c.html(
      noticePage(
        'Page out of date',
        'Nothing was changed: the form is not of your current sign-in.',
        home,
        c.get('caller'),
      ),
      403,
    );

  app.get('/', async (c) => {
    const [pending, recent] = await Promise.all([
      desk.list({ states: ['pending'], limit: 100 }),
      desk.list({ states: SETTLED, limit: 12 }),
    ]);
    return show(
      c,
      { title: 'Requests', tab: 'pending', live: true },
      // Oldest first: a new card must not move Approve from under the finger.
      pendingPage([...pending].reverse(), recent, callerOf(c), now()),
    );
  });

  app.get('/requests/:id', async (c) => {
    const id = c.req.param('id');
    const request = REQUEST_ID.test(id) ? await desk.get(id) : null;
    if (request === null) return missing(c, 'request', home);
    return show(
      c,
      { title: headline(request), tab: 'pending', live: true },
      requestPage(request, callerOf(c), now()),
    );
  });

  app.post('/requests/:id/decision', async (c) => {
    const caller = callerOf(c);
    const id = c.req.param('id');
    const form = await formOf(c);
    if (!csrfMatches(caller, form['csrf'])) return stale(c);
    const effect = form['effect'];
    if (!REQUEST_ID.test(id)) return missing(c, 'request', home);
    if (effect !== 'approve' && effect !== 'deny') return stale(c);
    const reason = cleanReason(form['reason']);
    const { status, sentence } = outcomeOf(
      await decideAs(desk, caller.approver, 'console', { id, effect, reason }),
    );
    flashes.put(caller, { tone: status === 200 ? 'good' : 'bad', text: sentence });
    return c.redirect(status === 404 ? '/' : `/requests/${id}`, 303);
  });

  app.get('/sessions', async (c) => {
    const owner = (c.req.query('owner') ?? '').slice(0, 200).trim();
    const since = c.req.query('since') ?? '';
    const days = SINCE.get(since);
    const list = await sessions.list({
      ...(owner === '' ? {} : { owner }),
      ...(days === undefined ? {} : { since: now() - days * 86_400_000 }),
      limit: 200,
    });
    return show(c, { title: 'Sessions', tab: 'sessions' }, sessionsPage(list, { owner, since }, now()));
  });

  app.get('/sessions/:id', async (c) => {
    const id = c.req.param('id');
    const session = SESSION_ID.test(id) ? await sessions.get(id) : null;
    if (session === null) return missing(c, 'session', html`<a href="/sessions">Back to the sessions</a>`);
    const [events, verified] = await Promise.all([
      recorder.read(id),
      // What cannot be verified is shown as not verified, beside the record itself.
      recorder.verify(id).catch(() => null),
    ]);
    const page = Number.parseInt(c.req.query('page') ?? '1', 10) || 1;
    return show(
      c,
      { title: `Session ${id}`, tab: 'sessions' },
      sessionPage(session, events, verified, page, now()),
    );
  });

  app.get('/policy', (c) => {
    const { targets } = options.policy;
    const name = c.req.query('target') ?? targets[0] ?? '';
    const view = options.policy.view(name);
    if (view === null) return missing(c, 'target', html`<a href="/policy">Back to the policy</a>`);
    return show(c, { title: 'Policy', tab: 'policy' }, policyPage(view, targets, now()));
  });

  app.all('*', (c) => missing(c, 'page', home));
  return app;
}
