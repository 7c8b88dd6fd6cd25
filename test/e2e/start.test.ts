/** `holdpoint start` as a newcomer meets it: what it prints, how it ends, what it refuses, and what happens when what it stands on goes away. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import pg from 'pg';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../../src/cli/program.ts';
import { startPostgres } from '../../src/embedded/postgres.ts';
import { clusterOf, holdpoint, type Product, scratch, startProduct } from '../support/product.ts';
import { serialize, WireClient } from '../support/wire-client.ts';

const PSQL = spawnSync('psql', ['--version']).status === 0;
const PSYCOPG = spawnSync('python3', ['-c', 'import psycopg']).status === 0;
const ROOT = process.geteuid?.() === 0;
const LINUX = process.platform === 'linux';

/** Processes that carry one of these texts in their command line: servers of a data directory, their watchdogs, Holdpoint itself. */
function processesOf(...texts: readonly string[]): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
        return texts.some((text) => line.includes(text)) ? [`${pid} ${line}`] : [];
      } catch {
        return [];
      }
    });
}
const left = (dataDir: string) =>
  processesOf(dataDir, clusterOf(dataDir, 'store'), clusterOf(dataDir, 'shop'));

/** `holdpoint start` that is to be refused: what it says. `files` lie in its working directory. */
async function refused(
  env: NodeJS.ProcessEnv,
  args: readonly string[] = [],
  files: Readonly<Record<string, string>> = {},
): Promise<string> {
  const dataDir = scratch();
  for (const [name, text] of Object.entries(files)) writeFileSync(join(dataDir, name), text);
  try {
    const product = await startProduct({ dataDir, env, args });
    await product.stop();
    return 'it started';
  } catch (error) {
    expect(left(dataDir)).toEqual([]);
    return error instanceof Error ? error.message : String(error);
  } finally {
    rmSync(dataDir, { recursive: true });
  }
}

/** A command in this process: what the command line prints, without the second that a process takes. */
async function cli({ dataDir, env }: Product, ...args: readonly string[]) {
  const said = { out: '', err: '' };
  const say = (to: 'out' | 'err') => (text: string) => {
    said[to] += `${text}\n`;
  };
  const stdin = Readable.from([]);
  const given = { env: { ...env, HOLDPOINT_DATA: join(dataDir, 'data') }, cwd: dataDir, stdin };
  const code = await run(args, { ...given, out: say('out'), err: say('err'), now: Date.now }, '0.0.0');
  return { code, ...said };
}

async function outcome(
  url: string,
  sql: string,
): Promise<{ rows?: unknown; code?: string | undefined; message?: string }> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 15_000 });
  client.on('error', () => {});
  try {
    await client.connect();
    return { rows: (await client.query(sql)).rows };
  } catch (error) {
    return error instanceof pg.DatabaseError
      ? { code: error.code, message: error.message }
      : { message: String(error) };
  } finally {
    await client.end().catch(() => {});
  }
}

