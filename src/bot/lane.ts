/** One piece of work per key at a time, repeated when asked for meanwhile, and tried again with growing pauses when it fails. */
import { type Failure, SlackFailure } from './slack-api.ts';

export interface Lane<Wish> {
  /** Runs now, or once more after what runs now. While the key waits for its next try, only a wish starts it earlier. */
  schedule(key: string, wish?: Wish): void;
  open(): void;
  /** No new work; running work is left to end. */
  close(): void;
}

const FIRST_MS = 500;
const LAST_MS = 15_000;

export function createLane<Wish>(options: {
  readonly work: (key: string, wish: Wish | undefined) => Promise<void>;
  readonly onFailure: (key: string, failure: Failure, tries: number, waitMs: number, error: unknown) => void;
}): Lane<Wish> {
  const running = new Map<string, { again: boolean; wish: Wish | undefined }>();
  const waiting = new Map<string, NodeJS.Timeout>();
  const tries = new Map<string, number>();
  let closed = true;

  function schedule(key: string, wish?: Wish): void {
    if (closed) return;
    const job = running.get(key);
    if (job !== undefined) {
      job.again = true;
      job.wish = wish ?? job.wish;
      return;
    }
    const timer = waiting.get(key);
    if (timer !== undefined && wish === undefined) return;
    clearTimeout(timer);
    waiting.delete(key);
    running.set(key, { again: false, wish: undefined });
    void run(key, wish);
  }

  async function run(key: string, wish: Wish | undefined): Promise<void> {
    let failed = false;
    try {
      await options.work(key, wish);
      tries.delete(key);
    } catch (error) {
      failed = true;
      again(key, running.get(key)?.wish ?? wish, error);
    }
    const job = running.get(key);
    running.delete(key);
    if (job?.again === true && !failed) schedule(key, job.wish);
  }

  function again(key: string, wish: Wish | undefined, error: unknown): void {
    const failure: Failure =
      error instanceof SlackFailure
        ? error.failure
        : { kind: 'refused', error: 'something failed before Slack was asked' };
    const count = (tries.get(key) ?? 0) + 1;
    tries.set(key, count);
    const pause = Math.min(LAST_MS, FIRST_MS * 2 ** Math.min(count - 1, 10));
    const wait = failure.kind === 'limited' ? failure.retryAfterMs : pause;
    if (closed) return;
    options.onFailure(key, failure, count, wait, error);
    const timer = setTimeout(() => {
      waiting.delete(key);
      schedule(key, wish);
    }, wait);
    timer.unref();
    waiting.set(key, timer);
  }

  return {
    schedule,
    open() {
      closed = false;
    },
    close() {
      closed = true;
      for (const timer of waiting.values()) clearTimeout(timer);
      waiting.clear();
    },
  };
}
