/** Who tapped, established at the tap and from Slack itself (SLACK.md "Identity"). Anything doubtful is refused. */
import type { Approver, Person } from '../approvals/types.ts';
import type { Groups } from './groups.ts';
import { type SlackApi, SlackFailure } from './slack-api.ts';
import { oneLine } from './text.ts';
import type { ApproverLike, Approvers, BotLog, LinkedOwner, Links } from './types.ts';

/** A full member of our own workspace, as `users.info` says now. */
export interface Member {
  readonly userId: string;
  /** Lower-case, only when Slack calls it confirmed. */
  readonly email: string | null;
  readonly name: string;
}
export type MemberResult =
  | { readonly kind: 'member'; readonly member: Member }
  | { readonly kind: 'refused'; readonly sentence: string };
export type ApproverResult =
  | { readonly kind: 'approver'; readonly approver: Approver; readonly auditor: boolean }
  | { readonly kind: 'refused'; readonly sentence: string };

/** As the owner of requests. */
export type PersonResult =
  | { readonly kind: 'person'; readonly person: Person }
  | { readonly kind: 'refused'; readonly sentence: string };

export interface Tapper {
  member(userId: string, teamId: string | null): Promise<MemberResult>;
  /** `wanted`: groups that would count; Slack's user groups are asked about no others. */
  approver(userId: string, teamId: string | null, wanted?: readonly string[]): Promise<ApproverResult>;
  person(userId: string, teamId: string | null): Promise<PersonResult>;
}

const UNSURE = 'Slack could not confirm who you are just now. Nothing was decided; please try again.';

export function createTapper(deps: {
  readonly api: SlackApi;
  readonly approvers: Approvers;
  readonly links: Links;
  readonly groups: Groups;
  /** A confirmed e-mail alone says who somebody is. */
  readonly matchEmail: boolean;
  /** Our own workspace; rejects while Slack cannot say. */
  readonly ownTeam: () => Promise<string>;
  readonly log: BotLog;
}): Tapper {
  const { api, approvers, groups, links, matchEmail, ownTeam, log } = deps;

  async function member(userId: string, teamId: string | null): Promise<MemberResult> {
    if (!/^[UW][A-Z0-9]{1,30}$/.test(userId)) return { kind: 'refused', sentence: UNSURE };
    try {
      const team = await ownTeam();
      if (teamId !== team) return { kind: 'refused', sentence: outsider };
      const answer = await api.call('users.info', { user: userId });
      return judgeMember(userId, team, answer['user']);
    } catch (error) {
      log.warn(
        { user: userId, why: error instanceof SlackFailure ? error.message : 'unexpected failure' },
        'Slack did not confirm a user',
      );
      return { kind: 'refused', sentence: UNSURE };
    }
  }

  /** Everything that is known of one member. Two answers to who they are make none. */
  async function known(userId: string, teamId: string | null): Promise<Known> {
    const found = await member(userId, teamId);
    if (found.kind === 'refused') return found;
    const who = found.member;
    let link: LinkedOwner | null;
    let byLogin: ApproverLike | null = null;
    try {
      link = await links.ownerOf(teamId ?? '', userId);
      if (link !== null && approvers.byId(link.id) === null) byLogin = await approvers.byLogin(link.id);
    } catch {
      return { kind: 'refused', sentence: STORE_DOWN };
    }
    const bySlack = approvers.bySlackId(userId);
    // An entry with a Slack id is that account's alone, whatever address another one has.
    const byEmail = who.email === null ? null : approvers.byEmail(who.email);
    const byLink = link === null ? null : (approvers.byId(link.id) ?? byLogin);
    const entries = [...new Set([bySlack, byEmail, byLink])].filter((one) => one !== null);
    const foreign = entries.some((one) => one.slackId !== null && one.slackId !== userId);
    const addresses = new Set([...entries.map((one) => one.email), link?.id ?? null].filter(isFilled));
    if (approvers.isSuspended([who.email, link?.id ?? null, ...entries.map((one) => one.id)]))
      return { kind: 'refused', sentence: SUSPENDED };
    if (foreign || addresses.size > 1 || entries.length > 2) return { kind: 'refused', sentence: TWO_PEOPLE };
    return { kind: 'known', who, link, entries };
  }

  return {
    member,
    async approver(userId, teamId, wanted = []) {
      const found = await known(userId, teamId);
      if (found.kind === 'refused') return found;
      let held: readonly string[] = [];
      try {
        held = await groups.of(userId, wanted);
      } catch {
        log.warn({ user: userId }, 'Slack did not say who is in a user group: nobody counts as in it');
        if (found.entries.length === 0) return { kind: 'refused', sentence: UNSURE };
      }
      if (found.entries.length === 0 && held.length === 0) return { kind: 'refused', sentence: UNREGISTERED };
      const auditor = found.entries.some((one) => one.auditor);
      return { kind: 'approver', approver: approverOf(found, held), auditor };
    },
    async person(userId, teamId) {
      const found = await known(userId, teamId);
      if (found.kind === 'refused') return found;
      const { who, link, entries } = found;
      const named = entries.find((one) => one.email !== null)?.email ?? null;
      const email = named ?? (matchEmail ? who.email : null);
      const id = link?.id ?? email;
      if (id === null) return { kind: 'refused', sentence: UNLINKED };
      return {
        kind: 'person',
        person: { id, email, slackId: userId, name: oneLine(who.name, 80), surface: 'slack' },
      };
    },
  };
}

