import type { DefaultKey, Defaults, Mode, RuleEffect } from './types.ts';

const ALLOW = [
  'empty',
  'read',
  'explain',
  'session',
  'transaction',
  'cursor',
  'prepare',
  'insert',
  'update',
  'copy',
  'pii_predicate',
  'pii_written',
] as const satisfies readonly DefaultKey[];
const HOLD = [
  'merge',
  'lock',
  'call',
  'do',
  'delete',
  'truncate',
  'ddl',
  'dcl',
  'admin',
  'unknown',
  'missing_where',
  'pii_value',
] as const satisfies readonly DefaultKey[];

type Listed = (typeof ALLOW)[number] | (typeof HOLD)[number];
/** `keys` have one effect. */
const all = <K extends DefaultKey>(keys: readonly K[], effect: RuleEffect): Record<K, RuleEffect> =>
  Object.fromEntries(keys.map((key) => [key, effect])) as Record<K, RuleEffect>;

/**
 * The visible defaults: what a policy that says nothing does (DESIGN.md 5). Whatever can destroy, change rights, run code that was
 * not read, or show a tagged value waits for a human.
 */
export const BUILT_IN_DEFAULTS: Defaults = {
  ...all(ALLOW, 'allow'),
  ...all(HOLD, 'hold'),
} satisfies Record<Listed, RuleEffect>;

export const PRESET_NAMES = ['guarded', 'strict', 'read-only', 'observe'] as const;
export type Preset = (typeof PRESET_NAMES)[number];

/** Where a policy's `defaults` start from. */
export const PRESETS: Readonly<
  Record<Preset, { readonly says: string; readonly defaults: Defaults; readonly mode: Mode }>
> = {
  guarded: {
    says: 'what can destroy, change rights, run unread code or show tagged values waits',
    defaults: BUILT_IN_DEFAULTS,
    mode: 'enforce',
  },
  strict: {
    says: 'every change and every use of tagged columns waits; rights and administration are denied',
    defaults: {
      ...BUILT_IN_DEFAULTS,
      ...all(['insert', 'update', 'copy', 'pii_predicate', 'pii_written'], 'hold'),
      ...all(['dcl', 'admin'], 'deny'),
    },
    mode: 'enforce',
  },
  'read-only': {
    says: 'nothing that changes anything runs, nor what cannot be seen through; tagged values wait',
    defaults: {
      ...BUILT_IN_DEFAULTS,
      ...all(['insert', 'update', 'merge', 'delete', 'truncate', 'missing_where', 'pii_written'], 'deny'),
      ...all(['lock', 'ddl', 'dcl', 'admin', 'call', 'do', 'unknown'], 'deny'),
    },
    mode: 'enforce',
  },
  observe: {
    says: 'nothing is enforced: what the rest of the policy would hold or deny runs, and is recorded',
    defaults: BUILT_IN_DEFAULTS,
    mode: 'observe',
  },
};

/** How long a request stays open when nothing says otherwise (DESIGN.md 8). */
export const DEFAULT_EXPIRES_MS = 8 * 3_600_000;
