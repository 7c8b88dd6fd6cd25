/**
 * The judge of one target: SQL text → facts (in a worker, cached) → verdict (pure, cached). DESIGN.md 2, 4, 16.
 * Whatever goes wrong in here is a deny; nothing in here rejects.
 */
import { createHash } from 'node:crypto';
import {
  createTagLookup,
  type HeldPolicy,
  openWindows,
  type PolicyHolder,
  type TagLookup,
  tagSource,
} from '../../policy/rules/index.ts';
import { grammarFor, isOtherMajor } from '../../policy/server.ts';
import type { RewriteJob, Rewritten } from '../../policy/tidy.worker.ts';
import type { Analysis, CatalogRelation, ResolutionContext, Verdict } from '../../policy/types.ts';
import { denied, evaluate } from '../../policy/verdict.ts';
import { workerUrl } from '../../policy/worker-url.ts';
import type { Judge, JudgeContext, Judged, Target } from '../types.ts';
import { WrittenRelations } from '../written.ts';
import type { AnalyseJob } from './analyse-job.ts';
import { type Catalog, type CatalogReading, CatalogUnavailable, createCatalog } from './catalog.ts';
import { catalogLogin, connectCatalog } from './catalog-connection.ts';
import { createLru } from './lru.ts';
import { CatalogNames } from './names.ts';
import { createPool, type PoolResult, type Setup } from './pool.ts';

/** For logs and metrics; carries no SQL. */
export type JudgeEvent =
  | {
      readonly kind: 'analysis-failed';
      readonly target: string;
      readonly why: 'timeout' | 'crashed' | 'overloaded';
    }
  | { readonly kind: 'catalog-unavailable'; readonly target: string; readonly cause: string };

/** As `pino` has it. */
export interface JudgeLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface JudgeDeps {
  readonly target: Target;
  readonly policy: PolicyHolder;
  readonly now: () => number;
  /** Default: a connection of its own with the target's catalog login. */
  readonly catalog?: Catalog;
  readonly onEvent?: (event: JudgeEvent) => void;
  readonly log?: JudgeLog;
  /** Parser threads. */
  readonly workers?: number;
  /** Milliseconds that one text may take to be read. */
  readonly analyseMs?: number;
  readonly tidyMs?: number;
  readonly cacheCount?: number;
  readonly cacheBytes?: number;
}

/** As in policy/parse; asked here too, so that a huge text is not copied to a worker first. */
const MAX_SQL_LENGTH = 256 * 1024;
/** More than laying out for a card: the card is there without it. */
const EFFECT_MS = 500;

