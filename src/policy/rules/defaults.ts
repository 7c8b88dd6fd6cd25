import type { Defaults } from './types.ts';

/**
 * The visible defaults: what a policy that says nothing does (DESIGN.md 5). Whatever can destroy, change rights, run code that was
 * not read, or show a tagged value waits for a human.
 */
export const BUILT_IN_DEFAULTS: Defaults = {
  empty: 'allow',
  read: 'allow',
  explain: 'allow',
  session: 'allow',
  transaction: 'allow',
  cursor: 'allow',
  prepare: 'allow',
  insert: 'allow',
  update: 'allow',
  copy: 'allow',
  merge: 'hold',
  call: 'hold',
  do: 'hold',
  delete: 'hold',
  truncate: 'hold',
  ddl: 'hold',
  dcl: 'hold',
  admin: 'hold',
  unknown: 'hold',
  missing_where: 'hold',
  pii_value: 'hold',
  pii_predicate: 'allow',
  pii_written: 'allow',
};

/** How long a request stays open when nothing says otherwise (DESIGN.md 8). */
export const DEFAULT_EXPIRES_MS = 8 * 3_600_000;
