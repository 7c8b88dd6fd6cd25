/** PostgreSQL refuses to run as root: as root it is given another account, which must be able to reach its files. */
import { readFileSync, realpathSync, type Stats, statSync } from 'node:fs';
import { dirname } from 'node:path';

export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/** The account that runs PostgreSQL; null: our own. Throws a sentence when root finds none. */
export function postgresAccount(): Account | null {
  if (process.geteuid?.() !== 0) return null;
  const passwd = readFileSync('/etc/passwd', 'utf8').split('\n');
  // initdb looks its own uid up by name, so an invented uid does not do.
  for (const wanted of ['nobody', 'daemon']) {
    const line = passwd.find((entry) => entry.startsWith(`${wanted}:`));
    const [, , uid, gid] = line?.split(':') ?? [];
    // macOS writes nobody as -2.
    if (uid !== undefined && gid !== undefined && Number(uid) !== 0) {
      return { name: wanted, uid: Number(uid) >>> 0, gid: Number(gid) >>> 0 };
    }
  }
  throw new Error(
    'PostgreSQL does not run as root and /etc/passwd has neither "nobody" nor "daemon"; start Holdpoint as another user.',
  );
}

/** What `spawn` takes: nothing to change for our own account. */
export function spawnAs(account: Account | null): { uid?: number; gid?: number } {
  return account === null ? {} : { uid: account.uid | 0, gid: account.gid | 0 };
}

/** May the account enter this directory and all above it? (The existing part of the path decides.) */
export function canEnter(directory: string, account: Account | null): boolean {
  if (account === null) return true;
  let path: string;
  try {
    path = realpathSync(directory);
  } catch {
    const parent = dirname(directory);
    return parent !== directory && canEnter(parent, account);
  }
  for (let at = path; ; at = dirname(at)) {
    if (!allows(statSync(at), account, 0o1)) return false;
    if (at === dirname(at)) return true;
  }
}

export function canRead(file: string, account: Account | null): boolean {
  if (account === null) return true;
  try {
    return allows(statSync(file), account, 0o4) && canEnter(dirname(file), account);
  } catch {
    return false;
  }
}

function allows(stats: Stats, account: Account, bit: number): boolean {
  if (stats.uid === account.uid) return (stats.mode & (bit << 6)) !== 0;
  if (stats.gid === account.gid) return (stats.mode & (bit << 3)) !== 0;
  return (stats.mode & bit) !== 0;
}
