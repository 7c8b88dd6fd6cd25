/** Where a session's segments lie: `DIR/2026-11-21/<sessionId>.jsonl`, then `<sessionId>.2.jsonl`, `.3.jsonl` … beside it. */
import { existsSync, readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { RecordingFault } from './fault.ts';

const SESSION_ID = /^[A-Za-z0-9_-]{1,64}$/;
const DAY = /^\d{4}-\d{2}-\d{2}$/;
const SEGMENT = /^([A-Za-z0-9_-]{1,64})(?:\.([1-9]\d{0,8}))?\.jsonl$/;

/** Threat: ids reach the file system from command lines and URLs; no separator, dot or NUL gets past here. */
export function isSessionId(id: string): boolean {
  return SESSION_ID.test(id);
}

export function assertSessionId(id: string): void {
  if (!isSessionId(id)) throw new RecordingFault('bad-id');
}

export function dayOf(t: number): string {
  return new Date(t).toISOString().slice(0, 10);
}

export function segmentPath(dir: string, day: string, sessionId: string, segment: number): string {
  assertSessionId(sessionId);
  return join(dir, day, segment === 1 ? `${sessionId}.jsonl` : `${sessionId}.${segment}.jsonl`);
}

export function parseSegmentName(
  path: string,
): { readonly sessionId: string; readonly segment: number } | null {
  const match = SEGMENT.exec(basename(path));
  if (match?.[1] === undefined) return null;
  return { sessionId: match[1], segment: match[2] === undefined ? 1 : Number(match[2]) };
}

/** The segment and those after it, in order, as far as they follow each other without a gap. */
export function followingSegments(path: string): string[] {
  const name = parseSegmentName(path);
  if (name === null) return [path];
  const paths = [path];
  for (let segment = name.segment + 1; ; segment++) {
    const next = join(dirname(path), `${name.sessionId}.${segment}.jsonl`);
    if (!existsSync(next)) return paths;
    paths.push(next);
  }
}

/** Segments of a session in order; empty when this directory holds none. */
export function findSegments(dir: string, sessionId: string): string[] {
  assertSessionId(sessionId);
  if (!existsSync(dir)) return [];
  const days = readdirSync(dir)
    .filter((name) => DAY.test(name))
    .sort()
    .reverse();
  for (const day of days) {
    const first = segmentPath(dir, day, sessionId, 1);
    if (existsSync(first)) return followingSegments(first);
  }
  return [];
}

/** One empty file per session that is being written: what a killed gateway left open is found by it, whatever the index knows. */
export function openMarkers(dir: string): string {
  return join(dir, 'open');
}
