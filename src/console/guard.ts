/**
 * What every request passes before a route sees it: Host (DNS rebinding), Origin and Sec-Fetch-Site (cross-site posts), security
 * headers, and who it is. Cookie sessions additionally need the CSRF token on everything that changes something.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { HttpBindings } from '@hono/node-server';
import type { Context, MiddlewareHandler } from 'hono';
import { getCookie } from 'hono/cookie';
import type { Networks } from '../edge/address.ts';
import { clientAddress } from '../edge/forwarded.ts';
import type { HttpDoor } from '../edge/http-door.ts';
import { type Access, TooManyFailures } from '../identity/access.ts';
import type { Person } from '../identity/roles.ts';
import { HEALTH_PATHS } from './health.ts';

/** Who asks, and through what. */
export interface Caller {
  readonly person: Person;
  readonly via: 'session' | 'token';
  readonly secret: string;
  readonly csrf: string;
}
export interface Env {
  Bindings: HttpBindings;
  Variables: {
    caller: Caller | null;
    address: string;
    /** What came as a proof was wrong, and so was much else from there. */
    tooMany: TooManyFailures | null;
  };
}

const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "style-src 'self'",
  "script-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ');

export const securityHeaders: MiddlewareHandler<Env> = async (c, next) => {
  await next();
  const headers = c.res.headers;
  headers.set('content-security-policy', CONTENT_SECURITY_POLICY);
  headers.set('x-content-type-options', 'nosniff');
  headers.set('x-frame-options', 'DENY');
  headers.set('cross-origin-opener-policy', 'same-origin');
  headers.set('cross-origin-resource-policy', 'same-origin');
  // Not no-referrer: that makes browsers send `Origin: null` with a form.
  headers.set('referrer-policy', 'same-origin');
  headers.set('permissions-policy', 'camera=(), microphone=(), geolocation=()');
  if (!headers.has('cache-control')) headers.set('cache-control', 'no-store');
};

/** Where the console may be addressed. Filled in once the port is known. */
export interface Places {
  readonly hosts: ReadonlySet<string>;
  readonly origins: ReadonlySet<string>;
  /** Host of an https public URL: cookies are `Secure` there. */
  readonly secureHost: string | null;
}

export function placesOf(
  listen: {
    readonly host: string;
    readonly publicUrl: string | null;
    readonly allowedHosts: readonly string[];
  },
  port: number,
  onLoopback = true,
): Places {
  const bracketed =
    listen.host.includes(':') && !listen.host.startsWith('[') ? `[${listen.host}]` : listen.host;
  // Beyond this machine only the public address is answered: there is nothing to sign in to in the clear.
  const loopback = onLoopback
    ? [bracketed, '127.0.0.1', 'localhost', '[::1]'].map((host) => `${host}:${port}`)
    : [];
  const named = listen.allowedHosts.map((host) => host.toLowerCase());
  const open = listen.publicUrl === null ? null : new URL(listen.publicUrl);
  const hosts = new Set([...loopback, ...named, ...(open === null ? [] : [open.host])]);
  const origins = new Set([
    ...loopback.map((host) => `http://${host}`),
    ...named.flatMap((host) => [`http://${host}`, `https://${host}`]),
    ...(open === null ? [] : [open.origin]),
  ]);
  return { hosts, origins, secureHost: open !== null && open.protocol === 'https:' ? open.host : null };
}

const YEAR_S = 31_536_000;

/** Where people reach it by https, they never do otherwise again. On this machine's own addresses nothing is said: there is no TLS. */
export function strictTransport(places: () => Places): MiddlewareHandler<Env> {
  return async (c, next) => {
    await next();
    if (isSecure(c, places())) c.res.headers.set('strict-transport-security', `max-age=${YEAR_S}`);
  };
}
function isSecure(c: Context<Env>, { secureHost }: Places): boolean {
  return secureHost !== null && c.req.header('host')?.toLowerCase() === secureHost;
}

const READS = new Set(['GET', 'HEAD', 'OPTIONS']);

export function placeGuard(places: () => Places): MiddlewareHandler<Env> {
  return async (c, next) => {
    // Probes of an orchestrator address the pod by its own name.
    if (HEALTH_PATHS.has(c.req.path)) return next();
    const { hosts, origins } = places();
    if (!hosts.has((c.req.header('host') ?? '').toLowerCase())) {
      return c.text(
        'This address is not one of the console; use the printed URL, or add the host to the allowed hosts.',
        421,
      );
    }
    if (!READS.has(c.req.method)) {
      const origin = c.req.header('origin');
      const site = c.req.header('sec-fetch-site');
      const foreign = origin !== undefined && !origins.has(origin.toLowerCase());
      if (foreign || (site !== undefined && site !== 'same-origin' && site !== 'none')) {
        return c.text('This request comes from another site and is refused.', 403);
      }
    }
    return next();
  };
}

/** Known to the page and to whoever holds the session; the session secret cannot be had from it. */
export function csrfOf(sessionSecret: string): string {
  return createHash('sha256').update(`csrf\0${sessionSecret}`).digest('base64url');
}
export function csrfMatches(caller: Caller, given: unknown): boolean {
  if (typeof given !== 'string') return false;
  const [expected, actual] = [Buffer.from(caller.csrf), Buffer.from(given)];
  return expected.length === actual.length && timingSafeEqual(expected, actual);
}

export function cookieName(c: Context<Env>, places: Places): string {
  return isSecure(c, places) ? '__Host-holdpoint' : 'holdpoint';
}

/** The address that a request is from, behind trusted proxies as well. */
export const sourceOf = (c: Context<Env>): string => c.get('address');

/** Whose the request is, and whether its connection has a place for it. */
export function placed(door: () => HttpDoor, proxies: Networks): MiddlewareHandler<Env> {
  return async (c, next) => {
    const { socket } = c.env.incoming;
    c.set('address', clientAddress(socket.remoteAddress ?? '', c.req.header('x-forwarded-for'), proxies));
    if (!door().isReserved(socket) || HEALTH_PATHS.has(c.req.path)) return next();
    c.header('connection', 'close');
    return c.text('The console has as many connections as it takes; try again shortly.', 503);
  };
}

const BEARER = /^Bearer +(\S+)$/i;

/** Never both: a bearer token that is wrong is not rescued by a cookie. */
export function identify(access: Access, places: () => Places, door: () => HttpDoor): MiddlewareHandler<Env> {
  return async (c, next) => {
    c.set('caller', null);
    c.set('tooMany', null);
    const authorization = c.req.header('authorization');
    const bearer = authorization === undefined ? undefined : (BEARER.exec(authorization)?.[1] ?? '');
    const via = bearer === undefined ? 'session' : 'token';
    const secret = bearer ?? getCookie(c, cookieName(c, places()));
    // A session is for cookies, a token for the header: neither does for the other.
    if (secret !== undefined && secret !== '') {
      // Whoever keeps an old cookie or token can still log in with a new link.
      const person = await access.authenticate(secret, sourceOf(c), via).catch((error: unknown) => {
        if (!(error instanceof TooManyFailures)) throw error;
        c.set('tooMany', error);
        return null;
      });
      if (person !== null) {
        c.set('caller', { person, via, secret, csrf: csrfOf(secret) });
        door().prove(c.env.incoming.socket, c.env.outgoing, person.id);
      }
    }
    return next();
  };
}
