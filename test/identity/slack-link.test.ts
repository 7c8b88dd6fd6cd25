import { expect, test } from 'vitest';
import { createSlackLinking } from '../../src/identity/slack-link.ts';

const account = { teamId: 'T1', userId: 'UDANA', name: 'Dana <b>' };
const dana = { id: 'dana@example.com', name: 'Dana' };

function setUp(key = 'k'.repeat(32)) {
  const clock = { now: 1_000_000 };
  return { clock, linking: createSlackLinking(Buffer.from(key), () => clock.now) };
}

test('an account is tied to whom the console confirmed, by the account that began alone', () => {
  const { linking } = setUp();
  const begun = linking.begin(account);
  expect(linking.read(begun)).toEqual(account);
  const confirmed = linking.confirm(begun, dana) ?? '';
  expect(linking.finish(confirmed, 'T1', 'UDANA')).toEqual(dana);
  // Somebody who was sent the link of another, and logged in, has nothing that their own account could use, nor the other way round.
  expect(linking.finish(confirmed, 'T1', 'UMALLORY')).toBeNull();
  expect(linking.finish(confirmed, 'T2', 'UDANA')).toBeNull();
  expect(linking.finish(begun, 'T1', 'UDANA')).toBeNull();
  expect(linking.confirm(confirmed, dana)).toBeNull();
});

test('both texts last ten minutes', () => {
  const { linking, clock } = setUp();
  const begun = linking.begin(account);
  const confirmed = linking.confirm(begun, dana) ?? '';
  clock.now += 10 * 60_000;
  expect([
    linking.read(begun),
    linking.confirm(begun, dana),
    linking.finish(confirmed, 'T1', 'UDANA'),
  ]).toEqual([null, null, null]);
});

test('nothing that was changed, cut or signed with another key counts', () => {
  const { linking } = setUp();
  const begun = linking.begin(account);
  const [body = '', sum = ''] = begun.split('.');
  const other = Buffer.from(JSON.stringify([9e15, 'T1', 'UEVE', 'Eve'])).toString('base64url');
  for (const wrong of [
    '',
    '.',
    body,
    `${body}.`,
    `${other}.${sum}`,
    `${begun}.x`,
    `${begun}${'x'.repeat(3000)}`,
  ])
    expect(linking.read(wrong)).toBeNull();
  expect(setUp('x'.repeat(32)).linking.read(begun)).toBeNull();
});
