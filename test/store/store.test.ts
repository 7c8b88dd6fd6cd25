import { connect, createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ApprovalRequest } from '../../src/approvals/types.ts';
import type { FailedLoginRow } from '../../src/identity/failed-logins.ts';
import type { StoredCredential } from '../../src/identity/types.ts';
import type { SessionSummary } from '../../src/recordings/types.ts';
import { connect as connectStore } from '../../src/store/client.ts';
import { codeOf } from '../../src/store/failure.ts';
import { openStore, patiently, type Store, StoreFailure } from '../../src/store/store.ts';
import { draft, quiet } from '../approvals/support.ts';
import { type TestPostgres, testPostgres } from '../support/postgres.ts';
import { requestOf } from '../support/request.ts';

let postgres: TestPostgres;
let store: Store;
const T = Date.UTC(2026, 10, 20, 14, 2, 3, 456);
const limits = { perSession: 100, perOwner: 100, now: T };

beforeAll(async () => {
  postgres = await testPostgres();
  await postgres.createDatabase('store');
  store = await openStore({ url: postgres.url('store'), log: quiet });
});
afterAll(async () => {
  await store?.close();
  await postgres?.stop();
});

function request(id: string, change: Partial<ApprovalRequest> = {}): ApprovalRequest {
  return requestOf(draft(id), T, { id, expiresAt: T + 1000, holder: null, ...change });
}

describe('a request', () => {
  it('comes back as it was written, but for what PostgreSQL cannot hold', async () => {
    const asked = request('HP-R1', draft('HP-R1', { statement: { sql: 'a\0b\ud800', binds: [null, '\0'] } }));
    const opened = await store.requests.openOrJoin(asked, limits);
    const kept = { ...asked.statement, sql: 'a\ufffdb\ufffd', binds: [null, '\ufffd'] };
    expect(opened).toEqual({ kind: 'opened', request: { ...asked, statement: kept } });
    expect(await store.requests.get('HP-R1')).toEqual({ ...asked, statement: kept });
    expect(await store.requests.get('HP-\0')).toBeNull();
  });

  it('changes only from the states, the version and with the claim named', async () => {
    await store.requests.openOrJoin(request('HP-R2'), limits);
    const granted = { state: 'granted', grantExpiresAt: T + 5 } as const;
    expect(await store.requests.transition('HP-R2', ['granted'], granted)).toBeNull();
    expect(await store.requests.transition('HP-R2', ['pending'], granted, { version: 7 })).toBeNull();
    expect(await store.requests.transition('HP-R2', ['pending'], granted, { version: 1 })).toMatchObject({
      version: 2,
    });
    await store.requests.transition('HP-R2', ['granted'], { state: 'executing', claim: 'secret' });
    const executed = { state: 'executed', claim: null } as const;
    expect(await store.requests.transition('HP-R2', ['executing'], executed, { claim: 'other' })).toBeNull();
    expect(
      await store.requests.transition('HP-R2', ['executing'], executed, { claim: 'secret' }),
    ).not.toBeNull();
  });

  it('has one pending row a fingerprint, though many open it at once', async () => {
    const results = await Promise.all(
      Array.from({ length: 12 }, (_, n) =>
        store.requests.openOrJoin({ ...request(`HP-M${n}`), fingerprint: 'm' }, limits),
      ),
    );
    expect(results.filter((result) => result.kind === 'opened')).toHaveLength(1);
    expect(results.filter((result) => result.kind === 'joined')).toHaveLength(11);
  });

  it('leaves an outbox row with each change, and none with a change that did not happen', async () => {
    await store.requests.openOrJoin(request('HP-O1'), limits);
    await store.requests.transition('HP-O1', ['denied'], { state: 'granted' });
    const behind = async () => (await store.outbox.behind(1000)).find((row) => row.requestId === 'HP-O1');
    expect(await behind()).toEqual({ requestId: 'HP-O1', version: 1 });
    await store.requests.transition('HP-O1', ['pending'], { state: 'withdrawn' });
    expect(await behind()).toEqual({ requestId: 'HP-O1', version: 2 });
    await store.outbox.done('HP-O1', 1);
    expect(await behind()).toEqual({ requestId: 'HP-O1', version: 2 });
    await store.outbox.done('HP-O1', 2);
    expect(await behind()).toBeUndefined();
    const card = {
      requestId: 'HP-O1',
      channel: 'C1',
      ts: null,
      version: 0,
      postingSince: T,
      threadPosted: false,
      outcomePosted: false,
      reminderPosted: true,
      escalationPosted: false,
      told: ['granted' as const],
      stray: null,
    };
    const { outbox } = store;
    await outbox.patchCard('HP-O1', card);
    const posted = { ts: '1.2', version: 2, postingSince: null };
    await outbox.patchCard('HP-O1', posted);
    expect(await outbox.card('HP-O1')).toEqual({ ...card, ...posted });
    await outbox.done('HP-O1', 9);
    const stray = { channel: 'C1', ts: '1.1' };
    for (const seen of [stray, null]) await outbox.ask('HP-O1', seen);
    expect(await outbox.card('HP-O1')).toEqual({ ...card, ...posted, version: 0, stray });
    expect(await outbox.behind(9)).toContainEqual({ requestId: 'HP-O1', version: 2 });
  });
});

