import { describe, expect, it } from 'vitest';
import { parseDuration } from '../../src/policy/rules/duration.ts';
import { matchesName, matchesText, splitGlob } from '../../src/policy/rules/glob.ts';
import {
  BUILT_IN_DEFAULTS,
  createPolicyHolder,
  createTagLookup,
  DEFAULT_POLICY,
  formatMistakes,
  type Mistake,
  type Policy,
  PolicyRefused,
  parsePolicy,
} from '../../src/policy/rules/index.ts';

function mistakes(text: string): readonly Mistake[] {
  const parsed = parsePolicy(text);
  return parsed.kind === 'mistakes' ? parsed.mistakes : [];
}
function policy(text: string): Policy {
  const parsed = parsePolicy(text);
  if (parsed.kind === 'mistakes') throw new Error(formatMistakes('policy', parsed.mistakes));
  return parsed.policy;
}

describe('a policy text', () => {
  it('may be nothing but its version: the built-in defaults rule', () => {
    const read = policy('version: 1\n');
    expect(read.defaults).toEqual(BUILT_IN_DEFAULTS);
    expect(read.rules).toEqual([]);
  });

  it('becomes a typed policy, durations in milliseconds', () => {
    const read = policy(`version: 1
approvers: { groups: [dba] }
expires: 1h30m
rules:
  - name: deletes
    match: { classes: [delete], relations: ["public.*"] }
    unless: { environments: [test] }
    effect: hold
    message: ask first
    approvers: { groups: [dba, leads], quorum: 2 }
    wait: 25s
    reason_required: true
`);
    expect(read.terms).toEqual({
      groups: ['dba'],
      quorum: null,
      waitMs: null,
      expiresMs: 5_400_000,
      each: [],
      escalation: null,
      reasonRequired: false,
      ticketRequired: false,
      surfaces: null,
    });
    expect(read.rules[0]).toEqual({
      name: 'deletes',
      match: { classes: ['delete'], relations: ['public.*'] },
      unless: { environments: ['test'] },
      effect: 'hold',
      mode: 'enforce',
      message: 'ask first',
      terms: {
        groups: ['dba', 'leads'],
        quorum: 2,
        waitMs: 25_000,
        expiresMs: null,
        each: [],
        escalation: null,
        reasonRequired: true,
        ticketRequired: false,
        surfaces: null,
      },
    });
  });

  it('tells every mistake at once, each with its line and column', () => {
    const text = `version: 2
pii:
  - columns: ["a.b.c.d"]
    tag: Email
defaults:
  delete: maybe
rules:
  - name: one
    match: { classes: [delet] }
    efect: hold
    effect: hold
  - name: one
    match: { clases: [read] }
    effect: deny
    wait: soon
  - name: three
    effect: allow
`;
    const found = mistakes(text);
    const lines = text.split('\n');
    const at = (needle: string, nth = 0) => {
      const line = lines.findIndex((each, index) => each.includes(needle) && index >= nth);
      return { line: line + 1, column: (lines[line] ?? '').indexOf(needle) + 1 };
    };
    expect(found.map(({ line, column }) => ({ line, column }))).toEqual([
      at('2'),
      at('"a.b.c.d"'),
      at('Email'),
      at('maybe'),
      at('delet]'),
      at('efect: '),
      at('one', 10),
      at('clases'),
      at('soon'),
      at('name: three'),
    ]);
    const text_ = formatMistakes('policy.yaml', found);
    expect(text_).toContain('policy.yaml:9:24: rules[0].match.classes[0]: "delet" is none of: empty, read');
    expect(text_).toContain('(did you mean "delete"?)');
    expect(text_).toContain('unknown key "efect" (did you mean "effect"?)');
    expect(text_).toContain('the name "one" is taken by rules[0] already');
    expect(text_).toContain('"soon" is no duration');
    expect(text_).toContain('an allow rule needs a match');
  });

  it.each([
    ['broken YAML', 'version: 1\nrules: [', 2],
    ['a key given twice', 'version: 1\nversion: 1\n', 2],
    ['an empty text', '', 1],
    ['a list instead of a block', '- 1\n', 1],
    ['an empty unless', 'version: 1\nrules:\n  - name: a\n    effect: hold\n    unless: {}\n', 5],
    ['an empty list', 'version: 1\nrules:\n  - name: a\n    match: { classes: [] }\n    effect: hold\n', 4],
    ['trust by a wild card', 'version: 1\ntrusted_functions:\n  - "*.*"\n', 3],
    ['an unresolved alias', 'version: 1\ntrusted_functions: *x\n', 2],
  ])('is refused for %s, with the place', (_what, text, line) => {
    const found = mistakes(text);
    expect(found.length).toBeGreaterThan(0);
    expect(found[0]?.line).toBe(line);
    expect(found[0]?.column).toBeGreaterThan(0);
  });

  it('is refused when aliases multiply', () => {
    const rows = ['version: 1', 'a0: &a0 [x, x, x, x, x, x, x, x, x, x]'];
    for (let i = 1; i < 9; i += 1)
      rows.push(
        `a${i}: &a${i} [${Array(10)
          .fill(`*a${i - 1}`)
          .join(', ')}]`,
      );
    expect(mistakes(rows.join('\n')).some(({ message }) => message.includes('aliases'))).toBe(true);
  });

  it('warns that mask is enforced as hold', () => {
    const parsed = parsePolicy('version: 1\ndefaults:\n  pii_value: mask\n');
    expect(parsed.kind === 'policy' && parsed.warnings).toMatchObject([{ line: 3, column: 14 }]);
  });

  it('shipped as the default parses without a warning', () => {
    const parsed = parsePolicy(DEFAULT_POLICY);
    expect(parsed).toMatchObject({ kind: 'policy', warnings: [] });
  });

  it('shipped as the default states the built-in defaults', () => {
    expect(policy(DEFAULT_POLICY).defaults).toEqual(BUILT_IN_DEFAULTS);
  });
});

