/**
 * The sentences about a request that people read, the same in Slack, console and CLI. Plain text, one line, at most 300
 * characters; what to do next is never what gets cut. What clients are told is in gateway/errors.ts.
 */
import { MANY_ROWS, rowsOf } from './impact.ts';
import { filled } from './owed.ts';
import { clock, named, plain } from './text.ts';
import type { ApprovalRequest, Decision, Outcome, RefusedWhy, RequestState, Surface } from './types.ts';

export { impactLines } from './impact.ts';

export const SURFACES: Readonly<Record<Surface, string>> = {
  slack: 'in Slack',
  console: 'in the console',
  cli: 'from the command line',
  api: 'through the API',
};

const PLACES: ReadonlyMap<string, string> = new Map(Object.entries(SURFACES));
/** Of a surface as records name it. */
export const placeOf = (surface: string): string => PLACES.get(surface) ?? `in ${plain(surface, 20)}`;

/** `Cursor for Alice`. */
export function who(request: Pick<ApprovalRequest, 'requester'>): string {
  const { ownerName, ownerId, agent, subject } = request.requester;
  const owner = ownerId === null ? null : named(ownerName, named(ownerId, 'unnamed owner'));
  if (agent === null) return owner ?? `${named(subject, 'somebody')} (owner unknown)`;
  return `${named(agent, 'an agent', 40)} ${owner === null ? '(owner unknown)' : `for ${owner}`}`;
}

/** `DELETE prod/orders · ~12,400 rows · Cursor for Alice · HP-7Q2F`: what a phone shows before it is unlocked. */
export function headline(request: ApprovalRequest): string {
  const place = `${named(request.target.name, 'target', 40)}/${objects(request) ?? named(request.target.database, 'database', 40)}`;
  const rows = amount(request);
  return `${verb(request)} ${place}${rows === null ? '' : ` · ${rows}`} · ${who(request)} · ${request.id}`;
}

/** `~12,400 rows` as the planner expects, `12,412 rows` when they were counted; null: nobody knows. */
export function amount({ impact }: Pick<ApprovalRequest, 'impact'>): string | null {
  const rows = impact?.counted?.rows ?? impact?.rows ?? null;
  if (rows === null || !Number.isFinite(rows) || rows < 0) return null;
  const counted = impact?.counted != null && impact.approximate === false;
  // More than three digits of an estimate would say what nobody knows.
  const shown = counted ? rows : Number(rows.toPrecision(3));
  const text = Math.round(shown).toLocaleString('en-US');
  return `${counted ? '' : '~'}${text} ${shown === 1 ? 'row' : 'rows'}`;
}

/** What is still owed: `1 of 2 · dba ✓ · security still to decide`; null where one approval does. */
export function progress(request: ApprovalRequest): string | null {
  const { quorum } = request.terms;
  if (quorum <= 1) return null;
  const owed = filled(request);
  const made = owed.reduce((sum, one) => sum + one.filled, 0);
  const parts = owed.length < 2 ? [] : owed.slice(0, 5).map(owedWords);
  return [`${made} of ${quorum}`, ...parts, ...(owed.length > 5 ? ['and others'] : [])].join(' · ');
}
function owedWords({ groups, count, filled: made }: ReturnType<typeof filled>[number]): string {
  const names = groups.slice(0, 3).map((group) => named(group, '?', 30));
  const who = names.length === 0 ? 'any approver' : names.join(' or ');
  if (made >= count) return `${who} ✓`;
  return `${who}${made > 0 ? ` ${made} of ${count},` : ''} still to decide`;
}

/** What the client says of itself and why it asks (DESIGN.md 19): shown under that label and no other; null: nothing. */
export function clientSays({ purpose, statement }: ApprovalRequest): string | null {
  const all = [purpose, statement.clientSays].filter((text) => (text ?? '') !== '');
  return all.length === 0 ? null : plain(all.join('; '), 500);
}

/** `orders and 2 more`, or null when the statement names no relation. */
function objects(request: ApprovalRequest): string | null {
  const [first, ...others] = request.statement.relations;
  if (first === undefined) return null;
  const name = named(first.replace(/^public\./u, ''), 'a relation', 60);
  return others.length === 0 ? name : `${name} and ${others.length} more`;
}

function verb(request: ApprovalRequest): string {
  return named(request.statement.verb, 'A statement', 30);
}

/** `by Dana in Slack at 14:02 UTC`. */
export function by(decision: Decision, now: number): string {
  return `by ${named(decision.approverName, decision.approverId)} ${SURFACES[decision.surface]} at ${clock(decision.at, now)}`;
}

/** Those who approved: `by Dana in Slack at 14:02 UTC and by Erin in the console at 14:05 UTC`. */
function approvals(request: ApprovalRequest, now: number): string {
  const made = request.decisions.filter((decision) => decision.effect === 'approve');
  const [last] = made.slice(-1);
  if (last === undefined) return '';
  if (made.length > 2) {
    const names = made.slice(-6).map((decision) => named(decision.approverName, decision.approverId, 20));
    return ` by ${made.length} people (${names.join(', ')}), last at ${clock(last.at, now)}`;
  }
  return ` ${made.map((decision) => by(decision, now)).join(' and ')}`;
}

