import { beforeAll, describe, expect, it } from 'vitest';
import { analyse, loadParser } from '../../src/policy/analyse.ts';
import { type Explained, explained, explainLine, explainText } from '../../src/policy/explain.ts';
import { createPolicyHolder, createTagLookup, DEFAULT_POLICY } from '../../src/policy/rules/index.ts';
import { trace } from '../../src/policy/trace.ts';
import type { CatalogSnapshot } from '../../src/policy/types.ts';
import { evaluate } from '../../src/policy/verdict.ts';
import { context } from './facts-of.ts';

const { policy } = createPolicyHolder(DEFAULT_POLICY).current();
const column = (name: string) => ({ name, type: 'text', comment: null, generated: null });
const catalog: CatalogSnapshot = {
  version: '1',
  database: 'shop',
  serverVersion: 180004,
  relations: [
    {
      oid: 16400,
      schema: 'public',
      name: 'customers',
      relkind: 'r',
      columns: [column('id'), column('email')],
      definition: null,
      parents: [],
      triggers: [],
      calls: [],
      rules: [],
      rowSecurity: false,
      rows: 10,
    },
  ],
  functions: [],
  foreignKeys: [],
  customOperators: [],
  takenAt: 0,
};

function explain(sql: string): Explained {
  const analysis = analyse(sql, {
    catalog,
    resolution: { searchPath: ['public'], tempRelations: [] },
    tagsOf: createTagLookup(policy),
    trustedFunctions: [],
  });
  return explained(analysis, evaluate(policy, analysis, context()));
}
const line = async (sql: string): Promise<unknown> =>
  JSON.parse(await explainLine(JSON.stringify({ sql }), explain));

describe('policy explain', () => {
  beforeAll(loadParser);

  it('answers a line with verdict, class, statements, rules and reason', async () => {
    expect(await line('select email from customers')).toEqual({
      verdict: 'hold',
      class: 'read',
      statements: [
        {
          class: 'read',
          relations: ['public.customers'],
          functions: [],
          columns: ['public.customers.email'],
        },
      ],
      rules: ['pii'],
      reason:
        'SELECT reading customers.email (rule pii): it reads personal data; leave these columns out if they are not needed',
    });
  });

  it('keeps the order of the keys', async () => {
    expect(await explainLine('{"sql":"select 1"}', explain)).toMatch(
      /^\{"verdict":"allow","class":"read","statements":\[\{"class":"read","relations":\[\],"functions":\[\],"columns":\[\]\}\],"rules":\["default:read"\],"reason":".*"\}$/,
    );
  });

  it('gives every statement of a string', async () => {
    expect(await line('select 1; drop table customers')).toMatchObject({
      verdict: 'hold',
      class: 'ddl',
      statements: [{ class: 'read' }, { class: 'ddl', relations: ['public.customers'] }],
      rules: ['ddl'],
    });
  });

  it('answers what does not parse with a deny', async () => {
    expect(await line('selec 1')).toMatchObject({
      verdict: 'deny',
      class: 'unknown',
      statements: [],
      rules: ['error:syntax'],
    });
  });

  it.each(['no json', '[]', '{"sql": 3}', 'null', ''])('answers %j with an error line', async (text) => {
    expect(Object.keys(JSON.parse(await explainLine(text, explain)))).toEqual(['error']);
  });

  it('draws a tree for people', async () => {
    expect(explainText(explain('delete from customers where email = $1'))).toBe(`verdict: hold
reason:  DELETE on customers (rule deletes)
rules:   deletes
class:   delete
terms:   any approver, open for 480 min
1. DELETE (delete)
   relations
     public.customers (delete)
   locks
     public.customers: ROW EXCLUSIVE
   tagged columns
     public.customers.email (email, predicate)
   rows changed, estimated
     at most about 10
`);
  });

  it('tells people of every rule whether it decides, and why or why not', async () => {
    const { policy: rules } = createPolicyHolder(`version: 1
pii:
  - { columns: [customers.email], tag: email }
rules:
  - { name: mine, match: { owners: ["bob*"] }, effect: deny }
  - { name: deletes, match: { classes: [delete] }, effect: hold }
  - { name: tried, match: { tags: [email] }, effect: deny, mode: observe }
  - { name: small, match: { classes: [delete] }, unless: { rows_over: 5 }, effect: allow }
  - { name: mail, match: { tags: [email] }, effect: allow }
`).current();
    const input = { catalog, resolution: { searchPath: ['public'], tempRelations: [] } };
    const analysis = analyse('delete from customers where email = $1', {
      ...input,
      tagsOf: createTagLookup(rules),
      trustedFunctions: [],
    });
    const verdict = evaluate(rules, analysis, context());
    const text = explainText(explained(analysis, verdict, trace(rules, analysis, context(), verdict)));
    expect(text).toContain('would deny: tried (observed, not enforced)\n');
    expect(text.slice(text.indexOf('   rules\n'))).toBe(`   rules
     deletes → hold: classes delete
     tried → would deny, observed only: tags email
     mail (allow) matches, others decide: tags email
     default:pii_predicate (allow) matches, others decide
     default:delete (hold) is lifted: rule mail allows it
     small (allow) is excepted: unless rows_over 5
     mine (deny) does not match: owners bob*; the owner is alice@example.com
`);
  });
});
