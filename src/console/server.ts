/** The console: HTTP API and pages, on one socket (DESIGN.md 13). */
import { readFileSync } from 'node:fs';
import type { Server } from 'node:http';
import { BlockList, isIP } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import { type Context, Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { html } from 'hono/html';
import { NO_NETWORKS } from '../edge/address.ts';
import { HTTP_TIMES, type HttpDoor, httpDoor } from '../edge/http-door.ts';
import { TooManyFailures } from '../identity/access.ts';
import { Unchecked } from '../identity/known.ts';
import { createApi } from './api.ts';
import { createLive } from './events.ts';
import {
  type Caller,
  type Env,
  identify,
  type Places,
  placed,
  placeGuard,
  placesOf,
  securityHeaders,
  strictTransport,
} from './guard.ts';
import { healthRoutes } from './health.ts';
import { noticePage } from './html/layout.ts';
import { createPages } from './pages.ts';
import type { Console, ConsoleOptions } from './types.ts';

export type * from './types.ts';

const MAX_BODY_BYTES = 64 * 1024;
/** `policy explain` takes a whole SQL string, the others a whole policy. */
const MAX_TEXT_BYTES = 1024 * 1024;
const TEXT_PATHS = new Set(['/api/policy', '/api/policy/explain', '/api/policy/replay']);
const PORTS_TRIED = 20;
/** Connections at once; of one address without a credential; of one person; and beyond all of them for health. */
const DOOR = { total: 512, waiting: 128, perOwner: 64, reserved: 16 };

const ASSETS = {
  'console.css': 'text/css; charset=utf-8',
  'console.js': 'text/javascript; charset=utf-8',
  'mark.svg': 'image/svg+xml',
} as const;

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');
function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, '');
  const family = isIP(bare);
  return family === 0 ? bare === 'localhost' : LOOPBACK.check(bare, family === 6 ? 'ipv6' : 'ipv4');
}

/** The address is not acceptable or busy; the message says what to do. */
export class ConsoleListenError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'ConsoleListenError';
  }
}

function callerOf(c: Context<Env>): Caller {
  const caller = c.get('caller');
  // The routes' own guard stands before this; without it nothing is served.
  if (caller === null) throw new Error('a route without its guard');
  return caller;
}

export function createConsole(options: ConsoleOptions): Console {
  const { listen, log, access } = options;
  if (!isLoopback(listen.host) && options.signIn === null) {
    throw new ConsoleListenError(
      `The console does not listen on ${listen.host} without a login configured; listen on 127.0.0.1, or configure a login first.`,
    );
  }
  let places: Places = { hosts: new Set(), origins: new Set(), secureHost: null };
  let base = '';
  const url = (path: string): string => `${base}${path}`;
  const live = createLive(options.desk, access);
  const doorOf = (): HttpDoor => door;

  const app = new Hono<Env>();
  const proxies = listen.proxies ?? NO_NETWORKS;
  app.use(securityHeaders);
  app.use(strictTransport(() => places));
  app.use(placed(doorOf, proxies));
  app.use(placeGuard(() => places));
  app.route('/', healthRoutes(options.health));
  for (const [name, type] of Object.entries(ASSETS)) {
    const bytes = readFileSync(new URL(`./assets/${name}`, import.meta.url));
    app.get(`/assets/${name}`, (c) =>
      c.body(bytes, 200, { 'content-type': type, 'cache-control': 'no-cache' }),
    );
  }
  const tooLarge = (c: Context) => c.json({ error: 'The body is too large.' }, 413);
  const small = bodyLimit({ maxSize: MAX_BODY_BYTES, onError: tooLarge });
  const large = bodyLimit({ maxSize: MAX_TEXT_BYTES, onError: tooLarge });
  app.use((c, next) => (TEXT_PATHS.has(c.req.path) ? large : small)(c, next));
  app.use(identify(access, () => places, doorOf));
  app.route('/api', createApi(options, live, callerOf, url));
  app.route(
    '/',
    createPages(options, callerOf, () => places, url),
  );

  app.onError((error, c) => {
    const limited = error instanceof TooManyFailures;
    // The name only: messages of drivers may hold values.
    if (!limited && !(error instanceof Unchecked))
      log.error({ error: error.name, path: c.req.routePath }, 'the console could not answer');
    const sentence = limited
      ? error.message
      : 'The console could not answer and nothing was confirmed; the store may be unreachable. Try again shortly.';
    const status = limited ? 429 : 503;
    if (limited) c.header('retry-after', '60');
    if (c.req.path.startsWith('/api/')) return c.json({ error: sentence }, status);
    return c.html(noticePage('Not available', sentence, html`<a href="/">Try again</a>`, null), status);
  });

  const server = createAdaptorServer({
    fetch: app.fetch,
    serverOptions: { ...HTTP_TIMES, maxHeaderSize: 16 * 1024 },
  }) as Server;
  const door = httpDoor(server, DOOR, proxies);

  function bind(port: number): Promise<number> {
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, listen.host.replace(/^\[|\]$/g, ''), () => {
        server.off('error', reject);
        const address = server.address();
        resolve(typeof address === 'object' && address !== null ? address.port : port);
      });
    });
  }

  return {
    url,
    async listen() {
      const tries = listen.configured === false && listen.port !== 0 ? PORTS_TRIED : 1;
      for (let i = 0; i < tries; i += 1) {
        try {
          const port = await bind(listen.port + i);
          places = placesOf(listen, port, isLoopback(listen.host));
          const host =
            listen.host.includes(':') && !listen.host.startsWith('[') ? `[${listen.host}]` : listen.host;
          base = (listen.publicUrl ?? `http://${host}:${port}`).replace(/\/+$/, '');
          return { host: listen.host, port };
        } catch (error) {
          const code = error instanceof Error && 'code' in error ? error.code : undefined;
          if (code === 'EADDRINUSE' && i + 1 < tries) continue;
          const what =
            code === 'EADDRINUSE'
              ? 'is in use; stop what listens there or choose another port'
              : `cannot be listened on (${String(code)}); choose another address`;
          throw new ConsoleListenError(`The console's address ${listen.host}:${listen.port} ${what}.`);
        }
      }
      throw new ConsoleListenError(
        `No free port from ${listen.port} on for the console; name one in the configuration.`,
      );
    },
    async close() {
      live.close();
      if (!server.listening) return;
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    },
  };
}
