/** The disk under all recordings: that it takes nothing is told once, that it does again once, with how often it did not meanwhile. */
import type { RecordingFault } from './fault.ts';
import type { RecorderLog } from './index-writer.ts';

/** A disk that takes small writes and refuses large ones is not well yet. */
const QUIET_MS = 5_000;

export interface RecordingOutage {
  readonly code: 'disk-full' | 'write-failed';
  readonly since: number;
  /** Writes that failed. */
  readonly failures: number;
}

type Told = (fault: { readonly sessionId: string; readonly code: string; readonly message: string }) => void;

export class Outage {
  readonly #now: () => number;
  readonly #log: RecorderLog;
  readonly #told: Told;
  #current: RecordingOutage | null = null;
  /** Told of by the session, it comes again with the one that opened it. */
  #last: RecordingFault | null = null;
  #failedAt = 0;
  #writtenSince = false;

  constructor(now: () => number, log: RecorderLog, told: Told) {
    this.#now = now;
    this.#log = log;
    this.#told = told;
  }

  /** null: recordings can be written, as far as is known. */
  get current(): RecordingOutage | null {
    return this.#current;
  }

  failed(sessionId: string, fault: RecordingFault): void {
    if (fault === this.#last) return;
    this.#last = fault;
    const { code, message } = fault;
    if (code === 'disk-full' || code === 'write-failed') {
      this.#failedAt = this.#now();
      this.#writtenSince = false;
      const before = this.#current;
      this.#current = { code, since: before?.since ?? this.#failedAt, failures: (before?.failures ?? 0) + 1 };
      if (before?.code === code) return;
    }
    this.#log.error({ session: sessionId, code, err: fault.cause }, message);
    this.#told({ sessionId, code, message });
  }

  written(): void {
    if (this.#current !== null) this.#writtenSince = true;
  }

  /** Asked now and then. */
  settle(): void {
    const over = this.#current;
    if (over === null || !this.#writtenSince || this.#now() - this.#failedAt < QUIET_MS) return;
    this.#current = null;
    const { code, since, failures } = over;
    this.#log.info({ code, failures, ms: this.#now() - since }, 'Recordings can be written again.');
  }
}
