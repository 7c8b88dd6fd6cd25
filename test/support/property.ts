/**
 * The one way to check a property (the architecture tests see to it): within a time limit that counts as failure, and with a seed that is noted before it begins. Making a value
 * smaller counts against the limit too; large values are left as they are.
 *
 * HP_PROPERTY_SEED=N plays one seed again; HP_PROPERTY_TIMES=N checks each property N times with fresh ones (test/suites/properties.mjs).
 */
import { randomInt } from 'node:crypto';
import fc from 'fast-check';
import { expect } from 'vitest';
import { note } from './test-log.mjs';

export interface Limits<T> {
  readonly numRuns?: number;
  readonly examples?: T[];
  readonly seed?: number;
  /** Of one run, in milliseconds. */
  readonly timeout?: number;
  /** Of all runs. */
  readonly seconds?: number;
  /** Values that cannot be made smaller in any useful time. */
  readonly large?: true;
}
/** Below what vitest gives a test, so that it is the property that fails, with its seed. */
const SECONDS = 50;
const LONGEST_TIMER = 2 ** 31 - 1;
const TIMES = Number(process.env['HP_PROPERTY_TIMES'] ?? 0);
/** Many at once take longer, and what hangs is none of them. */
const PATIENCE = TIMES > 0 ? 6 : 1;

/** For `timeout` of a test that has one of its own. */
export const testTimeout = (seconds: number): number => (TIMES > 0 ? LONGEST_TIMER : seconds * 1000);

export function holds<T>(property: fc.IProperty<T>, limits: Limits<T> = {}): void {
  void checked(property, limits);
}
export async function holdsAsync<T>(property: fc.IAsyncProperty<T>, limits: Limits<T> = {}): Promise<void> {
  await checked(property, limits);
}

function checked<T>(property: fc.IRawProperty<T>, limits: Limits<T>): Promise<void> | void {
  const { large = false, seconds = SECONDS, seed, ...rest } = limits;
  const name = expect.getState().currentTestName ?? 'a property';
  const check = (seed: number): Promise<void> | void => {
    note({ kind: 'property', name, seed });
    return fc.assert(property, {
      ...rest,
      seed,
      endOnFailure: large,
      interruptAfterTimeLimit: Math.min(seconds * PATIENCE * 1000, LONGEST_TIMER),
      markInterruptAsFailure: true,
    });
  };
  if (TIMES > 0) return again(check, name, TIMES);
  const given = process.env['HP_PROPERTY_SEED'];
  return check(given === undefined ? (seed ?? fresh()) : Number(given));
}

const fresh = (): number => randomInt(-(2 ** 31), 2 ** 31);

/** What failed is told at the end, with its seeds. */
function again(
  check: (seed: number) => Promise<void> | void,
  name: string,
  times: number,
): Promise<void> | void {
  const failed: string[] = [];
  const from = (first: number): Promise<void> | void => {
    for (let i = first; i < times; i++) {
      const seed = fresh();
      const began = Date.now();
      const tell = (why: string | null): void => {
        note({ kind: 'checked', name, seed, ms: Date.now() - began, why });
        if (why !== null) failed.push(`seed ${seed}: ${why}`);
      };
      const refuse = (error: unknown): void => tell(wordsOf(error));
      try {
        const running = check(seed);
        if (running !== undefined) return running.then(() => tell(null), refuse).then(() => from(i + 1));
        tell(null);
      } catch (error) {
        refuse(error);
      }
    }
    if (failed.length > 0) throw new Error(`${failed.length} of ${times} failed\n${failed.join('\n\n')}`);
  };
  return from(0);
}

/** With what the property itself said, which is the cause. */
function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${wordsOf(error.cause)}\n${error.message}`;
}
