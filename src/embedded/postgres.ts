/** The embedded PostgreSQL: the store by default, and the demo target (LIBRARIES.md, "Embedded PostgreSQL"). */
import { closeSync, fstatSync, openSync, readFileSync, renameSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { postgresAccount } from './account.ts';
import { binaries } from './binaries.ts';
import { initCluster, makeHome, placeCluster } from './cluster.ts';
import { lock } from './lock.ts';
import { endOrphan, MARK } from './orphan.ts';
import { type Postmaster, startPostmaster } from './postmaster.ts';

export interface PostgresOptions {
  /** Ours alone: cluster, lock and log lie in it. It may be made. */
  readonly dataDir: string;
  /** 0: any free one. */
  readonly port: number;
  /** Name and password count when the cluster is made; later starts do not change them. */
  readonly superuser: string;
  readonly password: string;
  /** Server settings on top of ours. */
  readonly settings?: Readonly<Record<string, string>>;
  readonly log: { info(line: string): void };
}

export interface EmbeddedPostgres {
  readonly host: '127.0.0.1';
  readonly port: number;
  readonly superuser: string;
  /** Of the postmaster. */
  readonly pid: number;
  /** Resolves when the server has ended, by `stop` or by itself. */
  readonly ended: Promise<void>;
  /** Idempotent; sessions are ended. */
  stop(): Promise<void>;
}

const SETTINGS: Readonly<Record<string, string>> = {
  // TCP on loopback alone: a socket's path is limited to some 100 characters.
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '120',
  shared_buffers: '16MB',
  min_wal_size: '32MB',
  max_wal_size: '256MB',
  wal_level: 'minimal',
  max_wal_senders: '0',
  max_parallel_workers_per_gather: '0',
  io_method: 'sync',
  logging_collector: 'off',
  log_destination: 'stderr',
  log_line_prefix: '%m [%p] ',
  // Statements and details hold data values (invariant I3).
  log_min_error_statement: 'panic',
  log_error_verbosity: 'terse',
};

const LOG_LIMIT = 10_000_000;

/** Rejects with one sentence. Never two postmasters on one directory; it survives kill -9 of this process by seconds only. */
export async function startPostgres(options: PostgresOptions): Promise<EmbeddedPostgres> {
  const account = postgresAccount();
  const log = (line: string): void => options.log.info(line);
  const home = makeHome(options.dataDir, account);
  const held = lock(home);
  let logFd: number | null = null;
  try {
    const tools = binaries(account, home, log);
    const cluster = placeCluster(home, account, log);
    await endOrphan(cluster, held.left, log);
    await initCluster(tools, cluster, account, { user: options.superuser, password: options.password });

    const logPath = join(home, 'postgres.log');
    const logFile = openLog(logPath);
    logFd = logFile;
    for (let attempt = 1; ; attempt++) {
      const port = options.port === 0 ? await freePort() : options.port;
      const from = fstatSync(logFile).size;
      const settings = { ...SETTINGS, port: String(port), ...options.settings };
      const postmaster = await startPostmaster({
        command: tools.postgres,
        args: [
          ...['-D', cluster, '-c', MARK],
          ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
        ],
        cluster,
        account,
        logFd: logFile,
        onWatchdog: (watchdog) => held.setWatchdog(watchdog),
        patience: 120_000,
      });
      if (postmaster !== null) return running(options.superuser, port, postmaster, () => held.release());
      const said = readFileSync(logPath, 'utf8').slice(from);
      const busy = said.includes('could not bind');
      if (busy && options.port === 0 && attempt < 5) continue;
      if (busy) throw new Error(`Port ${port} of 127.0.0.1 is in use; PostgreSQL cannot listen there.`);
      const why = /FATAL: +(.*)/.exec(said)?.[1];
      throw new Error(`PostgreSQL did not start${why ? `: ${why}` : ''} (see ${logPath}).`);
    }
  } catch (error) {
    held.release();
    throw error;
  } finally {
    if (logFd !== null) closeSync(logFd);
  }
}

function running(
  superuser: string,
  port: number,
  postmaster: Postmaster,
  release: () => void,
): EmbeddedPostgres {
  const ended = postmaster.ended.then(release);
  return {
    host: '127.0.0.1',
    port,
    superuser,
    pid: postmaster.pid,
    ended,
    async stop() {
      await postmaster.stop();
      await ended;
    },
  };
}

function openLog(path: string): number {
  try {
    if (statSync(path).size > LOG_LIMIT) renameSync(path, `${path}.1`);
  } catch {
    // The first start.
  }
  return openSync(path, 'a', 0o600);
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
