/** The HTTP API, JSON in and out, for the CLI and for programs. Who may call what: routes.ts. */
import { type Context, Hono } from 'hono';
import { z } from 'zod';
import { type DecideResult, REQUEST_STATES, type RequestState, type Surface } from '../approvals/types.ts';
import type { Person } from '../identity/roles.ts';
import { bodyOf, fail } from './body.ts';
import {
  cleanReason,
  countOf,
  decideAs,
  explainAs,
  outcomeOf,
  revealTo,
  suspendFor,
  withdrawAs,
} from './deciding.ts';
import type { Live } from './events.ts';
import { type Caller, type Env, sourceOf } from './guard.ts';
import { registerPeopleApi } from './people.ts';
import { registerPolicyApi } from './policy-api.ts';
import { apiRefusals, type RouteName, registrar } from './routes.ts';
import { requestFor, requestsFor, seesSession, sessionsFor } from './scope.ts';
import type { ConsoleOptions } from './types.ts';

const MAX_EVENTS = 20_000;
const DAY_MS = 86_400_000;
const NO_TIME = 'since is epoch milliseconds or an ISO date.';
const NO_REQUEST = 'There is no such request; `holdpoint pending` lists them.';
const SESSION_ID = /^[A-Za-z0-9_-]{1,64}$/;
const CREDENTIAL_ID = /^(cred_[0-9a-f]{24}|jwt:[A-Za-z0-9_-]{22})$/;

const line = z.string().trim().min(1).max(200);
const decision = z.strictObject({
  effect: z.enum(['approve', 'deny']),
  reason: z.string().max(4_000).nullish(),
});
const withdrawal = z.strictObject({ note: z.string().max(4_000).nullish() });
const purpose = z.strictObject({ reason: z.string().max(4_000) });
const login = z.strictObject({ link: z.string().max(200) });
const credential = z.strictObject({
  owner: z.strictObject({ email: z.email().max(200), name: line.optional() }).nullish(),
  agent: line.nullish(),
  groups: z.array(line).max(100).default([]),
  ttlMs: z.int().positive(),
});
const explanation = z.strictObject({
  sql: z.string().max(1_000_000),
  target: z.string().min(1).max(100),
  tree: z.boolean().default(false),
});

/** `since` as epoch milliseconds or an ISO date; null: neither. */
function timeOf(value: string): number | null {
  const at = /^\d{1,15}$/.test(value) ? Number(value) : Date.parse(value);
  return Number.isFinite(at) ? at : null;
}

