/** Where a cluster's files lie, and how they are made. */
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { type Account, canEnter, spawnAs } from './account.ts';
import { type Binaries, sharedHome } from './binaries.ts';

/**
 * The directory is ours: lock and log lie in it, so PostgreSQL's account must not be able to put links there.
 * Only the cluster below it belongs to that account.
 */
export function makeHome(dataDir: string, account: Account | null): string {
  mkdirSync(dataDir, { recursive: true });
  const home = realpathSync(dataDir);
  const stats = statSync(home);
  if (stats.uid !== process.geteuid?.()) {
    throw new Error(
      `The data directory ${home} belongs to another user (uid ${stats.uid}); choose another one.`,
    );
  }
  chmodSync(home, account === null ? 0o700 : 0o711);
  return home;
}

/** The cluster's directory: below `home`, or elsewhere when the account cannot get there. Under the lock only. */
export function placeCluster(home: string, account: Account | null, log: (line: string) => void): string {
  const here = join(home, 'cluster');
  const pointer = join(home, 'location');
  if (existsSync(pointer)) return readFileSync(pointer, 'utf8').trim();
  if (account === null || canEnter(home, account)) return here;
  if (existsSync(here)) {
    throw new Error(
      `User "${account.name}", who runs PostgreSQL, cannot enter ${home}; make the directories above it enterable (chmod o+x), or start Holdpoint as another user.`,
    );
  }
  const place = join(sharedHome(), createHash('sha256').update(home).digest('hex').slice(0, 16));
  if (existsSync(place)) {
    // Left by a data directory of this name that was deleted: its passwords are gone, its data may be wanted.
    const aside = `${place}.replaced-${randomBytes(4).toString('hex')}`;
    renameSync(place, aside);
    log(`An earlier database of ${home} was found and kept at ${aside}.`);
  }
  log(`User "${account.name}", who runs PostgreSQL, cannot enter ${home}: the data lies in ${place}.`);
  writeFileSync(pointer, `${place}\n`, { mode: 0o600 });
  return place;
}

/** Makes the cluster once. A half-made one never carries the final name. */
export async function initCluster(
  tools: Binaries,
  cluster: string,
  account: Account | null,
  superuser: { readonly user: string; readonly password: string },
): Promise<void> {
  if (existsSync(join(cluster, 'PG_VERSION'))) {
    checkVersion(cluster, tools.version);
    return;
  }
  const parent = dirname(cluster);
  for (const name of readdirSync(parent)) {
    if (name.startsWith(`${basename(cluster)}.new-`))
      rmSync(join(parent, name), { recursive: true, force: true });
  }
  const work = join(parent, `${basename(cluster)}.new-${randomBytes(4).toString('hex')}`);
  const data = join(work, 'data');
  const pwfile = join(work, 'password');
  try {
    mkdirSync(work, { mode: 0o700 });
    writeFileSync(pwfile, `${superuser.password}\n`, { mode: 0o600, flag: 'wx' });
    if (account !== null) {
      chownSync(pwfile, account.uid, account.gid);
      chownSync(work, account.uid, account.gid);
    }
    await promisify(execFile)(
      tools.initdb,
      [
        ...['-D', data, '-U', superuser.user, `--pwfile=${pwfile}`, '--auth=scram-sha-256'],
        ...['--encoding=UTF8', '--locale=C', '--no-sync', '--no-instructions'],
      ],
      { cwd: '/', env: { LC_ALL: 'C', PATH: '/usr/bin:/bin' }, ...spawnAs(account) },
    );
    renameSync(data, cluster);
  } catch (error) {
    const said = error instanceof Error && 'stderr' in error ? String(error.stderr).trim().split('\n') : [];
    if (said.some((line) => line.includes('could not look up effective user ID'))) {
      throw new Error(
        `PostgreSQL needs a user that has a name, and uid ${process.geteuid?.()} has no entry in /etc/passwd; add one, or set HOLDPOINT_STORE_URL and --target to PostgreSQL servers of your own.`,
      );
    }
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    const why = said.find((line) => line.includes('error:')) ?? said.at(-1) ?? `initdb failed (${code})`;
    throw new Error(`PostgreSQL's data could not be made in ${cluster}: ${why}`);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function checkVersion(cluster: string, version: string): void {
  const made = readFileSync(join(cluster, 'PG_VERSION'), 'utf8').trim();
  if (made === version.split('.')[0]) return;
  throw new Error(
    `The database in ${cluster} was made by PostgreSQL ${made} and this is ${version}; upgrade it with pg_upgrade, or choose another data directory.`,
  );
}
