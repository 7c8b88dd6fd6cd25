/**
 * Decisions in Slack end to end: the started product and the strict stand-in, each a process of its own. One product serves all:
 * started while Slack is down, in Socket Mode then, and after a restart over signed HTTP.
 */
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Product, startProduct } from '../support/product.ts';
import {
  APP_TOKEN,
  BOT_TOKEN,
  type How,
  type SentMessage,
  SIGNING_SECRET,
  type SlackStandIn,
  type SlackState,
  startSlack,
} from '../support/slack/index.ts';
import { type Agent, type Approver, agentAt, approver, approverOf } from './support.ts';

let slack: SlackStandIn;
let product: Product;
/** The first configured approver, over the API. */
let api: Approver;
let how: How = {};
const agents: Agent[] = [];

// Alice is an approver as well, known by her Slack id alone: never of her own agent's requests.
const people = {
  HOLDPOINT_APPROVERS: 'UDANA,erin@example.com,UALICE',
  SLACK_BOT_TOKEN: BOT_TOKEN,
  SLACK_CHANNEL: '#db',
};

beforeAll(async () => {
  slack = await startSlack();
  await slack.user({ id: 'UMALLORY' });
  await slack.user({ id: 'UDANA', profile: { email: 'dana@example.com', real_name: 'Dana Reyes' } });
  await slack.user({ id: 'UERIN', profile: { email: 'Erin@Example.com' } });
  await slack.user({ id: 'UALICE', profile: { email: 'alice@example.com' } });
  await slack.user({ id: 'UGUEST', is_restricted: true, profile: { email: 'erin@example.com' } });
  await slack.outage(true);
  product = await startProduct({
    env: { ...people, SLACK_API_URL: slack.apiUrl, SLACK_APP_TOKEN: APP_TOKEN },
  });
  api = await approverOf(product);
});
afterEach(async () => {
  await Promise.all(agents.splice(0).map((agent) => agent.end()));
  await api.denyAll();
});
afterAll(async () => {
  expect((await slack.state()).faults).toEqual([]);
  await product.stop();
  await slack.stop();
  product.remove();
});

async function connect(): Promise<Agent> {
  const agent = await agentAt(product.agentUrl);
  agents.push(agent);
  return agent;
}
const body = (message: Pick<SentMessage, 'blocks'> | undefined): string =>
  JSON.stringify(message?.blocks ?? []);
const cards = (state: SlackState, text: string): readonly SentMessage[] =>
  state.messages.filter(
    (each) => each.channel === 'C0DB000001' && each.thread_ts === undefined && body(each).includes(text),
  );
/** The card that shows this SQL, or is headed by this id. */
const posted = (text: string): Promise<SentMessage> => slack.until((state) => cards(state, text)[0]);
const shows = (card: SentMessage, text: string): Promise<SentMessage> =>
  slack.until((state) => state.messages.find((each) => each.ts === card.ts && body(each).includes(text)));
const replies = (card: SentMessage, text: string): Promise<SentMessage> =>
  slack.until((state) =>
    state.messages.find((each) => each.thread_ts === card.ts && body(each).includes(text)),
  );
const said = (user: string, text: string): Promise<unknown> =>
  slack.until((state) =>
    state.ephemerals.find((each) => each.user === user && `${each.text}${body(each)}`.includes(text)),
  );
const buttons = (message: SentMessage): readonly unknown[] =>
  message.blocks
    .filter((each) => each.type === 'actions')
    .flatMap((each) => each.elements ?? [])
    .map((each) => each['action_id']);
const idOn = (card: SentMessage): string => /HP-[0-9A-Z]{4,5}/.exec(card.text)?.[0] ?? '';

