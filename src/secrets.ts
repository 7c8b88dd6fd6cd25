/** Secrets that must outlive a restart, kept in files of mode 0600 in the data directory. */
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/** Writes a private file atomically: 0600 from its first byte. */
export function writePrivate(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
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
