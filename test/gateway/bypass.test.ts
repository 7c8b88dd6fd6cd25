/**
 * The public bypass corpus: everything in bypass/ goes through the gateway to a real PostgreSQL as its superuser, with a human who never
 * approves. What counts is the database: before and after it is asked, on a connection of its own, for all that could have changed (I1, I2).
 *
 * HP_POTENCY=1 says all of it to the server itself instead, and lists what would change nothing there: a case that cannot fail proves
 * nothing, unless harmless.ts says why.
 */
import { readFileSync } from 'node:fs';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { DEFAULT_POLICY } from '../../src/policy/rules/index.ts';
import { installed, type TestPostgres, testPostgres } from '../support/postgres.ts';
import { serialize, WireClient } from '../support/wire-client.ts';
import { HARMLESS } from './bypass/harmless.ts';
import { MESSAGES } from './bypass/messages.ts';
import { SNAPSHOT } from './bypass/snapshot.ts';
import { STATEMENTS } from './bypass/statements.ts';
import { bytesOf } from './model-steps.ts';
import { AGENT, type Bench, bench } from './support.ts';

const PRIVILEGES = [
  ...['SUPERUSER', 'BYPASSRLS', 'REPLICATION', 'CREATEROLE', 'pg_execute_server_program'],
  ...['pg_read_server_files', 'pg_write_server_files'],
];
const schema = readFileSync(new URL('./bypass/schema.sql', import.meta.url), 'utf8');

/** `bypass-15.test.ts` runs it there. */
const major = process.env['HP_MAJOR'] === '15' ? 15 : 18;
const here = installed(major);

let server: TestPostgres;
let it_: Bench;
let side: pg.Client;
let directory: string;
const clients: WireClient[] = [];
type Attack = readonly [name: string, rounds: readonly (readonly string[])[]];
/** As many at once; what then differs was one of them (HP_TOGETHER=1: which). */
const TOGETHER = Number(process.env['HP_TOGETHER'] ?? 8);

/** All that could have changed, by kind. */
async function snapshot(): Promise<Record<string, unknown>> {
  const { rows } = await side.query(SNAPSHOT, [directory]);
  return rows[0];
}

async function connect(login = AGENT, parameters: Record<string, string> = {}): Promise<WireClient> {
  const client = await WireClient.login(it_.port, login, {
    'holdpoint.wait': '0',
    application_name: 'attacker',
    ...parameters,
  });
  clients.push(client);
  return client;
}

const at = (step: string): Buffer => {
  const link = server.url('shop', { user: server.superuser, password: server.password });
  return bytesOf(step.replaceAll('$DIR', directory).replaceAll('$LINK', link));
};
let marks = 0;
/** Says it and waits until everything said is answered, or the link is closed. */
async function say(client: WireClient, steps: readonly string[], cut = 0): Promise<void> {
  const mark = `mark ${marks++}.`;
  const bytes = Buffer.concat(steps.map(at));
  if (cut === 0) client.send(bytes);
  else for (let from = 0; from < bytes.length; from += cut) client.send(bytes.subarray(from, from + cut));
  // A syntax error is answered in any state but that of a COPY, which CopyFail ends.
  client.send(serialize.copyFail('over'), serialize.sync(), serialize.query(mark));
  try {
    for (;;) {
      const message = await client.next();
      if (message.type === 'E' && /syntax error/.test(message.bytes.toString()) && marker(message.bytes))
        break;
    }
    await client.until('Z');
  } catch (error) {
    if (!client.closed) throw error;
  }
}
const marker = (bytes: Buffer): boolean => /at or near "mark"/.test(bytes.toString());

async function attack(client: WireClient, rounds: readonly (readonly string[])[], cut = 0): Promise<void> {
  for (const round of rounds) await say(client, round, cut);
  client.close();
}

