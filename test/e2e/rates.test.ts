/**
 * How soon a tap lets the statement go, and what Slack sees of many requests at once. `node test/suites/latency.mjs` measures: 500 requests in a
 * minute; here a few show that it holds.
 */
import { createServer } from 'node:net';
import { loadavg } from 'node:os';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Product } from '../support/product.ts';
import { SIGNING_SECRET } from '../support/slack/index.ts';
import { buttonsOf, cardsOf, type Ground, ground, insert } from './ground.ts';
import { type Agent, type Approver, agentAt, approver, textOf } from './support.ts';

const SAMPLES = Number(process.env['HP_SAMPLES'] ?? 2);
const REQUESTS = Number(process.env['HP_REQUESTS'] ?? 12);
const SPREAD_MS = process.env['HP_REQUESTS'] ? 60_000 : 0;
const report = (line: string): void => {
  if (process.env['HP_REQUESTS']) console.log(line);
};

let here: Ground;
let product: Product;
let minter: Approver;
let dana: Approver;
const agents: Agent[] = [];
beforeAll(async () => {
  here = await ground(['Minter', 'Dana']);
  await here.slack.user({ id: 'UDANA', profile: { email: 'dana@example.com' } });
  product = await here.start();
  minter = await here.approver(product, 'Minter');
  dana = await here.approver(product, 'Dana');
});
afterAll(async () => {
  await Promise.all(agents.map((agent) => agent.end()));
  await product?.stop();
  product?.remove();
  await here?.stop();
});

async function connect(owner: string): Promise<Agent> {
  const { body } = await minter.post('/credentials', {
    owner: { email: `${owner}@example.com` },
    groups: ['crew'],
    ttlMs: 3_600_000,
  });
  const gateway = /gateway (127\.0\.0\.1:\d+)/.exec(product.output())?.[1] ?? '';
  const agent = await agentAt(`postgres://${textOf(body, 'id')}:${textOf(body, 'secret')}@${gateway}/shop`);
  agents.push(agent);
  return agent;
}

/** From the tap in Slack to the moment when the statement arrives at the target. */
async function taps(how: string, url?: string): Promise<void> {
  const agent = await connect('alice');
  const took: number[] = [];
  for (let n = 0; n < SAMPLES; n += 1) {
    const what = `${how} ${n}`;
    const told = agent.run(insert(what));
    const { id } = await dana.held(insert(what));
    const card = await here.slack.until((state) => cardsOf(state, id)[0], 60_000);
    const arrived = here.proxy.sees(`'${what}'`);
    const began = performance.now();
    await here.slack.tap({
      ts: card.ts,
      action: 'hp_approve',
      user: 'UDANA',
      how: url === undefined ? {} : { url },
    }); // prettier-ignore
    took.push((await arrived) - began);
    expect(await told).toMatchObject({ code: null });
  }
  took.sort((a, b) => a - b);
  const at = (share: number) =>
    (took[Math.min(took.length - 1, Math.floor(took.length * share))] ?? 0).toFixed(0); // prettier-ignore
  report(
    `tap to statement, ${how}: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, ${SAMPLES} taps, load ${loadavg()[0]?.toFixed(1)}`,
  ); // prettier-ignore
}

it('a tap over Socket Mode lets the statement go', () => taps('Socket Mode'), 2 ** 31 - 1);

it(
  'many requests at once keep to what Slack takes, and in the end every card is true',
  async () => {
    await here.slack.forget();
    const began = Date.now();
    // Nine of each owner: ten may be open.
    const owners = Array.from({ length: Math.ceil(REQUESTS / 9) }, (_, owner) => owner);
    await Promise.all(
      owners.map(async (owner) => {
        for (let session = 0; session < 3; session += 1) {
          const agent = await connect(`owner${owner}`);
          await agent.run("SET holdpoint.wait = '0'");
          for (let n = 0; n < 3; n += 1) {
            const at = owner * 9 + session * 3 + n;
            if (at >= REQUESTS) return;
            const due = began + (SPREAD_MS * (session * 3 + n)) / 9;
            await new Promise((resolve) => setTimeout(resolve, Math.max(0, due - Date.now())));
            const sql = insert(`burst ${at}`);
            expect(await agent.run(sql)).toMatchObject({ code: 'HP001' });
            // A third is approved and run, a third denied, a third stays open.
            const [request] = await dana
              .get<{ requests: { id: string; statement: { sql: string } }[] }>('/requests?state=pending')
              .then(({ requests }) => requests.filter(({ statement }) => statement.sql === sql)); // prettier-ignore
            if (at % 3 === 2) continue;
            await dana.decide(request?.id ?? '', at % 3 === 0 ? 'approve' : 'deny');
            if (at % 3 === 0) expect(await agent.run(sql)).toMatchObject({ code: null });
          }
          await agent.end();
        }
      }),
    );
    report(
      `${REQUESTS} requests made and two thirds of them decided in ${((Date.now() - began) / 1000).toFixed(0)} s, load ${loadavg()[0]?.toFixed(1)}`,
    ); // prettier-ignore
    const isTrue = (at: number, live: number): boolean => live === (at % 3 === 2 ? 1 : 0);
    const state = await here.slack.until(
      (now) => {
        const cards = cardsOf(now, "'burst ");
        if (cards.length < REQUESTS) return false;
        return (
          cards.every((card) => {
            const at = Number(/'burst (\d+)'/.exec(JSON.stringify(card.blocks))?.[1]);
            return isTrue(at, buttonsOf(card).includes('hp_approve') ? 1 : 0);
          }) && now
        );
      },
      REQUESTS * 4000 + 60_000,
    );
    report(`all cards were true after ${((Date.now() - began) / 1000).toFixed(0)} s`);
    expect(cardsOf(state, "'burst ").length).toBe(REQUESTS);
    const times = (method: string, to?: string) =>
      state.calls
        .filter((call) => call.method === method && (to === undefined || call.args?.['channel'] === to))
        .map(({ at }) => at);
    const channels = new Set(
      state.calls.map(({ args }) => args?.['channel']).filter((to) => typeof to === 'string'),
    ); // prettier-ignore
    /** Never more than so many a second, beyond a burst, over whatever stretch. */
    const worst = (all: readonly number[], perSecond: number): number =>
      Math.max(
        0,
        ...all.flatMap((from, i) =>
          all.slice(i, i + 200).map((to, n) => n + 1 - ((to - from) / 1000) * perSecond),
        ),
      ); // prettier-ignore
    for (const to of channels) expect(worst(times('chat.postMessage', to), 1), to).toBeLessThanOrEqual(3);
    expect(worst(times('chat.update'), 50 / 60)).toBeLessThanOrEqual(6);
    report(`posts ${times('chat.postMessage').length}, updates ${times('chat.update').length}`);
    expect(state.faults).toEqual([]);
  },
  2 ** 31 - 1,
);

it(
  'a tap over signed HTTP lets the statement go',
  async () => {
    const port = await freePort();
    await product.stop();
    product = await here.start({
      dataDir: product.dataDir,
      env: {
        SLACK_APP_TOKEN: undefined,
        SLACK_SIGNING_SECRET: SIGNING_SECRET,
        HOLDPOINT_SLACK_LISTEN: `127.0.0.1:${port}`,
      }, // prettier-ignore
    });
    minter = approver(product, minter.token);
    dana = approver(product, dana.token);
    await taps('HTTP', `http://127.0.0.1:${port}/slack/events`);
  },
  2 ** 31 - 1,
);

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}
