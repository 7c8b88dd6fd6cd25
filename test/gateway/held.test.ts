/**
 * The bypass corpus with somebody who approves: an approval runs the statement that was shown, for the one who asked, once, while it lasts,
 * and nothing else (I1, DESIGN.md 8, 9). Asked of the database: each statement puts a number of its own into the ledger.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { approver } from '../approvals/support.ts';
import { serialize, WireClient } from '../support/wire-client.ts';
import { type Caller, type Ground, ground, POLICY, say } from './held-ground.ts';
import { bytesOf } from './model-steps.ts';
import type { Bench } from './support.ts';

let g: Ground;
let shop: Bench;
let elsewhere: Bench;
let asRole: Bench;
let asAdmin: Bench;
const open: WireClient[] = [];
beforeAll(async () => {
  g = await ground('', { max_prepared_transactions: '5' });
  shop = await g.gateway();
  elsewhere = await g.gateway({ target: { name: 'elsewhere' } });
  asRole = await g.gateway({
    target: { logins: { 'read-write': { user: 'app2', password: 'app-secret' } } },
  });
  asAdmin = await g.gateway({
    levelFor: () => 'admin',
    target: { logins: { admin: { user: 'app', password: 'app-secret' } } },
  });
});
afterEach(() => {
  for (const client of open.splice(0)) client.close();
});
afterAll(() => g?.stop());

let last = 0;
const fresh = (): number => ++last;
const into = (id: number): string => `Q insert into ledger values (${id})`;
async function connect(
  parameters: Record<string, string> = {},
  as: Caller = 'cred_cursor',
  to = shop,
): Promise<WireClient> {
  const client = await g.connect(to, as, { database: to.target.name, ...parameters });
  open.push(client);
  return client;
}
/** Asks without waiting. */
const asking = (as?: Caller, to?: Bench): Promise<WireClient> => connect({ 'holdpoint.wait': '0' }, as, to);

async function answer(client: WireClient, ...steps: readonly string[]): Promise<string[]> {
  say(client, ...steps);
  return client.ready();
}
const PENDING = ['E:HP001', 'Z:I'];

/** An approval that nobody waited for. */
async function granted(...steps: readonly string[]): Promise<string> {
  const client = await asking();
  const told = await answer(client, ...steps);
  expect(told).toContain('E:HP001');
  const text = client.messages.map(({ bytes }) => bytes.toString()).join(' ');
  const id = /HP-\w+/.exec(text)?.[0] ?? '';
  expect(await g.approve(id)).toMatchObject({ kind: 'settled', request: { state: 'granted' } });
  client.close();
  return id;
}

