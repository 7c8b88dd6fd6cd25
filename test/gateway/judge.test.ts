import { mkdtemp, rename, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { connectCatalog } from '../../src/gateway/judge/catalog-connection.ts';
import { patched } from '../../src/gateway/judge/catalog-patch.ts';
import {
  type Catalog,
  createCatalog,
  createJudge,
  type PolicyFileEvent,
  watchPolicyFile,
} from '../../src/gateway/judge/index.ts';
import type { Judge, JudgeContext, Target } from '../../src/gateway/types.ts';
import {
  createPolicyHolder,
  DEFAULT_POLICY,
  type PolicyHolder,
  PolicyRefused,
} from '../../src/policy/rules/index.ts';
import { type TestPostgres, testPostgres } from '../support/postgres.ts';

let server: TestPostgres;
let target: Target;
const closing: (() => Promise<void>)[] = [];

beforeAll(async () => {
  server = await testPostgres();
  await server.createDatabase('shop');
  await server.query(
    'shop',
    `create table customers (id int primary key, dropped int, email text, phone text);
     alter table customers drop column dropped;
     comment on column customers.phone is 'pii:phone';
     create table orders (id int primary key, customer int references customers on delete cascade, total numeric, twice numeric generated always as (total * 2) stored);
     create view people as select id, email as address from customers;
     create schema hr;
     create materialized view hr.mv as select count(*) from orders;
     create function hr.two() returns int language sql immutable as 'select 2';
     create function hr.atomic() returns bigint language sql begin atomic select count(*) from customers; end;
     create procedure hr.go() language plpgsql as 'begin end';
     create function hr.on_insert() returns trigger language plpgsql as 'begin return new; end';
     create trigger audit before insert on orders for each row execute function hr.on_insert();`,
  );
  await server.query('shop', `create role reader login password 'reader-only'`);
  target = {
    name: 'shop',
    environment: 'test',
    host: server.host,
    port: server.port,
    database: 'shop',
    tls: 'disable',
    ca: null,
    logins: { 'read-only': { user: 'reader', password: 'reader-only' } },
    catalogLogin: null,
    acceptPrivileges: [],
    protocol: 'strict',
  };
});
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});
afterAll(() => server.stop());

function judgeOf(
  policy: PolicyHolder = createPolicyHolder(DEFAULT_POLICY),
  more: Partial<Parameters<typeof createJudge>[0]> = {},
): Judge {
  const judge = createJudge({ target, policy, now: Date.now, workers: 1, ...more });
  closing.push(() => judge.close());
  return judge;
}

const context: JudgeContext = {
  policy: {
    target: 'shop',
    environment: 'test',
    owner: 'alice@example.com',
    agent: 'Cursor',
    groups: [],
    level: 'read-write',
    transaction: 'idle',
  },
  resolution: { searchPath: ['public'], tempRelations: [] },
  paramTypes: [],
};

