/** `SHOW holdpoint.requests`: what the agent may still expect (DESIGN.md 7). */
import type { ApprovalRequest, Desk } from '../approvals/types.ts';
import type { Identity } from '../identity/types.ts';

const NEXT: Readonly<Partial<Record<ApprovalRequest['state'], string>>> = {
  pending: 'wait, then resend exactly the same statement',
  granted: 'approved: resend exactly the same statement now',
  executing: 'it is running',
  denied: 'do not retry; tell the user',
};

export async function requestRows(
  desk: Desk,
  identity: Identity,
  now: number,
): Promise<readonly (readonly string[])[]> {
  const { owner, credentialId } = identity;
  const list = await desk.list({
    states: ['pending', 'granted', 'executing', 'denied'],
    ...(owner === null ? {} : { ownerId: owner.id }),
    limit: 50,
  });
  return list
    .filter((request) => owner !== null || request.requester.credentialId === credentialId)
    .filter((request) => request.state !== 'denied' || now - (request.endedAt ?? 0) < 3_600_000)
    .map((request) => [
      request.id,
      request.state,
      new Date(request.grantExpiresAt ?? request.expiresAt).toISOString(),
      NEXT[request.state] ?? '',
    ]);
}
