/** The recorder of one gateway: opens sessions, signs and syncs them in the background, keeps the index up to date. */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { readSession, verifySession } from './archive.ts';
import type { SigningKey } from './chain.ts';
import { RecordingFault, toFault } from './fault.ts';
import type { IndexEntry, RecorderLog } from './index-writer.ts';
import { IndexWriter } from './index-writer.ts';
import { Outage, type RecordingOutage } from './outage.ts';
import { assertSessionId, dayOf, openMarkers, segmentPath } from './paths.ts';
import { recoverRecordings } from './recover.ts';
import type { FileSystem } from './segment.ts';
import { nodeFileSystem } from './segment.ts';
import type { SessionHost } from './session.ts';
import { RecordedSession } from './session.ts';
import type { Recorder, RecoveryReport, SessionIndex, SessionMeta, SessionSummary } from './types.ts';

const TICK_MS = 1_000;
/** A file that is taken away is noticed within a second. */
const CHECK_MS = 900;
const SIGN_MS = 5_000;
const RECOVER_AGAIN_MS = 10_000;
const REVIEW_MS = 60_000;

export interface RecorderOptions {
  readonly dir: string;
  readonly now: () => number;
  readonly log: RecorderLog;
  readonly index: SessionIndex;
  /** `loadSigningKey`. */
  readonly signingKey: SigningKey;
  /** A recording was taken away, or the disk takes nothing: sessions refuse statements until it does. Once an outage, for alerts. */
  readonly onFault?: (fault: {
    readonly sessionId: string;
    readonly code: string;
    readonly message: string;
  }) => void;
  /**
   * Several gateways with directories of their own write one index: ends in it the sessions of those that are known to be gone. Without it
   * this gateway is alone, and what is open in the index is its own.
   */
  readonly endAbandoned?: () => Promise<number>;
  /** A segment is sealed at this size; default 8 MB. */
  readonly segmentBytes?: number;
  /** For tests: where faults are put. */
  readonly fs?: FileSystem;
}

export interface IndexedRecorder extends Recorder {
  /** The index, brought up to date before it is read: a session is found from its first moment on. */
  readonly sessions: SessionIndex;
  /** Since when recordings cannot be written; null: they can. */
  readonly outage: RecordingOutage | null;
  /** Runs by itself each second: are the files of open sessions still where and what they were? */
  check(): Promise<void>;
}

export function createRecorder(options: RecorderOptions): IndexedRecorder {
  return new FileRecorder(options);
}

class FileRecorder implements IndexedRecorder {
  readonly sessions: SessionIndex;
  readonly #options: RecorderOptions;
  readonly #fs: FileSystem;
  readonly #host: SessionHost;
  readonly #open = new Map<string, RecordedSession>();
  readonly #closing = new Set<Promise<void>>();
  readonly #index: IndexWriter;
  readonly #outage: Outage;
  readonly #timers: readonly NodeJS.Timeout[];
  /** When recovery is to run again; null: nothing is left over. */
  #recoverAt: number | null = null;
  #reviewAt: number;
  #ticking: Promise<void> | null = null;
  #checking = false;
  #closed = false;

  constructor(options: RecorderOptions) {
    this.#options = options;
    this.#reviewAt = options.now() + REVIEW_MS;
    this.#fs = options.fs ?? nodeFileSystem;
    this.#index = new IndexWriter(options.index, options.log, (entry, stored) => this.#stored(entry, stored));
    this.#outage = new Outage(options.now, options.log, (fault) => options.onFault?.(fault));
    this.#host = {
      dir: options.dir,
      fs: this.#fs,
      key: options.signingKey,
      now: options.now,
      ...(options.segmentBytes === undefined ? {} : { segmentBytes: options.segmentBytes }),
      onDirty: (session) => this.#index.add(session),
      onFault: (session, fault) => this.#fault(session.id, fault),
      onWritten: () => this.#outage.written(),
      onClosed: (session) => this.#sessionClosed(session),
    };
    const { index } = options;
    const upToDate = (): Promise<void> => this.#index.flush();
    this.sessions = {
      upsert: (rows) => index.upsert(rows),
      get: (id) => upToDate().then(() => index.get(id)),
      list: (filter) => upToDate().then(() => index.list(filter)),
    };
    mkdirSync(openMarkers(options.dir), { recursive: true, mode: 0o700 });
    this.#timers = [
      setInterval(() => void this.#tick(), TICK_MS),
      // By itself: a slow store or disk does not put it off.
      setInterval(() => void this.check(), CHECK_MS),
    ];
    for (const timer of this.#timers) timer.unref();
  }

  get outage(): RecordingOutage | null {
    return this.#outage.current;
  }

