/** The shape of a policy text, as zod sees it. Messages say what is expected; the place is added by parse.ts. */
import { z } from 'zod';
import { STATEMENT_CLASSES } from '../types.ts';
import { BUILT_IN_DEFAULTS } from './defaults.ts';
import { parseDuration } from './duration.ts';
import { splitGlob } from './glob.ts';
import { type DefaultKey, WATCHED_TAG } from './types.ts';

const MAX_LIST = 2000;
const MAX_RULES = 1000;

const oneOf = <const T extends readonly [string, ...string[]]>(values: T) =>
  z.enum(values, {
    error: ({ input }) => `${show(input)} is none of: ${values.join(', ')}${nearest(input, values)}`,
  });

const text = (max: number) =>
  z
    .string({ error: 'must be text' })
    .min(1, { error: 'must not be empty' })
    .max(max, { error: `is longer than ${max} characters` });

function glob(parts: number) {
  return text(200).superRefine((value, context) => {
    const split = splitGlob(value, parts);
    if (typeof split === 'string') {
      context.addIssue({ code: 'custom', message: `${show(value)} ${split}` });
    }
  });
}

const list = <T extends z.ZodType>(item: T) =>
  z
    .array(item, { error: 'must be a list, such as [a, b]' })
    .min(1, { error: 'must not be an empty list: leave the line out to match anything' })
    .max(MAX_LIST, { error: `has more than ${MAX_LIST} entries` });

/** Trust is given by name: `*` only for all functions of one schema. */
const trusted = text(200).regex(/^[^*."]+(\.([^*."]+|\*))?$/, {
  error: 'must be schema.function or schema.*',
});
const wildWord = text(200);
const effect = oneOf(['allow', 'hold', 'deny', 'mask']);
const tagName = text(63)
  .regex(/^[a-z0-9_-]+$/, { error: 'must be made of lower-case letters, digits, _ and -' })
  .refine((tag) => tag !== WATCHED_TAG, { error: `"${WATCHED_TAG}" is used by Holdpoint itself` });

function duration(min: number, max: number, range: string) {
  return z.unknown().transform((value, context): number => {
    const ms = value === 0 ? 0 : typeof value === 'string' ? parseDuration(value) : null;
    if (ms === null) {
      context.addIssue({
        code: 'custom',
        message: `${show(value)} is no duration; write 25s, 10m, 8h or 2d`,
      });
      return z.NEVER;
    }
    if (ms < min || ms > max) {
      context.addIssue({ code: 'custom', message: `${show(value)} is out of range (${range})` });
      return z.NEVER;
    }
    return ms;
  });
}

const object = <T extends z.ZodRawShape>(shape: T) =>
  z.strictObject(shape, {
    error: (issue) => (issue.code === 'invalid_type' ? 'must be a block of "key: value" lines' : undefined),
  });

const match = object({
  classes: list(oneOf(STATEMENT_CLASSES)).optional(),
  relations: list(glob(2)).optional(),
  columns: list(glob(3)).optional(),
  tags: list(tagName).optional(),
  use: list(oneOf(['value', 'predicate', 'written'])).optional(),
  functions: list(glob(2)).optional(),
  targets: list(wildWord).optional(),
  environments: list(wildWord).optional(),
  owners: list(wildWord).optional(),
  agents: list(wildWord).optional(),
  groups: list(wildWord).optional(),
  missing_where: z.boolean({ error: 'must be true or false' }).optional(),
  transaction: list(oneOf(['idle', 'open', 'failed'])).optional(),
});

const approvers = object({
  groups: list(text(200)).optional(),
  quorum: z
    .int({ error: 'must be a whole number' })
    .min(1, { error: 'must be at least 1' })
    .max(20, { error: 'must be at most 20' })
    .optional(),
});

const terms = {
  approvers: approvers.optional(),
  /** How long the connection waits. */
  wait: duration(0, 3_600_000, '0 to 1h').optional(),
  /** How long the request stays open. */
  expires: duration(1000, 30 * 86_400_000, '1s to 30d').optional(),
  reason_required: z.boolean({ error: 'must be true or false' }).optional(),
};

const rule = object({
  name: text(63).regex(/^[a-z0-9][a-z0-9_-]*$/, {
    error: 'must be made of lower-case letters, digits, _ and -, and start with a letter or digit',
  }),
  match: match.optional(),
  unless: match.optional(),
  effect,
  message: text(200)
    .regex(/^[^\p{Cc}]*$/u, { error: 'must be one line' })
    .optional(),
  ...terms,
});

const defaultKeys = Object.keys(BUILT_IN_DEFAULTS).filter(
  (key): key is DefaultKey => key in BUILT_IN_DEFAULTS,
);

export const policySchema = object({
  version: z.literal(1, { error: 'must be 1' }),
  pii: z
    .array(object({ columns: list(glob(3)), tag: tagName }), { error: 'must be a list' })
    .max(MAX_LIST, { error: `has more than ${MAX_LIST} entries` })
    .optional(),
  trusted_functions: z
    .array(trusted, { error: 'must be a list' })
    .max(MAX_LIST, { error: `has more than ${MAX_LIST} entries` })
    .optional(),
  defaults: object(Object.fromEntries(defaultKeys.map((key) => [key, effect.optional()]))).optional(),
  ...terms,
  rules: z
    .array(rule, { error: 'must be a list' })
    .max(MAX_RULES, { error: `has more than ${MAX_RULES} rules` })
    .optional(),
});
export type PolicyText = z.infer<typeof policySchema>;
export type MatchText = z.infer<typeof match>;
export type RuleText = z.infer<typeof rule>;

/** The words a key may be, by the shape of its path: for "did you mean". */
export const KNOWN_KEYS: readonly string[] = [
  ...Object.keys(policySchema.shape),
  ...Object.keys(rule.shape),
  ...Object.keys(match.shape),
  ...Object.keys(approvers.shape),
  'columns',
  'tag',
  ...defaultKeys,
];

function show(value: unknown): string {
  if (value === undefined || value === null) return 'nothing';
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  return Array.isArray(value) ? 'a list' : 'a block';
}

/** ` (did you mean "x"?)` for a near miss, else nothing. */
export function nearest(input: unknown, values: readonly string[]): string {
  if (typeof input !== 'string' || input.length > 40) return '';
  const lower = input.toLowerCase();
  let best: string | null = null;
  let least = 3;
  for (const value of values) {
    const distance = editDistance(lower, value);
    if (distance < least) {
      least = distance;
      best = value;
    }
  }
  return best === null ? '' : ` (did you mean "${best}"?)`;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + same));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