describe('globs', () => {
  it.each([
    ['*', '', true],
    ['a*c', 'abbbc', true],
    ['a*c', 'abbb', false],
    ['*a*a*b', 'aaab', true],
    ['a', 'ab', false],
  ])('%s against %s is %s', (glob, text, wanted) => {
    expect(matchesText(glob, text)).toBe(wanted);
  });

  it('take a hostile pattern in linear steps', () => {
    const start = performance.now();
    expect(matchesText(`${'*a'.repeat(100)}b`, 'a'.repeat(5000))).toBe(false);
    expect(performance.now() - start).toBeLessThan(500);
  });

  it('are split at dots outside double quotes', () => {
    expect(splitGlob('"my.schema".orders', 2)).toEqual(['my.schema', 'orders']);
    expect(splitGlob('"a""b".c', 2)).toEqual(['a"b', 'c']);
    expect(splitGlob('a..b', 3)).toBeTypeOf('string');
    expect(splitGlob('"a', 3)).toBeTypeOf('string');
    expect(splitGlob('a.', 3)).toBeTypeOf('string');
    expect(splitGlob('"a"b', 3)).toBeTypeOf('string');
    expect(splitGlob('"a"bc', 3)).toBeTypeOf('string');
    expect(splitGlob('a.b.c', 2)).toBeTypeOf('string');
  });

  it('restrict without regard to case and with unresolved parts, permit only what is certain', () => {
    expect(matchesName(['public', 'orders'], [null, 'ORDERS'], 'restrict')).toBe(true);
    expect(matchesName(['public', 'orders'], [null, 'orders'], 'permit')).toBe(false);
    expect(matchesName(['public', 'orders'], ['public', 'Orders'], 'permit')).toBe(false);
    expect(matchesName(['orders'], ['any', 'orders'], 'permit')).toBe(true);
    expect(matchesName(['orders'], [null, 'orders'], 'permit')).toBe(false);
    expect(matchesName(['orders'], [null, 'orders'], 'restrict')).toBe(true);
  });
});

