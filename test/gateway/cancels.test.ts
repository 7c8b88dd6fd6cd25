import { describe, expect, it } from 'vitest';
import { Cancels } from '../../src/gateway/cancels.ts';

describe('cancel keys', () => {
  it('tell apart backends of two targets with one number', () => {
    const cancels = new Cancels<string>(() => 0);
    const [a, b] = [cancels.register('a', 7), cancels.register('b', 7)];
    expect([a.pid, b.pid]).toEqual([7, 7]);
    expect([cancels.find(7, a.secret), cancels.find(7, b.secret), cancels.find(8, a.secret)]).toEqual([
      'a',
      'b',
      null,
    ]);
    cancels.forget(a);
    expect([cancels.find(7, a.secret), cancels.find(7, b.secret)]).toEqual([null, 'b']);
    cancels.forget(b);
    expect(cancels.find(7, b.secret)).toBeNull();
  });

  it('take a number of tries a second, and no secret of another length', () => {
    let now = 0;
    const cancels = new Cancels<string>(() => now);
    const { pid, secret } = cancels.register('a', null);
    for (const wrong of [Buffer.alloc(0), Buffer.concat([secret, secret])])
      expect(cancels.find(pid, wrong)).toBeNull();
    for (let i = 0; i < 98; i++) cancels.find(pid, Buffer.alloc(4));
    expect(cancels.find(pid, secret)).toBeNull();
    now = 1000;
    expect(cancels.find(pid, secret)).toBe('a');
  });
});
