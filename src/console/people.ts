/** Administrators: who is logged in, ending that, and suspending people (DESIGN.md 17). */
import type { Context } from 'hono';
import { z } from 'zod';
import { personKey } from '../approvals/authorise.ts';
import { bodyOf, fail, formOf } from './body.ts';
import type { Caller, Env } from './guard.ts';
import { type PeopleView, peoplePage } from './html/people.ts';
import type { Html } from './html/sql.ts';
import type { Register } from './routes.ts';
import type { ConsoleOptions } from './types.ts';

const person = z.strictObject({ person: z.string().trim().min(1).max(600) });
const VERBS = ['logout', 'suspend', 'restore'] as const;
type Verb = (typeof VERBS)[number];

async function viewOf({ access, people }: ConsoleOptions): Promise<Omit<PeopleView, 'failed'>> {
  const [active, suspended] = await Promise.all([access.active(), people.suspensions()]);
  return { active, suspended };
}

/** What was done, in one sentence; `done` false: there was nothing to do. */
async function act(
  { access, people, log }: ConsoleOptions,
  verb: Verb,
  whom: string,
  by: string,
): Promise<{ readonly done: boolean; readonly sentence: string }> {
  log.info({ by, person: whom, verb }, 'an administrator changes what a person may');
  switch (verb) {
    case 'logout': {
      const ended = await access.endAll(whom);
      return {
        done: ended > 0,
        sentence: ended > 0 ? `${whom} is logged out.` : `${whom} was not logged in.`,
      };
    }
    case 'suspend': {
      const done = await people.suspend(whom, by);
      await access.endAll(whom);
      return {
        done,
        sentence: done
          ? `${whom} is suspended: sessions end, requests are withdrawn, nothing of theirs is let in.`
          : `${whom} was suspended already.`,
      };
    }
    case 'restore': {
      const done = await people.restore(whom);
      return { done, sentence: done ? `${whom} may log in again.` : `${whom} was not suspended.` };
    }
  }
}

const DAY_MS = 86_400_000;
const OWN = 'You cannot suspend yourself; another administrator can.';

export function registerPeopleApi(
  on: Register,
  options: ConsoleOptions,
  callerOf: (c: Context<Env>) => Caller,
): void {
  on('GET /api/people', async (c) => c.json(await viewOf(options)));
  for (const verb of VERBS) {
    on(`POST /api/people/${verb}`, async (c) => {
      const read = await bodyOf(c, person);
      if (read instanceof Response) return read;
      const { id } = callerOf(c).person;
      if (verb === 'suspend' && personKey(read.body.person) === personKey(id)) return fail(c, 409, OWN);
      const { done, sentence } = await act(options, verb, read.body.person, id);
      return done ? c.json({ sentence }) : fail(c, 404, sentence);
    });
  }
}

export function registerPeoplePages(
  on: Register,
  options: ConsoleOptions,
  callerOf: (c: Context<Env>) => Caller,
  show: (c: Context<Env>, body: Html) => Response | Promise<Response>,
  flash: (c: Context<Env>, done: boolean, text: string) => void,
): void {
  on('GET /people', async (c) => {
    const now = options.now();
    const [view, failed] = await Promise.all([viewOf(options), options.failedLogins.summary(now - DAY_MS)]);
    return show(c, peoplePage({ ...view, failed }, callerOf(c), now));
  });
  for (const verb of VERBS) {
    on(`POST /people/${verb}`, async (c) => {
      const { id } = callerOf(c).person;
      const read = person.safeParse({ person: (await formOf(c))['person'] });
      if (!read.success) flash(c, false, 'Name the person by e-mail.');
      else if (verb === 'suspend' && personKey(read.data.person) === personKey(id)) flash(c, false, OWN);
      else {
        const { done, sentence } = await act(options, verb, read.data.person, id);
        flash(c, done, sentence);
      }
      return c.redirect('/people', 303);
    });
  }
}
