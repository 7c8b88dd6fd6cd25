/** What a killed gateway left behind: recordings without an end. Runs at start, and again while something is left to do. */
import { createPublicKey } from 'node:crypto';
import { readdirSync, rmSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import type { Walk } from './archive.ts';
import { walk } from './archive.ts';
import { findSegments, isSessionId, openMarkers, parseSegmentName } from './paths.ts';
import type { SessionHost } from './session.ts';
import { RecordedSession } from './session.ts';
import { count, newSummary } from './summary.ts';
import type { RecoveryReport, SessionIndex, SessionMeta, SessionSummary } from './types.ts';

/** Rows of the index looked at for sessions that never ended. */
const INDEX_ROWS = 1000;

export interface RecoveryHost {
  readonly session: SessionHost;
  readonly index: SessionIndex;
  /** Sessions this process is writing. */
  readonly isOpen: (id: string) => boolean;
  /** The index is shared with gateways that record elsewhere: rows without a recording here are theirs, and this ends those of the dead. */
  readonly endAbandoned: (() => Promise<number>) | null;
}

export async function recoverRecordings(host: RecoveryHost): Promise<RecoveryReport> {
  const { dir, now } = host.session;
  const report = { ended: 0, torn: 0, damaged: [] as string[], indexed: true };
  const rows = new Map<string, SessionSummary>();
  const candidates = new Set(markers(dir).filter((id) => !host.isOpen(id)));
  try {
    for (const row of await host.index.list({ open: true, limit: INDEX_ROWS })) {
      if (row.endedAt !== null || host.isOpen(row.id) || !isSessionId(row.id)) continue;
      rows.set(row.id, row);
      if (findSegments(dir, row.id).length > 0) candidates.add(row.id);
    }
    for (const id of candidates) {
      const row = rows.get(id) ?? (await host.index.get(id));
      if (row !== null) rows.set(id, row);
    }
  } catch {
    // Without the index a shortened recording cannot be told from a whole one: nothing is signed until it answers.
    return { ...report, indexed: false };
  }

  const changed: SessionSummary[] = [];
  const finished: string[] = [];
  for (const id of candidates) {
    if (host.isOpen(id)) continue;
    const one = await recoverOne(host, id, rows.get(id) ?? null);
    rows.delete(id);
    if (one.summary !== null) changed.push(one.summary);
    if (one.kind === 'ended') report.ended += 1;
    if (one.torn) report.torn += 1;
    if (one.kind === 'damaged') report.damaged.push(id);
    if (one.kind !== 'again') finished.push(id);
  }
  if (host.endAbandoned === null) {
    for (const row of rows.values()) {
      if (row.endedAt !== null) continue;
      const endedWhy = 'gateway stopped; its recording is not in this directory';
      changed.push({ ...row, endedAt: now(), endedWhy });
    }
  }
  try {
    if (changed.length > 0) await host.index.upsert(changed);
    await host.endAbandoned?.();
  } catch {
    return { ...report, indexed: false };
  }
  for (const id of finished) rmSync(join(openMarkers(dir), id), { force: true });
  return report;
}

interface Recovered {
  /** `again`: the disk did not take the end; tried at the next run. */
  readonly kind: 'ended' | 'was-ended' | 'damaged' | 'nothing' | 'again';
  readonly torn: boolean;
  readonly summary: SessionSummary | null;
}

async function recoverOne(host: RecoveryHost, id: string, row: SessionSummary | null): Promise<Recovered> {
  const { dir, key, now } = host.session;
  const paths = findSegments(dir, id);
  const last = paths.at(-1);
  if (last === undefined) return { kind: 'nothing', torn: false, summary: null };
  const walked = await walk(paths, [createPublicKey(key.publicKeyPem)]);
  const torn = walked.tornBytes > 0;
  const meta = metaOf(walked, id);

  const lost = row !== null && row.head !== null && !walked.hashes.has(row.head);
  if (walked.broken !== null || lost || (meta === null && row !== null)) {
    // Left exactly as found: an end signed now would vouch for what is missing.
    const what = lost ? 'is shorter than the index knows or was replaced' : 'does not verify';
    const known = row ?? (meta === null ? null : summaryOf(walked, meta));
    const summary =
      known === null
        ? null
        : { ...known, endedAt: known.endedAt ?? now(), endedWhy: `gateway stopped; the recording ${what}` };
    return { kind: 'damaged', torn, summary };
  }
  if (meta === null) return { kind: 'nothing', torn, summary: null };

  const summary = summaryOf(walked, meta);
  if (walked.ended && walked.signed === walked.events.length && !torn)
    return { kind: 'was-ended', torn, summary };
  try {
    if (torn) truncateSync(last, walked.goodBytes);
    const session = new RecordedSession(
      { ...host.session, onDirty: () => undefined, onClosed: () => undefined },
      meta,
      { summary, link: walked.link, segment: parseSegmentName(last)?.segment ?? 1, length: walked.goodBytes },
    );
    session.close(
      torn
        ? `gateway stopped; ${walked.tornBytes} bytes of an unfinished line were cut off`
        : 'gateway stopped',
    );
    await session.closed();
    return { kind: session.endRecorded ? 'ended' : 'again', torn, summary: session.summary };
  } catch {
    return { kind: 'again', torn, summary: null };
  }
}

function metaOf(walked: Walk, id: string): SessionMeta | null {
  const first = walked.events[0];
  return first?.kind === 'session' && first.session.id === id ? first.session : null;
}

function summaryOf(walked: Walk, meta: SessionMeta): SessionSummary {
  const counts = { ...newSummary(meta), head: walked.link.prev };
  for (const event of walked.events) count(counts, event);
  return counts;
}

function markers(dir: string): string[] {
  try {
    return readdirSync(openMarkers(dir)).filter(isSessionId);
  } catch {
    return [];
  }
}