it('destructive statements are counted together, told once a burst, and the alert is unsent until Slack shows it as it is', async () => {
  const { alerts } = store;
  const requester = { ...draft('fp-alert').requester, ownerName: 'Alice\u0000' };
  let made = 0;
  const at = (ms: number, key = 'alice') => {
    made += 1;
    const tried = { id: `AL-${made}`, key, requester, channel: '#db', at: T + ms, line: `DELETE ${ms}` };
    return alerts.attempt(tried, { count: 3, withinMs: 1000, lines: 2 });
  };
  expect([await at(0), await at(400), await at(1100), await at(1200, 'bob')]).toEqual(
    Array(4).fill('counted'),
  );
  expect((await Promise.all([at(1200), at(1200), at(1200)])).sort()).toEqual(['known', 'known', 'told']);
  expect([await at(2200), await at(3100)]).toEqual(['known', 'known']);
  // Quiet for as long: another burst.
  expect([await at(4200), await at(4300), await at(4400)]).toEqual(['counted', 'counted', 'told']);

  const [id = '', ...others] = await alerts.unsent();
  expect(others).toHaveLength(1);
  expect(await alerts.get(id)).toMatchObject({
    ...{ count: 3, since: T + 400, at: T + 1200, lines: ['DELETE 1100', 'DELETE 1200'] },
    requester: { agent: 'Cursor' },
  });
  const place = { channel: 'C1', ts: '1.1' };
  await alerts.suspended(id, 'Dana');
  await alerts.sent(id, { ...place, suspendedBy: null });
  expect(await alerts.unsent()).toContain(id);
  await alerts.sent(id, { ...place, suspendedBy: 'Dana' });
  await alerts.suspended(id, 'Erin');
  expect(await alerts.get(id)).toMatchObject({ ...place, shown: true, suspendedBy: 'Dana' });
  expect(await alerts.unsent()).toEqual(others);
});

it('an operation for which no connection can be had in time gets another one; what fails has a name', async () => {
  // As on a busy machine: the first that comes is answered too late.
  let mute = 1;
  const server = createServer((client) => {
    mute -= 1;
    const upstream = mute >= 0 ? null : connect(postgres.port, '127.0.0.1');
    const end = (): void => {
      client.destroy();
      upstream?.destroy();
    };
    if (upstream !== null) client.pipe(upstream).pipe(client);
    for (const socket of [client, upstream]) socket?.on('error', end).on('close', end);
  });
  const port = await new Promise<number>((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : 0);
    });
  });
  const url = new URL(postgres.url('store'));
  url.port = String(port);
  const client = connectStore(url.href, quiet);
  try {
    expect(await client.run('ask', (prisma) => prisma.meta.count())).toBeGreaterThanOrEqual(0);
    expect(mute).toBeLessThan(0);
    const silent = codeOf(new Error('Connection terminated due to connection timeout'));
    expect(silent).toBe('no_connection');
  } finally {
    await client.close();
    server.close();
  }
});

