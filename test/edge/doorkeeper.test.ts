import { describe, expect, test } from 'vitest';
import { Doorkeeper } from '../../src/edge/doorkeeper.ts';

function door(limits: { total: number; waiting: number }) {
  const clock = { now: 0 };
  const closed: string[] = [];
  const it = new Doorkeeper<string>(
    limits,
    () => clock.now,
    (guest) => closed.push(guest),
  );
  const many = (source: string, count: number, from = 0) => {
    for (let i = from; i < from + count; i += 1) it.admit(`${source}${i}`, source);
  };
  return { it, clock, closed, many };
}

describe('at a full door', () => {
  test('the source with most places loses its oldest, and no other', () => {
    const { it, closed, many } = door({ total: 10, waiting: 100 });
    many('b', 2);
    many('a', 8);
    expect(it.admit('c0', 'c')).toBe(true);
    expect(it.admit('b2', 'b')).toBe(true);
    many('a', 3, 8);
    expect(closed).toEqual(['a0', 'a1', 'a2', 'a3', 'a4']);
  });

  test('whoever has proven who they are stays, and is counted by who they are', () => {
    const { it, closed, many } = door({ total: 3, waiting: 100 });
    many('a', 3);
    it.prove('a0', 'dana');
    it.prove('a1', 'dana');
    expect(it.provenBy('dana')).toEqual(['a0', 'a1']);
    many('b', 2);
    expect(closed).toEqual(['a2', 'b0']);
    it.prove('b1', 'alice');
    expect(it.admit('c0', 'c')).toBe(false);
    it.leave('b1');
    expect(it.admit('c0', 'c')).toBe(true);
    expect(it.provenBy('alice')).toEqual([]);
  });

  test('whoever waits again is the newest', () => {
    const { it, closed, many } = door({ total: 3, waiting: 100 });
    many('a', 3);
    it.prove('a0', 'dana');
    it.wait('a0', 'a');
    many('a', 2, 3);
    expect(closed).toEqual(['a1', 'a2']);
    expect(it.provenBy('dana')).toEqual([]);
  });

  test('whoever gave way or left is not let in again by a late word about them', () => {
    const { it, closed, many } = door({ total: 1, waiting: 100 });
    many('a', 2);
    it.prove('a0', 'dana');
    it.move('a0', 'x');
    it.wait('a0', 'x');
    expect(closed).toEqual(['a0']);
    expect(it.provenBy('dana')).toEqual([]);
    many('b', 1);
    expect(closed).toEqual(['a0', 'a1']);
  });
});

describe('of one source', () => {
  test('beyond its share those that have had their time give way, the others do not', () => {
    const { clock, closed, many } = door({ total: 100, waiting: 5 });
    many('a', 20);
    expect(closed).toEqual([]);
    clock.now = 1_999;
    many('a', 1, 20);
    expect(closed).toEqual([]);
    clock.now = 2_000;
    many('b', 1);
    expect(closed).toEqual([]);
    many('a', 1, 21);
    expect(closed).toEqual(Array.from({ length: 17 }, (_, i) => `a${i}`));
  });

  test('that stands for many there is no share but the whole', () => {
    const { clock, closed, it } = door({ total: 10, waiting: 2 });
    for (let i = 0; i < 5; i += 1) it.admit(`p${i}`, 'proxy', true);
    clock.now = 60_000;
    it.admit('p5', 'proxy', true);
    expect(closed).toEqual([]);
    it.move('p5', 'client');
    expect(closed).toEqual([]);
  });
});
