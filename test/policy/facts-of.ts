/** Facts and contexts for policy tests, small to write. */
import type { Facts, PolicyContext, StatementFacts } from '../../src/policy/types.ts';

export function statement(part: Partial<StatementFacts>): StatementFacts {
  return {
    class: 'read',
    relations: [],
    functions: [],
    columns: [],
    missingWhere: false,
    unknowns: [],
    verb: (part.class ?? 'read') === 'read' ? 'SELECT' : (part.class ?? 'read').toUpperCase(),
    settings: [],
    effects: [],
    ...part,
  };
}

export function facts(...statements: readonly Partial<StatementFacts>[]): Facts {
  const full = statements.map(statement);
  return {
    kind: 'facts',
    class: full[0]?.class ?? 'empty',
    statements: full,
    treeDigest: '00',
    definitionsDigest: '00',
    redactions: [],
    taggedBinds: [],
    touchesTagged: full.some(({ columns }) => columns.length > 0),
    exposes: full.some(({ columns, unknowns }) => columns.length + unknowns.length > 0),
  };
}

export function relation(
  name: string,
  access: StatementFacts['relations'][number]['access'] = 'read',
  rest: Partial<StatementFacts['relations'][number]> = {},
): StatementFacts['relations'][number] {
  const [schema, bare] = name.includes('.') ? name.split('.') : ['public', name];
  return { schema: schema ?? null, name: bare ?? name, access, indirect: false, known: true, ...rest };
}

export function column(
  name: string,
  use: 'value' | 'predicate' | 'written' = 'value',
  tag = 'email',
): StatementFacts['columns'][number] {
  const [table = '', col = ''] = name.split('.');
  return { schema: 'public', relation: table, column: col, tag, use };
}

export function context(part: Partial<PolicyContext> = {}): PolicyContext {
  return {
    target: 'shop',
    environment: 'demo',
    owner: 'alice@example.com',
    agent: 'Cursor',
    groups: ['developers'],
    level: 'admin',
    transaction: 'idle',
    ...part,
  };
}
