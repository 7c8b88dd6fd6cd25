/** Who sees which requests and recordings: approvers all requests, auditors everything, everyone their own. */
import { personKey } from '../approvals/authorise.ts';
import type { ApprovalRequest, Desk, RequestState } from '../approvals/types.ts';
import type { Person } from '../identity/roles.ts';
import type { SessionIndex, SessionSummary } from '../recordings/types.ts';

/** The keys under which what they ask is kept. */
const keysOf = ({ id, subject }: Person): readonly string[] => [id, ...(subject === null ? [] : [subject])];

export function owns(person: Person, ownerId: string | null): boolean {
  return ownerId !== null && keysOf(person).some((key) => personKey(key) === personKey(ownerId));
}

export const seesAllRequests = ({ roles }: Person): boolean => roles.has('approver') || roles.has('auditor');

export function seesRequest(person: Person, request: ApprovalRequest): boolean {
  return seesAllRequests(person) || owns(person, request.requester.ownerId);
}

export const REQUEST_ID = /^HP-[0-9A-Z]{4,12}$/;
/** One that they may see; what they may not see does not exist for them. */
export async function requestFor(desk: Desk, person: Person, id: string): Promise<ApprovalRequest | null> {
  const request = REQUEST_ID.test(id) ? await desk.get(id) : null;
  return request !== null && seesRequest(person, request) ? request : null;
}

export async function requestsFor(
  desk: Desk,
  person: Person,
  states: readonly RequestState[] | undefined,
  limit: number,
): Promise<readonly ApprovalRequest[]> {
  const filter = { ...(states === undefined ? {} : { states }), limit };
  if (seesAllRequests(person)) return desk.list(filter);
  const own = await Promise.all(keysOf(person).map((ownerId) => desk.list({ ...filter, ownerId })));
  return own
    .flat()
    .filter((request) => owns(person, request.requester.ownerId))
    .sort((a, b) => b.createdAt - a.createdAt)
    .slice(0, limit);
}

/** An approver also sees the recording of a session that asked for an approval: it is what the decision is about. */
export async function seesSession(person: Person, session: SessionSummary, desk: Desk): Promise<boolean> {
  if (person.roles.has('auditor') || owns(person, session.ownerId)) return true;
  if (!person.roles.has('approver')) return false;
  // The index may be a moment behind; a request moves with the last session that joined it.
  if (session.held > 0) return true;
  return (await desk.list({ sessionId: session.id, limit: 1 })).some(
    (request) => request.sessionId === session.id,
  );
}

export async function sessionsFor(
  sessions: SessionIndex,
  person: Person,
  filter: Parameters<SessionIndex['list']>[0],
): Promise<readonly SessionSummary[]> {
  if (person.roles.has('auditor')) return sessions.list(filter);
  const wanted = filter.owner;
  const isOwn = wanted === undefined || owns(person, wanted);
  const own = await Promise.all(
    isOwn ? keysOf(person).map((owner) => sessions.list({ ...filter, owner })) : [],
  );
  const asked = person.roles.has('approver') ? await sessions.list({ ...filter, held: true }) : [];
  const seen = [...own.flat().filter((session) => owns(person, session.ownerId)), ...asked];
  return [...new Map(seen.map((session) => [session.id, session])).values()]
    .sort((a, b) => b.startedAt - a.startedAt)
    .slice(0, filter.limit);
}