export function createApi(
  options: ConsoleOptions,
  live: Live,
  callerOf: (c: Context<Env>) => Caller,
  url: (path: string) => string,
): Hono<Env> {
  const { counter, desk, sessions, recorder, access, now, log } = options;
  const app = new Hono<Env>();
  const on = registrar(app, '/api', ['session', 'token'], apiRefusals);
  const requestOf = (c: Context<Env>) =>
    requestFor(desk, callerOf(c).person, (c.req.param('id') ?? '').toUpperCase());
  const surfaceOf = (c: Context<Env>): Surface => {
    if (callerOf(c).via === 'session') return 'console';
    return c.req.header('x-holdpoint-client') === 'cli' ? 'cli' : 'api';
  };

  /** The link is the credential. */
  on('POST /api/login', async (c) => {
    const read = await bodyOf(c, login);
    if (read instanceof Response) return read;
    const grant = await access.redeemLink(read.body.link, 'token', sourceOf(c));
    if (grant === null) {
      return fail(
        c,
        401,
        'The link is wrong, used or older than 10 minutes; get a new one from `holdpoint start`.',
      );
    }
    log.info({ person: grant.person.id }, 'command line logged in');
    return c.json({ token: grant.secret, expiresAt: grant.expiresAt, approver: grant.person.name });
  });

  on('GET /api/me', (c) => {
    const { person, via } = callerOf(c);
    const { id, name, groups, roles } = person;
    return c.json({ id, name, groups, roles: [...roles], via });
  });
  on('POST /api/logout', async (c) => {
    await access.end(callerOf(c).secret);
    return c.json({ ok: true });
  });
  on('POST /api/links', async (c) => {
    // What a link is traded for lasts no longer than the login that it comes from.
    const link = await access.linkFor(callerOf(c).secret);
    return link === null
      ? fail(c, 401, 'A login is needed: run `holdpoint login` first.')
      : c.json({ url: url(`/login/${link}`) });
  });

  on('GET /api/requests', async (c) => {
    const known: readonly string[] = REQUEST_STATES;
    const asked = (c.req.query('state') ?? '').split(',').filter((state) => state !== '');
    const states = asked.filter((state): state is RequestState => known.includes(state));
    if (states.length !== asked.length)
      return fail(c, 400, `A state is one of ${REQUEST_STATES.join(', ')}.`);
    const some = states.length > 0 ? states : undefined;
    return c.json({ requests: await requestsFor(desk, callerOf(c).person, some, 200) });
  });
  on('GET /api/requests/:id', async (c) => {
    const request = await requestOf(c);
    return request === null ? fail(c, 404, NO_REQUEST) : c.json({ request });
  });
  /** A change of a request that the caller may see; to others it does not exist. */
  function changing<T>(
    name: RouteName,
    schema: z.ZodType<T>,
    change: (person: Person, surface: Surface, id: string, body: T) => Promise<DecideResult>,
  ): void {
    on(name, async (c) => {
      const known = await requestOf(c);
      if (known === null) return fail(c, 404, NO_REQUEST);
      const read = await bodyOf(c, schema);
      if (read instanceof Response) return read;
      const result = await change(callerOf(c).person, surfaceOf(c), known.id, read.body);
      const { status, sentence, request } = outcomeOf(result);
      return c.json(
        { kind: result.kind, sentence, request, ...(status === 200 ? {} : { error: sentence }) },
        status,
      );
    });
  }
  changing('POST /api/requests/:id/decision', decision, (person, surface, id, { effect, reason }) =>
    decideAs(desk, person, surface, { id, effect, reason: cleanReason(reason) }),
  );
  changing('POST /api/requests/:id/withdraw', withdrawal, (person, surface, id, { note }) =>
    withdrawAs(desk, person, surface, id, cleanReason(note)),
  );
  changing('POST /api/requests/:id/reason', purpose, (person, surface, id, { reason }) =>
    explainAs(desk, person, surface, id, cleanReason(reason) ?? ''),
  );

  on('POST /api/requests/:id/count', async (c) => {
    const known = await requestOf(c);
    if (known === null) return fail(c, 404, NO_REQUEST);
    const { person } = callerOf(c);
    const { status, sentence, request } = await countOf(counter, person, surfaceOf(c), known, now());
    return c.json({ sentence, request, ...(status === 200 ? {} : { error: sentence }) }, status);
  });

  on('POST /api/requests/:id/reveal', async (c) => {
    const known = await requestOf(c);
    if (known === null) return fail(c, 404, NO_REQUEST);
    const shown = await revealTo(options.revealer, callerOf(c).person, surfaceOf(c), known.id);
    if (shown.kind === 'not-revealed') return fail(c, 403, shown.sentence);
    return c.json({ sql: shown.statement.sql, binds: shown.statement.binds });
  });

  on('GET /api/alerts', async (c) => c.json({ alerts: await options.bursts.recent() }));
  on('POST /api/alerts/:id/suspend', async (c) => {
    const { status, sentence } = await suspendFor(options, callerOf(c).person, c.req.param('id') ?? '');
    return status === 200 ? c.json({ sentence }) : fail(c, status, sentence);
  });

  on('GET /api/logins/failed', async (c) => {
    const { since } = c.req.query();
    const from = since === undefined ? now() - DAY_MS : timeOf(since);
    return from === null ? fail(c, 400, NO_TIME) : c.json(await options.failedLogins.summary(from));
  });

  on('GET /api/sessions', async (c) => {
    const { owner, target, since } = c.req.query();
    const from = since === undefined ? undefined : timeOf(since);
    if (from === null) return fail(c, 400, NO_TIME);
    const rows = await sessionsFor(sessions, callerOf(c).person, {
      ...(owner ? { owner: owner.slice(0, 200) } : {}),
      ...(target ? { target: target.slice(0, 100) } : {}),
      ...(from === undefined ? {} : { since: from }),
      limit: 200,
    });
    return c.json({ sessions: rows });
  });
  async function sessionOf(c: Context<Env>) {
    const id = c.req.param('id') ?? '';
    const session = SESSION_ID.test(id) ? await sessions.get(id) : null;
    return session !== null && (await seesSession(callerOf(c).person, session, desk)) ? session : null;
  }
  on('GET /api/sessions/:id', async (c) => {
    const session = await sessionOf(c);
    if (session === null) return fail(c, 404, 'There is no such session; `holdpoint sessions` lists them.');
    const events = await recorder.read(session.id);
    return c.json({ session, events: events.slice(0, MAX_EVENTS), more: events.length > MAX_EVENTS });
  });
  on('GET /api/sessions/:id/verify', async (c) => {
    const session = await sessionOf(c);
    if (session === null) return fail(c, 404, 'There is no such session; `holdpoint sessions` lists them.');
    return c.json({ session: session.id, result: await recorder.verify(session.id) });
  });

  on('POST /api/credentials', async (c) => {
    const read = await bodyOf(c, credential);
    if (read instanceof Response) return read;
    const { owner, agent, groups, ttlMs } = read.body;
    const by = callerOf(c).person;
    // Nobody named: the credential is the approver's own. There is always an owner to compare with.
    const email = owner?.email.toLowerCase() ?? null;
    const whose =
      email === null
        ? { id: by.id, name: by.name, email: by.email }
        : { id: email, name: owner?.name ?? email, email };
    try {
      const minted = await options.mintCredential({
        owner: whose,
        agent: agent ?? null,
        groups,
        ttlMs,
        mintedBy: by.id,
      });
      log.info({ by: by.id, credential: minted.id, owner: whose.id }, 'credential minted');
      return c.json({ ...minted, owner: whose }, 201);
    } catch (error) {
      if (error instanceof RangeError) return fail(c, 400, error.message);
      throw error;
    }
  });
  on('POST /api/credentials/:id/revoke', async (c) => {
    const id = c.req.param('id') ?? '';
    const done = CREDENTIAL_ID.test(id) && (await options.revokeCredential(id));
    if (!done) return fail(c, 404, 'There is no such live credential; it may be revoked already.');
    log.info({ by: callerOf(c).person.id, credential: id }, 'credential revoked');
    return c.json({ id, revokedAt: now() });
  });

  registerPolicyApi(on, options, callerOf);
  on('POST /api/policy/explain', async (c) => {
    const read = await bodyOf(c, explanation);
    if (read instanceof Response) return read;
    const answer = await options.explain(read.body.sql, read.body.target, read.body.tree);
    return answer === null ? fail(c, 404, 'There is no such target in the configuration.') : c.json(answer);
  });

  on('GET /api/events', (c) => live.stream(c, callerOf(c)));
  registerPeopleApi(on, options, callerOf);

  app.all('*', (c) =>
    c.get('caller') === null ? apiRefusals.signIn(c) : fail(c, 404, 'There is no such API route.'),
  );
  return app;
}
