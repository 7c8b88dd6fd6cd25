/** Real poolers in front of a test's PostgreSQL: as root they run as another account, on free ports, in a folder that goes with them. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { postgresAccount, spawnAs } from '../../src/embedded/account.ts';
import type { TestPostgres } from './postgres.ts';

export interface Pooler {
  readonly port: number;
  /** Its files are read again, with this mode. */
  reload(mode: string): Promise<void>;
  stop(): Promise<void>;
}

const ON_PATH = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/usr/local/sbin` };
/** Is it installed? `.ci/run` installs them. */
export function installed(program: 'pgbouncer' | 'pgpool'): boolean {
  const there = spawnSync(program, ['--version'], { env: ON_PATH }).error === undefined;
  if (!there) console.warn(`${program} is not installed: its tests are skipped.`);
  return there;
}

const LOGIN = { user: 'app', password: 'app-secret' };

export interface PgBouncerOptions {
  readonly mode: 'session' | 'transaction' | 'statement';
  readonly size?: number;
  /** Lines of its [pgbouncer] part. */
  readonly more?: readonly string[];
}

export async function pgbouncer(server: TestPostgres, options: PgBouncerOptions): Promise<Pooler> {
  const port = await freePort();
  const files = (mode: string): Record<string, string> => ({
    'pgbouncer.ini': [
      '[databases]',
      `shop = host=${server.host} port=${server.port} dbname=shop`,
      '[pgbouncer]',
      'listen_addr = 127.0.0.1',
      `listen_port = ${port}`,
      'unix_socket_dir =',
      'auth_type = scram-sha-256',
      'auth_file = users.txt',
      `pool_mode = ${mode}`,
      `default_pool_size = ${options.size ?? 5}`,
      'admin_users = app',
      ...(options.more ?? []),
      '',
    ].join('\n'),
    'users.txt': `"${LOGIN.user}" "${LOGIN.password}"\n`,
  });
  return run('pgbouncer', ['pgbouncer.ini'], {
    files,
    mode: options.mode,
    port,
    reloads: 'SIGHUP',
    ends: 'SIGTERM',
  });
}

/** Pgpool-II pools by session alone; `cache`: whether a backend waits for the next client. */
export async function pgpool(
  server: TestPostgres,
  { cache, reset }: { readonly cache: boolean; readonly reset?: string },
): Promise<Pooler> {
  const [port, pcp] = [await freePort(), await freePort()];
  const files = (mode: string): Record<string, string> => ({
    'pgpool.conf': [
      "backend_clustering_mode = 'raw'",
      "listen_addresses = '127.0.0.1'",
      `port = ${port}`,
      "pcp_listen_addresses = '127.0.0.1'",
      `pcp_port = ${pcp}`,
      // Before 4.4, and since.
      "socket_dir = '.'",
      "unix_socket_directories = '.'",
      "pcp_socket_dir = '.'",
      "wd_ipc_socket_dir = '.'",
      "pid_file_name = 'pgpool.pid'",
      "logdir = '.'",
      "memqcache_oiddir = '.'",
      `backend_hostname0 = '${server.host}'`,
      `backend_port0 = ${server.port}`,
      'backend_weight0 = 1',
      'enable_pool_hba = on',
      "pool_passwd = 'users.txt'",
      'num_init_children = 4',
      'max_pool = 1',
      `connection_cache = ${mode}`,
      ...(reset === undefined ? [] : [`reset_query_list = '${reset}'`]),
      '',
    ].join('\n'),
    'users.txt': `${LOGIN.user}:TEXT${LOGIN.password}\n`,
    'hba.conf': 'host all all 127.0.0.1/32 scram-sha-256\n',
    'pcp.conf': '',
  });
  const args = ['-n', '-f', 'pgpool.conf', '-a', 'hba.conf', '-F', 'pcp.conf'];
  return run('pgpool', args, { files, mode: cache ? 'on' : 'off', port, reloads: 'SIGHUP', ends: 'SIGINT' });
}

async function run(
  program: string,
  args: readonly string[],
  how: {
    files(mode: string): Record<string, string>;
    readonly mode: string;
    readonly port: number;
    readonly reloads: NodeJS.Signals;
    readonly ends: NodeJS.Signals;
  },
): Promise<Pooler> {
  const account = postgresAccount();
  const folder = mkdtempSync(join(tmpdir(), `holdpoint-${program}-`));
  const own = (path: string): void => {
    if (account !== null) chownSync(path, account.uid, account.gid);
  };
  own(folder);
  chmodSync(folder, 0o700);
  const place = (mode: string): void => {
    for (const [name, text] of Object.entries(how.files(mode))) {
      writeFileSync(join(folder, name), text, { mode: 0o600 });
      own(join(folder, name));
    }
  };
  place(how.mode);
  mkdirSync(join(folder, 'tmp'));
  const child = spawn(program, args, {
    cwd: folder,
    env: ON_PATH,
    stdio: ['ignore', 'pipe', 'pipe'],
    ...spawnAs(account),
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (bytes: Buffer) => {
      said = (said + bytes.toString()).slice(-20_000);
    });
  const ended = once(child, 'exit');
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) child.kill(how.ends);
    await ended;
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    for (;;) {
      if (child.exitCode !== null) throw new Error(`${program} did not start: ${said}`);
      if (await answers(how.port)) break;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    port: how.port,
    stop,
    async reload(mode) {
      place(mode);
      const before = said.length;
      child.kill(how.reloads);
      while (!/reload|SIGHUP/i.test(said.slice(before)))
        await new Promise((resolve) => setTimeout(resolve, 5));
    },
  };
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  if (typeof address !== 'object' || address === null) throw new Error('no free port');
  return address.port;
}
