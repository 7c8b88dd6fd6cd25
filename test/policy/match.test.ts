/** Every key of a match, both ways: one that fits is enough to restrict, all must fit to permit, and doubt restricts. */
import { describe, expect, it } from 'vitest';
import { compileMatch } from '../../src/policy/rules/match.ts';
import type { Match } from '../../src/policy/rules/types.ts';
import type { PolicyContext, StatementFacts } from '../../src/policy/types.ts';
import { column, context, relation, statement } from './facts-of.ts';

type Row = readonly [
  match: Match,
  what: Partial<StatementFacts>,
  who: Partial<PolicyContext>,
  restricts: boolean,
  permits: boolean,
];
const monday = Date.UTC(2026, 10, 23, 12);
const office = { zone: 'UTC', days: ['mon'], from: 9 * 60, to: 17 * 60 } as const;
const both = { relations: [relation('scratch.a', 'delete'), relation('hr.b', 'delete')] };

describe('a match', () => {
  it.each<Row>([
    [{ classes: ['delete'] }, { class: 'delete' }, {}, true, true],
    [{ classes: ['insert'] }, { class: 'delete' }, {}, false, false],
    [{ classes: ['insert'] }, { class: 'insert', relations: [relation('t', 'delete')] }, {}, true, false],
    [{ classes: ['insert'] }, { class: 'delete', relations: [relation('t', 'insert')] }, {}, true, false],
    [{ classes: ['update'] }, { class: 'insert', relations: [relation('t', 'update')] }, {}, true, false],
    [{ classes: ['truncate'] }, { class: 'call', relations: [relation('t', 'truncate')] }, {}, true, false],
    [{ classes: ['ddl'] }, { class: 'call', relations: [relation('t', 'ddl')] }, {}, true, false],
    [{ classes: ['lock'] }, { class: 'delete', relations: [relation('t', 'table-lock')] }, {}, true, false],
    [{ classes: ['lock'] }, { class: 'read', relations: [relation('t', 'lock')] }, {}, false, false],
    [{ classes: ['insert'] }, { class: 'copy', relations: [relation('t', 'copy-in')] }, {}, true, false],
    [
      { classes: ['copy', 'insert'] },
      { class: 'copy', relations: [relation('t', 'copy-in')] },
      {},
      true,
      true,
    ],
    [{ classes: ['copy'] }, { class: 'call', relations: [relation('t', 'copy-in')] }, {}, true, false],
    [{ classes: ['copy'] }, { class: 'read', relations: [relation('t', 'copy-out')] }, {}, true, false],
    [{ classes: ['unknown'] }, { class: 'read', unknowns: ['function f'] }, {}, true, false],
    [{ classes: ['read'] }, { class: 'insert', relations: [relation('t', 'read')] }, {}, true, false],
    [{ classes: ['insert'] }, { class: 'insert', relations: [relation('t', 'read')] }, {}, true, true],
    [{ relations: ['scratch.*'] }, both, {}, true, false],
    [{ relations: ['scratch.*', 'hr.*'] }, both, {}, true, true],
    [{ relations: ['scratch.*'] }, {}, {}, false, false],
    [
      { relations: ['scratch.a'] },
      { relations: [relation('other.a', 'read', { known: false })] },
      {},
      true,
      false,
    ],
    [{ functions: ['public.f'] }, { functions: ['f'] }, {}, true, false],
    [{ functions: ['public.f'] }, { functions: ['public.f', 'public.g'] }, {}, true, false],
    [{ functions: ['public.*'] }, { functions: ['public.f', 'public.g'] }, {}, true, true],
    [{ functions: ['public.f'] }, { functions: ['other.f'] }, {}, false, false],
    [{ functions: ['f'] }, {}, {}, false, false],
    [{ columns: ['customers.email'] }, { columns: [column('customers.email')] }, {}, true, true],
    [{ columns: ['customers.email'] }, { columns: [column('customers.ssn')] }, {}, false, false],
    [{ tags: ['ssn'] }, { columns: [column('c.email'), column('c.ssn', 'value', 'ssn')] }, {}, true, false],
    [
      { use: ['predicate'] },
      { columns: [column('c.email'), column('c.email', 'predicate')] },
      {},
      true,
      false,
    ],
    // One and the same column.
    [
      { tags: ['ssn'], use: ['value'] },
      { columns: [column('c.email'), column('c.ssn', 'predicate', 'ssn')] },
      {},
      false,
      false,
    ],
    [{ missing_where: true }, { missingWhere: true }, {}, true, true],
    [{ missing_where: false }, { missingWhere: true }, {}, false, false],
    [{ rows_over: 100 }, { rows: 101 }, {}, true, true],
    [{ rows_over: 100 }, { rows: 100 }, {}, false, false],
    [{ rows_over: 100 }, {}, {}, true, false],
    [{ targets: ['SHOP'] }, {}, {}, true, true],
    [{ targets: ['crm'] }, {}, {}, false, false],
    [{ environments: ['prod*'] }, {}, { environment: 'production' }, true, true],
    [{ environments: ['prod*'] }, {}, {}, false, false],
    [{ owners: ['*@example.com'] }, {}, {}, true, true],
    [{ owners: ['*@example.com'] }, {}, { owner: 'm@elsewhere.org' }, false, false],
    [{ agents: ['cursor'] }, {}, {}, true, true],
    [{ agents: ['*'] }, {}, { agent: null }, false, false],
    [{ groups: ['dev*'] }, {}, {}, true, true],
    [{ groups: ['dev*'] }, {}, { groups: [] }, false, false],
    [{ transaction: ['open'] }, {}, { transaction: 'open' }, true, true],
    [{ transaction: ['open'] }, {}, {}, false, false],
    [{ time: office }, {}, { now: monday }, true, true],
    [{ time: office }, {}, { now: monday + 24 * 3_600_000 }, false, false],
    [{ time: office }, {}, {}, true, false],
    [{ classes: ['delete'], groups: ['dba'] }, { class: 'delete' }, {}, false, false],
  ])('%j of %j by %j restricts: %s, permits: %s', (match, what, who, restricts, permits) => {
    const read = (leaning: 'restrict' | 'permit') =>
      compileMatch(match, leaning)(statement(what), context(who));
    expect({ restricts: read('restrict'), permits: read('permit') }).toEqual({ restricts, permits });
  });
});
