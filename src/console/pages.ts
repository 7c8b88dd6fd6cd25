/** Pages for a browser: plain forms and links, rendered here. */

import { type Context, Hono } from 'hono';
import { deleteCookie } from 'hono/cookie';
import { html } from 'hono/html';
import { REQUEST_STATES } from '../approvals/types.ts';
import { headline, needsConfirm } from '../approvals/words.ts';
import { hashSecret } from '../identity/access.ts';
import { formOf } from './body.ts';
import {
  choiceOf,
  cleanReason,
  countOf,
  decideAs,
  explainAs,
  outcomeOf,
  revealTo,
  suspendFor,
  withdrawAs,
} from './deciding.ts';
import { registerEntrance, returnPath } from './entrance.ts';
import { type Caller, cookieName, type Env, type Places } from './guard.ts';
import { continuePage, type Frame, layout, noticePage, signInNeeded, terminalPage } from './html/layout.ts';
import { policyPage } from './html/policy.ts';
import { confirmPage, pendingPage, requestPage, revealedPage } from './html/requests.ts';
import { sessionPage, sessionsPage } from './html/sessions.ts';
import type { Html } from './html/sql.ts';
import { registerPeoplePages } from './people.ts';
import { mayOpen, registrar } from './routes.ts';
import { REQUEST_ID, requestFor, requestsFor, seesSession, sessionsFor } from './scope.ts';
import { registerSlackLink } from './slack-link.ts';
import type { ConsoleOptions } from './types.ts';

type Flash = NonNullable<Frame['flash']>;
const MAX_FLASHES = 500;
const SETTLED = REQUEST_STATES.filter((state) => state !== 'pending');
const SINCE: ReadonlyMap<string, number> = new Map([
  ['1d', 1],
  ['7d', 7],
  ['30d', 30],
]);
const OWN_WORDS =
  'Nothing was decided: write your own words into the field, then choose Other, or choose one of the reasons.';
