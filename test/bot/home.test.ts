/** App Home and the commands of owners and approvers, against the strict stand-in. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type OpenedView, type SlackStandIn, type SlackState, startSlack } from '../support/slack/index.ts';
import { makeDesk, makeRequest, people, type Rig, startRig, type TestDesk } from './support.ts';

let slack: SlackStandIn;
let rig: Rig;
let desk: TestDesk;

beforeAll(async () => {
  slack = await startSlack();
  await people(slack);
  await slack.user({ id: 'UBOB', profile: { email: 'bob@example.com' } });
  desk = makeDesk();
  rig = await startRig(slack, {
    desk,
    publicUrl: 'https://hold.example.com',
    config: { matchEmail: false },
    links: { UMALLORY: 'alice@example.com' },
  });
  await slack.until((state) => state.sockets === 1);
});
afterEach(async () => {
  for (const one of await desk.list({ states: ['pending', 'granted'] }))
    desk.change(one.id, { state: 'expired', endedAt: Date.now() });
});
afterAll(async () => {
  expect((await slack.state()).faults).toEqual([]);
  await rig.stop();
  await slack.stop();
});

const shown = (view: OpenedView): string => JSON.stringify(view.view.blocks);
const latest = async (user: string): Promise<string> => {
  const { views } = await slack.state();
  return views.filter((one) => one.view.type === 'home' && one.userId === user).at(-1)?.id ?? '';
};
/** The next Home of that user after doing this. */
async function home(user: string, act = () => slack.home({ user })): Promise<OpenedView> {
  const before = (await slack.state()).views.length;
  await act();
  return await slack.until((state) =>
    state.views.slice(before).find((one) => one.view.type === 'home' && one.userId === user),
  );
}
async function said(text: string, user: string): Promise<string> {
  const before = (await slack.state()).ephemerals.length;
  await slack.command({ text, user });
  const [told] = await slack.until(
    (state) => state.ephemerals.length > before && state.ephemerals.slice(before),
  );
  return JSON.stringify(told?.blocks);
}

describe('App Home', () => {
  it('says in words that there is nothing', async () => {
    const text = shown(await home('UDANA'));
    for (const words of ['Nothing waits for your decision', 'You have asked for nothing', 'None yet'])
      expect(text).toContain(words);
    const bob = shown(await home('UBOB'));
    expect(bob).not.toContain('Waiting for me');
    expect(bob).toContain('/hoop link');
  });

  it('shows an approver what their decision counts for, to be opened and approved in its window', async () => {
    desk.put(makeRequest({ id: 'HP-H001' }));
    desk.put(makeRequest({ id: 'HP-H002', terms: { ...makeRequest().terms, approverGroups: ['other'] } }));
    const own = { ...makeRequest().requester, ownerId: 'dana@example.com', ownerEmail: 'dana@example.com' };
    desk.put(makeRequest({ id: 'HP-H003', requester: own }));
    const first = await home('UDANA');
    const waiting = shown(first).split('"Mine"')[0] ?? '';
    expect(waiting).toContain('HP-H001');
    expect(waiting).not.toMatch(/HP-H00[23]/);
    expect(shown(first).split('"Mine"')[1]).toContain('HP-H003');
    expect(shown(first)).not.toContain('hp_approve');
    await slack.tapHome({ viewId: first.id, action: 'hp_view', user: 'UDANA', id: 'HP-H001' });
    const window = await slack.until((state) =>
      state.views.find((one) => one.view.type === 'modal' && shown(one).includes('HP-H001')),
    );
    const after = await home('UDANA', () => slack.submit({ viewId: window.id, user: 'UDANA' }));
    expect(shown(after)).toContain('Nothing waits for your decision');
    expect(desk.decided).toMatchObject([{ id: 'HP-H001', effect: 'approve' }]);
  });

  it('denies there too, with the reasons of the card; Other asks for words', async () => {
    desk.put(makeRequest({ id: 'HP-H005' }));
    const { id } = await home('UDANA');
    const deny = (option: string) =>
      slack.tapHome({ viewId: id, action: 'hp_deny', user: 'UDANA', id: 'HP-H005', option });
    await deny('other');
    const window = await slack.until((state) =>
      state.views.find(({ view }) => view.type === 'modal' && JSON.stringify(view).includes('Deny HP-H005')),
    );
    const values = { hp_reason: { hp_reason_text: { value: 'not today' } } };
    await slack.submit({ viewId: window.id, user: 'UDANA', values });
    await expect.poll(async () => (await desk.get('HP-H005'))?.state).toBe('denied');
    expect(desk.decided.at(-1)).toMatchObject({ effect: 'deny', reason: 'not today' });
    await deny('too-broad');
    const homes = (state: SlackState) =>
      state.views.filter(({ view, userId }) => view.type === 'home' && userId === 'UDANA').map(shown);
    const told = 'HP-H005 was already decided by Dana';
    await slack.until((state) => homes(state).some((one) => one.includes(told)));
    // It stays until they open it again.
    await home('UDANA');
    expect(homes(await slack.state()).at(-2)).toContain(told);
  });

  it('lets an owner who is linked withdraw, and nobody else; what went wrong is said there', async () => {
    desk.put(makeRequest({ id: 'HP-H004' }));
    const bob = shown(await home('UBOB'));
    expect(bob).not.toContain('HP-H004');
    const { id } = await home('UMALLORY');
    desk.change('HP-H004', { state: 'pending', waiterLive: false });
    const done = await home('UMALLORY', () =>
      slack.tapHome({ viewId: id, action: 'hp_withdraw', user: 'UMALLORY', id: 'HP-H004' }),
    );
    expect(shown(done)).toContain('HP-H004 is withdrawn');
    expect((await desk.get('HP-H004'))?.state).toBe('withdrawn');
    const refused = await home('UBOB', () =>
      slack.tapHome({ viewId: id, action: 'hp_withdraw', user: 'UBOB', id: 'HP-H004' }),
    );
    expect(shown(refused)).toContain('linked to nobody');
    expect(await latest('UBOB')).toBe(refused.id);
  });
});

describe('/hoop', () => {
  it('withdraw is for the owner, known by a link', async () => {
    desk.put(makeRequest({ id: 'HP-W001' }));
    expect(await said('withdraw HP-W001', 'UBOB')).toContain('linked to nobody');
    expect(await said('withdraw HP-W001', 'UDANA')).toContain('Only its owner');
    expect(await said('withdraw', 'UDANA')).toContain('Which request?');
    expect((await desk.get('HP-W001'))?.state).toBe('pending');
    expect(await said('withdraw w001', 'UMALLORY')).toContain('HP-W001 is withdrawn');
  });

  it('policy tells approvers what waits and who changed that', async () => {
    expect(await said('policy', 'UBOB')).toContain('not registered');
    const text = await said('policy shop', 'UDANA');
    for (const words of [
      'shop · preset guarded · version 0123456789abcdef',
      'Waits for approval: by default ddl; rules deletes (observed)',
      'Refused: by default copy',
      'Last changed by Erin',
    ])
      expect(text).toContain(words);
    expect(await said('policy nowhere', 'UDANA')).toContain('There are: shop');
  });

  it('link gives an address, and takes what the console gave for this very account', async () => {
    expect(await said('link', 'UBOB')).toContain('https://hold.example.com/slack/link/UBOB');
    expect(await said('link for-UBOB', 'UDANA')).toContain('not what the console gave you');
    expect(await said('link for-UDANA', 'UDANA')).toContain('you are Dana here');
  });
});
