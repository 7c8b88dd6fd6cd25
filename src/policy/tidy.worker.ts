/**
 * Worker thread that rewrites SQL for people and for the planner: `{ id, job: { tidy } }` → `{ id, result: tidied SQL or null }`,
 * `{ id, job: { effect } }` → `{ id, result: StatementEffect }`, after `{ setup: the grammar }`. It is killed when a text takes too long.
 */
import { parentPort } from 'node:worker_threads';
import { effectOf, type StatementEffect } from './effect.ts';
import { loadGrammar, loadParser } from './parse/grammar.ts';
import { type Grammar, NEWEST } from './server.ts';
import { tidy } from './tidy.ts';

export type RewriteJob = { readonly tidy: string } | { readonly effect: string };
export type Rewritten = string | StatementEffect | null;

await loadParser();
const port = parentPort;
if (port === null) throw new Error('tidy.worker runs in a worker thread only');
let grammar: Grammar = NEWEST;
port.on(
  'message',
  (message: { readonly setup: Grammar } | { readonly id: number; readonly job: RewriteJob }) => {
    if ('setup' in message) {
      grammar = message.setup;
      void loadGrammar(grammar).then(() => port.postMessage({ ready: true }));
      return;
    }
    const { id, job } = message;
    const result: Rewritten = 'tidy' in job ? tidy(job.tidy, grammar) : effectOf(job.effect, grammar);
    port.postMessage({ id, result, recycle: false });
  },
);
port.postMessage({ ready: true });
