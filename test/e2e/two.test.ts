/**
 * Two gateways on one store: what one holds the other decides, and what one leaves behind the other ends. Between the decision and its use the
 * one that holds is stopped by a signal, and then killed or woken up late.
 */
import type pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Product } from '../support/product.ts';
import type { SentMessage } from '../support/slack/index.ts';
import { blocking, body, buttonsOf, cardsOf, type Ground, ground, insert } from './ground.ts';
import { type Agent, type Approver, agentAt } from './support.ts';

let here: Ground;
/** Holds; is stopped and killed. */
let first: Product;
/** Decides, by Slack too: the connection that was made first gets what people do there. */
let second: Product;
let dana: Approver;
let url: string;
let blocker: pg.Client;
const agents: Agent[] = [];

beforeAll(async () => {
  here = await ground(['Minter', 'Dana']);
  await here.slack.user({ id: 'UDANA', profile: { email: 'dana@example.com' } });
  await here.postgres.createDatabase('store');
  blocker = await blocking(here);
  const env = { HOLDPOINT_STORE_URL: here.postgres.url('store') };
  second = await here.start({ env });
  await here.slack.until(({ sockets }) => sockets === 1);
  first = await here.start({ env });
  await here.slack.until(({ sockets }) => sockets === 2);
  dana = await here.approver(second, 'Dana');
  url = await here.mint(second, await here.approver(second, 'Minter'));
}, 120_000);
afterAll(async () => {
  await blocker?.end();
  // A test that failed may have left it stopped: it would not end.
  await first?.kill();
  await Promise.all(agents.map((agent) => agent.end()));
  await second?.stop();
  for (const product of [first, second]) product?.remove();
  await here?.stop();
});

/** The same credential, at that process. */
async function connect(product: Product): Promise<Agent> {
  const at = new URL(url);
  at.port = /gateway 127\.0\.0\.1:(\d+)/.exec(product.output())?.[1] ?? '';
  const agent = await agentAt(at.href);
  agents.push(agent);
  return agent;
}
async function impatient(product: Product): Promise<Agent> {
  const agent = await connect(product);
  await agent.run("SET holdpoint.wait = '0'");
  return agent;
}
/** A session of its own on the first asks, and waits. */
async function ask(what: string) {
  const answer = (await connect(first)).run(insert(what));
  const { id } = await dana.held(insert(what));
  return { id, answer };
}
/** Stopped in the midst of a transaction, the first keeps its locks until the store's server takes them back: "try again" until then. */
async function approve(id: string): Promise<void> {
  let answer = await dana.decide(id, 'approve');
  while (answer.status === 503) answer = await dana.decide(id, 'approve');
  expect(answer).toMatchObject({ status: 200 });
}
/** The first is taken for dead: nobody waits there any more. */
const left = (what: string) =>
  dana.until(insert(what), ([one]) => one?.waiterLive === false && one.state !== 'executing' && one);
/** A card of a request that is over has no buttons. */
const shows = (id: string, text: string): Promise<SentMessage> =>
  here.slack.until(
    (state) => cardsOf(state, id).find((card) => body(card).includes(text) && buttonsOf(card).length === 0),
    60_000,
  );

interface Listed {
  readonly id: string;
  readonly endedAt: number | null;
  readonly endedWhy: string | null;
}
const listed = async (id: string): Promise<Listed | undefined> =>
  (await dana.get<{ sessions: readonly Listed[] }>('/sessions')).sessions.find((one) => one.id === id);
/** By which the target knows a session is its id. */
const idOf = async (agent: Agent): Promise<string> =>
  (await agent.value('SHOW application_name')).split(' ').at(-1) ?? '';

