/**
 * Facts × policy × who and where → verdict. Pure. The most restrictive matching rule wins (deny > hold > allow); where no rule
 * decides, the visible defaults do; an `allow` rule lifts a default hold, never a rule's; any error inside denies (DESIGN.md 5).
 */
import { describe, listed, losesTag } from './describe.ts';
import { DEFAULT_EXPIRES_MS } from './rules/defaults.ts';
import { classesOf, compileMatch, type Matcher } from './rules/match.ts';
import {
  type DefaultKey,
  type Mode,
  type Policy,
  type Rule,
  type RuleEffect,
  type Terms,
  WATCHED_TAG,
} from './rules/types.ts';
import { joinOwed, joinTerms } from './terms.ts';
import type {
  AccessLevel,
  Analysis,
  Effect,
  HoldTerms,
  Observed,
  PolicyContext,
  StatementClass,
  StatementFacts,
  Verdict,
} from './types.ts';

/** `unreadable`: what a text is that does not parse; only a `protocol: trusted` target takes it for an unknown statement (DESIGN.md 15). */
export function evaluate(
  policy: Policy,
  analysis: Analysis,
  context: PolicyContext,
  unreadable: 'refused' | 'unknown' = 'refused',
): Verdict {
  try {
    switch (analysis.kind) {
      case 'facts': {
        if (context.level === 'none') {
          return denied(
            'level:none',
            'this identity has no access to this target: none of its groups is given a level',
          );
        }
        if (analysis.statements.length === 0) return combine(policy, [byDefault(policy, null, 'empty')]);
        return combine(
          policy,
          analysis.statements.flatMap((statement) => decide(policy, statement, context)),
        );
      }
      case 'syntax':
        if (unreadable === 'unknown') return combine(policy, [byDefault(policy, null, 'unknown')]);
        // The parser's own message may quote a value out of the text: only the place is told.
        return denied(
          'error:syntax',
          `it does not parse as PostgreSQL${analysis.position === null ? '' : ` near character ${analysis.position}`}`,
        );
      case 'unjudgeable':
        return denied('error:unjudgeable', `it cannot be judged: ${uncapped(analysis.why)}`);
    }
  } catch {
    return denied(
      'error:policy',
      'policy failed on it, so it is refused; tell the administrators of the gateway',
    );
  }
}

/** A deny that no rule made: `error:<what>` or `level:<level>`. */
export function denied(rule: string, reason: string): Verdict {
  return { effect: 'deny', rules: [rule], reason, terms: NO_TERMS };
}

const NO_TERMS: HoldTerms = {
  approverGroups: [],
  quorum: 1,
  waitMs: null,
  expiresMs: DEFAULT_EXPIRES_MS,
  reasonRequired: false,
};

/** One reason for one effect on one statement. */
interface Decision {
  readonly effect: Effect;
  readonly mode: Mode;
  readonly name: string;
  readonly statement: StatementFacts | null;
  readonly about: 'statement' | 'columns' | 'unknowns';
  readonly message: string | null;
  readonly terms: Terms | null;
}

const RANK: Readonly<Record<Effect, number>> = { allow: 0, hold: 1, deny: 2 };

function decide(policy: Policy, statement: StatementFacts, context: PolicyContext): readonly Decision[] {
  const capped = cap(statement, context.level);
  if (capped !== null) return [capped];

  const rules = compiled(policy).filter(({ applies }) => applies(statement, context));
  const decisions: Decision[] = rules.map(({ rule }) => ({
    effect: enforced(rule.effect),
    mode: rule.mode,
    name: rule.name,
    statement,
    about: rule.match.columns || rule.match.tags || rule.match.use ? 'columns' : 'statement',
    message: rule.message ?? (rule.effect === 'mask' ? MASK_NOTE : null),
    terms: rule.terms,
  }));
  const allows = rules.filter(({ rule }) => rule.effect === 'allow').map(({ rule }) => rule);
  for (const key of defaultsFor(statement)) {
    const decision = byDefault(policy, statement, key);
    if (decision.effect === 'hold' && allows.some((rule) => lifts(rule, key))) continue;
    decisions.push(decision);
  }
  return decisions;
}

const MASK_NOTE = 'masking is not on the wire yet, so it waits for approval';

/** `mask` is enforced as hold. */
function enforced(effect: RuleEffect): Effect {
  return effect === 'mask' ? 'hold' : effect;
}

