/** Row security: whoever uses a table uses what its policies read. */
import { Collector } from '../facts/collector.ts';
import { callHidden } from '../facts/functions.ts';
import { walk } from '../facts/walk.ts';
import { parse } from '../parse/parser.ts';
import type { CatalogPolicy, CatalogRelation, RelationUse } from '../types.ts';
import type { Context } from './context.ts';
import { MAX_DEFINITION_DEPTH } from './context.ts';
import { definedIn, inside } from './definitions.ts';
import type { Summary } from './env.ts';
import { expression } from './expression.ts';
import { shapeOf } from './relation.ts';
import { scopeOf } from './scope.ts';

type Access = RelationUse['access'];

/** Whose rows are changed are read as well: what a SELECT policy hides, no UPDATE finds. */
const ASKED: Readonly<Partial<Record<Access, ReadonlySet<CatalogPolicy['on']>>>> = {
  read: new Set(['all', 'read']),
  'copy-out': new Set(['all', 'read']),
  insert: new Set(['all', 'read', 'insert']),
  'copy-in': new Set(['all', 'read', 'insert']),
  update: new Set(['all', 'read', 'update']),
  delete: new Set(['all', 'read', 'delete']),
};

export function applyPolicies(relation: CatalogRelation, access: Access, context: Context): void {
  const asked = ASKED[access];
  if (asked === undefined) return;
  for (const policy of relation.policies ?? []) {
    if (!asked.has(policy.on)) continue;
    context.out.absorb(policySummary(relation, policy, context).facts, 'view');
  }
}

function policySummary(relation: CatalogRelation, policy: CatalogPolicy, context: Context): Summary {
  const { env, stack } = context;
  const { on, text, calls } = policy;
  const seen = `p${relation.oid}`;
  const facts = new Collector();
  const summary: Summary = { facts, shape: { columns: [], open: null } };
  // The server refuses a policy that comes round to its own table, unless a function of another owner is between them.
  if (stack.includes(seen)) return summary;
  const key = `${seen}\0${context.trustedKey}\0${stack.join()}\0${JSON.stringify([on, text, calls])}`;
  const known = env.bodies.get(key);
  if (known !== undefined) return known;
  const parsed =
    text === null || stack.length > MAX_DEFINITION_DEPTH ? null : parse(`SELECT ${text}`, env.grammar);
  const [statement, more] = parsed?.kind === 'parsed' ? parsed.statements : [];
  if (statement === undefined || more !== undefined) {
    facts.unknowns.add(`row security of ${relation.schema}.${relation.name}`);
    return summary;
  }
  const inner = inside(context, facts, definedIn(env), seen, false);
  const scope = scopeOf([{ alias: relation.name, schema: '', shape: shapeOf(relation, inner) }], null);
  const asks = statement.node['targetList'];
  for (const called of calls) callHidden(called, inner);
  walk(asks, { ctes: null, access: 'read' }, inner);
  facts.use('predicate', expression(asks, scope, inner));
  env.bodies.set(key, summary);
  return summary;
}
