import { expect, test } from 'vitest';
import { presentSession } from '../../src/recordings/present.ts';
import { newSummary } from '../../src/recordings/summary.ts';
import { meta, result, statement } from './support.ts';

test('a session reads as text: who, what, verdict, outcome', () => {
  const text = presentSession(
    newSummary(meta('s1')),
    [
      { kind: 'session', t: meta('s1').startedAt, session: meta('s1') },
      statement(1, 'DELETE FROM orders\nWHERE id = $1', {
        effect: 'hold',
        class: 'delete',
        rules: ['deletes'],
        reason: 'DELETE on orders',
        binds: ['7'],
      }),
      {
        kind: 'approval',
        t: meta('s1').startedAt + 2_000,
        n: 1,
        request: 'HP-7Q2F',
        state: 'granted',
        by: 'Dana',
        surface: 'slack',
        note: null,
      },
      result(1, { tag: 'DELETE 1' }),
      statement(2, 'SELECT nope', {}),
      result(2, { error: { code: '42703', message: 'column "nope" does not exist' } }),
    ],
    { kind: 'intact', events: 6, signed: 4, ended: false, sessionId: 's1', from: 1, head: 'ab' },
  );
  expect(text).toContain('Cursor for Alice <alice@example.com>');
  expect(text).toContain(
    '#1 +0.001s HOLD delete (deletes)\n    DELETE FROM orders\n    WHERE id = $1\n    $1 = 7\n',
  );
  expect(text).toContain('+2.000s HP-7Q2F granted by Dana in slack');
  expect(text).toContain('DELETE 1 (1.3 ms, 1 row)\n    id\n    --\n    7\n');
  expect(text).toContain('ERROR 42703 column "nope" does not exist');
  expect(text).toContain('still open');
  expect(text).toContain('the last 2 not signed yet');
});

test('recorded text cannot drive the terminal', () => {
  const text = presentSession(null, [
    { kind: 'session', t: 0, session: { ...meta('s1'), applicationName: '\x1b]0;x\x07' } },
    statement(1, 'SELECT \x1b[2J\u202e\u009b'),
    result(1, { values: [['\x1b[31m']], columns: ['\r'] }),
  ]);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is looked for
  expect(text).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/);
  expect(text).toContain('\\u{1b}[2J');
});
