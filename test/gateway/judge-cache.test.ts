/**
 * DESIGN.md 2: cached facts and verdicts are keyed so that no stale or foreign one can be used. The model is a judge without caches: whatever
 * the interleaving of questions, catalog changes and policy changes, each answer is what that judge says for the very versions it names.
 */
import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import type { CatalogReading } from '../../src/gateway/judge/catalog.ts';
import { type CatalogPatch, patched } from '../../src/gateway/judge/catalog-patch.ts';
import type { Catalog } from '../../src/gateway/judge/index.ts';
import { createJudge } from '../../src/gateway/judge/index.ts';
import type { JudgeContext, Judged, Target } from '../../src/gateway/types.ts';
import { analyse, loadParser } from '../../src/policy/analyse.ts';
import {
  createPolicyHolder,
  createTagLookup,
  type Policy,
  policyVersion,
} from '../../src/policy/rules/index.ts';
import type { CatalogSnapshot, ResolutionContext } from '../../src/policy/types.ts';
import { evaluate } from '../../src/policy/verdict.ts';
import { catalog as base } from '../policy/fixture.ts';
import { holdsAsync, testTimeout } from '../support/property.ts';

beforeAll(() => loadParser());

const TARGET: Target = {
  name: 'shop',
  environment: 'production',
  host: '127.0.0.1',
  port: 1,
  database: 'shop',
  tls: 'disable',
  ca: null,
  logins: {},
  catalogLogin: null,
  acceptPrivileges: [],
  protocol: 'strict',
};

// ── what changes ─────────────────────────────────────────────────────────────────────────────────────────────────────
const relation = (name: string, change: object): CatalogSnapshot['relations'] =>
  base.relations.map((one) => (one.name === name && one.schema === 'public' ? { ...one, ...change } : one));
const commented = (comment: string) => ({
  columns: ['id', 'contact'].map((name) => ({
    name,
    type: 'text',
    comment: name === 'contact' ? comment : null,
    generated: null,
  })),
});
const SNAPSHOTS: readonly CatalogSnapshot[] = [
  base,
  { ...base, version: '2', relations: relation('archive', commented('pii:phone')) },
  {
    ...base,
    version: '3',
    relations: relation('customer_names', { definition: 'SELECT id, email AS name FROM public.customers;' }),
  },
  { ...base, version: '4', relations: base.relations.filter(({ name }) => name !== 'orders') },
  {
    ...base,
    version: '5',
    relations: relation('plain', {
      triggers: [{ function: 'public.mystery', on: ['insert', 'update', 'delete'], before: true }],
    }),
  },
  {
    ...base,
    version: '6',
    functions: base.functions.map((fn) =>
      fn.name === 'plus_one' ? { ...fn, body: 'DELETE FROM public.orders' } : fn,
    ),
  },
];
/** Whoever and wherever it is makes a difference under each. */
const WHO = `rules:
  - { name: bea, match: { owners: [bea] }, effect: deny }
  - { name: agents, match: { agents: [Cursor] }, unless: { groups: [devs] }, effect: hold }
  - { name: open, match: { transaction: [open] }, effect: hold, wait: 1s }
  - { name: failed, match: { transaction: [failed] }, effect: deny }
  - { name: place, match: { environments: [production], targets: [shop] }, effect: hold, expires: 1h }
  - { name: night, match: { time: { zone: UTC, from: "22:00", to: "06:00" } }, effect: deny }
  - { name: twin, match: { targets: [twin] }, effect: hold }
`;
const POLICIES = [
  `version: 1\n${WHO}`,
  `version: 1\npii: [{ columns: ["*.customers.email"], tag: email }]\n${WHO}`,
  `version: 1\npii: [{ columns: ["*.customers.email"], tag: secret }]\n${WHO}  - { name: s, match: { tags: [secret] }, effect: deny }\n`,
  `version: 1\ntrusted_functions: [public.mystery]\ndefaults: { delete: allow, missing_where: deny }\n${WHO}`,
  `version: 1\n${WHO}  - { name: renamed, match: { owners: [al] }, effect: hold }\n`,
] as const;
/** Noon, and within the night of the rules. */
const TIMES = [
  '2026-11-21T12:00:00Z',
  '2026-11-21T21:59:59Z',
  '2026-11-21T22:00:00Z',
  '2026-11-22T05:59:00Z',
].map(Date.parse);
const SQL = [
  'select name from customer_names',
  'select contact from archive',
  'select email from customers',
  'select id from customers',
  "select id from customers where email = 'a@b.c'",
  'delete from orders',
  'delete from orders where id = 7',
  'insert into plain values (1)',
  'select plus_one(1)',
  'select mystery()',
  'grant select on orders to bob',
  'create temp table plain (id int); select * from plain',
  'selec 1',
  'execute p; select id from customers',
  'select $1::int',
] as const;

