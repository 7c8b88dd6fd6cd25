/**
 * The hash chain (docs/recordings.md). A line is `BODY,"hash":"H"}` where H is the SHA-256 of the bytes `BODY}`: the line's own bytes
 * without its last member, so that no canonical form has to be agreed on. `prev` in BODY is the hash of the line before; the first
 * line's `prev` is derived from the session id, which binds the chain to its session.
 */

import type { KeyObject } from 'node:crypto';
import { createPrivateKey, createPublicKey, hash, sign, verify } from 'node:crypto';
import type { RecordedEvent } from './types.ts';

const HASH_MEMBER = ',"hash":"';
const SUFFIX_BYTES = HASH_MEMBER.length + 64 + 2;

/** A signature over everything up to `prev`; written like an event, but not one. */
export interface Checkpoint {
  readonly kind: 'checkpoint';
  readonly t: number;
  readonly session: string;
  readonly key: string;
  /** base64 of the Ed25519 signature over `checkpointMessage`. */
  readonly sig: string;
}
export type Line = (RecordedEvent | Checkpoint) & { readonly seq: number; readonly prev: string };

export interface Link {
  /** Of the next line. */
  readonly seq: number;
  readonly prev: string;
}

export function genesis(sessionId: string): Link {
  return { seq: 1, prev: hash('sha256', `holdpoint-recording-v1\n${sessionId}`) };
}

/** One line with its newline, and the link for the line after it. `json` is a JSON object with at least one member. */
export function chainLine(at: Link, json: string): { readonly text: string; readonly next: Link } {
  const body = `{"seq":${at.seq},"prev":"${at.prev}",${json.slice(1, -1)}`;
  const digest = hash('sha256', `${body}}`);
  return { text: `${body}${HASH_MEMBER}${digest}"}\n`, next: { seq: at.seq + 1, prev: digest } };
}

export type ReadLine =
  | { readonly kind: 'line'; readonly line: Line; readonly hash: string }
  | { readonly kind: 'bad'; readonly why: string };

/** Checks one line (without newline) by its bytes; decoding first would hide changed bytes that are no UTF-8. */
export function readLine(bytes: Buffer): ReadLine {
  const cut = bytes.length - SUFFIX_BYTES;
  if (cut < 2) return { kind: 'bad', why: 'the line is too short' };
  const suffix = bytes.toString('latin1', cut);
  const digest = suffix.slice(HASH_MEMBER.length, -2);
  if (!suffix.startsWith(HASH_MEMBER) || !suffix.endsWith('"}') || !/^[0-9a-f]{64}$/.test(digest)) {
    return { kind: 'bad', why: 'the line does not end in its hash' };
  }
  const body = Buffer.concat([bytes.subarray(0, cut), Buffer.from('}')]);
  if (hash('sha256', body) !== digest) return { kind: 'bad', why: 'the hash does not fit the line' };
  let parsed: unknown;
  try {
    parsed = JSON.parse(body.toString('utf8'));
  } catch {
    return { kind: 'bad', why: 'the line is no JSON' };
  }
  if (!isLine(parsed)) return { kind: 'bad', why: 'the line lacks seq, prev, kind or t' };
  return { kind: 'line', line: parsed, hash: digest };
}

/** The hash vouches for the rest of the shape only as far as its writer is trusted; readers treat fields as data. */
function isLine(value: unknown): value is Line {
  if (typeof value !== 'object' || value === null) return false;
  return (
    'seq' in value &&
    Number.isSafeInteger(value.seq) &&
    'prev' in value &&
    typeof value.prev === 'string' &&
    'kind' in value &&
    typeof value.kind === 'string' &&
    't' in value &&
    typeof value.t === 'number'
  );
}

/** Ed25519 key that signs checkpoints. `keyId` names the public key: the first 16 hex digits of the SHA-256 of its DER form. */
export interface SigningKey {
  readonly keyId: string;
  readonly publicKeyPem: string;
  readonly privateKey: KeyObject;
}

export function signingKeyFrom(privateKeyPem: string): SigningKey {
  const privateKey = createPrivateKey(privateKeyPem);
  if (privateKey.asymmetricKeyType !== 'ed25519') {
    throw new Error('The signing key of the recordings must be an Ed25519 key.');
  }
  const publicKey = createPublicKey(privateKey);
  return {
    keyId: keyIdOf(publicKey),
    publicKeyPem: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    privateKey,
  };
}

export function keyIdOf(publicKey: KeyObject): string {
  return hash('sha256', publicKey.export({ type: 'spki', format: 'der' })).slice(0, 16);
}

/** What a checkpoint signs: the session, the number of the checkpoint's line and the hash of the line before it. */
function checkpointMessage(sessionId: string, at: Link): Buffer {
  return Buffer.from(`holdpoint-checkpoint-v1\n${sessionId}\n${at.seq}\n${at.prev}`);
}

export function makeCheckpoint(key: SigningKey, sessionId: string, at: Link, t: number): Checkpoint {
  const sig = sign(null, checkpointMessage(sessionId, at), key.privateKey).toString('base64');
  return { kind: 'checkpoint', t, session: sessionId, key: key.keyId, sig };
}

export function checkpointHolds(publicKey: KeyObject, checkpoint: Checkpoint, at: Link): boolean {
  if (typeof checkpoint.sig !== 'string' || typeof checkpoint.session !== 'string') return false;
  return verify(
    null,
    checkpointMessage(checkpoint.session, at),
    publicKey,
    Buffer.from(checkpoint.sig, 'base64'),
  );
}
