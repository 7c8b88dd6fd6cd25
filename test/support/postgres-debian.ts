/** A server of an older major, from Debian's packages, on a fresh cluster below the same watchdog as the embedded one. */
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { postgresAccount } from '../../src/embedded/account.ts';
import type { Binaries } from '../../src/embedded/binaries.ts';
import { initCluster, makeHome } from '../../src/embedded/cluster.ts';
import type { PostgresOptions } from '../../src/embedded/postgres.ts';
import { startPostmaster } from '../../src/embedded/postmaster.ts';

const SETTINGS = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '60',
  shared_buffers: '16MB',
  wal_level: 'minimal',
  max_wal_senders: '0',
  max_parallel_workers_per_gather: '0',
};

/** Null: not installed (`apt-get install postgresql-15`). */
export function debianBinaries(major: number): Binaries | null {
  const bin = `/usr/lib/postgresql/${major}/bin`;
  if (!existsSync(join(bin, 'postgres')) || !existsSync(join(bin, 'initdb'))) return null;
  return { initdb: join(bin, 'initdb'), postgres: join(bin, 'postgres'), version: `${major}.0` };
}

export async function startDebian(
  major: number,
  options: PostgresOptions,
): Promise<{ readonly host: '127.0.0.1'; readonly port: number; stop(): Promise<void> }> {
  const tools = debianBinaries(major);
  if (tools === null)
    throw new Error(`PostgreSQL ${major} is not installed: apt-get install postgresql-${major}`);
  const account = postgresAccount();
  const home = makeHome(options.dataDir, account);
  const cluster = join(home, 'cluster');
  await initCluster(tools, cluster, account, { user: options.superuser, password: options.password });
  const path = join(home, 'postgres.log');
  const logFd = openSync(path, 'a', 0o600);
  try {
    const port = await freePort();
    const settings = { ...SETTINGS, port: String(port), ...options.settings };
    const postmaster = await startPostmaster({
      command: tools.postgres,
      args: [
        '-D',
        cluster,
        ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
      ],
      cluster,
      account,
      logFd,
      onWatchdog: () => undefined,
      patience: 120_000,
    });
    if (postmaster === null)
      throw new Error(`PostgreSQL ${major} did not start: ${readFileSync(path, 'utf8').slice(-500)}`);
    return { host: '127.0.0.1', port, stop: () => postmaster.stop() };
  } finally {
    closeSync(logFd);
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      probe.close(() => resolve(port));
    });
  });
}
