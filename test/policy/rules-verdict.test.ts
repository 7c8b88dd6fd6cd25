import { describe, expect, it } from 'vitest';
import { DEFAULT_POLICY, formatMistakes, type Policy, parsePolicy } from '../../src/policy/rules/index.ts';
import type { Facts, PolicyContext, StatementClass } from '../../src/policy/types.ts';
import { STATEMENT_CLASSES } from '../../src/policy/types.ts';
import { evaluate } from '../../src/policy/verdict.ts';
import { column, context, facts, relation } from './facts-of.ts';

function policy(text: string): Policy {
  const parsed = parsePolicy(`version: 1\n${text}`);
  if (parsed.kind === 'mistakes') throw new Error(formatMistakes('policy', parsed.mistakes));
  return parsed.policy;
}
const rules = (...lines: readonly string[]) =>
  policy(`rules:\n${lines.map((line) => `  - ${line}`).join('\n')}\n`);
const effect = (rule: Policy, what: Facts, who: Partial<PolicyContext> = {}) =>
  evaluate(rule, what, context(who)).effect;

const empty = policy('');
const del = facts({ class: 'delete', relations: [relation('orders', 'delete')] });

describe('visible defaults', () => {
  const held: readonly StatementClass[] = [
    'merge',
    'lock',
    'call',
    'do',
    'delete',
    'truncate',
    'ddl',
    'dcl',
    'admin',
    'unknown',
  ];
  it.each(STATEMENT_CLASSES.map((name) => [name, held.includes(name) ? 'hold' : 'allow'] as const))(
    '%s → %s',
    (name, wanted) => {
      const verdict = evaluate(empty, facts({ class: name }), context());
      expect(verdict).toMatchObject({ effect: wanted, rules: [`default:${name}`] });
    },
  );
  it('hold what cannot be seen through, a missing WHERE and the value of a tagged column', () => {
    expect(effect(empty, facts({ unknowns: ['function f'] }))).toBe('hold');
    expect(effect(empty, facts({ class: 'update', missingWhere: true }))).toBe('hold');
    expect(effect(empty, facts({ columns: [column('customers.email', 'value')] }))).toBe('hold');
    expect(effect(empty, facts({ columns: [column('customers.email', 'predicate')] }))).toBe('allow');
    expect(effect(empty, facts({ class: 'insert', columns: [column('customers.email', 'written')] }))).toBe(
      'allow',
    );
  });
  it('count what happens on the way: a cascade or a CTE that deletes', () => {
    expect(
      effect(empty, facts({ class: 'insert', relations: [relation('t', 'delete', { indirect: true })] })),
    ).toBe('hold');
  });
  it('name each predicate use, so that it is recorded', () => {
    expect(evaluate(empty, facts({ columns: [column('c.email', 'predicate')] }), context()).rules).toContain(
      'default:pii_predicate',
    );
  });
  it('allow an empty string', () => {
    expect(evaluate(empty, facts(), context())).toMatchObject({ effect: 'allow', rules: ['default:empty'] });
  });
});

