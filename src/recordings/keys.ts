/** The Ed25519 key of this installation: made once, `DIR/keys/signing.pem`, 0600; the public half beside it as `<keyId>.pub.pem`. */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { chmodSync, linkSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SigningKey } from './chain.ts';
import { signingKeyFrom } from './chain.ts';

export function loadSigningKey(dir: string): SigningKey {
  const keys = join(dir, 'keys');
  const path = join(keys, 'signing.pem');
  mkdirSync(keys, { recursive: true, mode: 0o700 });
  const key = signingKeyFrom(readOrMake(path));
  const publicPath = join(keys, `${key.keyId}.pub.pem`);
  try {
    writeFileSync(publicPath, key.publicKeyPem, { flag: 'wx', mode: 0o644 });
  } catch (error) {
    if (!isCode(error, 'EEXIST')) throw error;
  }
  return key;
}

function readOrMake(path: string): string {
  try {
    // Volumes of some orchestrators add group bits on mount: they are taken away again rather than refused.
    if ((statSync(path).mode & 0o077) !== 0) chmodSync(path, 0o600);
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (!isCode(error, 'ENOENT')) throw error;
  }
  const pem = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  // link() is the atomic "create with contents": two starts at once agree on one key, a crash leaves no half key.
  const temporary = `${path}.${randomBytes(6).toString('hex')}`;
  writeFileSync(temporary, pem, { flag: 'wx', mode: 0o600 });
  try {
    linkSync(temporary, path);
    return pem;
  } catch (error) {
    if (!isCode(error, 'EEXIST')) throw error;
    return readFileSync(path, 'utf8');
  } finally {
    rmSync(temporary, { force: true });
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
