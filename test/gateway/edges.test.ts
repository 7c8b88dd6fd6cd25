/** What happens when something around the session is missing or slow (I4, I7, I8). */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import pg from 'pg';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type TestPostgres, testPostgres } from '../support/postgres.ts';
import { serialize, WireClient } from '../support/wire-client.ts';
import { AGENT, type Bench, bench, PERSON, SCHEMA } from './support.ts';

let server: TestPostgres;
const benches: Bench[] = [];

beforeAll(async () => {
  server = await testPostgres();
  await server.createDatabase('shop');
  await server.query('shop', SCHEMA);
});
afterAll(async () => {
  for (const one of benches) await one.stop();
  await server?.stop();
});
async function start(more: Parameters<typeof bench>[2] = {}): Promise<Bench> {
  const one = await bench(server, 'shop', more);
  benches.push(one);
  return one;
}
async function program(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<{ code: number | null; out: string; err: string }> {
  const child = spawn(command, args, { env: { ...process.env, ...env } });
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    err += chunk.toString();
  });
  child.stdin.end();
  await once(child, 'close');
  return { code: child.exitCode, out, err };
}
const settings = (it_: Bench, login = AGENT): Record<string, string> => ({
  PGHOST: '127.0.0.1',
  PGPORT: String(it_.port),
  PGUSER: login.user,
  PGPASSWORD: login.password,
  PGDATABASE: 'shop',
});

describe('when the surroundings fail', () => {
  it('refuses statements while they cannot be recorded', async () => {
    const it_ = await start();
    const client = await WireClient.login(it_.port, AGENT);
    it_.recorder.failing = true;
    client.send(serialize.query('insert into orders values (5000, 1, 1)'));
    expect(await client.ready()).toEqual(['E:XX000', 'Z:I']);
    client.send(
      serialize.parse({ text: 'select 1' }),
      serialize.bind({}),
      serialize.execute({}),
      serialize.sync(),
    );
    expect(await client.ready()).toEqual(['1', '2', 'E:XX000', 'Z:I']);
    await expect(WireClient.login(it_.port, AGENT)).rejects.toThrow(/recording/);
    expect((await server.query('shop', 'select 1 from orders where id = 5000')).rows).toHaveLength(0);
    client.close();
  });

  it('fails closed without the desk, and names the open requests when there are too many', async () => {
    const it_ = await start();
    const client = await WireClient.login(it_.port, AGENT);
    it_.desk.down = true;
    client.send(serialize.query('delete from orders'));
    expect(await client.ready()).toEqual(['E:XX000', 'Z:I']);
    it_.desk.down = false;
    it_.desk.tooMany = ['HP-1', 'HP-2'];
    client.send(serialize.query('delete from orders'));
    expect(await client.ready()).toEqual(['E:42501', 'Z:I']);
    client.close();
  });

  it('ends the session before the next statement when the identity ends', async () => {
    const it_ = await start();
    const client = await WireClient.login(it_.port, AGENT);
    it_.revoked.add('cred_agent');
    client.send(serialize.query('select 1'));
    expect(await client.end()).toEqual(['E:28000']);
    expect(it_.desk.ended).toEqual(['cred_agent']);
  });

  it('ends a waiting session when its identity is revoked', async () => {
    const it_ = await start();
    const client = await WireClient.login(it_.port, AGENT);
    client.send(serialize.query('delete from orders'));
    const { id } = await it_.desk.waiting();
    it_.gateway.endIdentity('cred_agent', 'revoked');
    expect(await client.end()).toEqual(['E:28000']);
    expect(it_.desk.left).toContain(id);
    expect(it_.gateway.sessions()).toEqual([]);
  });

  it('tells the client when the server goes away, and that an approved statement is lost', async () => {
    const it_ = await start();
    const client = await WireClient.login(it_.port, AGENT);
    it_.desk.auto = 'approve';
    client.send(serialize.query('delete from orders where pg_sleep(30) is null'));
    const backend = async (): Promise<number | null> =>
      (
        await server.query(
          'shop',
          "select pid from pg_stat_activity where state = 'active' and query like 'delete from orders where pg_sleep%'",
        )
      ).rows[0]?.pid ?? null;
    let pid = await backend();
    while (pid === null) pid = await backend();
    await server.query('shop', 'select pg_terminate_backend($1)', [pid]);
    expect(await client.end()).toContain('E:57P01');
    await it_.desk.until(() => it_.desk.finishes.length > 0);
    expect(it_.desk.finishes[0]?.kind).toMatch(/^(lost|failed)$/);
  });

  it('notices that a client leaves which has sent more than is read ahead', async () => {
    const it_ = await start({ limits: { aheadBytes: 64 * 1024 } });
    const client = await WireClient.login(it_.port, AGENT);
    client.send(serialize.query('delete from orders'));
    const { id } = await it_.desk.waiting();
    for (let i = 0; i < 200; i++) client.send(serialize.query(`select '${'x'.repeat(10_000)}'`));
    client.close();
    await it_.desk.until(() => it_.desk.left.includes(id));
  });

  it('waits at most a moment where earlier work holds locks', async () => {
    const it_ = await start({
      holdTerms: { agentWaitMs: 60_000, personWaitMs: 60_000, maxWaitMs: 60_000, lockedWaitMs: 30 },
    });
    const client = await WireClient.login(it_.port, AGENT);
    client.send(serialize.query('begin'), serialize.query('update orders set total = 1 where id = 1'));
    await client.ready(2);
    client.send(serialize.query('delete from orders'));
    expect(await client.ready()).toEqual(['E:HP001', 'Z:E']);
    client.close();
  });

  it('takes a changed policy for what was prepared before', async () => {
    const it_ = await start();
    const client = await WireClient.login(it_.port, AGENT);
    client.send(serialize.parse({ name: 's', text: 'select id from orders where id = 1' }), serialize.sync());
    await client.ready();
    it_.policy.replace(
      'version: 1\nrules:\n  - name: closed\n    match: { classes: [read] }\n    effect: deny\n    message: closed today\n',
    );
    client.send(serialize.bind({ statement: 's' }), serialize.execute({}), serialize.sync());
    expect(await client.ready()).toEqual(['E:42501', 'Z:I']);
    client.close();
  });
});

