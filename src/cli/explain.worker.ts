/** Worker thread that judges for `policy explain`: hostile text may spoil the parser or take its time, so it can be thrown away. */
import { parentPort, workerData } from 'node:worker_threads';
import { analyse, loadParser } from '../policy/analyse.ts';
import { explained } from '../policy/explain.ts';
import { parsePolicy } from '../policy/rules/index.ts';
import { createTagLookup } from '../policy/rules/tags.ts';
import type { PolicyContext } from '../policy/types.ts';
import { evaluate } from '../policy/verdict.ts';

/** Nobody in particular, with every access level, outside a transaction. */
const CONTEXT: PolicyContext = {
  target: '',
  environment: '',
  owner: null,
  agent: null,
  groups: [],
  level: 'admin',
  transaction: 'idle',
};

const port = parentPort;
const parsed = parsePolicy(String(workerData));
if (port === null || parsed.kind !== 'policy') throw new Error('explain.worker needs a parent and a policy');
const { policy } = parsed;
const tagsOf = createTagLookup(policy);
await loadParser();
port.on('message', (sql: string) => {
  const analysis = analyse(sql, {
    catalog: null,
    resolution: { searchPath: ['public'], tempRelations: [] },
    tagsOf,
    trustedFunctions: policy.trustedFunctions,
  });
  port.postMessage({
    answer: explained(analysis, evaluate(policy, analysis, CONTEXT)),
    recycle: analysis.kind === 'unjudgeable' && analysis.recycle === true,
  });
});
