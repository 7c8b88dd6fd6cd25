/** One look at the target: how many rows, and what hangs on the tables. */
import { z } from 'zod';
import type { Impact } from '../../approvals/types.ts';
import type { CatalogSnapshot, StatementFacts } from '../../policy/types.ts';
import type { Subject } from '../draft.ts';
import { factsOf, statementsOf } from '../plan.ts';
import { UpstreamFault } from '../upstream/open.ts';
import { byOid, knownImpact, relationsOf, sum, tablesOf } from './known.ts';
import { type Probe, ProbeLate, ProbeRefused, withProbe } from './probe.ts';
import { type Question, questionOf, type Seen } from './question.ts';
import { rewritten } from './rewritten.ts';
import { type PartQuestion, questionsOf } from './several.ts';
import { type Surroundings, surroundings } from './surroundings.ts';

export type { Seen } from './question.ts';

const planShape = z.tuple([z.object({ Plan: z.object({ 'Plan Rows': z.number() }) })]);

/** Never rejects: what cannot be told has its reason. */
export async function estimate(subject: Subject, seen: Seen, timeoutMs: number): Promise<Impact> {
  const catalog = seen.judge.catalog();
  const known = knownImpact(subject.plan, catalog, seen);
  const [only, ...others] = subject.plan.judged;
  const effect = only === undefined || others.length > 0 ? null : await seen.judge.effect(only.sql);
  const impact: Impact = { ...known, rewrites: effect?.rewrites ?? null };
  if (catalog === null) return { ...impact, why: 'the catalog is not known' };
  const { asked, of } = await questionsOf(subject, seen);
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
  const retypes = effect?.retypes ?? [];
  let around: Surroundings | null = null;
  let failed: string | null = null;
  const found: (number | null)[] = asked.map(({ asks }) => (asks.kind === 'fixed' ? asks.rows : null));
  const whys: (string | null)[] = asked.map(({ asks }) => (asks.kind === 'none' ? asks.why : null));
  try {
    await withProbe({ ...placed(seen), timeoutMs }, async (probe) => {
      const columns = retypes.map(({ column, type }) => ({ column, type: type?.name ?? '' }));
      around = await surroundings(probe, { oids, functions: [], changed, columns });
      for (const [i, { asks }] of asked.entries()) {
        if (asks.kind !== 'ask') continue;
        if (around.opaque) whys[i] = HIDDEN;
        else
          try {
            found[i] = await plannedRows(probe, asks);
          } catch (error) {
            if (!(error instanceof ProbeRefused)) throw error;
            whys[i] = whyNot(error);
            await probe.back();
          }
      }
    });
  } catch (error) {
    failed = whyNot(error);
  }
  const reasons = whys.map((why) => why ?? failed);
  return withSurroundings(
    { ...impact, ...summed(asked, of, found, reasons), rewrites: rewritten(effect, around, seen) },
    around,
    { tables, statements, catalog },
  );
}

/** One statement speaks for itself; of several each has a line. */
function summed(
  asked: readonly PartQuestion[],
  of: number,
  found: readonly (number | null)[],
  whys: readonly (string | null)[],
): Pick<Impact, 'rows' | 'why' | 'parts'> {
  const lines = asked.map(({ what, approximate }, i) => {
    const rows = found[i] ?? null;
    return { what, approximate, rows, why: rows === null ? (whys[i] ?? null) : null };
  });
  const [only, ...others] = lines;
  if (only !== undefined && others.length === 0 && of === 1) return { rows: only.rows, why: only.why };
  const known = lines.flatMap(({ rows }) => rows ?? []);
  const all = known.length === of;
  return {
    rows: all ? known.reduce((sum, rows) => sum + rows, 0) : null,
    why: all ? null : 'there are several statements in one string',
    parts: { lines, more: of - lines.length },
  };
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
