/** One text at a time through the worker, each within its time; a spoilt worker is replaced. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { Explained } from '../policy/explain.ts';
import { denied } from '../policy/verdict.ts';
import { workerUrl } from '../policy/worker-url.ts';
import type { Asked } from './explain.worker.ts';

const LIMIT_MS = 10_000;

interface Reply {
  readonly answer: Explained;
  readonly recycle: boolean;
}

export interface Judging {
  explain(sql: string, more: Omit<Asked, 'sql'>): Promise<Explained>;
  close(): Promise<void>;
}

export function createJudging(policyText: string): Judging {
  let worker: Worker | null = null;

  async function drop(): Promise<void> {
    const old = worker;
    worker = null;
    await old?.terminate();
  }

  return {
    async explain(sql, more) {
      worker ??= new Worker(workerUrl('./explain.worker.js', import.meta.url), {
        workerData: policyText,
        // The worker needs nothing of the environment, where secrets may be.
        env: {},
      });
      const signal = AbortSignal.timeout(LIMIT_MS);
      try {
        const reply = once(worker, 'message', { signal });
        const asked: Asked = { sql, ...more };
        worker.postMessage(asked);
        const [{ answer, recycle }] = (await reply) as [Reply];
        if (recycle) await drop();
        return answer;
      } catch {
        await drop();
        return {
          facts: null,
          verdict: denied('error:unjudgeable', 'it cannot be judged: it took too long or too much'),
        };
      }
    },
    close: drop,
  };
}