it('one that starts leaves the live sessions of another alone, and ends those of one that is gone', async () => {
  // Held once, so that an approver may see it.
  const [living, dying] = [await impatient(second), await impatient(first)];
  for (const agent of [living, dying]) await agent.run(insert('never approved'));
  const [alive, dead] = [await idOf(living), await idOf(dying)];
  await expect.poll(() => listed(dead)).toMatchObject({ endedAt: null });

  const env = { HOLDPOINT_STORE_URL: here.postgres.url('store') };
  const third = await here.start({ env });
  expect(await listed(alive)).toMatchObject({ endedAt: null });
  expect(await listed(dead)).toMatchObject({ endedAt: null });
  await third.stop();
  third.remove();

  await first.kill();
  await dying.end();
  await expect
    .poll(() => listed(dead), { timeout: 120_000, interval: 1000 })
    .toMatchObject({ endedWhy: expect.stringMatching(/gateway is gone/) });
  expect(await listed(alive)).toMatchObject({ endedAt: null });
  expect(await living.value('SELECT 1')).toBe('1');
  // With its directory the rest of its sessions is told as it was.
  first = await here.start({ dataDir: first.dataDir, env });
  await expect.poll(() => listed(dead)).toMatchObject({ endedWhy: 'gateway stopped' });
  await here.slack.until(({ sockets }) => sockets === 2);
}, 240_000);

it('what one holds the other decides, by API and by Slack; it runs once, and Slack is told once', async () => {
  const api = await ask('by api');
  await approve(api.id);
  expect(await api.answer).toMatchObject({ code: null });
  const slack = await ask('by slack');
  const card = await here.slack.until((state) => cardsOf(state, slack.id)[0], 60_000);
  await here.slack.tap({ ts: card.ts, action: 'hp_approve', user: 'UDANA' });
  expect(await slack.answer).toMatchObject({ code: null });
  const denied = await ask('denied');
  await dana.decide(denied.id, 'deny', 'too broad');
  expect(await denied.answer).toMatchObject({ code: '42501' });
  for (const { id } of [api, slack]) await shows(id, 'Executed: 1 row in ');
  await shows(denied.id, 'Denied');
  for (const what of ['by api', 'by slack', 'denied'])
    expect(await here.ran(what), what).toBe(what === 'denied' ? 0 : 1);
  await expect.poll(() => here.postgres.query('store', 'SELECT FROM outbox')).toHaveProperty('rowCount', 0);
  const { messages } = await here.slack.state();
  // The same thing said twice has the same name.
  expect(new Set(messages.map((each) => each.client_msg_id)).size).toBe(messages.length);
  for (const { id } of [api, slack, denied]) expect(cardsOf({ messages }, id)).toHaveLength(1);
}, 120_000);

it('one that wakes up after it was taken for dead does not run what another ran meanwhile', async () => {
  const { id, answer } = await ask('woken');
  process.kill(first.pid, 'SIGSTOP');
  await approve(id);
  expect(await left('woken')).toMatchObject({ state: 'granted' });
  const anew = [await impatient(second), await impatient(second)];
  const answers = await Promise.all(anew.map((agent) => agent.run(insert('woken'))));
  process.kill(first.pid, 'SIGCONT');
  expect((await answer).code).not.toBeNull();
  expect(answers.filter(({ code }) => code === null)).toHaveLength(1);
  expect(await here.ran('woken')).toBe(1);
  await shows(id, 'Executed: 1 row in ');
}, 120_000);

it('killed while it holds, between the decision and its use, and while it runs: the other ends all of it, once', async () => {
  const [undecided, approved, running] = [await ask('undecided'), await ask('approved'), await ask('slow')];
  await approve(running.id);
  await expect.poll(() => here.waits('slow')).toBe(true);
  process.kill(first.pid, 'SIGSTOP');
  await approve(approved.id);
  await first.kill();
  await Promise.all([undecided, approved, running].map(({ answer }) => answer));

  expect(await left('undecided')).toMatchObject({ state: 'pending' });
  expect(await left('approved')).toMatchObject({ state: 'granted', outcome: null });
  await dana.reaches(running.id, 'unknown');
  await shows(running.id, 'outcome unknown');
  const agent = await impatient(second);
  // Nobody waits any more: approved, it is for the next try.
  await approve(undecided.id);
  for (const [what, { id }] of [
    ['undecided', undecided],
    ['approved', approved],
  ] as const) {
    expect(await agent.run(insert(what)), what).toMatchObject({ code: null });
    await shows(id, 'Executed: 1 row in ');
    expect(await agent.run(insert(what)), what).toMatchObject({ code: 'HP001' });
    expect(await here.ran(what), what).toBe(1);
  }
  expect(await agent.run(insert('slow'))).toMatchObject({ code: 'HP001' });
  expect((await here.slack.state()).faults).toEqual([]);
}, 240_000);
