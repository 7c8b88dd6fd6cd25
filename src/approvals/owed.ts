/** What a request's groups owe (HoldTerms.owed): one person, one decision, for one group. */
import type { HoldTerms, Owed } from '../policy/types.ts';
import type { ApprovalRequest } from './types.ts';

interface Seat {
  /** Empty: any approver. */
  readonly groups: readonly string[];
}

/**
 * How many seats these approvers fill at most, each given by the groups they were in. The number of people is bounded by the quorum
 * (20 a rule); augmenting paths, so that the order of decisions does not matter.
 */
export function seated(
  request: ApprovalRequest,
  approvers: readonly (readonly string[])[],
  general: readonly string[],
): number {
  return seating(request, approvers, general).size;
}

/** Who sits where: seat → approver. */
function seating(
  request: ApprovalRequest,
  approvers: readonly (readonly string[])[],
  general: readonly string[],
): ReadonlyMap<number, number> {
  const seats = seatsOf(request, general);
  const taken = new Map<number, number>();
  const place = (person: number, tried: Set<number>): boolean => {
    const groups = approvers[person] ?? [];
    return seats.some((seat, at) => {
      if (tried.has(at) || !fits(seat, groups)) return false;
      tried.add(at);
      const sitting = taken.get(at);
      if (sitting !== undefined && !place(sitting, tried)) return false;
      taken.set(at, person);
      return true;
    });
  };
  for (const person of approvers.keys()) place(person, new Set());
  return taken;
}

/** Of each group that is owed decisions, how many are there: those who fill most of all seats, in the order in which they decided. */
export function filled(request: ApprovalRequest): readonly (Owed & { readonly filled: number })[] {
  const approvers = request.decisions
    .filter((made) => made.effect === 'approve')
    .map(({ groups = [] }) => groups);
  const taken = seating(request, approvers, []);
  let first = 0;
  return owedOf(request.terms).map((one) => {
    const [from, to] = [first, first + whole(one.count)];
    first = to;
    return { ...one, filled: [...taken.keys()].filter((seat) => seat >= from && seat < to).length };
  });
}

/** `general`: the groups of approvers where a rule names none; empty: everybody. */
export function seatsOf(
  { terms, escalatedAt }: ApprovalRequest,
  general: readonly string[],
): readonly Seat[] {
  // Once escalated, the second groups may sit anywhere.
  const also = typeof escalatedAt === 'number' ? (terms.escalation?.groups ?? []) : [];
  return owedOf(terms).flatMap(({ groups, count }) => {
    const named = groups.length > 0 ? groups : general;
    const seat = { groups: named.length === 0 ? [] : [...named, ...also] };
    return Array.from({ length: whole(count) }, () => seat);
  });
}

/** Of a group that the rule names, or that has been called in since. */
export function isNamed({ terms, escalatedAt }: ApprovalRequest, groups: readonly string[]): boolean {
  const also = typeof escalatedAt === 'number' ? (terms.escalation?.groups ?? []) : [];
  return [...owedOf(terms).flatMap((one) => one.groups), ...also].some((group) => groups.includes(group));
}
/** Somebody of these groups may decide it at all. */
export function mayDecide(
  request: ApprovalRequest,
  groups: readonly string[],
  general: readonly string[],
): boolean {
  return seatsOf(request, general).some((seat) => fits(seat, groups));
}

export const owedOf = ({ owed, approverGroups, quorum }: HoldTerms): readonly Owed[] =>
  owed ?? [{ groups: approverGroups, count: quorum }];

const fits = (seat: Seat, groups: readonly string[]): boolean =>
  seat.groups.length === 0 || seat.groups.some((group) => groups.includes(group));

/** A row that says nonsense asks for more than anybody can give. */
const MOST = 1000;
const whole = (count: number): number =>
  Number.isFinite(count) ? Math.min(MOST, Math.max(1, Math.ceil(count))) : MOST;