type Who = JudgeContext['policy'];
/** A field that PolicyContext or ResolutionContext gains does not compile until it varies here; the time is the judge's own. */
const who: { readonly [K in keyof Required<Who>]: fc.Arbitrary<Who[K]> } = {
  target: fc.constantFrom('shop', 'twin'),
  environment: fc.constantFrom('production', 'test'),
  owner: fc.constantFrom('al', 'bea', null),
  agent: fc.constantFrom('Cursor', null),
  groups: fc.constantFrom([], ['devs'], ['devs', 'ops'], ['devs,ops']),
  level: fc.constantFrom('none', 'read-only', 'read-write', 'admin'),
  transaction: fc.constantFrom('idle', 'open', 'failed'),
};
const where: {
  readonly [K in keyof Required<ResolutionContext>]: fc.Arbitrary<Required<ResolutionContext>[K]>;
} = {
  searchPath: fc.constantFrom(['public'], ['other', 'public'], [], null),
  among: fc.constantFrom([], ['other'], ['public', 'other']),
  tempRelations: fc.constantFrom([], ['orders'], ['customers', 'plain']),
  login: fc.constantFrom('app', 'other'),
  written: fc.constantFrom([], ['public.plain'], ['public.orders', 'public.plain']),
  changed: fc.constantFrom([], ['plain'], ['*']),
  moving: fc.constant(true),
};
/** Neighbours that differ in one thing: what a key forgets is met. */
const contexts: fc.Arbitrary<readonly JudgeContext[]> = fc
  .tuple(
    fc.record({
      policy: fc.record(who),
      resolution: fc.record(where),
      paramTypes: fc.constantFrom([], [23], [25, 25]),
    }),
    fc.record(who),
    fc.record(where),
    fc.constantFrom(...Object.keys(who)),
    fc.constantFrom(...Object.keys(where)),
  )
  .map(([one, policy, resolution, inPolicy, inResolution]) => [
    one,
    { ...one, policy: { ...one.policy, [inPolicy]: Reflect.get(policy, inPolicy) } },
    { ...one, resolution: { ...one.resolution, [inResolution]: Reflect.get(resolution, inResolution) } },
  ]);
const at = (list: { readonly length: number }) => fc.nat({ max: list.length - 1 });
type Op =
  | { readonly kind: 'ask'; readonly sql: number; readonly context: number; readonly wait: boolean }
  | { readonly kind: 'catalog'; readonly to: number }
  | { readonly kind: 'policy'; readonly to: number }
  | { readonly kind: 'time'; readonly to: number };
const op: fc.Arbitrary<Op> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('ask' as const),
      sql: at(SQL),
      context: fc.nat({ max: 2 }),
      wait: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('catalog' as const), to: at(SNAPSHOTS) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('policy' as const), to: at(POLICIES) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('time' as const), to: at(TIMES) }) },
);

/** Readings as the catalog makes them: with a patch from the one before where only relations changed. */
function movingCatalog() {
  const whole = (snapshot: CatalogSnapshot, patch: CatalogReading['patch']): CatalogReading => ({
    snapshot,
    attributes: new Map(),
    patch,
  });
  let reading = whole(base, null);
  let known = true;
  const catalog: Catalog = {
    current: () => (known ? reading : null),
    latest: () => reading,
    async ensure() {
      await null;
      known = true;
      return reading;
    },
    invalidate: () => {
      known = false;
    },
    close: async () => undefined,
  };
  return {
    catalog,
    version: () => reading.snapshot.version,
    to(next: CatalogSnapshot): void {
      const before = reading.snapshot;
      if (before.version === next.version) return;
      const value: CatalogPatch = {
        version: next.version,
        relations: next.relations.filter((one) => !before.relations.includes(one)),
        removed: before.relations
          .filter(({ oid }) => !next.relations.some((one) => one.oid === oid))
          .map(({ oid }) => oid),
        foreignKeys: next.foreignKeys,
        takenAt: 0,
      };
      const stepwise = before.functions === next.functions;
      if (stepwise)
        expect(patched(before, value)).toEqual({
          ...next,
          relations: [...next.relations].sort((a, b) => a.oid - b.oid),
        });
      reading = whole(next, stepwise ? { from: before.version, value } : null);
      known = false;
    },
  };
}