export function createJudge(deps: JudgeDeps): Judge {
  const { target, policy, now } = deps;
  const unreadable = target.protocol === 'trusted' && target.environment === 'test' ? 'unknown' : 'refused';
  const catalog = deps.catalog ?? ownCatalog(target, now);
  const analyseMs = deps.analyseMs ?? 3000;
  const count = deps.cacheCount ?? 20_000;
  const bytes = deps.cacheBytes ?? 64 * 1024 * 1024;
  const analyses = createLru<Analysis>(count, bytes / 2);
  const verdicts = createLru<Judged>(count, bytes / 2);
  const tidied = createLru<{ readonly text: string | null }>(1000, 8 * 1024 * 1024);
  const inFlight = new Map<string, Promise<PoolResult<Analysis>>>();
  const workers = createPool<AnalyseJob, Analysis>({
    url: workerUrl('./analyse.worker.js', import.meta.url),
    size: deps.workers ?? 2,
    limitMs: analyseMs,
    startLimitMs: 15_000,
    maxQueue: 1000,
    maxHeapMb: 1024,
  });
  const tidier = createPool<RewriteJob, Rewritten>({
    url: workerUrl('../../policy/tidy.worker.js', import.meta.url),
    size: 1,
    limitMs: deps.tidyMs ?? 100,
    startLimitMs: 15_000,
    maxQueue: 20,
    maxHeapMb: 256,
  });
  workers.warm();
  // The first client should not wait for the catalog; if the target is down, the first statement says so.
  catalog.ensure().catch(() => undefined);

  /** As long as there is no catalog nothing is held that could be laid out. */
  function grammarSetup(): Setup | undefined {
    const reading = catalog.latest();
    if (reading === null) return undefined;
    const grammar = grammarFor(reading.snapshot);
    return { version: String(grammar), value: grammar };
  }

  function tell(event: JudgeEvent): void {
    deps.onEvent?.(event);
    const { kind, ...fields } = event;
    deps.log?.warn(
      fields,
      kind === 'catalog-unavailable'
        ? 'the catalog cannot be read: statements are refused until it can'
        : 'a statement could not be analysed and is refused',
    );
  }

  function cached(sql: string, context: JudgeContext): Judged | null {
    const reading = catalog.current();
    if (reading === null || moved(context, reading)) return null;
    return verdicts.get(verdictKey(sql, context, reading, policy.current(), now())) ?? null;
  }

  async function judge(
    sql: string,
    context: JudgeContext,
    options?: { readonly fresh?: boolean },
  ): Promise<Judged> {
    // One time for the key and the verdict: windows that open meanwhile are the next statement's.
    const at = now();
    const answer = (analysis: Analysis, held: HeldPolicy, catalogVersion: string | null): Judged => {
      const verdict = evaluate(held.policy, analysis, { ...context.policy, now: at }, unreadable);
      return {
        sql,
        facts: analysis.kind === 'facts' ? analysis : null,
        verdict,
        probe: foreign ? 'none' : probeOf(analysis, verdict),
        policyVersion: held.version,
        catalogVersion,
      };
    };
    let catalogVersion: string | null = null;
    // What no grammar here is for is not sent to ask what becomes of it.
    let foreign = false;
    try {
      if (sql.length > MAX_SQL_LENGTH) {
        const analysis: Analysis = {
          kind: 'unjudgeable',
          why: `The statement is larger than ${MAX_SQL_LENGTH / 1024} KB, the most that can be judged. Split it up, or pass values as parameters.`,
        };
        return answer(analysis, policy.current(), null);
      }
      let reading = await catalog.ensure(options?.fresh === true);
      if (moved(context, reading)) reading = await catalog.ensure(true);
      if (moved(context, reading)) return refused(sql, 'error:server', MOVED, reading.snapshot.version);
      foreign = reading.snapshot.unfamiliar !== undefined;
      catalogVersion = reading.snapshot.version;
      const held = policy.current();
      const key = verdictKey(sql, context, reading, held, at);
      const known = verdicts.get(key);
      if (known !== undefined) return known;
      const analysis = typed(await read(sql, context, reading, held), context.paramTypes, reading);
      const judged = answer(analysis, held, catalogVersion);
      if (analysis.kind !== 'unjudgeable') verdicts.set(key, judged, key.length * 2 + 1000);
      return judged;
    } catch (error) {
      if (error instanceof CatalogUnavailable) {
        tell({ kind: 'catalog-unavailable', target: target.name, cause: causeOf(error) });
        return refused(
          sql,
          'error:catalog',
          `the catalog of ${target.name} is unavailable, so nothing can be judged; try again shortly`,
          catalogVersion,
        );
      }
      return refused(
        sql,
        'error:judge',
        'the judge failed on it, so it is refused; tell the administrators of the gateway',
        catalogVersion,
      );
    }
  }

  async function read(
    sql: string,
    context: JudgeContext,
    reading: CatalogReading,
    held: HeldPolicy,
  ): Promise<Analysis> {
    const key = factsKey(sql, context, reading, held);
    const known = analyses.get(key);
    if (known !== undefined) return known;
    let running = inFlight.get(key);
    if (running === undefined) {
      const { tags, version } = factsPart(held);
      running = workers.run(
        { sql, resolution: context.resolution },
        {
          version: `${reading.snapshot.version}\0${version}`,
          value: { catalog: reading.snapshot, tags, trustedFunctions: held.policy.trustedFunctions },
          patch:
            reading.patch === null
              ? undefined
              : { from: `${reading.patch.from}\0${version}`, value: reading.patch.value },
        },
      );
      inFlight.set(key, running);
      running.finally(() => inFlight.delete(key)).catch(() => undefined);
    }
    const result = await running;
    if (result.kind !== 'done') {
      tell({ kind: 'analysis-failed', target: target.name, why: result.kind });
      return { kind: 'unjudgeable', why: FAILED[result.kind](analyseMs) };
    }
    const analysis = result.result;
    if (analysis.kind !== 'unjudgeable') {
      analyses.set(key, analysis, key.length * 2 + JSON.stringify(analysis).length * 2);
    }
    return analysis;
  }

  function refused(sql: string, rule: string, reason: string, catalogVersion: string | null): Judged {
    return {
      sql,
      facts: null,
      verdict: denied(rule, reason),
      probe: 'none',
      policyVersion: policy.current().version,
      catalogVersion,
    };
  }

  return {
    cached,
    judge,
    async tidy(sql) {
      const known = tidied.get(sql);
      if (known !== undefined) return known.text;
      if (sql.length > 16 * 1024) return null;
      const result = await tidier.run({ tidy: sql }, grammarSetup());
      const text = result.kind === 'done' && typeof result.result === 'string' ? result.result : null;
      // A text that took too long once takes too long again; an overload says nothing about the text.
      if (result.kind === 'done' || result.kind === 'timeout') {
        tidied.set(sql, { text }, sql.length * 4 + (text?.length ?? 0) * 2);
      }
      return text;
    },
    async effect(sql) {
      if (sql.length > MAX_SQL_LENGTH) return null;
      const result = await tidier.run({ effect: sql }, grammarSetup(), EFFECT_MS);
      return result.kind === 'done' && typeof result.result === 'object' ? result.result : null;
    },
    catalog: () => catalog.latest()?.snapshot ?? null,
    written: new WrittenRelations(),
    invalidate: () => catalog.invalidate(),
    tagged(fields) {
      const reading = catalog.latest();
      if (reading === null) return [];
      const tagOf = factsPart(policy.current()).lookup;
      const found = new Set<string>();
      for (const [oid, number] of fields) {
        const relation = relationByOid(reading, oid);
        const name = reading.attributes.get(oid)?.get(number);
        if (relation === undefined || name === undefined) continue;
        const comment = relation.columns.find((column) => column.name === name)?.comment ?? null;
        if (tagOf(relation.schema, relation.name, name, comment) !== null) {
          found.add(`${relation.schema}.${relation.name}.${name}`);
        }
      }
      return [...found];
    },
    tags() {
      const reading = catalog.latest();
      const { tags, lookup } = factsPart(policy.current());
      // Globs count whatever the catalog has: temporary tables are in none.
      return reading === null || tags.pii.length > 0 || anyTagged(reading)(lookup);
    },
    names: () => namesOf(catalog.latest()),
    async close() {
      await Promise.all([workers.close(), tidier.close(), catalog.close()]);
    },
  };
}

