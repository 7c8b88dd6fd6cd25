/** Many requests at once, an hour of outage: on a clock that is wound, with the desk and the outbox of the other tests. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createDelivery } from '../../src/bot/delivery.ts';
import { createPace } from '../../src/bot/pace.ts';
import { type SlackApi, SlackFailure } from '../../src/bot/slack-api.ts';
import { MINE, makeDesk, makeLog, makeRequest, NOW, type TestDesk } from './support.ts';

interface Call {
  readonly method: string;
  readonly at: number;
  readonly channel: string;
  readonly thread: boolean;
  readonly text: string;
}
let desk: TestDesk;
let calls: Call[];
let down: boolean;
let stop: () => Promise<void>;

const channelOf = (name: string): string => (name.startsWith('#') ? name.slice(1) : name);

beforeEach(() => {
  vi.useFakeTimers({ now: NOW });
  desk = makeDesk();
  calls = [];
  down = false;
  let ts = 0;
  const api: SlackApi = {
    async call(method, args) {
      calls.push({
        method,
        at: Date.now(),
        channel: channelOf(String(args['channel'])),
        thread: args['thread_ts'] !== undefined,
        text: String(args['text']),
      });
      if (down) throw new SlackFailure(method, { kind: 'unclear', error: 'no answer' });
      ts += 1;
      return { ok: true, ts: `${ts}.0`, channel: channelOf(String(args['channel'])) };
    },
  };
  const pace = createPace();
  const delivery = createDelivery({
    api,
    config: {
      botToken: 'x',
      appToken: null,
      signingSecret: 'x',
      channel: '#db',
      routes: [{ target: 'billing', channel: '#billing' }],
      apiUrl: null,
      publicUrl: null,
    },
    counter: null,
    desk,
    groups: { of: async () => [], mention: async () => null },
    outbox: desk.outbox,
    owners: { userOf: async () => null, known: async () => null },
    pace,
    turn: MINE,
    log: makeLog(),
    now: Date.now,
  });
  delivery.start();
  stop = async () => {
    delivery.stop();
    await pace.close();
  };
});
afterEach(async () => {
  const stopped = stop();
  await vi.runOnlyPendingTimersAsync();
  await stopped;
  vi.useRealTimers();
});

const id = (index: number): string => `HP-P${String(index).padStart(4, '0')}`;
const cards = (): readonly Call[] => calls.filter((one) => one.method === 'chat.postMessage' && !one.thread);
const deny = (index: number): unknown =>
  desk.change(id(index), { state: 'denied', endedAt: Date.now(), waiterLive: false });

/** The most that fall into any stretch of that length. */
function densest(all: readonly Call[], ms: number): number {
  return Math.max(0, ...all.map(({ at }) => all.filter((one) => one.at >= at && one.at < at + ms).length));
}

describe('five hundred requests in a minute', () => {
  it('stay within the rates, oldest first; what is decided is shown at once and said with its link in one note', async () => {
    for (let index = 0; index < 500; index += 1) {
      const target = { ...makeRequest().target, name: index % 5 === 4 ? 'billing' : 'shop' };
      desk.put(makeRequest({ id: id(index), target }));
      await vi.advanceTimersByTimeAsync(120);
    }
    const shown = cards();
    expect(shown.length).toBeGreaterThan(100);
    // Of what is on cards, somebody decides every fourth: no longer than the updates themselves take.
    const some = shown.filter((_, index) => index % 4 === 0).map((one) => Number(one.text.slice(-4)));
    const from = Date.now();
    for (const index of some) deny(index);
    await vi.advanceTimersByTimeAsync((some.length / 50) * 60_000 + 2_000);
    const updates = calls.filter((one) => one.method === 'chat.update' && one.at >= from);
    expect(updates.length).toBe(some.length);
    // The rest is decided while it waits for its card.
    for (let index = 0; index < 500; index += 1)
      if (cards().every((one) => !one.text.includes(id(index)))) deny(index);
    await vi.advanceTimersByTimeAsync(20 * 60_000);
    for (const channel of ['db', 'billing']) {
      const posts = calls.filter((one) => one.method === 'chat.postMessage' && one.channel === channel);
      expect(densest(posts, 1000)).toBe(1);
      const order = posts
        .filter((one) => !one.thread)
        .map((one) => one.text.replace(/ · denied$/, '').slice(-4));
      expect(order).toEqual([...order].sort());
    }
    expect(
      densest(
        calls.filter((one) => one.method === 'chat.update'),
        60_000,
      ),
    ).toBeLessThanOrEqual(55);
    expect(cards().length).toBe(500);
    expect(desk.outbox.rows.size).toBe(0);
    // One note for link and outcome where the end came before the link, two where somebody was shown the link while it waited.
    const notes = calls.filter((one) => one.thread);
    expect(notes.length).toBeLessThanOrEqual(500 + some.length);
    expect([...desk.outbox.cards.values()].filter((one) => !one.threadPosted)).toEqual([]);
  });
});

describe('an hour without Slack', () => {
  it('costs few calls, and every card catches up without a second one', async () => {
    down = true;
    for (let index = 0; index < 20; index += 1) desk.put(makeRequest({ id: id(index) }));
    await vi.advanceTimersByTimeAsync(3_600_000);
    expect(calls.length).toBeLessThan(600);
    for (let index = 0; index < 10; index += 1) deny(index);
    calls = [];
    down = false;
    await vi.advanceTimersByTimeAsync(120_000);
    expect(desk.outbox.rows.size).toBe(0);
    expect(new Set(cards().map((one) => one.text)).size).toBe(20);
    expect(cards().length).toBe(20);
    expect(cards().filter((one) => one.text.endsWith('denied')).length).toBe(10);
  });
});
