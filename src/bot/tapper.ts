/** Who tapped, established at the tap and from Slack itself (SLACK.md "Identity"). Anything doubtful is refused. */
import type { Approver } from '../approvals/types.ts';
import { type SlackApi, SlackFailure } from './slack-api.ts';
import { oneLine } from './text.ts';
import type { ApproverLike, Approvers, BotLog } from './types.ts';

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
  | { readonly kind: 'approver'; readonly approver: Approver }
  | { readonly kind: 'refused'; readonly sentence: string };

export interface Tapper {
  member(userId: string, teamId: string | null): Promise<MemberResult>;
  approver(userId: string, teamId: string | null): Promise<ApproverResult>;
}

const UNSURE = 'Slack could not confirm who you are just now. Nothing was decided; please try again.';

export function createTapper(deps: {
  readonly api: SlackApi;
  readonly approvers: Approvers;
  /** Our own workspace; rejects while Slack cannot say. */
  readonly ownTeam: () => Promise<string>;
  readonly log: BotLog;
}): Tapper {
  const { api, approvers, ownTeam, log } = deps;

  async function member(userId: string, teamId: string | null): Promise<MemberResult> {
    if (!/^[UW][A-Z0-9]{1,30}$/.test(userId)) return { kind: 'refused', sentence: UNSURE };
    try {
      const team = await ownTeam();
      if (teamId !== team) return { kind: 'refused', sentence: outsider };
      const answer = await api.call('users.info', { user: userId });
      return judge(userId, team, answer['user']);
    } catch (error) {
      log.warn(
        { user: userId, why: error instanceof SlackFailure ? error.message : 'unexpected failure' },
        'Slack did not confirm a user',
      );
      return { kind: 'refused', sentence: UNSURE };
    }
  }

  return {
    member,
    async approver(userId, teamId) {
      const result = await member(userId, teamId);
      if (result.kind === 'refused') return result;
      const { member: who } = result;
      const bySlack = approvers.bySlackId(userId);
      const byEmail = who.email === null ? null : approvers.byEmail(who.email);
      const record = bySlack ?? byEmail;
      // An entry with a Slack id is that account's alone, whatever address another one has.
      if (record === null || (record.slackId !== null && record.slackId !== userId))
        return { kind: 'refused', sentence: UNREGISTERED };
      const twice = bySlack !== null && byEmail !== null && bySlack !== byEmail;
      if (twice && (bySlack.email !== null || byEmail.slackId !== null))
        return { kind: 'refused', sentence: TWO_PEOPLE };
      return { kind: 'approver', approver: approverOf(record, twice ? byEmail : null, who) };
    },
  };
}

const UNREGISTERED =
  'You are not registered as an approver here. Ask whoever runs Holdpoint to add your Slack id or e-mail.';
const TWO_PEOPLE =
  'You are listed as two approvers, one by Slack id and one by e-mail. Nothing was decided: ask whoever runs Holdpoint to make them one.';

/** One person, listed by Slack id and perhaps by e-mail too: known by the address, so that they count once wherever they decide. */
function approverOf(record: ApproverLike, also: ApproverLike | null, who: Member): Approver {
  const named = record.name === record.slackId ? (also?.name ?? who.name) : record.name;
  return {
    id: record.email ?? who.email ?? record.id,
    email: who.email,
    slackId: who.userId,
    name: oneLine(named, 80),
    groups: [...new Set([...record.groups, ...(also?.groups ?? [])])],
    surface: 'slack',
  };
}

const outsider = 'Only members of this workspace may decide: you are here from another organisation.';

/** ASCII alone: lower-casing turns the Kelvin sign into a k, and somebody else's address into an approver's. */
const ADDRESS = /^[!-?A-~]+@[!-?A-~]+$/;

function judge(userId: string, team: string, user: unknown): MemberResult {
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
