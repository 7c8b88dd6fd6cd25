import { afterEach, describe, expect, it } from 'vitest';
import { createLru } from '../../src/gateway/judge/lru.ts';
import { createPool, type Pool, type PoolOptions } from '../../src/gateway/judge/pool.ts';

/** Jobs: a text to echo with the setup, 'spin' (for ever), 'throw', 'exit', 'recycle', 'count' (jobs this worker had). */
const WORKER = `
const { parentPort } = await import('node:worker_threads');
let setup = null, count = 0;
parentPort.on('message', (message) => {
  if (message.setup !== undefined) { setup = message.setup; parentPort.postMessage({ ready: true }); return; }
  const { id, job } = message;
  count += 1;
  if (job === 'spin') for (;;);
  if (job === 'throw') throw new Error('broken');
  if (job === 'exit') process.exit(3);
  const result = job === 'count' ? String(count) : job === 'env' ? JSON.stringify(process.env) : job + ':' + setup;
  parentPort.postMessage({ id, result, recycle: job === 'recycle' });
});
parentPort.postMessage({ ready: true });
`;
const url = (source: string) => new URL(`data:text/javascript,${encodeURIComponent(source)}`);

const pools: Pool<string, string>[] = [];
function pool(more: Partial<PoolOptions> = {}): Pool<string, string> {
  const made = createPool<string, string>({
    url: url(WORKER),
    size: 1,
    limitMs: 200,
    startLimitMs: 10_000,
    maxQueue: 5,
    maxHeapMb: 64,
    ...more,
  });
  pools.push(made);
  return made;
}
afterEach(async () => {
  for (const each of pools.splice(0)) await each.close();
});
const done = (result: string) => ({ kind: 'done', result });

describe('the worker pool', () => {
  it('hands a setup over before the first job that needs it', async () => {
    const workers = pool();
    const setup = { version: '1', value: 'one' };
    expect(await Promise.all([workers.run('a', setup), workers.run('b', setup)])).toEqual([
      done('a:one'),
      done('b:one'),
    ]);
    expect(await workers.run('c', { version: '2', value: 'two' })).toEqual(done('c:two'));
  });

  it('kills a job that takes too long, and serves what waited behind it', async () => {
    const workers = pool();
    const [slow, next] = await Promise.all([
      workers.run('spin'),
      workers.run('a', { version: '1', value: 'x' }),
    ]);
    expect(slow).toEqual({ kind: 'timeout' });
    expect(next).toEqual(done('a:x'));
  });

  it('answers for a worker that crashed, and makes a new one', async () => {
    const workers = pool();
    expect(await workers.run('throw')).toEqual({ kind: 'crashed', why: 'broken' });
    expect(await workers.run('exit')).toMatchObject({ kind: 'crashed' });
    expect(await workers.run('a')).toEqual(done('a:null'));
  });

  it('throws a worker away that asks for it', async () => {
    const workers = pool();
    expect(await workers.run('count')).toEqual(done('1'));
    expect(await workers.run('count')).toEqual(done('2'));
    await workers.run('recycle');
    expect(await workers.run('count')).toEqual(done('1'));
  });

  it('does not queue without end', async () => {
    const workers = pool({ maxQueue: 2 });
    await workers.run('a');
    const all = await Promise.all(Array.from({ length: 4 }, (_, i) => workers.run(String(i))));
    expect(all.map(({ kind }) => kind)).toEqual(['done', 'done', 'done', 'overloaded']);
  });

  it('fails the jobs, not the process, when workers do not start', async () => {
    const workers = pool({ url: url('throw new Error("no")') });
    expect(await Promise.all([workers.run('a'), workers.run('b')])).toMatchObject([
      { kind: 'crashed' },
      { kind: 'crashed' },
    ]);
    expect(await workers.run('c')).toMatchObject({ kind: 'crashed' });
  });

  it('gives workers no environment', async () => {
    expect(await pool().run('env')).toEqual(done('{}'));
  });

  it('answers every job when it is closed', async () => {
    const workers = pool();
    const running = [workers.run('spin'), workers.run('a')];
    await workers.close();
    expect((await Promise.all(running)).map(({ kind }) => kind)).toEqual(['crashed', 'crashed']);
    expect(await workers.run('a')).toMatchObject({ kind: 'crashed' });
  });
});

describe('the cache', () => {
  it('forgets the least recently used beyond its count', () => {
    const cache = createLru<number>(2, 1000);
    cache.set('a', 1, 1);
    cache.set('b', 2, 1);
    cache.get('a');
    cache.set('c', 3, 1);
    expect([cache.get('a'), cache.get('b'), cache.get('c')]).toEqual([1, undefined, 3]);
  });
  it('stays within its bytes, and keeps no giant', () => {
    const cache = createLru<number>(100, 100);
    for (let i = 0; i < 50; i += 1) cache.set(String(i), i, 20);
    expect(cache.bytes).toBeLessThanOrEqual(100);
    cache.set('giant', 0, 26);
    expect(cache.get('giant')).toBeUndefined();
    cache.set('49', 1, 10);
    expect(cache.bytes).toBe(90);
  });
});
