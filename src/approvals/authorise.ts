import type { ApprovalRequest, Approver, RefusedWhy } from './types.ts';

/** The form in which people are compared: one person with two spellings of an address is one person. */
export function personKey(id: string): string {
  return id.normalize('NFKC').trim().toLowerCase();
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
  const me = personKey(approver.id);
  if (me === '' || !(named.length === 0 ? general : inNamed)) return { kind: 'refused', why: 'not-approver' };

  const { ownerId: owner, ownerEmail } = request.requester;
  const isMe = (id: string | null): boolean =>
    id !== null && [me, personKey(approver.email ?? '')].includes(personKey(id)) && personKey(id) !== '';
  if (isMe(owner) || isMe(ownerEmail)) return { kind: 'refused', why: 'own-request' };
  // Whoever can hand out credentials could otherwise ask as somebody else and then approve it.
  if (isMe(request.requester.mintedBy ?? null) && effect === 'approve')
    return { kind: 'refused', why: 'minted-by-you' };
  if (owner === null && effect === 'approve' && !inNamed) return { kind: 'refused', why: 'owner-unknown' };

  if (request.state !== 'pending') return { kind: 'late' };

  const approved = new Set(
    request.decisions
      .filter((decision) => decision.effect === 'approve')
      .map((decision) => personKey(decision.approverId)),
  );
  if (effect === 'approve' && approved.has(me)) return { kind: 'refused', why: 'already-counted' };
  if (request.terms.reasonRequired && reason === null) return { kind: 'refused', why: 'reason-needed' };
  if (effect === 'deny') return { kind: 'counts', missing: 0 };

  const needed = Number.isFinite(request.terms.quorum)
    ? Math.max(1, Math.ceil(request.terms.quorum))
    : Infinity;
  return { kind: 'counts', missing: Math.max(0, needed - approved.size - 1) };
}