it('shows no tagged value in the error of a Bind: planning already evaluates', async () => {
  await server.query(
    'shop',
    `create function first_mail() returns text stable language sql as 'select email from public.customers where id = 1'`,
  );
  const it_ = await start();
  it_.policy.replace('version: 1\npii: [{ columns: [email], tag: email }]\n');
  const client = await WireClient.login(it_.port, AGENT);
  const from = client.messages.length;
  const text = 'select id from orders where customer = public.first_mail()::int';
  client.send(serialize.parse({ text }), serialize.bind({}), serialize.sync());
  expect(await client.ready()).toEqual(['1', 'E:22P02', 'Z:I']);
  expect(client.messages.slice(from).map(({ bytes }) => bytes.toString())).not.toContainEqual(
    expect.stringContaining('alice'),
  );
  client.close();
});

describe('a cursor', () => {
  const CLOSED = 'version: 1\nrules: [{ name: closed, match: { relations: [orders] }, effect: deny }]\n';
  it.each(['simple', 'extended'])('is judged again when its rows are fetched, %s', async (protocol) => {
    const it_ = await start();
    const client = await WireClient.login(it_.port, AGENT);
    client.send(
      serialize.query('begin'),
      serialize.query('declare c cursor with hold for select id from orders'),
    );
    client.send(serialize.query('commit'), serialize.query('fetch 1 from c'));
    expect((await client.ready(4)).slice(-3)).toEqual(['D', 'C:FETCH 1', 'Z:I']);
    it_.policy.replace(CLOSED);
    if (protocol === 'simple') client.send(serialize.query('fetch 1 from c'));
    else client.send(serialize.execute({ portal: 'c' }), serialize.sync());
    expect(await client.ready()).toEqual(['E:42501', 'Z:I']);
    client.close();
  });

  it('that an approver let through stays so', async () => {
    const it_ = await start();
    it_.policy.replace(CLOSED.replace('deny', 'hold'));
    it_.desk.auto = 'approve';
    const client = await WireClient.login(it_.port, AGENT);
    client.send(serialize.query('begin'), serialize.query('declare c cursor for select id from orders'));
    await client.ready(2);
    it_.desk.auto = 'deny';
    client.send(serialize.query('fetch 1 from c'));
    expect((await client.ready()).slice(-3)).toEqual(['D', 'C:FETCH 1', 'Z:T']);
    client.close();
  });
});

