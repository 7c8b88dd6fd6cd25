import { describe, expect, test } from 'vitest';
import {
  createKnown,
  follow,
  type Issued,
  type IssuedElsewhere,
  Unchecked,
} from '../../src/identity/known.ts';
import { createBudget, createLimiter } from '../../src/identity/limiter.ts';

function setUp(asks = 3) {
  const store = new Map([
    ['a', 1],
    ['b', 2],
  ]);
  const it = { asked: [] as string[], down: false, left: asks };
  const known = createKnown<number>({
    all: async (limit) => {
      if (it.down) throw new Error('down');
      return [...store].slice(-limit);
    },
    fetch: async (key) => {
      it.asked.push(key);
      if (it.down) throw new Error('down');
      return store.get(key) ?? null;
    },
    mayAsk: () => {
      it.left -= 1;
      return it.left >= 0;
    },
    isOver: (value) => value < 0,
  });
  return { known, store, it };
}

describe('what was issued', () => {
  test('is known without a question, even while the store is away', async () => {
    const { known, it } = setUp();
    await known.load();
    it.down = true;
    expect(await known.find('a')).toBe(1);
    expect(it.asked).toEqual([]);
  });

  test('and is not known is asked for so often, and no more; then it is wrong', async () => {
    const { known, it } = setUp(3);
    await known.load();
    const found = await Promise.all(Array.from({ length: 50 }, (_, i) => known.find(`x${i}`)));
    expect(found).toEqual(Array(50).fill(null));
    expect(it.asked).toHaveLength(3);
  });

  test('elsewhere a moment ago is heard of while whoever guesses has used up the questions', async () => {
    const { known, store, it } = setUp(0);
    await known.load();
    const found = known.find('c');
    store.set('c', 3);
    known.heard('c');
    expect(await found).toBe(3);
    expect(it.asked).toEqual(['c']);
  });

  test('is never called wrong while something may have been missed', async () => {
    const { known, it } = setUp(0);
    await expect(known.find('x')).rejects.toThrow(Unchecked);
    await known.load();
    expect(await known.find('x')).toBeNull();
    known.deaf();
    await expect(known.find('x')).rejects.toThrow(Unchecked);
    await known.load();
    it.down = true;
    known.heard('c');
    await expect(known.find('c')).rejects.toThrow(Unchecked);
  });

  test('is not all asked for at once', async () => {
    const { known, it } = setUp(100);
    await known.load();
    await Promise.all(Array.from({ length: 20 }, (_, i) => known.find(`x${i}`)));
    expect(it.asked.length).toBeLessThanOrEqual(4);
  });

  test('is read anew whenever something can be heard again, until it could be read', async () => {
    const { known, store, it } = setUp(0);
    let hear = (_: boolean): void => {};
    const elsewhere: IssuedElsewhere = {
      onIssued: (_: (kind: Issued, key: string) => void) => () => {},
      onHearing: (listener) => {
        hear = listener;
        listener(true);
        return () => {};
      },
    };
    const stop = await follow(elsewhere, { access: known, credential: setUp().known });
    await expect.poll(() => known.find('x').catch(() => 'unchecked')).toBeNull();
    hear(false);
    await expect(known.find('x')).rejects.toThrow(Unchecked);
    store.set('c', 3);
    it.down = true;
    hear(true);
    it.down = false;
    await expect.poll(() => known.get('c'), { timeout: 10_000 }).toBe(3);
    stop();
  });
});

test('a source never owes more than it can work off in two minutes', () => {
  let now = 0;
  const limiter = createLimiter({ burst: 20, perMinute: 20, now: () => now });
  for (let i = 0; i < 100_000; i += 1) limiter.failed('a');
  expect(limiter.limited('a')).toBe(true);
  now = 63_000;
  expect(limiter.limited('a')).toBe(false);
});

test('a budget is spent and comes back', () => {
  let now = 0;
  const may = createBudget({ burst: 3, perSecond: 2, now: () => now });
  const spend = () => Array.from({ length: 5 }, () => may()).filter(Boolean).length;
  expect(spend()).toBe(3);
  now = 1_000;
  expect(spend()).toBe(2);
  now = 600_000;
  expect(spend()).toBe(3);
});
