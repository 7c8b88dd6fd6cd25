import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ApprovalRequest, DeskStore, HoldResult, Outcome, Surface } from '../../src/approvals/types.ts';
import type { DecidingSurface } from '../../src/policy/types.ts';
import { openStore, type Store } from '../../src/store/store.ts';
import { type TestPostgres, testPostgres } from '../support/postgres.ts';
import { approver, cleared, draft, quiet, testClock, testDesk, waiting } from './support.ts';

let postgres: TestPostgres;
let store: Store;
let count = 0;
/** A fingerprint, and an owner, of its own for each test. */
function own(terms: Parameters<typeof draft>[1] = {}) {
  count += 1;
  const ownerId = `owner-${count}@example.com`;
  return draft(`fp-${count}`, {
    ...terms,
    requester: { ownerId, credentialId: `cred_${count}`, ...terms?.requester },
  });
}
const dana = approver('Dana');
const ok: Outcome = { code: null, rows: 1, tag: 'DELETE 1', ms: 3, transactionOpen: false };
const yes = (id: string, who = dana) => ({ id, approver: who, effect: 'approve', reason: null }) as const;
const no = (id: string, who = dana, reason: string | null = null) =>
  ({ id, approver: who, effect: 'deny', reason }) as const;

beforeAll(async () => {
  postgres = await testPostgres();
  await postgres.createDatabase('desk');
  store = await openStore({ url: postgres.url('desk'), log: quiet });
});
afterAll(async () => {
  await store?.close();
  await postgres?.stop();
});

it('a reason that somebody approved stays, whether the owner changes it or a retry brings another', async () => {
  const { now } = testClock();
  const desk = testDesk(store.requests, now);
  const asked = own({ purpose: 'OPS-1: clean-up', terms: { quorum: 2 } });
  const { request, ticket } = waiting(await desk.hold(asked));
  const by = { id: request.requester.ownerId ?? '', name: 'Alice', surface: 'console' } as const;
  expect(await desk.explain({ id: request.id, by, reason: 'OPS-2' })).toMatchObject({ kind: 'settled' });
  expect(await desk.decide(yes(request.id))).toMatchObject({ kind: 'counted' });
  expect(await desk.explain({ id: request.id, by, reason: 'anything' })).toMatchObject({
    kind: 'lost',
    sentence: expect.stringContaining('that reason stays'),
  });
  const again = waiting(await desk.hold({ ...asked, purpose: 'anything' }));
  expect(again.request).toMatchObject({ id: request.id, purpose: 'OPS-2' });
  for (const one of [ticket, again.ticket]) one.leave();
  desk.close();
});

