/** The only place of the console that decides; it goes through the desk (DESIGN.md 13). */
import { barred } from '../approvals/authorise.ts';
import type {
  ApprovalRequest,
  Counter,
  CountResult,
  DecideResult,
  Desk,
  RefusedWhy,
  RequestState,
  Revealer,
  Surface,
} from '../approvals/types.ts';
import { DENY_REASONS, refusalSentence, who } from '../approvals/words.ts';
import type { Person } from '../identity/roles.ts';
import type { ConsoleOptions } from './types.ts';

export const MAX_REASON = 300;
const ALERT_ID = /^AL-[0-9a-f]{16}$/;

/** One line, bounded; null when empty. Control and bidirectional characters would let a reason disguise itself. */
export function cleanReason(value: unknown): string | null {
  if (typeof value !== 'string') return null;
  const clean = value.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ').trim();
  return clean === '' ? null : [...clean].slice(0, MAX_REASON).join('');
}

/** Somebody as the desk knows them. */
function asDesk({ id, name, email, slackId, subject, groups }: Person, surface: Surface) {
  return { id, name, email, slackId, subject, groups, surface };
}

/** Exactly what it would touch, as an approver's "Count now" in Slack. */
export async function countOf(
  counter: Counter,
  person: Person,
  surface: Surface,
  known: ApprovalRequest,
  now: number,
) {
  const { id } = known;
  const why = barred(known, asDesk(person, surface));
  if (why !== null)
    return {
      status: REFUSED_STATUS[why],
      sentence: refusalSentence(why, known, now),
      request: null,
    } as const;
  const result = await counter.count(id).catch(
    (): CountResult => ({
      kind: 'not-counted',
      sentence: `${id} could not be counted just now. Try again in a moment.`,
    }),
  );
  if (result.kind === 'not-counted')
    return { status: 409, sentence: result.sentence, request: null } as const;
  const rows = result.request.impact?.counted?.rows ?? 0;
  const sentence = `${id} would touch exactly ${rows.toLocaleString('en-US')} ${rows === 1 ? 'row' : 'rows'} now.`;
  return { status: 200, sentence, request: result.request } as const;
}

/** What the card hides, for this person alone. */
export const revealTo = (revealer: Revealer, person: Person, surface: Surface, id: string) =>
  revealer.reveal(id, asDesk(person, surface));

/** As the button of an alert in Slack. */
export async function suspendFor(
  { bursts, log }: Pick<ConsoleOptions, 'bursts' | 'log'>,
  { id, name }: Person,
  alert: string,
) {
  const done = ALERT_ID.test(alert) ? await bursts.suspend(alert, { id, name }) : null;
  if (done === null) return { status: 404, sentence: 'There is no such alert; nothing was done.' } as const;
  log.info({ by: id, alert }, 'suspended for an alert');
  return {
    status: 200,
    sentence: `${who(done)} is suspended: sessions end, requests are withdrawn, grants are void.`,
  } as const;
}

/** The owner takes it back, or says why they ask. */
export function withdrawAs(desk: Desk, person: Person, surface: Surface, id: string, note: string | null) {
  return desk.withdraw({ id, by: asDesk(person, surface), note });
}
export function explainAs(desk: Desk, person: Person, surface: Surface, id: string, reason: string) {
  return desk.explain({ id, by: asDesk(person, surface), reason });
}

/** What a form asks for: `effect`, or `deny` with one of the reasons that Slack offers too. null: neither. */
export function choiceOf(
  form: Readonly<Record<string, unknown>>,
): { readonly effect: 'approve' | 'deny'; readonly reason: string | null } | null {
  const said = cleanReason(form['reason']);
  const denied = DENY_REASONS.find(({ code }) => code === form['deny']);
  if (denied !== undefined) {
    const words = [denied.reason, said].filter((one) => one !== null);
    return { effect: 'deny', reason: words.length === 0 ? null : words.join(': ') };
  }
  const effect = form['effect'];
  return effect === 'approve' || effect === 'deny' ? { effect, reason: said } : null;
}

export function decideAs(
  desk: Desk,
  person: Person,
  surface: Surface,
  input: { readonly id: string; readonly effect: 'approve' | 'deny'; readonly reason: string | null },
): Promise<DecideResult> {
  return desk.decide({ ...input, approver: asDesk(person, surface) });
}

const REFUSED_STATUS = {
  'own-request': 403,
  'minted-by-you': 403,
  'not-approver': 403,
  'owner-unknown': 403,
  elsewhere: 403,
  'identity-unclear': 403,
  'already-counted': 409,
  'no-such-request': 404,
  'reason-needed': 422,
  'not-owed': 409,
  part: 409,
  'not-owner': 403,
} as const satisfies Record<RefusedWhy, number>;

const VERBS: Readonly<Partial<Record<RequestState, string>>> = {
  denied: 'denied',
  withdrawn: 'withdrawn',
  pending: 'changed',
};

/** HTTP status and one sentence of what happened. */
export function outcomeOf(result: DecideResult): {
  readonly status: 200 | 403 | 404 | 409 | 422 | 503;
  readonly sentence: string;
  readonly request: ApprovalRequest | null;
} {
  switch (result.kind) {
    case 'settled': {
      const { request } = result;
      return { status: 200, sentence: `${request.id} ${VERBS[request.state] ?? 'approved'}.`, request };
    }
    case 'counted': {
      const { request, missing } = result;
      const more = missing === 1 ? 'one more approval is' : `${missing} more approvals are`;
      return { status: 200, sentence: `Your decision on ${request.id} counts; ${more} needed.`, request };
    }
    case 'lost':
      return { status: 409, sentence: result.sentence, request: result.request };
    case 'refused':
      return { status: REFUSED_STATUS[result.why], sentence: result.sentence, request: result.request };
    case 'unavailable':
      return { status: 503, sentence: result.sentence, request: null };
  }
}
