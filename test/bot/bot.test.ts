/** The real bot against the strict stand-in for Slack in a process of its own, over both transports. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type SentMessage, type SlackStandIn, type SlackState, startSlack } from '../support/slack/index.ts';
import { makeRequest, people, type Rig, startRig } from './support.ts';

let slack: SlackStandIn;
let rig: Rig | null = null;
let count = 0;

beforeAll(async () => {
  slack = await startSlack();
  await people(slack);
});
afterEach(async () => {
  await slack.outage(false);
  await slack.clearRules();
  await rig?.stop();
  rig = null;
});
afterAll(async () => {
  await slack.stop();
});

/** One stand-in serves all: every test has a request of its own. */
function nextId(): string {
  count += 1;
  return `HP-T${String(count).padStart(3, '0')}`;
}
function card(state: SlackState, id: string): SentMessage | undefined {
  return state.messages.find((each) => each.thread_ts === undefined && each.text.includes(id));
}
function thread(state: SlackState, ts: string): readonly SentMessage[] {
  return state.messages.filter((each) => each.thread_ts === ts);
}
function actionIds(message: { readonly blocks: SentMessage['blocks'] }): readonly unknown[] {
  return message.blocks
    .filter((each) => each.type === 'actions')
    .flatMap((each) => each.elements ?? [])
    .map((each) => each['action_id']);
}
const body = (message: SentMessage | undefined): string => JSON.stringify(message?.blocks ?? []);
const connected = (): Promise<unknown> => slack.until((state) => state.sockets === 1);

async function posted(id: string): Promise<SentMessage> {
  return await slack.until((state) => card(state, id));
}

