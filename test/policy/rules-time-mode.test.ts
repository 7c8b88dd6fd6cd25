/** Time windows, estimated rows, presets, rules that only observe, and where may be approved. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatMistakes, openWindows, type Policy, parsePolicy } from '../../src/policy/rules/index.ts';
import { inWindow, type TimeWindow } from '../../src/policy/rules/window.ts';
import type { StatementFacts } from '../../src/policy/types.ts';
import { evaluate } from '../../src/policy/verdict.ts';
import { holds } from '../support/property.ts';
import { column, context, facts, relation } from './facts-of.ts';

function policy(text: string): Policy {
  const parsed = parsePolicy(`version: 1\n${text}`);
  if (parsed.kind === 'mistakes') throw new Error(formatMistakes('policy', parsed.mistakes));
  return parsed.policy;
}
const at = (text: string): number => Date.parse(text);
const night: TimeWindow = { zone: 'Europe/Berlin', days: ['fri'], from: 22 * 60, to: 6 * 60 };

describe('a time window', () => {
  it.each([
    ['2026-11-20T20:59:00Z', false],
    ['2026-11-20T21:00:00Z', true],
    // Saturday morning belongs to the window that began on Friday.
    ['2026-11-21T04:59:59Z', true],
    ['2026-11-21T05:00:00Z', false],
    ['2026-11-20T04:00:00Z', false],
    // In summer Berlin is two hours ahead.
    ['2026-07-17T20:00:00Z', true],
  ])('at %s is open: %s', (time, open) => {
    expect(inWindow(night, at(time))).toBe(open);
  });

  it('of a whole day and its complement never overlap and leave no gap, in any zone', () => {
    holds(
      fc.property(
        fc.constantFrom('UTC', 'Asia/Kathmandu', 'America/St_Johns', 'Pacific/Apia', 'Europe/Berlin'),
        fc.integer({ min: 0, max: 1439 }),
        fc.integer({ min: 0, max: 1439 }),
        fc.integer({ min: 0, max: 4e12 }),
        (zone, from, to, now) => {
          fc.pre(from !== to);
          const one = inWindow({ zone, days: null, from, to }, now);
          const other = inWindow({ zone, days: null, from: to, to: from }, now);
          expect(one).toBe(!other);
        },
      ),
    );
  });

  const text = `rules:
  - name: nights
    match: { time: { zone: Europe/Berlin, days: [fri], from: "22:00", to: "06:00" } }
    effect: deny
`;
  it('decides by the clock that is passed in; without a clock it restricts', () => {
    const rules = policy(text);
    const effect = (now?: number) =>
      evaluate(rules, facts({}), context(now === undefined ? {} : { now })).effect;
    expect(effect(at('2026-11-20T21:30:00Z'))).toBe('deny');
    expect(effect(at('2026-11-20T20:30:00Z'))).toBe('allow');
    expect(effect()).toBe('deny');
  });

  it('that permits needs a clock', () => {
    const rules = policy(`rules:
  - name: office
    match: { classes: [delete] }
    unless: { time: { zone: UTC, from: "09:00", to: "17:00" } }
    effect: deny
`);
    const effect = (now?: number) =>
      evaluate(rules, facts({ class: 'delete' }), context(now === undefined ? {} : { now })).effect;
    expect(effect(at('2026-11-20T10:00:00Z'))).toBe('hold');
    expect(effect(at('2026-11-20T18:00:00Z'))).toBe('deny');
    expect(effect()).toBe('deny');
  });

  it('of a policy makes a kept verdict stale when it opens or closes, and only then', () => {
    const rules = policy(text);
    const [before, inside, after] = ['2026-11-20T20:59:59Z', '2026-11-20T21:00:00Z', '2026-11-21T05:00:00Z'];
    expect(openWindows(rules, at(before))).toBe('0');
    expect(openWindows(rules, at(inside))).toBe('1');
    expect(openWindows(rules, at(after))).toBe('0');
    expect(openWindows(policy(''), at(inside))).toBe('');
  });

  it.each([
    ['an unknown zone', '{ zone: Mars/Olympus, from: "09:00", to: "17:00" }', /is no time zone/],
    ['no zone', '{ from: "09:00", to: "17:00" }', /zone/],
    ['no time', '{ zone: UTC, from: "25:00", to: "17:00" }', /"25:00" is no time of day/],
    ['no length', '{ zone: UTC, from: "09:00", to: "9:00" }', /begins and ends at the same time/],
    [
      'a strange day',
      '{ zone: UTC, days: [monday], from: "09:00", to: "17:00" }',
      /"monday" is none of: mon/,
    ],
  ])('with %s is a mistake', (_what, window, said) => {
    const parsed = parsePolicy(
      `version: 1\nrules:\n  - name: a\n    match:\n      time: ${window}\n    effect: deny\n`,
    );
    expect(
      parsed.kind === 'mistakes' && parsed.mistakes.map(({ message, path }) => `${path} ${message}`),
    ).toEqual([expect.stringMatching(said)]);
  });
});

describe('rows_over', () => {
  const rules = policy(`defaults: { delete: allow }
rules:
  - name: many
    match: { classes: [delete], rows_over: 100 }
    effect: hold
`);
  it.each([
    ['more', 101, 'hold'],
    ['as many', 100, 'allow'],
    ['nobody knows how many', undefined, 'hold'],
  ])('with %s', (_what, rows, effect) => {
    const one = facts({ class: 'delete', relations: [relation('orders', 'delete')], ...(rows && { rows }) });
    expect(evaluate(rules, one, context()).effect).toBe(effect);
  });

  it('permits nothing on an unknown estimate', () => {
    const few = policy(`rules:
  - name: few
    match: { classes: [delete] }
    unless: { rows_over: 100 }
    effect: allow
`);
    expect(evaluate(few, facts({ class: 'delete', rows: 7 }), context()).effect).toBe('allow');
    expect(evaluate(few, facts({ class: 'delete' }), context()).effect).toBe('hold');
  });
});

describe('a rule with mode observe', () => {
  const rules = policy(`rules:
  - name: tried
    match: { classes: [read] }
    effect: deny
    mode: observe
  - name: deletes
    match: { classes: [delete] }
    effect: hold
`);
  it('is told and not enforced', () => {
    const verdict = evaluate(rules, facts({ relations: [relation('orders')] }), context());
    expect(verdict).toMatchObject({
      effect: 'allow',
      rules: ['default:read'],
      observed: { effect: 'deny', rules: ['tried'] },
    });
    expect(verdict.reason).not.toContain('tried');
  });
  it('does not soften what others enforce', () => {
    const verdict = evaluate(rules, facts({ class: 'delete', relations: [relation('orders')] }), context());
    expect(verdict).toMatchObject({ effect: 'hold', rules: ['deletes'], observed: { rules: ['tried'] } });
  });
  it('is absent where it does not match', () => {
    expect(evaluate(rules, facts({ class: 'session' }), context())).not.toHaveProperty('observed');
  });
  it('lends its terms to nobody', () => {
    const terms = policy(`rules:
  - { name: one, match: { classes: [delete] }, effect: hold, mode: observe, approvers: { groups: [x], quorum: 3 } }
`);
    expect(evaluate(terms, facts({ class: 'delete' }), context()).terms).toMatchObject({
      approverGroups: [],
      quorum: 1,
    });
  });
});

describe('a preset', () => {
  const verdict = (text: string, one: Partial<StatementFacts>, more = {}) =>
    evaluate(policy(text), facts(one), context(more));
  const insert = { class: 'insert', relations: [relation('orders', 'insert')] } as const;

  it('is guarded where none is named', () => {
    expect(policy('')).toEqual(policy('preset: guarded'));
  });
  it('strict holds every change and every use of tagged columns, and denies rights', () => {
    expect(verdict('preset: strict', insert).effect).toBe('hold');
    expect(verdict('preset: strict', { columns: [column('users.email', 'predicate')] }).effect).toBe('hold');
    expect(verdict('preset: strict', { class: 'dcl' }).effect).toBe('deny');
    expect(verdict('preset: strict', {}).effect).toBe('allow');
  });
  it('read-only lets nothing write, by COPY neither, nor what cannot be seen through', () => {
    expect(verdict('preset: read-only', insert).effect).toBe('deny');
    expect(
      verdict('preset: read-only', { class: 'copy', relations: [relation('orders', 'copy-in')] }).effect,
    ).toBe('deny');
    expect(verdict('preset: read-only', { unknowns: ['f'] }).effect).toBe('deny');
    expect(
      verdict('preset: read-only', { class: 'copy', relations: [relation('orders', 'copy-out')] }).effect,
    ).toBe('allow');
    expect(verdict('preset: read-only', { columns: [column('users.email')] }).effect).toBe('hold');
  });
  it('observe enforces nothing but access levels and rules that say so', () => {
    const text = `preset: observe
rules:
  - { name: drops, match: { classes: [ddl] }, effect: deny, mode: enforce }
  - { name: writes, match: { classes: [delete] }, effect: deny }
`;
    expect(verdict(text, { class: 'delete' })).toMatchObject({
      effect: 'allow',
      rules: ['default:delete'],
      observed: { effect: 'deny', rules: ['writes'] },
    });
    expect(verdict(text, { class: 'ddl' }).effect).toBe('deny');
    expect(verdict(text, { class: 'delete' }, { level: 'read-only' }).effect).toBe('deny');
    expect(evaluate(policy(text), { kind: 'syntax', message: '', position: null }, context()).effect).toBe(
      'deny',
    );
  });
  it('gives way to the defaults that the policy states', () => {
    expect(verdict('preset: strict\ndefaults: { insert: allow }', insert).effect).toBe('allow');
  });
  it('is never more permissive than guarded, but for observe', () => {
    const rank = { allow: 0, mask: 1, hold: 1, deny: 2 };
    const { defaults } = policy('');
    for (const name of ['strict', 'read-only'])
      for (const [key, effect] of Object.entries(policy(`preset: ${name}`).defaults))
        expect(rank[effect], `${name} ${key}`).toBeGreaterThanOrEqual(
          rank[Object.entries(defaults).find(([one]) => one === key)?.[1] ?? 'deny'],
        );
  });
});

describe('surfaces', () => {
  const held = (text: string) => evaluate(policy(text), facts({ class: 'delete' }), context()).terms;
  it('are those that every rule allows, or the policy’s', () => {
    const two = `surfaces: [slack, console]
rules:
  - { name: one, match: { classes: [delete] }, effect: hold, surfaces: [console, cli] }
  - { name: two, match: { classes: [delete] }, effect: hold }
`;
    expect(held(two).surfaces).toEqual(['console']);
    expect(held('')).not.toHaveProperty('surfaces');
  });
  it('that exclude each other leave none', () => {
    const none = `rules:
  - { name: one, match: { classes: [delete] }, effect: hold, surfaces: [slack] }
  - { name: two, match: { classes: [delete] }, effect: hold, surfaces: [cli] }
`;
    expect(held(none).surfaces).toEqual([]);
  });
});