it('a start tries again what a store that comes back may still do, and not what it refuses', async () => {
  const failing = (code: string, times: number) => {
    let left = times;
    return async () => {
      left -= 1;
      if (left >= 0) throw new StoreFailure('save an access', code);
      return 'done';
    };
  };
  expect(await patiently(10_000, failing('57P03', 3))).toBe('done');
  await expect(patiently(10_000, failing('28P01', 1))).rejects.toMatchObject({ code: '28P01' });
  await expect(patiently(250, failing('timeout', 99))).rejects.toMatchObject({ code: 'timeout' });
});

describe('two processes on one store', () => {
  let other: Store;
  beforeAll(async () => {
    other = await openStore({ url: postgres.url('store'), log: quiet });
  });
  afterAll(() => other.close());

  it('hear of each other’s changes, not of their own, and again after the connection was lost', async () => {
    const heard: string[] = [];
    store.elsewhere.onChange((id) => heard.push(id));
    const own = () => store.requests.openOrJoin(request(`HP-E${heard.length}`), limits);
    const theirs = (id: string) => other.requests.openOrJoin(request(id), limits);
    await own();
    await expect
      .poll(async () => {
        await theirs(`HP-F${performance.now()}`);
        return heard.length;
      })
      .toBeGreaterThan(0);
    expect(heard.every((id) => id.startsWith('HP-F'))).toBe(true);
    const listens = "FROM pg_stat_activity WHERE application_name = 'holdpoint-listen'";
    await postgres.query('postgres', `SELECT pg_terminate_backend(pid) ${listens}`);
    const before = heard.length;
    await expect
      .poll(async () => {
        await theirs(`HP-F${performance.now()}`);
        return heard.length;
      })
      .toBeGreaterThan(before);
  });

  it('take turns: one has it until it ends or is given back', async () => {
    expect(await store.turns.take('t', 60_000)).toBe(true);
    expect([await other.turns.take('t', 60_000), await store.turns.take('t', 1)]).toEqual([false, true]);
    await expect.poll(() => other.turns.take('t', 60_000)).toBe(true);
    await store.turns.give('t');
    expect(await store.turns.take('t', 60_000)).toBe(false);
    await other.turns.give('t');
    expect(await store.turns.take('t', 60_000)).toBe(true);
  });
});

it('a Slack account and an owner are linked to each other and to nobody else', async () => {
  const { links } = store;
  const link = { teamId: 'T1', userId: 'U1', ownerId: 'alice@example.com', name: 'Alice', linkedAt: T };
  await links.save(link);
  await links.save({ ...link, teamId: 'T2', userId: 'U9' });
  expect(await links.userOf('T1', 'alice@example.com')).toBe('U1');
  expect(await links.ownerOf('T1', 'U1')).toEqual({ id: 'alice@example.com', name: 'Alice' });
  await links.save({ ...link, userId: 'U2' });
  expect(await links.ownerOf('T1', 'U1')).toBeNull();
  await links.save({ ...link, userId: 'U2', ownerId: 'bob@example.com', name: 'Bob' });
  expect(await links.userOf('T1', 'alice@example.com')).toBeNull();
  expect(await links.userOf('T1', 'bob@example.com')).toBe('U2');
  expect(await links.userOf('T2', 'alice@example.com')).toBe('U9');
});