function ownCatalog(target: Target, now: () => number): Catalog {
  return createCatalog({
    now,
    connect: async () => {
      const login = catalogLogin(target);
      if (login === null) throw new Error(`target ${target.name} has no upstream login for its catalog`);
      return connectCatalog(target, login);
    },
  });
}

const MOVED =
  'the target runs another major version of PostgreSQL now than when this session was opened; connect again';
/** The session's backend is of another major than the catalog that was read. */
const moved = ({ server }: JudgeContext, { snapshot }: CatalogReading): boolean =>
  server !== undefined && isOtherMajor(server, snapshot.serverVersion);

const FAILED: Readonly<Record<'timeout' | 'crashed' | 'overloaded', (ms: number) => string>> = {
  timeout: (ms) => `Reading it took longer than ${ms} ms. Make it simpler or split it up.`,
  crashed: () => 'The SQL parser failed on this text. Make it simpler or split it up.',
  overloaded: () => 'The gateway has too many statements to judge at once. Try again shortly.',
};

/** The first oid after initdb: types of users. */
const USERS_OWN = 16_384;

/**
 * A Bind makes values of the types that the Parse declared, and with them runs the checks of domains, also inside row types and arrays; the
 * statement may compare them by functions of users.
 */
function typed(analysis: Analysis, paramTypes: readonly number[], { snapshot }: CatalogReading): Analysis {
  const { customOperators } = snapshot;
  const own = (oid: number): boolean =>
    customOperators.length > 0 && (oid >= USERS_OWN || customOperators.some(({ type }) => type === oid));
  const plain = !paramTypes.some((oid) => oid > 0 && own(oid));
  if (plain || analysis.kind !== 'facts') return analysis;
  const unknown = 'the declared type of a parameter';
  const statements = analysis.statements.map((one) => ({ ...one, unknowns: [...one.unknowns, unknown] }));
  return { ...analysis, statements, exposes: true };
}