describe('a decision', () => {
  it('clears the one who waits, once, and is on record with its outcome', async () => {
    const { now } = testClock();
    const desk = testDesk(store.requests, now);
    const held = waiting(await desk.hold(own()));
    expect(held.request.id).toMatch(/^HP-[2-9A-HJ-NP-TV-Z]{4}$/);
    expect(await desk.decide(yes(held.request.id.toLowerCase().slice(3)))).toMatchObject({ kind: 'settled' });
    const settled = cleared(await held.ticket.settled);
    expect(settled.request).toMatchObject({ state: 'executing', holder: desk.name });
    await settled.clearance.progress({ ...ok, transactionOpen: true });
    await settled.clearance.finish({ kind: 'executed', outcome: ok });
    await expect(settled.clearance.finish({ kind: 'executed', outcome: ok })).rejects.toThrow(
      'finished already',
    );
    expect(await desk.get(held.request.id)).toMatchObject({
      state: 'executed',
      outcome: ok,
      endedAt: now(),
      decisions: [{ approverName: 'Dana', effect: 'approve', surface: 'slack' }],
    });
    desk.close();
  });

  it('of thirty at once on two desks settles once, and every loser learns who won', async () => {
    const { now } = testClock();
    const desks = [testDesk(store.requests, now), testDesk(store.requests, now)] as const;
    const held = waiting(await desks[0].hold(own()));
    const results = await Promise.all(
      Array.from({ length: 30 }, (_, index) => {
        const who = approver(`Person${index}`);
        const { id } = held.request;
        return desks[index % 2 === 0 ? 0 : 1].decide(index % 3 === 0 ? no(id, who, 'no') : yes(id, who));
      }),
    );
    expect(results.filter((result) => result.kind === 'settled')).toHaveLength(1);
    const request = await desks[0].get(held.request.id);
    expect(request?.decisions).toHaveLength(1);
    const winner = request?.decisions[0];
    for (const result of results) {
      if (result.kind === 'settled') continue;
      const verb = winner?.effect === 'deny' ? 'denied' : 'approved';
      expect(result).toMatchObject({
        kind: 'lost',
        sentence: `Already ${verb} by ${winner?.approverName} in Slack at 14:02 UTC.`,
      });
    }
    const settlement = await held.ticket.settled;
    expect(settlement.kind).toBe(winner?.effect === 'deny' ? 'denied' : 'cleared');
    for (const desk of desks) desk.close();
  });

  it('of a quorum needs different people, in whatever spelling', async () => {
    const desk = testDesk(store.requests, testClock().now);
    const { request, ticket } = waiting(await desk.hold(own({ terms: { quorum: 2 } })));
    expect(await desk.decide(yes(request.id))).toMatchObject({ kind: 'counted', missing: 1 });
    const again = approver('Dana', { id: ' DANA@Example.com' });
    expect(await desk.decide(yes(request.id, again))).toMatchObject({
      kind: 'refused',
      why: 'already-counted',
    });
    expect(await desk.decide(yes(request.id, approver('Erin')))).toMatchObject({ kind: 'settled' });
    expect((await ticket.settled).kind).toBe('cleared');
    desk.close();
  });

  it('of the same moment is told as lost, although the row was read before it and its decisions after it', async () => {
    const { now } = testClock();
    const desk = testDesk(store.requests, now);
    const { request } = waiting(await desk.hold(own()));
    const before = await store.requests.get(request.id);
    await desk.decide(yes(request.id));
    const after = await store.requests.get(request.id);
    if (before === null || after === null) throw new Error('no request');
    for (const loser of [dana, approver('Erin')]) {
      const torn = [{ ...before, decisions: after.decisions }];
      const late = testDesk({ ...store.requests, get: async () => torn.pop() ?? after }, now);
      expect(await late.decide(yes(request.id, loser))).toMatchObject({
        kind: 'lost',
        sentence: 'Already approved by Dana in Slack at 14:02 UTC.',
      });
      late.close();
    }
    desk.close();
  });

  it('of a quorum is exact when many approve at once', async () => {
    const desk = testDesk(store.requests, testClock().now);
    const { request } = waiting(await desk.hold(own({ terms: { quorum: 3 } })));
    const people = Array.from({ length: 12 }, (_, index) => approver(`P${index % 6}`));
    const results = await Promise.all(people.map((who) => desk.decide(yes(request.id, who))));
    expect(results.filter((result) => result.kind === 'settled')).toHaveLength(1);
    expect(results.filter((result) => result.kind === 'counted')).toHaveLength(2);
    const ids = (await desk.get(request.id))?.decisions.map((decision) => decision.approverId);
    expect(new Set(ids).size).toBe(3);
    desk.close();
  });

  it('may be changed from approve to deny while the quorum is open', async () => {
    const desk = testDesk(store.requests, testClock().now);
    const { request } = waiting(await desk.hold(own({ terms: { quorum: 2 } })));
    await desk.decide(yes(request.id));
    expect(await desk.decide(no(request.id))).toMatchObject({
      kind: 'settled',
      request: { state: 'denied' },
    });
    expect((await desk.get(request.id))?.decisions).toMatchObject([{ effect: 'deny' }]);
    desk.close();
  });

  it('of the owner or of a stranger to the groups does not count', async () => {
    const desk = testDesk(store.requests, testClock().now, { approverGroups: ['dba'] });
    const held = waiting(await desk.hold(own()));
    const { id, requester } = held.request;
    const self = approver('Alice', { id: (requester.ownerId ?? '').toUpperCase() });
    expect(await desk.decide(yes(id, self))).toMatchObject({ kind: 'refused', why: 'own-request' });
    // Listed by Slack id alone, and known to Slack under the owner's address.
    const alias = approver('UALICE', { id: 'slack:UALICE', email: (requester.ownerId ?? '').toUpperCase() });
    expect(await desk.decide(yes(id, alias))).toMatchObject({ kind: 'refused', why: 'own-request' });
    expect(await desk.decide(no(id, alias))).toMatchObject({ kind: 'refused', why: 'own-request' });
    expect(await desk.decide(yes(id, approver('Eve', { groups: ['sales'] })))).toMatchObject({
      why: 'not-approver',
    });
    expect(await desk.decide(yes('HP-NONE'))).toMatchObject({ why: 'no-such-request', request: null });
    expect(await desk.get(id)).toMatchObject({ state: 'pending', decisions: [] });
    const grouped = waiting(await desk.hold(own({ terms: { approverGroups: ['sre'] } })));
    expect(await desk.decide(yes(grouped.request.id))).toMatchObject({ why: 'not-approver' });
    desk.close();
  });

  it('of whoever minted the credential that asks approves nothing, but may deny', async () => {
    const desk = testDesk(store.requests, testClock().now);
    const { request } = waiting(await desk.hold(own({ requester: { mintedBy: dana.id.toUpperCase() } })));
    expect(await desk.decide(yes(request.id))).toMatchObject({ kind: 'refused', why: 'minted-by-you' });
    expect(await desk.decide(no(request.id))).toMatchObject({ kind: 'settled' });
    desk.close();
  });

  it('approves only where the rule says, and denies everywhere', async () => {
    const desk = testDesk(store.requests, testClock().now);
    const open = async (surfaces: readonly DecidingSurface[]) =>
      waiting(await desk.hold(own({ terms: { surfaces } }))).request.id;
    const at = (surface: Surface) => approver('Dana', { surface });
    const console = await open(['console']);
    for (const surface of ['slack', 'cli', 'api'] as const)
      expect(await desk.decide(yes(console, at(surface)))).toMatchObject({
        why: 'elsewhere',
        sentence: `${console} may only be approved in the console.`,
      });
    expect(await desk.decide(yes(console, at('console')))).toMatchObject({ kind: 'settled' });
    // A client may call itself command line or API as it likes.
    expect(await desk.decide(yes(await open(['cli']), at('api')))).toMatchObject({ kind: 'settled' });
    const nowhere = await open([]);
    expect(await desk.decide(yes(nowhere, at('console')))).toMatchObject({ why: 'elsewhere' });
    expect(await desk.decide(no(nowhere, at('slack')))).toMatchObject({ kind: 'settled' });
    desk.close();
  });

  it('on a request without a known owner needs a group that the rule names', async () => {
    const desk = testDesk(store.requests, testClock().now);
    const nobody = { requester: { ownerId: null, ownerName: null, subject: 'ci-1' } };
    const any = waiting(await desk.hold(draft('nobody-1', nobody)));
    expect(await desk.decide(yes(any.request.id))).toMatchObject({ why: 'owner-unknown' });
    expect(await desk.decide(no(any.request.id))).toMatchObject({ kind: 'settled' });
    const named = waiting(
      await desk.hold(draft('nobody-2', { ...nobody, terms: { approverGroups: ['dba'] } })),
    );
    expect(await desk.decide(yes(named.request.id))).toMatchObject({ kind: 'settled' });
    desk.close();
  });

  it('of somebody who may be the owner, the minter or an earlier approver by another key approves nothing, but may deny', async () => {
    const desk = testDesk(store.requests, testClock().now);
    const unclear = { kind: 'refused', why: 'identity-unclear' };
    const inConsole = approver('UDANA', { id: 'slack:UDANA', slackId: 'UDANA' });
    const inSlack = { ...dana, slackId: 'UDANA' };
    const open = async (terms: Parameters<typeof own>[0]) => waiting(await desk.hold(own(terms))).request.id;

    const plain = await open({});
    expect(await desk.decide(yes(plain, inConsole))).toMatchObject(unclear);
    expect(await desk.decide(no(plain, inConsole))).toMatchObject({ kind: 'settled' });

    const minted = await open({ requester: { mintedBy: 'slack:UDANA' } });
    expect(await desk.decide(yes(minted))).toMatchObject(unclear);
    expect(await desk.decide(yes(minted, inSlack))).toMatchObject({ why: 'minted-by-you' });
    const erin = approver('Erin', { slackId: 'UERIN' });
    expect(await desk.decide(yes(minted, erin))).toMatchObject({ kind: 'settled' });

    const slackOwner = await open({ requester: { ownerId: 'slack:UDANA', ownerEmail: null } });
    expect(await desk.decide(yes(slackOwner))).toMatchObject(unclear);
    expect(await desk.decide(yes(slackOwner, inSlack))).toMatchObject({ why: 'own-request' });

    const two = await open({ terms: { quorum: 2 } });
    expect(await desk.decide(yes(two, inSlack))).toMatchObject({ kind: 'counted' });
    expect(await desk.decide(yes(two))).toMatchObject({ why: 'already-counted' });
    expect(await desk.decide(yes(two, inConsole))).toMatchObject(unclear);

    const subject = await open({ requester: { ownerId: 'https://login.example|7', ownerEmail: null } });
    expect(await desk.decide(yes(subject))).toMatchObject({ why: 'owner-unknown' });
    desk.close();
  });

  it('made by another process wakes the one who waits here', async () => {
    const { now } = testClock();
    const [here, there] = [testDesk(store.requests, now), testDesk(store.requests, now)];
    const approved = waiting(await here.hold(own()));
    const denied = waiting(await here.hold(own()));
    expect(await there.decide(yes(approved.request.id))).toMatchObject({ request: { waiterLive: true } });
    await there.decide(no(denied.request.id, dana, 'too broad'));
    expect((await approved.ticket.settled).kind).toBe('cleared');
    expect(await denied.ticket.settled).toMatchObject({
      kind: 'denied',
      request: { decisions: [{ reason: 'too broad' }] },
    });
    here.close();
    there.close();
  });
});

