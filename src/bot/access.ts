/** Who may see and decide what, as far as it shapes what is shown; the desk alone decides. */
import { isOwner } from '../approvals/authorise.ts';
import type { ApprovalRequest, Person } from '../approvals/types.ts';
import type { Member } from './tapper.ts';

/** Groups whose members may decide it, once escalated too. */
export function deciders({ terms }: ApprovalRequest): readonly string[] {
  return [...new Set([...terms.approverGroups, ...(terms.escalation?.groups ?? [])])];
}

/** To be shown to them as theirs: by what they are linked to, or by the address that Slack confirms. */
export function isOf(request: ApprovalRequest, person: Person | null, { email }: Member): boolean {
  if (person !== null && isOwner(request, person)) return true;
  return email !== null && request.requester.ownerEmail?.toLowerCase() === email;
}