function probeOf(analysis: Analysis, { effect }: Verdict): Judged['probe'] {
  switch (analysis.kind) {
    case 'syntax':
      return 'syntax';
    case 'unjudgeable':
      return 'none';
    case 'facts':
      return analysis.statements.some(
        ({ relations, unresolved }) =>
          relations.some(({ known }) => !known) ||
          // What is allowed meets the server anyway; nobody is asked about a column or function that is not there.
          (effect === 'hold' && unresolved === true),
      )
        ? 'unknown-name'
        : 'none';
  }
}

// ── keys ─────────────────────────────────────────────────────────────────────────────────────────────────────────────
function factsKey(sql: string, context: JudgeContext, reading: CatalogReading, held: HeldPolicy): string {
  return `${reading.snapshot.version}\0${factsPart(held).version}\0${resolutionKey(context.resolution)}\0${context.paramTypes.join()}\0${sql}`;
}

function verdictKey(
  sql: string,
  context: JudgeContext,
  reading: CatalogReading,
  held: HeldPolicy,
  now: number,
): string {
  return `${held.version}\0${openWindows(held.policy, now)}\0${policyKey(context.policy)}\0${factsKey(sql, context, reading, held)}`;
}

/** Contexts are immutable: a session makes a new one when something changed, so their keys are kept with them. */
function memo<K extends object, V>(make: (key: K) => V): (key: K) => V {
  const known = new WeakMap<K, V>();
  return (key) => {
    const before = known.get(key);
    if (before !== undefined) return before;
    const value = make(key);
    known.set(key, value);
    return value;
  };
}

const anyTagged = memo((reading: CatalogReading) =>
  memo((lookup: TagLookup) =>
    reading.snapshot.relations.some(({ schema, name, columns }) =>
      columns.some((column) => lookup(schema, name, column.name, column.comment) !== null),
    ),
  ),
);

const resolutionKey = memo(
  ({ searchPath, among, tempRelations, login, written, changed, moving }: ResolutionContext) =>
    JSON.stringify([
      ...[searchPath, among ?? null, tempRelations, login ?? null, written ?? [], changed ?? []],
      moving ?? false,
    ]),
);

const policyKey = memo((context: JudgeContext['policy']) =>
  JSON.stringify([
    context.target,
    context.environment,
    context.owner,
    context.agent,
    context.groups,
    context.level,
    context.transaction,
  ]),
);

/** What of a policy the facts depend on: a changed rule keeps the facts, a changed tag does not. */
const factsPart = memo(({ policy }: HeldPolicy) => {
  const tags = tagSource(policy);
  const lookup: TagLookup = createTagLookup(policy);
  const version = createHash('sha256')
    .update(JSON.stringify([tags, policy.trustedFunctions]))
    .digest('hex')
    .slice(0, 16);
  return { tags, lookup, version };
});

const relationsByOid = memo(
  ({ snapshot }: CatalogReading): ReadonlyMap<number, CatalogRelation> =>
    new Map(snapshot.relations.map((relation) => [relation.oid, relation])),
);

const NO_NAMES = new CatalogNames([]);
const namesIn = memo(({ snapshot }: CatalogReading) => new CatalogNames(snapshot.relations));
const namesOf = (reading: CatalogReading | null): CatalogNames =>
  reading === null ? NO_NAMES : namesIn(reading);

function relationByOid(reading: CatalogReading, oid: number): CatalogRelation | undefined {
  return relationsByOid(reading).get(oid);
}

/** For the log: what kind of failure, never a password or a connection string. */
function causeOf({ cause }: CatalogUnavailable): string {
  if (!(cause instanceof Error)) return 'unknown';
  return 'code' in cause && typeof cause.code === 'string' ? cause.code : cause.name;
}
