import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parsePolicy } from '../../src/policy/rules/index.ts';
import { joinOwed, joinTerms, owedOf } from '../../src/policy/terms.ts';
import type { HoldTerms, Owed } from '../../src/policy/types.ts';
import { evaluate } from '../../src/policy/verdict.ts';
import { holds } from '../support/property.ts';
import { context, facts } from './facts-of.ts';

const terms = (change: Partial<HoldTerms>): HoldTerms => ({
  approverGroups: [],
  quorum: 1,
  waitMs: null,
  expiresMs: null,
  reasonRequired: false,
  ...change,
});
const due = (groups: string[], count = 1): Owed => ({ groups, count });

describe('dues of several rules', () => {
  it.each([
    ['one rule', [due(['dba'], 2)], 2, { approverGroups: ['dba'], quorum: 2 }],
    [
      'two groups',
      [due(['dba']), due(['security'])],
      1,
      { approverGroups: ['dba', 'security'], quorum: 2, owed: [due(['dba']), due(['security'])] },
    ],
    [
      'the narrower serves the wider',
      [due(['dba', 'oncall']), due(['dba'])],
      1,
      { approverGroups: ['dba'], quorum: 1 },
    ],
    ['the same twice', [due(['dba']), due(['dba'])], 1, { approverGroups: ['dba'], quorum: 1 }],
    [
      'more people than the groups owe',
      [due(['dba'])],
      2,
      { approverGroups: ['dba'], quorum: 2, owed: [due(['dba']), due([])] },
    ],
    ['no group', [], 3, { approverGroups: [], quorum: 3 }],
  ] as const)('%s', (_, all, quorum, wanted) => {
    expect(joinOwed(all, quorum)).toEqual(wanted);
  });

  it('never ask for less than one of them does alone', () => {
    const group = fc.constantFrom('a', 'b', 'c');
    const one = fc.record({
      groups: fc.uniqueArray(group, { minLength: 1, maxLength: 3 }),
      count: fc.integer({ min: 1, max: 3 }),
    });
    holds(
      fc.property(
        fc.array(one, { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 1, max: 4 }),
        (all, quorum) => {
          const joined = joinOwed(all, quorum);
          const sum = owedOf({ ...joined }).reduce((count, each) => count + each.count, 0);
          expect(sum).toBe(joined.quorum);
          expect(joined.quorum).toBeGreaterThanOrEqual(Math.max(quorum, ...all.map(({ count }) => count)));
          for (const each of all)
            expect(
              owedOf({ ...joined }).some(
                (kept) =>
                  kept.groups.length > 0 &&
                  kept.count >= each.count &&
                  kept.groups.every((name) => each.groups.some((own) => own === name)),
              ),
            ).toBe(true);
        },
      ),
    );
  });
});

it('terms of two strings judged as one keep what each asks for', () => {
  const surfaces = ['slack', 'console'] as const;
  expect(
    joinTerms([
      terms({ waitMs: 5, reasonRequired: true, surfaces, escalation: { afterMs: 9, groups: ['a'] } }),
      terms({
        expiresMs: 7,
        ticketRequired: true,
        surfaces: ['slack'],
        escalation: { afterMs: 3, groups: ['b'] },
      }),
    ]),
  ).toEqual(
    terms({
      waitMs: 5,
      expiresMs: 7,
      reasonRequired: true,
      ticketRequired: true,
      surfaces: ['slack'],
      escalation: { afterMs: 3, groups: ['a', 'b'] },
    }),
  );
});

it('a rule may name groups that are each owed one, an escalation and a ticket', () => {
  const read = parsePolicy(`version: 1
rules:
  - name: a
    match: { classes: [delete] }
    effect: hold
    approvers: { each: [dba, security] }
    escalate: { after: 30m, groups: [managers] }
    ticket_required: true
`);
  if (read.kind !== 'policy') throw new Error('mistakes');
  expect(evaluate(read.policy, facts({ class: 'delete' }), context()).terms).toMatchObject({
    quorum: 2,
    owed: [due(['dba']), due(['security'])],
    escalation: { afterMs: 1_800_000, groups: ['managers'] },
    reasonRequired: true,
    ticketRequired: true,
  });
});
