/**
 * Rules that cannot do what they seem to: never decide, contradict another, say nothing new. Only what is certain is told: every
 * statement that the one rule matches is matched by the other. Warnings, not mistakes: the most restrictive rule still wins.
 */
import { matchesText, splitGlob } from './glob.ts';
import { nearest } from './nearest.ts';
import {
  type DefaultKey,
  type Match,
  type Policy,
  type Rule,
  type RuleEffect,
  WATCHED_TAG,
} from './types.ts';

export type Finding = readonly [path: readonly (string | number)[], message: string];

const RANK: Readonly<Record<RuleEffect, number>> = { allow: 0, mask: 1, hold: 1, deny: 2 };
/** Comparing is quadratic: beyond this many rules only neighbours in the text would be compared, so nothing is. */
const MAX_COMPARED = 300;

export function* findings(policy: Policy): Generator<Finding> {
  if (policy.mode === 'observe') {
    const still = policy.rules.filter(({ effect, mode }) => effect !== 'allow' && mode === 'enforce');
    const but = still.length === 0 ? '' : `, except rules with "mode: enforce" (${still.length})`;
    yield [['preset'], `nothing is held or denied under the preset observe${but}: it is only recorded`];
  }
  const tags = [...new Set(policy.pii.map(({ tag }) => tag))];
  for (const [index, rule] of policy.rules.entries()) {
    for (const [key, match] of [['match', rule.match] as const, ['unless', rule.unless] as const]) {
      for (const [at, tag] of (match?.tags ?? []).entries()) {
        const near = tags.includes(tag) || tag === 'pii' || tag === WATCHED_TAG ? '' : nearest(tag, tags);
        if (near !== '')
          yield [['rules', index, key, 'tags', at], `no entry of "pii" has the tag "${tag}"${near}`];
      }
    }
    if (rule.effect === 'allow') yield* idle(policy, rule, index);
    else yield* underDenied(policy, rule, index);
    if (policy.rules.length <= MAX_COMPARED) yield* compared(policy, rule, index);
  }
}

/** An allow rule lifts default holds; where there is none among its classes it does nothing. */
function* idle(policy: Policy, { match }: Rule, index: number): Generator<Finding> {
  const { classes } = match;
  if (classes === undefined || match.missing_where === true || match.columns || match.tags) return;
  const keys: readonly DefaultKey[] = classes.includes('read') ? classes : [...classes, 'read'];
  if (keys.some((key) => RANK[policy.defaults[key]] === 1)) return;
  const denied = classes.filter((key) => policy.defaults[key] === 'deny');
  yield [
    ['rules', index],
    denied.length === classes.length
      ? `never decides: default:${denied[0] ?? ''} denies, which an allow rule does not lift; change "defaults"`
      : 'changes nothing: what it allows no default holds; an exception to a rule is that rule’s "unless"',
  ];
}

function* underDenied(policy: Policy, { match, effect, mode }: Rule, index: number): Generator<Finding> {
  const { classes } = match;
  if (policy.mode === 'observe' || mode === 'observe' || effect === 'deny' || classes === undefined) return;
  if (classes.every((key) => policy.defaults[key] === 'deny'))
    yield [['rules', index], `never decides: default:${classes[0] ?? ''} denies all it matches`];
}

function* compared(policy: Policy, rule: Rule, index: number): Generator<Finding> {
  for (const [at, other] of policy.rules.entries()) {
    if (other === rule || other.effect === 'allow' || (other.mode !== rule.mode && rule.effect !== 'allow'))
      continue;
    if (other.mode === 'observe' && rule.effect === 'allow') continue;
    if (!covers(other, rule)) continue;
    const same = covers(rule, other) || equal(rule.match, other.match);
    if (RANK[other.effect] > RANK[rule.effect]) {
      yield [
        ['rules', index],
        same && rule.effect !== 'mask'
          ? `contradicts rules[${at}] "${other.name}": both match the same, and ${other.effect} wins over ${rule.effect}`
          : `never decides: rules[${at}] "${other.name}" ${VERBS[other.effect]} all it matches`,
      ];
      return;
    }
    if (other.effect === rule.effect && same && at < index && equal(told(rule), told(other))) {
      yield [['rules', index], `repeats rules[${at}] "${other.name}"`];
      return;
    }
    const [mine, theirs] = [rule.terms.surfaces, other.terms.surfaces];
    if (RANK[rule.effect] === 1 && RANK[other.effect] === 1 && mine !== null && theirs !== null) {
      if (!mine.some((surface) => theirs.includes(surface))) {
        yield [
          ['rules', index, 'surfaces'],
          `contradicts rules[${at}] "${other.name}", which holds the same elsewhere: nobody could approve`,
        ];
        return;
      }
    }
  }
}
const VERBS: Readonly<Record<RuleEffect, string>> = {
  allow: 'allows',
  hold: 'holds',
  mask: 'masks',
  deny: 'denies',
};
const told = ({ message, terms }: Rule): unknown => [message, terms];

/** Whatever `b` matches, the restrictive rule `a` matches as well. */
export function covers(a: Rule, b: Rule): boolean {
  const leaningsDiffer = b.effect === 'allow';
  if (a.unless !== null && (leaningsDiffer || b.unless === null || !equal(a.unless, b.unless))) return false;
  return KEYS.every(
    (key) => a.match[key] === undefined || (b.match[key] !== undefined && within(key, a.match, b.match)),
  );
}

const KEYS = [
  'classes',
  'relations',
  'columns',
  'tags',
  'use',
  'functions',
  'targets',
  'environments',
  'owners',
  'agents',
  'groups',
  'missing_where',
  'transaction',
  'time',
  'rows_over',
] as const satisfies readonly (keyof Match)[];

function within(key: keyof Match, a: Match, b: Match): boolean {
  switch (key) {
    case 'relations':
    case 'functions':
      return globs(a[key], b[key], 2);
    case 'columns':
      return globs(a[key], b[key], 3);
    case 'targets':
    case 'environments':
    case 'owners':
    case 'agents':
    case 'groups':
      return each(a[key], b[key], (wide, narrow) => matchesText(wide.toLowerCase(), narrow.toLowerCase()));
    case 'classes':
    case 'tags':
    case 'use':
    case 'transaction':
      return each<string>(a[key], b[key], (wide, narrow) => wide === narrow);
    case 'missing_where':
    case 'time':
      return equal(a[key], b[key]);
    case 'rows_over':
      return (a.rows_over ?? 0) <= (b.rows_over ?? 0);
  }
}

function each<T>(
  wide: readonly T[] | undefined,
  narrow: readonly T[] | undefined,
  test: (wide: T, narrow: T) => boolean,
): boolean {
  return (narrow ?? []).every((one) => (wide ?? []).some((other) => test(other, one)));
}

/** A `*` of the narrow glob is matched only by a `*` of the wide one, so it may be read as a letter. */
function globs(
  wide: readonly string[] | undefined,
  narrow: readonly string[] | undefined,
  max: number,
): boolean {
  return each(wide, narrow, (one, other) => {
    const [a, b] = [splitGlob(one, max), splitGlob(other, max)];
    if (typeof a === 'string' || typeof b === 'string') return false;
    const pad = (parts: readonly string[]) => [...Array<string>(max - parts.length).fill('*'), ...parts];
    const [left, right] = [pad(a), pad(b)];
    return left.every((part, i) => matchesText(part.toLowerCase(), (right[i] ?? '*').toLowerCase()));
  });
}

function equal(a: unknown, b: unknown): boolean {
  return canonical(a) === canonical(b);
}
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([x], [y]) => (x < y ? -1 : 1)))
      : inner,
  );
}