function byDefault(policy: Policy, statement: StatementFacts | null, key: DefaultKey): Decision {
  const effect = policy.defaults[key];
  return {
    effect: enforced(effect),
    mode: policy.mode,
    name: `default:${key}`,
    statement,
    about: key.startsWith('pii_') ? 'columns' : key === 'unknown' ? 'unknowns' : 'statement',
    message: effect === 'mask' ? MASK_NOTE : (DEFAULT_NOTES[key] ?? null),
    terms: null,
  };
}

const DEFAULT_NOTES: Readonly<Partial<Record<DefaultKey, string>>> = {
  missing_where: 'it has no WHERE',
  pii_value: 'tagged columns reach the result',
};

function* defaultsFor(statement: StatementFacts): Generator<DefaultKey> {
  yield* classesOf(statement);
  if (statement.relations.some(({ access }) => access === 'read')) yield 'read';
  if (statement.missingWhere) yield 'missing_where';
  const tagged = statement.columns.filter(({ tag }) => tag !== WATCHED_TAG);
  if (tagged.some(({ use }) => use === 'value')) yield 'pii_value';
  if (tagged.some(({ use }) => use === 'predicate')) yield 'pii_predicate';
  if (tagged.some(({ use }) => use === 'written')) yield 'pii_written';
}

/** Defaults that are asked about a statement, each with the allow rule that lifts it; for policy explain. */
export function asked(
  policy: Policy,
  statement: StatementFacts,
  context: PolicyContext,
): readonly { readonly key: DefaultKey; readonly lifted: string | null }[] {
  const allows = compiled(policy).filter(
    ({ rule, applies }) => rule.effect === 'allow' && applies(statement, context),
  );
  return [...new Set(defaultsFor(statement))].map((key) => {
    const by = enforced(policy.defaults[key]) === 'hold' && allows.find(({ rule }) => lifts(rule, key));
    return { key, lifted: by ? by.rule.name : null };
  });
}

/**
 * An allow rule lifts the default it speaks of: tagged columns only when it names columns or tags, what cannot be seen through only
 * when it names the class `unknown`, a missing WHERE only when it says so. Silence never lifts those.
 */
function lifts(rule: Rule, key: DefaultKey): boolean {
  const { match } = rule;
  switch (key) {
    case 'pii_value':
    case 'pii_predicate':
    case 'pii_written':
      return match.columns !== undefined || match.tags !== undefined;
    case 'unknown':
    case 'do':
    case 'call':
    case 'admin':
    case 'dcl':
      return match.classes?.includes(key) === true;
    case 'missing_where':
      return match.missing_where === true;
    default:
      return true;
  }
}

// ── what a level can never do, whatever the rules say (the upstream login is the second lock) ──────────────────────────
const WRITES: ReadonlySet<StatementClass> = new Set<StatementClass>([
  'insert',
  'update',
  'merge',
  'delete',
  'truncate',
  'lock',
  'ddl',
  'dcl',
  'admin',
  'call',
  'do',
]);

function cap(statement: StatementFacts, level: AccessLevel): Decision | null {
  const classes = classesOf(statement);
  if (level === 'read-only') {
    const copiesIn = statement.relations.some(({ access }) => access === 'copy-in');
    if (copiesIn || classes.some((name) => WRITES.has(name))) {
      return capped(statement, level, 'this identity may only read here; ask for a login that may write');
    }
  }
  if (level === 'read-write' && classes.some((name) => name === 'dcl' || name === 'admin')) {
    return capped(statement, level, 'rights and administration need the access level admin');
  }
  return null;
}

function capped(statement: StatementFacts, level: AccessLevel, message: string): Decision {
  return {
    effect: 'deny',
    mode: 'enforce',
    name: `level:${level}`,
    statement,
    about: 'statement',
    message,
    terms: null,
  };
}