/** Leaving is told to the store in the background. */
async function leave(
  desk: ReturnType<typeof testDesk>,
  held: Extract<HoldResult, { readonly kind: 'waiting' }>,
): Promise<void> {
  const told = new Promise<void>((resolve) => {
    desk.onChange((request) => {
      if (request.id === held.request.id && !request.waiterLive) resolve();
    });
  });
  held.ticket.leave();
  await told;
}

describe('a grant', () => {
  /** Approved while nobody waits. */
  async function granted(
    desk: ReturnType<typeof testDesk>,
    asked: ReturnType<typeof own>,
  ): Promise<ApprovalRequest> {
    const held = waiting(await desk.hold(asked));
    await leave(desk, held);
    const result = await desk.decide(yes(held.request.id));
    if (result.kind !== 'settled') throw new Error(result.kind);
    return result.request;
  }

  it('is used by the next attempt, and the one after asks anew', async () => {
    const desk = testDesk(store.requests, testClock().now);
    const asked = own();
    const request = await granted(desk, asked);
    expect(request).toMatchObject({ state: 'granted', waiterLive: false });
    const retry = { ...asked, sessionId: 'session-2' };
    const results = await Promise.all([desk.hold(retry), desk.hold(retry), desk.hold(retry)]);
    expect(results.map((result) => result.kind).sort()).toEqual(['cleared', 'waiting', 'waiting']);
    const ids = new Set(results.flatMap((result) => (result.kind === 'waiting' ? [result.request.id] : [])));
    expect(ids.size).toBe(1);
    expect(ids.has(request.id)).toBe(false);
    desk.close();
  });

  it('is restored by a rollback, but not to an earlier clearance nor past its end', async () => {
    const clock = testClock();
    const desk = testDesk(store.requests, clock.now);
    const asked = own();
    const { id } = await granted(desk, asked);
    const first = cleared(await desk.hold(asked));
    await first.clearance.finish({ kind: 'rolled-back', outcome: null });
    expect(await desk.get(id)).toMatchObject({ state: 'granted', waiterLive: false });
    const second = cleared(await desk.hold(asked));
    expect(second.request.id).toBe(id);
    await second.clearance.finish({ kind: 'unused', outcome: null });
    const third = cleared(await desk.hold(asked));
    clock.pass(16 * 60_000);
    await third.clearance.finish({ kind: 'rolled-back', outcome: null });
    expect(await desk.get(id)).toMatchObject({ state: 'lapsed' });
    desk.close();
  });

  it('lets two equal statements of one rolled-back transaction converge', async () => {
    const desk = testDesk(store.requests, testClock().now);
    const asked = own();
    await granted(desk, asked);
    const first = cleared(await desk.hold(asked));
    const again = waiting(await desk.hold(asked));
    await leave(desk, again);
    await first.clearance.finish({ kind: 'rolled-back', outcome: null });
    await desk.decide(yes(again.request.id));
    const both = [cleared(await desk.hold(asked)), cleared(await desk.hold(asked))];
    expect(new Set(both.map((one) => one.request.id))).toEqual(new Set([first.request.id, again.request.id]));
    desk.close();
  });

  it('ends after fifteen minutes and never later than the request', async () => {
    const clock = testClock();
    const desk = testDesk(store.requests, clock.now);
    const asked = own({ terms: { expiresMs: 60_000 } });
    const request = await granted(desk, asked);
    expect(request.grantExpiresAt).toBe(request.expiresAt);
    clock.pass(60_000);
    const late = waiting(await desk.hold(asked));
    expect(late.request.id).not.toBe(request.id);
    await desk.sweep();
    expect(await desk.get(request.id)).toMatchObject({ state: 'lapsed' });
    desk.close();
  });

  it('of another owner or of an ended identity is none', async () => {
    const desk = testDesk(store.requests, testClock().now);
    const asked = own();
    const { id } = await granted(desk, asked);
    const bob = { ...asked, requester: { ...asked.requester, ownerId: 'bob@example.com' } };
    expect((await desk.hold(bob)).kind).toBe('waiting');
    const running = cleared(await desk.hold(asked));
    await desk.endIdentity(asked.requester.credentialId, 'identity suspended');
    await running.clearance.finish({ kind: 'rolled-back', outcome: null });
    expect(await desk.get(id)).toMatchObject({ state: 'lapsed' });
    desk.close();
  });
});

