/** Exact request bodies on the wire (nock), and what delivery does with Slack's answers. */
import nock from 'nock';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { renderCard } from '../../src/bot/cards.ts';
import { createDelivery, type Delivery } from '../../src/bot/delivery.ts';
import { createGroups } from '../../src/bot/groups.ts';
import { clientMessageId } from '../../src/bot/ids.ts';
import { createPace, type Pace } from '../../src/bot/pace.ts';
import { createSlackApi } from '../../src/bot/slack-api.ts';
import { createTapper } from '../../src/bot/tapper.ts';
import type { ApproverLike, BotConfig } from '../../src/bot/types.ts';
import { linksOf, MINE, makeDesk, makeLog, makeRequest, NOW, type TestDesk } from './support.ts';

const config: BotConfig = {
  botToken: 'xoxb-secret',
  appToken: null,
  signingSecret: 'x',
  channel: '#db',
  apiUrl: null,
  publicUrl: 'https://hold.example.com',
};
let desk: TestDesk;
let log: ReturnType<typeof makeLog>;
let delivery: Delivery;
let pace: Pace;

beforeEach(() => {
  nock.disableNetConnect();
  desk = makeDesk();
  log = makeLog();
  const api = createSlackApi(config.botToken, config.apiUrl, log);
  const now = () => NOW;
  const owners = { userOf: async () => null, known: async () => null };
  const groups = createGroups({ api, enabled: false, now, log });
  pace = createPace();
  delivery = createDelivery({
    api,
    config,
    counter: null,
    desk,
    groups,
    outbox: desk.outbox,
    owners,
    pace,
    turn: MINE,
    log,
    now,
  });
});
afterEach(async () => {
  delivery.stop();
  await pace.close();
  nock.cleanAll();
  nock.enableNetConnect();
});

const slack = () => nock('https://slack.com', { reqheaders: { authorization: 'Bearer xoxb-secret' } });
const drained = () => expect.poll(() => desk.outbox.rows.size, { timeout: 5000 }).toBe(0);

