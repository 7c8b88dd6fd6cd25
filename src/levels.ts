/** Which access level a caller's groups give. */
import type { Config } from './config.ts';
import { DEMO_GROUP } from './demo.ts';
import type { AccessLevel } from './identity/types.ts';

/** The one that the printed `credential mint` names. */
const FIRST_GROUP = 'developers';
const LEVELS: readonly AccessLevel[] = ['none', 'read-only', 'read-write', 'admin'];

/** A first look (`--target`, no file) has one group, which only an approver can put into a credential; an issuer's groups never count unnamed. */
export function levelsOf({ demo, levels, issuers }: Config): ReadonlyMap<string, AccessLevel> {
  if (demo) return new Map<string, AccessLevel>([[DEMO_GROUP, 'admin'], ...levels]);
  if (levels.size > 0 || issuers.length > 0) return levels;
  return new Map([[FIRST_GROUP, 'read-write']]);
}

export function highest(groups: readonly string[], levels: ReadonlyMap<string, AccessLevel>): AccessLevel {
  const ranks = groups.map((group) => LEVELS.indexOf(levels.get(group) ?? 'none'));
  return LEVELS[Math.max(0, ...ranks)] ?? 'none';
}
