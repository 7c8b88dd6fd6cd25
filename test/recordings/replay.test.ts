import { beforeAll, expect, test } from 'vitest';
import { analyse, loadParser } from '../../src/policy/analyse.ts';
import { createPolicyHolder, createTagLookup } from '../../src/policy/rules/index.ts';
import { evaluate } from '../../src/policy/verdict.ts';
import { type ReplayJudge, type ReplaySession, replay } from '../../src/recordings/replay.ts';
import type { RecordedEvent, SessionMeta } from '../../src/recordings/types.ts';
import { catalog } from '../policy/fixture.ts';

beforeAll(() => loadParser());
const T = Date.parse('2026-11-20T12:00:00Z');

function judgeOf(text: string): ReplayJudge {
  const { policy } = createPolicyHolder(text).current();
  const tagsOf = createTagLookup(policy);
  return async (sql, context, resolution) => {
    const analysis = analyse(sql, { catalog, resolution, tagsOf, trustedFunctions: policy.trustedFunctions });
    return {
      facts: analysis.kind === 'facts' ? analysis : null,
      verdict: evaluate(policy, analysis, context),
    };
  };
}

type Statement = Extract<RecordedEvent, { kind: 'statement' }>;
function recording(
  id: string,
  statements: readonly (Partial<Statement> & { sql: string; error?: string })[],
  meta: Partial<SessionMeta> = {},
): ReplaySession {
  const session: SessionMeta = {
    id,
    ownerId: 'al@example.com',
    ownerName: 'Al',
    ownerEmail: null,
    agent: 'Cursor',
    subject: 's',
    credentialId: 'c',
    target: 'shop',
    environment: 'production',
    database: 'shop',
    role: 'rw',
    clientAddress: '',
    applicationName: null,
    groups: ['devs'],
    level: 'read-write',
    startedAt: T,
    ...meta,
  };
  const events: RecordedEvent[] = [{ kind: 'session', t: T, session }];
  for (const [i, { error, ...statement }] of statements.entries()) {
    const n = i + 1;
    events.push({
      kind: 'statement',
      t: T + i,
      n,
      class: 'read',
      binds: [],
      effect: 'allow',
      rules: ['default:read'],
      reason: '',
      relations: [],
      taggedColumns: [],
      protocol: 'simple',
      ...statement,
    });
    events.push({
      kind: 'result',
      t: T + i,
      n,
      ms: 1,
      tag: null,
      rows: null,
      columns: [],
      values: [],
      truncated: false,
      withheld: false,
      error: error === undefined ? null : { code: error, message: '' },
    });
  }
  return { id, read: async () => events };
}

const OLD = 'version: 1\n';
const run = (
  sessions: readonly ReplaySession[],
  candidate: string,
  more: Partial<Parameters<typeof replay>[0]> = {},
) =>
  replay({
    sessions,
    since: 0,
    target: 'shop',
    before: judgeOf(OLD),
    candidate: judgeOf(candidate),
    levelOf: () => 'read-write',
    outOfTime: () => false,
    ...more,
  });

test('what would change is grouped and counted, with examples that hide what either policy tags', async () => {
  const report = await run(
    [
      recording('a', [
        { sql: "select id from customers where email = 'ann@example.com'" },
        { sql: "select id from customers where email = 'bob@example.com'" },
        { sql: 'select id from orders' },
      ]),
      recording('b', [{ sql: "select id from customers where email = 'cyd@example.com'" }], {
        ownerId: 'bea',
      }),
    ],
    'version: 1\npii: [{ columns: [customers.email], tag: email }]\ndefaults: { pii_predicate: hold }\n',
  );
  expect(report).toMatchObject({ sessions: 2, statements: 4, changed: 3, partial: false, unread: [] });
  expect(report.groups).toMatchObject([
    {
      from: 'allow',
      to: 'hold',
      stricter: true,
      verb: 'SELECT',
      relations: ['public.customers'],
      rules: { after: ['default:pii_predicate'] },
      count: 3,
      owners: 2,
      examples: [
        {
          session: 'a',
          n: 1,
          who: 'Cursor for Al',
          sql: 'select id from customers where email = <pii:text>',
        },
      ],
    },
  ]);
  expect(JSON.stringify(report)).not.toContain("example.com'");
});

test('other terms of a hold are a change, and so is what is let through', async () => {
  const session = recording('a', [{ sql: 'delete from orders where id = 1', effect: 'hold' }]);
  expect((await run([session], 'version: 1\napprovers: { quorum: 2 }\n')).groups).toMatchObject([
    { from: 'hold', to: 'hold, other terms', stricter: false },
  ]);
  expect((await run([session], 'version: 1\ndefaults: { delete: allow }\n')).groups).toMatchObject([
    { from: 'hold', to: 'allow', stricter: false, verb: 'DELETE' },
  ]);
  expect((await run([session], 'version: 1\n# the same\n')).changed).toBe(0);
});

test('each statement is judged as its session stood: who, when, in which transaction, after which settings', async () => {
  const rules = `version: 1
rules:
  - { name: open, match: { transaction: [open], classes: [update] }, effect: deny }
  - { name: devs, match: { groups: [devs], classes: [insert] }, effect: hold }
  - { name: noon, match: { time: { zone: UTC, from: "11:59", to: "12:01" }, classes: [truncate] }, effect: deny }
`;
  const update = 'update orders set note = 1 where id = 1';
  const report = await run(
    [
      recording('a', [
        { sql: update },
        { sql: 'begin' },
        { sql: update },
        { sql: 'commit' },
        { sql: update },
        { sql: 'insert into plain values (1)' },
        { sql: 'truncate plain' },
      ]),
      recording('b', [{ sql: 'insert into plain values (1)' }], { groups: [] }),
    ],
    rules,
  );
  expect(
    report.groups.map(({ rules: { after }, examples }) => [
      after,
      examples.map(({ session, n }) => `${session}${n}`),
    ]),
  ).toEqual([
    [['open'], ['a3']],
    [['devs'], ['a6']],
    [['noon'], ['a7']],
  ]);
});

test('what a recording does not hold is counted, and an unreadable one is told', async () => {
  const report = await run(
    [
      recording('a', [
        { sql: 'select id from customers where email = <pii:text>' },
        { sql: '<pii:statement>' },
        { sql: 'delete from orders where id = 2', effect: 'allow' },
      ]),
      { id: 'torn', read: () => Promise.reject(new Error('it does not verify')) },
      recording('elsewhere', [{ sql: 'drop table orders' }], { target: 'other' }),
    ],
    OLD,
  );
  expect(report).toMatchObject({
    statements: 2,
    changed: 0,
    madeUp: 1,
    withheld: 1,
    recordedOtherwise: 1,
    unread: [{ session: 'torn', why: 'it does not verify' }],
  });
});

test('without a policy before it, the recorded verdicts are compared with; out of time is told', async () => {
  const session = recording('a', [
    { sql: 'delete from orders where id = 1', effect: 'allow', rules: ['old'] },
    { sql: 'select nothing from nowhere', effect: 'probe' },
  ]);
  const report = await run([session], OLD, { before: null });
  expect(report).toMatchObject({
    changed: 1,
    groups: [{ from: 'allow', to: 'hold', rules: { before: ['old'] } }],
  });
  expect(await run([session], OLD, { outOfTime: () => true })).toMatchObject({
    statements: 0,
    partial: true,
  });
});
