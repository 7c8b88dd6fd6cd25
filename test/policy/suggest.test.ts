import { expect, test } from 'vitest';
import { createPolicyHolder, createTagLookup, parsePolicy } from '../../src/policy/rules/index.ts';
import {
  isCard,
  isIban,
  type SampledColumn,
  suggest,
  suggestAll,
  suggestionsYaml,
} from '../../src/policy/suggest.ts';

const column = (name: string, values: readonly string[] | null, category = 'S'): SampledColumn => ({
  name,
  category,
  comment: null,
  values,
});
const times = (n: number, make: (i: number) => string): string[] =>
  Array.from({ length: n }, (_, i) => make(i));
const tagOf = (one: SampledColumn, table = 'things') => suggest({ name: table }, one)?.tag ?? null;

test('check digits count: cards by Luhn, IBANs by modulo 97', () => {
  expect(['4111 1111 1111 1111', '378282246310005', '5555-5555-5555-4444'].every(isCard)).toBe(true);
  expect(['4111111111111112', '0000000000000000', '1234567812345670'].some(isCard)).toBe(false);
  expect(['DE89 3704 0044 0532 0130 00', 'GB82WEST12345698765432'].every(isIban)).toBe(true);
  expect(['DE89370400440532013001', 'XX00'].some(isIban)).toBe(false);
});

test('columns are told by what they hold, whatever their name', () => {
  expect(tagOf(column('c1', ['ann@example.com', 'bob@example.org', '']))).toBe('email');
  expect(tagOf(column('c2', ['+44 20 7946 0958', '(212) 555-0147', '030-123456']))).toBe('phone');
  expect(tagOf(column('c3', ['078-05-1120', '219-09-9999']))).toBe('ssn');
  expect(tagOf(column('c4', ['4111111111111111', '5555555555554444', '378282246310005']))).toBe('payment');
  expect(tagOf(column('c5', ['DE89370400440532013000', 'GB82WEST12345698765432']))).toBe('payment');
  expect(tagOf(column('c6', ['10.0.0.1', '192.168.1.77'], 'I'))).toBe('ip');
  expect(tagOf(column('c7', [`$2b$10$${'a'.repeat(53)}`]))).toBe('secret');
  expect(tagOf(column('c8', [...times(30, () => 'a note'), 'please write to ann@example.com today']))).toBe(
    'email',
  );
  expect(tagOf(column('c9', ['{"contact": {"mail": "ann@example.com"}}'], 'U'))).toBe('email');
});

test('names speak where values cannot', () => {
  for (const [name, tag] of [
    ['email', 'email'],
    ['phoneNumber', 'phone'],
    ['first_name', 'name'],
    ['Passport', 'ssn'],
    ['api_key', 'secret'],
    ['street', 'address'],
    ['iban', 'payment'],
  ] as const) {
    expect(tagOf(column(name, null)), name).toBe(tag);
  }
  expect(tagOf(column('dob', null, 'D'))).toBe('birth');
  expect(tagOf(column('name', ['Ann']), 'customers')).toBe('name');
});

test('look-alikes are left alone', () => {
  for (const one of [
    column(
      'order_number',
      times(200, (i) => String(4_000_000_000_000_000 + i * 7)),
    ),
    column(
      'id',
      times(100, (i) => `3f2504e0-4f89-41d3-9a0c-0305e82c33${10 + i}`),
    ),
    column('created', ['2026-11-21 08:00:00', '2026-11-20', '20/11/2026']),
    column('price', ['1234567.50', '99.95', '10000000.00'], 'N'),
    column('sku', ['ABC-1234-56', 'ABC-7777-12', 'DEF-0001-99']),
    column('email_verified', null, 'B'),
    column('token_count', ['7', '9'], 'N'),
    column('name', ['Blue chair'], 'N'),
    column('name', ['Blue chair', 'Lamp']),
    column('emailing_enabled', ['yes', 'no']),
    column('version', ['1.2.3', '10.0.1']),
  ]) {
    expect(tagOf(one), one.name).toBe(null);
  }
});

test('the YAML is a policy, holds no value, and no name breaks out of it', () => {
  const evil = 'mail" # x\nrules: [] "\u2028é';
  const tables = [
    {
      schema: 'My.Schema',
      name: 'customers',
      columns: [
        column(evil, ['ann@example.com', 'bob@example.org']),
        column('email', ['ann@example.com', 'bob@example.org']),
        column('ssn', ['078-05-1120', '219-09-9999']),
        column('known', ['ann@example.com', 'bob@example.org']),
      ],
    },
  ];
  const policy = createPolicyHolder('version: 1\npii: [{ columns: [known], tag: email }]\n').current().policy;
  const found = suggestAll(tables, createTagLookup(policy));
  expect(found).toMatchObject({ tables: 1, columns: 4, tagged: 1 });
  const yaml = suggestionsYaml({ ...found, unread: ['a\nb'], partial: false }, 'shop');
  expect(yaml).not.toMatch(/ann@|078-05/);
  const parsed = parsePolicy(`version: 1\n${yaml}\n`);
  if (parsed.kind !== 'policy') throw new Error(JSON.stringify(parsed.mistakes));
  const tag = createTagLookup(parsed.policy);
  expect(tag('My.Schema', 'customers', evil, null)).toBe('email');
  expect(tag('My.Schema', 'customers', 'ssn', null)).toBe('ssn');
  expect(parsed.policy.rules).toEqual([]);
});