// ── together ─────────────────────────────────────────────────────────────────────────────────────────────────────
function combine(policy: Policy, all: readonly Decision[]): Verdict {
  const decisions = all.flatMap((decision): readonly Decision[] => {
    if (decision.mode === 'enforce' || decision.effect === 'allow') return [decision];
    // What is only observed is no reason to stop: where nothing else decides, the default of its statement lets it through.
    return decision.name.startsWith('default:') ? [{ ...decision, effect: 'allow', message: null }] : [];
  });
  const effect = decisions.reduce<Effect>(
    (worst, decision) => (RANK[decision.effect] > RANK[worst] ? decision.effect : worst),
    'allow',
  );
  const winning = decisions.filter((decision) => decision.effect === effect);
  // A rule says more than a default: where both decided alike, the defaults are not named beside it.
  const byRule = winning.filter(({ name }) => !name.startsWith('default:'));
  const named = byRule.length > 0 && effect !== 'allow' ? byRule : winning;
  const rules = [...new Set(named.map(({ name }) => name))];
  // That a tag is lost for good matters more than how.
  const lasting = named.find(
    ({ about, statement }) => about === 'columns' && statement !== null && losesTag(statement) !== null,
  );
  const first = lasting ?? named[0];
  if (first === undefined) throw new Error('no decision');
  const messages = [...new Set(named.flatMap(({ message }) => (message === null ? [] : [message])))];
  const subject = describe(first.statement, first.about);
  const verb = effect === 'allow' ? `${subject} is allowed` : subject;
  const why = `${verb} (${printRules(rules)})`;
  const reason = effect === 'allow' || messages.length === 0 ? why : `${why}: ${listed(messages, 2, '; ')}`;
  const observed = observedIn(all);
  return {
    effect,
    rules,
    reason,
    terms: holdTerms(policy, winning),
    ...(observed === null ? {} : { observed }),
  };
}

function observedIn(all: readonly Decision[]): Observed | null {
  const seen = all.filter(({ mode, effect }) => mode === 'observe' && effect !== 'allow');
  if (seen.length === 0) return null;
  const byRule = seen.filter(({ name }) => !name.startsWith('default:'));
  return {
    effect: seen.some(({ effect }) => effect === 'deny') ? 'deny' : 'hold',
    rules: [...new Set((byRule.length > 0 ? byRule : seen).map(({ name }) => name))],
  };
}

function printRules(rules: readonly string[]): string {
  const plain = rules.every((name) => !name.includes(':'));
  return plain
    ? `${rules.length === 1 ? 'rule' : 'rules'} ${listed(rules, 3, ', ')}`
    : listed(rules, 3, ', ');
}

/** What each decision asks for, joined; what a rule leaves open comes from the policy. */
function holdTerms(policy: Policy, decisions: readonly Decision[]): HoldTerms {
  const [first, ...more] = decisions.map(({ terms }) => termsOf(policy.terms, terms));
  return first === undefined ? NO_TERMS : joinTerms([first, ...more]);
}

function termsOf(base: Terms, said: Terms | null): HoldTerms {
  const from = said !== null && (said.groups.length > 0 || said.each.length > 0) ? said : base;
  const quorum = said?.quorum ?? base.quorum ?? 1;
  const each = from.each.map((group) => ({ groups: [group], count: 1 }));
  const any = from.groups.length > 0 ? [{ groups: from.groups, count: quorum }] : [];
  const surfaces = said?.surfaces ?? base.surfaces;
  const escalation = said?.escalation ?? base.escalation;
  return {
    ...joinOwed([...each, ...any], quorum),
    waitMs: said?.waitMs ?? base.waitMs,
    expiresMs: said?.expiresMs ?? base.expiresMs ?? DEFAULT_EXPIRES_MS,
    reasonRequired: base.reasonRequired || said?.reasonRequired === true,
    ...(base.ticketRequired || said?.ticketRequired === true ? { ticketRequired: true as const } : {}),
    ...(surfaces === null ? {} : { surfaces }),
    ...(escalation === null ? {} : { escalation }),
  };
}

// ── rules are compiled once per policy ───────────────────────────────────────────────────────────────────────────────
interface CompiledRule {
  readonly rule: Rule;
  readonly applies: Matcher;
}
const COMPILED = new WeakMap<Policy, readonly CompiledRule[]>();

function compiled(policy: Policy): readonly CompiledRule[] {
  const known = COMPILED.get(policy);
  if (known !== undefined) return known;
  const rules = policy.rules.map((rule): CompiledRule => {
    const permits = rule.effect === 'allow';
    const matches = compileMatch(rule.match, permits ? 'permit' : 'restrict');
    const excepted = rule.unless === null ? null : compileMatch(rule.unless, permits ? 'restrict' : 'permit');
    return {
      rule,
      applies: (statement, context) =>
        matches(statement, context) && (excepted === null || !excepted(statement, context)),
    };
  });
  COMPILED.set(policy, rules);
  return rules;
}

/** A sentence of the analysis inside one of ours. */
function uncapped(sentence: string): string {
  return sentence.charAt(0).toLowerCase() + sentence.slice(1).replace(/\.$/, '');
}
