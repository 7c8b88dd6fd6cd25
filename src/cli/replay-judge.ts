/** A policy's opinion on recorded statements without a catalog: one text at a time through a worker, each within its time. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { denied } from '../policy/verdict.ts';
import { workerUrl } from '../policy/worker-url.ts';
import type { ReplayJudge } from '../recordings/replay.ts';
import type { Answered, Asked } from './replay.worker.ts';

const LIMIT_MS = 10_000;

export function createReplayJudge(policyText: string): {
  readonly judge: ReplayJudge;
  close(): Promise<void>;
} {
  let worker: Worker | null = null;
  async function close(): Promise<void> {
    const old = worker;
    worker = null;
    await old?.terminate();
  }
  return {
    async judge(sql, context, resolution) {
      worker ??= new Worker(workerUrl('./replay.worker.js', import.meta.url), {
        workerData: policyText,
        env: {},
      });
      try {
        const reply = once(worker, 'message', { signal: AbortSignal.timeout(LIMIT_MS) });
        const asked: Asked = { sql, context, resolution };
        worker.postMessage(asked);
        const [{ opinion, recycle }] = (await reply) as [Answered];
        if (recycle) await close();
        return opinion;
      } catch {
        await close();
        const why = 'it cannot be judged: it took too long or too much';
        return { facts: null, verdict: denied('error:unjudgeable', why) };
      }
    },
    close,
  };
}
