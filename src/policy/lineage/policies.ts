/** Row security: whoever uses a table uses what its policies read. */
import { Collector } from '../facts/collector.ts';
import { callHidden } from '../facts/functions.ts';
import { walk } from '../facts/walk.ts';
import { parse } from '../parse/parser.ts';
import type { CatalogPolicy, CatalogRelation, RelationUse } from '../types.ts';
import type { Context } from './context.ts';
import { MAX_DEFINITION_DEPTH } from './context.ts';
import { definedIn, inside, knowing, readOnce } from './definitions.ts';
import type { Summary } from './env.ts';
import { expression } from './expression.ts';
import { shapeOf } from './relation.ts';
import { scopeOf } from './scope.ts';

/** As what rows are asked for; those that are changed are looked for as well, and new ones too where the statement reads them back. */
const ASKED: Readonly<Partial<Record<RelationUse['access'], CatalogPolicy['on']>>> = {
  read: ['read'],
  'copy-out': ['read'],
  insert: ['read', 'insert'],
  'copy-in': ['read', 'insert'],
  update: ['read', 'update'],
  delete: ['read', 'delete'],
};

const UNREAD: CatalogPolicy['on'] = ['insert'];

/** `own`: asked for by the session itself, not by whose view, function or foreign key it goes through. */
export function applyPolicies(
  relation: CatalogRelation,
  access: RelationUse['access'],
  context: Context,
  own = false,
): void {
  const asked = access === 'insert' && context.unread === true ? UNREAD : (ASKED[access] ?? []);
  for (const policy of relation.policies ?? []) {
    if (!policy.on.some((event) => asked.includes(event))) continue;
    if (own && !context.indirect && context.env.spared(policy, context.resolution)) continue;
    context.out.absorb(policySummary(relation, policy, context).facts, 'view');
  }
}

function policySummary(relation: CatalogRelation, policy: CatalogPolicy, context: Context): Summary {
  const { env, stack } = context;
  const { text, calls } = policy;
  const seen = `p${relation.oid}`;
  // The server refuses a policy that comes round to its own table, unless a function of another owner is between them.
  if (stack.includes(seen)) return { facts: new Collector(), shape: { columns: [], open: null } };
  const key = `${seen}\0${context.trustedKey}\0${stack.join()}\0${JSON.stringify([text, calls])}\0${knowing(context)}`;
  return readOnce(env.bodies, key, context, () => readPolicy(relation, policy, context));
}

function readPolicy(relation: CatalogRelation, { text, calls }: CatalogPolicy, context: Context) {
  const { env, stack } = context;
  const seen = `p${relation.oid}`;
  const facts = new Collector();
  const value: Summary = { facts, shape: { columns: [], open: null } };
  const parsed =
    text === null || stack.length > MAX_DEFINITION_DEPTH ? null : parse(`SELECT ${text}`, env.grammar);
  const [statement, more] = parsed?.kind === 'parsed' ? parsed.statements : [];
  if (statement === undefined || more !== undefined) {
    facts.unknowns.add(`row security of ${relation.schema}.${relation.name}`);
    return { value, byPath: false, keep: false };
  }
  const inner = inside(context, facts, definedIn(context), seen, false);
  const scope = scopeOf([{ alias: relation.name, schema: '', shape: shapeOf(relation, inner) }], null);
  const asks = statement.node['targetList'];
  for (const called of calls) callHidden(called, inner);
  walk(asks, { ctes: null, access: 'read' }, inner);
  facts.use('predicate', expression(asks, scope, inner));
  return { value, byPath: facts.byPath, keep: true };
}