describe('a wait', () => {
  it('is joined by a retry, never a second card; the newest runs and the earlier is told', async () => {
    const { now } = testClock();
    const [here, there] = [testDesk(store.requests, now), testDesk(store.requests, now)];
    const asked = own();
    const first = waiting(await here.hold(asked));
    const second = waiting(await here.hold({ ...asked, sessionId: 'session-2' }));
    expect(await first.ticket.settled).toMatchObject({ kind: 'superseded' });
    const third = waiting(await there.hold({ ...asked, sessionId: 'session-3' }));
    expect([second.request.id, third.request.id]).toEqual([first.request.id, first.request.id]);
    expect(third).toMatchObject({ joined: true, request: { sessionId: 'session-3' } });
    expect((await second.ticket.settled).kind).toBe('superseded');
    await here.decide(yes(first.request.id));
    expect((await third.ticket.settled).kind).toBe('cleared');
    here.close();
    there.close();
  });

  it('that is left leaves a grant on approval; one that is cancelled ends the request', async () => {
    const desk = testDesk(store.requests, testClock().now);
    const cancelled = waiting(await desk.hold(own()));
    await cancelled.ticket.withdraw('cancelled by the client');
    expect((await cancelled.ticket.settled).kind).toBe('withdrawn');
    expect(await desk.decide(yes(cancelled.request.id))).toMatchObject({
      kind: 'lost',
      sentence: expect.stringContaining('withdrawn at 14:02 UTC: cancelled by the client'),
    });
    const settled = waiting(await desk.hold(own()));
    await desk.decide(no(settled.request.id));
    await settled.ticket.withdraw('too late');
    expect(await desk.get(settled.request.id)).toMatchObject({ state: 'denied', note: null });
    desk.close();
  });

  it('left while its claim is under way gives the grant back', async () => {
    let held: { ticket: { leave(): void } } | null = null;
    const leaving: DeskStore = {
      ...store.requests,
      transition: async (id, from, patch, guard) => {
        const request = await store.requests.transition(id, from, patch, guard);
        if (patch.state === 'executing') held?.ticket.leave();
        return request;
      },
    };
    const desk = testDesk(leaving, testClock().now);
    const restored = new Promise<ApprovalRequest>((resolve) => {
      desk.onChange((request) => {
        if (request.state === 'granted' && !request.waiterLive) resolve(request);
      });
    });
    const { request, ticket } = waiting(await desk.hold(own()));
    held = { ticket };
    await desk.decide(yes(request.id));
    expect(await restored).toMatchObject({ id: request.id, holder: null });
    desk.close();
  });

  it('ends with the request’s time', async () => {
    const clock = testClock();
    const desk = testDesk(store.requests, clock.now);
    const swept = waiting(await desk.hold(own({ terms: { expiresMs: 1_000 } })));
    const decided = waiting(await desk.hold(own({ terms: { expiresMs: 2_000 } })));
    clock.pass(1_000);
    await desk.sweep();
    expect(await swept.ticket.settled).toMatchObject({ kind: 'expired', request: { state: 'expired' } });
    clock.pass(1_000);
    expect(await desk.decide(yes(decided.request.id))).toMatchObject({
      kind: 'lost',
      sentence: `${decided.request.id} expired at 14:02 UTC. Nothing was run.`,
    });
    expect((await decided.ticket.settled).kind).toBe('expired');
    desk.close();
  });

  it('ends with the identity', async () => {
    const desk = testDesk(store.requests, testClock().now);
    const asked = own();
    const held = waiting(await desk.hold(asked));
    await desk.endIdentity(asked.requester.credentialId, 'identity suspended');
    expect(await held.ticket.settled).toMatchObject({
      kind: 'withdrawn',
      request: { note: 'identity suspended', endedAt: expect.any(Number) },
    });
    desk.close();
  });

  it('is not offered beyond three open requests a session and ten an owner, whoever is first', async () => {
    const desk = testDesk(store.requests, testClock().now);
    const base = own();
    const of = (index: number, sessionId: string) => ({
      ...base,
      fingerprint: `many-${count}-${index}`,
      sessionId,
    });
    const session = await Promise.all(Array.from({ length: 8 }, (_, index) => desk.hold(of(index, 's-1'))));
    expect(session.filter((result) => result.kind === 'waiting')).toHaveLength(3);
    const open = session.flatMap((result) => (result.kind === 'waiting' ? [result.request.id] : []));
    const full = await desk.hold(of(99, 's-1'));
    expect(full.kind === 'too-many' && [...full.open].sort()).toEqual(open.sort());
    const owner = await Promise.all(
      Array.from({ length: 12 }, (_, index) => desk.hold(of(20 + index, `s-${index + 2}`))),
    );
    expect(owner.filter((result) => result.kind === 'waiting')).toHaveLength(7);
    const last = owner.find((result) => result.kind === 'too-many');
    expect(last?.kind === 'too-many' && last.open).toHaveLength(10);
    desk.close();
  });

  it('is not offered to who asks and takes back over and over, for ten minutes', async () => {
    const clock = testClock();
    const desk = testDesk(store.requests, clock.now);
    const base = own();
    const ask = (index: number) => desk.hold({ ...base, fingerprint: `churn-${count}-${index}` });
    for (let index = 0; index < 20; index += 1) {
      const asked = await ask(index);
      if (asked.kind !== 'waiting') throw new Error(asked.kind);
      await asked.ticket.withdraw('cancelled by the client');
    }
    expect(await ask(99)).toEqual({ kind: 'too-many', open: [] });
    clock.pass(10 * 60_000 + 1);
    expect(await ask(99)).toMatchObject({ kind: 'waiting' });
    desk.close();
  });
});

