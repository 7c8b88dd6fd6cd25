/** Brings session summaries to the index in batches, off the hot path; an outage of the store is ridden out. */
import type { SessionIndex, SessionSummary } from './types.ts';

/** The part of a pino logger that the recorder uses. */
export interface RecorderLog {
  info(fields: object, text: string): void;
  warn(fields: object, text: string): void;
  error(fields: object, text: string): void;
}

const BATCH = 500;
/** Ended sessions kept in memory through an outage; the markers on disk bring the others back at the next start. */
const KEPT = 20_000;

export interface IndexEntry {
  readonly id: string;
  readonly summary: SessionSummary;
}

export class IndexWriter {
  readonly #index: SessionIndex;
  readonly #log: RecorderLog;
  readonly #onStored: (entry: IndexEntry, stored: SessionSummary) => void;
  readonly #dirty = new Map<string, IndexEntry>();
  #running: Promise<void> | null = null;
  #down = false;

  /** `onStored` is told each summary that the index has taken. */
  constructor(
    index: SessionIndex,
    log: RecorderLog,
    onStored: (entry: IndexEntry, stored: SessionSummary) => void,
  ) {
    this.#index = index;
    this.#log = log;
    this.#onStored = onStored;
  }

  get up(): boolean {
    return !this.#down;
  }

  add(entry: IndexEntry): void {
    this.#dirty.set(entry.id, entry);
    if (this.#dirty.size <= KEPT) return;
    for (const [id, oldest] of this.#dirty) {
      if (oldest.summary.endedAt === null) continue;
      this.#dirty.delete(id);
      return;
    }
  }

  /** Writes what is dirty now. Never rejects: what could not be written stays for the next call. */
  async flush(): Promise<void> {
    while (this.#running !== null) await this.#running;
    const run = this.#drain();
    this.#running = run;
    await run;
    if (this.#running === run) this.#running = null;
  }

  async #drain(): Promise<void> {
    const entries = [...this.#dirty.values()];
    this.#dirty.clear();
    for (let at = 0; at < entries.length; at += BATCH) {
      const batch = entries.slice(at, at + BATCH);
      const rows = batch.map((entry) => entry.summary);
      try {
        await this.#index.upsert(rows);
      } catch (error) {
        // Entries changed in the meantime are newer: they stay as they are.
        for (const entry of entries.slice(at))
          if (!this.#dirty.has(entry.id)) this.#dirty.set(entry.id, entry);
        if (!this.#down)
          this.#log.warn(
            { err: error },
            'The index of recordings cannot be written; recording goes on, it is tried again.',
          );
        this.#down = true;
        return;
      }
      batch.forEach((entry, i) => {
        const row = rows[i];
        if (row !== undefined) this.#onStored(entry, row);
      });
    }
    if (this.#down) this.#log.info({}, 'The index of recordings is being written again.');
    this.#down = false;
  }
}
