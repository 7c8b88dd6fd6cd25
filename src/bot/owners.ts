/** Who in Slack is the owner of a request (SLACK.md "Identity"): by link, else, where that is switched on, by a confirmed e-mail. */
import type { Requester } from '../approvals/types.ts';
import { text } from './answers.ts';
import { type SlackApi, SlackFailure } from './slack-api.ts';
import { judgeMember } from './tapper.ts';
import type { BotLog, Links } from './types.ts';

export interface Owners {
  /** null: nobody, or nobody for certain. Rejects while Slack or the store cannot say. */
  userOf(requester: Requester): Promise<string | null>;
  /** As it was some minutes ago; for cards, which wait for nobody. Never rejects: null while nobody can say. */
  known(requester: Requester): Promise<string | null>;
}

const FRESH_MS = 5 * 60_000;
const LATE_MS = 1500;
const MOST = 500;
const NOBODY: readonly string[] = ['users_not_found', 'user_not_found', 'invalid_arguments', 'missing_scope'];

export function createOwners(deps: {
  readonly api: SlackApi;
  readonly links: Links;
  readonly matchEmail: boolean;
  readonly ownTeam: () => Promise<string>;
  readonly log: BotLog;
  readonly now: () => number;
}): Owners {
  const { api, links, matchEmail, ownTeam, log, now } = deps;

  /** Still a full member, with this very address when that is how they were found. */
  async function confirmed(team: string, user: unknown, email: string | null): Promise<string | null> {
    const found = judgeMember(text(user, 'id') ?? '', team, user);
    if (found.kind === 'refused') return null;
    return email === null || found.member.email === email ? found.member.userId : null;
  }

  async function ask(method: string, args: Readonly<Record<string, unknown>>): Promise<unknown> {
    try {
      return (await api.call(method, args))['user'];
    } catch (error) {
      if (!(error instanceof SlackFailure) || error.failure.kind !== 'refused') throw error;
      if (!NOBODY.includes(error.failure.error)) log.warn({ why: error.message }, 'an owner was not found');
      return null;
    }
  }

  const remembered = new Map<string, { readonly at: number; readonly user: Promise<string | null> }>();

  async function userOf({ ownerId, ownerEmail }: Requester): Promise<string | null> {
    if (ownerId === null) return null;
    const team = await ownTeam();
    const linked = await links.userOf(team, ownerId);
    if (linked !== null) return await confirmed(team, await ask('users.info', { user: linked }), null);
    const email = ownerEmail?.toLowerCase() ?? null;
    if (!matchEmail || email === null) return null;
    return await confirmed(team, await ask('users.lookupByEmail', { email }), email);
  }

  return {
    userOf,
    async known(requester) {
      const key = JSON.stringify([requester.ownerId, requester.ownerEmail]);
      const age = now() - (remembered.get(key)?.at ?? Number.NEGATIVE_INFINITY);
      if (!(age >= 0 && age < FRESH_MS)) {
        if (remembered.size >= MOST) remembered.clear();
        const user = userOf(requester).catch(() => {
          remembered.delete(key);
          return null;
        });
        remembered.set(key, { at: now(), user });
      }
      const late = new Promise<null>((resolve) => setTimeout(() => resolve(null), LATE_MS).unref());
      return (await Promise.race([remembered.get(key)?.user, late])) ?? null;
    },
  };
}