type Known =
  | {
      readonly kind: 'known';
      readonly who: Member;
      readonly link: LinkedOwner | null;
      readonly entries: readonly ApproverLike[];
    }
  | { readonly kind: 'refused'; readonly sentence: string };

const SUSPENDED = 'Your access is suspended. Nothing was decided; ask an administrator.';
const STORE_DOWN = 'Holdpoint cannot reach its store right now. Nothing was done; please try again.';
const UNLINKED =
  'Holdpoint does not know which requests are yours: your Slack account is linked to nobody. Try /hoop link.';
const UNREGISTERED =
  'You are not registered as an approver here. Ask whoever runs Holdpoint to add your Slack id or e-mail.';
const TWO_PEOPLE =
  'You are listed as two people, one by Slack id or link and one by e-mail. Nothing was decided: ask whoever runs Holdpoint to make them one.';

/** One person, however they are listed: known by the address, so that they count once wherever they decide. */
function approverOf(
  { who, link, entries }: Extract<Known, { kind: 'known' }>,
  held: readonly string[],
): Approver {
  const address = entries.find((one) => one.email !== null) ?? null;
  const named = address ?? entries[0] ?? null;
  const name = named === null || named.name === named.slackId ? who.name : named.name;
  return {
    id: address?.email ?? link?.id ?? who.email ?? named?.id ?? `slack:${who.userId}`,
    email: who.email,
    slackId: who.userId,
    name: oneLine(name, 80),
    groups: [...new Set([...entries.flatMap((one) => one.groups), ...held])],
    surface: 'slack',
  };
}

const outsider = 'Only members of this workspace may decide: you are here from another organisation.';

/** ASCII alone: lower-casing turns the Kelvin sign into a k, and somebody else's address into an approver's. */
const ADDRESS = /^[!-?A-~]+@[!-?A-~]+$/;

export function judgeMember(userId: string, team: string, user: unknown): MemberResult {
  if (!isRecord(user) || user['id'] !== userId) return { kind: 'refused', sentence: UNSURE };
  if (user['deleted'] !== false)
    return { kind: 'refused', sentence: 'Your Slack account is deactivated: you may not decide.' };
  if (user['is_bot'] !== false || user['is_workflow_bot'] === true || userId === 'USLACKBOT')
    return { kind: 'refused', sentence: 'Bots may not decide.' };
  if (user['is_restricted'] !== false || user['is_ultra_restricted'] !== false)
    return {
      kind: 'refused',
      sentence: 'Guests may not decide: your Slack account is a guest of this workspace.',
    };
  if (user['is_stranger'] === true || user['team_id'] !== team || user['is_invited_user'] === true)
    return { kind: 'refused', sentence: outsider };
  const profile = isRecord(user['profile']) ? user['profile'] : {};
  const email = profile['email'];
  const confirmed = user['is_email_confirmed'] === true;
  return {
    kind: 'member',
    member: {
      userId,
      email: confirmed && typeof email === 'string' && ADDRESS.test(email) ? email.toLowerCase() : null,
      name: [profile['real_name'], user['real_name'], user['name']].find(isFilled) ?? userId,
    },
  };
}

function isFilled(value: unknown): value is string {
  return typeof value === 'string' && value.trim() !== '';
}
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
