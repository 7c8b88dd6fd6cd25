/**
 * The Ed25519 key of this installation, made once: `KEYS/signing.pem`, 0600. Whoever may copy, move or delete recordings need not be able to
 * sign them, so it lies outside of them; its public half lies with both, as `<keyId>.pub.pem`.
 */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  fsyncSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { SigningKey } from './chain.ts';
import { signingKeyFrom } from './chain.ts';
import type { RecorderLog } from './index-writer.ts';

const NAME = 'signing.pem';

/** `recordings`: their directory, where the public half goes and where earlier versions kept the key itself, which is moved. */
export function loadSigningKey(
  keys: string,
  recordings?: { readonly dir: string; readonly log: RecorderLog },
): SigningKey {
  mkdirSync(keys, { recursive: true, mode: 0o700 });
  // Volumes of some orchestrators add group bits on mount: they are taken away again rather than refused.
  restrict(keys, 0o700);
  const path = join(keys, NAME);
  const former = recordings === undefined ? null : join(recordings.dir, 'keys', NAME);
  if (former !== null && recordings !== undefined) moveIn(former, path, recordings.log);
  const key = signingKeyFrom(read(path) ?? make(path));
  publish(keys, key);
  if (recordings !== undefined) publish(join(recordings.dir, 'keys'), key);
  return key;
}

function publish(dir: string, key: SigningKey): void {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  try {
    writeFileSync(join(dir, `${key.keyId}.pub.pem`), key.publicKeyPem, { flag: 'wx', mode: 0o644 });
  } catch (error) {
    if (!isCode(error, 'EEXIST')) throw error;
  }
}

function moveIn(former: string, path: string, log: RecorderLog): void {
  const found = read(former);
  if (found === null) return;
  const own = read(path) ?? create(path, found);
  if (own !== found) {
    log.warn(
      { path: former },
      'A private key lies among the recordings that is not the one they are signed with. It is not used; remove it.',
    );
    return;
  }
  rmSync(former);
  log.warn(
    { from: former, to: path },
    'The signing key was moved out of the recordings. Copies of them that were made before hold it: where others have such copies, remove the key and start again, and a new one is made.',
  );
}

/** null: there is none. */
function read(path: string): string | null {
  try {
    restrict(path, 0o600);
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (!isCode(error, 'ENOENT')) throw error;
    return null;
  }
}

function restrict(path: string, mode: number): void {
  if ((lstatSync(path).mode & 0o077) !== 0) chmodSync(path, mode);
}

function make(path: string): string {
  const pem = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  return create(path, pem);
}

/** link() is the atomic "create with contents": two starts at once agree on one key, a crash leaves no half key. Returns what is there then. */
function create(path: string, pem: string): string {
  const temporary = `${path}.${randomBytes(6).toString('hex')}`;
  writeFileSync(temporary, pem, { flag: 'wx', mode: 0o600 });
  try {
    sync(temporary);
    linkSync(temporary, path);
    return pem;
  } catch (error) {
    if (!isCode(error, 'EEXIST')) throw error;
    return readFileSync(path, 'utf8');
  } finally {
    rmSync(temporary, { force: true });
  }
}

/** On disk before the only other copy is removed. */
function sync(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
