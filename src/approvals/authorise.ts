import type { DecidingSurface } from '../policy/types.ts';
import type { ApprovalRequest, Approver, RefusedWhy, Surface } from './types.ts';

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
  reason: string | null,
  approverGroups: readonly string[],
): Authorised {
  const named = request.terms.approverGroups;
  const inNamed = named.some((group) => approver.groups.includes(group));
  const general = approverGroups.length === 0 || approverGroups.some((g) => approver.groups.includes(g));
  if (personKey(approver.id) === '' || !(named.length === 0 ? general : inNamed))
    return { kind: 'refused', why: 'not-approver' };

  const me = keysOf(approver.id, approver.email, approver.slackId && slackKey(approver.slackId));
  const { ownerId, ownerEmail, mintedBy } = request.requester;
  const owner = keysOf(ownerId, ownerEmail);
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

  const approved = new Set(
    request.decisions.flatMap(({ effect: made, approverId }) =>
      made === 'approve' ? keysOf(approverId) : [],
    ),
  );
  if (effect === 'approve') {
    const met = [...approved].map((key) => compare(me, [key]));
    if (met.includes('same')) return { kind: 'refused', why: 'already-counted' };
    if (met.includes('unclear')) return { kind: 'refused', why: 'identity-unclear' };
  }
  if (request.terms.reasonRequired && reason === null) return { kind: 'refused', why: 'reason-needed' };
  if (effect === 'deny') return { kind: 'counts', missing: 0 };

  const needed = Number.isFinite(request.terms.quorum)
    ? Math.max(1, Math.ceil(request.terms.quorum))
    : Infinity;
  return { kind: 'counts', missing: Math.max(0, needed - approved.size - 1) };
}
