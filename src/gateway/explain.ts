import { explainObject, explainText } from '../policy/explain.ts';
import type { PolicyHolder } from '../policy/rules/holder.ts';
import { trace } from '../policy/trace.ts';
import type { PolicyContext } from '../policy/types.ts';
import type { Judge, Target } from './types.ts';

export interface ExplainDeps {
  readonly target: Target;
  readonly judge: Judge;
  readonly policy: PolicyHolder;
  readonly now: () => number;
}

/** What `holdpoint policy explain --target` shows: the verdict for a caller with every access level, outside a transaction. */
export async function explainOn(
  { target, judge, policy, now }: ExplainDeps,
  sql: string,
  tree: boolean,
): Promise<object> {
  const context: PolicyContext = {
    target: target.name,
    environment: target.environment,
    owner: null,
    agent: null,
    groups: [],
    level: 'admin',
    transaction: 'idle',
  };
  const { facts, verdict } = await judge.judge(sql, {
    policy: context,
    resolution: { searchPath: ['public'], tempRelations: [] },
    paramTypes: [],
  });
  if (!tree) return explainObject({ facts, verdict });
  const traces =
    facts === null ? [] : trace(policy.current().policy, facts, { ...context, now: now() }, verdict);
  return { text: explainText({ facts, verdict, traces }) };
}