  open(meta: SessionMeta, onLost: () => void = () => {}): RecordedSession {
    if (this.#closed) throw new RecordingFault('closed');
    assertSessionId(meta.id);
    if (this.#open.has(meta.id)) throw new RecordingFault('exists');
    const marker = join(openMarkers(this.#options.dir), meta.id);
    try {
      this.#fs.mkdirSync(openMarkers(this.#options.dir), { recursive: true, mode: 0o700 });
      // The marker first: a crash in between leaves a marker without a recording, never a recording without a marker.
      this.#fs.closeSync(this.#fs.openSync(marker, 'wx', 0o600));
    } catch (error) {
      throw this.#fault(meta.id, toFault(error));
    }
    try {
      const session = new RecordedSession(this.#host, meta, null, onLost);
      this.#open.set(meta.id, session);
      return session;
    } catch (error) {
      const fault = toFault(error);
      this.#discard(meta, marker, fault);
      throw this.#fault(meta.id, fault);
    }
  }

  async recover(): Promise<RecoveryReport> {
    const report = await recoverRecordings({
      session: this.#host,
      index: this.#options.index,
      isOpen: (id) => this.#open.has(id),
      endAbandoned: this.#options.endAbandoned ?? null,
    });
    this.#recoverAt = report.indexed ? null : this.#options.now() + RECOVER_AGAIN_MS;
    for (const id of report.damaged) {
      this.#options.log.error(
        { session: id },
        'A recording does not verify or is shorter than the index knows; it is left as it is.',
      );
    }
    return report;
  }

  read(sessionId: string): ReturnType<Recorder['read']> {
    return readSession(this.#options.dir, sessionId);
  }

  async verify(sessionId: string): ReturnType<Recorder['verify']> {
    let anchor: SessionSummary | null = null;
    assertSessionId(sessionId);
    try {
      anchor = await this.#options.index.get(sessionId);
    } catch (error) {
      this.#options.log.warn(
        { err: error },
        'The index could not be asked for the head; the recording is verified on its own.',
      );
    }
    return verifySession(this.#options.dir, sessionId, this.#options.signingKey.publicKeyPem, anchor);
  }

  async flush(): Promise<void> {
    for (const session of this.#open.values()) session.checkpoint(0);
    await this.#settle();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const timer of this.#timers) clearInterval(timer);
    for (const session of this.#open.values()) session.close('gateway stopped');
    await this.#ticking;
    await this.#settle();
    await Promise.all([...this.#closing]);
  }

  async check(): Promise<void> {
    this.#outage.settle();
    if (this.#checking) return;
    this.#checking = true;
    await Promise.all([...this.#open.values()].map((session) => session.check()));
    this.#checking = false;
  }

  async #settle(): Promise<void> {
    await Promise.all([...this.#closing]);
    await Promise.all([...this.#open.values()].map((session) => session.sync().then(() => session.closed())));
    await this.#index.flush();
    await Promise.all([...this.#closing]);
  }

  /** One at a time: a slow disk or store skips ticks instead of piling them up. */
  async #tick(): Promise<void> {
    if (this.#ticking !== null) return;
    this.#ticking = this.#background().catch((error: unknown) => {
      this.#options.log.error(
        { err: error },
        'The recorder could not do its background work; it is tried again.',
      );
    });
    await this.#ticking;
    this.#ticking = null;
  }

  async #background(): Promise<void> {
    for (const session of this.#open.values()) session.checkpoint(SIGN_MS);
    if (this.#options.endAbandoned !== undefined && this.#options.now() >= this.#reviewAt) {
      this.#reviewAt = this.#options.now() + REVIEW_MS;
      await this.#review(this.#options.endAbandoned);
    }
    await this.#settle();
    if (this.#recoverAt === null || this.#options.now() < this.#recoverAt || this.#closed) return;
    await this.recover();
  }

  /** Others may have taken this gateway for dead while it or the store was away: its own rows say again that they are open. */
  async #review(endAbandoned: () => Promise<number>): Promise<void> {
    for (const session of this.#open.values()) this.#index.add(session);
    try {
      const ended = await endAbandoned();
      if (ended > 0)
        this.#options.log.info({ sessions: ended }, 'Sessions of gateways that are gone were ended.');
    } catch (error) {
      this.#options.log.warn({ err: error }, 'Sessions of gateways that are gone could not be looked for.');
    }
  }

  #sessionClosed(session: RecordedSession): void {
    this.#open.delete(session.id);
    if (!session.endRecorded) this.#recoverAt ??= this.#options.now() + RECOVER_AGAIN_MS;
  }

  #stored(entry: IndexEntry, stored: SessionSummary): void {
    if (stored.endedAt === null || !(entry instanceof RecordedSession)) return;
    const done = entry.closed().then(() => {
      if (entry.endRecorded) rmSync(join(openMarkers(this.#options.dir), entry.id), { force: true });
    });
    this.#track(done);
  }

  #track(work: Promise<void>): void {
    const tracked = work.finally(() => this.#closing.delete(tracked));
    this.#closing.add(tracked);
  }

  /** A session that never began leaves nothing behind (unless its id was another recording's). */
  #discard(meta: SessionMeta, marker: string, fault: RecordingFault): void {
    const path = segmentPath(this.#options.dir, dayOf(meta.startedAt), meta.id, 1);
    for (const leftover of fault.code === 'exists' ? [marker] : [path, marker]) {
      try {
        this.#fs.unlinkSync(leftover);
      } catch {
        // Recovery finds it.
      }
    }
  }

  #fault(sessionId: string, fault: RecordingFault): RecordingFault {
    this.#outage.failed(sessionId, fault);
    return fault;
  }
}