describe('rules', () => {
  it('the most restrictive wins, and is named', () => {
    const three = rules(
      '{ name: a, match: { classes: [delete] }, effect: allow }',
      '{ name: b, match: { classes: [delete] }, effect: hold }',
      '{ name: c, match: { relations: [orders] }, effect: deny, message: never here }',
    );
    expect(evaluate(three, del, context())).toMatchObject({
      effect: 'deny',
      rules: ['c'],
      reason: 'DELETE on orders (rule c): never here',
    });
  });
  it('the most restrictive statement of a string stands for it', () => {
    expect(effect(empty, facts({}, { class: 'ddl' }, {}))).toBe('hold');
  });
  it('an exception takes a rule away, not the default', () => {
    const one = rules('{ name: a, match: { classes: [read] }, unless: { groups: [dba] }, effect: deny }');
    expect(effect(one, facts({}))).toBe('deny');
    expect(effect(one, facts({}), { groups: ['DBA'] })).toBe('allow');
  });
  it('an exception must cover everything that is touched', () => {
    const one = rules(
      '{ name: a, match: { classes: [delete] }, unless: { relations: ["scratch.*"] }, effect: deny }',
    );
    expect(effect(one, facts({ class: 'delete', relations: [relation('scratch.a', 'delete')] }))).toBe(
      'hold',
    );
    expect(
      effect(one, facts({ class: 'delete', relations: [relation('scratch.a', 'delete'), relation('hr.b')] })),
    ).toBe('deny');
    expect(effect(one, facts({ class: 'delete', relations: [] }))).toBe('deny');
  });
  it('allow lifts a default hold for what it covers wholly', () => {
    const one = rules('{ name: scratch, match: { relations: ["scratch.*"] }, effect: allow }');
    expect(effect(one, facts({ class: 'delete', relations: [relation('scratch.a', 'delete')] }))).toBe(
      'allow',
    );
    expect(
      effect(
        one,
        facts({ class: 'delete', relations: [relation('scratch.a', 'delete'), relation('b', 'delete')] }),
      ),
    ).toBe('hold');
    expect(
      effect(
        one,
        facts({
          class: 'delete',
          relations: [relation('scratch.a', 'delete', { known: false, schema: null })],
        }),
      ),
    ).toBe('hold');
    expect(effect(one, facts({ class: 'do', relations: [relation('scratch.a', 'delete')] }))).toBe('hold');
  });
  it('allow never lifts a tagged value, an unknown or a missing WHERE that it does not speak of', () => {
    const one = rules('{ name: all, match: { relations: ["*.*"] }, effect: allow }');
    const at = [relation('customers')];
    expect(effect(one, facts({ relations: at, columns: [column('customers.email')] }))).toBe('hold');
    expect(effect(one, facts({ relations: at, unknowns: ['f()'] }))).toBe('hold');
    expect(
      effect(one, facts({ class: 'update', relations: [relation('t', 'update')], missingWhere: true })),
    ).toBe('hold');
    const tagged = rules('{ name: support, match: { tags: [email], groups: [support] }, effect: allow }');
    expect(
      effect(tagged, facts({ relations: at, columns: [column('customers.email')] }), { groups: ['support'] }),
    ).toBe('allow');
    expect(
      effect(
        tagged,
        facts({ columns: [column('customers.email'), column('customers.ssn', 'value', 'ssn')] }),
        {
          groups: ['support'],
        },
      ),
    ).toBe('hold');
  });
  it.each(['unknown', 'do', 'call', 'admin', 'dcl'] as const)(
    'allow lifts %s only where it names it',
    (name) => {
      const what = facts({ class: name, relations: [relation('t', 'delete')] });
      expect(effect(rules('{ name: all, match: { relations: ["*.*"] }, effect: allow }'), what)).toBe('hold');
      expect(
        effect(
          rules(`{ name: one, match: { classes: [${name}, delete], relations: ["*.*"] }, effect: allow }`),
          what,
        ),
      ).toBe('allow');
    },
  );
  it.each(['value', 'predicate', 'written'] as const)(
    'allow lifts a tagged %s only where it names columns or tags',
    (use) => {
      const held = (match: string) =>
        policy(`defaults: { pii_${use}: hold }\nrules:\n  - { name: a, match: { ${match} }, effect: allow }`);
      const what = facts({ relations: [relation('customers')], columns: [column('customers.email', use)] });
      expect(effect(held('relations: ["*.*"]'), what)).toBe('hold');
      expect(effect(held('columns: ["customers.email"]'), what)).toBe('allow');
      expect(effect(held('tags: [email]'), what)).toBe('allow');
    },
  );
  it('what reads on the way is a read too', () => {
    const cautious = policy('defaults: { read: hold }');
    expect(effect(cautious, facts({ class: 'insert', relations: [relation('t', 'insert')] }))).toBe('allow');
    expect(
      effect(
        cautious,
        facts({ class: 'insert', relations: [relation('t', 'insert'), relation('u', 'read')] }),
      ),
    ).toBe('hold');
  });
  it('what does not parse is refused, or unknown where the target takes it so', () => {
    const text = { kind: 'syntax', position: 3, message: 'no' } as const;
    expect(evaluate(empty, text, context()).rules).toEqual(['error:syntax']);
    expect(evaluate(empty, text, context(), 'unknown')).toMatchObject({
      effect: 'hold',
      rules: ['default:unknown'],
    });
  });
  it('allow never lifts a hold of another rule', () => {
    const two = rules(
      '{ name: a, match: { classes: [delete] }, effect: allow }',
      '{ name: b, match: { environments: [demo] }, effect: hold }',
    );
    expect(evaluate(two, del, context())).toMatchObject({ effect: 'hold', rules: ['b'] });
  });
  it('mask is enforced as hold', () => {
    const one = rules('{ name: m, match: { tags: [email] }, effect: mask }');
    expect(evaluate(one, facts({ columns: [column('c.email', 'predicate')] }), context())).toMatchObject({
      effect: 'hold',
      rules: ['m'],
      reason: 'SELECT using c.email (rule m): masking is not on the wire yet, so it waits for approval',
    });
  });
  it('a watched column is outside the PII defaults', () => {
    const one = rules(
      '{ name: w, match: { columns: [orders.total] }, unless: { groups: [finance] }, effect: deny }',
    );
    const what = facts({ columns: [column('orders.total', 'value', 'watched')] });
    expect(effect(one, what)).toBe('deny');
    expect(effect(one, what, { groups: ['finance'] })).toBe('allow');
  });
  it.each([
    ['targets: [sho*]', {}, 'deny'],
    ['targets: [other]', {}, 'allow'],
    ['owners: [Alice@*]', {}, 'deny'],
    ['owners: ["*"]', { owner: null }, 'allow'],
    ['agents: [cursor]', {}, 'deny'],
    ['agents: ["*"]', { agent: null }, 'allow'],
    ['transaction: [open]', { transaction: 'open' }, 'deny'],
    ['transaction: [open]', {}, 'allow'],
    ['functions: [public.f]', {}, 'deny'],
    ['functions: [pg_catalog.f]', {}, 'allow'],
    ['missing_where: false', {}, 'deny'],
  ] as const)('match on %s', (criteria, who, wanted) => {
    const one = rules(`{ name: a, match: { ${criteria} }, effect: deny }`);
    expect(effect(one, facts({ functions: ['public.f'] }), who)).toBe(wanted);
  });
});

