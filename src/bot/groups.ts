/** Slack's user groups, where the configuration says so (SLACK.md "Identity"): asked of Slack, known for a minute, no doubt in favour. */
import { text } from './answers.ts';
import { type Mention, mentionOf } from './blocks.ts';
import { type SlackApi, SlackFailure } from './slack-api.ts';
import { isRecord } from './tapper.ts';
import type { BotLog } from './types.ts';

const FRESH_MS = 60_000;
/** Memberships that are remembered: one call each to refresh. */
const MOST = 200;

export interface Groups {
  /** Handles of the groups that this user is in now, of those asked for. Rejects when Slack does not say. */
  of(userId: string, handles: readonly string[]): Promise<readonly string[]>;
  /** What the configuration names (`S…`, `U…`, `@handle`), or a group of approvers by its name; null: there is none. */
  mention(name: string): Promise<Mention | null>;
}

export function createGroups(deps: {
  readonly api: SlackApi;
  readonly enabled: boolean;
  readonly now: () => number;
  readonly log: BotLog;
}): Groups {
  const { api, enabled, now, log } = deps;
  let list: Promise<ReadonlyMap<string, string>> | null = null;
  let listedAt = Number.NEGATIVE_INFINITY;
  const members = new Map<string, { readonly at: number; readonly users: Promise<readonly string[]> }>();
  const fresh = (at: number): boolean => now() - at < FRESH_MS && now() >= at;

  /** Handle → id. A failure is not remembered. */
  async function handles(): Promise<ReadonlyMap<string, string>> {
    if (list === null || !fresh(listedAt)) {
      listedAt = now();
      list = read();
      list.catch(() => {
        list = null;
      });
    }
    return await list;
  }
  async function read(): Promise<ReadonlyMap<string, string>> {
    const found = new Map<string, string>();
    const twice = new Set<string>();
    for (const group of entries((await api.call('usergroups.list', {}))['usergroups'])) {
      const [id, handle] = [text(group, 'id'), text(group, 'handle')];
      if (id === null || handle === null || !/^S[A-Z0-9]{2,30}$/.test(id)) continue;
      if (isRecord(group) && (group['date_delete'] !== 0 || group['is_external'] === true)) continue;
      if (found.has(handle)) twice.add(handle);
      found.set(handle, id);
    }
    for (const handle of twice) found.delete(handle);
    return found;
  }
  async function usersOf(id: string): Promise<readonly string[]> {
    const known = members.get(id);
    if (known !== undefined && fresh(known.at)) return await known.users;
    if (members.size >= MOST) members.clear();
    const users = api
      .call('usergroups.users.list', { usergroup: id })
      .then((answer) => entries(answer['users']).filter((each) => typeof each === 'string'));
    members.set(id, { at: now(), users });
    users.catch(() => members.delete(id));
    return await users;
  }

  return {
    async of(userId, wanted) {
      if (!enabled || wanted.length === 0) return [];
      const known = await handles();
      const asked = [...new Set(wanted)].filter((handle) => known.has(handle)).slice(0, 20);
      const held = await Promise.all(
        asked.map(async (handle) => (await usersOf(known.get(handle) ?? '')).includes(userId)),
      );
      return asked.filter((_, index) => held[index]);
    },
    async mention(name) {
      const byId = mentionOf(name);
      if (byId !== null || !enabled) return byId;
      try {
        return mentionOf((await handles()).get(name.replace(/^@/, '')) ?? '');
      } catch (error) {
        log.warn(
          { why: error instanceof SlackFailure ? error.message : 'unexpected failure' },
          'user groups',
        );
        return null;
      }
    },
  };
}

function entries(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