it('failed logins are kept, counted by owner and by address, and not for ever', async () => {
  const owner = { id: 'alice@example.com', name: 'Alice', email: null, agent: 'Cursor' };
  const failed = (over: Partial<FailedLoginRow> = {}) => {
    const row = {
      via: 'gateway',
      address: '10.0.0.1',
      reason: 'wrong-secret',
      claimed: 'cred_a',
      owner,
      at: T,
      count: 1,
    };
    return { ...row, ...over, source: over.address ?? '10.0.0.1' } as FailedLoginRow & { source: string };
  };
  await store.failedLogins.save([failed({ at: T - 40 * 86_400_000 })]);
  await store.failedLogins.save([
    failed({ count: 3 }),
    failed({ at: T + 1, address: '10.0.0.2', owner: null, claimed: 'a\0b', reason: 'unknown', via: 'token' }),
  ]);
  const all = await store.failedLogins.summary(0);
  expect(all).toMatchObject({
    total: 4,
    byOwner: [{ key: owner.id, count: 3, at: T }],
    byAddress: [
      { key: '10.0.0.1', count: 3, at: T },
      { key: '10.0.0.2', count: 1, at: T + 1 },
    ],
  });
  expect(all.latest).toEqual([
    {
      at: T + 1,
      via: 'token',
      reason: 'unknown',
      address: '10.0.0.2',
      claimed: 'a\ufffdb',
      owner: null,
      count: 1,
    },
    {
      at: T,
      via: 'gateway',
      reason: 'wrong-secret',
      address: '10.0.0.1',
      claimed: 'cred_a',
      owner,
      count: 3,
    },
  ]);
  expect(await store.failedLogins.summary(T + 1)).toMatchObject({ total: 1, byOwner: [] });
});

it('an alert that was counted elsewhere is raised once, until it has been quiet', async () => {
  const requester = { ...draft('HP-AL').requester };
  const alert = {
    id: 'AL-1',
    key: 'logins owner a',
    about: 'logins',
    requester,
    count: 10,
    since: T,
    at: T,
    lines: ['x'],
    channel: null,
  } as const;
  const raised = await Promise.all(
    [1, 2, 3].map((n) => store.alerts.raise({ ...alert, id: `AL-r${n}` }, 1000)),
  );
  expect(raised.filter(Boolean)).toHaveLength(1);
  expect(await store.alerts.raise({ ...alert, id: 'AL-r4', at: T + 900 }, 1000)).toBe(false);
  expect(await store.alerts.raise({ ...alert, id: 'AL-r5', at: T + 1800 }, 1000)).toBe(false);
  expect(await store.alerts.raise({ ...alert, id: 'AL-r6', at: T + 3000, channel: '#db' }, 1000)).toBe(true);
  expect(await store.alerts.unsent()).toContain('AL-r6');
  expect(await store.alerts.unsent()).not.toContain('AL-r1');
  expect((await store.alerts.recent(T)).map(({ about, id }) => [about, id])).toContainEqual([
    'logins',
    'AL-r6',
  ]);
});

it('what one process issues the others hear of, and whether they can hear', async () => {
  const other = await openStore({ url: postgres.url('store'), log: quiet });
  const heard: string[] = [];
  const own: string[] = [];
  const hearing: boolean[] = [];
  other.elsewhere.onIssued((kind, key) => void heard.push(`${kind} ${key}`));
  store.elsewhere.onIssued((kind, key) => void own.push(`${kind} ${key}`));
  other.elsewhere.onHearing((now) => void hearing.push(now));
  await expect.poll(() => hearing.at(-1)).toBe(true);
  const row = {
    approverId: 'd',
    login: null,
    createdAt: T,
    expiresAt: T + 10,
    usedAt: null,
    revokedAt: null,
  };
  await store.credentials.insertAccess({ ...row, kind: 'link', secretHash: 'heard1' });
  await expect.poll(() => heard).toContain('access heard1');
  expect(own).toEqual([]);
  expect((await store.credentials.recentAccess(T, 1000)).at(-1)).toMatchObject({
    secretHash: expect.any(String),
  });
  expect(
    (await store.credentials.recentAccess(T + 10, 1000)).map(({ secretHash }) => secretHash),
  ).not.toContain('heard1');
  await postgres.query(
    'store',
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'holdpoint-listen'",
  );
  await expect.poll(() => hearing.slice(-2), { timeout: 10_000 }).toEqual([false, true]);
  await other.close();
});