function decisions(first: number): void {
  it('posts the card; a tap resumes the held connection and the card shows the outcome in place', async () => {
    const agent = await connect();
    const told = agent.run(`DELETE FROM orders WHERE id = ${first} RETURNING id`);
    const card = await posted(`id = ${first} `);
    // A phone shows what was posted first: how many rows is there by then.
    const appraised = await shows(card, 'About 1 row, as the planner expects');
    expect((appraised.history[0] ?? appraised).text).toBe(
      `DELETE shop/orders · ~1 row · Cursor for Alice · ${idOn(card)}`,
    );
    expect(body(card)).toContain('demo · shop · database shop as shop_admin');
    expect(buttons(card).slice(0, 3)).toEqual(['hp_approve', 'hp_deny', 'hp_view']);
    const [ack] = await slack.tap({ ts: card.ts, action: 'hp_approve', user: 'UERIN', how });
    expect(ack).toMatchObject({ acked: true });
    expect(await told).toMatchObject({ code: null, tag: 'DELETE 1', rows: [{ id: first }] });
    const done = await shows(card, 'Executed: 1 row in ');
    expect(body(done)).toMatch(/Executed: 1 row in \d+ ms/);
    expect(body(done)).toContain('Approved by erin@example.com in Slack');
    expect(buttons(done)).toEqual([]);
    // Replies come last, one a second: after the restart others are before it.
    if (how.url === undefined)
      await replies(card, `${idOn(card)}: Approved by erin@example.com in Slack at `);
    expect(cards(await slack.state(), idOn(card)).length).toBe(1);
  });

  it('denies by the menu, with its reason', async () => {
    const agent = await connect();
    const told = agent.run(`DELETE FROM orders WHERE id = ${first + 1}`);
    const card = await posted(`id = ${first + 1}`);
    await slack.tap({ ts: card.ts, action: 'hp_deny', option: 'too-broad', user: 'UDANA', how });
    expect(await told).toMatchObject({
      code: '42501',
      message: `${idOn(card)} denied by Dana Reyes: too broad. Not run. Do not retry or work around it; tell the user.`,
    });
    await shows(card, 'Denied. Not run');
    expect(await agent.value(`SELECT count(*) FROM orders WHERE id = ${first + 1}`)).toBe('1');
  });
}

describe('while Slack is down', () => {
  it('holds and decides without it; when it is back the cards catch up, each once, none with a stale button', async () => {
    const [agent, other] = [await connect(), await connect()];
    const told = agent.run('DELETE FROM orders WHERE id = 29');
    const { id } = await api.held(/id = 29$/);
    await api.decide(id, 'deny');
    expect((await told).code).toBe('42501');
    await other.run("SET holdpoint.wait = '0'");
    const sql = 'DELETE FROM orders WHERE id = 30';
    expect((await other.run(sql)).code).toBe('HP001');

    await slack.outage(false);
    const [denied, open] = [await posted('id = 29'), await posted('id = 30')];
    expect(body(denied)).toContain('Denied. Not run');
    expect(buttons(denied)).toEqual([]);
    expect(buttons(open)).toContain('hp_approve');
    await slack.until((state) => state.sockets === 1);
    await slack.tap({ ts: open.ts, action: 'hp_approve', user: 'UERIN' });
    await shows(open, 'Approved, not run, waiting for retry until');

    await slack.outage(true);
    expect(await other.run(sql)).toMatchObject({ tag: 'DELETE 1' });
    await slack.outage(false);
    expect(buttons(await shows(open, 'Executed: 1 row in '))).toEqual([]);
    await slack.until((state) => state.sockets === 1);
    const state = await slack.state();
    for (const card of [denied, open]) expect(cards(state, idOn(card)).length).toBe(1);
  });
});