describe('tags', () => {
  const lookup = createTagLookup(
    policy(`version: 1
pii:
  - { columns: ["*.customers.email"], tag: email }
  - { columns: [ssn], tag: ssn }
rules:
  - { name: totals, match: { columns: ["public.orders.total"] }, effect: deny }
  - { name: fine, match: { columns: ["public.orders.note"] }, effect: allow }
`),
  );
  it('are not given where the policy says so, in the exact case, but a rule still sees the column', () => {
    const without = createTagLookup(
      policy(`version: 1
pii:
  - { columns: [email], tag: email }
untagged: ["newsletter.email", "public.orders.contact"]
rules:
  - { name: contacts, match: { columns: ["public.orders.contact"] }, effect: deny }
`),
    );
    expect(without('public', 'newsletter', 'email', 'pii:mail')).toBeNull();
    expect(without('public', 'Newsletter', 'email', null)).toBe('email');
    expect(without('public', 'customers', 'email', null)).toBe('email');
    expect(without('public', 'orders', 'contact', 'pii')).toBe('watched');
    expect(without.untagged?.('public', 'orders', 'contact')).toBe(true);
    expect(without.untagged?.('public', 'orders', 'note')).toBe(false);
  });

  it('come from the globs, whatever the case', () => {
    expect(lookup('shop', 'customers', 'email', null)).toBe('email');
    expect(lookup('shop', 'Customers', 'EMAIL', null)).toBe('email');
    expect(lookup('shop', 'orders', 'email', null)).toBeNull();
    expect(lookup('x', 'y', 'ssn', null)).toBe('ssn');
  });
  it('come from comments', () => {
    expect(lookup('a', 'b', 'c', 'pii:phone')).toBe('phone');
    expect(lookup('a', 'b', 'c', 'The number. PII: Phone of the person')).toBe('phone');
    expect(lookup('a', 'b', 'c', 'pii')).toBe('pii');
    expect(lookup('a', 'b', 'c', 'pii:!')).toBe('pii');
    expect(lookup('a', 'b', 'c', 'happiis')).toBeNull();
  });
  it('watch the columns that a restrictive rule names', () => {
    expect(lookup('public', 'orders', 'total', null)).toBe('watched');
    expect(lookup('public', 'orders', 'note', null)).toBeNull();
  });
});

describe('durations', () => {
  it.each([
    ['25s', 25_000],
    ['1h30m', 5_400_000],
    ['0', 0],
    ['10', null],
    ['', null],
    ['-1s', null],
    ['999999999d999999999d', null],
  ])('%s', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });
});

describe('the policy in force', () => {
  it('is replaced as a whole, and told to who listens', () => {
    const holder = createPolicyHolder('version: 1\n');
    const seen: string[] = [];
    const stop = holder.onChange(({ version }) => seen.push(version));
    const before = holder.current().version;
    expect(holder.replace('version: 1\ndefaults: { read: deny }\n').kind).toBe('replaced');
    expect(holder.current().version).not.toBe(before);
    expect(holder.current().policy.defaults.read).toBe('deny');
    stop();
    expect(holder.replace('version: 1\n').kind).toBe('replaced');
    expect(seen).toHaveLength(1);
  });
  it('stays when the new text has mistakes', () => {
    const holder = createPolicyHolder('version: 1\n');
    const before = holder.current();
    expect(holder.replace('version: 1\nrules: 3\n')).toMatchObject({
      kind: 'refused',
      mistakes: [{ line: 2, column: 8 }],
    });
    expect(holder.current()).toBe(before);
  });
  it('must be right at the start', () => {
    expect(() => createPolicyHolder('version: 3', 'p.yaml')).toThrow(PolicyRefused);
    expect(() => createPolicyHolder('version: 3', 'p.yaml')).toThrow('p.yaml:1:10');
  });
});
