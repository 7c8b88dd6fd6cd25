/** `GET/PUT /api/policy?target=…`: the policy in force, and changing it. */
import type { Context } from 'hono';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { z } from 'zod';
import type { PolicyView, PutPolicy } from '../policy/live.ts';
import { formatMistakes } from '../policy/rules/index.ts';
import { bodyOf, fail } from './body.ts';
import { type Caller, type Env, sourceOf } from './guard.ts';
import type { Register } from './routes.ts';
import type { ConsoleOptions } from './types.ts';

const change = z.strictObject({ text: z.string().max(1_000_000) });
const suggestion = z.strictObject({ target: z.string().min(1).max(100) });
const backTest = z.strictObject({
  target: z.string().min(1).max(100),
  since: z.int().nonnegative(),
  policy: z.string().max(1_000_000).nullish(),
});
const VERSION = /^(?:W\/)?"?([0-9a-f]{16})"?$/;

export function registerPolicyApi(
  on: Register,
  { policy, suggest, replay, log }: ConsoleOptions,
  callerOf: (c: Context<Env>) => Caller,
): void {
  const targetOf = (c: Context<Env>): string =>
    (c.req.query('target') ?? policy.targets[0] ?? '').slice(0, 100);
  const answer = (c: Context<Env>, view: PolicyView, editable: boolean) => {
    c.header('etag', `"${view.version}"`);
    // The path says where the gateway's files lie: no business of a program.
    const { path, ...rest } = view;
    return c.json({ ...rest, file: path !== null, editable: editable && path !== null });
  };

  const mayEdit = ({ person }: Caller): boolean => person.editsPolicy || policy.admits(person.id);
  on('GET /api/policy', (c) => {
    const view = policy.view(targetOf(c));
    return view === null ? fail(c, 404, NO_TARGET) : answer(c, view, mayEdit(callerOf(c)));
  });

  on('PUT /api/policy', async (c) => {
    const caller = callerOf(c);
    const expected = VERSION.exec(c.req.header('if-match') ?? '')?.[1];
    if (expected === undefined) {
      return fail(c, 428, 'Say in If-Match which version the text was made from; GET /api/policy tells it.');
    }
    const read = await bodyOf(c, change);
    if (read instanceof Response) return read;
    const viaToken = c.req.header('x-holdpoint-client') === 'cli' ? 'cli' : 'api';
    const { id, name, email, editsPolicy } = caller.person;
    const result = await policy.put(targetOf(c), read.body.text, expected, {
      id,
      name,
      email,
      admin: editsPolicy,
      surface: caller.via === 'session' ? 'console' : viaToken,
      source: sourceOf(c),
    });
    if ('view' in result) return answer(c, result.view, true);
    const { status, error } = refusal(result);
    return c.json(
      {
        error,
        kind: result.kind,
        ...(result.kind === 'mistakes' ? { mistakes: result.mistakes } : {}),
        ...(result.kind === 'stale' ? { version: result.version } : {}),
      },
      status,
    );
  });

  /** One at a time: each reads a part of every table, or many recordings. */
  let busy = false;
  async function alone(c: Context<Env>, work: () => Promise<Response>, why: string): Promise<Response> {
    if (busy)
      return fail(c, 429, 'The gateway samples or replays for somebody already; try again when it is done.');
    busy = true;
    try {
      return await work();
    } catch {
      return fail(c, 503, why);
    } finally {
      busy = false;
    }
  }
  on('POST /api/policy/suggest', async (c) => {
    const read = await bodyOf(c, suggestion);
    if (read instanceof Response) return read;
    const { target } = read.body;
    log.info({ by: callerOf(c).person.id, target }, 'a target is sampled for suggestions');
    const work = async () => {
      const found = await suggest(target);
      return found === null ? fail(c, 404, NO_TARGET) : c.json(found);
    };
    return alone(c, work, 'The target cannot be read now; is it up, and may its read-only login connect?');
  });
  on('POST /api/policy/replay', async (c) => {
    const read = await bodyOf(c, backTest);
    if (read instanceof Response) return read;
    const { target, since, policy: text } = read.body;
    const work = async () => {
      const found = await replay({ target, since, policy: text ?? null });
      if (found === null) return fail(c, 404, NO_TARGET);
      if (!('mistakes' in found)) return c.json(found);
      const { status, error } = refusal({ kind: 'mistakes', mistakes: found.mistakes });
      return c.json({ error, mistakes: found.mistakes }, status);
    };
    return alone(
      c,
      work,
      'Nothing could be replayed: the store or the catalog of the target cannot be read now.',
    );
  });
}

const NO_TARGET = 'There is no such target in the configuration.';

type Refused = Exclude<PutPolicy, { readonly view: PolicyView }>;

function refusal(result: Refused): { readonly status: ContentfulStatusCode; readonly error: string } {
  switch (result.kind) {
    case 'no-target':
      return { status: 404, error: NO_TARGET };
    case 'not-allowed':
      return {
        status: 403,
        error: result.anybody
          ? 'You are not one of identity.policy_admins, so nothing was changed; ask one of them.'
          : 'Nobody may change policies here: change the file, or name approvers in identity.policy_admins of holdpoint.yaml.',
      };
    case 'no-file':
      return {
        status: 409,
        error:
          'This target has no policy file, so nothing was changed; name one with `policy:` in holdpoint.yaml.',
      };
    case 'stale':
      return {
        status: 412,
        error: `The policy file holds another text, version ${result.version}: changed meanwhile, or with mistakes and not in force. Nothing was changed; read it again, or name that version to replace it.`,
      };
    case 'mistakes':
      return {
        status: 422,
        error: `The policy has ${result.mistakes.length === 1 ? 'a mistake' : `${result.mistakes.length} mistakes`}; nothing was changed.\n${formatMistakes('policy', result.mistakes)}`,
      };
    case 'unrecorded':
      return {
        status: 503,
        error: 'The change could not be recorded, so it was not made; see the gateway’s log.',
      };
    case 'unwritable':
      return {
        status: 409,
        error: `The policy file cannot be written (${result.code}); nothing was changed. Change it where it comes from, or give the gateway the right to write it and its directory.`,
      };
  }
}
