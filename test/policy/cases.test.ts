/** Cases beside a policy: what they may say, and how they differ. */
import { describe, expect, it } from 'vitest';
import { differences, parseCases } from '../../src/policy/cases.ts';
import { formatMistakes } from '../../src/policy/rules/index.ts';
import type { Verdict } from '../../src/policy/types.ts';

const TEXT = `tables:
  orders: [id, total numeric]
  hr.people: { columns: [id, ssn], rows: 50 }
  names: { columns: [id], view: select id from orders }
who: { owner: alice@example.com, groups: [devs] }
where: { environment: production }
cases:
  - sql: delete from orders
    who: { agent: Cursor }
    where: { time: "2026-11-20T23:00:00+01:00" }
    expect: hold
  - { name: two, sql: select 1, expect: { rules: [a, b], observed: [] } }
`;

function cases(text: string) {
  const parsed = parseCases(text);
  if (parsed.kind === 'mistakes') throw new Error(formatMistakes('t', parsed.mistakes));
  return parsed;
}
const verdict = (part: Partial<Verdict>): Verdict => ({
  effect: 'hold',
  rules: ['a'],
  reason: '',
  terms: { approverGroups: [], quorum: 1, waitMs: null, expiresMs: null, reasonRequired: false },
  ...part,
});

describe('a cases file', () => {
  it('tells tables, who, where and when; a case adds to what the file says', () => {
    const { catalog, cases: all } = cases(TEXT);
    expect(
      catalog?.relations.map(({ schema, name, relkind, rows }) => [schema, name, relkind, rows]),
    ).toEqual([
      ['public', 'orders', 'r', -1],
      ['hr', 'people', 'r', 50],
      ['public', 'names', 'v', -1],
    ]);
    expect(catalog?.relations[0]?.columns.map(({ name, type }) => [name, type])).toEqual([
      ['id', 'text'],
      ['total', 'numeric'],
    ]);
    expect(all[0]).toMatchObject({
      line: 8,
      context: {
        owner: 'alice@example.com',
        agent: 'Cursor',
        groups: ['devs'],
        level: 'admin',
        environment: 'production',
        now: Date.parse('2026-11-20T22:00:00Z'),
      },
    });
    expect(all[1]?.context).not.toHaveProperty('now');
  });

  it('with mistakes is refused as a whole, each with its place', () => {
    const parsed = parseCases(`cases:
  - sql: select 1
    expect: alow
  - sqll: select 1
    expect: deny
  - sql: select 1
    where: { time: 22:00 }
    expect: {}
`);
    expect(parsed.kind === 'mistakes' && formatMistakes('t', parsed.mistakes).split('\n')).toEqual([
      expect.stringMatching(/^t:3:13: cases\[0\]\.expect: must be allow, hold or deny/),
      expect.stringMatching(/^t:4:5: cases\[1\]\.sql: must be text/),
      expect.stringMatching(/^t:4:5: cases\[1\]\.sqll: unknown key "sqll" \(did you mean "sql"\?\)/),
      expect.stringMatching(/^t:7:20: cases\[2\]\.where\.time: must be a time with its zone/),
      expect.stringMatching(/^t:8:13: cases\[2\]\.expect: expects nothing/),
    ]);
    expect(parseCases('cases: []').kind).toBe('mistakes');
    expect(parseCases('').kind).toBe('mistakes');
  });

  it('compares verdict, rules and what is observed, whatever the order', () => {
    const [one, two] = cases(TEXT).cases;
    if (one === undefined || two === undefined) throw new Error('two cases');
    expect(differences(one, verdict({}))).toEqual([]);
    expect(differences(one, verdict({ effect: 'allow' }))).toEqual(['verdict   expected hold, got allow']);
    expect(differences(two, verdict({ rules: ['b', 'a'] }))).toEqual([]);
    expect(
      differences(two, verdict({ rules: ['b', 'c'], observed: { effect: 'deny', rules: ['x'] } })),
    ).toEqual(['rules     - a', '          + c', 'observed  + x']);
  });
});
