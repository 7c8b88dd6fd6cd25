/** Coming in: by the provider (`/login`, `/login/callback`) or by a one-time link (`/login/hpl_…`). Each login is a new session. */
import type { Context } from 'hono';
import { deleteCookie, getCookie, setCookie } from 'hono/cookie';
import { html } from 'hono/html';
import type { AccessGrant } from '../identity/access.ts';
import { SIGN_IN_MS } from '../identity/sign-in.ts';
import { formOf } from './body.ts';
import { cookieName, type Env, type Places, sourceOf } from './guard.ts';
import { continuePage, loginPage, noticePage } from './html/layout.ts';
import type { Register } from './routes.ts';
import type { ConsoleOptions } from './types.ts';

const MAX_RETURN = 500;

/** A path of ours to go on to, else `/`. Never another site's address, never a login, a logout or the API. */
export function returnPath(given: string | undefined): string {
  if (given === undefined || given.length > MAX_RETURN || !/^\/(?![/\\])[\x21-\x5b\x5d-\x7e]*$/.test(given))
    return '/';
  const base = 'http://holdpoint.invalid';
  if (!URL.canParse(given, base)) return '/';
  const url = new URL(given, base);
  if (url.origin !== base || /^\/+(login|logout|api|assets)(\/|$)/i.test(url.pathname)) return '/';
  // A path such as /.//evil.example comes out as //evil.example.
  return url.pathname.startsWith('//') ? '/' : `${url.pathname}${url.search}`;
}

export function registerEntrance(
  on: Register,
  options: ConsoleOptions,
  places: () => Places,
  url: (path: string) => string,
): void {
  const { access, signIn, now, log } = options;
  const callback = (): string => url('/login/callback');
  const loginCookie = (c: Context<Env>): string => `${cookieName(c, places())}-login`;
  const isSecure = (name: string): boolean => name.startsWith('__Host-');

  async function enter(c: Context<Env>, grant: AccessGrant): Promise<void> {
    const name = cookieName(c, places());
    // Whoever was signed in here is not any more: a login is never mixed with an older session.
    const before = getCookie(c, name);
    if (before !== undefined) await access.end(before).catch(() => false);
    setCookie(c, name, grant.secret, {
      path: '/',
      httpOnly: true,
      sameSite: 'Strict',
      secure: isSecure(name),
      maxAge: Math.max(1, Math.floor((grant.expiresAt - now()) / 1000)),
    });
    log.info({ person: grant.person.id }, 'somebody signed in to the console');
  }

  const again = (path: string) =>
    html`<a class="button" href="/login?return=${encodeURIComponent(path)}">Sign in again</a>`;

  on('GET /login', async (c) => {
    const to = returnPath(c.req.query('return'));
    if (signIn === null) return c.redirect(to, 303);
    // The provider answers to one address; the cookie must be of that host.
    const here = (c.req.header('host') ?? '').toLowerCase();
    if (here !== new URL(callback()).host)
      return c.redirect(url(`/login?return=${encodeURIComponent(to)}`), 303);
    const begun = await signIn.start(to, callback());
    if (begun === null) {
      const sentence = 'The identity provider cannot be asked now, or its configuration is not acceptable.';
      return c.html(noticePage('Sign-in not available', sentence, again(to), null), 503);
    }
    const name = loginCookie(c);
    // Lax: the provider sends the browser back from another site. It holds nothing that signs anyone in.
    setCookie(c, name, begun.sealed, {
      path: '/',
      httpOnly: true,
      sameSite: 'Lax',
      secure: isSecure(name),
      maxAge: SIGN_IN_MS / 1000,
    });
    return c.redirect(begun.url, 303);
  });

  on('GET /login/callback', async (c) => {
    if (signIn === null) return c.redirect('/', 303);
    const name = loginCookie(c);
    const sealed = getCookie(c, name) ?? null;
    deleteCookie(c, name, { path: '/', secure: isSecure(name) });
    const end = await signIn.finish(new URL(c.req.url).searchParams, sealed, callback(), sourceOf(c));
    const to = returnPath(end.returnTo);
    if (end.kind === 'refused') {
      options.failedLogins.note({
        via: 'sign-in',
        address: sourceOf(c),
        reason: 'sign-in-refused',
        claimed: null,
        owner: null,
        detail: end.sentence,
      });
      return c.html(noticePage('Not signed in', end.sentence, again(to), null), 403);
    }
    const grant = await access.login(end.login, sourceOf(c));
    if (grant === null) {
      const sentence = 'Your access to Holdpoint is suspended.';
      return c.html(noticePage('Not signed in', sentence, 'Ask an administrator of Holdpoint.', null), 403);
    }
    await enter(c, grant);
    // Not a redirect: a browser that comes from another site would not send the Strict cookie along.
    return c.html(continuePage(to));
  });

  /** The one place to which the provider sends back whoever signed out there. */
  on('GET /login/ended', (c) =>
    c.html(noticePage('Signed out', 'You are signed out of Holdpoint.', again('/'), null)),
  );

  /** Shows a button only: what previews the link does not spend it. Says nothing about whether it is good. */
  on('GET /login/:link', (c) => c.html(loginPage((c.req.param('link') ?? '').slice(0, 100))));
  on('POST /login', async (c) => {
    const form = await formOf(c);
    const { link } = form;
    // A form that broke off is no attempt.
    const grant = typeof link === 'string' ? await access.redeemLink(link, 'session', sourceOf(c)) : null;
    if (grant === null) {
      const next = html`A link works once, within ten minutes. Get a new one with <code>holdpoint link</code>, or start Holdpoint again.`;
      return c.html(noticePage('Link not valid', 'This link is wrong, used or too old.', next, null), 401);
    }
    await enter(c, grant);
    return c.redirect('/', 303);
  });
}
