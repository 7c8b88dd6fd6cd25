/** What `policy check` tells of rules that cannot do what they seem to. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  DEFAULT_POLICY,
  type Match,
  parsePolicy,
  type Rule,
  type RuleEffect,
} from '../../src/policy/rules/index.ts';
import { covers } from '../../src/policy/rules/lint.ts';
import { compileMatch } from '../../src/policy/rules/match.ts';
import type { StatementFacts } from '../../src/policy/types.ts';
import { holds } from '../support/property.ts';
import { column, context, relation, statement } from './facts-of.ts';

function said(text: string): string[] {
  const parsed = parsePolicy(`version: 1\n${text}`);
  if (parsed.kind === 'mistakes') throw new Error(JSON.stringify(parsed.mistakes));
  return parsed.warnings.map(({ line, message }) => `${line}: ${message}`);
}
const rules = (...lines: readonly string[]): string =>
  `rules:\n${lines.map((line) => `  - ${line}\n`).join('')}`;

describe('policy check', () => {
  it('has nothing to say about the default policy', () => {
    const parsed = parsePolicy(DEFAULT_POLICY);
    expect(parsed.kind === 'policy' && parsed.warnings).toEqual([]);
  });

  it.each([
    [
      'a hold under a deny that covers it',
      rules(
        '{ name: all, match: { relations: ["hr.*"] }, effect: deny }',
        '{ name: some, match: { relations: [hr.people], classes: [delete] }, effect: hold }',
      ),
      ['4: never decides: rules[0] "all" denies all it matches'],
    ],
    [
      'an allow beside a hold for the same',
      rules(
        '{ name: yes, match: { classes: [delete], relations: [a.b] }, effect: allow }',
        '{ name: no, match: { classes: [delete], relations: [a.b] }, effect: hold }',
      ),
      ['3: contradicts rules[1] "no": both match the same, and hold wins over allow'],
    ],
    [
      'a rule given twice',
      rules(
        '{ name: a, match: { classes: [ddl] }, effect: hold }',
        '{ name: b, match: { classes: [ddl] }, effect: hold }',
      ),
      ['4: repeats rules[0] "a"'],
    ],
    [
      'an allow of what is allowed',
      rules('{ name: a, match: { classes: [read, insert] }, effect: allow }'),
      [expect.stringMatching(/^3: changes nothing/)],
    ],
    [
      'an allow of what a default denies',
      `defaults: { ddl: deny }\n${rules('{ name: a, match: { classes: [ddl] }, effect: allow }')}`,
      ['4: never decides: default:ddl denies, which an allow rule does not lift; change "defaults"'],
    ],
    [
      'a hold of what a default denies',
      `preset: read-only\n${rules('{ name: a, match: { classes: [ddl, delete] }, effect: hold }')}`,
      ['4: never decides: default:ddl denies all it matches'],
    ],
    [
      'holds that nobody could approve',
      rules(
        '{ name: a, match: { classes: [ddl] }, effect: hold, surfaces: [slack] }',
        '{ name: b, match: { classes: [ddl], environments: [production] }, effect: hold, surfaces: [cli] }',
      ),
      ['4: contradicts rules[0] "a", which holds the same elsewhere: nobody could approve'],
    ],
    [
      'a tag that is nearly one of the policy',
      `pii:\n  - { columns: [ssn], tag: payment }\n${rules('{ name: a, match: { tags: [paymnet] }, effect: hold }')}`,
      ['5: no entry of "pii" has the tag "paymnet" (did you mean "payment"?)'],
    ],
    ['the preset observe', 'preset: observe\n', [expect.stringMatching(/^2: nothing is held or denied/)]],
  ])('tells of %s', (_what, text, expected) => {
    expect(said(text)).toEqual(expected);
  });

  it.each([
    [
      'another match',
      rules(
        '{ name: a, match: { classes: [ddl], environments: [production] }, effect: deny }',
        '{ name: b, match: { classes: [ddl] }, effect: hold }',
      ),
    ],
    [
      'an exception in the wider rule',
      rules(
        '{ name: a, match: { classes: [ddl] }, unless: { owners: [dana] }, effect: deny }',
        '{ name: b, match: { classes: [ddl] }, effect: hold }',
      ),
    ],
    [
      'terms of its own',
      rules(
        '{ name: a, match: { classes: [ddl] }, effect: hold }',
        '{ name: b, match: { classes: [ddl] }, effect: hold, approvers: { quorum: 2 } }',
      ),
    ],
    [
      'a rule that only observes',
      rules(
        '{ name: a, match: { classes: [ddl] }, effect: deny, mode: observe }',
        '{ name: b, match: { classes: [ddl] }, effect: hold }',
      ),
    ],
  ])('says nothing where there is %s', (_what, text) => {
    expect(said(text)).toEqual([]);
  });

  it('says that a rule is covered only when every statement it matches is', () => {
    const some = <T>(...items: readonly T[]) =>
      fc.uniqueArray(fc.constantFrom(...items), { minLength: 1, maxLength: 2 });
    const match: fc.Arbitrary<Match> = fc.record(
      {
        classes: some('read', 'delete', 'ddl'),
        relations: some('*', 'a.*', 'a.b', 'b', 'B', '*.b*'),
        columns: some('*', 'email', 'a.b.email', 'b.*'),
        tags: some('email', 'ssn'),
        use: some('value', 'predicate'),
        owners: some('*', 'alice*', 'bob'),
        missing_where: fc.boolean(),
        transaction: some('idle', 'open'),
        rows_over: fc.constantFrom(1, 10),
      },
      { requiredKeys: [] },
    );
    const rule = (effect: RuleEffect, one: Match): Rule => ({
      name: 'x',
      match: one,
      unless: null,
      effect,
      mode: 'enforce',
      message: null,
      terms: {
        groups: [],
        quorum: null,
        waitMs: null,
        expiresMs: null,
        each: [],
        escalation: null,
        reasonRequired: false,
        ticketRequired: false,
        surfaces: null,
      },
    });
    const facts: fc.Arbitrary<StatementFacts> = fc
      .record({
        class: fc.constantFrom('read', 'delete', 'ddl'),
        relations: fc.array(
          fc.constantFrom(
            relation('a.b'),
            relation('c.b', 'delete'),
            relation('b', 'read', { known: false }),
          ),
          { maxLength: 2 },
        ),
        columns: fc.array(fc.constantFrom(column('b.email'), column('b.ssn', 'predicate', 'ssn')), {
          maxLength: 2,
        }),
        missingWhere: fc.boolean(),
        rows: fc.constantFrom(undefined, 5, 50),
      })
      .map(({ rows, ...rest }) =>
        statement({ ...rest, ...(rows === undefined ? {} : { rows }) } as Partial<StatementFacts>),
      );
    holds(
      fc.property(
        match,
        match,
        fc.constantFrom('allow', 'hold'),
        fc.array(facts, { minLength: 5 }),
        (a, b, effect, all) => {
          if (!covers(rule('deny', a), rule(effect, b))) return;
          const wide = compileMatch(a, 'restrict');
          const narrow = compileMatch(b, effect === 'allow' ? 'permit' : 'restrict');
          for (const one of all)
            for (const owner of ['alice@example.com', 'bob', null])
              if (narrow(one, context({ owner })))
                expect(wide(one, context({ owner })), JSON.stringify([a, b, one])).toBe(true);
        },
      ),
      { numRuns: 3000 },
    );
  });
});