describe('the demo', () => {
  // A path beyond the limit of sockets, the C locale, production, no terminal.
  const env = { LC_ALL: 'C', LANG: 'C', NODE_ENV: 'production' };
  let dataDir: string;
  let product: Product;
  beforeAll(async () => {
    dataDir = join(scratch(), 'd'.repeat(110));
    mkdirSync(dataDir);
    product = await startProduct({ dataDir, env });
  });
  afterAll(async () => {
    await product?.stop();
    product?.remove();
  });

  it('prints what to paste, in the order of use', () => {
    const out = product.output();
    const parts = [
      /Holdpoint is up \([\d.]+ s\): gateway 127\.0\.0\.1:\d+, console http:\/\/127\.0\.0\.1:\d+/,
      /npx holdpoint sql "DELETE FROM orders WHERE id = 7"/,
      /psql "postgres:\/\/cred_\w+:hpc_[\w-]+@127\.0\.0\.1:\d+\/shop"/,
      /DATABASE_URL="postgres:\/\/cred_/,
      /As the approver \(Dana\)/,
      /http:\/\/127\.0\.0\.1:\d+\/login\/hpl_/,
      /To try:/,
      /npx holdpoint sql "SELECT email FROM customer_contacts"/,
      /npx holdpoint pending \| show \| approve \| deny/,
      /Ctrl-C stops everything\./,
    ];
    const places = parts.map((part) => out.search(part));
    expect(places).not.toContain(-1);
    expect(places).toEqual([...places].sort((a, b) => a - b));
    expect(out).not.toContain('"level":');
  });

  it('prints a URL that drivers take as it is', async () => {
    const sql = 'SELECT count(*)::int AS n FROM orders WHERE id <= 10';
    expect(await outcome(product.agentUrl, sql)).toEqual({ rows: [{ n: 10 }] });
    const client = postgres(product.agentUrl, { max: 1 });
    expect([...(await client.unsafe(sql))]).toEqual([{ n: 10 }]);
    await client.end();
    const query = (command: string, ...args: string[]) =>
      spawnSync(command, args, { encoding: 'utf8' }).stdout.trim();
    if (PSQL) expect(query('psql', product.agentUrl, '-XAtc', sql)).toBe('10');
    const python = `import sys, psycopg; print(psycopg.connect(sys.argv[1]).execute("${sql}").fetchone()[0])`;
    if (PSYCOPG) expect(query('python3', '-c', python, product.agentUrl)).toBe('10');
  });

  it('runs SQL from the command line: rows, notices, message and code', async () => {
    expect(
      await holdpoint(product, [
        'sql',
        'SELECT id, status IS NULL AS gone FROM orders WHERE id < 3 ORDER BY 1',
      ]),
    ).toEqual({
      code: 0,
      out: ' id | gone\n----+------\n  1 | f\n  2 | f\n(2 rows)\n',
      err: '',
    });
    expect(await cli(product, 'sql', 'BEGIN; BEGIN; COMMIT')).toEqual({
      code: 0,
      out: 'BEGIN\nBEGIN\nCOMMIT\n',
      err: 'WARNING: there is already a transaction in progress\n',
    });
    expect(await cli(product, 'sql', 'SELECT * FROM ordres')).toEqual({
      code: 1,
      out: '',
      err: 'ERROR: relation "ordres" does not exist\nSQLSTATE: 42P01\n',
    });
    const unwilling = `${product.agentUrl}?options=-c%20holdpoint.wait%3D0`;
    const held = await cli(product, 'sql', 'DELETE FROM orders WHERE id = 7', '--url', unwilling);
    expect(held).toMatchObject({
      code: 1,
      err: expect.stringMatching(/^ERROR: HP-[\s\S]*SQLSTATE: HP001\n$/),
    });
  });

  it('refuses a wrong password, an unknown user and an unknown target alike to the server', async () => {
    const other = (change: (url: URL) => void) => {
      const url = new URL(product.agentUrl);
      change(url);
      return outcome(url.href, 'SELECT 1');
    };
    const wrong = await other((url) => (url.password = 'hpc_wrong'));
    expect(wrong).toMatchObject({ code: '28P01', message: expect.stringMatching(/^Login failed: /) });
    expect(await other((url) => (url.username = 'cred_0123456789abcdef01234567'))).toEqual(wrong);
    expect(await other((url) => (url.pathname = '/nope'))).toMatchObject({
      code: '3D000',
      message: expect.stringContaining('database "nope" does not exist'),
    });
  });

  it.skipIf(!LINUX)('refuses a second start on its data directory in one sentence', async () => {
    const before = left(dataDir);
    const said = await startProduct({ dataDir, env }).catch((error: Error) => error.message);
    expect(said).toMatch(
      /Holdpoint does not start: The data directory \S+ is in use by another Holdpoint \(process \d+\); stop that one, or choose another data directory\.\n$/,
    );
    expect(left(dataDir)).toEqual(before);
    expect(await outcome(product.agentUrl, 'SELECT 1 AS one')).toEqual({ rows: [{ one: 1 }] });
  });

  it.each([
    ['a NUL', '08P01', Buffer.from("SELECT 'a\0b'; UPDATE orders SET status = 'paid' WHERE id = 9")],
    ['text that is no UTF-8', '22021', Buffer.from([...Buffer.from("SELECT '"), 0xc3, 0x28, 0x27])],
  ])('refuses %s as PostgreSQL does, and goes on', async (_, code, text) => {
    const url = new URL(product.agentUrl);
    const login = { user: url.username, password: decodeURIComponent(url.password) };
    const client = await WireClient.login(Number(url.port), login);
    client.send(Buffer.from([0x51, 0, 0, 0, text.length + 5]), text, Buffer.from([0]));
    expect(await client.ready()).toEqual([`E:${code}`, 'Z:I']);
    client.send(serialize.query('SELECT 1'));
    expect(await client.ready()).toEqual(['T', 'D', 'C:SELECT 1', 'Z:I']);
    client.close();
  });

  it.skipIf(!LINUX)('fails closed while its store is gone, says so, and recovers by itself', async () => {
    const client = new pg.Client({ connectionString: product.agentUrl });
    client.on('error', () => {});
    await client.connect();
    // All of the store's processes stand still: a store that hangs, the worst kind of gone.
    const cluster = clusterOf(dataDir, 'store');
    const postmaster = Number(readFileSync(join(cluster, 'postmaster.pid'), 'utf8').split('\n')[0]);
    const children = () =>
      readFileSync(`/proc/${postmaster}/task/${postmaster}/children`, 'utf8').trim().split(' ').map(Number);
    const stopped = [postmaster, ...children()];
    for (const pid of stopped) process.kill(pid, 'SIGSTOP');
    try {
      await expect(client.query('DELETE FROM orders WHERE id = 8')).rejects.toMatchObject({
        code: 'XX000',
        message: expect.stringMatching(/approval desk cannot be reached\. Not run/),
      });
      expect(await outcome(product.agentUrl, 'SELECT 1')).toMatchObject({
        code: '28000',
        message: expect.stringContaining('cannot check logins at the moment'),
      });
    } finally {
      for (const pid of stopped) {
        try {
          process.kill(pid, 'SIGCONT');
        } catch {
          // Ended meanwhile.
        }
      }
    }
    await expect.poll(() => outcome(product.agentUrl, 'SELECT 1 AS one')).toEqual({ rows: [{ one: 1 }] });

    process.kill(postmaster, 'SIGKILL');
    await expect
      .poll(() => readFileSync(join(cluster, 'postmaster.pid'), 'utf8').split('\n')[0])
      .not.toBe(String(postmaster));
    await expect.poll(() => outcome(product.agentUrl, 'SELECT 1 AS one')).toEqual({ rows: [{ one: 1 }] });
    await client.query("SET holdpoint.wait = '0'");
    await expect
      .poll(() => client.query('DELETE FROM orders WHERE id = 8').catch(({ code }: pg.DatabaseError) => code))
      .toBe('HP001');
    const there = await client.query('SELECT 1 FROM orders WHERE id = 8');
    expect(there.rowCount).toBe(1);
    await client.end();
  });

  it.skipIf(!LINUX)(
    'leaves nothing behind: kill -9, a start on what was left, Ctrl-C in its terminal',
    async () => {
      const user = new URL(product.agentUrl).username;
      await product.kill();
      await expect.poll(() => left(dataDir)).toEqual([]);

      product = await startProduct({ dataDir, env, detached: true });
      expect(new URL(product.agentUrl).username).toBe(user);
      expect(await outcome(product.agentUrl, 'SELECT count(*)::int AS n FROM orders WHERE id = 8')).toEqual({
        rows: [{ n: 1 }],
      });
      // The terminal's Ctrl-C goes to the whole process group.
      process.kill(-product.pid, 'SIGINT');
      expect(await product.ended).toBe(0);
      expect(left(dataDir)).toEqual([]);
    },
  );
});