describe.each(['socket', 'http'] as const)('over %s', (mode) => {
  async function start(options: Parameters<typeof startRig>[1] = {}): Promise<Rig> {
    rig = await startRig(slack, { mode, ...options });
    if (mode === 'socket') await connected();
    return rig;
  }

  it('posts a card, is approved by a tap acknowledged at once, and shows the outcome in place and in the thread', async () => {
    const { desk, how } = await start();
    const id = nextId();
    desk.put(makeRequest({ id }));
    const message = await posted(id);
    expect(actionIds(message)).toEqual(['hp_approve', 'hp_deny', 'hp_view']);
    const [ack] = await slack.tap({ ts: message.ts, action: 'hp_approve', user: 'UDANA', how });
    expect(ack?.acked).toBe(true);
    expect(ack?.ms).toBeLessThan(1000);
    await slack.until((state) => desk.decided.length === 1 && state);
    expect(desk.decided).toEqual([{ id, effect: 'approve', approver: 'dana@example.com', reason: null }]);
    desk.change(id, { state: 'executing', grantExpiresAt: null });
    desk.change(id, {
      state: 'executed',
      endedAt: Date.now(),
      outcome: { code: null, rows: 1, tag: 'DELETE 1', ms: 12, transactionOpen: false },
    });
    const done = await slack.until((state) => {
      const now = card(state, id);
      return now && JSON.stringify(now.blocks).includes('Executed: 1 row in 12 ms') && now;
    });
    expect(actionIds(done)).toEqual([]);
    expect(JSON.stringify(done.blocks)).toContain('Approved by Dana in Slack');
    // One note when the end comes before the link is posted, else two.
    const said = await slack.until((state) => {
      const all = JSON.stringify(thread(state, message.ts).map((each) => each.blocks));
      return all.includes('executed: 1 row') && all;
    });
    expect(said).toContain('holdpoint session ses_01');
    expect((await slack.state()).faults).toEqual([]);
  });

  it('denies with the reason of the menu', async () => {
    const { desk, how } = await start();
    const id = nextId();
    desk.put(makeRequest({ id }));
    const message = await posted(id);
    await slack.tap({ ts: message.ts, action: 'hp_deny', option: 'too-broad', user: 'UERIN', how });
    await slack.until((state) => body(card(state, id)).includes('Denied. Not run'));
    expect(desk.decided).toEqual([{ id, effect: 'deny', approver: 'erin@example.com', reason: 'too broad' }]);
  });

  it('asks for words when the reason is Other…', async () => {
    const { desk, how } = await start();
    const id = nextId();
    desk.put(makeRequest({ id }));
    const message = await posted(id);
    await slack.tap({ ts: message.ts, action: 'hp_deny', option: 'other', user: 'UDANA', how });
    const view = await slack.until((state) =>
      state.views.find((each) => JSON.stringify(each.view).includes(id)),
    );
    await slack.submit({
      viewId: view.id,
      user: 'UDANA',
      values: { hp_reason: { hp_reason_text: { value: 'use the soft delete <!channel>' } } },
      how,
    });
    await slack.until((state) => body(card(state, id)).includes('use the soft delete'));
    expect(desk.decided[0]).toMatchObject({ effect: 'deny', reason: 'use the soft delete <!channel>' });
    expect((await slack.state()).faults).toEqual([]);
  });

  it('lets one of several simultaneous and repeated taps win and tells the others', async () => {
    const { desk, how } = await start();
    const id = nextId();
    desk.put(makeRequest({ id }));
    const message = await posted(id);
    const before = (await slack.state()).ephemerals.length;
    await Promise.all([
      slack.tap({ ts: message.ts, action: 'hp_approve', user: 'UDANA', how: { ...how, copies: 2 } }),
      slack.tap({ ts: message.ts, action: 'hp_deny', option: 'too-broad', user: 'UERIN', how }),
    ]);
    const told = await slack.until(
      (state) => state.ephemerals.length >= before + 2 && state.ephemerals.slice(before),
    );
    expect(desk.decided).toHaveLength(1);
    for (const each of told) expect(each.text).toContain('already decided by');
  });

  it.each([
    ['a guest', { id: 'UGUEST', is_restricted: true, profile: { email: 'erin@example.com' } }, 'Guests'],
    [
      'a single-channel guest',
      { id: 'UGUEST2', is_ultra_restricted: true, profile: { email: 'erin@example.com' } },
      'Guests',
    ],
    ['a bot', { id: 'UBOTTY', is_bot: true, profile: { email: 'erin@example.com' } }, 'Bots'],
    [
      'a deactivated account',
      { id: 'UGONE', deleted: true, profile: { email: 'erin@example.com' } },
      'deactivated',
    ],
    [
      'a stranger in a shared channel',
      { id: 'USTRANGER', is_stranger: true, profile: { email: 'erin@example.com' } },
      'another organisation',
    ],
    [
      'a member of another team',
      { id: 'UOTHER', team_id: 'T0OTHER0001', profile: { email: 'erin@example.com' } },
      'another organisation',
    ],
    [
      'an unconfirmed e-mail',
      { id: 'UUNSURE', is_email_confirmed: false, profile: { email: 'erin@example.com' } },
      'not registered',
    ],
    [
      'a member who is no approver',
      { id: 'UMALLORY', profile: { email: 'mallory@example.com' } },
      'not registered',
    ],
    ['the requester', { id: 'UALICE', profile: { email: 'alice@example.com' } }, 'your own request'],
  ])('refuses %s, says why, and leaves the request pending', async (_who, user, why) => {
    const { desk, how } = await start();
    const id = nextId();
    await slack.user(user);
    desk.put(makeRequest({ id }));
    const message = await posted(id);
    const before = (await slack.state()).ephemerals.length;
    await slack.tap({ ts: message.ts, action: 'hp_approve', user: user.id, how });
    const told = await slack.until((state) =>
      state.ephemerals.slice(before).find((each) => each.user === user.id),
    );
    expect(told.text).toContain(why);
    expect(desk.decided).toEqual([]);
    expect((await desk.get(id))?.state).toBe('pending');
  });

  it('refuses a tap that comes from another workspace, whoever it says it is', async () => {
    const { desk, how } = await start();
    const id = nextId();
    desk.put(makeRequest({ id }));
    const message = await posted(id);
    const before = (await slack.state()).ephemerals.length;
    await slack.tap({ ts: message.ts, action: 'hp_approve', user: 'UDANA', team: 'T0OTHER0001', how });
    await slack.until((state) => state.ephemerals.length > before && state);
    expect(desk.decided).toEqual([]);
  });

  it('answers a late tap on an earlier state of the card', async () => {
    const { desk, how } = await start();
    const id = nextId();
    desk.put(makeRequest({ id }));
    const message = await posted(id);
    desk.change(id, { state: 'expired', endedAt: Date.now() });
    await slack.until((state) => (card(state, id)?.history.length ?? 0) === 1);
    const before = (await slack.state()).ephemerals.length;
    await slack.tap({ ts: message.ts, action: 'hp_approve', user: 'UDANA', seen: 0, how });
    await slack.until((state) => state.ephemerals.length > before && state);
    expect(desk.decided).toEqual([]);
  });

  it('does not decide on a value from the future or from nowhere', async () => {
    const { desk, how } = await start();
    const id = nextId();
    desk.put(makeRequest({ id }));
    const message = await posted(id);
    for (const value of [`${id}:99`, 'HP-NONE:1', `${id}`, '{"sql":"x"}']) {
      const before = (await slack.state()).ephemerals.length;
      await slack.tap({ ts: message.ts, action: 'hp_approve', user: 'UDANA', value, how });
      await slack.until((state) => state.ephemerals.length > before && state);
    }
    expect(desk.decided).toEqual([]);
  });

  it('approves what does not fit the card only from the full view, with the file in the thread', async () => {
    const { desk, how } = await start();
    const id = nextId();
    const sql = `DELETE FROM orders WHERE id IN (${Array.from({ length: 1500 }, (_, i) => i).join(', ')})`;
    desk.put(makeRequest({ id, statement: { sql, bytes: sql.length } }));
    const message = await posted(id);
    expect(actionIds(message)).toEqual(['hp_deny', 'hp_view']);
    const shown = JSON.stringify(message.blocks);
    expect(shown).toContain('a'.repeat(64));
    expect(shown).toContain('1499)');
    const file = await slack.until((state) => state.files.find((each) => each.thread_ts === message.ts));
    expect(file.content).toBe(sql);
    await slack.tap({ ts: message.ts, action: 'hp_view', user: 'UDANA', how });
    const view = await slack.until((state) =>
      state.views.find((each) => JSON.stringify(each.view).includes(id)),
    );
    await slack.submit({ viewId: view.id, user: 'UDANA', how });
    await slack.until((state) => desk.decided.length === 1 && state);
    expect((await slack.state()).faults).toEqual([]);
  });

  it('answers /hoop pending, help, show, approve, deny, and sessions for a mention and for an e-mail', async () => {
    const { desk, how, sessionQueries } = await start({
      publicUrl: 'https://hold.example.com',
      rows: [
        {
          id: 'ses_9',
          ownerName: 'Alice',
          ownerEmail: 'alice@example.com',
          agent: 'Cursor',
          subject: 'x',
          target: 'shop',
          environment: 'prod',
          startedAt: Date.now() - 1000,
          endedAt: null,
          statements: 3,
          held: 1,
          denied: 0,
          errors: 0,
        },
      ],
    });
    const id = nextId();
    desk.put(makeRequest({ id }));
    async function said(text: string, user = 'UDANA'): Promise<string> {
      const before = (await slack.state()).ephemerals.length;
      const [ack] = await slack.command({ text, user, how });
      expect(ack?.acked).toBe(true);
      const [told] = await slack.until(
        (state) => state.ephemerals.length > before && state.ephemerals.slice(before),
      );
      return JSON.stringify(told?.blocks);
    }
    expect(await said('pending')).toContain(id);
    expect(await said('help')).toContain('/hoop sessions');
    expect(await said('')).toContain('/hoop sessions');
    expect(await said('<!channel> hi')).toContain('I do not know');
    expect(await said('sessions <@UALICE|alice>')).toContain('https://hold.example.com/sessions/ses_9');
    expect(await said('sessions <mailto:Alice@example.com|Alice@example.com> 24h')).toContain('ses_9');
    expect(sessionQueries.map((each) => each.owner)).toEqual(['alice@example.com', 'alice@example.com']);
    expect(await said('sessions', 'UALICE')).toContain('ses_9');
    // As in the console: who is no auditor sees of others what asked for an approval.
    expect(await said('sessions alice@example.com', 'UERIN')).toContain('that asked for an approval');
    expect(sessionQueries.map(({ held }) => held)).toEqual([undefined, undefined, undefined, true]);
    expect(await said('sessions <@UALICE|alice>', 'UMALLORY')).toContain('Only approvers');
    expect(await said('pending', 'UMALLORY')).toContain('Nothing waits');
    expect(await said('pending', 'UALICE')).toContain(id);
    expect(await said(`show ${id.toLowerCase()}`)).toContain('DELETE FROM orders WHERE id = 7');
    expect(await said(`show ${id}`, 'UALICE')).toContain(id);
    expect(await said(`show ${id}`, 'UMALLORY')).toContain('no such request that you may see');
    expect(await said(`approve ${id}`, 'UMALLORY')).toContain('not registered');
    expect(await said(`approve ${id}`, 'UALICE')).toContain('your own request');
    expect(await said('approve')).toContain('Which request?');
    const [approved, grave] = [nextId(), nextId()];
    desk.put(makeRequest({ id: approved }));
    expect(await said(`approve ${approved}`)).toContain(`${approved}: Approved by Dana in Slack`);
    desk.put(makeRequest({ id: grave, statement: { class: 'ddl' } }));
    expect(await said(`approve ${grave}`)).toContain('needs a second look');
    for (const one of [grave, 'HP-NONE'])
      expect(await said(`approve ${one}`, 'UMALLORY')).toContain('not registered');
    expect(await said(`deny ${id} not on a Friday`)).toContain(id);
    expect(desk.decided).toMatchObject([
      { id: approved, effect: 'approve', approver: 'dana@example.com' },
      { id, effect: 'deny', reason: 'not on a Friday' },
    ]);
    expect((await slack.state()).faults).toEqual([]);
  });
});

