/**
 * Slack's rates: about one post a second and channel, fifty updates a minute. What Slack limits pauses alone, an outage pauses all.
 * Within a queue the oldest of the highest priority goes first.
 */
import PQueue from 'p-queue';
import { SlackFailure } from './slack-api.ts';

export const PRIORITY = { card: 3, open: 2, over: 1 } as const;
type Priority = (typeof PRIORITY)[keyof typeof PRIORITY];

export interface Pace {
  /** A new message in that channel. */
  post<T>(channel: string, priority: Priority, task: () => Promise<T>): Promise<T>;
  /** Slack said which channel that name is: both are one to its rates. */
  alias(name: string, id: string): void;
  /** Direct messages: the channels are many, the reader of each is one. */
  direct<T>(task: () => Promise<T>): Promise<T>;
  update<T>(priority: Priority, task: () => Promise<T>): Promise<T>;
  /** Lets running calls end. Work not begun never settles; its outbox rows remain and are delivered after the next start. */
  close(): Promise<void>;
}

const POSTS = { concurrency: 1, interval: 1000, intervalCap: 1, strict: true } as const;
const UPDATES = { concurrency: 2, interval: 6000, intervalCap: 5, strict: true } as const;
/** After an answer that never came. */
const OUTAGE_MS = 500;

export function createPace(): Pace {
  const channels = new Map<string, PQueue>();
  const updates = new PQueue(UPDATES);
  const direct = new PQueue(POSTS);
  const paused = new Map<PQueue, NodeJS.Timeout>();
  let failures = 0;
  const all = new Set([updates, direct]);

  function channelOf(name: string): PQueue {
    const known = channels.get(name);
    if (known !== undefined) return known;
    const queue = new PQueue(POSTS);
    channels.set(name, queue);
    all.add(queue);
    return queue;
  }

  function pause(queue: PQueue, ms: number): void {
    if (paused.has(queue)) return;
    queue.pause();
    const timer = setTimeout(() => {
      paused.delete(queue);
      queue.start();
    }, ms);
    timer.unref();
    paused.set(queue, timer);
  }

  async function run<T>(queue: PQueue, priority: number, task: () => Promise<T>): Promise<T> {
    return await queue.add(
      async () => {
        try {
          const done = await task();
          failures = 0;
          return done;
        } catch (error) {
          const failure = error instanceof SlackFailure ? error.failure : null;
          if (failure?.kind === 'limited') pause(queue, failure.retryAfterMs);
          if (failure?.kind === 'unclear') {
            failures += 1;
            const ms = Math.min(15_000, OUTAGE_MS * 2 ** Math.min(failures - 1, 10));
            for (const one of all) pause(one, ms);
          }
          throw error;
        }
      },
      { priority },
    );
  }

  return {
    post: (channel, priority, task) => run(channelOf(channel), priority, task),
    alias(name, id) {
      const known = channels.get(id) ?? channels.get(name);
      if (known === undefined) return;
      channels.set(id, known);
      channels.set(name, known);
    },
    direct: (task) => run(direct, 0, task),
    update: (priority, task) => run(updates, priority, task),
    async close() {
      for (const timer of paused.values()) clearTimeout(timer);
      paused.clear();
      for (const queue of all) queue.clear();
      await Promise.race([
        Promise.all([...all].map((queue) => queue.onPendingZero())),
        new Promise((resolve) => setTimeout(resolve, 3000).unref()),
      ]);
    },
  };
}
