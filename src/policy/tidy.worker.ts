/**
 * Worker thread that rewrites SQL for people and for the planner: `{ id, job: { tidy } }` → `{ id, result: tidied SQL or null }`,
 * `{ id, job: { effect } }` → `{ id, result: StatementEffect }`. It is killed when a text takes too long.
 */
import { parentPort } from 'node:worker_threads';
import { effectOf, type StatementEffect } from './effect.ts';
import { loadParser } from './parse/parser.ts';
import { tidy } from './tidy.ts';

export type RewriteJob = { readonly tidy: string } | { readonly effect: string };
export type Rewritten = string | StatementEffect | null;

await loadParser();
const port = parentPort;
if (port === null) throw new Error('tidy.worker runs in a worker thread only');
port.on('message', ({ id, job }: { readonly id: number; readonly job: RewriteJob }) => {
  const result: Rewritten = 'tidy' in job ? tidy(job.tidy) : effectOf(job.effect);
  port.postMessage({ id, result, recycle: false });
});
port.postMessage({ ready: true });