describe('a restart', () => {
  it('loses no request and no grant', async () => {
    const { now } = testClock();
    const before = testDesk(store.requests, now);
    const [pending, asked] = [own(), own()];
    const first = waiting(await before.hold(pending));
    const second = waiting(await before.hold(asked));
    await leave(before, second);
    await before.decide(yes(second.request.id));
    before.close();
    const after = testDesk(store.requests, now);
    expect(waiting(await after.hold(pending)).request.id).toBe(first.request.id);
    expect(cleared(await after.hold(asked)).request.id).toBe(second.request.id);
    after.close();
  });

  it('makes of what was running an unknown outcome, after the silence or at once', async () => {
    const clock = testClock();
    // A clock of its own: no beat of a desk that is silent falls between the others' steps.
    const frozen = testClock();
    const before = testDesk(store.requests, frozen.now);
    const [asked, other] = [own(), own()];
    const clearances = [];
    for (const one of [asked, other]) {
      const held = waiting(await before.hold(one));
      await before.decide(yes(held.request.id));
      clearances.push(cleared(await held.ticket.settled));
    }
    const left = waiting(await before.hold(own()));
    const [running, later] = clearances;
    const alive = testDesk(store.requests, clock.now);
    await alive.sweep();
    expect(await alive.get(running?.request.id ?? '')).toMatchObject({ state: 'executing' });
    clock.pass(31_000);
    await alive.sweep();
    expect(await alive.get(running?.request.id ?? '')).toMatchObject({
      state: 'unknown',
      endedAt: clock.now(),
    });
    // It was alive after all: its word comes too late, and changes nothing.
    await later?.clearance.finish({ kind: 'executed', outcome: ok });
    expect(await alive.get(later?.request.id ?? '')).toMatchObject({ state: 'unknown' });
    // Still waiting in truth: it takes its place again and runs.
    frozen.pass(31_000);
    await alive.decide(yes(left.request.id));
    expect((await left.ticket.settled).kind).toBe('cleared');
    before.close();
    const after = testDesk(store.requests, clock.now);
    await after.recover();
    expect(await after.get(left.request.id)).toMatchObject({ state: 'unknown' });
    after.close();
    alive.close();
  });
});

