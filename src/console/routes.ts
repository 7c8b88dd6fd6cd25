/**
 * Every page and API route, and which roles it admits: the one table. A route that is not in it cannot be registered, and a path that
 * no route answers is refused. Where a role admits to a part only (one's own requests and sessions), scope.ts draws the line.
 */
import type { Context, Handler, Hono } from 'hono';
import type { Role } from '../identity/roles.ts';
import { fail } from './body.ts';
import { type Caller, csrfMatches, type Env } from './guard.ts';

type Needs = 'nobody' | readonly [Role, ...Role[]];

const EVERYONE = ['requester', 'approver', 'auditor', 'admin'] as const;
const STAFF = ['approver', 'auditor', 'admin'] as const;

/** The page routes and, below, those of the API. */
export const ROUTES = {
  'GET /login': 'nobody',
  'GET /login/callback': 'nobody',
  'GET /login/ended': 'nobody',
  'GET /login/:link': 'nobody',
  'POST /login': 'nobody',
  'POST /logout': EVERYONE,
  'GET /': EVERYONE,
  'GET /requests/:id': EVERYONE,
  'POST /requests/:id/decision': ['approver'],
  'POST /requests/:id/withdraw': EVERYONE,
  'POST /requests/:id/reason': EVERYONE,
  'POST /requests/:id/count': ['approver'],
  'POST /requests/:id/reveal': ['approver'],
  'POST /alerts/:id/suspend': ['approver'],
  'GET /sessions': EVERYONE,
  'GET /sessions/:id': EVERYONE,
  'GET /policy': STAFF,
  'GET /slack/link/:token': EVERYONE,
  'POST /slack/link/:token': EVERYONE,
  'GET /terminal': EVERYONE,
  'POST /terminal': EVERYONE,
  'GET /people': ['admin'],
  'POST /people/logout': ['admin'],
  'POST /people/suspend': ['admin'],
  'POST /people/restore': ['admin'],

  'POST /api/login': 'nobody',
  'POST /api/logout': EVERYONE,
  'GET /api/me': EVERYONE,
  'POST /api/links': EVERYONE,
  'GET /api/events': EVERYONE,
  'GET /api/requests': EVERYONE,
  'GET /api/requests/:id': EVERYONE,
  'POST /api/requests/:id/decision': ['approver'],
  'POST /api/requests/:id/withdraw': EVERYONE,
  'POST /api/requests/:id/reason': EVERYONE,
  'POST /api/requests/:id/count': ['approver'],
  'POST /api/requests/:id/reveal': ['approver'],
  'GET /api/alerts': ['approver'],
  'POST /api/alerts/:id/suspend': ['approver'],
  'GET /api/logins/failed': ['auditor', 'admin'],
  'GET /api/sessions': EVERYONE,
  'GET /api/sessions/:id': EVERYONE,
  'GET /api/sessions/:id/verify': EVERYONE,
  'GET /api/policy': STAFF,
  'PUT /api/policy': ['admin'],
  'POST /api/policy/explain': STAFF,
  'POST /api/policy/suggest': ['admin'],
  'POST /api/policy/replay': ['auditor', 'admin'],
  'POST /api/credentials': ['admin'],
  'POST /api/credentials/:id/revoke': ['admin'],
  'GET /api/people': ['admin'],
  'POST /api/people/logout': ['admin'],
  'POST /api/people/suspend': ['admin'],
  'POST /api/people/restore': ['admin'],
} as const satisfies Readonly<Record<string, Needs>>;
export type RouteName = keyof typeof ROUTES;

/** What a refusal looks like: a page, or JSON. */
export interface Refusals {
  signIn(c: Context<Env>): Response | Promise<Response>;
  role(c: Context<Env>, sentence: string): Response | Promise<Response>;
  stale(c: Context<Env>): Response | Promise<Response>;
  /** The CSRF token that came with the request. */
  csrf(c: Context<Env>): Promise<unknown>;
}

export type Register = (name: RouteName, handler: (c: Context<Env>) => Response | Promise<Response>) => void;

/** Would this route serve them at all? For what is offered to click. */
export function mayOpen({ person }: Caller, name: RouteName): boolean {
  const needs: Needs = ROUTES[name];
  return needs === 'nobody' || needs.some((role) => person.roles.has(role));
}

const NAMES = {
  requester: 'a requester',
  approver: 'an approver',
  auditor: 'an auditor',
  admin: 'an administrator',
};

/** Registers routes on `app`, each behind what the table says. `via`: what the place takes as proof of who asks. */
export function registrar(
  app: Hono<Env>,
  prefix: '' | '/api',
  via: readonly Caller['via'][],
  refusals: Refusals,
): Register {
  return (name, handler) => {
    const [method = '', path = ''] = name.split(' ');
    if (prefix !== '' && !path.startsWith(`${prefix}/`)) throw new Error(`${name} is not of ${prefix}`);
    const needs: Needs = ROUTES[name];
    const guarded: Handler<Env> = async (c) => {
      if (needs === 'nobody') return handler(c);
      const caller = c.get('caller');
      if (caller === null || !via.includes(caller.via)) return refusals.signIn(c);
      if (method !== 'GET' && caller.via === 'session' && !csrfMatches(caller, await refusals.csrf(c)))
        return refusals.stale(c);
      if (!needs.some((role) => caller.person.roles.has(role))) {
        const roles = needs.map((role) => NAMES[role]).join(' or ');
        return refusals.role(
          c,
          `This is for ${roles}, which you are not; nothing was done. Ask an administrator.`,
        );
      }
      return handler(c);
    };
    app.on(method, path.slice(prefix.length), guarded);
  };
}

export const apiRefusals: Refusals = {
  signIn(c) {
    const tooMany = c.get('tooMany');
    if (tooMany !== null) throw tooMany;
    return fail(c, 401, 'A login is needed: run `holdpoint login` first.');
  },
  role: (c, sentence) => fail(c, 403, sentence),
  stale: (c) => fail(c, 403, 'The CSRF token is missing or wrong; reload the page.'),
  csrf: async (c) => c.req.header('x-csrf-token'),
};
