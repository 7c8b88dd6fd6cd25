/** Why each rule did or did not decide, for `policy explain`. The verdict itself is verdict.ts's; this only tells. */
import { classesOf, criteria, readClass } from './rules/match.ts';
import type { Match, Policy, Rule, RuleEffect } from './rules/types.ts';
import { windowText } from './rules/window.ts';
import type { Analysis, PolicyContext, StatementFacts, Verdict } from './types.ts';
import { asked } from './verdict.ts';

export interface RuleTrace {
  readonly name: string;
  readonly effect: RuleEffect;
  /** `overruled`: it matches and something stricter, or a rule beside a default, is named instead. */
  readonly outcome: 'decides' | 'observed' | 'overruled' | 'lifted' | 'excepted' | 'no match';
  /** Which criteria matched, or which did not and what the statement is instead. */
  readonly why: string;
}

/** Per statement of the text: defaults that were asked, and every rule. Empty where no rule was asked. */
export function trace(
  policy: Policy,
  analysis: Analysis,
  context: PolicyContext,
  verdict: Verdict,
): readonly (readonly RuleTrace[])[] {
  if (analysis.kind !== 'facts' || verdict.rules.some((name) => /^(?:level|error):/.test(name))) return [];
  return analysis.statements.map((statement) => {
    const rules = policy.rules.map((rule) => ofRule(rule, statement, context, verdict));
    const defaults = asked(policy, statement, context).map(({ key, lifted }): RuleTrace => {
      const name = `default:${key}`;
      const effect = policy.defaults[key];
      const seen = policy.mode === 'observe' && effect !== 'allow';
      return {
        name,
        effect,
        outcome: lifted !== null ? 'lifted' : seen ? 'observed' : decided(name, verdict),
        why: lifted === null ? '' : `rule ${lifted} allows it`,
      };
    });
    return [...rules, ...defaults].sort((a, b) => ORDER.indexOf(a.outcome) - ORDER.indexOf(b.outcome));
  });
}

const ORDER: readonly RuleTrace['outcome'][] = [
  'decides',
  'observed',
  'overruled',
  'lifted',
  'excepted',
  'no match',
];

function decided(name: string, verdict: Verdict): 'decides' | 'overruled' {
  return verdict.rules.includes(name) ? 'decides' : 'overruled';
}

function ofRule(rule: Rule, statement: StatementFacts, context: PolicyContext, verdict: Verdict): RuleTrace {
  const { name, effect } = rule;
  const permits = effect === 'allow';
  const wanted = criteria(rule.match, permits ? 'permit' : 'restrict');
  const failed = wanted.filter(({ test }) => !test(statement, context));
  if (failed.length > 0) {
    const why = failed.map(({ keys }) => `${wants(rule.match, keys)}; ${is(keys, statement, context)}`);
    return { name, effect, outcome: 'no match', why: why.join(' · ') };
  }
  if (rule.unless !== null) {
    const { unless } = rule;
    const excepting = criteria(unless, permits ? 'restrict' : 'permit');
    if (excepting.every(({ test }) => test(statement, context))) {
      const why = excepting.map(({ keys }) => wants(unless, keys)).join(' · ');
      return { name, effect, outcome: 'excepted', why: `unless ${why}` };
    }
  }
  const why = wanted.map(({ keys }) => wants(rule.match, keys)).join(' · ');
  const observed = rule.mode === 'observe';
  return {
    name,
    effect,
    outcome: observed ? 'observed' : decided(name, verdict),
    why: why === '' ? 'it matches everything' : why,
  };
}

/** `classes delete, truncate`. */
function wants(match: Match, keys: readonly (keyof Match)[]): string {
  return keys
    .map((key) => {
      const value = match[key];
      if (key === 'time') return `time ${match.time === undefined ? '' : windowText(match.time)}`;
      return `${key} ${Array.isArray(value) ? value.join(', ') : String(value)}`;
    })
    .join(' and ');
}

function is(keys: readonly (keyof Match)[], statement: StatementFacts, context: PolicyContext): string {
  const [key] = keys;
  const list = (items: readonly string[], none: string): string =>
    items.length === 0 ? none : `it has ${[...new Set(items)].slice(0, 5).join(', ')}`;
  if (key === undefined) return '';
  switch (key) {
    case 'classes':
      return `it is ${[...new Set([...classesOf(statement), ...readClass(statement)])].join(', ')}`;
    case 'relations':
      return list(
        statement.relations.map(({ schema, name }) => (schema === null ? name : `${schema}.${name}`)),
        'it names no relation',
      );
    case 'functions':
      return list(statement.functions, 'it calls no function');
    case 'columns':
    case 'tags':
    case 'use':
      return list(
        statement.columns.map(({ relation, column, tag, use }) => `${relation}.${column} (${tag}, ${use})`),
        'it touches no tagged column',
      );
    case 'missing_where':
      return statement.missingWhere ? 'it changes every row' : 'it does not change every row';
    case 'rows_over':
      return statement.rows === undefined ? 'its rows are unknown' : `it has about ${statement.rows} rows`;
    case 'targets':
      return `the target is ${context.target || 'unknown'}`;
    case 'environments':
      return `the environment is ${context.environment || 'unknown'}`;
    case 'owners':
      return `the owner is ${context.owner ?? 'unknown'}`;
    case 'agents':
      return `the agent is ${context.agent ?? 'unknown'}`;
    case 'groups':
      return context.groups.length === 0 ? 'no group' : `the groups are ${context.groups.join(', ')}`;
    case 'transaction':
      return `it is ${context.transaction}`;
    case 'time':
      return context.now === undefined
        ? 'the time is unknown'
        : `it is ${new Date(context.now).toISOString()}`;
  }
}