describe('an approval', () => {
  it('runs that one of two which wait', async () => {
    const [mine, other] = [fresh(), fresh()];
    const one = await connect();
    const two = await connect({}, 'cred_cursor2');
    say(one, into(mine));
    say(two, into(other));
    await g.card(`(${mine})`);
    const { id } = await g.card(`(${other})`);
    await g.approve(id);
    expect(await two.ready()).toEqual(['C:INSERT 0 1', 'Z:I']);
    expect([await g.entries(mine), await g.entries(other)]).toEqual([0, 1]);
    for (const client of [one, two]) client.close();
    await g.idle();
    expect(await g.entries(mine)).toBe(0);
  });

  it('said again, or by a second one, runs nothing more', async () => {
    const n = fresh();
    const client = await connect();
    say(client, into(n));
    const { id } = await g.card(`(${n})`);
    const told = await Promise.all([g.approve(id), g.approve(id), g.approve(id)]);
    expect(told.filter(({ kind }) => kind === 'settled')).toHaveLength(1);
    expect(await client.ready()).toEqual(['C:INSERT 0 1', 'Z:I']);
    await g.state(id, 'executed');
    expect((await g.approve(id)).kind).not.toBe('settled');
    expect(await g.entries(n)).toBe(1);
  });

  it('runs the newest of those who wait for it, once', async () => {
    const n = fresh();
    const clients = [await connect(), await connect({}, 'cred_cursor2'), await connect()];
    for (const [i, client] of clients.entries()) {
      say(client, into(n));
      const { id } = await g.card(`(${n})`);
      const { sessionId } = await g.state(id, 'pending');
      await expect.poll(async () => (await g.desk.get(id))?.version).toBe(i + 1);
      expect(sessionId).toBeTypeOf('string');
    }
    await g.approve((await g.card(`(${n})`)).id);
    const told = await Promise.all(clients.map((client) => client.ready()));
    expect(told.filter((one) => one.includes('C:INSERT 0 1'))).toHaveLength(1);
    expect(await g.entries(n)).toBe(1);
  });

  it('of what nobody waits for any more leaves a grant, for one run', async () => {
    const n = fresh();
    const gone = await connect();
    say(gone, into(n));
    const { id } = await g.card(`(${n})`);
    gone.close();
    await expect.poll(async () => (await g.desk.get(id))?.waiterLive).toBe(false);
    await g.approve(id);
    await g.idle();
    expect([await g.entries(n), (await g.desk.get(id))?.state]).toEqual([0, 'granted']);
    const again = await asking();
    expect(await answer(again, into(n))).toEqual(['C:INSERT 0 1', 'Z:I']);
    expect(await answer(again, into(n))).toEqual(PENDING);
    expect(await g.entries(n)).toBe(1);
  });

  it('in the moment in which the client leaves runs it once or not at all, and says which', async () => {
    for (let i = 0; i < 12; i++) {
      const n = fresh();
      const client = await connect();
      say(client, into(n));
      const { id } = await g.card(`(${n})`);
      if (i % 2 === 0) client.close();
      const approved = g.approve(id);
      if (i % 4 === 1) await new Promise((resolve) => setImmediate(resolve));
      client.close();
      await approved;
      const { state } = await g.state(id, 'granted', 'executed');
      await g.idle();
      const settled = (await g.desk.get(id))?.state ?? state;
      expect(await g.entries(n), settled).toBe(settled === 'executed' ? 1 : 0);
    }
  });

  it.each([
    ['one connection', 1],
    ['five at once', 5],
  ])('that waits is used once by %s of the same owner and agent', async (_who, many) => {
    const n = fresh();
    await granted(into(n));
    const clients = await Promise.all(
      Array.from({ length: many }, (_, i) => asking(i % 2 === 0 ? 'cred_cursor' : 'cred_cursor2')),
    );
    for (const client of clients) say(client, into(n), into(n), into(n));
    await Promise.all(clients.map((client) => client.ready(3)));
    expect(await g.entries(n)).toBe(1);
  });

  it('after the request has expired, or its grant, runs nothing', async () => {
    const [late, kept] = [fresh(), fresh()];
    const client = await connect();
    say(client, into(late));
    const { id } = await g.card(`(${late})`);
    const grant = await granted(into(kept));
    g.pass(9 * 60 * 60_000);
    expect((await g.approve(id)).kind).not.toBe('settled');
    expect((await client.ready())[0]).toBe('E:42501');
    const again = await asking();
    expect(await answer(again, into(late), into(kept))).toEqual(PENDING);
    expect(await again.ready()).toEqual(PENDING);
    await g.desk.sweep();
    expect((await g.desk.get(grant))?.state).toBe('lapsed');
    expect([await g.entries(late), await g.entries(kept)]).toEqual([0, 0]);
  });

  it('behind a cancel runs nothing, and the client was told', async () => {
    const n = fresh();
    const client = await connect();
    say(client, into(n));
    const { id } = await g.card(`(${n})`);
    await cancel(client.key);
    expect(await client.ready()).toEqual(['E:57014', 'Z:I']);
    expect((await g.approve(id)).kind).not.toBe('settled');
    expect(await answer(client, 'Q select 1')).toContain('Z:I');
    expect([await g.entries(n), (await g.desk.get(id))?.state]).toEqual([0, 'withdrawn']);
  });

  it('in the moment of a cancel runs it as the client is told', async () => {
    for (let i = 0; i < 12; i++) {
      const n = fresh();
      const client = await connect();
      say(client, into(n));
      const { id } = await g.card(`(${n})`);
      const canceller = await WireClient.open(shop.port);
      canceller.send(serialize.cancel(client.key.pid, client.key.secret));
      if (i % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
      await Promise.all([g.approve(id), canceller.end()]);
      const told = await client.ready();
      expect(await g.entries(n), told.join(' ')).toBe(told.includes('C:INSERT 0 1') ? 1 : 0);
      const { state } = await g.state(id, 'withdrawn', 'executed', 'failed', 'granted');
      expect(state === 'executed').toBe(told.includes('C:INSERT 0 1'));
      client.close();
    }
  });

  it('does not outlive the access of the one who waits', async () => {
    const n = fresh();
    const client = await connect({}, 'cred_no_agent');
    say(client, into(n));
    const { id } = await g.card(`(${n})`);
    g.revoked.add('cred_no_agent');
    await g.approve(id);
    await client.end();
    g.revoked.delete('cred_no_agent');
    await g.idle();
    expect(await g.entries(n)).toBe(0);
  });

  it('is given back by a rollback, and spent by the commit', async () => {
    const n = fresh();
    const id = await granted(into(n));
    const client = await asking();
    say(client, 'Q begin', into(n), 'Q rollback');
    await client.ready(3);
    expect([await g.entries(n), (await g.state(id, 'granted')).state]).toEqual([0, 'granted']);
    say(client, 'Q begin', 'Q savepoint s', into(n), 'Q rollback to s', into(n), 'Q commit');
    await client.ready(6);
    await g.state(id, 'executed');
    expect(await answer(client, into(n))).toEqual(PENDING);
    expect(await g.entries(n)).toBe(1);
  });

  it('is spent, its outcome unknown, when its transaction is prepared', async () => {
    const n = fresh();
    const id = await granted(into(n));
    const client = await asking('cred_cursor', asAdmin);
    say(client, 'Q begin', into(n), `Q prepare transaction 'g${n}'`);
    await client.ready(3);
    expect(await g.state(id, 'unknown')).toMatchObject({ note: expect.stringContaining('prepared') });
    expect(await answer(client, into(n))).toEqual(PENDING);
    say(client, `Q rollback prepared 'g${n}'`);
    await client.ready();
    expect(await answer(client, into(n))).toEqual(PENDING);
    expect(await g.entries(n)).toBe(0);
  });

  it('is not given back while its work may be saved after all', async () => {
    const n = fresh();
    await granted(into(n));
    const client = await asking();
    say(client, 'Q begin', into(n), 'Q savepoint s', into(n), 'Q rollback to s', 'Q commit');
    await client.ready(6);
    expect(await answer(client, into(n))).toEqual(PENDING);
    expect(await g.entries(n)).toBe(1);
  });

  it.each([
    [
      'a prepared transaction',
      (n: number) => [
        'Q begin',
        into(n),
        `Q prepare transaction 'p${n}'`,
        into(n),
        `Q rollback prepared 'p${n}'`,
      ],
    ],
    ['COMMIT AND CHAIN', (n: number) => ['Q begin', into(n), 'Q commit and chain', into(n), 'Q commit']],
    [
      'a string that commits and fails',
      (n: number) => [`Q begin; insert into ledger values (${n}); commit; select 1/0`],
    ],
    [
      'a failed transaction that is "committed"',
      (n: number) => ['Q begin', into(n), 'Q select 1/0', 'Q commit'],
    ],
  ])('counts at most once by %s', async (_how, steps) => {
    const n = fresh();
    await granted(
      ...steps(n)
        .filter((step) => step.includes('ledger'))
        .slice(0, 1),
    );
    const client = await asking();
    say(client, ...steps(n));
    await client.ready(steps(n).length);
    await answer(client, 'Q rollback');
    await answer(client, into(n));
    await answer(client, into(n));
    expect(await g.entries(n)).toBeLessThanOrEqual(1);
  });
});

describe('a grant is not for', () => {
  const plain = (n: number): string[] => [into(n)];
  const bound = (n: number, type = '', value = 'x'): string[] => [
    `P:${type} insert into ledger select $1 where $2 = 'x'`,
    `B:< ["${n}","${value}"]`,
    'E: 0',
    'S',
  ];
  const dated = (n: number): string[] => [`Q insert into ledger values (${n}, '01/02/2003')`];
  interface Case {
    readonly rightful?: (n: number) => string[];
    readonly as?: Caller;
    readonly at?: () => Bench;
    readonly before?: readonly string[];
    readonly instead?: (n: number) => string[];
  }
  const cases: Record<string, Case> = {
    'another owner': { as: 'cred_other_owner' },
    'another agent': { as: 'cred_other_agent' },
    'the owner without the agent': { as: 'cred_no_agent' },
    'another target': { at: () => elsewhere },
    'another role': { at: () => asRole },
    'another search_path': { before: ['Q set search_path = other'] },
    'the same table by another search_path': { before: ['Q set search_path = public, other'] },
    'a temporary schema put before it': {
      before: ['Q create temp table aside (a int)', 'Q set search_path = pg_temp, public'],
    },
    'another bind': { rightful: bound, instead: (n) => bound(n, '', 'y') },
    'a constant in place of a bind': {
      rightful: bound,
      instead: (n) => [`Q insert into ledger select ${n} where 'x' = 'x'`],
    },
    'other parameter types': { rightful: bound, instead: (n) => bound(n, '(20,25)') },
    'another DateStyle': { rightful: dated, before: ["Q set datestyle = 'sql, dmy'"] },
    'another DateStyle by SET LOCAL': {
      rightful: dated,
      before: ['Q begin', "Q set local datestyle = 'sql, dmy'"],
    },
    'another DateStyle by set_config': {
      rightful: dated,
      before: ["Q select set_config('datestyle', 'german', false)"],
    },
    'another IntervalStyle': { before: ['Q set intervalstyle = iso_8601'] },
    'another TimeZone': { before: ['Q set timezone = "Asia/Tokyo"'] },
    'another setting that has another meaning': { before: ["Q set bytea_output = 'escape'"] },
    'another setting of the full text search': {
      before: ["Q set default_text_search_config = 'german'"],
    },
    'a setting by a value that is worked out': {
      before: ["Q select set_config('bytea_output', lower('ESCAPE'), false)"],
    },
    'a setting that a savepoint brought back': {
      before: [
        "Q set bytea_output = 'escape'",
        'Q begin',
        'Q savepoint a',
        "Q set bytea_output = 'hex'",
        'Q rollback to a',
      ],
    },
    'a setting that was saved in a string that failed': {
      before: ["Q set bytea_output = 'escape'; commit; select 1/0"],
    },
    'a setting that was saved before the rest was rolled back': {
      before: ["Q set bytea_output = 'escape'; commit; begin; set bytea_output = 'hex'; rollback"],
    },
    'who came by a credential of another minter': { as: 'cred_minted' },
    'another constant': { instead: (n) => [`Q insert into ledger values (${n}), (${n})`] },
    'the same with more behind it': { instead: (n) => [`${into(n)}; insert into ledger values (${n})`] },
    'the same by EXECUTE': {
      instead: (n) => [`Q prepare q as insert into ledger values (${n})`, 'Q execute q'],
    },
    'the same in EXPLAIN ANALYZE': { instead: (n) => [`Q explain analyze insert into ledger values (${n})`] },
    'the same with RETURNING': { instead: (n) => [`${into(n)} returning id`] },
    'a column list': { instead: (n) => [`Q insert into ledger (id) values (${n})`] },
  };
  it.each(Object.entries(cases))('%s', async (_what, one) => {
    const n = fresh();
    const rightful = one.rightful ?? plain;
    const steps = [...(one.before ?? []), ...(one.instead ?? rightful)(n)];
    await granted(...rightful(n));
    const thief = await asking(one.as, one.at?.());
    say(thief, ...steps, 'Q commit');
    await thief.ready(steps.filter((step) => /^[QS]/.test(step)).length + 1);
    thief.close();
    await g.idle();
    expect(await g.entries(n)).toBe(0);
    // The permission was there all the time.
    const owner = await asking('cred_cursor2');
    expect(await answer(owner, ...rightful(n))).toContain('C:INSERT 0 1');
    expect(await g.entries(n)).toBe(1);
  });

  it('the same by another search_path of another transaction', async () => {
    const n = fresh();
    const within = async (client: WireClient, path: string): Promise<string[]> => {
      say(client, 'Q begin', `Q set local search_path = ${path}`, into(n), 'Q commit');
      return client.ready(4);
    };
    const asker = await asking();
    expect(await within(asker, 'public')).toContain('E:HP001');
    await g.approve((await g.card(`(${n})`)).id);
    await within(await asking(), 'other');
    expect(await g.entries(n)).toBe(0);
  });

  it('what the name means by now', async () => {
    const n = fresh();
    const view = (of: string): Promise<unknown> =>
      g.side.query(
        `drop view if exists ledger_${n}; create view ledger_${n} as select id, at from ${of}; grant all on ledger_${n} to app`,
      );
    await view('ledger');
    const steps = [`Q insert into ledger_${n} values (${n})`];
    await granted(...steps);
    await view('other.ledger');
    expect(await answer(await asking(), ...steps)).toEqual(PENDING);
    expect(await g.entries(n)).toBe(0);
  });
});

const cancel = async ({ pid, secret }: WireClient['key'], to = shop): Promise<void> => {
  const other = await WireClient.open(to.port);
  other.send(serialize.cancel(pid, secret));
  await other.end();
};

describe('while one is held', () => {
  const pipeline = (name: string, id: number): string[] => [
    `P:${name} insert into ledger values (${id})`,
    `B:<${name} []`,
    'E: 0',
  ];
  const attacks: Record<string, (n: number, m: number) => string[]> = {
    'its name is parsed again': (n, m) => [...pipeline('s', n), 'S', ...pipeline('s', m), 'S'],
    'its name is closed and parsed again': (n, m) => [...pipeline('s', n), 'CS:s', ...pipeline('s', m), 'S'],
    'the unnamed statement is parsed again': (n, m) => [...pipeline('', n), ...pipeline('', m), 'S'],
    'the unnamed statement is dropped by a Query': (n, m) => [
      ...pipeline('', n),
      'S',
      into(m),
      'B:< []',
      'E: 0',
      'S',
    ],
    'its portal is bound again': (n, m) => [
      `P:a insert into ledger values (${n})`,
      'B:p<a []',
      `P:b insert into ledger values (${m})`,
      'B:p<b []',
      'E:p 0',
      'S',
    ],
    'its portal is closed and bound again': (n, m) => [
      `P:a insert into ledger values (${n})`,
      'B:p<a []',
      'E:p 0',
      'CP:p',
      `P:b insert into ledger values (${m})`,
      'B:p<b []',
      'E:p 0',
      'S',
    ],
    'its portal is executed twice': (n, m) => [
      ...pipeline('', n),
      'E: 0',
      'E: 0',
      `P: insert into ledger values (${m})`,
      'B:< []',
      'E: 0',
      'S',
    ],
    'it is bound twice': (n, m) => [...pipeline('s', n), 'B:q<s []', 'E:q 0', ...pipeline('', m), 'S'],
    'SQL deallocates it': (n, m) => [
      ...pipeline('s', n),
      'S',
      'Q deallocate s',
      `Q prepare s as insert into ledger values (${m})`,
      'B:<s []',
      'E: 0',
      'S',
    ],
    'the search_path moves': (n, m) => [
      ...pipeline('', n),
      'P: set search_path = other',
      'B:< []',
      'E: 0',
      ...pipeline('', m),
      'S',
    ],
    'the transaction commits it': (n, m) => ['Q begin', into(n), 'Q commit', into(m)],
    'Queries follow': (n, m) => [into(n), into(m), into(m), into(n)],
  };
  it.each(Object.entries(attacks))('%s: only what was shown runs, once', async (_what, steps) => {
    const [n, m] = [fresh(), fresh()];
    const client = await connect({ 'holdpoint.wait': '20s' });
    say(client, ...steps(n, m));
    const first = await g.card(`(${n})`);
    await g.approve(first.id);
    await g.state(first.id, 'executed', 'failed', 'granted', 'executing');
    // Whatever else waits then is refused, until everything is answered.
    const denied = new Set<string>();
    const answered = (async () => {
      say(client, 'S', 'Q select 77');
      for (;;) {
        const { type, bytes } = await client.next();
        if (type === 'D' && bytes.includes('77')) return client.until('Z');
      }
    })();
    let over = false;
    void answered.then(() => {
      over = true;
    });
    while (!over) {
      for (const one of await g.desk.list({ states: ['pending'] }))
        if (one.waiterLive && !denied.has(one.id)) {
          denied.add(one.id);
          await g.deny(one.id);
        }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await answered;
    client.close();
    await g.idle();
    const { state } = await g.state(first.id, 'executed', 'failed', 'granted');
    expect([await g.entries(n), await g.entries(m)]).toEqual([state === 'executed' ? 1 : 0, 0]);
  });

  it('what comes behind it is read within bounds, and none of it runs before', async () => {
    const n = fresh();
    const client = await connect();
    say(client, into(n));
    const { id } = await g.card(`(${n})`);
    const more = Buffer.concat(
      Array.from({ length: 50_000 }, () => bytesOf(`Q insert into free values (${n}) -- ${'x'.repeat(500)}`)),
    );
    for (let i = 0; i < 3; i++) client.send(more);
    const before = client.socket.bytesWritten;
    await expect
      .poll(() => {
        const left = client.socket.writableLength;
        return client.socket.bytesWritten === before && left > 20 * 1024 * 1024;
      })
      .toBe(true);
    expect((await g.side.query('select from free where id = $1', [n])).rows).toHaveLength(0);
    client.close();
    await expect.poll(async () => (await g.desk.get(id))?.waiterLive).toBe(false);
    await g.approve(id);
    await g.idle();
    expect((await g.side.query('select from free where id = $1', [n])).rows).toHaveLength(0);
    expect(await g.entries(n)).toBe(0);
  });

  it('guesses at its cancel key change nothing', async () => {
    const guessed = await g.gateway();
    const n = fresh();
    const client = await connect({}, 'cred_cursor', guessed);
    say(client, into(n));
    const { id } = await g.card(`(${n})`);
    const { pid, secret } = client.key;
    const guesses = [0, -1, secret ^ 1, secret + 1, pid, ~secret];
    for (const guess of guesses) await cancel({ pid, secret: guess | 0 }, guessed);
    await cancel({ pid: pid + 1, secret }, guessed);
    await cancel({ pid, secret }, shop);
    expect(await g.desk.get(id)).toMatchObject({ state: 'pending', waiterLive: true });
    await g.approve(id);
    expect(await client.ready()).toEqual(['C:INSERT 0 1', 'Z:I']);
    expect(await g.entries(n)).toBe(1);
  });

  it('it may have come in any two pieces', async () => {
    const shapes = [
      (n: number) => [into(n)],
      (n: number) => [`P: insert into ledger values (${n})`, 'B:< []', 'E: 0', 'S'],
    ];
    for (const shape of shapes) {
      const client = await connect();
      const size = Buffer.concat(shape(1000).map(bytesOf)).length;
      for (let at = 1; at < size; at++) {
        const n = 1000 + fresh();
        const bytes = Buffer.concat(shape(n).map(bytesOf));
        client.send(bytes.subarray(0, at));
        await new Promise((resolve) => setImmediate(resolve));
        client.send(bytes.subarray(at));
        const { id } = await g.card(`(${n})`);
        expect(await g.entries(n)).toBe(0);
        await g.approve(id);
        expect(await client.ready()).toContain('C:INSERT 0 1');
        expect(await g.entries(n)).toBe(1);
      }
      client.close();
    }
  });

  it('another policy that denies it stands above the approval', async () => {
    const n = fresh();
    const changing = await g.gateway();
    const client = await connect({}, 'cred_cursor', changing);
    say(client, into(n));
    const { id } = await g.card(`(${n})`);
    expect(
      changing.policy.replace(
        'version: 1\nrules: [{ name: no, match: { relations: ["*.ledger"] }, effect: deny }]\n',
      ),
    ).toMatchObject({ kind: 'replaced' });
    await g.approve(id);
    expect((await client.ready())[0]).toBe('E:42501');
    expect(await g.entries(n)).toBe(0);
  });

  const ASKS_MORE = `${POLICY.trimEnd().slice(0, -2)}, approvers: { quorum: 2 } }\n`;
  it('another policy that asks more people asks them anew, whoever approved under the old one', async () => {
    const n = fresh();
    const changing = await g.gateway();
    const client = await connect({}, 'cred_cursor', changing);
    say(client, into(n));
    const old = await g.card(`(${n})`);
    expect(changing.policy.replace(ASKS_MORE)).toMatchObject({ kind: 'replaced' });
    await g.approve(old.id);
    const asked = await g.seen((one) =>
      one.id !== old.id && one.statement.sql.includes(`(${n})`) ? one : null,
    );
    expect(asked.terms.quorum).toBe(2);
    expect(await g.approve(asked.id)).toMatchObject({ kind: 'counted', missing: 1 });
    expect(await g.entries(n)).toBe(0);
    await g.desk.decide({ id: asked.id, approver: approver('Erin'), effect: 'approve', reason: null });
    expect(await client.ready()).toEqual(['C:INSERT 0 1', 'Z:I']);
  });

  it('what the old policy let one person approve is not used under one that asks two', async () => {
    const n = fresh();
    const changing = await g.gateway();
    const first = await asking('cred_cursor', changing);
    await answer(first, into(n));
    const old = await g.seen((one) => (one.statement.sql.includes(`(${n})`) ? one : null));
    await g.approve(old.id);
    changing.policy.replace(ASKS_MORE);
    expect(await answer(await asking('cred_cursor', changing), into(n))).toEqual(PENDING);
    expect(await g.entries(n)).toBe(0);
  });
});

describe('an approval that is not used goes back where', () => {
  const held = (n: number): string => `P:s insert into ledger values (${n})`;
  const wrong = ["P:x set statement_timeout = 'never'", 'B:x<x []', 'S'];
  it.each([
    ['its Bind is skipped', (n: number) => [held(n), 'E:nope 0', 'B:<s []', 'E: 0', 'S']],
    [
      'its Bind is not even looked at',
      (n: number) => ['Q begin', ...wrong, held(n), 'E:x 0', 'B:<s []', 'E: 0', 'S'],
    ],
    ['its statement is closed first', (n: number) => [held(n), 'CS:s', 'H', 'B:<s []', 'E: 0', 'S']],
    ['its Bind fails', (n: number) => [held(n), 'B:<s ["1"]', 'E: 0', 'S']],
    ['its Execute is skipped', (n: number) => [held(n), 'B:<s []', 'E:nope 0', 'E: 0', 'S']],
  ])('%s', async (_how, steps) => {
    const n = fresh();
    const client = await connect();
    say(client, ...steps(n));
    const { id } = await g.card(`(${n})`);
    await g.approve(id);
    await client.ready(steps(n).filter((step) => /^[QS]/.test(step)).length);
    await expect.poll(async () => (await g.desk.get(id))?.state).toBe('granted');
    expect(await g.entries(n)).toBe(0);
  });
});

it.each(['true', 'on', '1', 'yes', 'database', 'DATABASE', 't', 'tr'])(
  'no replication link is opened by replication=%s',
  async (replication) => {
    const { rows } = await g.side.query('select count(*)::int as n from pg_stat_replication');
    await expect(connect({ replication })).rejects.toThrow();
    expect(rows[0].n).toBe(0);
  },
);

describe('a reason that the rule asks for', () => {
  const ASKS = `version: 1
rules:
  - { name: inserts, match: { classes: [insert] }, effect: hold, ticket_required: true }
`;
  const idIn = (client: WireClient): string =>
    /HP-\w+/.exec(client.messages.map(({ bytes }) => bytes.toString()).join(' '))?.[0] ?? '';

  it('is asked for at once, and nobody can approve before; the retry that brings it joins and waits', async () => {
    const asks = await g.gateway({ policyText: ASKS });
    const n = fresh();
    const client = await connect({}, 'cred_cursor', asks);
    expect(await answer(client, into(n))).toEqual(PENDING);
    expect(client.messages.map(({ bytes }) => bytes.toString()).join()).toContain(
      'needs a reason that names a ticket',
    );
    const id = idIn(client);
    expect(await g.approve(id)).toMatchObject({ kind: 'refused', why: 'reason-needed' });
    // A reason without a ticket is none.
    expect(await answer(client, `Q /* reason: because */ insert into ledger values (${n})`)).toEqual(PENDING);
    say(client, `Q /* reason: OPS-7, clean-up */ insert into ledger values (${n})`);
    await vi.waitFor(async () =>
      expect(await g.approve(id)).toMatchObject({ kind: 'settled', request: { purpose: 'OPS-7, clean-up' } }),
    );
    expect(await client.ready()).toEqual(['C:INSERT 0 1', 'Z:I']);
    expect(await g.entries(n)).toBe(1);
  });

  it('may be said for the session, in the extended protocol too', async () => {
    const asks = await g.gateway({ policyText: ASKS });
    const n = fresh();
    const client = await connect({ 'holdpoint.reason': 'OPS-8' }, 'cred_cursor', asks);
    client.send(
      serialize.parse({ text: `insert into ledger values (${n})` }),
      serialize.bind({}),
      serialize.execute({}),
      serialize.sync(),
    );
    const { id } = await g.card(`(${n})`);
    expect(await g.approve(id)).toMatchObject({ request: { purpose: 'OPS-8' } });
    expect((await client.ready()).at(-2)).toBe('C:INSERT 0 1');
  });
});
