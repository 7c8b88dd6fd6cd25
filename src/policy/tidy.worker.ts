/** Worker thread: `{ id, job: sql }` → `{ id, result: tidied SQL or null }`. It is killed when a text takes too long. */
import { parentPort } from 'node:worker_threads';
import { loadParser } from './parse/parser.ts';
import { tidy } from './tidy.ts';

await loadParser();
const port = parentPort;
if (port === null) throw new Error('tidy.worker runs in a worker thread only');
port.on('message', ({ id, job }: { readonly id: number; readonly job: string }) => {
  port.postMessage({ id, result: tidy(job), recycle: false });
});
port.postMessage({ ready: true });
