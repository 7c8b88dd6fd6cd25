/**
 * SCRAM-SHA-256 (RFC 5802, RFC 7677) on the server's side: the verifier that is stored, and the check of a client's proof.
 * The secret itself is never kept; StoredKey does not let anyone log in.
 */
import { createHash, createHmac, pbkdf2, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import type { ScramVerifier } from './types.ts';

/** PostgreSQL's own default (scram_iterations); our secrets carry 256 random bits, so stretching adds nothing. */
export const SCRAM_ITERATIONS = 4096;
const SALT_BYTES = 16;
const KEY_BYTES = 32;

const stretch = promisify(pbkdf2);
const hmac = (key: Uint8Array, text: string): Buffer => createHmac('sha256', key).update(text).digest();
const sha256 = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();

/** Secrets are ASCII (base64url), so SASLprep is the identity on them. */
export async function makeVerifier(secret: string, salt: Uint8Array): Promise<ScramVerifier> {
  const salted = await stretch(secret, salt, SCRAM_ITERATIONS, KEY_BYTES, 'sha256');
  return {
    iterations: SCRAM_ITERATIONS,
    salt: Buffer.from(salt).toString('base64'),
    storedKey: sha256(hmac(salted, 'Client Key')).toString('base64'),
    serverKey: hmac(salted, 'Server Key').toString('base64'),
  };
}

/**
 * What an unknown user name is answered with, so that it looks like a known one: the same name gets the same salt each time, and no
 * proof matches (RFC 5802 section 9; PostgreSQL's mock authentication). `key` is random per process or deployment.
 */
export function decoyVerifier(key: Uint8Array, name: string): ScramVerifier {
  return {
    iterations: SCRAM_ITERATIONS,
    salt: hmac(key, `salt\0${name}`).subarray(0, SALT_BYTES).toString('base64'),
    storedKey: hmac(key, `stored\0${name}`).toString('base64'),
    serverKey: hmac(key, `server\0${name}`).toString('base64'),
  };
}

/** The server's signature (base64, for server-final-message) when the client's proof is right, else null. */
export function checkProof(
  verifier: ScramVerifier,
  authMessage: string,
  proofBase64: string,
): { readonly serverSignature: string } | null {
  const proof = Buffer.from(proofBase64, 'base64');
  const storedKey = Buffer.from(verifier.storedKey, 'base64');
  if (proof.length !== KEY_BYTES || storedKey.length !== KEY_BYTES) return null;
  const signature = hmac(storedKey, authMessage);
  const clientKey = Buffer.alloc(KEY_BYTES);
  for (let i = 0; i < KEY_BYTES; i += 1) clientKey[i] = (proof[i] ?? 0) ^ (signature[i] ?? 0);
  if (!timingSafeEqual(sha256(clientKey), storedKey)) return null;
  return {
    serverSignature: hmac(Buffer.from(verifier.serverKey, 'base64'), authMessage).toString('base64'),
  };
}