describe('in Socket Mode', () => {
  decisions(31);

  it('names the session command in the thread while there is no public address', async () => {
    const agent = await connect();
    void agent.run('DELETE FROM orders WHERE id = 33');
    const card = await posted('id = 33');
    const [request] = await api.requestsFor(/id = 33$/);
    await replies(card, `holdpoint session ${request?.sessionId}`);
    expect(JSON.stringify(await slack.state())).not.toContain('"type":"link"');
  });

  it('says that nothing ran and a retry is awaited, when it is approved too late; then shows the retry', async () => {
    const agent = await connect();
    await agent.run("SET holdpoint.wait = '0'");
    const sql = 'DELETE FROM orders WHERE id = 34';
    const first = await agent.run(sql);
    const card = await posted('id = 34');
    expect(first).toMatchObject({
      code: 'HP001',
      message: `${idOn(card)} pending approval in #db: DELETE on orders (rule deletes). Not run. Resend exactly this statement in 60 s; do not rewrite it.`,
    });
    await shows(card, 'The client waits no longer');
    await slack.tap({ ts: card.ts, action: 'hp_approve', user: 'UERIN' });
    await shows(card, 'Approved, not run, waiting for retry until');
    expect(await agent.run(sql)).toMatchObject({ tag: 'DELETE 1' });
    await shows(card, 'Executed: 1 row in ');
    expect((await agent.run(sql)).message).not.toContain(idOn(card));
  });

  it('refuses the owner, guests and strangers to the list, and tells them why', async () => {
    const agent = await connect();
    const told = agent.run('DELETE FROM orders WHERE id = 35');
    const card = await posted('id = 35');
    const tap = (user: string) => slack.tap({ ts: card.ts, action: 'hp_approve', user });
    await tap('UALICE');
    await said(
      'UALICE',
      `${idOn(card)} is your own request (Cursor for Alice). Somebody else must decide it.`,
    );
    await tap('UMALLORY');
    await said('UMALLORY', 'You are not registered as an approver here.');
    await tap('UGUEST');
    await said('UGUEST', 'Guests may not decide');
    await slack.command({ text: `approve ${idOn(card)}`, user: 'UALICE' });
    await slack.until(({ ephemerals }) => ephemerals.filter((each) => each.user === 'UALICE').length === 2);
    expect(await api.requestsFor(/id = 35$/)).toMatchObject([{ state: 'pending', decisions: [] }]);
    // Known by Slack id alone, nobody outside Slack can tell whether Dana is the owner: denying harms nobody.
    expect(await api.decide(idOn(card), 'approve')).toMatchObject({
      status: 403,
      body: { sentence: expect.stringContaining('cannot be told') },
    });
    await api.decide(idOn(card), 'deny');
    expect((await told).code).toBe('42501');
    expect(body(await shows(card, 'Denied. Not run'))).toContain('in the API');
  });

  it('settles once when two tap at once and a third decides elsewhere; the losers are told who won', async () => {
    const agent = await connect();
    const told = agent.run('DELETE FROM orders WHERE id = 36');
    const card = await posted('id = 36');
    const before = (await slack.state()).ephemerals.length;
    const [, , viaApi] = await Promise.all([
      slack.tap({ ts: card.ts, action: 'hp_approve', user: 'UERIN', how: { copies: 2 } }),
      slack.tap({ ts: card.ts, action: 'hp_deny', option: 'wrong-target', user: 'UDANA' }),
      api.decide(idOn(card), 'deny'),
    ]);
    const [request] = await api.until(/id = 36$/, ([one]) => one?.endedAt != null && [one]);
    expect(request?.decisions.length).toBe(1);
    const approved = request?.state === 'executed';
    expect(await told).toMatchObject(approved ? { tag: 'DELETE 1' } : { code: '42501' });
    const losers = viaApi.status === 200 ? 3 : 2;
    const state = await slack.until((now) => now.ephemerals.length === before + losers && now);
    for (const { text } of state.ephemerals.slice(before))
      expect(text).toMatch(approved ? /^Already approved by/ : /^Already denied by/);
    expect(cards(state, idOn(card)).length).toBe(1);
  });

  it('keeps the card open, and says so, when the client hangs up', async () => {
    const agent = await connect();
    const lost = agent.run('DELETE FROM orders WHERE id = 37');
    const card = await posted('id = 37');
    await agent.end();
    await lost;
    const open = await shows(card, 'The client waits no longer');
    expect(buttons(open)).toContain('hp_approve');
  });

  it('makes no card of a typo nor of what is allowed', async () => {
    const agent = await connect();
    const before = (await slack.state()).messages.length;
    expect(await agent.run('DELETE FROM orders WHERE idd = 1')).toMatchObject({ code: '42703' });
    expect(await agent.run('SELECT count(*) FROM orders')).toMatchObject({ code: null });
    const told = agent.run('SELECT email FROM customer_contacts');
    const card = await posted('customer_contacts');
    expect(body(card)).toContain('Personal data: public.customers.email');
    const made = (await slack.state()).messages.slice(before);
    expect(made.filter((each) => each.thread_ts === undefined).map((each) => each.ts)).toEqual([card.ts]);
    await slack.tap({ ts: card.ts, action: 'hp_deny', option: 'ask-first', user: 'UERIN' });
    expect((await told).code).toBe('42501');
  });

  it('answers /hoop pending and /hoop sessions', async () => {
    const agent = await connect();
    void agent.run('DELETE FROM orders WHERE id = 38');
    const card = await posted('id = 38');
    await shows(card, 'About 1 row');
    await slack.command({ text: 'pending', user: 'UERIN' });
    await said('UERIN', `DELETE shop/orders · ~1 row · Cursor for Alice · ${idOn(card)}`);
    await slack.command({ text: 'sessions <@UALICE|alice>', user: 'UERIN' });
    await said('UERIN', 'Sessions of alice@example.com');
    await slack.command({ text: 'sessions <@UALICE|alice>', user: 'UMALLORY' });
    await said('UMALLORY', 'Only approvers see what belongs to others.');
  });
});

