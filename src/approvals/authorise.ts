import type { DecidingSurface } from '../policy/types.ts';
import { isNamed, mayDecide, seated, seatsOf } from './owed.ts';
import type { ApprovalRequest, Approver, Person, RefusedWhy, Surface } from './types.ts';

/** The form in which people are compared: one person with two spellings of an address is one person. */
export function personKey(id: string): string {
  return id.normalize('NFKC').trim().toLowerCase();
}

/** A Slack id as a key of a person; every other key is an address, or an issuer's subject. */
export function slackKey(userId: string): string {
  return `slack:${userId}`;
}

/** One token serves the command line and the API, and a client may call itself either. */
function placeOf(surface: Surface): DecidingSurface {
  return surface === 'api' ? 'cli' : surface;
}

const KINDS = ['address', 'slack', 'subject'] as const;
function kindOf(key: string): (typeof KINDS)[number] {
  if (key.startsWith('slack:')) return 'slack';
  return key.includes('@') && !key.includes('|') ? 'address' : 'subject';
}
function keysOf(...ids: readonly (string | null | undefined)[]): readonly string[] {
  return ids.map((id) => personKey(id ?? '')).filter((key) => key !== '');
}
/** Two people are told apart only by keys of the same kind: an address says nothing about a Slack id. */
function compare(a: readonly string[], b: readonly string[]): 'same' | 'other' | 'unclear' {
  if (a.some((key) => b.includes(key))) return 'same';
  const has = (keys: readonly string[], kind: string) => keys.some((key) => kindOf(key) === kind);
  return KINDS.some((kind) => has(a, kind) && has(b, kind)) ? 'other' : 'unclear';
}

export type Authorised =
  | { readonly kind: 'refused'; readonly why: RefusedWhy }
  /** Not open any more: somebody else decided, or it ended. */
  | { readonly kind: 'late' }
  /** It counts; `missing` more are needed after it. A denial needs none. */
  | { readonly kind: 'counts'; readonly missing: number };

/**
 * Whether this decision counts (DESIGN.md 13, invariant I5). Pure; asked again at every attempt, about the row that the
 * conditional UPDATE is then bound to.
 */
export function authorise(
  request: ApprovalRequest,
  approver: Approver,
  effect: 'approve' | 'deny',
  approverGroups: readonly string[],
): Authorised {
  const inNamed = isNamed(request, approver.groups);
  if (personKey(approver.id) === '' || !mayDecide(request, approver.groups, approverGroups))
    return { kind: 'refused', why: 'not-approver' };

  const me = keysOfPerson(approver);
  const { ownerId, mintedBy } = request.requester;
  const owner = keysOfOwner(request);
  const minter = keysOf(mintedBy);
  if (compare(me, owner) === 'same') return { kind: 'refused', why: 'own-request' };
  if (effect === 'approve') {
    const { surfaces } = request.terms;
    if (surfaces !== undefined && !surfaces.some((one) => one === placeOf(approver.surface)))
      return { kind: 'refused', why: 'elsewhere' };
    // Whoever can hand out credentials could otherwise ask as somebody else and then approve it.
    if (compare(me, minter) === 'same') return { kind: 'refused', why: 'minted-by-you' };
    const known = ownerId !== null && owner.some((key) => kindOf(key) !== 'subject');
    if (!known && !inNamed) return { kind: 'refused', why: 'owner-unknown' };
    if (
      (known && compare(me, owner) === 'unclear') ||
      (minter.length > 0 && compare(me, minter) === 'unclear')
    )
      return { kind: 'refused', why: 'identity-unclear' };
  }

  if (request.state !== 'pending') return { kind: 'late' };

  if (effect === 'deny') return { kind: 'counts', missing: 0 };
  const approvals = request.decisions.filter((made) => made.effect === 'approve');
  const met = approvals.map(({ approverId }) => compare(me, keysOf(approverId)));
  if (met.includes('same')) return { kind: 'refused', why: 'already-counted' };
  if (met.includes('unclear')) return { kind: 'refused', why: 'identity-unclear' };
  if (lacksReason(request)) return { kind: 'refused', why: 'reason-needed' };

  const before = approvals.map(({ groups = [] }) => groups);
  const filled = seated(request, [...before, approver.groups], approverGroups);
  if (filled === seated(request, before, approverGroups)) return { kind: 'refused', why: 'not-owed' };
  return { kind: 'counts', missing: seatsOf(request, approverGroups).length - filled };
}

/**
 * Why they could not approve it whatever others do; null: they could. What approvers alone may ask of a request (an exact count says something
 * of the data) is not for its owner either.
 */
export function barred(
  request: ApprovalRequest,
  approver: Approver,
  approverGroups: readonly string[] = [],
): RefusedWhy | null {
  const { surfaces: _, ticketRequired: __, ...terms } = request.terms;
  const bare = {
    ...request,
    state: 'pending',
    decisions: [],
    terms: { ...terms, reasonRequired: false },
  } as const;
  const answer = authorise(bare, approver, 'approve', approverGroups);
  return answer.kind === 'refused' ? answer.why : null;
}

/** Nobody approves it before its requester has said what the rule asks for. */
export function lacksReason({ terms, purpose }: Pick<ApprovalRequest, 'terms' | 'purpose'>): boolean {
  if (terms.ticketRequired === true && !TICKET.test(purpose ?? '')) return true;
  return terms.reasonRequired && (purpose ?? '') === '';
}
/** Somebody approved it for the reason that it gives: no other takes its place. */
export const isReasonKept = ({ decisions }: Pick<ApprovalRequest, 'decisions'>): boolean =>
  decisions.some(({ effect }) => effect === 'approve');
/** `OPS-123`, `#123`. */
const TICKET = /(?<![\w-])(?:[A-Z][A-Z0-9]{1,9}-|#)\d{1,9}(?!\w)/;

/** Is this the accountable person behind the request? Doubt says no. */
export function isOwner(request: ApprovalRequest, person: Person): boolean {
  return compare(keysOfPerson(person), keysOfOwner(request)) === 'same';
}

function keysOfPerson({ id, email, subject, slackId }: Person | Approver): readonly string[] {
  return keysOf(id, email, subject, slackId && slackKey(slackId));
}
function keysOfOwner({ requester }: ApprovalRequest): readonly string[] {
  return keysOf(requester.ownerId, requester.ownerEmail);
}