describe('the judge', () => {
  it('asks the clock each time: a kept verdict ends with its time window', async () => {
    let now = Date.parse('2026-11-20T21:59:59.500Z');
    const nights = createPolicyHolder(`version: 1
rules:
  - name: nights
    match: { time: { zone: UTC, from: "22:00", to: "06:00" } }
    effect: deny
`);
    const judge = judgeOf(nights, { now: () => now });
    const of = async () => (await judge.judge('select id from customers', context)).verdict.effect;
    expect(await of()).toBe('allow');
    now += 1000;
    expect(judge.cached('select id from customers', context)?.verdict.effect).not.toBe('allow');
    expect(await of()).toBe('deny');
    now += 8 * 3_600_000;
    expect(await of()).toBe('allow');
  });

  it('knows about how many rows a table has, also after it grew', async () => {
    await server.query('shop', 'create table grows as select generate_series(1, 50) as id; analyze grows');
    const judge = judgeOf(
      createPolicyHolder(`version: 1
defaults: { delete: allow, missing_where: allow }
rules:
  - { name: many, match: { classes: [delete], rows_over: 1000 }, effect: deny }
`),
    );
    const of = async () => (await judge.judge('delete from grows', context, { fresh: true })).verdict.effect;
    expect(await of()).toBe('allow');
    await server.query('shop', 'insert into grows select generate_series(51, 5000); analyze grows');
    expect(await of()).toBe('deny');
  });

  it('holds, allows and denies by facts that come from the target', async () => {
    const judge = judgeOf();
    const of = async (sql: string) => {
      const { verdict, probe } = await judge.judge(sql, context);
      return [verdict.effect, verdict.rules[0], probe];
    };
    expect(await of('delete from orders where id = 7')).toEqual(['hold', 'deletes', 'none']);
    expect(await of('select id from customers')).toEqual(['allow', 'default:read', 'none']);
    expect(await of('select address from people')).toEqual(['hold', 'pii', 'none']);
    expect(await of('select phone from customers')).toMatchObject(['hold', expect.anything(), 'none']);
    expect(await of('select * from nowhere')).toMatchObject([
      expect.anything(),
      expect.anything(),
      'unknown-name',
    ]);
    expect(await of('delete from orders where idd = 7')).toEqual(['hold', 'deletes', 'unknown-name']);
    expect(await of('select idd from customers limit 0')).toMatchObject([
      expect.anything(),
      expect.anything(),
      'unknown-name',
    ]);
    expect(await of('selec 1')).toEqual(['deny', 'error:syntax', 'syntax']);
    expect(await of('select 1\0')).toEqual(['deny', 'error:unjudgeable', 'none']);
    expect(await of(`select '${'x'.repeat(300_000)}'`)).toEqual(['deny', 'error:unjudgeable', 'none']);
    expect(await of('grant select on orders to reader')).toEqual(['deny', 'level:read-write', 'none']);
  });

  it('answers a repeat at once, per who asks and per resolution', async () => {
    const judge = judgeOf();
    expect(judge.cached('select 1', context)).toBeNull();
    const judged = await judge.judge('select 1', context);
    expect(judge.cached('select 1', context)).toBe(judged);
    expect(judge.cached('select 1', { ...context, policy: { ...context.policy } })).toBe(judged);
    expect(
      judge.cached('select 1', { ...context, policy: { ...context.policy, level: 'admin' } }),
    ).toBeNull();
    expect(
      judge.cached('select 1', { ...context, resolution: { searchPath: null, tempRelations: [] } }),
    ).toBeNull();
    expect(judge.cached('select 1', { ...context, paramTypes: [23] })).toBeNull();
    judge.invalidate();
    expect(judge.cached('select 1', context)).toBeNull();
  });

  it('judges by a replaced policy at once, and by the old one when the new text is bad', async () => {
    const policy = createPolicyHolder('version: 1\n');
    const judge = judgeOf(policy);
    expect((await judge.judge('select email from customers', context)).verdict.effect).toBe('allow');
    expect(policy.replace('version: 1\nrules: oops\n').kind).toBe('refused');
    expect(judge.cached('select email from customers', context)?.verdict.effect).toBe('allow');
    policy.replace(DEFAULT_POLICY);
    expect(judge.cached('select email from customers', context)).toBeNull();
    const judged = await judge.judge('select email from customers', context);
    expect(judged.verdict).toMatchObject({ effect: 'hold', rules: ['pii'] });
    expect(judged.policyVersion).toBe(policy.current().version);
  });

  it('sees a table that was made a moment ago when asked afresh', async () => {
    const judge = judgeOf();
    await server.query('shop', 'drop table if exists late');
    const before = await judge.judge('select * from late', context);
    expect(before.probe).toBe('unknown-name');
    await server.query('shop', 'create table late (ssn text)');
    const after = await judge.judge('select * from late', context, { fresh: true });
    expect(after).toMatchObject({ probe: 'none', verdict: { effect: 'hold', rules: ['pii'] } });
    expect(after.catalogVersion).not.toBe(before.catalogVersion);
  });

  it('gives up on a text that takes too long, and goes on', async () => {
    const judge = judgeOf(undefined, { analyseMs: 150 });
    await judge.judge('select 1', context);
    const slow = await judge.judge(`${'/*'.repeat(60_000)}${'*/'.repeat(60_000)} select 1`, context);
    expect(slow.verdict).toMatchObject({ effect: 'deny', rules: ['error:unjudgeable'] });
    expect((await judge.judge('select 2', context)).verdict.effect).toBe('allow');
  });

  it('goes on after the parser overflowed its stack', async () => {
    const judge = judgeOf();
    for (let i = 0; i < 3; i += 1) {
      const deep = await judge.judge(`select ${'1+'.repeat(20_000 + i)}1`, context);
      expect(deep.verdict.effect).toBe('deny');
    }
    expect((await judge.judge('select 2', context)).verdict.effect).toBe('allow');
  });

  it('analyses a text once for many who ask at the same time', async () => {
    const judge = judgeOf();
    const all = await Promise.all(Array.from({ length: 50 }, () => judge.judge('select 3', context)));
    expect(new Set(all.map(({ facts }) => facts)).size).toBe(1);
  });

  it('knows the tagged columns a row description points at, past dropped columns', async () => {
    const judge = judgeOf();
    await judge.judge('select 1', context);
    const { rows } = await server.query(
      'shop',
      `select attrelid::int as oid, attnum::int as num from pg_attribute where attrelid = 'customers'::regclass and attnum > 0`,
    );
    const fields = rows.map(({ oid, num }): readonly [number, number] => [oid, num]);
    expect(judge.tagged(fields)).toEqual(['public.customers.email', 'public.customers.phone']);
    expect(judge.tagged([[1, 1]])).toEqual([]);
    expect(judge.tags()).toBe(true);
  });

  it('takes a parameter of a type of users for unknown where checks of types run functions', async () => {
    const judge = judgeOf();
    const own = { ...context, paramTypes: [20_000] };
    expect((await judge.judge('select $1', own, { fresh: true })).facts?.statements[0]?.unknowns).toEqual([]);
    await server.query(
      'shop',
      `create function strict_text(text) returns boolean language plpgsql as 'begin return true; end';
       create domain strict_text as text check (strict_text(value))`,
    );
    try {
      const judged = await judge.judge('select $1', own, { fresh: true });
      expect(judged.verdict).toMatchObject({ effect: 'hold', rules: ['default:unknown'] });
      expect((await judge.judge('select $1', { ...own, paramTypes: [25] })).verdict.effect).toBe('allow');
    } finally {
      await server.query('shop', 'drop domain strict_text; drop function strict_text');
    }
  });

  it('takes a parameter of regtype for unknown where functions of users read the modifiers of types', async () => {
    const judge = judgeOf();
    const named = { ...context, paramTypes: [2206] };
    expect((await judge.judge('select $1', named, { fresh: true })).verdict.effect).toBe('allow');
    await server.query(
      'shop',
      `create function modifiers(cstring[]) returns int language plpgsql immutable as 'begin return 1; end'; create type word;
       create function word_in(cstring, oid, int) returns word language internal immutable strict as 'varcharin';
       create function word_out(word) returns cstring language internal immutable strict as 'varcharout';
       create type word (input = word_in, output = word_out, like = varchar)`,
    );
    try {
      expect((await judge.judge("select 'word(4)'::regtype", context, { fresh: true })).verdict.effect).toBe(
        'allow',
      );
      await server.query('shop', 'alter type word set (typmod_in = modifiers)');
      expect((await judge.judge('select $1', named, { fresh: true })).verdict).toMatchObject({
        effect: 'hold',
        rules: ['default:unknown'],
      });
      expect((await judge.judge("select 'word(4)'::regtype", context)).verdict.effect).toBe('hold');
      expect((await judge.judge('select $1', { ...named, paramTypes: [25] })).verdict.effect).toBe('allow');
    } finally {
      await server.query('shop', 'drop type word cascade; drop function modifiers');
    }
  });

  it('tidies SQL', async () => {
    const judge = judgeOf(undefined, { tidyMs: 5000 });
    expect(await judge.tidy('delete from orders where id=7')).toBe('DELETE\nFROM orders\nWHERE id = 7');
    expect(await judge.tidy('select 1   ,2')).toBe('SELECT 1, 2');
    expect(await judge.tidy('selec')).toBeNull();
  });

  it('tidies nothing that takes too long', async () => {
    const judge = judgeOf(undefined, { tidyMs: 1 });
    expect(await judge.tidy(`select ${'a + b * (c - 1), '.repeat(900)} 1`)).toBeNull();
  });
});

