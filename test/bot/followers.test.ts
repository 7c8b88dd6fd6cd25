/** What comes with a card: channel and call, notes in the thread, messages to the owner, the count. Against the strict stand-in. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { CountResult, Impact } from '../../src/approvals/types.ts';
import { type SentMessage, type SlackStandIn, startSlack } from '../support/slack/index.ts';
import { makeDesk, makeRequest, people, type Rig, startRig } from './support.ts';

let slack: SlackStandIn;
let rig: Rig | null = null;

beforeAll(async () => {
  slack = await startSlack();
  await people(slack);
  await slack.group({ handle: 'dba', id: 'S0DBA0001', users: ['UMALLORY'] });
  await slack.group({ handle: 'sec', id: 'S0SEC0001', users: ['UDANA'] });
});
afterEach(async () => {
  await rig?.stop();
  rig = null;
});
afterAll(async () => {
  expect((await slack.state()).faults).toEqual([]);
  await slack.stop();
});

async function start(options: Parameters<typeof startRig>[1] = {}): Promise<Rig> {
  rig = await startRig(slack, options);
  await slack.until((state) => state.sockets === 1);
  return rig;
}
const body = (message: { readonly blocks: SentMessage['blocks'] } | undefined): string =>
  JSON.stringify(message?.blocks ?? []);
const card = (id: string, ...words: readonly string[]): Promise<SentMessage> =>
  slack.until((state) =>
    state.messages.find(
      (one) =>
        one.thread_ts === undefined &&
        !one.channel.startsWith('D') &&
        one.text.includes(id) &&
        words.every((each) => body(one).includes(each)),
    ),
  );
const reply = (under: SentMessage, words: string): Promise<SentMessage> =>
  slack.until((state) =>
    state.messages.find((one) => one.thread_ts === under.ts && body(one).includes(words)),
  );
const direct = async (user: string, id: string): Promise<readonly SentMessage[]> =>
  (await slack.state()).messages.filter((one) => one.channel === `D${user}` && one.text.includes(id));
const settled = (desk: Rig['desk']): Promise<unknown> =>
  expect.poll(() => desk.outbox.rows.size, { timeout: 10_000 }).toBe(0);

describe('a card', () => {
  it('goes where the first route that fits says, calls who is on call there, and stays there', async () => {
    const routes = [
      { environment: 'staging', channel: '#nowhere' },
      { target: 'shop', rule: 'pii', channel: '#security', mention: '@sec' },
      { rule: 'pii', channel: '#db' },
    ];
    const { desk } = await start({ config: { routes, userGroups: true, mention: 'UERIN' } });
    desk.put(makeRequest({ id: 'HP-R001', rules: ['deletes', 'pii'] }));
    desk.put(makeRequest({ id: 'HP-R002' }));
    const routed = await card('HP-R001');
    expect(routed.channel).toBe('C0SEC00001');
    expect(body(routed)).toContain('{"type":"usergroup","usergroup_id":"S0SEC0001"}');
    const usual = await card('HP-R002');
    expect(usual.channel).toBe('C0DB000001');
    expect(body(usual)).toContain('{"type":"user","user_id":"UERIN"}');
    await settled(desk);
    await rig?.stop();
    await start({ desk, config: { routes: [] } });
    desk.change('HP-R001', { state: 'denied', endedAt: Date.now() });
    await reply(routed, 'Denied');
    const now = await card('HP-R001', 'Denied. Not run');
    expect([now.ts, now.channel]).toEqual([routed.ts, 'C0SEC00001']);
    expect(body(now)).not.toContain('"usergroup"');
  });

  it('names its owner in Slack, where they are linked, and waits for nobody', async () => {
    const links = { UMALLORY: 'alice@example.com' };
    const { desk } = await start({ links });
    desk.put(makeRequest({ id: 'HP-N001' }));
    const named = await card('HP-N001', 'Cursor for Alice');
    expect(body(named)).toContain('{"type":"user","user_id":"UMALLORY"}');
    const nobody = { ...makeRequest().requester, ownerId: 'bob@example.com' };
    desk.put(makeRequest({ id: 'HP-N002', requester: nobody }));
    expect(body(await card('HP-N002'))).not.toContain('"user_id"');
    await rig?.stop();
    await slack.rule({ method: 'users.info', kind: 'hang', times: 1 });
    await start({ desk, links });
    desk.put(makeRequest({ id: 'HP-N003' }));
    expect(body(await card('HP-N003'))).not.toContain('"user_id"');
    await slack.clearRules();
  });

  it('of a later part of a bundle is not there: its lead stands for it', async () => {
    const { desk } = await start();
    desk.put(
      makeRequest({
        id: 'HP-B002',
        bundle: { lead: 'HP-B001', index: 1, of: 2, loose: false, changes: false },
      }),
    );
    await settled(desk);
    expect((await slack.state()).messages.filter((one) => one.text.includes('HP-B002'))).toEqual([]);
  });

  it('shows what was counted; a count that fails, or is asked by nobody who may, is told to them alone', async () => {
    const answers: (CountResult | Promise<CountResult>)[] = [];
    const desk = makeDesk();
    await start({
      desk,
      counter: {
        count: async (id) => answers.shift() ?? { kind: 'not-counted', sentence: `${id}: too slow.` },
      },
    });
    desk.put(makeRequest({ id: 'HP-N001', impact: IMPACT }));
    const { ts } = await card('HP-N001', '~12,400 rows', 'hp_count');
    const tap = (user: string) => slack.tap({ ts, action: 'hp_count', user });
    await tap('UMALLORY');
    await slack.until(({ ephemerals }) => ephemerals.some((one) => one.text.includes('not registered')));
    await tap('UDANA');
    await slack.until(({ ephemerals }) => ephemerals.some((one) => one.text === 'HP-N001: too slow.'));
    const request = desk.change('HP-N001', {
      impact: { ...IMPACT, counted: { rows: 12_412, at: Date.now(), ms: 80 } },
    });
    answers.push({ kind: 'counted', request });
    await tap('UDANA');
    const counted = await card('HP-N001', '12,412 rows, counted', 'Count again');
    expect(counted.text).toBe('DELETE shop/orders · 12,412 rows · Cursor for Alice · HP-N001');
  });

  it('is not counted for its own owner: a count says something of the data', async () => {
    const desk = makeDesk();
    const counted: string[] = [];
    await start({
      desk,
      counter: {
        count: async (id) => {
          counted.push(id);
          return { kind: 'not-counted', sentence: 'Too slow.' };
        },
      },
    });
    const { requester } = makeRequest();
    desk.put(makeRequest({ id: 'HP-N002', requester: { ...requester, ownerId: 'dana@example.com' } }));
    const { ts } = await card('HP-N002', 'hp_count');
    await slack.tap({ ts, action: 'hp_count', user: 'UDANA' });
    await slack.until(({ ephemerals }) =>
      ephemerals.some((one) => one.text.startsWith('HP-N002 is your own request')),
    );
    expect(counted).toEqual([]);
  });

  it('is not approved in one tap when what it would touch became known only after the card', async () => {
    const { desk } = await start();
    desk.put(makeRequest({ id: 'HP-M001' }));
    const { ts } = await card('HP-M001', 'hp_approve');
    desk.change('HP-M001', { state: 'pending', impact: { ...IMPACT, rows: 50_000 } });
    await card('HP-M001', '~50,000 rows', '"confirm"');
    await slack.tap({ ts, action: 'hp_approve', user: 'UDANA', seen: 0 });
    await slack.until(({ ephemerals }) =>
      ephemerals.some((one) => one.text.includes('touches ~50,000 rows')),
    );
    expect(desk.decided).toEqual([]);
    await slack.tap({ ts, action: 'hp_approve', user: 'UDANA' });
    await expect.poll(() => desk.decided.length).toBe(1);
  });

  it('may be decided by members of a user group only where the configuration says so', async () => {
    const { desk } = await start({ config: { userGroups: true } });
    desk.put(makeRequest({ id: 'HP-G001' }));
    const { ts } = await card('HP-G001');
    await slack.tap({ ts, action: 'hp_deny', option: 'too-broad', user: 'UMALLORY' });
    await card('HP-G001', 'Denied by umallory in Slack');
    expect(desk.decided).toMatchObject([{ approver: 'mallory@example.com' }]);
  });

  it('the policy is shown to members of a user group that decides, where the configuration says so', async () => {
    const said = async (words: string) => {
      const before = (await slack.state()).ephemerals.length;
      await slack.command({ text: 'policy', user: 'UMALLORY' });
      await slack.until(({ ephemerals }) =>
        ephemerals.slice(before).some((one) => body(one).includes(words) || one.text.includes(words)),
      );
    };
    await start({ config: { userGroups: true } });
    await said('guarded');
    await rig?.stop();
    await start({});
    await said('not registered');
  });
});

describe('the thread', () => {
  it('has one reminder and one escalation, which call who may decide, and neither again after a restart', async () => {
    const { desk } = await start({ config: { userGroups: true } });
    const escalation = { afterMs: 1, groups: ['sec', 'unheard-of'] };
    desk.put(makeRequest({ id: 'HP-S001', terms: { ...makeRequest().terms, escalation } }));
    const shown = await card('HP-S001');
    desk.change('HP-S001', { state: 'pending', remindedAt: Date.now() });
    const reminder = await reply(shown, 'HP-S001 still waits for a decision');
    expect(body(reminder)).toContain('S0DBA0001');
    expect(body(reminder)).not.toContain('S0SEC0001');
    expect(reminder.reply_broadcast).toBe('true');
    desk.change('HP-S001', { state: 'pending', escalatedAt: Date.now() });
    expect(body(await reply(shown, 'sec, unheard-of may decide it now'))).toContain('S0SEC0001');
    await settled(desk);
    await rig?.stop();
    await start({ desk, config: { userGroups: true } });
    desk.change('HP-S001', { state: 'pending', waiterLive: false });
    await settled(desk);
    const { messages } = await slack.state();
    expect(messages.filter((one) => one.thread_ts === shown.ts).length).toBe(3);
  });

  it('has one note for link and outcome when it is over before the link is posted', async () => {
    const { desk } = await start();
    desk.put(makeRequest({ id: 'HP-S002', state: 'expired', version: 2, endedAt: Date.now() }));
    const shown = await card('HP-S002', 'Expired');
    await settled(desk);
    const notes = (await slack.state()).messages.filter((one) => one.thread_ts === shown.ts);
    expect(notes.length).toBe(1);
    expect(body(notes[0])).toMatch(/holdpoint session ses_01.*Expired/);
  });
});

describe('the owner', () => {
  const granted = { state: 'granted', waiterLive: false, grantExpiresAt: Date.now() + 900_000 } as const;
  const executed = {
    state: 'executed',
    endedAt: Date.now(),
    outcome: { code: null, rows: 1, tag: 'DELETE 1', ms: 12, transactionOpen: false },
  } as const;

  it('who is linked is told once for each state that matters, across restarts, and what to do next', async () => {
    const links = { UMALLORY: 'alice@example.com' };
    const { desk } = await start({ links });
    desk.put(makeRequest({ id: 'HP-D001' }));
    await card('HP-D001');
    desk.change('HP-D001', granted);
    await settled(desk);
    await rig?.stop();
    await start({ desk, links });
    desk.change('HP-D001', { ...granted, note: null });
    await settled(desk);
    desk.change('HP-D001', { state: 'executing', waiterLive: true });
    await settled(desk);
    desk.change('HP-D001', executed);
    await settled(desk);
    const told = await direct('UMALLORY', 'HP-D001');
    expect(told.map(body)).toEqual([
      expect.stringContaining('Send exactly the same statement again before then'),
      expect.stringContaining('Nothing is left to do'),
    ]);
    expect(await direct('UALICE', 'HP-D001')).toEqual([]);
  });

  it('is found by a confirmed e-mail only where the configuration says so', async () => {
    const { desk } = await start();
    desk.put(makeRequest({ id: 'HP-D002', ...executed }));
    await settled(desk);
    expect(await direct('UALICE', 'HP-D002')).toEqual([]);
    await rig?.stop();
    await start({ desk, config: { matchEmail: true } });
    await slack.user({ id: 'UBOB', is_email_confirmed: false, profile: { email: 'bob@example.com' } });
    const bob = { ...makeRequest().requester, ownerId: 'bob@example.com', ownerEmail: 'bob@example.com' };
    const nobody = { ...bob, ownerId: 'n@example.com', ownerEmail: 'n@example.com' };
    desk.put(makeRequest({ id: 'HP-D003', ...executed }));
    desk.put(makeRequest({ id: 'HP-D004', ...executed, requester: bob }));
    desk.put(makeRequest({ id: 'HP-D005', ...executed, requester: nobody }));
    await settled(desk);
    expect((await direct('UALICE', 'HP-D003')).length).toBe(1);
    expect(await direct('UBOB', 'HP-D004')).toEqual([]);
  });
});

const IMPACT: Impact = {
  rows: 12_387,
  why: null,
  approximate: false,
  counted: null,
  tables: [],
  lock: null,
  cascades: [],
  triggers: [],
  rewrites: null,
  dependents: [],
  transactionMs: null,
};
