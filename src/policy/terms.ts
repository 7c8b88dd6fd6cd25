/** Terms of several holds on one statement, joined: each keeps what it asked for, and the strictest stands. */
import type { HoldTerms, Owed } from './types.ts';

/** What the terms owe, whichever way they say it. */
export function owedOf(terms: Pick<HoldTerms, 'owed' | 'approverGroups' | 'quorum'>): readonly Owed[] {
  return terms.owed ?? [{ groups: terms.approverGroups, count: terms.quorum }];
}

/** Smallest wait and expiry, every group's due, the surfaces that all allow, the earliest escalation. At least one. */
export function joinTerms(all: readonly [HoldTerms, ...HoldTerms[]]): HoldTerms {
  const [first, ...more] = all;
  if (more.length === 0) return first;
  const waitMs = least(all.map((terms) => terms.waitMs));
  const expiresMs = least(all.map((terms) => terms.expiresMs));
  const surfaces = all.reduce<HoldTerms['surfaces']>((sum, terms) => common(sum, terms.surfaces), undefined);
  const escalations = all.flatMap(({ escalation }) => escalation ?? []);
  return {
    ...joinOwed(all.flatMap(owedOf), Math.max(...all.map(({ quorum }) => quorum))),
    waitMs,
    expiresMs,
    reasonRequired: all.some((terms) => terms.reasonRequired),
    ...(all.some((terms) => terms.ticketRequired === true) ? { ticketRequired: true as const } : {}),
    ...(surfaces === undefined ? {} : { surfaces }),
    ...(escalations.length === 0
      ? {}
      : {
          escalation: {
            afterMs: Math.min(...escalations.map(({ afterMs }) => afterMs)),
            groups: unique(escalations.flatMap(({ groups }) => groups)),
          },
        }),
  };
}

/** Every group's due; what is still open of the largest quorum falls to any approver. */
export function joinOwed(
  all: readonly Owed[],
  quorum: number,
): Pick<HoldTerms, 'approverGroups' | 'quorum' | 'owed'> {
  const named = all.filter(({ groups }) => groups.length > 0);
  // Of two dues, one person of the narrower group serves both.
  const owed = named.filter(
    (one, at) =>
      !named.some(
        (other, index) =>
          index !== at &&
          other.count >= one.count &&
          other.groups.every((group) => one.groups.includes(group)) &&
          (other.count > one.count || other.groups.length < one.groups.length || index < at),
      ),
  );
  const people = owed.reduce((sum, { count }) => sum + count, 0);
  const total = Math.max(people, quorum);
  const rest = total > people ? [...owed, { groups: [], count: total - people }] : owed;
  const [only, ...others] = rest;
  if (only !== undefined && others.length === 0) return { approverGroups: only.groups, quorum: total };
  return { approverGroups: unique(owed.flatMap(({ groups }) => groups)), quorum: total, owed: rest };
}

function common<T>(a: readonly T[] | undefined, b: readonly T[] | undefined): readonly T[] | undefined {
  return a === undefined || b === undefined ? (a ?? b) : a.filter((one) => b.includes(one));
}
function least(all: readonly (number | null)[]): number | null {
  const said = all.filter((one) => one !== null);
  return said.length === 0 ? null : Math.min(...said);
}
const unique = (all: readonly string[]): readonly string[] => [...new Set(all)];