it('credentials are revoked once, and a one-time link is spent by exactly one', async () => {
  const credential: StoredCredential = {
    id: 'cred_x',
    owner: { id: 'alice@example.com', name: 'Alice', email: null },
    agent: 'Cursor',
    groups: ['dev'],
    expiresAt: T + 1,
    createdAt: T,
    revokedAt: null,
    mintedBy: 'dana@example.com',
    scram: { iterations: 4096, salt: 'c2FsdA==', storedKey: 'a', serverKey: 'b' },
  };
  await store.credentials.insertCredential(credential);
  expect(await store.credentials.findCredential('cred_x')).toEqual(credential);
  expect(await store.credentials.revokeCredential('cred_x', T + 5)).toBe(true);
  expect(await store.credentials.revokeCredential('cred_x', T + 9)).toBe(false);
  expect(await store.credentials.revokedSince(T + 5)).toEqual(['cred_x']);
  expect(await store.credentials.revokedSince(T + 6)).toEqual([]);

  const access = {
    kind: 'link',
    approverId: 'dana',
    login: null,
    createdAt: T,
    expiresAt: T + 10,
    usedAt: null,
    revokedAt: null,
  } as const;
  await store.credentials.insertAccess({ ...access, secretHash: 'h1' });
  expect(await store.credentials.findAccess('h1')).toEqual({ ...access, secretHash: 'h1' });
  expect(await store.credentials.consumeAccess('h1', T + 10)).toBe(false);
  const spent = await Promise.all(
    Array.from({ length: 10 }, () => store.credentials.consumeAccess('h1', T + 1)),
  );
  expect(spent.filter(Boolean)).toHaveLength(1);
  await store.credentials.insertAccess({ ...access, secretHash: 'h2' });
  expect(await store.credentials.revokeAccess('h2', T)).toBe(true);
  expect(await store.credentials.consumeAccess('h2', T + 1)).toBe(false);

  const login = {
    issuer: 'https://id',
    clientId: 'c',
    subject: 'u',
    email: null,
    name: 'Uma',
    groups: ['a'],
    until: T + 9,
  };
  const session = { ...access, kind: 'session', login, secretHash: 'h3' } as const;
  await store.credentials.insertAccess(session);
  expect(await store.credentials.listAccess(T)).toEqual([session]);
  expect(await store.credentials.listAccess(T + 10)).toEqual([]);
  expect(await store.credentials.revokeAccessOf('dana', T)).toBe(1);
  expect(await store.credentials.listAccess(T)).toEqual([]);

  const row = { personId: 'alice@example.com', by: 'dana', at: T };
  expect(await store.credentials.suspend(row)).toBe(true);
  expect(await store.credentials.suspend({ ...row, by: 'other' })).toBe(false);
  expect(await store.credentials.listSuspensions()).toEqual([row]);
  expect(await store.credentials.unsuspend(row.personId)).toBe(true);
  expect(await store.credentials.unsuspend(row.personId)).toBe(false);
});

