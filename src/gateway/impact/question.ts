/** What the target is asked about a statement: a SELECT of the rows that it changes or returns, only when nothing of users can run in it. */
import type { CatalogSnapshot, Facts, StatementFacts } from '../../policy/types.ts';
import type { Subject } from '../draft.ts';
import type { Judge, JudgeContext, Target, UpstreamLogin } from '../types.ts';
import { relationsOf } from './known.ts';
import type { Values } from './probe.ts';
import { unsafe } from './safe.ts';

/** The session as it was when the statement came: what a connection of its own needs to see the same. */
export interface Seen {
  readonly target: Target;
  /** The session's: whoever it may not ask, the estimate may not either. */
  readonly login: UpstreamLogin;
  readonly judge: Judge;
  readonly context: JudgeContext;
  /** Those that give the same text another meaning. */
  readonly settings: ReadonlyMap<string, string>;
  /** Uncommitted work or temporary tables, which the target does not show to others. */
  readonly approximate: boolean;
  readonly transactionMs: number | null;
}

/** The statement as a SELECT of the rows it changes or returns; not countable, not plannable: why. */
export type Question =
  | {
      readonly kind: 'ask';
      readonly select: string;
      readonly count: string | null;
      readonly why: string | null;
      readonly values: Values;
      readonly changes: boolean;
      /** Built-in functions in it. */
      readonly functions: readonly string[];
    }
  | { readonly kind: 'fixed'; readonly rows: number }
  | { readonly kind: 'none'; readonly why: string };

export const none = (why: string): Question => ({ kind: 'none', why });

export async function questionOf(subject: Subject, seen: Seen): Promise<Question> {
  const [judged, ...reached] = subject.plan.judged;
  const [inner, ...others] = reached;
  if (judged === undefined) return none('it could not be read');
  if (inner === undefined) return await question({ ...judged, subject }, seen);
  const rows = others.length > 0 ? null : ((await seen.judge.effect(judged.sql))?.rows ?? null);
  if (rows?.kind !== 'execute') return none('it runs what was prepared before');
  if (rows.values === null) return none('its values are worked out when it runs');
  const values = rows.values.map((value) => (value === null ? null : Buffer.from(value)));
  const made = { values, formats: [], paramTypes: [] };
  const asked = await question({ ...inner, subject: made }, seen);
  // Of which types they are is known where it was prepared.
  return asked.kind === 'ask' && values.length > 0
    ? { ...asked, count: null, why: 'its values get their types when it runs' }
    : asked;
}

export interface One {
  readonly sql: string;
  readonly facts: Facts | null;
  readonly subject: Pick<Subject, 'values' | 'formats' | 'paramTypes'>;
}

export async function question({ sql, facts, subject }: One, seen: Seen): Promise<Question> {
  const { judge, context } = seen;
  const catalog = judge.catalog();
  if (facts === null || catalog === null) return none('it could not be read');
  if (context.resolution.searchPath === null) return none('where its names resolve is not known');
  const effect = await judge.effect(sql);
  if (effect === null) return none('reading it took too long');
  const { rows } = effect;
  if (rows.kind === 'execute') return none('it runs what was prepared before');
  if (rows.kind === 'none' || rows.kind === 'fixed') return rows;
  const { statements } = facts;
  const texts = rows.kind === 'tables' ? everyRow(statements, catalog, rows.only) : rows;
  if (texts === null) return none('too many tables, or one that the catalog does not know');
  const ruled = relationsOf(
    statements.flatMap(({ relations }) => relations.filter(({ access }) => access !== 'read')),
    catalog,
  ).find(({ rules }) => rules.length > 0);
  if (ruled !== undefined) return none(`rules on ${ruled.schema}.${ruled.name} rewrite it`);
  // Judged as what it is: a statement of its own.
  const own = await judge.judge(texts.select, context);
  const why =
    own.verdict.effect === 'deny'
      ? 'reading those rows is denied by policy'
      : unsafe(own.facts, judge.catalog() ?? catalog);
  if (why !== null) return none(why);
  const functions = own.facts?.statements.flatMap((one) => one.functions) ?? [];
  return {
    ...texts,
    kind: 'ask',
    values: valuesOf(subject, texts.params),
    functions: functions.flatMap((name) => (name.startsWith('pg_catalog.') ? [name.slice(11)] : [])),
  };
}

const MAX_TABLES = 50;
/** TRUNCATE: each table by itself, so that what inherits from it is counted once. */
function everyRow(statements: readonly StatementFacts[], catalog: CatalogSnapshot, only: boolean) {
  const uses = statements.flatMap(({ relations }) =>
    relations.filter(({ access, indirect }) => access === 'truncate' && !(only && indirect)),
  );
  const tables = relationsOf(uses, catalog);
  if (uses.some(({ known }) => !known) || tables.length === 0 || tables.length > MAX_TABLES) return null;
  const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;
  const select = tables
    .filter(({ relkind }) => relkind !== 'p')
    .map(({ schema, name }) => `SELECT 1 FROM ONLY ${quoted(schema)}.${quoted(name)}`)
    .join('\nUNION ALL ');
  if (select === '') return null;
  return {
    select,
    count: `SELECT count(*) FROM (\n${select}\n) AS holdpoint`,
    why: null,
    params: [],
    changes: true,
  };
}

/** A parameter that the SELECT does not have needs a type all the same. */
function valuesOf({ values, formats, paramTypes }: One['subject'], params: readonly number[]): Values {
  const used = new Set(params);
  const count = Math.max(0, ...params);
  const each = Array.from({ length: count }, (_, i) => used.has(i + 1));
  return {
    types: each.map((has, i) => (has ? (paramTypes[i] ?? 0) : TEXT)),
    values: each.map((has, i) => (has ? (values[i] ?? null) : null)),
    formats: each.map((_, i) => formats[i] ?? 0),
  };
}
const TEXT = 25;
