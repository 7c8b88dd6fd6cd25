/** One session's recording: events → chained lines → segments, with signed checkpoints. */

import type { Link, SigningKey } from './chain.ts';
import { chainLine, genesis, makeCheckpoint } from './chain.ts';
import { RecordingFault, toFault } from './fault.ts';
import { dayOf, segmentPath } from './paths.ts';
import { serialise } from './secrets.ts';
import type { FileSystem } from './segment.ts';
import { Segment } from './segment.ts';
import type { Counts } from './summary.ts';
import { count, newSummary } from './summary.ts';
import type { RecordedEvent, SessionMeta, SessionRecording, SessionSummary } from './types.ts';

/** A segment is sealed when it has grown to this. */
const SEGMENT_BYTES = 8 * 1024 * 1024;
/** Longest line: a result is kept without its rows instead, anything else is refused. */
const LINE_BYTES = 4 * 1024 * 1024;
const SYNC_EVENTS = 500;

export interface SessionHost {
  readonly dir: string;
  readonly fs: FileSystem;
  readonly key: SigningKey;
  readonly now: () => number;
  readonly segmentBytes?: number;
  /** The summary changed. */
  readonly onDirty: (session: RecordedSession) => void;
  readonly onFault: (session: RecordedSession, fault: RecordingFault) => void;
  /** The disk took events. */
  readonly onWritten: () => void;
  /** Its last byte is on disk and its file closed. */
  readonly onClosed: (session: RecordedSession) => void;
}

/** Where a killed gateway's recording is taken up again. */
export interface Resume {
  readonly summary: SessionSummary;
  readonly link: Link;
  readonly segment: number;
  readonly length: number;
}

export class RecordedSession implements SessionRecording {
  readonly id: string;
  readonly #host: SessionHost;
  readonly #day: string;
  readonly #counts: Counts;
  #segmentNumber: number;
  #segment: Segment;
  #link: Link;
  #signedSeq = 0;
  #signedAt: number;
  #sinceSync = 0;
  /**
   * `failing`: the disk refused the last write; the chain stands where it stood, each append tries again.
   * `lost`: written bytes may be gone (a failed fdatasync); nothing is appended to them.
   * `gone`: somebody took its file away, or bytes out of it. What is left is evidence of that, and stays as it is.
   */
  #state: 'open' | 'failing' | 'lost' | 'gone' | 'closed' = 'open';
  /** Segments before this one. */
  readonly #full: Segment[] = [];
  /** The segment is full and signed; what comes next goes into a new one. */
  #sealed = false;
  #endRecorded = false;
  #closing: Promise<void> | null = null;
  readonly #onLost: () => void;

