/** One look at the target: how many rows, and what hangs on the tables. */
import { z } from 'zod';
import type { Impact } from '../../approvals/types.ts';
import type { CatalogSnapshot, StatementFacts } from '../../policy/types.ts';
import type { Subject } from '../draft.ts';
import { factsOf, statementsOf } from '../plan.ts';
import type { Judge, JudgeContext, Target, UpstreamLogin } from '../types.ts';
import { UpstreamFault } from '../upstream/open.ts';
import { byOid, knownImpact, relationsOf, sum, tablesOf } from './known.ts';
import { type Probe, ProbeLate, ProbeRefused, type Values, withProbe } from './probe.ts';
import { unsafe } from './safe.ts';
import { type Surroundings, surroundings } from './surroundings.ts';

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

export async function questionOf(subject: Subject, seen: Seen): Promise<Question> {
  const none = (why: string): Question => ({ kind: 'none', why });
  const { plan } = subject;
  const { judge, context } = seen;
  const [judged, ...reached] = plan.judged;
  const catalog = judge.catalog();
  if (judged === undefined || judged.facts === null || catalog === null) return none('it could not be read');
  if (reached.length > 0) return none('it runs what was prepared before');
  if (context.resolution.searchPath === null) return none('where its names resolve is not known');
  const effect = await judge.effect(judged.sql);
  if (effect === null) return none('reading it took too long');
  const { rows } = effect;
  if (rows.kind === 'none' || rows.kind === 'fixed') return rows;
  const texts = rows.kind === 'tables' ? everyRow(statementsOf(plan), catalog, rows.only) : rows;
  if (texts === null) return none('too many tables, or one that the catalog does not know');
  const ruled = relationsOf(
    statementsOf(plan).flatMap(({ relations }) => relations.filter(({ access }) => access !== 'read')),
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
function valuesOf({ values, formats, paramTypes }: Subject, params: readonly number[]): Values {
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

const planShape = z.tuple([z.object({ Plan: z.object({ 'Plan Rows': z.number() }) })]);

/** Never rejects: what cannot be told has its reason. */
export async function estimate(subject: Subject, seen: Seen, timeoutMs: number): Promise<Impact> {
  const catalog = seen.judge.catalog();
  const known = knownImpact(subject.plan, catalog, seen);
  const effect = subject.plan.judged.length === 1 ? await seen.judge.effect(subject.plan.sql) : null;
  const impact: Impact = { ...known, rewrites: effect?.rewrites ?? null };
  if (catalog === null) return { ...impact, why: 'the catalog is not known' };
  const question = await questionOf(subject, seen);
  const rows = question.kind === 'fixed' ? question.rows : null;
  const statements = statementsOf(subject.plan);
  const tables = tablesOf(statements, catalog);
  const changed = relationsOf(
    statements.flatMap(({ relations, verb }) =>
      /^(?:ALTER|DROP)\b/.test(verb) ? relations.filter(({ access }) => access === 'ddl') : [],
    ),
    catalog,
  ).map(({ oid }) => oid);
  const touched = relationsOf(
    factsOf(subject.plan).flatMap((facts) => facts.statements.flatMap(({ relations }) => relations)),
    catalog,
  ).map(({ oid }) => oid);
  const oids = [...new Set([...tables.flatMap((one) => one.oids), ...touched])];
  let around: Surroundings | null = null;
  let found: number | null = null;
  let why: string | null = question.kind === 'none' ? question.why : null;
  try {
    await withProbe({ ...placed(seen), timeoutMs }, async (probe) => {
      around = await surroundings(probe, { oids, functions: [], changed });
      if (question.kind !== 'ask') return;
      if (around.opaque) why = HIDDEN;
      else found = await plannedRows(probe, question);
    });
  } catch (error) {
    why ??= whyNot(error);
  }
  return withSurroundings(
    { ...impact, rows: rows ?? found, why: rows === null && found === null ? why : null },
    around,
    {
      tables,
      statements,
      catalog,
    },
  );
}
const HIDDEN = 'functions of users are hidden in its tables';

async function plannedRows(probe: Probe, question: Extract<Question, { kind: 'ask' }>): Promise<number> {
  // The plan holds literals: the one number is taken, the rest is forgotten.
  const text = await probe.ask(`EXPLAIN (FORMAT JSON) ${question.select}`, question.values);
  return Math.round(planShape.parse(JSON.parse(text ?? 'null'))[0].Plan['Plan Rows']);
}

/** Exactly. Rejects with a sentence where it cannot be. */
export async function count(subject: Subject, seen: Seen, timeoutMs: number): Promise<number> {
  const question = await questionOf(subject, seen);
  if (question.kind === 'fixed') return question.rows;
  if (question.kind === 'none') throw new CannotCount(question.why);
  const { count: text, values, functions } = question;
  if (text === null) throw new CannotCount(question.why ?? 'it could not be read');
  const catalog = seen.judge.catalog();
  const uses = statementsOf(subject.plan).flatMap(({ relations }) => relations);
  if (catalog === null) throw new CannotCount('the catalog is not known');
  if (uses.some(({ schema }) => schema === 'pg_catalog' || schema === 'information_schema'))
    throw new CannotCount("it reads the server's own catalog");
  try {
    return await withProbe({ ...placed(seen), timeoutMs }, async (probe) => {
      const oids = relationsOf(uses, catalog).map(({ oid }) => oid);
      const around = await surroundings(probe, { oids, functions, changed: [] });
      if (around.opaque) throw new CannotCount(HIDDEN);
      if (around.volatile.length > 0) throw new CannotCount(`${around.volatile[0]}() answers anew each time`);
      if (question.changes && around.perCommand.length > 0)
        throw new CannotCount('row security decides for each command who may change which rows');
      return Number(
        z
          .string()
          .regex(/^\d+$/)
          .parse(await probe.ask(text, values)),
      );
    });
  } catch (error) {
    throw error instanceof CannotCount ? error : new CannotCount(whyNot(error));
  }
}
export class CannotCount extends Error {}

const placed = ({ target, login, context, settings }: Seen) => ({
  target,
  login,
  searchPath: context.resolution.searchPath ?? [],
  settings,
});

function whyNot(error: unknown): string {
  if (error instanceof ProbeRefused) {
    if (error.code === '57014') return 'it took too long';
    if (error.code === '55P03') return 'a table is locked';
    return error.message;
  }
  if (error instanceof ProbeLate) return 'it took too long';
  if (error instanceof UpstreamFault) return 'the target could not be asked';
  return 'the target gave no answer that could be read';
}

const EVENTS: readonly (readonly [number, string, ReadonlySet<string>])[] = [
  [4, 'insert', new Set(['insert', 'copy-in'])],
  [8, 'delete', new Set(['delete'])],
  [16, 'update', new Set(['update'])],
  [32, 'truncate', new Set(['truncate'])],
];
const MAX_TRIGGERS = 20;

function withSurroundings(
  impact: Impact,
  around: Surroundings | null,
  on: {
    readonly tables: ReturnType<typeof tablesOf>;
    readonly statements: readonly StatementFacts[];
    readonly catalog: CatalogSnapshot;
  },
): Impact {
  if (around === null) return impact;
  const sizes = new Map(around.tables.map((one) => [one.oid, one]));
  const accesses = new Map<number, Set<string>>();
  for (const use of on.statements.flatMap(({ relations }) => relations))
    for (const { oid } of relationsOf([use], on.catalog))
      accesses.set(oid, (accesses.get(oid) ?? new Set()).add(use.access));
  const triggers = around.triggers.flatMap(({ oid, on: table, name, type }) => {
    const events = EVENTS.filter(
      ([bit, , by]) => (type & bit) > 0 && [...(accesses.get(oid) ?? [])].some((access) => by.has(access)),
    ).map(([, event]) => event);
    if (events.length === 0) return [];
    const when = (type & 64) > 0 ? 'instead of' : (type & 2) > 0 ? 'before' : 'after';
    return [`${table}: ${name} (${when} ${events.join(' or ')})`];
  });
  return {
    ...impact,
    tables: on.tables.map(({ name, oids }) => ({
      name,
      rows: sum(oids, (oid) => sizes.get(oid)?.rows ?? byOid(on.catalog, oid)?.rows ?? -1),
      bytes: sum(oids, (oid) => sizes.get(oid)?.bytes ?? -1),
    })),
    triggers: triggers.slice(0, MAX_TRIGGERS),
    dependents: around.dependents,
  };
}
