/**
 * Worker threads that may be killed. One job at a time each, a time limit per job, a bounded queue; a worker that took too long,
 * crashed or asked to be recycled is thrown away (libpg-query: any exception that is no syntax error leaves the instance broken).
 */
import { Worker } from 'node:worker_threads';

export interface PoolOptions {
  readonly url: URL;
  readonly size: number;
  /** Milliseconds for one job, from the moment a ready worker has it. */
  readonly limitMs: number;
  /** Milliseconds for a worker to start, and to take a setup in. */
  readonly startLimitMs: number;
  readonly maxQueue: number;
  readonly maxHeapMb: number;
}

/** What a worker must have taken in before the job: sent once per worker and version. */
export interface Setup {
  readonly version: string;
  readonly value: unknown;
  /** Less than `value`, for a worker that has taken in the version `from`. */
  readonly patch?: { readonly from: string; readonly value: unknown } | undefined;
}

export type PoolResult<R> =
  | { readonly kind: 'done'; readonly result: R }
  | { readonly kind: 'timeout' }
  | { readonly kind: 'crashed'; readonly why: string }
  | { readonly kind: 'overloaded' };

export interface Pool<J, R> {
  /** Never rejects. `limitMs` in place of the pool's. */
  run(job: J, setup?: Setup, limitMs?: number): Promise<PoolResult<R>>;
  /** Starts the workers, so that the first job does not wait for it. */
  warm(): void;
  close(): Promise<void>;
}

/** From the worker. A setup is acknowledged by `ready`, as the start is. */
export interface Reply<R> {
  readonly ready?: true;
  readonly id?: number;
  readonly result?: R;
  readonly recycle?: boolean;
}

interface Task<J, R> {
  readonly job: J;
  readonly setup: Setup | null;
  readonly limitMs: number;
  readonly settle: (result: PoolResult<R>) => void;
}

interface Slot<J, R> {
  readonly worker: Worker;
  state: 'starting' | 'idle' | 'setup' | 'busy' | 'gone';
  setupVersion: string | null;
  task: Task<J, R> | null;
  id: number;
  timer: NodeJS.Timeout | null;
}

export function createPool<J, R>(options: PoolOptions): Pool<J, R> {
  const slots = new Set<Slot<J, R>>();
  const queue: Task<J, R>[] = [];
  let closed = false;

  function spawn(): void {
    const worker = new Worker(options.url, {
      resourceLimits: { maxOldGenerationSizeMb: options.maxHeapMb, stackSizeMb: 8 },
      // The worker needs nothing of the environment, where secrets may be.
      env: {},
      execArgv: [],
    });
    const slot: Slot<J, R> = {
      worker,
      state: 'starting',
      setupVersion: null,
      task: null,
      id: 0,
      timer: null,
    };
    slots.add(slot);
    arm(slot, options.startLimitMs);
    worker.on('message', (reply: Reply<R>) => onReply(slot, reply));
    worker.on('error', (error) => drop(slot, { kind: 'crashed', why: error.message }));
    worker.on('exit', (code) => drop(slot, { kind: 'crashed', why: `the worker ended with code ${code}` }));
    if (queue.length === 0) worker.unref();
  }

  function arm(slot: Slot<J, R>, ms: number): void {
    if (slot.timer !== null) clearTimeout(slot.timer);
    slot.timer = setTimeout(() => drop(slot, { kind: 'timeout' }), ms);
    slot.timer.unref();
  }

  /** Takes the worker out; its job, if any, is answered with `result`. */
  function drop(slot: Slot<J, R>, result: PoolResult<R>): void {
    if (slot.state === 'gone') return;
    const started = slot.state !== 'starting';
    slot.state = 'gone';
    slots.delete(slot);
    if (slot.timer !== null) clearTimeout(slot.timer);
    slot.worker.terminate().catch(() => undefined);
    slot.task?.settle(result);
    slot.task = null;
    if (closed) return;
    if (!started) {
      // It does not even start: failing what waits beats spawning for ever. The next job tries again.
      for (const task of queue.splice(0)) task.settle(result);
      return;
    }
    spawn();
  }

  function onReply(slot: Slot<J, R>, reply: Reply<R>): void {
    if (slot.state === 'gone') return;
    if (reply.ready === true) {
      if (slot.state === 'setup') send(slot);
      else if (slot.state === 'starting') idle(slot);
      return;
    }
    if (slot.state !== 'busy' || reply.id !== slot.id || reply.result === undefined) return;
    const task = slot.task;
    slot.task = null;
    task?.settle({ kind: 'done', result: reply.result });
    if (reply.recycle === true) drop(slot, { kind: 'crashed', why: 'recycled' });
    else idle(slot);
  }

  function idle(slot: Slot<J, R>): void {
    slot.state = 'idle';
    if (slot.timer !== null) clearTimeout(slot.timer);
    const task = queue.shift();
    if (task === undefined) slot.worker.unref();
    else start(slot, task);
  }

  function start(slot: Slot<J, R>, task: Task<J, R>): void {
    slot.task = task;
    slot.worker.ref();
    if (task.setup === null || task.setup.version === slot.setupVersion) {
      send(slot);
      return;
    }
    const { version, value, patch } = task.setup;
    const step = patch !== undefined && patch.from === slot.setupVersion;
    slot.state = 'setup';
    slot.setupVersion = version;
    arm(slot, options.startLimitMs);
    slot.worker.postMessage(step ? { patch: patch.value } : { setup: value });
  }

  function send(slot: Slot<J, R>): void {
    slot.state = 'busy';
    slot.id += 1;
    arm(slot, slot.task?.limitMs ?? options.limitMs);
    slot.worker.postMessage({ id: slot.id, job: slot.task?.job });
  }

  return {
    run(job, setup, limitMs = options.limitMs) {
      if (closed) return Promise.resolve({ kind: 'crashed', why: 'closed' });
      return new Promise((settle) => {
        const task: Task<J, R> = { job, setup: setup ?? null, limitMs, settle };
        const all = [...slots];
        const free =
          all.find((slot) => slot.state === 'idle' && slot.setupVersion === (setup?.version ?? null)) ??
          all.find((slot) => slot.state === 'idle' && slot.setupVersion === setup?.patch?.from) ??
          all.find((slot) => slot.state === 'idle');
        if (free !== undefined) {
          start(free, task);
          return;
        }
        if (queue.length >= options.maxQueue) {
          settle({ kind: 'overloaded' });
          return;
        }
        queue.push(task);
        if (slots.size < options.size) spawn();
        for (const slot of slots) slot.worker.ref();
      });
    },
    warm() {
      while (!closed && slots.size < options.size) spawn();
    },
    async close() {
      closed = true;
      for (const task of queue.splice(0)) task.settle({ kind: 'crashed', why: 'closed' });
      const workers = [...slots].map((slot) => slot.worker);
      for (const slot of [...slots]) drop(slot, { kind: 'crashed', why: 'closed' });
      await Promise.all(workers.map((worker) => worker.terminate()));
    },
  };
}
