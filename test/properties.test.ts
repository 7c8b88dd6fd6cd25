/** How properties are checked, and who is told what runs: test/support. */
import fc from 'fast-check';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { holds, holdsAsync } from './support/property.ts';
import { type Entry, entries, unfinished } from './support/test-log.mjs';

beforeEach(() => void vi.stubEnv('HP_PROPERTY_SEED', undefined));
afterEach(() => void vi.unstubAllEnvs());

const failure = (run: () => void): string => {
  try {
    run();
  } catch (error) {
    return String(error);
  }
  return 'passed';
};

it('a property that takes too long fails, and names its seed', () => {
  const endless = () =>
    holds(
      fc.property(fc.nat(), () => true),
      { numRuns: 1e9, seconds: 0.05, seed: 17 },
    );
  expect(failure(endless)).toMatch(/interrupted after \d+ tests[\s\S]*seed: 17/);
});

it('so does one that waits for what never comes', async () => {
  const stuck = holdsAsync(
    fc.asyncProperty(fc.nat(), () => new Promise(() => {})),
    { seconds: 0.05, seed: 18 },
  );
  await expect(stuck).rejects.toThrow(/interrupted after \d+ tests[\s\S]*seed: 18/);
});

/** A value that can be made smaller for longer than anybody waits. */
class Endless extends fc.Arbitrary<number> {
  override generate(): fc.Value<number> {
    return new fc.Value(1, undefined);
  }
  override canShrinkWithoutContext(value: unknown): value is number {
    return value === 1;
  }
  override shrink(): fc.Stream<fc.Value<number>> {
    return fc.stream(
      (function* () {
        for (let n = 2; n < 1e9; n++) yield new fc.Value(n, undefined);
      })(),
    );
  }
}
it('making values smaller ends with the time limit', () => {
  const never = fc.property(new Endless(), (n) => n !== 1);
  expect(failure(() => holds(never, { seconds: 0.05, seed: 19 }))).toMatch(
    /failed after 1 tests[\s\S]*seed: 19/,
  );
});

it('large values are not made smaller', () => {
  let runs = 0;
  const large = () =>
    holds(
      fc.property(fc.array(fc.nat(), { minLength: 5 }), () => {
        runs += 1;
        throw new Error('never');
      }),
      { large: true, seed: 20 },
    );
  expect(failure(large)).toMatch(/seed: 20/);
  expect(runs).toBe(1);
});

it('a property that holds draws other values each time, and the same ones for the same seed', () => {
  const drawn = (seed?: number): readonly number[] => {
    const all: number[] = [];
    holds(
      fc.property(fc.nat(), (n) => void all.push(n)),
      seed === undefined ? {} : { seed },
    );
    return all;
  };
  expect(drawn(21)).toEqual(drawn(21));
  expect(drawn()).not.toEqual(drawn());
  vi.stubEnv('HP_PROPERTY_SEED', '21');
  expect(drawn()).toEqual(drawn(21));
});

it('what began and has not ended is named, with the seeds of properties', () => {
  const file = (kind: 'begin' | 'end', name: string, at: number): Entry =>
    kind === 'begin' ? { kind, what: 'file', name, at } : { kind, what: 'file', name, failed: false, at };
  const all: readonly Entry[] = [
    file('begin', 'test/a.test.ts', 1),
    file('begin', 'test/b.test.ts', 2),
    { kind: 'begin', what: 'test', name: 'b > ends', at: 3 },
    { kind: 'end', what: 'test', name: 'b > ends', failed: false, at: 4 },
    { kind: 'property', name: 'b > hangs', seed: 7, at: 5 },
    file('end', 'test/a.test.ts', 6),
  ];
  const text = all.map((one) => `${JSON.stringify(one)}\n`).join('');
  expect(unfinished(entries(`${text}{"kind":"beg`))).toEqual(['test/b.test.ts', '  "b > hangs", seed 7']);
  expect(unfinished(all, 2)).toEqual([]);
  expect(unfinished(all, 3)).toEqual(['test/b.test.ts']);
});
