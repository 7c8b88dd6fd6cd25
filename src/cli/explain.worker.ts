/** Worker thread that judges for `policy explain`, `test` and `replay`: hostile text may spoil the parser or take its time, so it can be thrown away. */
import { parentPort, workerData } from 'node:worker_threads';
import { analyse, loadGrammar, loadParser } from '../policy/analyse.ts';
import { explained } from '../policy/explain.ts';
import { parsePolicy } from '../policy/rules/index.ts';
import { createTagLookup } from '../policy/rules/tags.ts';
import { type Grammar, grammarFor, NEWEST } from '../policy/server.ts';
import { trace } from '../policy/trace.ts';
import type { CatalogSnapshot, PolicyContext, ResolutionContext } from '../policy/types.ts';
import { evaluate } from '../policy/verdict.ts';

export interface Asked {
  readonly sql: string;
  readonly context: PolicyContext;
  /** null or absent: unknowns stay unknown. */
  readonly catalog?: CatalogSnapshot | null;
  readonly resolution?: ResolutionContext;
  /** The server's major, where there is no catalog; absent: the newest. */
  readonly server?: Grammar;
}

const PUBLIC: ResolutionContext = { searchPath: ['public'], tempRelations: [] };

const port = parentPort;
const parsed = parsePolicy(String(workerData));
if (port === null || parsed.kind !== 'policy') throw new Error('explain.worker needs a parent and a policy');
const { policy } = parsed;
const tagsOf = createTagLookup(policy);
await loadParser();
port.on('message', async ({ sql, context, catalog = null, resolution = PUBLIC, server = NEWEST }: Asked) => {
  await loadGrammar(catalog === null ? server : grammarFor(catalog));
  const analysis = analyse(sql, {
    catalog,
    server,
    resolution,
    tagsOf,
    trustedFunctions: policy.trustedFunctions,
  });
  const verdict = evaluate(policy, analysis, context);
  port.postMessage({
    answer: explained(analysis, verdict, trace(policy, analysis, context, verdict)),
    recycle: analysis.kind === 'unjudgeable' && analysis.recycle === true,
  });
});