describe('HTTP requests', () => {
  it.each([
    ['a forged signature', { forge: true }, 401],
    ['no signature', { unsigned: true }, 401],
    ['an old timestamp', { skew: -3600 }, 401],
    ['a timestamp ahead of time', { skew: 3600 }, 401],
  ])('with %s are refused', async (_what, how, status) => {
    rig = await startRig(slack, { mode: 'http' });
    const id = nextId();
    rig.desk.put(makeRequest({ id }));
    const message = await posted(id);
    const [got] = await slack.tap({
      ts: message.ts,
      action: 'hp_approve',
      user: 'UDANA',
      how: { ...rig.how, ...how },
    });
    expect(got?.status).toBe(status);
    expect(rig.desk.decided).toEqual([]);
  });

  it.each([
    ['null', 'null', 400],
    ['a list', '[]', 400],
    ['half an object', '{', 400],
    ['actions that are no list', '{"type":"block_actions","actions":{"0":1}}', 500],
    ['300 KB', 'x'.repeat(300_000), 413],
  ])('that are signed and carry %s are refused, and the bot goes on', async (_what, payload, status) => {
    rig = await startRig(slack, { mode: 'http' });
    const [got] = await slack.raw({ form: { payload }, how: rig.how });
    expect(got?.status).toBe(status);
    const [help] = await slack.command({ text: 'help', user: 'UDANA', how: rig.how });
    expect(help?.status).toBe(200);
  });

  it('with a charset in the content type are understood', async () => {
    rig = await startRig(slack, { mode: 'http' });
    const contentType = 'application/x-www-form-urlencoded; charset=utf-8';
    const [got] = await slack.command({ text: 'help', user: 'UDANA', how: { ...rig.how, contentType } });
    expect(got?.status).toBe(200);
  });
});