function occupy(port: number): Promise<() => void> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(() => {}));
    server.listen(port, '127.0.0.1', () => resolve(() => server.close()));
  });
}

describe('what cannot work is refused before anything starts', () => {
  it('tells every mistake of the configuration at once, each with its place', async () => {
    const files = { 'holdpoint.yaml': 'gateway: { listen: nowhere }\ncolour: blue\n' };
    expect(await refused({ SLACK_BOT_TOKEN: 'xoxb-x' }, ['--target', 'x'], files)).toMatch(
      /ended with 1:\n[^\n]*does not start: 5 mistakes in the configuration\.\n(?=[\s\S]*holdpoint\.yaml:2:1: )(?=[\s\S]* --target: )(?=[\s\S]* SLACK_CHANNEL: )/,
    );
  });

  it('targets for which nobody may decide', async () => {
    const yaml =
      'targets: { app: { url: "postgres://127.0.0.1:9/app", logins: { admin: { user: u, password: p } } } }\n';
    expect(await refused({}, [], { 'holdpoint.yaml': yaml })).toMatch(
      /does not start: Nobody may decide: name approvers/,
    );
  });

  it.skipIf(!LINUX)('a data directory that cannot be made', async () => {
    expect(await refused({}, ['--data', '/proc/nope'])).toMatch(
      /does not start: The directory \/proc\/nope cannot be used: nothing can be made there\. Name another one\.\n$/,
    );
  });

  it('a busy port that was asked for', async () => {
    const server = createServer();
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : 0;
    expect(await refused({ HOLDPOINT_LISTEN: `127.0.0.1:${port}` })).toContain(
      `the gateway cannot listen on 127.0.0.1:${port}: the port is in use.`,
    );
    server.close();
  });

  it('a policy file with a mistake, with line and column', async () => {
    const files = {
      'policy.yaml': 'version: 1\ndefaults:\n  delete: perhaps\n',
      'holdpoint.yaml': 'policy: policy.yaml\ntargets: { app: { url: "postgres://u:p@127.0.0.1:1/app" } }\n',
    };
    expect(await refused({ HOLDPOINT_APPROVERS: 'dana@example.com' }, [], files)).toMatch(
      /policy\.yaml:3:11/,
    );
  });
});

