/** Who may keep how much, and who gives way (I7). */
import { expect, it, vi } from 'vitest';
import { type Account, MemoryBudget } from '../../src/gateway/budget.ts';
import { createReclaimer } from '../../src/gateway/reclaim.ts';

it('an owner has a share, whatever the number of accounts', () => {
  const budget = new MemoryBudget({ perOwner: 100, total: 1000 });
  const [one, two, other] = [budget.open('a'), budget.open('a'), budget.open('b')];
  expect([one.take(60), two.take(60), two.take(40), other.take(100)]).toEqual([true, false, true, true]);
  one.add(-20);
  expect([two.has(21), two.take(20)]).toEqual([false, true]);
  one.close();
  one.close();
  expect(one.take(1)).toBe(false);
  expect(two.take(40)).toBe(true);
  expect(budget.used).toBe(200);
});

it('where all is taken, the oldest of whoever has most gives way, and never to who has more', () => {
  const budget = new MemoryBudget({ perOwner: 80, total: 100 });
  const gave: string[] = [];
  const open = (owner: string, name: string, held: number, firm = false): Account => {
    let left = firm ? 0 : held;
    const account: Account = budget.open(owner, () => {
      if (left > 0) gave.push(name);
      account.add(-left);
      left = 0;
    });
    expect(account.take(held)).toBe(true);
    return account;
  };
  open('greedy', 'held', 20, true);
  open('greedy', 'oldest', 30);
  open('greedy', 'newest', 30);
  const small = budget.open('small');
  expect(small.take(30)).toBe(true);
  expect(gave).toEqual(['oldest']);
  const third = budget.open('third');
  expect(third.take(60)).toBe(false);
  expect(third.take(20)).toBe(true);
  expect(third.take(20)).toBe(true);
  expect(gave).toEqual(['oldest', 'newest']);
  // What is left cannot be let go of.
  expect(small.take(11)).toBe(false);
  expect(budget.used).toBe(90);
});

it('much that was let go is collected soon, once, and not over and over', () => {
  vi.useFakeTimers();
  try {
    let collected = 0;
    const MB = 1024 * 1024;
    const told = createReclaimer(
      () => {
        collected += 1;
      },
      () => Date.now(),
    );
    for (const used of [10 * MB, 0, 20 * MB, 0]) told(used);
    vi.advanceTimersByTime(10_000);
    expect(collected).toBe(0);
    for (const used of [100 * MB, 50 * MB, 20 * MB, 0]) told(used);
    vi.advanceTimersByTime(1_000);
    expect(collected).toBe(1);
    for (const used of [100 * MB, 0]) told(used);
    vi.advanceTimersByTime(3_000);
    expect(collected).toBe(1);
    vi.advanceTimersByTime(2_000);
    expect(collected).toBe(2);
  } finally {
    vi.useRealTimers();
  }
});