describe('when Slack misbehaves', () => {
  it('starts while Slack is down and connects and delivers when it is back', async () => {
    await slack.outage(true);
    rig = await startRig(slack);
    const id = nextId();
    rig.desk.put(makeRequest({ id }));
    await expect
      .poll(() => rig?.log.lines.some((line) => line.message === 'card not delivered yet'))
      .toBe(true);
    await slack.outage(false);
    await connected();
    const message = await posted(id);
    await slack.tap({ ts: message.ts, action: 'hp_approve', user: 'UDANA' });
    await slack.until((state) => rig?.desk.decided.length === 1 && state);
  });

  it('brings a card up to date that was decided elsewhere while Slack was down', async () => {
    rig = await startRig(slack);
    const id = nextId();
    rig.desk.put(makeRequest({ id }));
    const message = await posted(id);
    await slack.outage(true);
    rig.desk.change(id, { state: 'denied', endedAt: Date.now() });
    await expect.poll(() => rig?.log.lines.map((line) => line.message)).toContain('card not delivered yet');
    await slack.outage(false);
    const shown = await slack.until((state) => body(card(state, id)).includes('Denied') && card(state, id));
    expect([shown.ts, actionIds(shown)]).toEqual([message.ts, []]);
  });

  it('comes back after its socket was dropped or recycled', async () => {
    rig = await startRig(slack);
    await connected();
    await slack.outage(true);
    await slack.outage(false);
    await connected();
    await slack.recycle();
    await slack.until((state) => state.sockets === 0);
    await connected();
    const [got] = await slack.command({ text: 'help', user: 'UDANA' });
    expect(got?.acked).toBe(true);
  });

  it('waits as long as Slack asks', async () => {
    rig = await startRig(slack);
    await slack.rule({ method: 'chat.postMessage', kind: 'limit', retryAfter: 2 });
    const id = nextId();
    rig.desk.put(makeRequest({ id }));
    await posted(id);
    const calls = (await slack.state()).calls.filter((each) => each.method === 'chat.postMessage');
    const limited = calls.findLast((each) => each.answer?.['error'] === 'limit');
    const next = calls.find((each) => limited !== undefined && each.at > limited.at);
    expect((next?.at ?? 0) - (limited?.at ?? 0)).toBeGreaterThanOrEqual(1950);
  });

  it.each([
    ['an error 500', { kind: 'status', status: 500 }],
    ['a page that is no JSON', { kind: 'html' }],
    ['a reset connection', { kind: 'reset' }],
    ['a channel that is not there yet', { kind: 'error', error: 'not_in_channel' }],
  ] as const)('delivers once after %s', async (_what, rule) => {
    rig = await startRig(slack);
    await slack.rule({ method: 'chat.postMessage', times: 2, ...rule });
    const id = nextId();
    rig.desk.put(makeRequest({ id }));
    const message = await posted(id);
    await slack.until((state) => thread(state, message.ts).length === 1);
    const state = await slack.state();
    expect(
      state.messages.filter((each) => each.thread_ts === undefined && each.text.includes(id)),
    ).toHaveLength(1);
    await expect.poll(() => rig?.desk.outbox.rows.size).toBe(0);
  });

  it('repeats a post of unknown end under the same message id, and refreshes the stray copy when it is tapped', async () => {
    rig = await startRig(slack);
    await connected();
    await slack.rule({ method: 'chat.postMessage', kind: 'lose' });
    const id = nextId();
    rig.desk.put(makeRequest({ id }));
    const both = await slack.until((state) => {
      const all = state.messages.filter((each) => each.thread_ts === undefined && each.text.includes(id));
      return all.length === 2 && all;
    });
    expect(both[0]?.client_msg_id).toBe(both[1]?.client_msg_id);
    const stray = both[0]?.ts ?? '';
    await slack.tap({ ts: stray, action: 'hp_approve', user: 'UDANA' });
    await slack.until((state) => {
      const message = state.messages.find((each) => each.ts === stray);
      return message !== undefined && actionIds(message).length === 0;
    });
    expect(rig.desk.decided).toHaveLength(1);
  });

  it('refuses a tap when Slack cannot say who it is', async () => {
    rig = await startRig(slack);
    await connected();
    const id = nextId();
    rig.desk.put(makeRequest({ id }));
    const message = await posted(id);
    await slack.rule({ method: 'users.info', kind: 'status', status: 503 });
    const before = (await slack.state()).ephemerals.length;
    await slack.tap({ ts: message.ts, action: 'hp_approve', user: 'UDANA' });
    const told = await slack.until((state) => state.ephemerals[before]);
    expect(told.text).toContain('could not confirm who you are');
    expect(rig.desk.decided).toEqual([]);
  });

  it('posts a new card for an open request whose card was removed', async () => {
    rig = await startRig(slack);
    const id = nextId();
    rig.desk.put(makeRequest({ id }));
    const first = await posted(id);
    await expect.poll(() => rig?.desk.outbox.rows.size).toBe(0);
    await slack.removeMessage(first.ts);
    rig.desk.change(id, { waiterLive: false });
    const second = await posted(id);
    expect(second.ts).not.toBe(first.ts);
  });
});

