/** The typed policy: what the YAML text means once every mistake is out of it. docs/policy.md is its reference. */
import type { DecidingSurface, Effect, StatementClass } from '../types.ts';
import type { Preset } from './defaults.ts';
import type { TimeWindow } from './window.ts';

/** `mask` is enforced as hold until masking is on the wire. */
export type RuleEffect = Effect | 'mask';

export type ColumnUseKind = 'value' | 'predicate' | 'written';

/** What happens when no rule decides: one effect per statement class and per way to touch what is tagged. */
export type DefaultKey = StatementClass | 'missing_where' | 'pii_value' | 'pii_predicate' | 'pii_written';
export type Defaults = Readonly<Record<DefaultKey, RuleEffect>>;

/**
 * Criteria are joined by AND, the entries of one list by OR; an absent criterion does not limit.
 * How lists are read against a statement that has several relations, columns … depends on what the match is for: see verdict.ts.
 */
export interface Match {
  readonly classes?: readonly StatementClass[];
  /** Globs over `schema.relation`. */
  readonly relations?: readonly string[];
  /** Globs over `schema.relation.column`. */
  readonly columns?: readonly string[];
  readonly tags?: readonly string[];
  readonly use?: readonly ColumnUseKind[];
  /** Globs over `schema.function`. */
  readonly functions?: readonly string[];
  readonly targets?: readonly string[];
  readonly environments?: readonly string[];
  readonly owners?: readonly string[];
  readonly agents?: readonly string[];
  readonly groups?: readonly string[];
  readonly missing_where?: boolean;
  readonly transaction?: readonly ('idle' | 'open' | 'failed')[];
  readonly time?: TimeWindow;
  /** It may change more rows than this; an unknown estimate does. */
  readonly rows_over?: number;
}

/** How a hold waits; null: not said here. Milliseconds. */
export interface Terms {
  readonly groups: readonly string[];
  readonly quorum: number | null;
  /** Groups that are each owed one decision. */
  readonly each: readonly string[];
  readonly escalation: { readonly afterMs: number; readonly groups: readonly string[] } | null;
  readonly waitMs: number | null;
  readonly expiresMs: number | null;
  readonly reasonRequired: boolean;
  readonly ticketRequired: boolean;
  /** null: not said here. */
  readonly surfaces: readonly DecidingSurface[] | null;
}

export type Mode = 'enforce' | 'observe';

export interface Rule {
  readonly name: string;
  readonly match: Match;
  /** The rule does not apply to what this matches. */
  readonly unless: Match | null;
  readonly effect: RuleEffect;
  /** `observe`: recorded and counted, not enforced. */
  readonly mode: Mode;
  /** One sentence added to the reason. */
  readonly message: string | null;
  readonly terms: Terms;
}

export interface PiiEntry {
  readonly columns: readonly string[];
  readonly tag: string;
}

export interface Policy {
  readonly version: 1;
  readonly pii: readonly PiiEntry[];
  /** Columns that carry no tag, and are handed none by a comparison. */
  readonly untagged: readonly string[];
  readonly preset: Preset;
  readonly trustedFunctions: readonly string[];
  /** Groups whose approvers may look at what cards hide. */
  readonly reveal: readonly string[];
  readonly defaults: Defaults;
  /** How the defaults are meant. */
  readonly mode: Mode;
  /** Terms of default holds, and of rules that say nothing themselves. */
  readonly terms: Terms;
  readonly rules: readonly Rule[];
}

/** A mistake in a policy text. Lines and columns count from 1. */
export interface Mistake {
  readonly line: number;
  readonly column: number;
  /** `rules[2].match.classes[0]`; empty for the document itself. */
  readonly path: string;
  readonly message: string;
}

export type ParsedPolicy =
  | { readonly kind: 'policy'; readonly policy: Policy; readonly warnings: readonly Mistake[] }
  | { readonly kind: 'mistakes'; readonly mistakes: readonly Mistake[] };

/** A column named by a restrictive rule but by no `pii` entry: watched so that the rule can see it, outside the PII defaults. */
export const WATCHED_TAG = 'watched';
