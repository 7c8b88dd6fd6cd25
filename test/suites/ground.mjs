// What the suites of others run against: a PostgreSQL of the machine's own, and the whole product before it with an allow-all policy,
// recording on and `protocol: trusted` (DESIGN.md 15). Nothing of PostgreSQL's or a driver's suite is kept here: each script takes its path.
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const HOLDPOINT = fileURLToPath(new URL('../../bin/holdpoint.mjs', import.meta.url));

const ALLOW_ALL = `version: 1
defaults: { merge: allow, lock: allow, call: allow, do: allow, delete: allow, truncate: allow, ddl: allow, dcl: allow, admin: allow,
  unknown: allow, missing_where: allow, pii_value: allow, pii_predicate: allow }
`;

/** A directory of this run, and what to undo at its end, last first. */
export function ground() {
  const dir = mkdtempSync(join(tmpdir(), 'hp-suite-'));
  chmodSync(dir, 0o755);
  const stops = [() => rmSync(dir, { recursive: true, force: true })];
  const end = async () => {
    for (const stop of stops.splice(0).reverse()) await stop();
  };
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => end().then(() => process.exit(130)));
  return { dir, stops, end };
}

export async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** PostgreSQL never runs as root: as root everything of it runs as its own user. */
export function asPostgres() {
  if (process.getuid?.() !== 0) return {};
  const id = (flag) => Number(spawnSync('id', [flag, 'postgres'], { encoding: 'utf8' }).stdout);
  return { uid: id('-u'), gid: id('-g') };
}

export function run(command, args, options = {}) {
  const done = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 28, ...options });
  if (done.error) throw done.error;
  if (done.status !== 0 && options.check !== false)
    throw new Error(`${command} ${args.join(' ')} ended with ${done.status}:\n${done.stdout}${done.stderr}`);
  return done;
}

/** As `run`, without holding up this process: what it started may be writing to it. */
export async function runLong(command, args, options = {}) {
  const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  const status = await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  return { status, stdout, stderr };
}

/** A fresh cluster of the server in `bindir`; superuser postgres with a password, as a gateway's target has it. */
export async function cluster({ dir, stops }, bindir, settings = {}) {
  const data = mkdtempSync(join(dir, 'pg-'));
  const user = asPostgres();
  if (user.uid !== undefined) chownSync(data, user.uid, user.gid);
  const secret = join(dir, 'secret');
  writeFileSync(secret, 'suite-secret', { mode: 0o644 });
  const initdb = [
    '-D',
    data,
    '-U',
    'postgres',
    '-A',
    'scram-sha-256',
    `--pwfile=${secret}`,
    '--no-locale',
    '-E',
    'UTF8',
    '-N',
  ];
  run(join(bindir, 'initdb'), initdb, { ...user, cwd: data });
  const port = await freePort();
  const set = { port, listen_addresses: '127.0.0.1', unix_socket_directories: '', fsync: 'off', ...settings };
  const flags = Object.entries(set).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const server = spawn(join(bindir, 'postgres'), ['-D', data, ...flags], {
    ...user,
    cwd: data,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let log = '';
  server.stderr.on('data', (chunk) => {
    log = (log + chunk).slice(-20_000);
  });
  const ended = new Promise((resolve) => server.once('exit', resolve));
  stops.push(async () => {
    server.kill('SIGINT');
    await ended;
  });
  for (let tries = 0; ; tries++) {
    const ready = run(join(bindir, 'pg_isready'), ['-h', '127.0.0.1', '-p', String(port)], { check: false });
    if (ready.status === 0) break;
    if (server.exitCode !== null || tries > 300) throw new Error(`PostgreSQL did not start:\n${log}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return { host: '127.0.0.1', port, user: 'postgres', password: 'suite-secret', log: () => log };
}

/**
 * The whole product before `server`; each of `databases` is a target of the same name. `policies`: a text for targets that shall not allow
 * all, and they are strict; `limits`: as under `gateway` in holdpoint.yaml.
 */
export async function gateway({ dir, stops }, server, databases, { policies = {}, limits = '{}' } = {}) {
  const home = mkdtempSync(join(dir, 'hp-'));
  for (const [name, text] of Object.entries(policies)) writeFileSync(join(home, `${name}.yaml`), text);
  const targets = databases.map(
    (name) => `  ${name}:
    url: postgres://${server.host}:${server.port}/${name}
    environment: test
    ${Object.hasOwn(policies, name) ? `policy: ${name}.yaml` : 'protocol: trusted'}
    accept_privileges: [SUPERUSER]
    logins: { admin: { user: ${server.user}, password: ${server.password} } }`,
  );
  writeFileSync(join(home, 'policy.yaml'), ALLOW_ALL);
  writeFileSync(
    join(home, 'holdpoint.yaml'),
    `gateway: { listen: "127.0.0.1:0", limits: ${limits} }
console: { listen: "127.0.0.1:0" }
policy: policy.yaml
targets:
${targets.join('\n')}
identity:
  levels: { suite: admin }
  approvers: [{ name: Suite, email: suite@example.com }]
`,
  );
  const env = { PATH: process.env.PATH, HOME: home, XDG_CONFIG_HOME: home, HOLDPOINT_LOG: 'warn' };
  const holdpoint = (...args) => run(process.execPath, [HOLDPOINT, ...args], { cwd: home, env }).stdout;
  const child = spawn(process.execPath, [HOLDPOINT, 'start', '--data', join(home, 'data')], {
    cwd: home,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  const ended = new Promise((resolve) => child.once('exit', resolve));
  stops.push(async () => {
    child.kill('SIGTERM');
    await ended;
  });
  await new Promise((resolve, reject) => {
    const take = (chunk) => {
      text = (text + chunk).slice(-200_000);
      if (text.includes('Ctrl-C stops everything.')) resolve();
    };
    child.stdout.on('data', take);
    child.stderr.on('data', take);
    child.once('exit', (code) => reject(new Error(`holdpoint start ended with ${code}:\n${text}`)));
  });
  const link = /https?:\/\/\S*login\S*/.exec(text)?.[0];
  if (link === undefined) throw new Error(`no sign-in link in:\n${text}`);
  holdpoint('login', link);
  const mint = (owner) => {
    const minted = holdpoint(
      'credential',
      'mint',
      '--owner',
      owner,
      '--group',
      'suite',
      '--ttl',
      '12h',
      '--data',
      join(home, 'data'),
    );
    const url = new URL(/DATABASE_URL="([^"]+)"/.exec(minted)?.[1] ?? '');
    return { host: url.hostname, port: Number(url.port), user: url.username, password: url.password };
  };
  return {
    ...mint('runner@example.com'),
    mint,
    pid: child.pid,
    log: () => text,
    holdpoint,
    /** Console and token of the approver, who is logged in. */
    saved: () => JSON.parse(readFileSync(join(home, 'holdpoint', 'token'), 'utf8')),
    async api(method, path, body) {
      const saved = this.saved();
      const answer = await fetch(`${saved.console}/api${path}`, {
        method,
        headers: {
          'x-holdpoint-client': 'cli',
          authorization: `Bearer ${saved.token}`,
          'content-type': 'application/json',
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
      return answer.json();
    },
  };
}
