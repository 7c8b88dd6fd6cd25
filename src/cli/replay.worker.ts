/** Worker thread that judges for an offline `policy replay`: hostile text may spoil the parser or take its time, so it can be thrown away. */
import { parentPort, workerData } from 'node:worker_threads';
import { analyse, loadParser } from '../policy/analyse.ts';
import { createTagLookup, parsePolicy } from '../policy/rules/index.ts';
import type { PolicyContext, ResolutionContext } from '../policy/types.ts';
import { evaluate } from '../policy/verdict.ts';
import type { Opinion } from '../recordings/replay.ts';

export interface Asked {
  readonly sql: string;
  readonly context: PolicyContext;
  readonly resolution: ResolutionContext;
}
export interface Answered {
  readonly opinion: Opinion;
  readonly recycle: boolean;
}

const port = parentPort;
const parsed = parsePolicy(String(workerData));
if (port === null || parsed.kind !== 'policy') throw new Error('replay.worker needs a parent and a policy');
const { policy } = parsed;
const tagsOf = createTagLookup(policy);
await loadParser();
port.on('message', ({ sql, context, resolution }: Asked) => {
  const analysis = analyse(sql, {
    catalog: null,
    resolution,
    tagsOf,
    trustedFunctions: policy.trustedFunctions,
  });
  const answer: Answered = {
    opinion: {
      facts: analysis.kind === 'facts' ? analysis : null,
      verdict: evaluate(policy, analysis, context),
    },
    recycle: analysis.kind === 'unjudgeable' && analysis.recycle === true,
  };
  port.postMessage(answer);
});