function ran(outcome: Outcome | null): string {
  if (outcome === null) return '';
  if (outcome.code !== null) return ` with ${plain(outcome.code, 5)} after ${outcome.ms} ms`;
  const rows =
    outcome.rows === null
      ? ''
      : `${outcome.rows.toLocaleString('en-US')} ${outcome.rows === 1 ? 'row' : 'rows'}, `;
  return `: ${rows}${outcome.ms} ms`;
}

function noted(request: ApprovalRequest): string {
  const note = request.note === null ? '' : plain(request.note, 100);
  return note === '' ? '' : `: ${note}`;
}

function denial(request: ApprovalRequest): Decision | null {
  return request.decisions.find((decision) => decision.effect === 'deny') ?? null;
}

function counted(request: ApprovalRequest): string {
  const all = progress(request);
  return all === null ? '' : ` (${all})`;
}

type Sentence = (request: ApprovalRequest, now: number) => string;

const STATES: Readonly<Record<RequestState, Sentence>> = {
  pending: (request, now) =>
    `Waiting for approval${counted(request)} until ${clock(request.expiresAt, now)}${request.waiterLive ? '; the client is waiting' : '; nobody is waiting'}.`,
  granted: (request, now) =>
    request.bundle?.index === 0
      ? `Approved${approvals(request, now)}, ${request.note === null ? 'none run yet' : plain(request.note, 60)}; the rest may run until ${clock(request.grantExpiresAt ?? request.expiresAt, now)}.`
      : request.waiterLive
        ? `Approved${approvals(request, now)}, about to run.`
        : `Approved${approvals(request, now)}, not run, waiting for retry until ${clock(request.grantExpiresAt ?? request.expiresAt, now)}.`,
  executing: (request, now) =>
    request.outcome?.transactionOpen === true
      ? `Approved${approvals(request, now)}, run in a transaction that is still open${ran(request.outcome)}.`
      : `Approved${approvals(request, now)}, running.`,
  // Of a bundle there is no outcome of its own, but a note of how many ran.
  executed: (request, now) =>
    `Approved${approvals(request, now)}, executed${request.outcome === null ? noted(request) : ran(request.outcome)}.`,
  failed: (request, now) =>
    `Approved${approvals(request, now)}, failed${request.outcome === null ? noted(request) : ran(request.outcome)}.`,
  unknown: (request, now) => `Approved${approvals(request, now)}, outcome unknown${noted(request)}.`,
  denied: (request, now) => {
    const decision = denial(request);
    const reason = plain(decision?.reason ?? '', 100);
    return `Denied${decision === null ? '' : ` ${by(decision, now)}`}${reason === '' ? '' : `: ${reason}`}. Not run.`;
  },
  expired: (request, now) => `Expired at ${clock(request.endedAt ?? request.expiresAt, now)}, not run.`,
  withdrawn: (request, now) =>
    `Withdrawn at ${clock(request.endedAt ?? request.createdAt, now)}${noted(request)}. Not run.`,
  lapsed: (request, now) =>
    `Approved${approvals(request, now)}, not run: no retry came by ${clock(request.grantExpiresAt ?? request.endedAt ?? request.expiresAt, now)}.`,
};

/** Where the request stands: `Approved by Dana in Slack at 14:02 UTC, not run, waiting for retry until 18:40 UTC.` */
export function stateSentence(request: ApprovalRequest, now: number): string {
  return plain(STATES[request.state](request, now), 300);
}

/** For the one who tapped too late: `Already denied by Dana in Slack at 14:02 UTC.` */
export function lostSentence(request: ApprovalRequest, now: number): string {
  const decision =
    denial(request) ?? request.decisions.filter((made) => made.effect === 'approve').slice(-1)[0] ?? null;
  switch (request.state) {
    case 'pending':
      return `${request.id} is still open. Try again.`;
    case 'expired':
      return `${request.id} expired at ${clock(request.endedAt ?? request.expiresAt, now)}. Nothing was run.`;
    case 'withdrawn':
      return `${request.id} was withdrawn at ${clock(request.endedAt ?? request.expiresAt, now)}${noted(request)}. Nothing was run.`;
    case 'denied':
      return `Already denied${decision === null ? '' : ` ${by(decision, now)}`}.`;
    case 'granted':
    case 'executing':
    case 'executed':
    case 'failed':
    case 'unknown':
    case 'lapsed':
      return `Already approved${decision === null ? '' : ` ${by(decision, now)}`}.`;
  }
}

/** Groups that may decide it now. */
export function namedGroups({ terms, escalatedAt }: ApprovalRequest): readonly string[] {
  const also = typeof escalatedAt === 'number' ? (terms.escalation?.groups ?? []) : [];
  return [...new Set([...terms.approverGroups, ...also])].map((group) => named(group, '?', 40));
}
function listedGroups(groups: readonly string[]): string {
  return `${groups.slice(0, 4).join(', ')}${groups.length > 4 ? ` and ${groups.length - 4} more groups` : ''}`;
}

