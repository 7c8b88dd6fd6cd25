/** Secrets that must outlive a restart, kept in files of mode 0600 in a directory of one's own. */
import { randomBytes } from 'node:crypto';
import {
  accessSync,
  chmodSync,
  constants,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';

/**
 * Makes the directory (0700) with those above it, or throws one sentence. Level by level: where nothing can be made below a
 * directory that is there, as in /proc, Node's recursive mkdir never returns.
 */
export function makeDirectory(path: string): void {
  try {
    makeLevels(path);
    if (!statSync(path).isDirectory()) throw Object.assign(new Error(), { code: 'ENOTDIR' });
    accessSync(path, constants.W_OK | constants.X_OK);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    throw new Error(`The directory ${path} cannot be used: ${reason(code)}. Name another one.`);
  }
}

function makeLevels(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : null;
    if (code === 'EEXIST') return;
    const parent = dirname(path);
    const there = lstatSync(parent, { throwIfNoEntry: false }) !== undefined;
    if (code !== 'ENOENT' || there) throw error;
    makeLevels(parent);
    makeLevels(path);
  }
}

function reason(code: string): string {
  switch (code) {
    case 'ENOENT':
      return 'nothing can be made there';
    case 'ENOTDIR':
      return 'a file stands in its place or in its path';
    case 'EACCES':
    case 'EPERM':
      return 'this user has no permission to make it or to write in it';
    case 'EROFS':
      return 'the file system is read-only';
    case 'ENOSPC':
      return 'the disk is full';
    case 'ENAMETOOLONG':
      return 'the name is too long';
    default:
      return `the system refuses (${code})`;
  }
}

/** Writes a private file atomically: 0600 from its first byte. */
export function writePrivate(path: string, text: string): void {
  makeDirectory(dirname(path));
  const fresh = `${path}.${process.pid}.new`;
  writeFileSync(fresh, text, { mode: 0o600 });
  chmodSync(fresh, 0o600);
  renameSync(fresh, path);
}

export function readPrivate(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}

export function secretText(bytes = 24): string {
  return randomBytes(bytes).toString('base64url');
}

/** The text kept at `path`, made once. */
export function keptSecret(path: string, make: () => string = secretText): string {
  const kept = readPrivate(path);
  if (kept !== null) return kept;
  const made = make();
  writePrivate(path, made);
  return made;
}
