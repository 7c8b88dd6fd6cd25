/**
 * SQL text → facts (DESIGN.md 2, 4, 6). Pure and synchronous once the parser is loaded; depends on the text, the resolution
 * context, the catalog and the policy's tags and trusted functions alone.
 */
import { exposes } from './exposure.ts';
import { runCasts } from './facts/casts.ts';
import { changesOf, relyOn } from './facts/changes.ts';
import { Collector, moreRestrictive } from './facts/collector.ts';
import { runChecks } from './facts/functions.ts';
import { locksOf } from './facts/locks.ts';
import { amidst, resolves, setsAll } from './facts/path.ts';
import { rowsChanged } from './facts/rows.ts';
import type { Context } from './lineage/context.ts';
import { MAX_WORK, TooComplex } from './lineage/context.ts';
import { type Env, envOf } from './lineage/env.ts';
import { bodyText } from './parse/body.ts';
import { digestOf, treeDigest } from './parse/digest.ts';
import { loadGrammar, loadParser } from './parse/grammar.ts';
import type { Parsed, RawStatement } from './parse/parser.ts';
import { parse } from './parse/parser.ts';
import { utf16Offsets } from './parse/spans.ts';
import { redact } from './redact.ts';
import { after, either, putsRows, reachesByName } from './resolution.ts';
import type { TagLookup } from './rules/tags.ts';
import { type Grammar, NEWEST } from './server.ts';
import { analyseStatement, declaresCode } from './statement.ts';
import type {
  Analysis,
  CatalogSnapshot,
  Facts,
  Redaction,
  ResolutionContext,
  StatementClass,
  StatementFacts,
} from './types.ts';
import { unfamiliar } from './unfamiliar.ts';
import { told, verb } from './verb.ts';

export type { TagLookup };
export { loadGrammar, loadParser };

export interface AnalyseInput {
  readonly catalog: CatalogSnapshot | null;
  /** Where there is no catalog: the server's major. Absent: the newest. */
  readonly server?: Grammar;
  readonly resolution: ResolutionContext;
  readonly tagsOf: TagLookup;
  /** `schema.function`, `schema.*`; a bare name means pg_catalog or public. */
  readonly trustedFunctions: readonly string[];
}

/** Never throws. What goes wrong inside is a reason to refuse. */
export function analyse(sql: string, input: AnalyseInput): Analysis {
  try {
    const env = envOf(input.catalog, input.tagsOf, input.server ?? NEWEST);
    const parsed = parse(sql, env.grammar);
    return parsed.kind === 'parsed' ? judge(sql, parsed, input, env) : parsed;
  } catch (error) {
    if (error instanceof TooComplex) {
      return { kind: 'unjudgeable', why: 'The statement is too complex to be judged. Split it up.' };
    }
    return { kind: 'unjudgeable', why: 'The statement could not be analysed.', recycle: true };
  }
}