/** Root starts it as somebody without rights; others are that already. */
function unprivileged(): { uid?: number } {
  if (!ROOT || !LINUX) return {};
  const account = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((line) => line.startsWith('nobody:'));
  return { uid: Number(account?.split(':')[2]) };
}

describe('a target of one’s own, for an unprivileged user, next to busy default ports', () => {
  it('may be down at start, go away and come back; its policy is replaced by a good file only', async () => {
    const as = unprivileged();
    const dataDir = scratch();
    chmodSync(dataDir, 0o755);
    const options = {
      dataDir: join(dataDir, 'target'),
      superuser: 'postgres',
      password: 'p',
      settings: { fsync: 'off' },
      log: { info: () => {} },
    };
    let target = await startPostgres({ ...options, port: 0 });
    const { port } = target;
    const owner = new pg.Client(`postgres://postgres:p@127.0.0.1:${port}/postgres`);
    await owner.connect();
    await owner.query("CREATE ROLE app LOGIN PASSWORD 'app'; CREATE TABLE t (a int); GRANT ALL ON t TO app");
    await owner.end();
    await target.stop();
    const policy = join(dataDir, 'policy.yaml');
    writeFileSync(policy, 'version: 1\n');
    const yaml = `policy: policy.yaml\nidentity: { levels: { dev: admin }, approvers: [{ name: Dana, email: dana@example.com }] }\ntargets: { app: { url: "postgres://app:app@127.0.0.1:${port}/postgres" } }\n`;
    writeFileSync(join(dataDir, 'holdpoint.yaml'), yaml);
    // Left by a demo on this data directory.
    mkdirSync(join(dataDir, 'data'));
    writeFileSync(join(dataDir, 'data/demo-agent.url'), 'postgres://cred_0:hpc_0@127.0.0.1:1/shop');
    for (const path of ['', 'data', 'data/demo-agent.url'])
      if (as.uid !== undefined) chownSync(join(dataDir, path), as.uid, as.uid);
    // Whether it is this or another program that has them does not matter.
    const busy = await Promise.all([7432, 7480].map(occupy));
    const env = { HOME: dataDir, HOLDPOINT_LISTEN: undefined, HOLDPOINT_CONSOLE_LISTEN: undefined };
    const product = await startProduct({ dataDir, env, ...as });
    try {
      expect(product.output()).toMatch(/Port 7432 is in use: the gateway listens on 74\d\d instead\./);
      expect(product.output()).toMatch(/Port 7480 is in use: the console listens on 7[45]\d\d instead\./);
      expect(product.output()).toContain('one upstream login for every access level');
      expect(product.output()).toContain(
        'Target app cannot be used now: it cannot be reached (ECONNREFUSED).',
      );
      expect((await cli(product, 'sql', 'SELECT 1')).err).toContain('There is no demo agent here');
      await cli(product, 'login', product.link);
      const agent = ['--owner', 'alice@example.com', '--agent', 'Cursor', '--group', 'dev'];
      const minted = await cli(product, 'credential', 'mint', ...agent);
      const url = (/DATABASE_URL="([^"]+)"/.exec(minted.out)?.[1] ?? '').replace('TARGET', 'app');
      const insert = () => outcome(url, 'INSERT INTO t VALUES (1) RETURNING a');
      const down = {
        code: 'XX000',
        message: expect.stringMatching(/^Target app cannot be used: .*Nothing was run\.$/),
      };
      expect(await insert()).toMatchObject(down);
      target = await startPostgres({ ...options, port });
      await expect.poll(insert).toEqual({ rows: [{ a: 1 }] });

      const said = () => product.output();
      appendFileSync(policy, 'defaults: { insert: maybe }\n');
      await expect.poll(said).toMatch(/policy\.yaml:2:21[\s\S]*the old policy stays in force/);
      expect(await insert()).toEqual({ rows: [{ a: 1 }] });
      writeFileSync(policy, 'version: 1\ndefaults: { insert: deny }\n');
      await expect.poll(async () => (await insert()).code).toBe('42501');
      writeFileSync(policy, 'version: 1\n');
      await expect.poll(insert).toEqual({ rows: [{ a: 1 }] });

      await target.stop();
      expect(await insert()).toMatchObject(down);
      target = await startPostgres({ ...options, port });
      await expect.poll(insert).toEqual({ rows: [{ a: 1 }] });
    } finally {
      for (const close of busy) close();
      expect(await product.stop()).toBe(0);
      await target.stop();
      expect(left(dataDir)).toEqual([]);
      product.remove();
    }
  });
});

describe('holdpoint policy explain', () => {
  const explain = async (stdin: string, ...args: string[]) => {
    const child = spawn(process.execPath, ['bin/holdpoint.mjs', 'policy', 'explain', ...args], {
      stdio: 'pipe',
    });
    let out = '';
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString();
    });
    child.stdin.end(stdin);
    await once(child, 'close');
    return { code: child.exitCode, out };
  };

  it('answers people', async () => {
    expect(await explain('DELETE FROM orders')).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^verdict: hold\n[\s\S]*rules: +deletes\nclass: +delete\n/),
    });
  });

  it('answers line by line, one that is no JSON with an error', async () => {
    const { out } = await explain(
      '{"sql": "SELECT 1"}\nno json\n{"sql": "SELECT ssn FROM customers"}\n',
      '--jsonl',
    );
    const answers: unknown[] = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(answers).toMatchObject([
      { verdict: 'allow', class: 'read', rules: ['default:read'], statements: [{ class: 'read' }] },
      { error: expect.stringContaining('not JSON') },
      { verdict: 'hold', rules: ['pii'], statements: [{ columns: [expect.stringContaining('ssn')] }] },
    ]);
  });
});
