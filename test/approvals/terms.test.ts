/** Who owes a decision, who may take a request back, and what happens when nobody decides: on the real store. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Owed } from '../../src/policy/types.ts';
import { openStore, type Store } from '../../src/store/store.ts';
import { type TestPostgres, testPostgres } from '../support/postgres.ts';
import { approver, cleared, draft, quiet, testClock, testDesk, waiting } from './support.ts';

let postgres: TestPostgres;
let store: Store;
let count = 0;
function own(change: Parameters<typeof draft>[1] = {}) {
  count += 1;
  const ownerId = `owner-${count}@example.com`;
  return draft(`fp-${count}`, {
    ...change,
    requester: { ownerId, ownerEmail: ownerId, ...change?.requester },
  });
}
const yes = (id: string, name: string, ...groups: string[]) =>
  ({ id, approver: approver(name, { groups }), effect: 'approve', reason: null }) as const;
const owed = (...all: Owed[]) => ({
  approverGroups: all.flatMap(({ groups }) => groups),
  quorum: all.reduce((sum, one) => sum + one.count, 0),
  owed: all,
});

beforeAll(async () => {
  postgres = await testPostgres();
  await postgres.createDatabase('terms');
  store = await openStore({ url: postgres.url('terms'), log: quiet });
});
afterAll(async () => {
  await store?.close();
  await postgres?.stop();
});

describe('several groups are each owed one decision', () => {
  const both = owed({ groups: ['dba'], count: 1 }, { groups: ['security'], count: 1 });

  it('of different people, and a second one of the same group does not help', async () => {
    const desk = testDesk(store.requests, testClock().now);
    const { id } = waiting(await desk.hold(own({ terms: both }))).request;
    expect(await desk.decide(yes(id, 'Eve', 'sales'))).toMatchObject({ why: 'not-approver' });
    expect(await desk.decide(yes(id, 'Dana', 'dba'))).toMatchObject({ kind: 'counted', missing: 1 });
    expect(await desk.decide(yes(id, 'Erin', 'dba'))).toMatchObject({ why: 'not-owed' });
    expect(await desk.decide(yes(id, 'Dana', 'security'))).toMatchObject({ why: 'already-counted' });
    expect(await desk.decide(yes(id, 'Sam', 'security'))).toMatchObject({ kind: 'settled' });
    desk.close();
  });

  it('whoever is in both sits where the other is not, in whatever order they come', async () => {
    const desk = testDesk(store.requests, testClock().now);
    const { id } = waiting(await desk.hold(own({ terms: both }))).request;
    expect(await desk.decide(yes(id, 'Both', 'dba', 'security'))).toMatchObject({ kind: 'counted' });
    expect(await desk.decide(yes(id, 'Dana', 'dba'))).toMatchObject({ kind: 'settled' });
    desk.close();
  });

  it('and what is open beyond them falls to any approver', async () => {
    const desk = testDesk(store.requests, testClock().now);
    const terms = owed({ groups: ['dba'], count: 1 }, { groups: [], count: 1 });
    const { id } = waiting(await desk.hold(own({ terms }))).request;
    expect(await desk.decide(yes(id, 'Any', 'sales'))).toMatchObject({ kind: 'counted' });
    expect(await desk.decide(yes(id, 'Other', 'sales'))).toMatchObject({ why: 'not-owed' });
    expect(await desk.decide(yes(id, 'Dana', 'dba'))).toMatchObject({ kind: 'settled' });
    desk.close();
  });
});

describe('a reason that the rule asks for', () => {
  it('comes before any approval, from the owner, and may be given later', async () => {
    const desk = testDesk(store.requests, testClock().now);
    const asked = own({ terms: { reasonRequired: true, ticketRequired: true } });
    const { id } = waiting(await desk.hold(asked)).request;
    expect(await desk.decide(yes(id, 'Dana', 'dba'))).toMatchObject({ why: 'reason-needed' });
    const alice = approver('Alice', { id: asked.requester.ownerId ?? '' });
    expect(await desk.explain({ id, by: approver('Eve'), reason: 'OPS-1' })).toMatchObject({
      why: 'not-owner',
    });
    expect(await desk.explain({ id, by: alice, reason: 'because' })).toMatchObject({ kind: 'settled' });
    expect(await desk.decide(yes(id, 'Dana', 'dba'))).toMatchObject({ why: 'reason-needed' });
    // A retry brings its own.
    expect(await desk.hold({ ...asked, purpose: 'cleanup, OPS-12' })).toMatchObject({
      joined: true,
      request: { id, purpose: 'cleanup, OPS-12' },
    });
    expect(await desk.decide(yes(id, 'Dana', 'dba'))).toMatchObject({ kind: 'settled' });
    desk.close();
  });

  it('does not keep anybody from denying', async () => {
    const desk = testDesk(store.requests, testClock().now);
    const { id } = waiting(await desk.hold(own({ terms: { reasonRequired: true } }))).request;
    const result = await desk.decide({ id, approver: approver('Dana'), effect: 'deny', reason: null });
    expect(result).toMatchObject({ kind: 'settled' });
    desk.close();
  });
});

describe('the owner takes a request back', () => {
  it('while it waits, and nobody else does', async () => {
    const desk = testDesk(store.requests, testClock().now);
    const asked = own();
    const held = waiting(await desk.hold(asked));
    const { id } = held.request;
    expect(await desk.withdraw({ id, by: approver('Eve'), note: null })).toMatchObject({ why: 'not-owner' });
    const alice = approver('Alice', {
      id: (asked.requester.ownerId ?? '').toUpperCase(),
      surface: 'console',
    });
    expect(await desk.withdraw({ id, by: alice, note: 'wrong table' })).toMatchObject({
      request: { state: 'withdrawn', note: 'by Alice in the console: wrong table' },
    });
    expect(await held.ticket.settled).toMatchObject({ kind: 'withdrawn' });
    expect(await desk.withdraw({ id, by: alice, note: null })).toMatchObject({ kind: 'lost' });
    desk.close();
  });

  it('after it was approved and before it runs: the grant is void', async () => {
    const desk = testDesk(store.requests, testClock().now);
    const asked = own();
    const held = waiting(await desk.hold(asked));
    held.ticket.leave();
    await desk.decide(yes(held.request.id, 'Dana'));
    const alice = approver('Alice', { id: asked.requester.ownerId ?? '' });
    await desk.withdraw({ id: held.request.id, by: alice, note: null });
    expect(await desk.hold(asked)).toMatchObject({ kind: 'waiting', joined: false });
    desk.close();
  });
});

describe('when nobody decides', () => {
  it('approvers are told again at half time, once, whatever number of desks sweep', async () => {
    const clock = testClock();
    const desks = [testDesk(store.requests, clock.now), testDesk(store.requests, clock.now)] as const;
    const { request } = waiting(await desks[0].hold(own({ terms: { expiresMs: 60_000 } })));
    clock.pass(29_000);
    await Promise.all(desks.map((desk) => desk.sweep()));
    expect(await desks[0].get(request.id)).toMatchObject({ remindedAt: null });
    clock.pass(1_000);
    await Promise.all(desks.map((desk) => desk.sweep()));
    await Promise.all(desks.map((desk) => desk.sweep()));
    expect(await desks[0].get(request.id)).toMatchObject({
      version: request.version + 1,
      remindedAt: clock.now(),
      escalatedAt: null,
    });
    for (const desk of desks) desk.close();
  });

  it('a second group may decide too, but only from then on', async () => {
    const clock = testClock();
    const desk = testDesk(store.requests, clock.now);
    const terms = { approverGroups: ['dba'], escalation: { afterMs: 10_000, groups: ['managers'] } };
    const held = waiting(await desk.hold(own({ terms })));
    const { id } = held.request;
    await desk.sweep();
    expect(await desk.decide(yes(id, 'Max', 'managers'))).toMatchObject({ why: 'not-approver' });
    clock.pass(10_000);
    await desk.sweep();
    expect(await desk.decide(yes(id, 'Max', 'managers'))).toMatchObject({ kind: 'settled' });
    cleared(await held.ticket.settled);
    desk.close();
  });
});