describe('without a catalog', () => {
  it('refuses while the target is down, and recovers by itself', async () => {
    let down = true;
    const catalog = createCatalog({
      now: Date.now,
      maxAgeMs: 50,
      pollMs: 10,
      connect: () =>
        down
          ? Promise.reject(new Error('down'))
          : connectCatalog(target, { user: 'reader', password: 'reader-only' }),
    });
    const events: string[] = [];
    const judge = judgeOf(undefined, { catalog, onEvent: ({ kind }) => events.push(kind) });
    const refused = await judge.judge('select 1', context);
    expect(refused).toMatchObject({
      facts: null,
      probe: 'none',
      verdict: {
        effect: 'deny',
        rules: ['error:catalog'],
        reason: 'the catalog of shop is unavailable, so nothing can be judged; try again shortly',
      },
    });
    expect(events).toContain('catalog-unavailable');
    down = false;
    await expect.poll(async () => (await judge.judge('select 1', context)).verdict.effect).toBe('allow');

    // The server ends the connection: the next look makes a new one.
    await server.query(
      'postgres',
      `select pg_terminate_backend(pid) from pg_stat_activity where usename = 'reader'`,
    );
    await expect.poll(async () => (await judge.judge('select 5', context)).verdict.effect).toBe('allow');

    // Down again: what was read is soon too old to judge by.
    down = true;
    await server.query(
      'postgres',
      `select pg_terminate_backend(pid) from pg_stat_activity where usename = 'reader'`,
    );
    await expect.poll(async () => (await judge.judge('select 1', context)).verdict.effect).toBe('deny');
    expect(judge.cached('select 1', context)).toBeNull();
  });
});

