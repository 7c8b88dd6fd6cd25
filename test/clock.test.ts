import { expect, it } from 'vitest';
import { sharedClock } from '../src/clock.ts';

const SERVER = 1_700_000_000_000;

it('two processes on one store have one time, however their own clocks differ or jump', async () => {
  let steady = 5_000;
  const server = async () => SERVER + steady;
  const one = sharedClock(server, SERVER - 40_000, () => steady);
  const other = sharedClock(server, SERVER + 3_600_000, () => steady + 777);
  await Promise.all([one.sync(), other.sync()]);
  expect([one.now(), other.now()]).toEqual([SERVER + 5_000, SERVER + 5_000]);
  steady += 1_234.5;
  expect([one.now(), other.now()]).toEqual([SERVER + 6_234, SERVER + 6_234]);
});

it('goes on while the store cannot tell, or tells it late', async () => {
  let steady = 0;
  const answers = [
    () => Promise.resolve(SERVER),
    () => Promise.reject(new Error('down')),
    async () => {
      steady += 3_000;
      return 7;
    },
  ];
  const clock = sharedClock(
    () => answers.shift()?.() ?? Promise.resolve(0),
    0,
    () => steady,
  );
  for (const at of [SERVER, SERVER, SERVER + 3_000]) {
    await clock.sync();
    expect(clock.now()).toBe(at);
  }
});
