/** What real tools send when they connect, look around and work: none of it waits. Recorded from the tools where they could be run. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { refuseSetting } from '../../src/gateway/settings.ts';
import { cases, type Ground, ground, majors } from './corpus/real.ts';

const corpus = cases('tools.jsonl');

let on: Ground;
describe('statements of real tools', () => {
  it('are at least 150, of a dozen tools', () => {
    expect(corpus.length).toBeGreaterThanOrEqual(150);
    expect(new Set(corpus.map(([tool]) => tool)).size).toBeGreaterThanOrEqual(12);
  });

  describe.each(majors)('PostgreSQL $major', ({ major, here }) => {
    beforeAll(async () => {
      if (here) on = await ground({ shop: 'v' }, major);
    });
    afterAll(() => on?.stop());

    it.skipIf(!here).each(cases('tools.jsonl', major))('%s: %s', (_tool, sql) => {
      const { facts, verdict } = on.judge(sql);
      expect(verdict.effect, verdict.reason).toBe('allow');
      for (const change of facts?.statements.flatMap(({ settings }) => settings) ?? [])
        expect(refuseSetting(change, false), change.name).toBeNull();
    });
  });
});
