// The ways to the database that are compared: each gives a host, port and login for pgbench, and the process whose CPU is counted.
import { fork, spawn, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));

export function onPath(name) {
  return spawnSync('sh', ['-c', `command -v ${name}`]).status === 0;
}

/** Starts the whole product with its demo and reads what it left in its data directory. */
export async function startProduct(data, stops) {
  const child = spawn(process.execPath, [join(here, '../bin/holdpoint.mjs'), 'start', '--data', data], {
    cwd: data,
    stdio: ['ignore', 'pipe', 'pipe'],
    // Nothing of the caller's configuration: no store, Slack workspace or target of theirs is touched.
    env: { PATH: process.env.PATH, HOME: process.env.HOME, HOLDPOINT_LOG: 'error' },
  });
  let output = '';
  const ended = new Promise((resolve) => child.once('exit', resolve));
  stops.push(async () => {
    child.kill('SIGTERM');
    await ended;
    // Clusters that lie elsewhere, because root's PostgreSQL account cannot enter the data directory.
    for (const name of ['store', 'shop']) {
      const pointer = join(data, name, 'location');
      if (existsSync(pointer)) rmSync(readFileSync(pointer, 'utf8').trim(), { recursive: true, force: true });
    }
  });
  await new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`holdpoint start took over 90 s:\n${output}`)), 90_000);
    const look = (chunk) => {
      output += chunk;
      if (!output.includes('Ctrl-C stops everything')) return;
      clearTimeout(timer);
      resolve();
    };
    child.stdout.on('data', look);
    child.stderr.on('data', look);
    child.once('exit', (code) => {
      clearTimeout(timer);
      reject(new Error(`holdpoint start ended with ${code}:\n${output}`));
    });
  });
  const run = JSON.parse(readFileSync(join(data, 'run.json'), 'utf8'));
  const agent = new URL(readFileSync(join(data, 'demo-agent.url'), 'utf8'));
  // The directory of the demo cluster is the product's own; the fourth line of postmaster.pid is its port.
  const elsewhere = join(data, 'shop', 'location');
  const cluster = existsSync(elsewhere)
    ? readFileSync(elsewhere, 'utf8').trim()
    : join(data, 'shop', 'cluster');
  const port = Number(readFileSync(join(cluster, 'postmaster.pid'), 'utf8').split('\n')[3]);
  const secret = (name) => readFileSync(join(data, name), 'utf8').trim();
  return {
    database: 'shop',
    owner: { host: '127.0.0.1', port, user: 'shop_owner', password: secret('shop.secret') },
    direct: { host: '127.0.0.1', port, user: 'shop_admin', password: secret('shop-admin.secret'), pid: null },
    gateway: {
      host: '127.0.0.1',
      port: run.gateway.port,
      user: decodeURIComponent(agent.username),
      password: decodeURIComponent(agent.password),
      pid: run.pid,
    },
  };
}

/** A bare embedded cluster: what there is to measure without the product. */
export async function startCluster(data, stops) {
  const { startPostgres } = await import('../dist/embedded/postgres.js');
  const log = { info() {}, warn() {}, error() {}, debug() {} };
  const server = await startPostgres({
    dataDir: join(data, 'bench'),
    port: 0,
    superuser: 'bench',
    password: 'bench-only',
    log,
  });
  stops.push(() => server.stop());
  const login = { host: '127.0.0.1', port: server.port, user: 'bench', password: 'bench-only' };
  return { database: 'postgres', owner: login, direct: { ...login, pid: null }, gateway: null };
}

export async function startSplice(direct, stops) {
  const child = fork(join(here, 'splice.mjs'), [String(direct.port)], {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  stops.push(() => child.kill());
  const port = Number(await new Promise((resolve) => child.stdout.once('data', resolve)));
  return { ...direct, port, pid: child.pid };
}

/** Session pooling: what a gateway with one backend per session compares with. null where PgBouncer is not installed. */
export async function startPgBouncer(direct, database, data, stops) {
  if (!onPath('pgbouncer')) return null;
  const port = await freePort();
  const users = join(data, 'pgbouncer.users');
  const ini = join(data, 'pgbouncer.ini');
  writeFileSync(users, `"${direct.user}" "${direct.password}"\n`);
  writeFileSync(
    ini,
    [
      '[databases]',
      `${database} = host=127.0.0.1 port=${direct.port} dbname=${database}`,
      '[pgbouncer]',
      'listen_addr = 127.0.0.1',
      `listen_port = ${port}`,
      'unix_socket_dir =',
      'auth_type = scram-sha-256',
      `auth_file = ${users}`,
      'pool_mode = session',
      '',
    ].join('\n'),
  );
  const account = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};
  if (account.uid !== undefined) {
    chmodSync(data, 0o711);
    for (const file of [users, ini]) chownSync(file, account.uid, account.gid);
  }
  const child = spawn('pgbouncer', [ini], { stdio: ['ignore', 'ignore', 'pipe'], ...account });
  stops.push(() => child.kill());
  await new Promise((resolve, reject) => {
    let output = '';
    child.stderr.on('data', (chunk) => {
      output += chunk;
      if (output.includes('process up')) resolve();
    });
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`pgbouncer ended with ${code}:\n${output}`)));
  });
  return { ...direct, port, pid: child.pid };
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** User + system seconds of a process, all its threads; null where there is no /proc. */
export function cpuSeconds(pid) {
  if (pid === null || !existsSync(`/proc/${pid}/stat`)) return null;
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}
