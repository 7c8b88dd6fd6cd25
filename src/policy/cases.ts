/** `holdpoint policy test`: cases beside a policy, and how a verdict differs from what they expect. Pure. */
import { z } from 'zod';
import { nearest } from './rules/nearest.ts';
import type { Mistake } from './rules/types.ts';
import { readYaml } from './rules/yaml.ts';
import { GRAMMARS, type Grammar, NEWEST } from './server.ts';
import type { CatalogRelation, CatalogSnapshot, PolicyContext, Verdict } from './types.ts';

const EFFECTS = ['allow', 'hold', 'deny'] as const;
const text = z.string({ error: 'must be text' }).min(1, { error: 'must not be empty' });
const effect = z.enum(EFFECTS, {
  error: ({ input }) => `must be one of: ${EFFECTS.join(', ')}${nearest(input, EFFECTS)}`,
});
const time = text.regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/, {
  error: 'must be a time with its zone, such as 2026-11-21T22:30:00Z',
});
const who = z.strictObject({
  owner: text.optional(),
  agent: text.optional(),
  groups: z.array(text).optional(),
  level: z.enum(['none', 'read-only', 'read-write', 'admin']).optional(),
});
const where = z.strictObject({
  target: text.optional(),
  environment: text.optional(),
  transaction: z.enum(['idle', 'open', 'failed']).optional(),
  time: time.optional(),
});
const server = z.literal(GRAMMARS, { error: `must be a major version: ${GRAMMARS.join(', ')}` });
const names = z.array(text).min(1, { error: 'must not be empty: leave the line out' });
const expected = z.strictObject({
  verdict: effect.optional(),
  rules: names.optional(),
  observed: z.array(text).optional(),
});
const one = z.strictObject({
  name: text.optional(),
  sql: text,
  who: who.optional(),
  where: where.optional(),
  server: server.optional(),
  expect: z.union([effect, expected], {
    error: 'must be allow, hold or deny, or a block of verdict, rules and observed',
  }),
});
const table = z.strictObject({
  columns: names,
  rows: z.number().optional(),
  view: text.optional(),
});
const schema = z.strictObject({
  tables: z
    .record(text, z.union([names, table], { error: 'must be a list of columns, or a block' }))
    .optional(),
  who: who.optional(),
  where: where.optional(),
  server: server.optional(),
  cases: z.array(one, { error: 'must be a list of cases' }).min(1, { error: 'has no case' }),
});
type CasesText = z.output<typeof schema>;
const KEYS = [schema, one, who, where, expected, table].flatMap(({ shape }) => Object.keys(shape));

export interface PolicyCase {
  readonly name: string | null;
  readonly line: number;
  readonly sql: string;
  readonly context: PolicyContext;
  /** The server's major. */
  readonly server: Grammar;
  readonly expected: {
    readonly verdict: Verdict['effect'] | null;
    readonly rules: readonly string[] | null;
    readonly observed: readonly string[] | null;
  };
}

export interface PolicyCases {
  readonly kind: 'cases';
  /** null: no tables are told, every name is unknown. */
  readonly catalog: CatalogSnapshot | null;
  readonly cases: readonly PolicyCase[];
}

export function parseCases(
  source: string,
): PolicyCases | { readonly kind: 'mistakes'; readonly mistakes: readonly Mistake[] } {
  const read = readYaml(source, { schema, needs: 'cases:', keys: KEYS, more: emptyExpectations });
  if (read.kind === 'mistakes') return read;
  const { value, at } = read;
  return {
    kind: 'cases',
    catalog: value.tables === undefined ? null : catalogOf(value.tables),
    cases: value.cases.map((each, index) => ({
      name: each.name ?? null,
      line: at(['cases', index], '').line,
      sql: each.sql,
      server: each.server ?? value.server ?? NEWEST,
      context: contextOf({ ...value.who, ...each.who }, { ...value.where, ...each.where }),
      expected:
        typeof each.expect === 'string'
          ? { verdict: each.expect, rules: null, observed: null }
          : {
              verdict: each.expect.verdict ?? null,
              rules: each.expect.rules ?? null,
              observed: each.expect.observed ?? null,
            },
    })),
  };
}

/** A case that expects nothing would pass whatever happens. */
function* emptyExpectations(value: unknown): Generator<[(string | number)[], string]> {
  const read = z.looseObject({
    cases: z.array(
      z
        .looseObject({ expect: z.strictObject({}) })
        .nullable()
        .catch(null),
    ),
  });
  const found = read.safeParse(value);
  for (const [index, each] of (found.data?.cases ?? []).entries())
    if (each !== null)
      yield [['cases', index, 'expect'], 'expects nothing: write verdict, rules or observed'];
}

function contextOf(
  { owner, agent, groups, level }: NonNullable<CasesText['who']>,
  place: NonNullable<CasesText['where']>,
): PolicyContext {
  return {
    target: place.target ?? '',
    environment: place.environment ?? '',
    owner: owner ?? null,
    agent: agent ?? null,
    groups: groups ?? [],
    level: level ?? 'admin',
    transaction: place.transaction ?? 'idle',
    ...(place.time === undefined ? {} : { now: Date.parse(place.time) }),
  };
}

function catalogOf(tables: NonNullable<CasesText['tables']>): CatalogSnapshot {
  return {
    version: 'cases',
    database: 'cases',
    serverVersion: NEWEST * 10_000,
    relations: Object.entries(tables).map(([name, given], index): CatalogRelation => {
      const { columns, rows, view } = Array.isArray(given) ? { columns: given } : given;
      const dot = name.indexOf('.');
      return {
        oid: 20_000 + index,
        schema: dot < 0 ? 'public' : name.slice(0, dot),
        name: name.slice(dot + 1),
        relkind: view === undefined ? 'r' : 'v',
        columns: columns.map((column) => {
          const [, label = column, type = 'text'] = /^(\S+)\s+(.+)$/.exec(column) ?? [];
          return { name: label, type, comment: null, generated: null };
        }),
        definition: view ?? null,
        parents: [],
        triggers: [],
        calls: [],
        rules: [],
        rowSecurity: false,
        rows: rows ?? -1,
      };
    }),
    functions: [],
    foreignKeys: [],
    customOperators: [],
    takenAt: 0,
  };
}

/** Lines of a diff; none when the verdict is as expected. */
export function differences(
  { expected: want }: PolicyCase,
  { effect: got, rules, observed }: Verdict,
): string[] {
  const lines: string[] = [];
  if (want.verdict !== null && want.verdict !== got)
    lines.push(`verdict   expected ${want.verdict}, got ${got}`);
  lines.push(
    ...listDiff('rules', want.rules, rules),
    ...listDiff('observed', want.observed, observed?.rules ?? []),
  );
  return lines;
}

function listDiff(title: string, want: readonly string[] | null, got: readonly string[]): string[] {
  if (want === null) return [];
  const changes = [
    ...want.filter((name) => !got.includes(name)).map((name) => `- ${name}`),
    ...got.filter((name) => !want.includes(name)).map((name) => `+ ${name}`),
  ];
  return changes.map((change, index) => `${(index === 0 ? title : '').padEnd(9)} ${change}`);
}