describe('after a restart, over signed HTTP and with a public address', () => {
  let card: SentMessage;
  let url = '';

  beforeAll(async () => {
    const agent = await connect();
    await agent.run("SET holdpoint.wait = '0'");
    await agent.run('DELETE FROM orders WHERE id = 41');
    card = await posted('id = 41');
    await agent.end();
    expect(await product.stop()).toBe(0);
    const port = await freePort();
    const config = join(product.dataDir, 'slack.yaml');
    writeFileSync(
      config,
      'slack: { match_email: true, alerts: { count: 5, within: 10m, channel: "#security" } }\n',
    );
    product = await startProduct({
      dataDir: product.dataDir,
      env: {
        ...people,
        SLACK_API_URL: slack.apiUrl,
        SLACK_SIGNING_SECRET: SIGNING_SECRET,
        HOLDPOINT_CONFIG: config,
        HOLDPOINT_SLACK_LISTEN: `127.0.0.1:${port}`,
        HOLDPOINT_PUBLIC_URL: 'https://holdpoint.example.com',
      },
    });
    api = approver(product, api.token);
    url = `http://127.0.0.1:${port}/slack/events`;
    how = { url };
  });

  it('takes the tap on the card of before: the retry runs, and the same card shows it', async () => {
    const [forged] = await slack.tap({
      ts: card.ts,
      action: 'hp_approve',
      user: 'UERIN',
      how: { url, forge: true },
    });
    expect(forged?.acked).toBe(false);
    const [unsigned] = await slack.tap({
      ts: card.ts,
      action: 'hp_approve',
      user: 'UERIN',
      how: { url, unsigned: true },
    });
    expect(unsigned?.acked).toBe(false);
    expect(await api.requestsFor(/id = 41$/)).toMatchObject([{ state: 'pending' }]);
    const [ack] = await slack.tap({ ts: card.ts, action: 'hp_approve', user: 'UERIN', how });
    expect(ack).toMatchObject({ acked: true, status: 200 });
    await shows(card, 'Approved, not run, waiting for retry until');
    const agent = await connect();
    expect(await agent.run('DELETE FROM orders WHERE id = 41')).toMatchObject({ tag: 'DELETE 1' });
    await shows(card, 'Executed: 1 row in ');
    expect(cards(await slack.state(), idOn(card)).length).toBe(1);
  });

  decisions(42);

  it('links the session in the thread; the link carries no authority', async () => {
    const agent = await connect();
    void agent.run('DELETE FROM orders WHERE id = 44');
    const shown = await posted('id = 44');
    const [request] = await api.requestsFor(/id = 44$/);
    const reply = await replies(shown, `https://holdpoint.example.com/sessions/${request?.sessionId}`);
    expect(body(reply)).not.toMatch(/hp[lsa]_/);
    await slack.command({ text: 'pending', user: 'UERIN', how });
    await said('UERIN', idOn(shown));
    await slack.tap({ ts: shown.ts, action: 'hp_count', user: 'UERIN', how });
    await shows(shown, '1 row, counted at');
  });

  it('links a Slack account to whoever is logged in at the console, in two steps', async () => {
    const url = async (user: string): Promise<string> => {
      const before = (await slack.state()).ephemerals.length;
      await slack.command({ text: 'link', user, how });
      const [told] = await slack.until(
        ({ ephemerals }) => ephemerals.length > before && ephemerals.slice(before),
      );
      return /"(https:\/\/holdpoint.example.com\/slack\/link\/[^"]+)"/.exec(body(told))?.[1] ?? '';
    };
    const path = (await url('UDANA')).replace('https://holdpoint.example.com', product.console);
    const link =
      String(Reflect.get((await api.post('/links', {})).body, 'url'))
        .split('/')
        .at(-1) ?? '';
    const headers = { origin: product.console };
    const login = { method: 'POST', redirect: 'manual', headers } as const;
    const signedIn = await fetch(`${product.console}/login`, {
      ...login,
      body: new URLSearchParams({ link }),
    });
    const cookie = signedIn.headers.get('set-cookie')?.split(';')[0] ?? '';
    const page = await (await fetch(path, { headers: { cookie } })).text();
    const csrf = /name="csrf" value="([^"]+)"/.exec(page)?.[1] ?? '';
    const confirm = { ...login, headers: { ...headers, cookie }, body: new URLSearchParams({ csrf }) };
    const done = await (await fetch(path, confirm)).text();
    const [, words = ''] = /\/hoop (link [\w.-]+)</.exec(done) ?? [];
    await slack.command({ text: words, user: 'UMALLORY', how });
    await said('UMALLORY', 'not what the console gave you for this Slack account');
    await slack.command({ text: words, user: 'UDANA', how });
    await said('UDANA', 'Your Slack account is linked');
  });

  it('alerts of what keeps coming; a tap suspends: the session ends, what waits is withdrawn and its owner told', async () => {
    const agent = await connect();
    await agent.run("SET holdpoint.wait = '0'");
    await agent.run('DELETE FROM orders WHERE id = 45');
    const lost = agent.run('DELETE FROM orders WHERE id = 46');
    expect((await lost).code).toBe('HP001');
    const alert = await slack.until((state) =>
      state.messages.find((one) => one.channel === 'C0SEC00001' && body(one).includes('hp_suspend')),
    );
    expect(body(alert)).toContain('Cursor for Alice: 5 destructive statements');
    const { alerts } = await api.get<{ alerts: { count: number }[] }>('/alerts');
    expect(alerts).toMatchObject([{ count: 5, requester: { ownerName: 'Alice' } }]);
    await slack.tap({ ts: alert.ts, action: 'hp_suspend', user: 'UERIN', how });
    await slack.until((state) =>
      state.messages.find(
        (one) => one.ts === alert.ts && body(one).includes('Suspended by erin@example.com'),
      ),
    );
    const [request] = await api.until(/id = 46$/, ([one]) => one?.state === 'withdrawn' && [one]);
    expect(request?.note).toContain('suspended');
    expect(await api.get('/alerts')).toEqual({ alerts: [] });
    expect(await agent.run('SELECT 1').catch(() => ({ code: 'gone' }))).not.toMatchObject({ code: null });
    await expect(agentAt(product.agentUrl)).rejects.toMatchObject({ code: '28000' });
    const told = await slack.until((state) =>
      state.messages.find((one) => one.channel === 'DUALICE' && one.text.startsWith(request?.id ?? '?')),
    );
    expect(told.text).toContain('Withdrawn');
  });
});

/** The bot's HTTP port is configured, not printed: one that is free now. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}