describe('clients', () => {
  it('serves psql, with a hold in between', async () => {
    const it_ = await start();
    it_.desk.auto = 'approve';
    const { code, out, err } = await program(
      'psql',
      [
        '-X',
        '-At',
        '-v',
        'ON_ERROR_STOP=1',
        '-c',
        'delete from orders where id = 10',
        '-c',
        'select count(*) from orders where id = 10',
        '-c',
        '\\d orders',
      ],
      settings(it_, PERSON),
    );
    expect(err.replace(/^NOTICE.*\n/gm, '')).toBe('');
    expect(code).toBe(0);
    expect(out).toMatch(/^DELETE 1\n0\nid\|integer/);
    it_.desk.auto = 'deny';
    const denied = await program('psql', ['-X', '-c', 'delete from orders'], settings(it_));
    expect(denied.err).toMatch(/^ERROR: {2}HP-\w+ denied by Dana: too broad/);
  });

  it('serves psql COPY both ways', async () => {
    const it_ = await start();
    const { out, err } = await program(
      'psql',
      [
        '-X',
        '-At',
        '-c',
        "\\copy orders from program 'seq 7001 7100 | sed s/$/,1,1/' csv",
        '-c',
        '\\copy (select count(*) from orders where id between 7001 and 7100) to stdout',
      ],
      settings(it_),
    );
    expect(err).toBe('');
    expect(out).toBe('COPY 100\n100\n');
  });

  it('serves postgres.js, in a transaction and with a cursor', async () => {
    const it_ = await start();
    const sql = postgres(it_.url(), { max: 2 });
    expect(await sql`select id from orders where id = ${20}`).toEqual([{ id: 20 }]);
    const total = await sql.begin(async (tx) => {
      await tx`insert into orders values (8000, 1, 1)`;
      return (await tx`select count(*)::int as n from orders where id = ${8000}`)[0]?.['n'];
    });
    expect(total).toBe(1);
    let seen = 0;
    await sql`select generate_series(1, 1000) as n`.cursor(100, (rows) => {
      seen += rows.length;
    });
    expect(seen).toBe(1000);
    it_.desk.auto = 'deny';
    await expect(sql`delete from orders where id = ${20}`).rejects.toMatchObject({ code: '42501' });
    it_.desk.auto = 'approve';
    expect((await sql`delete from orders where id = ${20}`).count).toBe(1);
    await sql.end();
  });

  it('serves pgbench in all its protocols', async () => {
    const it_ = await start();
    await server.query(
      'shop',
      'create table if not exists bench_t (id int primary key, v int); insert into bench_t select i, 0 from generate_series(1, 100) i; grant all on bench_t to app',
    );
    const { writeFileSync, mkdtempSync, rmSync } = await import('node:fs');
    const { join } = await import('node:path');
    const { tmpdir } = await import('node:os');
    const directory = mkdtempSync(join(tmpdir(), 'hp-bench-'));
    const script = join(directory, 'script.sql');
    writeFileSync(
      script,
      '\\set id random(1, 100)\nbegin;\nupdate bench_t set v = v + 1 where id = :id;\nselect v from bench_t where id = :id;\ncommit;\n',
    );
    for (const protocol of ['simple', 'extended', 'prepared']) {
      const { code, out, err } = await program(
        'pgbench',
        ['-n', '-M', protocol, '-f', script, '-c', '4', '-t', '25'],
        settings(it_),
      );
      expect(`${code} ${err}`, protocol).toMatch(/^0 /);
      expect(out).toMatch(/100\/100/);
    }
    rmSync(directory, { recursive: true, force: true });
  });

  it('streams a result larger than any buffer to a slow reader', async () => {
    const it_ = await start();
    const client = new pg.Client({ connectionString: it_.url() });
    await client.connect();
    const { rows } = await client.query(
      "select length(v) as n from (select repeat('x', 1000000) as v from generate_series(1, 3)) s",
    );
    expect(rows).toHaveLength(3);
    const big = await client.query("select repeat('x', 2000000) as v from generate_series(1, 20)");
    expect(big.rows.every((row) => row.v.length === 2_000_000)).toBe(true);
    await client.end();
  });
});