describe('requests to Slack', () => {
  it('are exactly these for a new card, its thread and its outcome', async () => {
    const request = makeRequest();
    const { text, blocks } = renderCard(request, { now: NOW, publicUrl: config.publicUrl });
    const quiet = { parse: 'none', link_names: 'false', unfurl_links: 'false', unfurl_media: 'false' };
    const card = slack()
      .post('/api/chat.postMessage', {
        channel: '#db',
        client_msg_id: clientMessageId('#db', 'HP-7Q2F', 'card'),
        metadata: JSON.stringify({ event_type: 'holdpoint_card', event_payload: { request: 'HP-7Q2F' } }),
        text,
        blocks: JSON.stringify(blocks),
        ...quiet,
      })
      .reply(200, { ok: true, channel: 'C0DB000001', ts: '1.000001' });
    const link = slack()
      .post(
        '/api/chat.postMessage',
        (body) =>
          body.channel === 'C0DB000001' &&
          body.thread_ts === '1.000001' &&
          JSON.parse(body.blocks)[0].elements[0].elements[1].url ===
            'https://hold.example.com/sessions/ses_01',
      )
      .reply(200, { ok: true, ts: '1.000002' });
    delivery.start();
    desk.put(request);
    await drained();
    expect([card.isDone(), link.isDone()]).toEqual([true, true]);

    const denied = makeRequest({ state: 'denied', version: 2, endedAt: NOW });
    const after = renderCard(denied, { now: NOW, publicUrl: config.publicUrl });
    const update = slack()
      .post('/api/chat.update', {
        channel: 'C0DB000001',
        ts: '1.000001',
        text: after.text,
        blocks: JSON.stringify(after.blocks),
        parse: 'none',
        link_names: 'false',
      })
      .reply(200, { ok: true });
    const outcome = slack()
      .post('/api/chat.postMessage', (body) => body.thread_ts === '1.000001')
      .reply(200, { ok: true, ts: '1.000003' });
    desk.put(denied);
    await drained();
    expect([update.isDone(), outcome.isDone()]).toEqual([true, true]);
    expect(desk.outbox.cards.get('HP-7Q2F')).toEqual({
      requestId: 'HP-7Q2F',
      channel: 'C0DB000001',
      ts: '1.000001',
      version: 2,
      postingSince: null,
      threadPosted: true,
      outcomePosted: true,
      reminderPosted: false,
      escalationPosted: false,
      told: ['denied'],
      stray: null,
    });
  });

  it('are preceded by a recorded intent, which stays when the answer is lost', async () => {
    slack().post('/api/chat.postMessage').replyWithError('socket hang up');
    delivery.start();
    desk.put(makeRequest());
    await expect.poll(() => log.lines.length).toBeGreaterThan(0);
    expect(desk.outbox.cards.get('HP-7Q2F')).toMatchObject({ ts: null, postingSince: NOW });
    expect(desk.outbox.rows.size).toBe(1);
  });

  it('that Slack never answers are given up, and count as perhaps done', async () => {
    slack().post('/api/chat.postMessage').delayConnection(60_000).reply(200, { ok: true });
    const api = createSlackApi(config.botToken, null, log, 50);
    await expect(api.call('chat.postMessage', {})).rejects.toMatchObject({ failure: { kind: 'unclear' } });
    nock.abortPendingRequests();
  });

  it('leave no intent behind when Slack refused', async () => {
    slack().post('/api/chat.postMessage').reply(200, { ok: false, error: 'not_in_channel' });
    delivery.start();
    desk.put(makeRequest());
    await expect.poll(() => log.lines.length).toBeGreaterThan(0);
    expect(desk.outbox.cards.get('HP-7Q2F')).toMatchObject({ ts: null, postingSince: null });
    expect(JSON.stringify(log.lines)).toContain('invite the bot there: /invite @holdpoint');
  });

  it('fall back to a stub without buttons when Slack cannot show the card', async () => {
    slack().post('/api/chat.postMessage').reply(200, { ok: false, error: 'msg_blocks_too_long' });
    const stub = slack()
      .post(
        '/api/chat.postMessage',
        (body) => !body.blocks.includes('"actions"') && body.blocks.includes('holdpoint show HP-7Q2F'),
      )
      .reply(200, { ok: true, channel: 'C0DB000001', ts: '1.1' });
    slack().post('/api/chat.postMessage').reply(200, { ok: true, ts: '1.2' });
    delivery.start();
    desk.put(makeRequest());
    await drained();
    expect(stub.isDone()).toBe(true);
  });

  it('are not made for what was withdrawn before anybody saw it', async () => {
    delivery.start();
    desk.put(makeRequest({ state: 'withdrawn', version: 2, endedAt: NOW }));
    await drained();
    expect(desk.outbox.cards.size).toBe(0);
  });

  it('put neither token nor SQL into the log', async () => {
    slack().post('/api/chat.postMessage').reply(500, 'DELETE FROM orders xoxb-secret');
    delivery.start();
    desk.put(makeRequest());
    await expect.poll(() => log.lines.length).toBeGreaterThan(0);
    expect(JSON.stringify(log.lines)).not.toMatch(/xoxb|FROM orders/);
  });
});

