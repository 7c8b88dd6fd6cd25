/** YAML text → Policy, or every mistake at once with line and column. */
import { isMap, isScalar, isSeq, LineCounter, type Node, parseDocument, visit } from 'yaml';
import { BUILT_IN_DEFAULTS, PRESETS, type Preset } from './defaults.ts';
import { findings } from './lint.ts';
import { nearest } from './nearest.ts';
import { KNOWN_KEYS, type MatchText, type PolicyText, policySchema, type RuleText } from './schema.ts';
import type {
  DefaultKey,
  Defaults,
  Match,
  Mistake,
  Mode,
  ParsedPolicy,
  Policy,
  Rule,
  RuleEffect,
  Terms,
} from './types.ts';

const MAX_TEXT = 1_048_576;

type Path = readonly (string | number)[];

export function parsePolicy(text: string): ParsedPolicy {
  if (text.length > MAX_TEXT) {
    return refuse([
      { line: 1, column: 1, path: '', message: `the text is longer than ${MAX_TEXT} characters` },
    ]);
  }
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    uniqueKeys: true,
    prettyErrors: false,
    version: '1.2',
  });
  const at = (offset: number, path: string, message: string): Mistake => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1), path, message };
  };
  const broken = [...document.errors, ...document.warnings];
  if (broken.length > 0) return refuse(broken.map((fault) => at(fault.pos[0], '', sentence(fault.message))));
  if (document.contents === null) {
    return refuse([
      { line: 1, column: 1, path: '', message: 'the text is empty: it needs at least "version: 1"' },
    ]);
  }

  const dangling: Mistake[] = [];
  visit(document, {
    Alias(_key, node) {
      if (node.resolve(document) === undefined) {
        dangling.push(
          at(node.range?.[0] ?? 0, '', `the alias *${node.source} names nothing that stands before it`),
        );
      }
    },
  });
  if (dangling.length > 0) return refuse(dangling);

  let value: unknown;
  try {
    // Aliases may multiply (a "billion laughs" text): the bound makes toJS throw.
    value = document.toJS({ maxAliasCount: 100 });
  } catch {
    return refuse([at(0, '', 'aliases (*name) repeat too much')]);
  }

  const locate = (path: Path, key?: string): number => place(document.contents, path, key);
  const parsed = policySchema.safeParse(value);
  const mistakes: Mistake[] = [];
  if (!parsed.success) {
    for (const issue of parsed.error.issues) {
      const path = issue.path.filter((part) => typeof part !== 'symbol');
      if (issue.code === 'unrecognized_keys') {
        for (const key of issue.keys) {
          mistakes.push(
            at(
              locate(path, key),
              printPath([...path, key]),
              `unknown key "${key}"${nearest(key, KNOWN_KEYS)}`,
            ),
          );
        }
        continue;
      }
      mistakes.push(at(locate(path), printPath(path), issue.message));
    }
  }
  // What zod does not see is looked for even when zod found something: everything at once.
  for (const [path, message] of crossChecks(value)) mistakes.push(at(locate(path), printPath(path), message));
  if (!parsed.success || mistakes.length > 0) return refuse(mistakes);

  const policy = toPolicy(parsed.data);
  const warnings = sorted(
    [...maskEntries(parsed.data), ...findings(policy)].map(([path, message]) =>
      at(locate(path), printPath(path), message),
    ),
  );
  return { kind: 'policy', policy, warnings };
}

/** One mistake a line, as compilers print them. */
export function formatMistakes(file: string, mistakes: readonly Mistake[]): string {
  return mistakes
    .map(
      ({ line, column, path, message }) =>
        `${file}:${line}:${column}: ${path === '' ? '' : `${path}: `}${message}`,
    )
    .join('\n');
}

function refuse(mistakes: readonly Mistake[]): ParsedPolicy {
  return { kind: 'mistakes', mistakes: sorted(mistakes) };
}

function sorted(mistakes: readonly Mistake[]): readonly Mistake[] {
  return [...mistakes].sort((a, b) => a.line - b.line || a.column - b.column);
}

/** Offset of the node at `path` (or of the key `key` inside it); of the nearest parent that exists when it does not. */
function place(root: Node | null, path: Path, key?: string): number {
  let node: unknown = root;
  let offset = root?.range?.[0] ?? 0;
  for (const part of key === undefined ? path : [...path, key]) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(part));
      if (pair === undefined) return offset;
      if (isScalar(pair.key)) offset = pair.key.range?.[0] ?? offset;
      node = pair.value;
    } else if (isSeq(node) && typeof part === 'number') {
      node = node.items[part];
    } else {
      return offset;
    }
    const range = nodeRange(node);
    if (range !== null) offset = range;
  }
  if (key !== undefined) {
    const parent = find(root, path);
    if (isMap(parent)) {
      const pair = parent.items.find((item) => isScalar(item.key) && String(item.key.value) === key);
      if (isScalar(pair?.key)) return pair.key.range?.[0] ?? offset;
    }
  }
  return offset;
}

function find(root: Node | null, path: Path): unknown {
  let node: unknown = root;
  for (const part of path) {
    if (isMap(node))
      node = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(part))?.value;
    else if (isSeq(node) && typeof part === 'number') node = node.items[part];
    else return undefined;
  }
  return node;
}

function nodeRange(node: unknown): number | null {
  return (isScalar(node) || isMap(node) || isSeq(node)) && node.range ? node.range[0] : null;
}

function printPath(path: Path): string {
  return path.reduce<string>(
    (text, part) => (typeof part === 'number' ? `${text}[${part}]` : text === '' ? part : `${text}.${part}`),
    '',
  );
}

function sentence(message: string): string {
  return message.replace(/\s+/g, ' ').slice(0, 300);
}

function record(value: unknown): Readonly<Record<string, unknown>> | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value))
    : null;
}

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
      for (const key of ['approvers', 'surfaces', 'wait', 'expires', 'reason_required', 'mode']) {
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
    trustedFunctions: text.trusted_functions ?? [],
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
  text: Pick<RuleText, 'approvers' | 'surfaces' | 'wait' | 'expires' | 'reason_required'>,
): Terms {
  return {
    groups: text.approvers?.groups ?? [],
    quorum: text.approvers?.quorum ?? null,
    waitMs: text.wait ?? null,
    expiresMs: text.expires ?? null,
    reasonRequired: text.reason_required ?? false,
    surfaces: text.surfaces ?? null,
  };
}