  constructor(
    host: SessionHost,
    meta: SessionMeta,
    resume: Resume | null = null,
    onLost: () => void = () => {},
  ) {
    this.#host = host;
    this.#onLost = onLost;
    this.id = meta.id;
    this.#day = dayOf(meta.startedAt);
    this.#counts = { ...(resume?.summary ?? newSummary(meta)) };
    this.#segmentNumber = resume?.segment ?? 1;
    this.#link = resume?.link ?? genesis(meta.id);
    this.#signedAt = host.now();
    this.#segment = this.#openSegment(
      this.#segmentNumber,
      resume === null ? { kind: 'create' } : { kind: 'continue', length: resume.length },
    );
    if (resume !== null) return;
    try {
      this.append([{ kind: 'session', t: meta.startedAt, session: meta }]);
    } catch (error) {
      this.#state = 'closed';
      this.#closing = this.#segment.close();
      throw error;
    }
  }

  get summary(): SessionSummary {
    return { ...this.#counts };
  }

  /** false after `close`: its end is not in the file, recovery has to write it. */
  get endRecorded(): boolean {
    return this.#endRecorded;
  }

  append(events: readonly RecordedEvent[]): void {
    if (this.#state !== 'open' && this.#state !== 'failing') throw new RecordingFault('closed');
    this.#write(events, false);
  }

  /** Signs what has been written since the last signature, if that is `olderThan` ms ago. A fault is reported, not thrown. */
  checkpoint(olderThan: number): void {
    if (this.#state !== 'open' || this.#link.seq === this.#signedSeq) return;
    if (this.#host.now() - this.#signedAt < olderThan) return;
    try {
      this.#write([], true);
    } catch {
      // Reported by #write; the session refuses its next statement.
    }
  }

  /** Are its files still where and what they were? A fault is reported; nothing is appended after it. */
  async check(): Promise<void> {
    const standing = await Promise.all([...this.#full, this.#segment].map((one) => one.stands()));
    if (standing.includes(false) && (this.#state === 'open' || this.#state === 'failing'))
      this.#fault(new RecordingFault('gone'), 'gone');
  }

  sync(): Promise<void> {
    return this.#segment.sync();
  }

  close(why: string): void {
    if (this.#state === 'closed') return;
    const before = this.#state;
    this.#state = 'closed';
    const t = this.#host.now();
    try {
      if (before === 'gone') throw new RecordingFault('gone');
      // Where this fails, the file ends at its last good line and recovery ends it.
      // A recovered recording may have its end already, torn off before its signature.
      this.#write(this.#counts.endedAt === null ? [{ kind: 'end', t, why }] : [], true);
      this.#endRecorded = true;
    } catch {
      this.#counts.endedAt = t;
      this.#counts.endedWhy = `${why} (${UNENDED[before]})`;
      this.#host.onDirty(this);
    }
    this.#closing = this.#segment.close().then(() => this.#host.onClosed(this));
  }

  /** Resolves when `close` has reached the disk. */
  closed(): Promise<void> {
    return this.#closing ?? Promise.resolve();
  }

  #write(events: readonly RecordedEvent[], sign: boolean): void {
    let text = '';
    let link = this.#link;
    for (const event of events) {
      const line = chainLine(link, bounded(event));
      text += line.text;
      link = line.next;
    }
    const before = this.#sealed ? 0 : this.#segment.length;
    const seal = !sign && before + text.length >= (this.#host.segmentBytes ?? SEGMENT_BYTES);
    if (sign || seal) {
      const checkpoint = makeCheckpoint(this.#host.key, this.id, link, this.#host.now());
      const line = chainLine(link, JSON.stringify(checkpoint));
      text += line.text;
      link = line.next;
    }
    if (text === '') return;
    try {
      if (this.#sealed) this.#roll();
      this.#segment.write(Buffer.from(text, 'utf8'));
    } catch (error) {
      throw this.#fault(error, 'failing');
    }
    // All of it counts from here on: whoever is told that it failed may bring the same events again.
    this.#link = link;
    for (const event of events) count(this.#counts, event);
    this.#counts.head = link.prev;
    if (sign || seal) {
      this.#signedSeq = link.seq;
      this.#signedAt = this.#host.now();
    }
    this.#sealed = seal;
    this.#sinceSync += events.length;
    if (seal || this.#sinceSync >= SYNC_EVENTS) {
      this.#sinceSync = 0;
      void this.#segment.sync();
    }
    if (this.#state === 'failing') this.#state = 'open';
    this.#host.onWritten();
    this.#host.onDirty(this);
  }

  #roll(): void {
    const full = this.#segment;
    this.#segment = this.#openSegment(this.#segmentNumber + 1, { kind: 'create' });
    this.#segmentNumber += 1;
    this.#full.push(full);
    this.#sealed = false;
    void full.close();
  }

  #openSegment(number: number, how: ConstructorParameters<typeof Segment>[2]): Segment {
    const path = segmentPath(this.#host.dir, this.#day, this.id, number);
    return new Segment(this.#host.fs, path, how, (error) => void this.#fault(error, 'lost'));
  }

  #fault(error: unknown, state: 'failing' | 'lost' | 'gone'): RecordingFault {
    const fault = toFault(error);
    const before = this.#state;
    if (state === 'failing' || before !== state) this.#host.onFault(this, fault);
    if (before !== 'closed') this.#state = state;
    if (state !== 'failing' && (before === 'open' || before === 'failing')) queueMicrotask(this.#onLost);
    return fault;
  }
}

const UNENDED = {
  open: 'its end could not be recorded',
  failing: 'its end could not be recorded',
  lost: 'its recording had failed',
  gone: 'its recording had been removed, replaced or cut short',
} as const;

function bounded(event: RecordedEvent): string {
  const json = serialise(event);
  if (json.length <= LINE_BYTES) return json;
  if (event.kind !== 'result' || event.values.length === 0) throw new RecordingFault('too-large');
  return bounded({ ...event, values: [], truncated: true });
}
