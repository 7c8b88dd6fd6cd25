/** Who tapped, established at the tap and from Slack itself (SLACK.md "Identity"). Anything doubtful is refused. */
import { type SlackApi, SlackFailure } from './slack-api.ts';
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
  | { readonly kind: 'approver'; readonly approver: ApproverLike; readonly member: Member }
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
      const { email } = result.member;
      const approver = approvers.bySlackId(userId) ?? (email === null ? null : approvers.byEmail(email));
      if (approver === null)
        return {
          kind: 'refused',
          sentence:
            'You are not registered as an approver here. Ask whoever runs Holdpoint to add your Slack id or e-mail.',
        };
      return { kind: 'approver', approver, member: result.member };
    },
  };
}

const outsider = 'Only members of this workspace may decide: you are here from another organisation.';

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
      email: confirmed && typeof email === 'string' && email.includes('@') ? email.toLowerCase() : null,
      name: typeof user['name'] === 'string' ? user['name'] : userId,
    },
  };
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
