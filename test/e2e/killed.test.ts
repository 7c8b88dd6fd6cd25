/**
 * kill -9 with a request at every step between the question and the outcome. The steps are made from outside: the proxy swallows what goes to the
 * target or comes back, a lock keeps a statement running, Slack does what it is asked and loses the answer, or never answers.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { ApprovalRequest } from '../../src/approvals/types.ts';
import type { Product } from '../support/product.ts';
import type { SentMessage, SlackState } from '../support/slack/index.ts';
import { blocking, body, buttonsOf, cardsOf, type Ground, ground, insert } from './ground.ts';
import { type Agent, agentAt, approver } from './support.ts';

let here: Ground;
const agents: Agent[] = [];
const products: Product[] = [];
beforeAll(async () => {
  here = await ground(['Minter', 'Dana']);
  await here.slack.user({ id: 'UDANA', profile: { email: 'dana@example.com' } });
});
afterAll(async () => {
  await Promise.all(agents.map((agent) => agent.end()));
  for (const product of products) await product.stop();
  for (const product of products) product.remove();
  await here?.stop();
});

async function connect(url: string): Promise<Agent> {
  const agent = await agentAt(url);
  agents.push(agent);
  return agent;
}
async function started(options: Parameters<Ground['start']>[0] = {}): Promise<Product> {
  const product = await here.start(options);
  products.push(product);
  return product;
}
const portOf = (product: Product): string => /gateway 127\.0\.0\.1:(\d+)/.exec(product.output())?.[1] ?? '';
const cards = (state: SlackState, id: string): readonly SentMessage[] => cardsOf(state, id);
const shows = (id: string, text: string): Promise<SentMessage> =>
  here.slack.until((state) => cards(state, id).find((card) => body(card).includes(text)), 60_000);

it('killed with a request at every step: nothing runs twice or unapproved, every card ends true', async () => {
  const first = await started();
  let dana = await here.approver(first, 'Dana');
  const url = await here.mint(first, await here.approver(first, 'Minter'));
  const ids = new Map<string, string>();
  const idOf = (what: string): string => ids.get(what) ?? 'none';
  /** A session of its own sends it, and waits. */
  const ask = async (what: string, before: readonly string[] = []): Promise<Agent> => {
    const agent = await connect(url);
    for (const sql of before) expect(await agent.run(sql)).toMatchObject({ code: null });
    void agent.run(insert(what));
    ids.set(what, (await dana.held(insert(what))).id);
    return agent;
  };
  const approve = async (what: string): Promise<void> =>
    expect(await dana.decide(idOf(what), 'approve'), what).toMatchObject({ status: 200 });
  const reaches = (what: string, state: ApprovalRequest['state']) => dana.reaches(idOf(what), state);
  const posted = (what: string) => here.slack.until((state) => cards(state, idOf(what))[0], 60_000);

  // Its outcome is stored, its card shows it.
  await ask('all of it');
  await approve('all of it');
  await shows(idOf('all of it'), 'Executed: 1 row in ');
  // It runs in the target.
  const blocker = await blocking(here);
  await ask('slow');
  await approve('slow');
  await expect.poll(() => here.waits('slow')).toBe(true);
  // It ran, and the answer is on its way.
  here.proxy.mute("'no answer'");
  await ask('no answer');
  await approve('no answer');
  await expect.poll(() => here.ran('no answer')).toBe(1);
  // It is on its way there.
  await ask('in transit');
  here.proxy.swallow("'in transit'");
  await approve('in transit');
  await reaches('in transit', 'executing');
  // It ran in a transaction that is open.
  await ask('uncommitted', ['BEGIN']);
  await approve('uncommitted');
  await dana.until(insert('uncommitted'), ([one]) => one?.outcome?.transactionOpen);
  await (await ask('granted')).end();
  await dana.until(insert('granted'), ([one]) => one?.waiterLive === false);
  for (const what of ['not shown', 'claimed']) await ask(what);
  for (const what of ['granted', 'not shown', 'claimed']) {
    const { ts } = await posted(what);
    await here.slack.until(({ messages }) => messages.some((each) => each.thread_ts === ts), 60_000);
  }
  // The card is in Slack and nobody knows; it is being posted; nobody has begun to.
  await here.slack.rule({ method: 'chat.postMessage', kind: 'lose', times: 1 });
  await here.slack.rule({ method: 'chat.postMessage', kind: 'hang', times: 1000 });
  for (const what of ['posted', 'posting', 'queued']) await ask(what);
  await posted('posted');
  // Approved while nobody waits; executed, and its card still has its buttons: Slack does not answer.
  await here.slack.rule({ method: 'chat.update', kind: 'hang', times: 1000 });
  for (const what of ['granted', 'not shown']) await approve(what);
  await reaches('not shown', 'executed');
  // Claimed, and about to be judged again.
  here.proxy.swallowAll();
  await approve('claimed');
  await reaches('claimed', 'executing');
  await first.kill();

  // The target does not notice: what it runs, it ends.
  await blocker.end();
  here.proxy.heal();
  await here.slack.clearRules();
  const again = await started({ dataDir: first.dataDir });
  dana = approver(again, dana.token);
  const gateway = new URL(url);
  gateway.port = portOf(again);
  const agent = await connect(gateway.href);
  await agent.run("SET holdpoint.wait = '0'");

  const told = async (what: string): Promise<ApprovalRequest | undefined> =>
    (await dana.requestsFor(insert(what))).find(({ id }) => id === idOf(what));
  await expect.poll(() => here.ran('slow')).toBe(1);
  for (const what of ['slow', 'no answer', 'in transit', 'uncommitted', 'claimed']) {
    expect(await told(what), what).toMatchObject({ state: 'unknown' });
    expect(await here.ran(what), what).toBe(what === 'slow' || what === 'no answer' ? 1 : 0);
    await shows(idOf(what), 'outcome unknown');
    // Nobody knows whether it ran: to run it again is for a human to say.
    const answer = await agent.run(insert(what));
    expect(answer, what).toMatchObject({ code: 'HP001' });
    expect(answer.message).not.toContain(idOf(what));
    const [anew] = await dana.requestsFor(insert(what));
    await dana.decide(anew?.id ?? '', 'deny');
  }
  for (const what of ['all of it', 'not shown'])
    expect(await told(what), what).toMatchObject({ state: 'executed', outcome: { rows: 1 } });
  expect(await told('granted')).toMatchObject({ state: 'granted', waiterLive: false });
  expect(await agent.run(insert('granted'))).toMatchObject({ code: null });
  for (const what of ['posted', 'posting', 'queued']) {
    expect(await told(what), what).toMatchObject({ state: 'pending', waiterLive: false });
    expect((await agent.run(insert(what))).message).toContain(idOf(what));
    expect(await here.ran(what)).toBe(0);
    // Decided where the card is.
    const card = await here.slack.until((state) => cards(state, idOf(what)).at(-1), 60_000);
    await here.slack.tap({ ts: card.ts, action: 'hp_approve', user: 'UDANA' });
    await reaches(what, 'granted');
    expect(await agent.run(insert(what)), what).toMatchObject({ code: null });
  }
  for (const what of ['all of it', 'not shown', 'granted', 'posted', 'posting', 'queued']) {
    await shows(idOf(what), 'Executed: 1 row in ');
    expect(await here.ran(what), what).toBe(1);
  }
  const state = await here.slack.until(
    (now) =>
      [...ids.values()].every((id) => cards(now, id).some((card) => buttonsOf(card).length === 0)) && now, // prettier-ignore
    60_000,
  );
  for (const [what, id] of ids) {
    const all = cards(state, id);
    // Slack was not known to have it: there may be two, and whoever taps the first is told, and it is brought up to date.
    expect(all.length, what).toBe(what === 'posted' ? 2 : 1);
    const stale = all.filter((card) => buttonsOf(card).length > 0);
    expect(stale.length, what).toBe(what === 'posted' ? 1 : 0);
    for (const { ts } of stale) {
      await here.slack.tap({ ts, action: 'hp_approve', user: 'UDANA' });
      await here.slack.until(({ ephemerals }) =>
        ephemerals.some(({ user, text }) => user === 'UDANA' && text.startsWith('Already approved by Dana')),
      );
      await here.slack.until(({ messages }) =>
        messages.some((each) => each.ts === ts && buttonsOf(each).length === 0),
      );
    }
  }
  expect((await here.slack.state()).faults).toEqual([]);
}, 240_000);
