/** Bursts of destructive statements, told once, and the button that suspends. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { renderAlert } from '../../src/bot/alerts.ts';
import type { Attempt } from '../../src/bot/types.ts';
import { type SentMessage, type SlackStandIn, startSlack } from '../support/slack/index.ts';
import { makeAlerts, makeRequest, people, type Rig, startRig } from './support.ts';

describe('an alert about logins', () => {
  const alert = {
    id: 'AL-0123456789abcdef',
    key: 'k',
    requester: { ...makeRequest().requester, agent: 'Cursor' },
    count: 12,
    since: 0,
    at: 60_000,
    lines: ['gateway from 203.0.113.9: wrong-secret (cred_a)'],
    channel: '#db',
    ts: null,
    shown: false,
    suspendedBy: null,
  };
  it('says who or from where, and offers nobody to suspend', () => {
    const logins = renderAlert({ ...alert, about: 'logins' }, null);
    expect(logins.text).toBe('Cursor for Alice: 12 logins failed in a minute');
    const nobody = {
      ...alert.requester,
      ownerId: null,
      ownerName: null,
      agent: null,
      subject: '203.0.113.9',
    };
    expect(renderAlert({ ...alert, about: 'logins', requester: nobody }, null).text).toBe(
      '203.0.113.9: 12 logins failed in a minute',
    );
    const revoked = renderAlert({ ...alert, about: 'revoked' }, null);
    expect(revoked.text).toBe('Cursor for Alice: something revoked was tried');
    for (const { blocks } of [logins, revoked]) {
      expect(JSON.stringify(blocks)).toContain('wrong-secret (cred_a)');
      expect(JSON.stringify(blocks)).not.toContain('hp_suspend');
    }
    expect(JSON.stringify(renderAlert(alert, null).blocks)).toContain('hp_suspend');
  });
});

describe('an alert', () => {
  let slack: SlackStandIn;
  let rig: Rig;
  const store = makeAlerts();
  const config = { alerts: { count: 3, withinMs: 600_000, channel: '#security' } };
  const alerts = async (): Promise<readonly SentMessage[]> =>
    (await slack.state()).messages.filter((one) => one.channel === 'C0SEC00001');
  const shown = (words: string): Promise<SentMessage> =>
    slack.until((state) =>
      state.messages.find(
        (one) => one.channel === 'C0SEC00001' && JSON.stringify(one.blocks).includes(words),
      ),
    );
  const tried = (agent: string, over: Partial<Attempt> = {}): Attempt => ({
    ...makeRequest().statement,
    target: makeRequest().target,
    ...over,
    requester: { ...makeRequest().requester, agent },
  });
  const start = async (): Promise<void> => {
    rig = await startRig(slack, { config, alerts: store });
    await slack.until((state) => state.sockets === 1);
  };

  beforeAll(async () => {
    slack = await startSlack();
    await people(slack);
    await start();
  });
  afterAll(async () => {
    expect((await slack.state()).faults).toEqual([]);
    await rig.stop();
    await slack.stop();
  });

  it('counts what is held and what is denied, each once, by owner and agent, and not what harms nothing', async () => {
    rig.desk.put(makeRequest({ id: 'HP-A001' }));
    rig.desk.change('HP-A001', { state: 'pending', waiterLive: false });
    rig.desk.put(makeRequest({ id: 'HP-A002', statement: { class: 'read', verb: 'SELECT' } }));
    rig.bot.denied(tried('Cursor', { class: 'read' }));
    rig.bot.denied(tried('Other'));
    rig.bot.denied(tried('Cursor', { class: 'ddl', verb: 'DROP TABLE' }));
    rig.desk.put(makeRequest({ id: 'HP-A003', statement: { class: 'update', missingWhere: true } }));
    const message = await shown('3 destructive statements in a minute');
    const text = JSON.stringify(message.blocks);
    for (const words of [
      'Cursor for Alice',
      'DROP TABLE public.orders on prod/shop: denied',
      'held as HP-A001',
    ])
      expect(text).toContain(words);
    rig.bot.denied(tried('Cursor'));
    await rig.stop();
    await start();
    for (let count = 0; count < 4; count += 1) rig.bot.denied(tried('Cursor'));
    for (let count = 0; count < 3; count += 1) rig.bot.denied(tried('Third'));
    await shown('Third for Alice: 3 destructive');
    expect((await alerts()).length).toBe(2);
  });

  it('lets a member of a user group that decides suspend, where the configuration says so', async () => {
    await slack.group({ handle: 'dba', id: 'S0DBA0001', users: ['UMALLORY'] });
    await rig.stop();
    rig = await startRig(slack, { config: { ...config, userGroups: true }, alerts: store });
    await slack.until((state) => state.sockets === 1);
    const { ts } = await shown('Third for Alice');
    await slack.tap({ ts, action: 'hp_suspend', user: 'UMALLORY' });
    await shown('Suspended by umallory');
    expect(rig.suspended).toEqual([['alice@example.com', 'mallory@example.com']]);
    await rig.stop();
    await start();
  });

  it('lets an approver suspend, and nobody else; then it says who did', async () => {
    const { ts } = await shown('Cursor for Alice');
    const before = (await slack.state()).ephemerals.length;
    await slack.tap({ ts, action: 'hp_suspend', user: 'UMALLORY' });
    await slack.until((state) =>
      state.ephemerals.slice(before).some((one) => one.text.includes('not registered')),
    );
    await slack.tap({ ts, action: 'hp_suspend', user: 'UDANA', value: 'AL-0000000000000000' });
    await slack.until((state) => state.ephemerals.some((one) => one.text.includes('no such alert')));
    expect(rig.suspended).toEqual([]);
    await slack.tap({ ts, action: 'hp_suspend', user: 'UDANA', how: { copies: 2 } });
    const done = await shown('Suspended by Dana');
    expect(done.ts).toBe(ts);
    expect(JSON.stringify(done.blocks)).not.toContain('hp_suspend');
    for (const one of rig.suspended) expect(one).toEqual(['alice@example.com', 'dana@example.com']);
  });
});