describe('the catalog', () => {
  let catalog: Catalog;
  const open = () => {
    catalog = createCatalog({
      now: Date.now,
      maxAgeMs: 60_000,
      pollMs: 60_000,
      connect: () => connectCatalog(target, { user: 'reader', password: 'reader-only' }),
    });
    closing.push(() => catalog.close());
    return catalog;
  };

  it('has relations, definitions, functions with bodies, keys, triggers', async () => {
    const { snapshot } = await open().ensure();
    const relation = (schema: string, name: string) =>
      snapshot.relations.find((each) => each.schema === schema && each.name === name);
    expect(snapshot.database).toBe('shop');
    expect(snapshot.serverVersion).toBeGreaterThanOrEqual(180000);
    expect(relation('public', 'customers')).toMatchObject({
      relkind: 'r',
      columns: [
        { name: 'id', type: 'integer', comment: null, generated: null },
        { name: 'email' },
        { name: 'phone', comment: 'pii:phone' },
      ],
    });
    expect(relation('public', 'people')?.definition).toContain('FROM public.customers');
    expect(relation('hr', 'mv')?.definition).toContain('FROM public.orders');
    expect(relation('public', 'orders')).toMatchObject({
      triggers: [{ function: 'hr.on_insert', on: ['insert'], before: true }],
    });
    expect(relation('public', 'orders')?.columns.find(({ name }) => name === 'twice')?.generated).toContain(
      'total',
    );
    expect(relation('pg_catalog', 'pg_class')).toBeUndefined();
    const fn = (name: string) => snapshot.functions.find((each) => each.name === name);
    expect(fn('two')).toMatchObject({
      schema: 'hr',
      language: 'sql',
      kind: 'f',
      volatility: 'i',
      body: 'select 2',
    });
    expect(fn('atomic')?.body).toContain('BEGIN ATOMIC');
    expect(fn('go')).toMatchObject({ kind: 'p', language: 'plpgsql' });
    expect(fn('pg_sleep')).toBeUndefined();
    expect(snapshot.foreignKeys).toEqual([
      {
        from: relation('public', 'orders')?.oid,
        to: relation('public', 'customers')?.oid,
        columns: ['customer'],
        keys: ['id'],
        onDelete: 'cascade',
        onUpdate: 'no action',
        calls: [],
      },
    ]);
  });

  it.each([
    [
      'a column',
      'alter table orders rename column total to sum',
      'alter table orders rename column sum to total',
    ],
    ['a comment', `comment on column orders.id is 'pii'`, 'comment on column orders.id is null'],
    ['an index', 'create index found on orders (total)', 'drop index found'],
    [
      'a view',
      'create or replace view people as select id, phone::text as address from customers',
      'create or replace view people as select id, email as address from customers',
    ],
    [
      'a function',
      `create or replace function hr.two() returns int language sql immutable as 'select 3'`,
      `create or replace function hr.two() returns int language sql immutable as 'select 2'`,
    ],
    ['a trigger', 'alter table orders disable trigger audit', 'alter table orders enable trigger audit'],
    ['a schema', 'alter schema hr rename to people_hr', 'alter schema people_hr rename to hr'],
    [
      'row security',
      'alter table orders enable row level security',
      'alter table orders disable row level security',
    ],
    [
      'the functions',
      'create function public.sly() returns int language sql as $$select 1$$',
      'drop function public.sly()',
    ],
    ['a statistic', 'create statistics seen on (total + 1), id from orders', 'drop statistics seen'],
    ['a policy', 'create policy seen on orders using (id > 0)', 'drop policy seen on orders'],
    ['a domain', `create domain posint as int check (value > 0)`, 'drop domain posint'],
    [
      'an operator',
      'create operator public.=== (leftarg = int, rightarg = int, function = int4eq)',
      'drop operator public.=== (int, int)',
    ],
  ])('has another version after a change of %s', async (_what, change, back) => {
    const catalog = open();
    const before = (await catalog.ensure()).snapshot.version;
    await server.query('shop', change);
    try {
      expect((await catalog.ensure(true)).snapshot.version).not.toBe(before);
    } finally {
      await server.query('shop', back);
    }
  });

  it('is asked for by operators of the server, whatever users call theirs', async () => {
    const never = "raise exception 'an operator of users ran'";
    await server.query(
      'shop',
      `create function own_oid(oid, int) returns boolean language plpgsql as $$begin ${never}; end$$;
       create operator <> (leftarg = oid, rightarg = int, function = own_oid);
       create operator >= (leftarg = oid, rightarg = int, function = own_oid);
       create operator = (leftarg = oid, rightarg = int, function = own_oid)`,
    );
    try {
      expect((await open().ensure(true)).snapshot.relations.length).toBeGreaterThan(0);
    } finally {
      await server.query('shop', 'drop function own_oid(oid, int) cascade');
    }
  });

  it('has implicit casts between built-in types, which no text names', async () => {
    const catalog = open();
    await server.query('shop', "create function from_xml(xml) returns int language sql as 'select 1'");
    await server.query('shop', 'create cast (xml as int) with function from_xml(xml) as implicit');
    try {
      const { customOperators } = (await catalog.ensure(true)).snapshot;
      expect(customOperators).toContainEqual({
        schema: 'pg_catalog',
        name: '',
        from: null,
        compared: false,
        type: null,
        gives: null,
        left: null,
        right: null,
        calls: ['public.from_xml'],
      });
    } finally {
      await server.query('shop', 'drop function from_xml(xml) cascade');
    }
  });

  it('knows at once what the rows in a column are made of', async () => {
    const catalog = open();
    await server.query('shop', 'create type maker as (name text)');
    await server.query('shop', 'create domain makers as maker[]');
    await server.query('shop', 'create table made (id int, of maker, by makers, at people)');
    const seen = async () => {
      const { snapshot } = await catalog.ensure(true);
      const oidOf = (name: string) => snapshot.relations.find((each) => each.name === name)?.oid;
      const made = snapshot.relations.find(({ name }) => name === 'made');
      expect(made?.columns.map(({ rowType }) => rowType)).toEqual([
        null,
        oidOf('maker'),
        oidOf('maker'),
        oidOf('people'),
      ]);
      const maker = snapshot.relations.find(({ name }) => name === 'maker');
      return maker?.columns.map(({ name, comment }) => [name, comment]);
    };
    expect(await seen()).toEqual([['name', null]]);
    await server.query('shop', 'alter type maker add attribute ssn text');
    expect(await seen()).toEqual([
      ['name', null],
      ['ssn', null],
    ]);
    await server.query('shop', "comment on column maker.name is 'pii:name'");
    expect(await seen()).toEqual([
      ['name', 'pii:name'],
      ['ssn', null],
    ]);
    await server.query('shop', 'drop table made; drop type maker cascade');
  });

  it('keeps its version through reads, data, VACUUM, ANALYZE and temporary tables', async () => {
    await server.query('shop', 'insert into customers values (100, null, null)');
    await server.query('shop', 'vacuum analyze customers');
    const catalog = open();
    const before = await catalog.ensure();
    await server.query('shop', 'insert into customers values (101, null, null)');
    await server.query('shop', 'vacuum analyze customers');
    await server.query('shop', 'create temp table scratch (a int)');
    expect((await catalog.ensure(true)).snapshot).toBe(before.snapshot);
    await server.query('shop', 'delete from customers where id >= 100');
  });

  it('does not wait for a view whose table is locked: it is unknown until it can be read', async () => {
    const catalog = open();
    const client = new pg.Client({ connectionString: server.url('shop') });
    await client.connect();
    try {
      await client.query('begin; lock table customers in access exclusive mode');
      const reading = await catalog.ensure(true);
      expect(reading.snapshot.relations.find(({ name }) => name === 'people')?.definition).toBeNull();
      expect(reading.snapshot.relations.find(({ name }) => name === 'mv')?.definition).toContain('orders');
      await client.query('rollback');
      const again = await catalog.ensure(true);
      expect(again.snapshot.version).not.toBe(reading.snapshot.version);
      expect(again.snapshot.relations.find(({ name }) => name === 'people')?.definition).toContain(
        'customers',
      );
    } finally {
      await client.end();
    }
  });

  it('reads again only what changed, and comes to the same as one that reads everything', async () => {
    const catalog = open();
    let last = (await catalog.ensure()).snapshot;
    const steps = [
      'create table step (a int, b text)',
      'create view stepped as select a, b from step',
      "comment on column step.b is 'pii:b'",
      'alter table step rename column b to c',
      'alter table step rename to stepping',
      'create table stepped_on () inherits (stepping)',
      'alter table stepping add check (a > 0), add primary key (a), alter c set not null',
      'alter table customers add column step int references stepping',
      'create trigger step before insert on stepping for each row execute function suppress_redundant_updates_trigger()',
      'alter table stepping enable row level security',
      'create rule step as on delete to stepping do instead nothing',
      'alter table stepping alter a type bigint, drop column c cascade',
      'alter table customers drop column step',
      'drop table stepping cascade',
    ];
    for (const step of steps) {
      if (step.startsWith('alter table stepping alter')) await server.query('shop', 'drop view stepped');
      await server.query('shop', step);
      const { snapshot, patch, attributes } = await catalog.ensure(true);
      expect(patch, step).not.toBeNull();
      const whole = open();
      const afresh = await whole.ensure();
      await whole.close();
      expect({ ...snapshot, takenAt: 0 }, step).toEqual({ ...afresh.snapshot, takenAt: 0 });
      expect(attributes, step).toEqual(afresh.attributes);
      if (patch?.from === last.version) expect(patched(last, patch.value), step).toEqual(snapshot);
      last = snapshot;
    }
  });

  it('is not fooled by operators in a search_path that the database sets', async () => {
    await server.query('shop', `alter role reader set search_path = public, pg_catalog`);
    await server.query(
      'shop',
      `create function public.count() returns bigint language sql as 'select 0::bigint'`,
    );
    try {
      const { snapshot } = await open().ensure();
      expect(snapshot.relations.find(({ name }) => name === 'people')?.definition).toContain(
        'FROM public.customers',
      );
    } finally {
      await server.query('shop', 'drop function public.count(); alter role reader reset search_path');
    }
  });
});

