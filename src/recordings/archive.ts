/** Reading and verifying recordings: by any process, without the recorder. Verification needs the file and the public key alone. */

import type { KeyObject } from 'node:crypto';
import { createPublicKey } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Line, Link } from './chain.ts';
import { checkpointHolds, genesis, keyIdOf, readLine } from './chain.ts';
import { findSegments, followingSegments, parseSegmentName } from './paths.ts';
import type { RecordedEvent, VerifyResult } from './types.ts';

export type StoredEvent = RecordedEvent & { readonly seq: number };

/** What a walk over the segments found; `broken` is the first line that does not hold. */
export interface Walk {
  readonly events: readonly StoredEvent[];
  readonly sessionId: string;
  /** Number of the first line; more than 1 only where a later segment was asked for. */
  readonly from: number;
  /** Of the line that would come next. */
  readonly link: Link;
  /** Events covered by a valid signature. */
  readonly signed: number;
  readonly ended: boolean;
  /** Last segment: its number of good bytes; bytes after the last newline. */
  readonly goodBytes: number;
  readonly tornBytes: number;
  /** The hash of every line, for anchors. */
  readonly hashes: ReadonlySet<string>;
  readonly broken: { readonly at: number; readonly why: string } | null;
}

/** Events in order. A last line that is still being written is left out; a broken chain does not hide what is readable before it. */
export async function readSession(dir: string, sessionId: string): Promise<readonly StoredEvent[]> {
  const walked = await walk(findSegments(dir, sessionId), null);
  return walked.events;
}

/**
 * Offline: a segment file, and the segments of its session that lie beside it and follow. `publicKeyPem` may hold several keys
 * (rotation). Of a later segment (`ID.2.jsonl` …) the first `prev` is taken as given, and `from` says where it starts.
 */
export async function verifyFile(path: string, publicKeyPem: string): Promise<VerifyResult> {
  let keys: KeyObject[];
  try {
    keys = parseKeys(publicKeyPem);
  } catch {
    return { kind: 'broken', at: 0, why: 'the public key is not an Ed25519 key in PEM form' };
  }
  try {
    return conclude(
      await walk(followingSegments(path), keys, (parseSegmentName(path)?.segment ?? 1) > 1 ? 'any' : 'first'),
    );
  } catch (error) {
    return { kind: 'broken', at: 0, why: `the file cannot be read (${codeOf(error)})` };
  }
}

/** As the gateway's owner verifies: the session's own segments, and the head that the index holds must be among its hashes. */
export async function verifySession(
  dir: string,
  sessionId: string,
  publicKeyPem: string,
  anchor: { readonly head: string | null; readonly endedAt: number | null } | null,
): Promise<VerifyResult> {
  const paths = findSegments(dir, sessionId);
  if (paths.length === 0) return { kind: 'broken', at: 0, why: 'there is no recording of this session here' };
  let walked: Walk;
  try {
    walked = await walk(paths, parseKeys(publicKeyPem));
  } catch (error) {
    return { kind: 'broken', at: 0, why: `the recording cannot be read (${codeOf(error)})` };
  }
  const result = conclude(walked);
  if (result.kind === 'broken') return result;
  const end = walked.link.seq - 1;
  if (result.sessionId !== sessionId)
    return { kind: 'broken', at: 1, why: 'it is the recording of another session' };
  if (anchor?.head !== null && anchor?.head !== undefined && !walked.hashes.has(anchor.head)) {
    return {
      kind: 'broken',
      at: end,
      why: 'it does not contain the head that the index holds: lines are missing or were replaced',
    };
  }
  if (
    anchor !== null &&
    anchor.endedAt !== null &&
    anchor.head !== null &&
    !result.ended &&
    anchor.head !== result.head
  ) {
    return { kind: 'broken', at: end, why: 'the index says the session ended, the recording does not' };
  }
  return result;
}

