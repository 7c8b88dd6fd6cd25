/** YAML text → Policy, or every mistake at once with line and column. */
import { BUILT_IN_DEFAULTS, PRESETS, type Preset } from './defaults.ts';
import { findings } from './lint.ts';
import { KNOWN_KEYS, type MatchText, type PolicyText, policySchema, type RuleText } from './schema.ts';
import type {
  DefaultKey,
  Defaults,
  Match,
  Mode,
  ParsedPolicy,
  Policy,
  Rule,
  RuleEffect,
  Terms,
} from './types.ts';
import { type Path, readYaml, sorted } from './yaml.ts';

export { formatMistakes } from './yaml.ts';

export function parsePolicy(text: string): ParsedPolicy {
  const read = readYaml(text, {
    schema: policySchema,
    needs: 'version: 1',
    keys: KNOWN_KEYS,
    more: crossChecks,
  });
  if (read.kind === 'mistakes') return read;
  const policy = toPolicy(read.value);
  const told = [...maskEntries(read.value), ...findings(policy)];
  return { kind: 'policy', policy, warnings: sorted(told.map(([path, message]) => read.at(path, message))) };
}

function record(value: unknown): Readonly<Record<string, unknown>> | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value))
    : null;
}

const ASKS = ['escalate', 'reason_required', 'ticket_required'] as const;

function* crossChecks(value: unknown): Generator<[Path, string]> {
  const rules = record(value)?.['rules'];
  if (!Array.isArray(rules)) return;
  const seen = new Map<string, number>();
  for (const [index, entry] of rules.entries()) {
    const rule = record(entry);
    if (rule === null) continue;
    const name = rule['name'];
    if (typeof name === 'string') {
      const first = seen.get(name);
      if (first === undefined) seen.set(name, index);
      else yield [['rules', index, 'name'], `the name "${name}" is taken by rules[${first}] already`];
    }
    const criteria = record(rule['match']);
    if (rule['effect'] === 'allow') {
      if (criteria === null || Object.keys(criteria).length === 0) {
        yield [['rules', index], 'an allow rule needs a match: without one it would lift every default hold'];
      }
      for (const key of ['approvers', 'surfaces', 'wait', 'expires', ...ASKS, 'mode']) {
        if (rule[key] !== undefined) yield [['rules', index, key], `"${key}" means nothing on an allow rule`];
      }
    }
    const unless = record(rule['unless']);
    if (unless !== null && Object.keys(unless).length === 0) {
      yield [['rules', index, 'unless'], 'must not be empty: it would except everything'];
    }
  }
}

function* maskEntries(text: PolicyText): Generator<[Path, string]> {
  const note = 'masking is not on the wire yet: "mask" is enforced as "hold"';
  for (const [key, effect] of Object.entries(text.defaults ?? {})) {
    if (effect === 'mask') yield [['defaults', key], note];
  }
  for (const [index, rule] of (text.rules ?? []).entries()) {
    if (rule.effect === 'mask') yield [['rules', index, 'effect'], note];
  }
}
function toPolicy(text: PolicyText): Policy {
  const preset: Preset = text.preset ?? 'guarded';
  const { defaults, mode } = PRESETS[preset];
  return {
    version: 1,
    preset,
    pii: text.pii ?? [],
    untagged: text.untagged ?? [],
    trustedFunctions: text.trusted_functions ?? [],
    reveal: text.reveal ?? [],
    defaults: toDefaults(defaults, text.defaults ?? {}),
    mode,
    terms: toTerms(text),
    rules: (text.rules ?? []).map((rule) => toRule(rule, mode)),
  };
}

function toDefaults(base: Defaults, given: Readonly<Record<string, RuleEffect | undefined>>): Defaults {
  const effects: Record<DefaultKey, RuleEffect> = { ...base };
  for (const [key, effect] of Object.entries(given)) {
    if (isDefaultKey(key) && effect !== undefined) effects[key] = effect;
  }
  return effects;
}

function isDefaultKey(key: string): key is DefaultKey {
  return Object.hasOwn(BUILT_IN_DEFAULTS, key);
}

function toRule(text: RuleText, mode: Mode): Rule {
  return {
    name: text.name,
    match: toMatch(text.match ?? {}),
    unless: text.unless === undefined ? null : toMatch(text.unless),
    effect: text.effect,
    mode: text.mode ?? mode,
    message: text.message ?? null,
    terms: toTerms(text),
  };
}

/** Drops the keys that are `undefined`: absent and undefined are different words under exactOptionalPropertyTypes. */
function toMatch(text: MatchText): Match {
  return {
    ...(text.classes && { classes: text.classes }),
    ...(text.relations && { relations: text.relations }),
    ...(text.columns && { columns: text.columns }),
    ...(text.tags && { tags: text.tags }),
    ...(text.use && { use: text.use }),
    ...(text.functions && { functions: text.functions }),
    ...(text.targets && { targets: text.targets }),
    ...(text.environments && { environments: text.environments }),
    ...(text.owners && { owners: text.owners }),
    ...(text.agents && { agents: text.agents }),
    ...(text.groups && { groups: text.groups }),
    ...(text.missing_where !== undefined && { missing_where: text.missing_where }),
    ...(text.transaction && { transaction: text.transaction }),
    ...(text.time && { time: { ...text.time, days: text.time.days ?? null } }),
    ...(text.rows_over !== undefined && { rows_over: text.rows_over }),
  };
}

function toTerms(
  text: Pick<RuleText, 'approvers' | 'surfaces' | 'wait' | 'expires' | (typeof ASKS)[number]>,
): Terms {
  return {
    groups: text.approvers?.groups ?? [],
    quorum: text.approvers?.quorum ?? null,
    each: text.approvers?.each ?? [],
    escalation:
      text.escalate === undefined ? null : { afterMs: text.escalate.after, groups: text.escalate.groups },
    waitMs: text.wait ?? null,
    expiresMs: text.expires ?? null,
    reasonRequired: (text.reason_required ?? false) || (text.ticket_required ?? false),
    ticketRequired: text.ticket_required ?? false,
    surfaces: text.surfaces ?? null,
  };
}