const REFUSALS: Readonly<Record<RefusedWhy, Sentence>> = {
  'own-request': (request) =>
    `${request.id} is your own request${request.requester.agent === null ? '' : ` (${who(request)})`}. Somebody else must decide it.`,
  'minted-by-you': (request) =>
    `${request.id} was asked with a credential that you minted. Somebody else must approve it.`,
  'not-approver': (request) => {
    const groups = namedGroups(request);
    return groups.length === 0
      ? `You are not an approver, so you cannot decide ${request.id}. Ask one of the approvers.`
      : `${request.id} is decided by ${listedGroups(groups)}, and you are in none of them. Ask somebody who is.`;
  },
  'not-owner': (request) =>
    `Only ${named(request.requester.ownerName, 'its owner')} can do that with ${request.id}.`,
  'not-owed': (request) =>
    `${request.id} has the approvals that your groups owe${counted(request)}. Somebody of ${listedGroups(namedGroups(request)) || 'the approvers'} is still to decide.`,
  'already-counted': (request) =>
    `Your decision on ${request.id} counts already${counted(request)}. Another approver is needed.`,
  part: ({ id, bundle }) =>
    `${id} is one statement of a script. Decide ${bundle?.lead ?? 'the script'}, which shows all of it.`,
  'no-such-request': () => 'There is no such request. Check its id.',
  'reason-needed': (request) =>
    `${request.id} needs a reason${request.terms.ticketRequired ? ' with a ticket' : ''} from ${named(request.requester.ownerName, 'its requester')} before anybody can approve it.`,
  'owner-unknown': (request) =>
    `Nobody is known as the owner of ${request.id}, so only a group named in the rule may approve it, and you are in none.`,
  elsewhere: ({ id, terms }) =>
    (terms.surfaces ?? []).length === 0
      ? `The rules that hold ${id} leave no place where it may be approved. It can only be denied; tell the administrators of the gateway.`
      : `${id} may only be approved ${(terms.surfaces ?? []).map((place) => SURFACES[place]).join(' or ')}.`,
  'identity-unclear': (request) =>
    `Whether ${request.id} is your own cannot be told: one of you is known by Slack id alone. Approve it in Slack, or have the approver configured with e-mail and Slack id.`,
};

export function refusalSentence(why: RefusedWhy, request: ApprovalRequest | null, now: number): string {
  return request === null ? 'There is no such request. Check its id.' : REFUSALS[why](request, now);
}

export function reasonKeptSentence({ id }: ApprovalRequest): string {
  return `Somebody has approved ${id} for the reason that it gives, so that reason stays. Withdraw it to ask for another one.`;
}

export function unavailableSentence(): string {
  return 'Holdpoint cannot reach its store, so this may not have been counted. Look at the request and try again in a moment.';
}

/** What an approver who denies picks from, wherever they do. `other`: their own words. */
export const DENY_REASONS = [
  { code: 'wrong-target', label: 'Wrong target', reason: 'wrong target' },
  { code: 'too-broad', label: 'Too broad', reason: 'too broad' },
  { code: 'ask-first', label: 'Ask me first', reason: 'ask me first' },
  { code: 'other', label: 'Other…', reason: null },
] as const;
export type DenyCode = (typeof DENY_REASONS)[number]['code'];

/** What touches rows that can be counted beforehand. */
export const isCountable = ({ statement }: Pick<ApprovalRequest, 'statement'>): boolean =>
  ['read', 'insert', 'update', 'delete', 'merge', 'truncate'].includes(statement.class);

/** How many rows is not known yet, and may be in a moment. */
export function awaitsEstimate({ version, state, statement, impact }: ApprovalRequest): boolean {
  const open = version === 1 && state === 'pending' && isCountable({ statement });
  return open && impact != null && impact.rows === null && impact.why === null && !impact.parts;
}

/** DDL, whatever touches every row and what touches very many asks once more before it is approved. */
export function needsConfirm(request: Pick<ApprovalRequest, 'statement' | 'impact'>): boolean {
  const { class: kind, missingWhere } = request.statement;
  return kind === 'ddl' || kind === 'truncate' || missingWhere || (rowsOf(request) ?? 0) > MANY_ROWS;
}

/** What is asked then: `DROP TABLE prod/orders in production, Cursor for Alice. It touches every row.` */
export function confirmSentence(request: ApprovalRequest): string {
  const { statement, target } = request;
  const every = statement.missingWhere || statement.class === 'truncate';
  const rows = amount(request);
  const all = every ? ' It touches every row.' : rows === null ? '' : ` It touches ${rows}.`;
  const place = objects(request) ?? named(target.database, 'database', 40);
  return plain(
    `${verb(request)} ${named(target.name, 'target', 40)}/${place} in ${named(target.environment, 'an unnamed environment', 40)}, ${who(request)}.${all}`,
    300,
  );
}