const rulesOf = new Map(
  POLICIES.map((text): [string, Policy] => [text, createPolicyHolder(text).current().policy]),
);

/** The judge without caches. */
function fresh(
  now: number,
  sql: string,
  { policy, resolution }: JudgeContext,
  policyText: string,
  catalogVersion: string,
) {
  const rules = rulesOf.get(policyText);
  if (rules === undefined) throw new Error('no such policy');
  const catalog = SNAPSHOTS.find(({ version }) => version === catalogVersion) ?? null;
  const { trustedFunctions } = rules;
  const analysis = analyse(sql, { catalog, resolution, tagsOf: createTagLookup(rules), trustedFunctions });
  return {
    facts: analysis.kind === 'facts' ? analysis : null,
    verdict: evaluate(rules, analysis, { ...policy, now }),
  };
}

/** One judge for all runs, so that what earlier ones left behind is met; `cacheCount`: how soon the caches push out. */
function subject(cacheCount: number) {
  const moving = movingCatalog();
  const policy = createPolicyHolder(POLICIES[0]);
  const { catalog } = moving;
  const clock = { now: TIMES[0] ?? 0 };
  const judge = createJudge({
    target: TARGET,
    policy,
    now: () => clock.now,
    catalog,
    workers: 2,
    cacheCount,
  });
  return { moving, policy, clock, judge };
}

test('no stale and no foreign facts or verdicts are used, whatever the interleaving', {
  timeout: testTimeout(240),
}, async () => {
  const texts = new Map(POLICIES.map((text) => [policyVersion(text), text]));
  const subjects = [subject(12), subject(2000)] as const;
  let answers = 0;
  let hits = 0;
  async function play(
    ops: readonly Op[],
    asking: readonly JudgeContext[],
    { moving, policy, clock, judge }: ReturnType<typeof subject>,
  ) {
    /** The versions in force, in order: an answer may name only those of its own time. */
    const catalogs = [moving.version()];
    const policies = [policy.current().version];
    const running: Promise<void>[] = [];
    const right = (judged: Judged, sql: string, of: JudgeContext, since: number, now: number): void => {
      answers += 1;
      expect(judged.sql).toBe(sql);
      expect(catalogs.slice(since)).toContain(judged.catalogVersion);
      expect(policies.slice(since)).toContain(judged.policyVersion);
      const { facts, verdict } = judged;
      const text = texts.get(judged.policyVersion) ?? '';
      expect({ facts, verdict }).toEqual(fresh(now, sql, of, text, judged.catalogVersion ?? ''));
    };
    const fromCache = (sql: string): void => {
      for (const of of asking) {
        const judged = judge.cached(sql, { ...of, policy: { ...of.policy } });
        if (judged === null) continue;
        hits += 1;
        right(judged, sql, of, catalogs.length - 1, clock.now);
      }
    };
    try {
      for (const one of ops) {
        if (one.kind === 'catalog') moving.to(SNAPSHOTS[one.to] ?? base);
        if (one.kind === 'policy') policy.replace(POLICIES[one.to] ?? '');
        if (one.kind === 'time') clock.now = TIMES[one.to] ?? 0;
        if (one.kind !== 'ask') {
          catalogs.push(moving.version());
          policies.push(policy.current().version);
          continue;
        }
        const of = asking[one.context];
        const sql = SQL[one.sql];
        if (of === undefined || sql === undefined) throw new Error('not generated');
        const since = catalogs.length - 1;
        const now = clock.now;
        const checked = judge.judge(sql, of).then((judged) => right(judged, sql, of, since, now));
        running.push(checked);
        if (!one.wait) continue;
        await checked;
        fromCache(sql);
      }
      await Promise.all(running);
      for (const sql of SQL) fromCache(sql);
    } finally {
      await Promise.allSettled(running);
    }
  }
  try {
    await holdsAsync(
      fc.asyncProperty(
        contexts,
        fc.array(op, { minLength: 10, maxLength: 40 }),
        fc.constantFrom(...subjects),
        (asking, ops, judged) => play(ops, asking, judged),
      ),
      { numRuns: 80, seconds: 200 },
    );
  } finally {
    for (const { judge } of subjects) await judge.close();
  }
  expect(answers).toBeGreaterThan(1000);
  expect(hits).toBeGreaterThan(500);
});
