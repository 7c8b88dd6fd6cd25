/**
 * The shape of a policy text, as zod sees it. Messages say what is expected; the place is added by parse.ts. Descriptions are what
 * an editor shows (docs/policy.schema.json is made from here).
 */
import { z } from 'zod';
import { DECIDING_SURFACES, STATEMENT_CLASSES } from '../types.ts';
import { BUILT_IN_DEFAULTS, PRESET_NAMES } from './defaults.ts';
import { parseDuration } from './duration.ts';
import { splitGlob } from './glob.ts';
import { nearest } from './nearest.ts';
import { type DefaultKey, WATCHED_TAG } from './types.ts';
import { DAYS, knownZone, parseClock } from './window.ts';

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
const yesOrNo = z.boolean({ error: 'must be true or false' });
const tagName = text(63)
  .regex(/^[a-z0-9_-]+$/, { error: 'must be made of lower-case letters, digits, _ and -' })
  .refine((tag) => tag !== WATCHED_TAG, { error: `"${WATCHED_TAG}" is used by Holdpoint itself` });

function duration(min: number, max: number, range: string) {
  const written = { anyOf: [{ const: 0 }, { type: 'string', pattern: '^(0|(\\d{1,9}(ms|s|m|h|d))+)$' }] };
  return z
    .unknown()
    .meta(written)
    .transform((value, context): number => {
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

function whole(min: number, max: number) {
  return z
    .int({ error: 'must be a whole number' })
    .min(min, { error: `must be at least ${min}` })
    .max(max, { error: `must be at most ${max}` });
}

const clock = z
  .string({ error: 'must be a time of day such as "09:30"' })
  .meta({ pattern: '^([01]?\\d|2[0-3]):[0-5]\\d$|^24:00$' })
  .transform((value, context): number => {
    const at = parseClock(value);
    if (at !== null) return at;
    context.addIssue({ code: 'custom', message: `${show(value)} is no time of day; write "09:30"` });
    return z.NEVER;
  });

const time = object({
  zone: text(64)
    .refine(knownZone, { error: 'is no time zone that is known here; write Europe/Berlin or UTC' })
    .describe('Name of the time zone, such as Europe/Berlin'),
  days: list(oneOf(DAYS)).optional().describe('Days on which the window begins; absent: every day'),
  from: clock.describe('Begins, "22:00"'),
  to: clock.describe('Ends, "06:00"; not after `from`: on the next day'),
}).refine((window) => window.from !== window.to, {
  error: 'begins and ends at the same time; for a whole day write from "00:00" to "24:00"',
});

const match = object({
  classes: list(oneOf(STATEMENT_CLASSES)).optional().describe('What the statement is or does on the way'),
  relations: list(glob(2)).optional().describe('Globs over schema.relation'),
  columns: list(glob(3)).optional().describe('Globs over schema.relation.column'),
  tags: list(tagName).optional().describe('Tags of columns'),
  use: list(oneOf(['value', 'predicate', 'written']))
    .optional()
    .describe('How a tagged column is used'),
  functions: list(glob(2)).optional().describe('Globs over schema.function'),
  targets: list(wildWord).optional().describe('Names of targets; globs'),
  environments: list(wildWord).optional().describe('Environments of targets; globs'),
  owners: list(wildWord).optional().describe('The accountable person; globs'),
  agents: list(wildWord).optional().describe('What acts for the owner, such as Cursor; globs'),
  groups: list(wildWord).optional().describe('Groups of the identity; globs'),
  missing_where: yesOrNo.optional().describe('UPDATE or DELETE of every row'),
  transaction: list(oneOf(['idle', 'open', 'failed']))
    .optional()
    .describe('State before the statement'),
  time: time.optional().describe('A time of the week'),
  rows_over: whole(0, 1e15).optional().describe('May change more rows than this; an unknown estimate does'),
});

const approvers = object({
  groups: list(text(200)).optional().describe('Who may decide; absent: any approver'),
  quorum: whole(1, 20).optional().describe('How many of them must agree'),
  each: list(text(200)).optional().describe('Groups that are each owed one decision, of different people'),
});

const escalate = object({
  after: duration(1000, 30 * 86_400_000, '1s to 30d').describe('How long nobody may have decided, 1s to 30d'),
  groups: list(text(200)).describe('Who may then decide as well, and is told'),
});

const terms = {
  approvers: approvers.optional(),
  surfaces: list(oneOf(DECIDING_SURFACES))
    .optional()
    .describe('Where it may be approved; absent: everywhere. Denying works everywhere'),
  wait: duration(0, 3_600_000, '0 to 1h').optional().describe('How long the connection waits, 0 to 1h'),
  expires: duration(1000, 30 * 86_400_000, '1s to 30d')
    .optional()
    .describe('How long the request stays open, 1s to 30d'),
  escalate: escalate.optional().describe('Others who may decide when it has waited for long'),
  reason_required: yesOrNo.optional().describe('The requester must say why'),
  ticket_required: yesOrNo.optional().describe('The reason must name a ticket, such as OPS-123 or #123'),
};

const rule = object({
  name: text(63).regex(/^[a-z0-9][a-z0-9_-]*$/, {
    error: 'must be made of lower-case letters, digits, _ and -, and start with a letter or digit',
  }),
  match: match.optional().describe('All of these must match; absent: everything does'),
  unless: match.optional().describe('The rule does not apply to what matches all of these'),
  effect,
  mode: oneOf(['enforce', 'observe']).optional().describe('observe: recorded and counted, not enforced'),
  message: text(200)
    .regex(/^[^\p{Cc}]*$/u, { error: 'must be one line' })
    .optional()
    .describe('One sentence added to the reason'),
  ...terms,
});

const defaultKeys = Object.keys(BUILT_IN_DEFAULTS).filter(
  (key): key is DefaultKey => key in BUILT_IN_DEFAULTS,
);

export const policySchema = object({
  version: z.literal(1, { error: 'must be 1' }),
  preset: oneOf(PRESET_NAMES).optional().describe('Where the defaults start from; absent: guarded'),
  pii: z
    .array(object({ columns: list(glob(3)), tag: tagName }), { error: 'must be a list' })
    .max(MAX_LIST, { error: `has more than ${MAX_LIST} entries` })
    .optional()
    .describe('Columns that hold personal data'),
  untagged: list(glob(3))
    .optional()
    .describe(
      'Columns that hold none, whatever globs of pii and comments say, and whatever they are compared with',
    ),
  trusted_functions: z
    .array(trusted, { error: 'must be a list' })
    .max(MAX_LIST, { error: `has more than ${MAX_LIST} entries` })
    .optional()
    .describe(
      'Functions that only compute, foreign tables whose reading only reads: schema.name or schema.*',
    ),
  reveal: list(text(200))
    .optional()
    .describe('Groups whose approvers may look at literals and bind values that cards hide; absent: nobody'),
  defaults: object(Object.fromEntries(defaultKeys.map((key) => [key, effect.optional()])))
    .optional()
    .describe('What happens where no rule decides'),
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
  ...Object.keys(escalate.shape),
  ...Object.keys(time.shape),
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