describe('order and restarts', () => {
  it('never shows an older version over a newer one', async () => {
    rig = await startRig(slack);
    const id = nextId();
    rig.desk.put(makeRequest({ id }));
    for (let version = 0; version < 6; version += 1) rig.desk.change(id, { waiterLive: version % 2 === 0 });
    await slack.rule({ method: 'chat.update', kind: 'status', status: 500 });
    rig.desk.change(id, { state: 'denied', endedAt: Date.now() });
    await slack.until((state) => body(card(state, id)).includes('Denied'));
    await expect.poll(() => rig?.desk.outbox.rows.size).toBe(0);
    const last = card(await slack.state(), id);
    const versions = [...(last?.history ?? []), { blocks: last?.blocks ?? [] }].map((each) =>
      Number(each.blocks[0]?.block_id?.split(':')[1]),
    );
    expect(versions).toEqual([...versions].sort((a, b) => a - b));
    expect(versions.at(-1)).toBe(8);
  });

  it('finishes after a restart what it had begun, without a second card', async () => {
    rig = await startRig(slack);
    const id = nextId();
    const { desk } = rig;
    desk.put(makeRequest({ id }));
    const message = await posted(id);
    await slack.until((state) => thread(state, message.ts).length === 1);
    await rig.stop();
    desk.change(id, { state: 'denied', endedAt: Date.now() });
    rig = await startRig(slack, { desk });
    await slack.until((state) => thread(state, message.ts).length === 2);
    const state = await slack.state();
    expect(
      state.messages.filter((each) => each.thread_ts === undefined && each.text.includes(id)),
    ).toHaveLength(1);
    expect(JSON.stringify(card(state, id)?.blocks)).toContain('Denied');
  });

  it('decides on a card that was posted before the restart', async () => {
    rig = await startRig(slack);
    const id = nextId();
    const { desk } = rig;
    desk.put(makeRequest({ id }));
    const message = await posted(id);
    await rig.stop();
    rig = await startRig(slack, { desk });
    await connected();
    await slack.tap({ ts: message.ts, action: 'hp_approve', user: 'UDANA' });
    await slack.until((state) => desk.decided.length === 1 && state);
  });

  it('posts about one message a second', async () => {
    rig = await startRig(slack);
    const ids = [nextId(), nextId(), nextId()];
    for (const id of ids) rig.desk.put(makeRequest({ id }));
    const times = await slack.until((state) => {
      const all = ids.map((id) => card(state, id)?.at);
      return all.every((each) => each !== undefined) && all.map(Number).sort((a, b) => a - b);
    });
    expect(Number(times[2]) - Number(times[0])).toBeGreaterThanOrEqual(1800);
  });
});