function judge(sql: string, parsed: Parsed, input: AnalyseInput, env: Env): Facts {
  const trusted = trust(input.trustedFunctions);
  const trustedKey = input.trustedFunctions.join('\0');
  const server = input.catalog?.unfamiliar;
  let cls: StatementClass = 'empty';
  const statements: StatementFacts[] = [];
  let exposing = false;
  const redactions: Redaction[] = [];
  const binds = new Set<number>();
  const definitions = new Map<string, string>();
  const handed = new Set<string>();
  let resolution = input.resolution;
  let reached: ResolutionContext | null = null;
  const work = { left: MAX_WORK };
  const look = (statement: RawStatement, resolution: ResolutionContext, moves: boolean): Context => {
    const context: Context = {
      env,
      resolution,
      running: moves ? amidst(resolution) : resolution,
      moves,
      trusted,
      trustedKey,
      out: new Collector(),
      executing: true,
      indirect: false,
      inBody: false,
      stack: [],
      cleared: new Set(),
      work,
    };
    analyseStatement(statement, context, 'top');
    runCasts(context);
    runChecks(context);
    return context;
  };
  for (const statement of parsed.statements) {
    const first = look(statement, resolution, false);
    const moves = first.out.settings.some(resolves) && !setsAll(statement, env, resolution);
    // What it calls may run after that.
    const context = moves ? look(statement, resolution, true) : first;
    const { out } = context;
    named(sql, statement, context);
    const hidden = redact(sql, statement, context);
    redactions.push(...hidden.redactions);
    for (const bind of hidden.binds) binds.add(bind);
    for (const [key, digest] of out.definitions) definitions.set(key, digest);
    relyOn(resolution.changed ?? [], statement, out);
    for (const relation of out.handed) handed.add(relation);
    const done = out.finish(told(verb(statement.kind, statement.node), out.class));
    const above = env.above(done.relations.filter(putsRows));
    const finished = above.length === 0 ? done : { ...done, above };
    const changes = changesOf(statement.kind, statement.node, out, finished.class);
    const rows = rowsChanged(finished, input.catalog);
    const locks = locksOf(statement.kind, statement.node, context);
    const facts: StatementFacts = {
      ...finished,
      ...(setsAll(statement, env, resolution) ? { sets: true } : {}),
      ...(rows === null ? {} : { rows }),
      ...(changes.length === 0 ? {} : { changes }),
      ...(locks.length === 0 ? {} : { locks }),
    };
    cls = moreRestrictive(cls, facts.class);
    exposing ||= server !== undefined || exposes(facts, context);
    statements.push(server === undefined ? facts : unfamiliar(statement, facts, server));
    if (reachesByName(facts)) reached = reached === null ? resolution : either(reached, resolution);
    resolution = after(resolution, facts);
  }
  return {
    kind: 'facts',
    class: cls,
    statements,
    treeDigest: treeDigest(parsed.statements),
    definitionsDigest: digestOf([...definitions].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)).flat()),
    redactions: redactions.sort((a, b) => a.start - b.start),
    taggedBinds: [...binds].sort((a, b) => a - b),
    touchesTagged: server !== undefined || statements.some((facts) => facts.columns.length > 0),
    exposes: exposing,
    ...(reached === null || reached === input.resolution ? {} : { reached }),
    ...(handed.size === 0 ? {} : { handed: [...handed].sort() }),
    ...(parsed.statements.length > 1 ? { spans: spansOf(sql, parsed.statements) } : {}),
  };
}

function spansOf(sql: string, statements: readonly RawStatement[]): readonly (readonly [number, number])[] {
  const at = utf16Offsets(sql);
  return statements.map(({ start, end }) => [at(start), at(end)]);
}

function named(sql: string, statement: RawStatement, context: Context): void {
  const { kind, node } = statement;
  const { out } = context;
  const { grammar } = context.env;
  if (kind === 'PrepareStmt' && typeof node['name'] === 'string') {
    // Its types run too, if they run anything.
    const body = declaresCode(node, context)
      ? textOf(sql, statement)
      : bodyText(sql, statement, 'as', grammar);
    out.effects.push({ kind: 'prepare', name: node['name'], sql: body });
  }
  if (kind === 'DeclareCursorStmt' && typeof node['portalname'] === 'string') {
    out.effects.push({
      kind: 'declare',
      name: node['portalname'],
      sql: bodyText(sql, statement, 'for', grammar),
    });
  }
}

function textOf(sql: string, { start, end }: RawStatement): string {
  const at = utf16Offsets(sql);
  return sql.slice(at(start), at(end)).trim();
}

function trust(list: readonly string[]): (schema: string, name: string) => boolean {
  const names = new Set(list);
  return (schema, name) =>
    names.has(`${schema}.${name}`) ||
    names.has(`${schema}.*`) ||
    ((schema === 'pg_catalog' || schema === 'public') && names.has(name));
}
