/** What could go wrong with a script's parts: twice, out of turn, after a denial, by others, after the identity ended, in two sessions at once. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { ApprovalRequest, DeskStore, HoldDraft, Outcome } from '../../src/approvals/types.ts';
import { openStore, type Store } from '../../src/store/store.ts';
import { type TestPostgres, testPostgres } from '../support/postgres.ts';
import { approver, cleared, draft, quiet, testClock, testDesk, waiting } from './support.ts';

let postgres: TestPostgres;
let store: Store;
let count = 0;
beforeAll(async () => {
  postgres = await testPostgres();
  await postgres.createDatabase('bundle');
  store = await openStore({ url: postgres.url('bundle'), log: quiet });
});
afterAll(async () => {
  await store?.close();
  await postgres?.stop();
});

const dana = approver('Dana');
const ok: Outcome = { code: null, rows: 1, tag: 'DELETE 1', ms: 3, transactionOpen: false };
type Desk = ReturnType<typeof testDesk>;

interface Script {
  readonly lead: ApprovalRequest;
  readonly approve: () => Promise<void>;
  /** As the session that runs the script asks for its statement. */
  readonly part: (index: number, more?: Partial<HoldDraft>) => HoldDraft;
  readonly read: (index: number) => Promise<ApprovalRequest | null>;
}
/** `changes` and `loose` letters, one a part: `c` changes definitions, `l` relies on what is before it, `s` neither; `same` all are one statement. */
async function script(desk: Desk, kinds: readonly string[], same = false): Promise<Script> {
  count += 1;
  const n = count;
  const requester = { ownerId: `owner-${n}@example.com`, credentialId: `cred_${n}` };
  const whole = draft(`ahead:${n}`, { requester, sessionId: `asking-${n}` });
  const nameOf = (index: number) => (same ? `${n}` : `${n}.${index}`);
  const asked = await desk.ask(
    whole,
    kinds.map((kind, at) => ({
      fingerprint: `${kind.includes('l') ? 'loose' : 'strict'}-${nameOf(at + 1)}`,
      statement: whole.statement,
      index: at + 1,
      loose: kind.includes('l'),
      changes: kind.includes('c'),
    })),
  );
  if (asked.kind !== 'asked') throw new Error(asked.kind);
  const { id } = asked.request;
  return {
    lead: asked.request,
    approve: async () => {
      const result = await desk.decide({ id, approver: dana, effect: 'approve', reason: null });
      expect(result).toMatchObject({ kind: 'settled' });
    },
    part: (index, more = {}) => ({
      ...draft(`strict-${nameOf(index)}`, { requester, sessionId: `running-${n}` }),
      loose: `loose-${nameOf(index)}`,
      ...more,
    }),
    read: (index) => store.requests.get(`${id}-${index}`),
  };
}

it('a part that relies on an earlier one runs where that one runs, not beside it', async () => {
  const desk = testDesk(store.requests, testClock().now);
  const { approve, part, read } = await script(desk, ['c', 'l']);
  await approve();
  const first = cleared(await desk.hold(part(1)));
  // Another session does not see what the first has not committed.
  const beside = waiting(await desk.hold(part(2, { sessionId: 'beside' })));
  expect(beside.request.bundle).toBeNull();
  await beside.ticket.withdraw('enough');
  const second = cleared(await desk.hold(part(2)));
  await second.clearance.finish({ kind: 'rolled-back', outcome: null });
  await first.clearance.finish({ kind: 'executed', outcome: ok });
  expect(cleared(await desk.hold(part(2, { sessionId: 'beside' }))).request.id).toBe((await read(2))?.id);
  desk.close();
});

it('one statement that is there twice runs twice, in as many sessions as ask at once', async () => {
  const { now } = testClock();
  const desks = [testDesk(store.requests, now), testDesk(store.requests, now)] as const;
  const { approve, part } = await script(desks[0], ['s', 's'], true);
  await approve();
  const results = await Promise.all(
    Array.from({ length: 8 }, (_, index) =>
      desks[index % 2 === 0 ? 0 : 1].hold(part(1, { sessionId: `at-once-${index}` })),
    ),
  );
  expect(results.filter((result) => result.kind === 'cleared')).toHaveLength(2);
  for (const desk of desks) desk.close();
});

it('withdrawn while a part runs, nothing of it comes back by a rollback', async () => {
  const desk = testDesk(store.requests, testClock().now);
  for (const end of ['owner', 'identity'] as const) {
    const { lead, approve, part, read } = await script(desk, ['s', 's']);
    await approve();
    const running = cleared(
      await desk.hold(part(1, { requester: { ...part(1).requester, credentialId: `other-${count}` } })),
    );
    const { ownerId, credentialId } = lead.requester;
    if (end === 'owner') {
      const by = { id: ownerId ?? '', name: 'Owner', surface: 'cli' } as const;
      expect(await desk.withdraw({ id: lead.id, by, note: null })).toMatchObject({ kind: 'settled' });
    } else await desk.endIdentity(credentialId, 'identity suspended');
    expect(await read(2)).toMatchObject({ state: 'withdrawn' });
    await running.clearance.finish({ kind: 'rolled-back', outcome: null });
    expect(await read(1)).toMatchObject({ state: 'lapsed' });
    expect((await desk.hold(part(1))).kind).toBe('waiting');
  }
  desk.close();
});

