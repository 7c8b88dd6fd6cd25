import { afterEach, describe, expect, test } from 'vitest';
import {
  alertOf,
  BURST,
  createFailedLogins,
  type FailedLogin,
  type FailedLoginRow,
  type LoginBurst,
} from '../../src/identity/failed-logins.ts';

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

const ALICE = { id: 'alice@example.com', name: 'Alice', email: 'alice@example.com', agent: 'Cursor' };
const failure = (over: Partial<FailedLogin> = {}): FailedLogin => ({
  via: 'gateway',
  address: '203.0.113.9',
  reason: 'wrong-secret',
  claimed: 'cred_a',
  owner: null,
  ...over,
});

function setUp() {
  const it = { now: 1_000_000, down: false };
  const rows: FailedLoginRow[] = [];
  const lines: { details: object; message: string }[] = [];
  const bursts: LoginBurst[] = [];
  const logins = createFailedLogins({
    store: {
      save: async (some) => {
        if (it.down) throw new Error('down');
        rows.push(...some);
      },
    },
    log: { warn: (details, message) => void lines.push({ details, message }) },
    now: () => it.now,
    onBurst: async (burst) => bursts.push(burst),
  });
  closers.push(() => logins.close());
  const failed = () => lines.filter(({ message }) => message === 'a login failed');
  return { it, rows, lines, bursts, logins, failed };
}

test('each is one event and one line', async () => {
  const { logins, rows, failed } = setUp();
  logins.note(failure({ owner: ALICE }));
  logins.note(
    failure({ via: 'token', reason: 'token-refused', detail: 'the token has expired', claimed: null }),
  );
  await logins.flush();
  expect(rows).toMatchObject([
    {
      via: 'gateway',
      address: '203.0.113.9',
      reason: 'wrong-secret',
      claimed: 'cred_a',
      owner: ALICE,
      count: 1,
    },
    { via: 'token', reason: 'token-refused', claimed: null, owner: null, count: 1 },
  ]);
  expect(failed().map(({ details }) => details)).toEqual([
    { via: 'gateway', address: '203.0.113.9', claimed: 'cred_a', owner: ALICE.id, reason: 'wrong-secret' },
    {
      via: 'token',
      address: '203.0.113.9',
      claimed: null,
      owner: null,
      reason: 'token-refused',
      detail: 'the token has expired',
    },
  ]);
});

test('what was named is one bounded line, and no secret that was typed there', async () => {
  const { logins, rows, lines } = setUp();
  const secret = 'hpc_0123456789abcdefghijklmnopqrstuvwxyz0123456';
  for (const claimed of [
    'a\nb\u202e\u0007c',
    'x'.repeat(5_000),
    secret,
    ` ${secret}`,
    'eyJhbGciOiJub25lIn0.e30.',
  ])
    logins.note(failure({ claimed }));
  await logins.flush();
  expect(rows.map(({ claimed }) => claimed)).toEqual([
    'a b c',
    `${'x'.repeat(79)}…`,
    '(a secret)',
    '(a secret)',
    '(a secret)',
  ]);
  expect(JSON.stringify(lines)).not.toMatch(/hpc_|eyJ|\\u202e|\\n/);
});

test('a flood is bounded in lines and events, and every one of it is counted', async () => {
  const { logins, rows, lines, failed, bursts } = setUp();
  for (let i = 0; i < 20_000; i += 1)
    logins.note(
      failure({ address: `10.${i % 7}.${(i >> 8) % 256}.${i % 256}`, owner: i % 3 === 0 ? ALICE : null }),
    );
  await logins.flush();
  expect(failed()).toHaveLength(30);
  expect(lines.length).toBeLessThan(60);
  expect(lines.find(({ message }) => message.startsWith('more logins failed'))?.details).toEqual({
    count: 19_970,
  });
  expect(rows.length).toBeLessThanOrEqual(120);
  expect(rows.reduce((sum, { count }) => sum + count, 0)).toBe(20_000);
  expect(bursts.length).toBeLessThanOrEqual(20);
});

test('a store that is away costs the events, and nothing else', async () => {
  const { it, logins, lines, rows } = setUp();
  it.down = true;
  logins.note(failure());
  await logins.flush();
  expect(lines.at(-1)).toMatchObject({ details: { count: 1 } });
  it.down = false;
  logins.note(failure());
  await logins.flush();
  expect(rows).toHaveLength(1);
});

describe('an alert', () => {
  test('comes once a burst of one owner, wherever it comes from', () => {
    const { it, logins, bursts } = setUp();
    for (let i = 0; i < 3 * BURST.count; i += 1)
      logins.note(failure({ owner: ALICE, address: `10.0.0.${i}` }));
    expect(bursts).toHaveLength(1);
    expect(bursts[0]).toMatchObject({ kind: 'logins', owner: ALICE, count: BURST.count });
    expect(bursts[0]?.lines.at(-1)).toBe('gateway from 10.0.0.9: wrong-secret (cred_a)');
    it.now += BURST.withinMs + 1;
    for (let i = 0; i < BURST.count; i += 1) logins.note(failure({ owner: ALICE, address: `10.0.1.${i}` }));
    expect(bursts).toHaveLength(2);
  });

  test('comes once a burst of one source, whatever it names', () => {
    const { logins, bursts } = setUp();
    for (let i = 0; i < 3 * BURST.count; i += 1)
      logins.note(failure({ claimed: `cred_${i}`, owner: { ...ALICE, id: `${i}` } }));
    expect(bursts).toMatchObject([
      { kind: 'logins', owner: null, address: '203.0.113.9', count: BURST.count },
    ]);
  });

  test('of many sources are few: whoever has many addresses buries nothing else', () => {
    const { it, logins, bursts } = setUp();
    for (let i = 0; i < 200; i += 1)
      for (let n = 0; n < BURST.count; n += 1) logins.note(failure({ address: `10.0.${i}.1` }));
    expect(bursts).toHaveLength(5);
    logins.note(failure({ reason: 'revoked', owner: ALICE }));
    expect(bursts.at(-1)).toMatchObject({ kind: 'revoked' });
    it.now += 60_000;
    for (let n = 0; n < BURST.count; n += 1) logins.note(failure({ address: '10.1.1.1' }));
    expect(bursts).toHaveLength(7);
  });

  test('does not come of what is rare', () => {
    const { it, logins, bursts } = setUp();
    for (let i = 0; i < 50; i += 1) {
      logins.note(failure({ owner: ALICE }));
      it.now += BURST.withinMs / (BURST.count - 1) + 1;
    }
    expect(bursts).toEqual([]);
  });

  test('comes at once when something revoked is tried, and once as long as it goes on', () => {
    const { logins, bursts } = setUp();
    for (let i = 0; i < 50; i += 1) logins.note(failure({ reason: 'revoked', owner: ALICE }));
    logins.note(failure({ reason: 'revoked', owner: ALICE, claimed: 'cred_b' }));
    expect(bursts).toMatchObject([
      { kind: 'revoked', owner: ALICE, credential: 'cred_a', count: 1 },
      { kind: 'revoked', owner: ALICE, credential: 'cred_b', count: 1 },
    ]);
    expect(bursts[0] && alertOf(bursts[0], null)).toMatchObject({
      about: 'revoked',
      requester: { ownerId: ALICE.id, credentialId: 'cred_a' },
      channel: null,
    });
  });
});