describe('terms of a hold', () => {
  it('are the smallest wait and expiry, and what every rule owes', () => {
    const two = policy(`approvers: { groups: [oncall] }
expires: 2h
rules:
  - { name: a, match: { classes: [delete] }, effect: hold, approvers: { groups: [dba], quorum: 2 }, wait: 20s, expires: 4h }
  - { name: b, match: { classes: [delete] }, effect: hold, wait: 10s, reason_required: true }
`);
    expect(evaluate(two, del, context()).terms).toEqual({
      approverGroups: ['dba', 'oncall'],
      quorum: 3,
      owed: [
        { groups: ['dba'], count: 2 },
        { groups: ['oncall'], count: 1 },
      ],
      waitMs: 10_000,
      expiresMs: 7_200_000,
      reasonRequired: true,
    });
  });
});

describe('access levels cap what rules allow', () => {
  const open = rules('{ name: a, match: { classes: [delete, insert, dcl, ddl] }, effect: allow }');
  it.each([
    ['read-only', 'insert', 'deny'],
    ['read-only', 'ddl', 'deny'],
    ['read-only', 'lock', 'deny'],
    ['read-write', 'lock', 'hold'],
    ['read-only', 'do', 'deny'],
    ['read-only', 'read', 'allow'],
    ['read-write', 'insert', 'allow'],
    ['read-write', 'dcl', 'deny'],
    ['read-write', 'admin', 'deny'],
    ['admin', 'dcl', 'allow'],
    ['none', 'read', 'deny'],
  ] as const)('%s, %s → %s', (level, name, wanted) => {
    const verdict = evaluate(open, facts({ class: name }), context({ level }));
    expect(verdict.effect).toBe(wanted);
    if (wanted === 'deny') expect(verdict.rules).toEqual([`level:${level}`]);
  });
  it('also for a write inside a read, and COPY FROM', () => {
    for (const access of ['delete', 'copy-in'] as const) {
      expect(
        effect(open, facts({ class: 'copy', relations: [relation('t', access)] }), { level: 'read-only' }),
      ).toBe('deny');
    }
  });
});

describe('doubt denies', () => {
  it('what does not parse, telling the place but no word of it', () => {
    const verdict = evaluate(empty, { kind: 'syntax', message: 'near "hunter2"', position: 8 }, context());
    expect(verdict).toMatchObject({ effect: 'deny', rules: ['error:syntax'] });
    expect(verdict.reason).toBe('it does not parse as PostgreSQL near character 8');
  });
  it('what could not be judged', () => {
    expect(evaluate(empty, { kind: 'unjudgeable', why: 'Too large.' }, context())).toMatchObject({
      effect: 'deny',
      reason: 'it cannot be judged: too large',
    });
  });
  it('an error inside policy', () => {
    const broken: Policy = {
      ...rules('{ name: a, effect: hold }'),
      rules: [
        {
          ...rules('{ name: a, effect: hold }').rules[0],
          match: { relations: ['a..b'] },
        } as Policy['rules'][number],
      ],
    };
    expect(evaluate(broken, del, context())).toMatchObject({ effect: 'deny', rules: ['error:policy'] });
  });
});

describe('the default policy', () => {
  const standard = policy(DEFAULT_POLICY.replace(/^version: 1$/m, ''));
  it.each([
    [
      'delete',
      { class: 'delete', relations: [relation('orders', 'delete')] },
      'deletes',
      'DELETE on orders (rule deletes)',
    ],
    [
      'ddl',
      { class: 'ddl', verb: 'DROP TABLE', relations: [relation('hr.x', 'ddl')] },
      'ddl',
      'DROP TABLE on hr.x (rule ddl): it changes the schema',
    ],
    [
      'update',
      { class: 'update', relations: [relation('t', 'update')], missingWhere: true },
      'update-without-where',
      'UPDATE on t (rule update-without-where): it has no WHERE and changes every row',
    ],
    [
      'pii',
      { columns: [column('customers.email')] },
      'pii',
      'SELECT reading customers.email (rule pii): it reads personal data; leave these columns out if they are not needed',
    ],
  ] as const)('holds %s by a rule of that name', (_what, what, rule, reason) => {
    expect(evaluate(standard, facts(what), context())).toMatchObject({
      effect: 'hold',
      rules: [rule],
      reason,
    });
  });
  it('lets an UPDATE with WHERE through', () => {
    expect(effect(standard, facts({ class: 'update', relations: [relation('t', 'update')] }))).toBe('allow');
  });
});

describe('a reason', () => {
  it('is one short line, whatever names the statement has', () => {
    const nasty = facts({
      class: 'delete',
      relations: [relation(`x${'\n\u202e'.repeat(300)}`, 'delete'), relation('a'), relation('b')],
    });
    const { reason } = evaluate(empty, nasty, context());
    expect(reason).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    expect(reason.length).toBeLessThan(200);
  });
});