const SESSION_ID = /^[A-Za-z0-9_-]{1,64}$/;

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
  url: (path: string) => string,
): Hono<Env> {
  const { counter, desk, sessions, recorder, access, now } = options;
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

  const on = registrar(app, '', ['session'], {
    // Pages are for browsers: a token belongs to the API.
    signIn(c) {
      // From another site's link the browser keeps the Strict cookie to itself: asked again from here it sends it.
      const { pathname, search } = new URL(c.req.url);
      const here = `${pathname}${search}`;
      if (c.req.method === 'GET' && c.req.header('sec-fetch-site') === 'cross-site')
        return c.html(continuePage(returnPath(here)));
      const to = c.req.method === 'GET' ? returnPath(here) : '/';
      return c.html(signInNeeded(options.signIn !== null, to), 401);
    },
    role: (c, sentence) => c.html(noticePage('Not for you', sentence, home, c.get('caller')), 403),
    stale,
    csrf: async (c) => (await formOf(c))['csrf'],
  });

  registerEntrance(on, options, places, url);

  on('POST /logout', async (c) => {
    const { secret, person } = callerOf(c);
    await access.end(secret);
    const name = cookieName(c, places());
    deleteCookie(c, name, { path: '/', secure: name.startsWith('__Host-') });
    // Whoever came in by a link has no session there. Not a redirect: a form's may not lead to another site (form-action).
    const there = person.subject === null ? null : await options.signIn?.leave(url('/login/ended'));
    return there ? c.html(continuePage(there)) : c.redirect('/', 303);
  });

  on('GET /', async (c) => {
    const [pending, recent, bursts] = await Promise.all([
      requestsFor(desk, callerOf(c).person, ['pending'], 100),
      requestsFor(desk, callerOf(c).person, SETTLED, 12),
      mayOpen(callerOf(c), 'POST /alerts/:id/suspend') ? options.bursts.recent() : [],
    ]);
    return show(
      c,
      { title: 'Requests', tab: 'pending', live: true },
      // Oldest first: a new card must not move Approve from under the finger.
      pendingPage({ pending: [...pending].reverse(), recent, bursts }, callerOf(c), now()),
    );
  });

  on('GET /requests/:id', async (c) => {
    const caller = callerOf(c);
    const request = await requestFor(desk, caller.person, c.req.param('id') ?? '');
    if (request === null) return missing(c, 'request', home);
    const session = await sessions.get(request.sessionId);
    const openable = session !== null && (await seesSession(caller.person, session, desk));
    return show(
      c,
      { title: headline(request), tab: 'pending', live: true },
      requestPage(request, caller, openable, now()),
    );
  });

  on('POST /requests/:id/decision', async (c) => {
    const caller = callerOf(c);
    const id = c.req.param('id') ?? '';
    const form = await formOf(c);
    if (!REQUEST_ID.test(id)) return missing(c, 'request', home);
    const wanted = choiceOf(form);
    if (wanted === null) return stale(c);
    const { effect, reason } = wanted;
    if (form['deny'] === 'other' && reason === null) {
      flashes.put(caller, { tone: 'bad', text: OWN_WORDS });
      return c.redirect(`/requests/${id}`, 303);
    }
    if (effect === 'approve' && form['confirmed'] !== id) {
      const request = await desk.get(id);
      if (request !== null && request.state === 'pending' && needsConfirm(request))
        return show(
          c,
          { title: `Approve ${id}?`, tab: 'pending' },
          confirmPage(request, caller, reason, now()),
        );
    }
    const { status, sentence } = outcomeOf(
      await decideAs(desk, caller.person, 'console', { id, effect, reason }),
    );
    flashes.put(caller, { tone: status === 200 ? 'good' : 'bad', text: sentence });
    return c.redirect(status === 404 ? '/' : `/requests/${id}`, 303);
  });

  for (const what of ['withdraw', 'reason'] as const) {
    on(`POST /requests/:id/${what}`, async (c) => {
      const caller = callerOf(c);
      const known = await requestFor(desk, caller.person, c.req.param('id') ?? '');
      if (known === null) return missing(c, 'request', home);
      const { id } = known;
      const words = cleanReason((await formOf(c))['reason']);
      const result =
        what === 'withdraw'
          ? await withdrawAs(desk, caller.person, 'console', id, words)
          : await explainAs(desk, caller.person, 'console', id, words ?? '');
      const { status, sentence } = outcomeOf(result);
      flashes.put(caller, { tone: status === 200 ? 'good' : 'bad', text: sentence });
      return c.redirect(`/requests/${id}`, 303);
    });
  }

  on('POST /requests/:id/count', async (c) => {
    const caller = callerOf(c);
    const known = await requestFor(desk, caller.person, c.req.param('id') ?? '');
    if (known === null) return missing(c, 'request', home);
    const { status, sentence } = await countOf(counter, caller.person, 'console', known, now());
    flashes.put(caller, { tone: status === 200 ? 'good' : 'bad', text: sentence });
    return c.redirect(`/requests/${known.id}`, 303);
  });

  on('POST /requests/:id/reveal', async (c) => {
    const caller = callerOf(c);
    const known = await requestFor(desk, caller.person, c.req.param('id') ?? '');
    if (known === null) return missing(c, 'request', home);
    const shown = await revealTo(options.revealer, caller.person, 'console', known.id);
    if (shown.kind === 'revealed')
      return show(c, { title: known.id, tab: 'pending' }, revealedPage(shown.request, shown.statement));
    flashes.put(caller, { tone: 'bad', text: shown.sentence });
    return c.redirect(`/requests/${known.id}`, 303);
  });

  on('POST /alerts/:id/suspend', async (c) => {
    const caller = callerOf(c);
    const { status, sentence } = await suspendFor(options, caller.person, c.req.param('id') ?? '');
    flashes.put(caller, { tone: status === 200 ? 'good' : 'bad', text: sentence });
    return c.redirect('/', 303);
  });

  on('GET /sessions', async (c) => {
    const owner = (c.req.query('owner') ?? '').slice(0, 200).trim();
    const since = c.req.query('since') ?? '';
    const days = SINCE.get(since);
    const list = await sessionsFor(sessions, callerOf(c).person, {
      ...(owner === '' ? {} : { owner }),
      ...(days === undefined ? {} : { since: now() - days * 86_400_000 }),
      limit: 200,
    });
    return show(c, { title: 'Sessions', tab: 'sessions' }, sessionsPage(list, { owner, since }, now()));
  });

  on('GET /sessions/:id', async (c) => {
    const id = c.req.param('id') ?? '';
    const session = SESSION_ID.test(id) ? await sessions.get(id) : null;
    if (session === null || !(await seesSession(callerOf(c).person, session, desk)))
      return missing(c, 'session', html`<a href="/sessions">Back to the sessions</a>`);
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

  on('GET /policy', (c) => {
    const { targets } = options.policy;
    const name = c.req.query('target') ?? targets[0] ?? '';
    const view = options.policy.view(name);
    if (view === null) return missing(c, 'target', html`<a href="/policy">Back to the policy</a>`);
    return show(c, { title: 'Policy', tab: 'policy' }, policyPage(view, targets, now()));
  });

  on('GET /terminal', (c) => show(c, { title: 'Command line', tab: null }, terminalPage(callerOf(c), null)));
  on('POST /terminal', async (c) => {
    const link = await access.linkFor(callerOf(c).secret);
    return link === null
      ? c.redirect('/', 303)
      : show(
          c,
          { title: 'Command line', tab: null },
          terminalPage(callerOf(c), `holdpoint login ${url(`/login/${link}`)}`),
        );
  });
  registerSlackLink(on, options, callerOf, (c, body) => show(c, { title: 'Slack account', tab: null }, body));
  registerPeoplePages(
    on,
    options,
    callerOf,
    (c, body) => show(c, { title: 'People', tab: 'people' }, body),
    (c, done, text) => flashes.put(callerOf(c), { tone: done ? 'good' : 'bad', text }),
  );

  app.all('*', (c) => missing(c, 'page', home));
  return app;
}
