/** docs/policy.schema.json: what editors check a policy against. */
import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { DEFAULT_POLICY, parsePolicy } from '../../src/policy/rules/index.ts';
import { policyJsonSchema } from '../../src/policy/rules/json-schema.ts';

const valid = new Ajv2020({ allowUnionTypes: true }).compile(policyJsonSchema());

it('is what the code reads; if not: npx holdpoint policy schema > docs/policy.schema.json', () => {
  const published: unknown = JSON.parse(readFileSync('docs/policy.schema.json', 'utf8'));
  expect(published).toEqual(JSON.parse(JSON.stringify(policyJsonSchema())));
});

it('takes the default policy, which names it for editors', () => {
  expect(DEFAULT_POLICY).toMatch(/^# yaml-language-server: \$schema=policy\.schema\.json\n/);
  expect(valid(parse(DEFAULT_POLICY)), JSON.stringify(valid.errors)).toBe(true);
});

const rule = (more: string): string => `version: 1\nrules:\n  - { name: a, effect: hold, ${more} }\n`;
it.each([
  [
    'a full rule',
    rule('match: { time: { zone: UTC, from: "22:00", to: "06:00" }, rows_over: 5 }, wait: 30m'),
    true,
  ],
  ['a wait of nothing', rule('wait: 0'), true],
  [
    'surfaces and mode',
    rule('surfaces: [slack], mode: observe, approvers: { groups: [x], quorum: 2 }'),
    true,
  ],
  ['an unknown key', rule('wiat: 5s'), false],
  ['an unknown class', rule('match: { classes: [delet] }'), false],
  ['no duration', rule('wait: soon'), false],
  ['no time of day', rule('match: { time: { zone: UTC, from: "26:00", to: "06:00" } }'), false],
  ['an unknown preset', 'version: 1\npreset: lax\n', false],
])('and the reader agree on %s', (_what, text, good) => {
  expect(valid(parse(text))).toBe(good);
  expect(parsePolicy(text).kind).toBe(good ? 'policy' : 'mistakes');
});
