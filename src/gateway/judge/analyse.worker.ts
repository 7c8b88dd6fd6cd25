/**
 * Worker thread that reads SQL: hostile text may exhaust the parser's stack or its time, so it never runs where sockets are served.
 * `{ setup }` or `{ patch }` → `{ ready: true }`; `{ id, job }` → `{ id, result: Analysis, recycle }`.
 */
import { parentPort } from 'node:worker_threads';
import { analyse, loadGrammar, loadParser } from '../../policy/analyse.ts';
import { type TagLookup, tagLookup } from '../../policy/rules/tags.ts';
import { grammarFor } from '../../policy/server.ts';
import type { Analysis, CatalogSnapshot } from '../../policy/types.ts';
import type { AnalyseJob, AnalyseSetup } from './analyse-job.ts';
import { type CatalogPatch, patched } from './catalog-patch.ts';

type Message =
  | { readonly setup: AnalyseSetup; readonly patch?: never; readonly id?: never }
  | { readonly patch: CatalogPatch; readonly setup?: never; readonly id?: never }
  | { readonly setup?: never; readonly patch?: never; readonly id: number; readonly job: AnalyseJob };

let catalog: CatalogSnapshot | null = null;
let tagsOf: TagLookup = tagLookup({ pii: [], untagged: [], watched: [] });
let trustedFunctions: readonly string[] = [];

await loadParser();
const port = parentPort;
if (port === null) throw new Error('analyse.worker runs in a worker thread only');
port.on('message', (message: Message) => {
  if (message.setup !== undefined) {
    catalog = message.setup.catalog;
    tagsOf = tagLookup(message.setup.tags);
    trustedFunctions = message.setup.trustedFunctions;
    void loadGrammar(grammarFor(message.setup.catalog)).then(() => port.postMessage({ ready: true }));
    return;
  }
  if (message.patch !== undefined) {
    if (catalog === null) throw new Error('a patch without a catalog');
    catalog = patched(catalog, message.patch);
    port.postMessage({ ready: true });
    return;
  }
  const { id, job } = message;
  const result = read(job);
  port.postMessage({ id, result, recycle: result.kind === 'unjudgeable' && result.recycle === true });
});
port.postMessage({ ready: true });

function read({ sql, resolution }: AnalyseJob): Analysis {
  try {
    return analyse(sql, { catalog, resolution, tagsOf, trustedFunctions });
  } catch {
    return { kind: 'unjudgeable', why: 'The analysis of this text failed.', recycle: true };
  }
}
