import type { Collector } from '../facts/collector.ts';
import type { OperandsOf } from '../operands/apply.ts';
import type { ResolutionContext } from '../types.ts';
import type { Deps, Shape, Tagged } from './deps.ts';
import type { Env } from './env.ts';
import type { Item } from './failing.ts';

/** The row that a trigger fires on. */
export interface Fired {
  /** By name: `old`, `new`. */
  readonly rows: ReadonlyMap<string, Shape>;
  /** Its tagged columns, apart from those of other rows of the table. */
  readonly tags: Deps;
}

/** What every walk over a tree carries. */
export interface Context {
  readonly env: Env;
  readonly resolution: ResolutionContext;
  /** Where names in bodies resolve: when those run, wherever they are called. */
  readonly running: ResolutionContext;
  /** The statement sets the path while it runs: a function's own path may be another by then, too. */
  readonly moves: boolean;
  readonly trusted: (schema: string, name: string) => boolean;
  readonly trustedKey: string;
  readonly out: Collector;
  /** false inside plain EXPLAIN and definitions: DML in there does not run (functions still may: planning folds them). */
  readonly executing: boolean;
  /** Reached through a view or function body, not named in the text. */
  readonly indirect: boolean;
  /** What is known of the types that operators stand between. Absent: nothing. */
  readonly operands?: OperandsOf;
  /** Inserted rows are not read back: no RETURNING, no ON CONFLICT. */
  readonly unread?: boolean;
  /** Inside a function body: a name that is no column is a parameter. */
  readonly inBody: boolean;
  /** In the body of a trigger of a table with tagged columns. */
  readonly fired?: Fired | null;
  /** Definitions being read, against cycles. */
  readonly stack: readonly string[];
  /** Literals and parameters shown to have nothing to do with a tagged column. */
  readonly cleared: Set<unknown>;
  /** Inside a query that goes on from its own rows: the tagged columns that it compares decide how long. */
  readonly loop?: { readonly query: string; readonly compared: Set<Tagged> } | null;
  /** Rows that the statement changes or locks: which of them it chose can be looked up. */
  readonly marks?: Deps | 'any';
  /** The expression of the query that is being looked at. */
  readonly item?: Item | null;
  /** Queries still to be looked at: nested recursive WITH goes round several times at each level. */
  readonly work: { left: number };
}

export const MAX_WORK = 20_000;

/** The budget is spent: the statement is not judged. */
export class TooComplex extends Error {}

export const MAX_DEFINITION_DEPTH = 24;