/** Nothing that the gateway sent is still at work. */
async function idle(): Promise<void> {
  for (;;) {
    const { rows } = await side.query(
      "select from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid() and application_name like '%attacker%'",
    );
    if (rows.length === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

beforeAll(async () => {
  if (!here) return;
  const settings = { max_prepared_transactions: '5', wal_level: 'logical', autovacuum: 'off' };
  server = await testPostgres(settings, major);
  await server.createDatabase('shop');
  await server.createDatabase('shop_spare');
  await server.query('shop', schema);
  side = new pg.Client({ connectionString: server.url('shop') });
  await side.connect();
  directory = `${(await side.query('show data_directory')).rows[0].data_directory}/bypass`;
  await side.query(`copy (select 1) to program 'cat > /dev/null; mkdir ${directory}'`);
  it_ = await bench(server, 'shop', {
    policyText: DEFAULT_POLICY,
    levelFor: () => 'admin',
    target: {
      logins: { admin: { user: server.superuser, password: server.password } },
      acceptPrivileges: PRIVILEGES,
    },
  });
});
afterAll(async () => {
  for (const client of clients) client.close();
  await it_?.stop();
  await side?.end();
  await server?.stop();
});

/** Some attacks end connections. */
async function opened(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {});
  await client.connect();
  return client;
}

/** What a case has done to the cluster. */
async function forget(admin: pg.Client, roles: readonly string[]): Promise<void> {
  for (const { gid } of (await side.query('select gid from pg_prepared_xacts')).rows)
    await side.query(`rollback prepared ${pg.escapeLiteral(gid)}`);
  await side.query(
    'select pg_drop_replication_slot(slot_name) from pg_replication_slots where not active; select pg_replication_origin_drop(roname) from pg_replication_origin',
  );
  await side.end();
  for (const { datname } of (
    await admin.query(
      "select datname from pg_database where datname not in ('postgres', 'model', 'shop_spare', 'template0', 'template1')",
    )
  ).rows)
    await admin.query(`drop database ${pg.escapeIdentifier(datname)} with (force)`);
  await admin.query('create database shop_spare').catch(() => {});
  for (const { rolname } of (
    await admin.query('select rolname from pg_roles where rolname <> all ($1)', [roles])
  ).rows)
    await admin.query(`drop role ${pg.escapeIdentifier(rolname)}`);
  for (const role of ['victim', 'group_of'])
    if ((await admin.query('select from pg_roles where rolname = $1', [role])).rows.length === 0)
      await admin.query(`create role ${role}`);
  await admin.query(
    "alter role victim with login nosuperuser nobypassrls nocreaterole nocreatedb noreplication password 'old' valid until 'infinity'",
  );
  await admin.query('revoke set on parameter log_statement from victim');
  await admin.query('revoke group_of from victim; alter role all reset all; alter role victim reset all');
  await admin.query('alter system reset all');
}

if (process.env['HP_POTENCY'] === '1')
  it('changes something where nobody stands before it', async () => {
    const idleCases: string[] = [];
    const admin = await opened(server.url('postgres'));
    await side.end();
    await it_.stop();
    await admin.query('alter database shop rename to model');
    const cases = [
      ...Object.values(STATEMENTS).flatMap((list) => list.map((sql) => [sql, [[`Q ${sql}`]]] as const)),
      ...Object.entries(MESSAGES),
    ];
    const roles = (await admin.query('select rolname from pg_roles')).rows.map((row) => row.rolname);
    for (const [name, rounds] of cases) {
      await admin.query('create database shop template model');
      side = await opened(server.url('shop'));
      await side.query(
        `copy (select 1) to program 'cat > /dev/null; rm -rf ${directory}; mkdir ${directory}'`,
      );
      const before = JSON.stringify(await snapshot());
      const client = await WireClient.login(
        server.port,
        { user: server.superuser, password: server.password },
        { application_name: 'attacker', statement_timeout: '10s' },
      );
      clients.push(client);
      const late = setTimeout(() => client.close(), 10_000);
      for (const round of rounds) await say(client, round);
      clearTimeout(late);
      client.close();
      await side.end().catch(() => {});
      side = await opened(server.url('shop'));
      await idle();
      if (JSON.stringify(await snapshot()) === before) {
        idleCases.push(name);
        console.log(`changes nothing: ${name}`);
      }
      await forget(admin, roles);
    }
    console.log(`${idleCases.length} of ${cases.length} change nothing`);
    expect.soft(idleCases.sort()).toEqual(Object.keys(HARMLESS).sort());
    await admin.end();
    side = await opened(server.url('postgres'));
  }, 1_200_000);
else {
  const kinds: [string, Attack[]][] = [
    ...Object.entries(STATEMENTS).map(([kind, list]): [string, Attack[]] => [
      kind,
      list.map((sql) => [sql, [[`Q ${sql}`], [`P: ${sql}`, 'B:< []', 'DP:', 'E: 0', 'S']]]),
    ]),
    ['the protocol', Object.entries(MESSAGES)],
  ];
  it.skipIf(!here).each(kinds)('nobody gets past by %s', async (_kind, attacks) => {
    let before = await snapshot();
    for (let from = 0; from < attacks.length; from += TOGETHER) {
      const some = attacks.slice(from, from + TOGETHER);
      await Promise.all(some.map(async ([, rounds]) => attack(await connect(), rounds)));
      await idle();
      const after = await snapshot();
      expect.soft(after, `one of these:\n${some.map(([name]) => name).join('\n')}`).toEqual(before);
      before = after;
    }
  });
}