describe('the policy file', () => {
  it('is taken over when it changed, kept when the new text is bad or gone', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'holdpoint-policy-'));
    const path = join(directory, 'policy.yaml');
    await writeFile(join(directory, 'a.yaml'), 'version: 1\n');
    await symlink('a.yaml', path);
    const events: PolicyFileEvent[] = [];
    let wake = () => {};
    const next = async (): Promise<PolicyFileEvent> => {
      while (events.length === 0)
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      const event = events.shift();
      if (event === undefined) throw new Error('no event');
      return event;
    };
    const file = await watchPolicyFile(path, {
      intervalMs: 10,
      onEvent: (event) => {
        events.push(event);
        wake();
      },
    });
    try {
      const first = file.holder.current();
      await writeFile(path, 'version: 1\nrules: [ {nam: x} ]\n');
      expect(await next()).toMatchObject({ kind: 'refused' });
      expect(file.holder.current()).toBe(first);
      await unlink(path);
      expect(await next()).toEqual({ kind: 'unreadable', code: 'ENOENT' });
      expect(file.holder.current()).toBe(first);
      // As Kubernetes swaps a mounted file.
      await writeFile(join(directory, 'b.yaml'), 'version: 1\ndefaults: { read: deny }\n');
      await symlink('b.yaml', join(directory, 'new'));
      await rename(join(directory, 'new'), path);
      expect(await next()).toMatchObject({ kind: 'replaced' });
      expect(file.holder.current().policy.defaults.read).toBe('deny');
    } finally {
      file.close();
      await rm(directory, { recursive: true });
    }
  });

  it('must be there and right at the start', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'holdpoint-policy-'));
    const path = join(directory, 'policy.yaml');
    await expect(watchPolicyFile(path)).rejects.toThrow('cannot be read (ENOENT)');
    await writeFile(path, 'version: 7\n');
    await expect(watchPolicyFile(path)).rejects.toThrow(PolicyRefused);
    await rm(directory, { recursive: true });
  });
});
