export { DEFAULT_POLICY } from './default.ts';
export { BUILT_IN_DEFAULTS, DEFAULT_EXPIRES_MS, PRESETS, type Preset } from './defaults.ts';
export {
  createPolicyHolder,
  type HeldPolicy,
  type PolicyHolder,
  PolicyRefused,
  policyVersion,
  type Replaced,
} from './holder.ts';
export { openWindows } from './open.ts';
export { formatMistakes, parsePolicy } from './parse.ts';
export { createTagLookup, type TagLookup, type TagSource, tagLookup, tagSource } from './tags.ts';
export type * from './types.ts';
