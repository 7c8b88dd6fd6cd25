/** What real tools send when they connect, look around and work: none of it waits. Recorded from the tools where they could be run. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cases, type Ground, ground } from './corpus/real.ts';

const corpus = cases('tools.jsonl');

let on: Ground;
beforeAll(async () => {
  on = await ground({ shop: 'v' });
});
afterAll(() => on.stop());

describe('statements of real tools', () => {
  it('are at least 150, of a dozen tools', () => {
    expect(corpus.length).toBeGreaterThanOrEqual(150);
    expect(new Set(corpus.map(([tool]) => tool)).size).toBeGreaterThanOrEqual(12);
  });

  it.each(corpus)('%s: %s', (_tool, sql) => {
    const { verdict } = on.judge(sql);
    expect(verdict.effect, verdict.reason).toBe('allow');
  });
});