describe('a store that fails', () => {
  /** Fails before or after the work while `down`. */
  function flaky(inner: DeskStore, fault: { down: 'no' | 'before' | 'after' }): DeskStore {
    const wrap =
      <A extends readonly unknown[], R>(work: (...args: A) => Promise<R>) =>
      async (...args: A): Promise<R> => {
        if (fault.down === 'before') throw new Error('down');
        const result = await work(...args);
        if (fault.down === 'after') throw new Error('answer lost');
        return result;
      };
    return {
      openOrJoin: wrap(inner.openOrJoin),
      transition: wrap(inner.transition),
      get: wrap(inner.get),
      list: wrap(inner.list),
      due: wrap(inner.due),
      slow: wrap(inner.slow),
      beat: wrap(inner.beat),
      bury: wrap(inner.bury),
      orphans: wrap(inner.orphans),
    };
  }

  it('clears nobody, and what could not be said is said when it is back', async () => {
    const clock = testClock();
    const fault: { down: 'no' | 'before' | 'after' } = { down: 'no' };
    const desk = testDesk(flaky(store.requests, fault), clock.now);
    const held = waiting(await desk.hold(own()));
    await desk.decide(yes(held.request.id));
    const { clearance } = cleared(await held.ticket.settled);
    fault.down = 'before';
    expect((await desk.hold(own())).kind).toBe('unavailable');
    expect((await desk.decide(yes(held.request.id))).kind).toBe('unavailable');
    await clearance.finish({ kind: 'executed', outcome: ok });
    await desk.sweep();
    fault.down = 'no';
    expect(await desk.get(held.request.id)).toMatchObject({ state: 'executing' });
    await desk.sweep();
    expect(await desk.get(held.request.id)).toMatchObject({ state: 'executed', outcome: ok });
    desk.close();
  });

  it('whose answer to a claim was lost gets its grant put back', async () => {
    const clock = testClock();
    const fault: { down: 'no' | 'before' | 'after' } = { down: 'no' };
    const desk = testDesk(flaky(store.requests, fault), clock.now, { pollMs: 60_000 });
    const asked = own();
    const held = waiting(await desk.hold(asked));
    await leave(desk, held);
    await desk.decide(yes(held.request.id));
    const claimOnly: DeskStore = {
      ...store.requests,
      transition: async (...args) => {
        const result = await store.requests.transition(...args);
        if (args[2].state === 'executing' && fault.down === 'after') throw new Error('answer lost');
        return result;
      },
    };
    const other = testDesk(claimOnly, clock.now);
    fault.down = 'after';
    expect((await other.hold(asked)).kind).toBe('unavailable');
    fault.down = 'no';
    expect(await other.get(held.request.id)).toMatchObject({ state: 'executing', holder: other.name });
    clock.pass(6_000);
    await other.sweep();
    expect(await other.get(held.request.id)).toMatchObject({ state: 'granted' });
    expect(cleared(await other.hold(asked)).request.id).toBe(held.request.id);
    desk.close();
    other.close();
  });
});

it('an id that is taken is replaced by another', async () => {
  const { now } = testClock();
  const ids = (attempt: number) => `HP-TAKEN${attempt}`;
  const desk = testDesk(store.requests, now, { ids });
  const held = [
    waiting(await desk.hold(own())),
    waiting(await desk.hold(own())),
    waiting(await desk.hold(own())),
  ];
  expect(held.map((one) => one.request.id)).toEqual(['HP-TAKEN0', 'HP-TAKEN1', 'HP-TAKEN2']);
  desk.close();
});