export function conclude(walked: Walk): VerifyResult {
  if (walked.broken !== null) return { kind: 'broken', ...walked.broken };
  const next = walked.link.seq;
  if (walked.tornBytes > 0) return { kind: 'broken', at: next, why: 'the last line is incomplete' };
  if (walked.sessionId === '') return { kind: 'broken', at: 0, why: 'the file is empty' };
  const events = walked.events.length;
  if (walked.ended && walked.signed !== events)
    return { kind: 'broken', at: next, why: 'the end is not signed' };
  const { signed, ended, sessionId, from } = walked;
  return { kind: 'intact', events, signed, ended, sessionId, from, head: walked.link.prev };
}

/** `keys` null: signatures are not looked at. */
export async function walk(
  paths: readonly string[],
  keys: readonly KeyObject[] | null,
  start: 'first' | 'any' = 'first',
): Promise<Walk> {
  const byId = new Map((keys ?? []).map((key) => [keyIdOf(key), key]));
  const events: StoredEvent[] = [];
  const hashes = new Set<string>();
  let link: Link | null = null;
  let [sessionId, signed, ended, goodBytes, tornBytes] = ['', 0, false, 0, 0];
  let from = 1;
  let broken: Walk['broken'] = null;

  function check(line: Line, hash: string): string | null {
    if (link === null) {
      if (line.kind === 'session') sessionId = String(line.session?.id);
      else if (line.kind === 'checkpoint') sessionId = String(line.session);
      link = line.seq === 1 || start === 'first' ? genesis(sessionId) : { seq: line.seq, prev: line.prev };
      from = line.seq;
      if (line.seq === 1 && line.kind !== 'session') return 'the recording does not start with its session';
    } else if (line.kind === 'session') return 'a second session starts in the recording';
    if (line.seq !== link.seq) return `line ${link.seq} is missing`;
    if (line.prev !== link.prev) return 'the line does not follow the one before it';
    if (ended && line.kind !== 'checkpoint') return 'there are events after the end';
    if (line.kind === 'checkpoint') {
      if (sessionId === '') sessionId = String(line.session);
      if (line.session !== sessionId) return 'a signature of another session';
      if (keys !== null) {
        const key = byId.get(line.key);
        if (key === undefined) return `signed with another key (${String(line.key).slice(0, 16)})`;
        if (!checkpointHolds(key, line, link)) return 'the signature does not hold';
      }
      signed = events.length;
    } else {
      events.push(line);
      if (line.kind === 'end') ended = true;
    }
    link = { seq: line.seq + 1, prev: hash };
    hashes.add(hash);
    return null;
  }

  for (const path of paths) {
    if (broken !== null) break;
    const bytes = await readFile(path);
    if (tornBytes > 0) broken = { at: nextSeq(link), why: 'a segment inside the recording is cut off' };
    goodBytes = 0;
    while (broken === null && goodBytes < bytes.length) {
      const newline = bytes.indexOf(10, goodBytes);
      if (newline === -1) break;
      const read = readLine(bytes.subarray(goodBytes, newline));
      const why = read.kind === 'bad' ? read.why : check(read.line, read.hash);
      if (why !== null) broken = { at: nextSeq(link), why };
      else goodBytes = newline + 1;
    }
    tornBytes = bytes.length - goodBytes;
  }
  return {
    events,
    sessionId,
    from,
    link: link ?? { seq: 1, prev: '' },
    signed,
    ended,
    goodBytes,
    tornBytes: broken === null ? tornBytes : 0,
    hashes,
    broken,
  };
}

function nextSeq(link: Link | null): number {
  return link?.seq ?? 1;
}

function parseKeys(pem: string): KeyObject[] {
  const blocks = pem.match(/-----BEGIN PUBLIC KEY-----[\s\S]*?-----END PUBLIC KEY-----/g) ?? [];
  const keys = blocks.map((block) => createPublicKey(block));
  if (keys.length === 0 || keys.some((key) => key.asymmetricKeyType !== 'ed25519'))
    throw new Error('not an Ed25519 key');
  return keys;
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
}