it('sessions are indexed in batches and found by owner, target and time', async () => {
  const session: SessionSummary = {
    id: 's1',
    ownerId: 'a_b@example.com',
    ownerName: 'Alice',
    ownerEmail: 'a_b@example.com',
    agent: null,
    subject: 's',
    credentialId: 'c',
    target: 'prod',
    environment: 'production',
    database: 'shop',
    role: 'r',
    clientAddress: '::1',
    applicationName: 'psql\0',
    startedAt: T,
    endedAt: null,
    endedWhy: null,
    statements: 1,
    held: 0,
    denied: 0,
    errors: 0,
    rows: 2 ** 40,
    head: null,
  };
  const other = {
    ...session,
    id: 's2',
    ownerId: 'axb@example.com',
    ownerEmail: null,
    ownerName: 'Bob',
    startedAt: T + 5,
  };
  await store.sessions.upsert([session, other]);
  await store.sessions.upsert([
    { ...session, endedAt: T + 7, endedWhy: 'closed', statements: 3, head: 'ff' },
  ]);
  expect(await store.sessions.get('s1')).toEqual({
    ...session,
    applicationName: 'psql\ufffd',
    endedAt: T + 7,
    endedWhy: 'closed',
    statements: 3,
    head: 'ff',
  });
  const ids = async (filter: Parameters<Store['sessions']['list']>[0]) =>
    (await store.sessions.list(filter)).map((row) => row.id);
  expect(await ids({})).toEqual(['s2', 's1']);
  expect(await ids({ owner: 'A_B@example.com' })).toEqual(['s1']);
  expect(await ids({ owner: 'bob' })).toEqual(['s2']);
  expect(await ids({ since: T + 1, target: 'prod', limit: 1 })).toEqual(['s2']);
  expect(await ids({ open: true })).toEqual(['s2']);

  // Open, and its process shows signs of life; silent, it has left no row among the desks.
  await store.requests.beat(store.name, T);
  expect(await store.sessions.endAbandoned()).toBe(0);
  expect(await ids({ open: true })).toEqual(['s2']);
  await store.requests.bury(store.name, T);
  expect(await store.sessions.endAbandoned()).toBe(1);
  expect(await store.sessions.get('s2')).toMatchObject({ endedWhy: 'its gateway is gone' });
  // Taken for dead by mistake, it says so with its next row.
  await store.sessions.upsert([other]);
  expect(await store.sessions.get('s2')).toEqual({ ...other, applicationName: 'psql\ufffd' });
});

it('of many makers of a shared value one wins', async () => {
  const values = await Promise.all(
    Array.from({ length: 10 }, (_, n) => store.meta.getOrCreate('key', () => `v${n}`)),
  );
  expect(new Set(values).size).toBe(1);
  await store.meta.set('key', 'other');
  expect(await store.meta.get('key')).toBe('other');
});

it('an operation waits for its turn when more come at once than the pool takes in the time to connect', async () => {
  // Of an owner each: openers of one take turns at a lock besides.
  const many = Array.from({ length: 200 }, (_, i) =>
    request(`HP-T${i}`, draft(`HP-T${i}`, { requester: { ownerId: `owner-${i}@example.com` } })),
  );
  const opened = await Promise.all(
    many.map((one) => store.requests.openOrJoin(one, { ...limits, perOwner: 1000, perSession: 1000 })),
  );
  expect(opened.every(({ kind }) => kind === 'opened')).toBe(true);
});

it('an outage rejects within seconds, says nothing of the login, and is over when the database is back', async () => {
  // A relay between store and server that can be cut, and that can also swallow everything in silence.
  const sockets = new Set<Socket>();
  let mode: 'up' | 'cut' | 'silent' = 'up';
  const relay = createServer((client) => {
    const server = connect(postgres.port, postgres.host);
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      sockets.add(from);
      from.on('data', (bytes) => mode === 'silent' || to.write(bytes));
      from.on('error', () => undefined);
      from.on('close', () => to.destroy());
    }
    if (mode === 'cut') client.destroy();
  });
  await new Promise<void>((done) => relay.listen(0, '127.0.0.1', done));
  const address = relay.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const url = postgres.url('store').replace(`:${postgres.port}/`, `:${address.port}/`);
  const relayed = await openStore({ url, log: quiet });
  await relayed.ping();
  for (const how of ['cut', 'silent'] as const) {
    mode = how;
    if (how === 'cut') for (const socket of sockets) socket.destroy();
    const began = Date.now();
    const failure = await relayed.requests.get('HP-R1').catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(StoreFailure);
    expect(String(failure)).not.toContain(postgres.password);
    expect(Date.now() - began).toBeLessThan(8_000);
    mode = 'up';
    for (const socket of sockets) socket.destroy();
    await expect
      .poll(
        () =>
          relayed.ping().then(
            () => 'up',
            () => 'down',
          ),
        { timeout: 10_000 },
      )
      .toBe('up');
  }
  await relayed.close();
  await new Promise((done) => relay.close(done));
});