it('a part is not decided by itself, and a denial reaches all of them', async () => {
  const desk = testDesk(store.requests, testClock().now);
  const { lead, part, read } = await script(desk, ['s', 'c', 'l']);
  for (const effect of ['approve', 'deny'] as const)
    expect(await desk.decide({ id: `${lead.id}-1`, approver: dana, effect, reason: null })).toMatchObject({
      kind: 'refused',
      why: 'part',
      sentence: `${lead.id}-1 is one statement of a script. Decide ${lead.id}, which shows all of it.`,
    });
  const held = waiting(await desk.hold(part(1)));
  expect(held.request.id).toBe(`${lead.id}-1`);
  await desk.decide({ id: lead.id, approver: dana, effect: 'deny', reason: 'no' });
  expect((await held.ticket.settled).kind).toBe('denied');
  for (const index of [1, 2, 3]) {
    expect(await read(index)).toMatchObject({ state: 'denied', decisions: [{ effect: 'deny' }] });
    expect((await desk.hold(part(index))).kind).toBe('waiting');
  }
  desk.close();
});

it('a client that cancels its wait for a part takes nothing out of the script', async () => {
  const desk = testDesk(store.requests, testClock().now);
  const { lead, approve, part, read } = await script(desk, ['s']);
  const { request, ticket } = waiting(await desk.hold(part(1)));
  expect(request.id).toBe(`${lead.id}-1`);
  await ticket.withdraw('cancelled by the client');
  expect(await ticket.settled).toMatchObject({ kind: 'withdrawn' });
  expect(await read(1)).toMatchObject({ state: 'pending', waiterLive: false, holder: null });
  await approve();
  cleared(await desk.hold(part(1)));
  desk.close();
});

it('is nobody else’s: not of another owner, not after the identity ended', async () => {
  const desk = testDesk(store.requests, testClock().now);
  const { approve, part, read, lead } = await script(desk, ['s', 'c', 'l']);
  await approve();
  const others = { requester: { ...part(1).requester, ownerId: 'bob@example.com' } };
  for (const index of [1, 2, 3]) {
    const asked = await desk.hold(part(index, others));
    expect(waiting(asked).request.bundle).toBeNull();
    await waiting(asked).ticket.withdraw('enough');
  }
  await desk.endIdentity(lead.requester.credentialId, 'identity revoked');
  for (const index of [1, 2, 3]) expect(await read(index)).toMatchObject({ state: 'withdrawn' });
  expect((await desk.hold(part(1))).kind).toBe('waiting');
  desk.close();
});

it('tells at the end what ran, though two parts end at once on two desks, or their desk dies in between', async () => {
  const clock = testClock();
  let meanwhile: (() => Promise<unknown>) | null = null;
  const overtaken: DeskStore = {
    ...store.requests,
    list: async (filter) => {
      const rows = await store.requests.list(filter);
      const work = filter.lead === undefined ? null : meanwhile;
      if (work !== null) meanwhile = null;
      await work?.();
      return rows;
    },
  };
  const [here, there] = [testDesk(overtaken, clock.now), testDesk(store.requests, clock.now)];
  const { lead, approve, part } = await script(here, ['s', 's']);
  await approve();
  const [first, second] = [cleared(await here.hold(part(1))), cleared(await there.hold(part(2)))];
  const told = new Promise<void>((resolve) => {
    here.onChange((request) => {
      if (request.id === lead.id && request.state === 'executed') resolve();
    });
  });
  // Between the look at the parts and the word to the lead the other desk ends its part and says something of the lead too.
  meanwhile = async () => {
    await store.requests.transition(second.request.id, ['executing'], {
      state: 'executed',
      outcome: ok,
      holder: null,
    });
    await store.requests.transition(lead.id, ['granted'], { state: 'granted', note: 'looked too early' });
  };
  await first.clearance.finish({ kind: 'executed', outcome: ok });
  await told;
  expect(await here.get(lead.id)).toMatchObject({ state: 'executed', note: '2 of 2 run' });

  const dying = await script(here, ['s']);
  await dying.approve();
  const only = cleared(await here.hold(dying.part(1)));
  await store.requests.transition(only.request.id, ['executing'], { state: 'executed', outcome: ok });
  clock.pass(6_000);
  await there.sweep();
  expect(await there.get(dying.lead.id)).toMatchObject({ state: 'executed', note: '1 of 1 run' });
  for (const desk of [here, there]) desk.close();
});