describe('who tapped', () => {
  const byEmail: ApproverLike = {
    id: 'dana@example.com',
    name: 'Dana',
    email: 'dana@example.com',
    slackId: null,
    groups: ['dba'],
    auditor: false,
  };
  const bySlack: ApproverLike = {
    ...byEmail,
    id: 'slack:UDANA',
    name: 'UDANA',
    email: null,
    slackId: 'UDANA',
  };
  const tapper = (
    listed: readonly ApproverLike[] = [byEmail],
    links: Readonly<Record<string, string>> = {},
    enabled = false,
  ) =>
    createTapper({
      api: createSlackApi(config.botToken, null, log),
      approvers: {
        bySlackId: (id) => listed.find((each) => each.slackId === id) ?? null,
        byEmail: (email) => listed.find((each) => each.email === email) ?? null,
        isSuspended: (keys) => keys.includes('suspended@example.com'),
        byLogin: async (id) => (id === 'login@example.com' ? { ...byEmail, id, email: id } : null),
        byId: (id) => listed.find((each) => each.id === id) ?? null,
      },
      links: linksOf(links),
      groups: createGroups({ api: createSlackApi(config.botToken, null, log), enabled, now: () => NOW, log }),
      matchEmail: false,
      ownTeam: async () => 'T1',
      log,
    });
  const whole = {
    id: 'UDANA',
    team_id: 'T1',
    name: 'dana',
    deleted: false,
    is_bot: false,
    is_restricted: false,
    is_ultra_restricted: false,
    is_email_confirmed: true,
    profile: { email: 'Dana@Example.com' },
  };

  it('is asked of Slack afresh at each tap', async () => {
    const asked = slack()
      .post('/api/users.info', { user: 'UDANA' })
      .times(2)
      .reply(200, { ok: true, user: whole });
    const who = tapper();
    expect((await who.approver('UDANA', 'T1')).kind).toBe('approver');
    expect((await who.approver('UDANA', 'T1')).kind).toBe('approver');
    expect(asked.isDone()).toBe(true);
  });

  it.each([
    'team_id',
    'deleted',
    'is_bot',
    'is_restricted',
    'is_ultra_restricted',
    'is_email_confirmed',
    'profile',
    'id',
  ])('is refused when Slack leaves out %s', async (field) => {
    slack()
      .post('/api/users.info')
      .reply(200, { ok: true, user: { ...whole, [field]: undefined } });
    expect((await tapper().approver('UDANA', 'T1')).kind).toBe('refused');
  });

  it.each([
    'dana@example.com.evil.example',
    'dana@example.com@evil.example',
    'Dana@e\u212aample.com',
    'dana',
  ])('is refused for the e-mail %s, which only resembles', async (email) => {
    slack()
      .post('/api/users.info')
      .reply(200, { ok: true, user: { ...whole, profile: { email } } });
    const listed = [byEmail, { ...byEmail, id: 'k', email: 'dana@ekample.com' }];
    expect((await tapper(listed).approver('UDANA', 'T1')).kind).toBe('refused');
  });

  const says = (user: object) => slack().post('/api/users.info').reply(200, { ok: true, user });

  it('is one person, by the address that Slack confirms, however they are listed', async () => {
    const real = { ...whole, profile: { ...whole.profile, real_name: 'Dana\nReyes' } };
    const known = { id: 'dana@example.com', email: 'dana@example.com', slackId: 'UDANA' };
    const sre = { ...bySlack, groups: ['sre'] };
    for (const [listed, name, groups] of [
      [[byEmail], 'Dana', ['dba']],
      [[{ ...byEmail, slackId: 'UDANA' }], 'Dana', ['dba']],
      [[sre, byEmail], 'Dana', ['sre', 'dba']],
      [[sre], 'Dana Reyes', ['sre']],
    ] as const) {
      says(real);
      const who = await tapper(listed).approver('UDANA', 'T1');
      expect(who).toMatchObject({ kind: 'approver', approver: { ...known, name, groups } });
    }
  });

  it('is nobody while suspended, by whatever name', async () => {
    says({ ...whole, profile: { email: 'suspended@example.com' } });
    expect((await tapper([bySlack]).approver('UDANA', 'T1')).kind).toBe('refused');
    says(whole);
    const linked = { UDANA: 'suspended@example.com' };
    expect((await tapper([bySlack], linked).person('UDANA', 'T1')).kind).toBe('refused');
  });

  it('is known by Slack id alone where Slack confirms no address', async () => {
    says({ ...whole, is_email_confirmed: false });
    const who = await tapper([bySlack]).approver('UDANA', 'T1');
    expect(who).toMatchObject({ approver: { id: 'slack:UDANA', email: null, slackId: 'UDANA' } });
  });

  it('is whoever they linked their account to, and nobody when that contradicts the list', async () => {
    const linked = { UDANA: 'dana@example.com' };
    says({ ...whole, is_email_confirmed: false });
    const known = { id: 'dana@example.com', email: null, groups: ['dba'] };
    expect(await tapper([byEmail], linked).approver('UDANA', 'T1')).toMatchObject({ approver: known });
    for (const listed of [[byEmail], [bySlack, byEmail], [{ ...byEmail, slackId: 'UOTHER' }]]) {
      says(whole);
      const other = tapper(listed, { UDANA: 'erin@example.com' });
      expect(await other.approver('UDANA', 'T1')).toMatchObject({ kind: 'refused' });
    }
    says(whole);
    expect(await tapper([], linked).approver('UDANA', 'T1')).toMatchObject({ kind: 'refused' });
    says(whole);
    expect(await tapper([], linked).person('UDANA', 'T1')).toMatchObject({
      person: { id: 'dana@example.com', email: null, slackId: 'UDANA' },
    });
    says(whole);
    expect(await tapper([]).person('UDANA', 'T1')).toMatchObject({ kind: 'refused' });
  });

  it('is in a user group only as long as Slack says so, which is asked once a minute', async () => {
    const groups = (usergroups: object[]) =>
      slack().post('/api/usergroups.list').reply(200, { ok: true, usergroups });
    const users = (...all: string[]) =>
      slack().post('/api/usergroups.users.list').reply(200, { ok: true, users: all });
    const dba = { id: 'S0DBA', handle: 'dba', date_delete: 0 };
    const ask = async (who: ReturnType<typeof tapper>) => {
      says(whole);
      return await who.approver('UDANA', 'T1', ['dba', 'sec']);
    };
    groups([dba]);
    users('UDANA');
    const who = tapper([], {}, true);
    const mapped = { kind: 'approver', approver: { id: 'dana@example.com', groups: ['dba'] } };
    expect(await ask(who)).toMatchObject(mapped);
    expect(await ask(who)).toMatchObject(mapped);
    for (const doubtful of [
      [{ ...dba, date_delete: 5 }],
      [{ ...dba, is_external: true }],
      [dba, { ...dba, id: 'S0TWO' }],
      [{ ...dba, id: 'x' }],
    ]) {
      groups(doubtful);
      users('UDANA');
      expect(await ask(tapper([], {}, true))).toMatchObject({ kind: 'refused' });
      nock.cleanAll();
    }
    groups([dba]);
    slack().post('/api/usergroups.users.list').reply(500, 'no');
    expect(await ask(tapper([], {}, true))).toMatchObject({ kind: 'refused' });
    slack().post('/api/usergroups.list').reply(500, 'no');
    expect(await ask(tapper([{ ...byEmail, groups: [] }], {}, true))).toMatchObject({
      approver: { groups: [] },
    });
    expect(await ask(tapper([]))).toMatchObject({ kind: 'refused' });
  });

  it('is refused on an address that is listed with another Slack id, and when two entries contradict', async () => {
    const refused = { kind: 'refused' };
    says(whole);
    const elsewhere = { ...byEmail, slackId: 'UOTHER' };
    expect(await tapper([elsewhere]).approver('UDANA', 'T1')).toMatchObject(refused);
    says(whole);
    expect(await tapper([bySlack, elsewhere]).approver('UDANA', 'T1')).toMatchObject(refused);
    says(whole);
    const other = { ...bySlack, id: 'dana@other.example', email: 'dana@other.example' };
    expect(await tapper([other, byEmail]).approver('UDANA', 'T1')).toMatchObject(refused);
  });
});
