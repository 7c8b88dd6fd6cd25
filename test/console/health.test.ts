import { expect, it } from 'vitest';
import { createHealth, type HealthCheck, type Part } from '../../src/console/health.ts';
import { startConsole } from './harness.ts';

/** A check whose looks are answered by hand; `now` moves when told. */
function bench(patienceMs = 60_000) {
  const clock = { now: 0 };
  const logged: string[] = [];
  const looks: ((why: string | null | Error) => void)[] = [];
  const check: HealthCheck = {
    name: 'store',
    freshMs: 1000,
    look: () =>
      new Promise((resolve, reject) => {
        looks.push((why) => (why instanceof Error ? reject(why) : resolve(why)));
      }),
  };
  const log = {
    info: (_: object, text: string) => void logged.push(text),
    warn: (of: object, text: string) => void logged.push(`${text} ${JSON.stringify(of)}`),
  };
  const health = createHealth([check], { log, now: () => clock.now, patienceMs });
  const ask = async () => (await health.parts())[0];
  return { ask, clock, logged, looks };
}
const READY: Part = { name: 'store', ready: true, why: null };
const AWAY: Part = { name: 'store', ready: false, why: 'It is away.' };

it('looks once for all who ask at a time, and not again for a second', async () => {
  const { ask, clock, looks } = bench();
  const asked = Array.from({ length: 100 }, ask);
  expect(looks).toHaveLength(1);
  looks[0]?.(null);
  expect(await Promise.all(asked)).toEqual(Array(100).fill(READY));
  clock.now = 999;
  expect(await ask()).toEqual(READY);
  expect(looks).toHaveLength(1);
  clock.now = 1000;
  const later = ask();
  expect(looks).toHaveLength(2);
  looks[1]?.('It is away.');
  expect(await later).toEqual(AWAY);
});

it('a clock that went back does not keep an old answer', async () => {
  const { ask, clock, looks } = bench();
  clock.now = 5000;
  const first = ask();
  looks[0]?.(null);
  await first;
  clock.now = 10;
  const second = ask();
  expect(looks).toHaveLength(2);
  looks[1]?.('It is away.');
  expect(await second).toEqual(AWAY);
});

it('nobody waits for what hangs, and it is not asked anew meanwhile', async () => {
  const { ask, clock, looks } = bench(1);
  const silent = { name: 'store', ready: false, why: 'It gives no answer.' };
  expect(await ask()).toEqual(silent);
  clock.now = 3000;
  expect(await ask()).toEqual(silent);
  expect(looks).toHaveLength(1);
  looks[0]?.(null);
  await expect.poll(ask).toEqual(READY);
});

it('what a check fails with is not shown', async () => {
  const { ask, looks, logged } = bench();
  const asked = ask();
  looks[0]?.(new Error('password=hunter2'));
  expect((await asked)?.why).toBe('It cannot be told: the check failed.');
  expect(logged.join()).not.toContain('hunter2');
});

it('a change is logged once, with its reason', async () => {
  const { ask, clock, logged, looks } = bench();
  for (const why of ['It is away.', 'It is away.', null, null]) {
    const asked = ask();
    looks.at(-1)?.(why);
    await asked;
    clock.now += 1000;
  }
  expect(logged).toEqual(['not ready {"part":"store","why":"It is away."}', 'ready again']);
});

it('says so by its status: alive in any case, ready when all of it is', async () => {
  let parts: readonly Part[] = [READY, { name: 'target shop', ready: true, why: null }];
  const { base, server } = await startConsole({ health: { parts: async () => parts } });
  const ask = async (path: string) => {
    const answer = await fetch(base + path);
    return { status: answer.status, cached: answer.headers.get('cache-control'), body: await answer.json() };
  };
  expect(await ask('/readyz')).toEqual({ status: 200, cached: 'no-store', body: { ready: true, parts } });
  parts = [AWAY, ...parts.slice(1)];
  expect(await ask('/readyz')).toEqual({ status: 503, cached: 'no-store', body: { ready: false, parts } });
  expect(await ask('/healthz')).toEqual({ status: 200, cached: 'no-store', body: { ok: true } });
  await server.close();
});
