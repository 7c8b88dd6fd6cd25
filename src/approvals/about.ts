/** What an approver should know of a request before they decide: the same words in Slack, console and CLI. Plain text. */
import { isLead } from './bundle.ts';
import { owedOf } from './owed.ts';
import { clock, hasUnseen, named, plain } from './text.ts';
import type { ApprovalRequest, RequestState } from './types.ts';
import { who } from './words.ts';

export const STATE_NAMES = {
  pending: 'pending',
  granted: 'approved, not run',
  executing: 'running',
  executed: 'executed',
  failed: 'failed',
  unknown: 'outcome unknown',
  denied: 'denied',
  expired: 'expired',
  withdrawn: 'withdrawn',
  lapsed: 'approved, never run',
} as const satisfies Readonly<Record<RequestState, string>>;

/** What is easily overlooked. */
export function cautions(
  request: ApprovalRequest,
): readonly { readonly words: string; readonly grave: boolean }[] {
  const { statement } = request;
  const { missingWhere, snapshotPredates, sql, statementCount, transaction } = statement;
  const all: readonly (readonly [boolean, string])[] = [
    [statementCount > 1, `${statementCount.toLocaleString('en-US')} statements in one string`],
    [transaction !== 'idle', 'Inside an open transaction'],
    [snapshotPredates, 'Its snapshot is older than your approval will be'],
    [hasUnseen(sql), 'Invisible, reordering or disguised characters, which are spelled out'],
  ];
  return [
    ...(missingWhere ? [{ words: 'No WHERE: every row', grave: true }] : []),
    ...(/<pii(?::(?:statement|code))?>/.test(sql)
      ? [
          {
            words: 'Parts of it are hidden, since personal data may be in them: deny what cannot be judged',
            grave: true,
          },
        ]
      : []),
    ...all.flatMap(([is, words]) => (is ? [{ words, grave: false }] : [])),
  ];
}

/** Typed placeholders stand for values in it, which a reveal may show. */
export function hides({ statement }: Pick<ApprovalRequest, 'statement'>): boolean {
  return [statement.sql, ...statement.binds].some((text) => text !== null && /<pii(?::\w+)?>/.test(text));
}

/** Whom an approval would let go on. */
export function waiterWords(request: ApprovalRequest): string {
  const { bundle, waiterLive } = request;
  if (isLead(request)) {
    const of = bundle?.of ?? 0;
    return `A script, ahead of time: ${of === 1 ? 'its statement' : `each of ${of.toLocaleString('en-US')} statements`} may run once, in order`;
  }
  return waiterLive
    ? 'The client is waiting on its connection'
    : 'The client waits no longer: approval lets one retry through';
}

/** `any approver`, `2 approvers of dba or on-call`, `1 of dba and 1 of security, since 14:02 UTC leads as well`. */
export function decidedBy(request: ApprovalRequest, now: number): string {
  const { escalatedAt, terms } = request;
  const owed = owedOf(terms);
  const [only] = owed;
  const who =
    only !== undefined && owed.length === 1
      ? one(only.groups, only.count)
      : owed
          .slice(0, 5)
          .map(({ groups, count }) => `${count} of ${groups.length === 0 ? 'any approver' : listed(groups)}`)
          .join(' and ');
  const also = terms.escalation?.groups ?? [];
  return typeof escalatedAt === 'number' && also.length > 0
    ? `${who}, since ${clock(escalatedAt, now)} ${listed(also)} as well`
    : who;
}
function one(groups: readonly string[], count: number): string {
  if (groups.length === 0) return count === 1 ? 'any approver' : `${count} approvers`;
  return `${count === 1 ? 'an approver' : `${count} approvers`} of ${listed(groups)}`;
}
function listed(groups: readonly string[]): string {
  const shown = groups.slice(0, 5).map((group) => named(group, '?', 40));
  return `${shown.join(' or ')}${groups.length > 5 ? ` or ${groups.length - 5} more groups` : ''}`;
}

/** Destructive statements, logins that fail, something revoked that was tried, or very many comparisons with tagged columns. */
export type AlertAbout = 'statements' | 'logins' | 'revoked' | 'guesses';
interface Alerted extends Pick<ApprovalRequest, 'requester'> {
  readonly about?: AlertAbout;
  readonly count: number;
  readonly since: number;
  readonly at: number;
}

/** `Cursor for Alice: 5 destructive statements in 3 minutes`, `203.0.113.7: 12 logins failed in a minute`. */
export function burstTitle(alert: Alerted): string {
  const minutes = Math.max(1, Math.round((alert.at - alert.since) / 60_000));
  const over = minutes === 1 ? 'in a minute' : `in ${minutes} minutes`;
  const { about = 'statements', count, requester } = alert;
  const whom = plain(isSuspendable(alert) || requester.ownerId !== null ? who(alert) : requester.subject, 80);
  switch (about) {
    case 'statements':
      return `${whom}: ${count} destructive statements ${over}`;
    case 'logins':
      return `${whom}: ${count} logins failed ${over}`;
    case 'revoked':
      return `${whom}: something revoked was tried`;
    case 'guesses':
      return `${whom}: ${count.toLocaleString('en-US')} statements compared tagged columns ${over}`;
  }
}
/** Below its title. */
export function alertNote({ about = 'statements' }: Pick<Alerted, 'about'>): string {
  switch (about) {
    case 'statements':
      return 'Held or denied, none ran unapproved.';
    case 'logins':
    case 'revoked':
      return 'Nobody was let in by any of them.';
    case 'guesses':
      return 'Each passed by itself; so many can guess values that none shows. Look at the recordings. If it is not an application at its work, suspend, or hold pii_predicate in the policy.';
  }
}
/** Whoever fails to log in need not be the owner of what they try: there is nobody to suspend. */
export const isSuspendable = ({ about = 'statements' }: Pick<Alerted, 'about'>): boolean =>
  about === 'statements' || about === 'guesses';
/** What Suspend does, said before it is done. */
export function suspendSentence({ requester }: Pick<ApprovalRequest, 'requester'>): string {
  const whom = requester.ownerId === null ? 'this credential' : 'this person and their agents';
  return `If suspended, nothing of ${whom} is let in: sessions end, requests are withdrawn, grants are void.`;
}
