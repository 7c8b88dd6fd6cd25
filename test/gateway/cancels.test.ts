import { describe, expect, it } from 'vitest';
import { Cancels } from '../../src/gateway/cancels.ts';

describe('cancel keys', () => {
  it('tell apart backends of two targets with one number', () => {
    const cancels = new Cancels<string>(() => 0);
    const [a, b] = [cancels.register('a', 7), cancels.register('b', 7)];
    expect([a.pid, b.pid]).toEqual([7, 7]);
    expect([
      cancels.find(7, a.secret, 'x'),
      cancels.find(7, b.secret, 'x'),
      cancels.find(8, a.secret, 'x'),
    ]).toEqual(['a', 'b', null]);
    cancels.forget(a);
    expect([cancels.find(7, a.secret, 'x'), cancels.find(7, b.secret, 'x')]).toEqual([null, 'b']);
    cancels.forget(b);
    expect(cancels.find(7, b.secret, 'x')).toBeNull();
  });

  it('refuse a secret of another length', () => {
    const cancels = new Cancels<string>(() => 0);
    const { pid, secret } = cancels.register('a', null);
    for (const wrong of [Buffer.alloc(0), Buffer.concat([secret, secret])])
      expect(cancels.find(pid, wrong, 'x')).toBeNull();
  });

  it('stop who guesses at a process, there and not for long, and nobody else', () => {
    let now = 0;
    const cancels = new Cancels<number>(() => now);
    const keys = Array.from({ length: 500 }, (_, i) => cancels.register(i, 1000 + i));
    for (let i = 0; i < 5000; i++) cancels.find(1000, Buffer.alloc(4), 'guesser');
    for (const [i, { pid, secret }] of keys.entries()) {
      expect(cancels.find(pid, secret, 'guesser')).toBe(pid === 1000 ? null : i);
      expect(cancels.find(pid, secret, 'owner')).toBe(i);
    }
    now = 61_000;
    expect(cancels.find(1000, keys[0]?.secret ?? Buffer.alloc(4), 'guesser')).toBe(0);
  });
});
