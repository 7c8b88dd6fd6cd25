/** A transaction that an agent left alone ends, whatever way it was left; nothing else does (DESIGN.md 9, 17). */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { IdleWatch, type Moment } from '../../src/gateway/idle.ts';
import { decodeError } from '../../src/gateway/wire/backend.ts';
import { type TestPostgres, testPostgres } from '../support/postgres.ts';
import { serialize, WireClient } from '../support/wire-client.ts';
import { bytesOf } from './model-steps.ts';
import { AGENT, type Bench, bench, PERSON, SCHEMA } from './support.ts';

describe('the watch', () => {
  const open: Moment = {
    atWork: false,
    busy: false,
    status: 'T',
    worked: true,
    unsynced: false,
    awaited: false,
  };
  const watch = () => {
    let at = 0;
    const it_ = new IdleWatch(() => at, 1000);
    it_.over(open);
    return { it_, pass: (ms: number) => (at += ms) };
  };
  it('is over when nothing was done for as long as that', () => {
    const { it_, pass } = watch();
    pass(999);
    expect(it_.over(open)).toBe(false);
    pass(1);
    expect(it_.over(open)).toBe(true);
  });
  it('begins anew with each statement', () => {
    const { it_, pass } = watch();
    pass(999);
    it_.touch();
    pass(999);
    expect(it_.over(open)).toBe(false);
    pass(999);
    expect(it_.over(open)).toBe(false);
    pass(1);
    expect(it_.over(open)).toBe(true);
  });
  it('begins anew behind a wait, however long', () => {
    const { it_, pass } = watch();
    pass(5000);
    expect(it_.over({ ...open, atWork: true })).toBe(false);
    pass(999);
    expect(it_.over(open)).toBe(false);
    pass(1);
    expect(it_.over(open)).toBe(true);
  });
  it('ends nobody in the midst of something, and counts on', () => {
    const { it_, pass } = watch();
    pass(5000);
    expect(it_.over({ ...open, busy: true })).toBe(false);
    expect(it_.over(open)).toBe(true);
  });
  it.each([
    [{ status: 'E' }, true],
    [{ worked: false }, false],
    [{ status: 'I' }, false],
    [{ status: 'I', unsynced: true, worked: false }, true],
    [{ status: 'I', awaited: true }, true],
  ] as const)('%j: %s', (how, over) => {
    const { it_, pass } = watch();
    const moment = { ...open, ...how };
    it_.over(moment);
    pass(1000);
    expect(it_.over(moment)).toBe(over);
  });
});

describe('the gateway', () => {
  let server: TestPostgres;
  let it_: Bench;
  const clients: WireClient[] = [];
  beforeAll(async () => {
    server = await testPostgres();
    await server.createDatabase('shop');
    await server.query('shop', SCHEMA);
    it_ = await bench(server, 'shop', {
      policyText: 'version: 1\ndefaults: { truncate: hold }',
      holdTerms: {
        agentWaitMs: 60_000,
        personWaitMs: 60_000,
        maxWaitMs: 60_000,
        lockedWaitMs: 60_000,
        agentIdleMs: 500,
      },
    });
  });
  afterEach(() => {
    for (const client of clients.splice(0)) client.close();
  });
  afterAll(async () => {
    await it_?.stop();
    await server?.stop();
  });

  const open = async (login = AGENT): Promise<WireClient> => {
    const client = await WireClient.login(it_.port, login);
    clients.push(client);
    client.forget();
    return client;
  };
  const say = async (client: WireClient, ...statements: readonly string[]): Promise<void> => {
    for (const sql of statements) {
      client.send(serialize.query(sql));
      await client.ready();
    }
  };
  /** Everybody who was to be ended by then, was: sessions are looked at together. */
  const untilOneIsEnded = async (): Promise<void> => {
    for (const _ of [1, 2]) {
      const witness = await open();
      await say(witness, 'begin', 'select id from customers');
      expect(await witness.end()).toEqual(['E:25P03']);
    }
  };
  const free = () =>
    expect
      .poll(() =>
        server.query('shop', 'begin; lock table orders in access exclusive mode nowait; commit').then(
          () => 'free',
          () => 'locked',
        ),
      )
      .toBe('free');

  const UPDATE = 'update orders set total = 0 where id = 1';
  const left: readonly (readonly [string, (client: WireClient) => Promise<void>])[] = [
    ['after a write', (client) => say(client, 'begin', UPDATE)],
    ['after a read', (client) => say(client, 'begin', 'select id from orders')],
    ['after a PREPARE', (client) => say(client, 'begin', 'prepare p as select id from orders')],
    [
      'after a row lock, with what came after it undone',
      (client) =>
        say(
          client,
          'begin',
          'select id from orders for update',
          'savepoint s',
          'select 1/0',
          'rollback to s',
        ),
    ],
    [
      'failed, with locks of before a savepoint',
      (client) => say(client, 'begin', UPDATE, 'savepoint s', 'select 1/0'),
    ],
    [
      'in a pipeline without Sync, after a Parse alone',
      async (client) => {
        client.send(serialize.parse({ text: UPDATE }), serialize.flush());
        await client.until('1');
      },
    ],
    [
      'in a pipeline without Sync, after it ran',
      async (client) => {
        client.send(
          serialize.parse({ text: UPDATE }),
          serialize.bind(),
          serialize.execute(),
          serialize.flush(),
        );
        await client.until('C');
      },
    ],
    [
      'in a COPY that gets no data',
      async (client) => {
        client.send(serialize.query('copy orders from stdin'));
        await client.until('G');
        client.send(serialize.copyData(Buffer.from('1001\t1\t1\n')));
      },
    ],
  ];
  it.each(left)('ends a transaction that an agent left %s', async (_, leave) => {
    const client = await open();
    await leave(client);
    client.forget();
    const last = await client.until('E');
    expect(decodeError(last.bytes)).toMatchObject({ severity: 'FATAL', code: '25P03' });
    expect(await client.end()).toEqual([]);
    await free();
    expect(it_.recorder.closed.at(-1)).toContain('left idle for too long');
    const { rows } = await server.query('shop', 'select total::int from orders where id = 1');
    expect(rows).toEqual([{ total: 1 }]);
  });

  const pings: readonly (readonly string[])[] = [
    ['S'],
    ['H'],
    ['Q '],
    ['Q -- ping', 'Q ;'],
    ['P: ', 'B:< []', 'E: 0', 'S'],
    ['CS:nothing', 'CP:nothing', 'DS:known', 'S'],
    ['d stray\n'],
    ['c', 'f stray'],
  ];
  /** Again and again until it is closed. */
  async function keepSaying(client: WireClient, steps: readonly string[]): Promise<string[]> {
    const bytes = steps.map(bytesOf);
    const timer = setInterval(() => client.send(...bytes), 20);
    const seen = await client.end();
    clearInterval(timer);
    return seen;
  }
  it('ends a transaction that an agent only keeps: with Sync, Flush, empty queries, Close, Describe and data outside of a COPY', async () => {
    const kept = await Promise.all(
      pings.map(async (steps, i) => {
        const client = await open();
        await say(
          client,
          'prepare known as select 1',
          'begin',
          `update orders set total = 0 where id = ${i + 10}`,
        );
        return { client, steps };
      }),
    );
    for (const seen of await Promise.all(kept.map(({ client, steps }) => keepSaying(client, steps))))
      expect(seen.at(-1)).toBe('E:25P03');
    await free();
  });

  it('leaves alone whose statements run, a few rows at a time too, and whose data comes', async () => {
    const client = await open();
    await say(client, 'begin', UPDATE);
    const fetching = await open();
    await say(fetching, 'begin');
    fetching.send(...['P: select o.id from orders o, orders p', 'B:p< []', 'H'].map(bytesOf));
    const copying = await open();
    copying.send(serialize.query('copy orders from stdin'));
    await copying.until('G');
    const failing = await open();
    await say(failing, 'begin', 'select id from customers', 'savepoint s');
    const over: Promise<unknown>[] = [];
    let n = 0;
    const timer = setInterval(() => {
      client.send(serialize.query('select 1'));
      fetching.send(...['E:p 1', 'H'].map(bytesOf));
      copying.send(serialize.copyData(Buffer.from(`${5000 + n++}\t1\t1\n`)));
      failing.send(serialize.query('select 1/0'), serialize.query('rollback to s'));
    }, 100);
    for (const one of [client, fetching, copying, failing]) over.push(one.end());
    await untilOneIsEnded();
    await untilOneIsEnded();
    clearInterval(timer);
    for (const one of [client, fetching, copying, failing]) expect(one.closed).toBe(false);
    for (const one of [client, fetching, copying, failing]) one.close();
    await Promise.all(over);
  });

  it('ends a transaction whose result an agent does not read', async () => {
    const client = await open();
    client.socket.pause();
    client.send(serialize.query("select o.id, repeat('x', 100000) from orders o, orders p"));
    await expect.poll(() => it_.gateway.sessions().length, { timeout: 30_000 }).toBe(0);
    await free();
  });

  it('leaves alone who holds nothing, who waits for an approver or the target, and people', async () => {
    const unused = await open();
    await say(unused, 'begin', 'set local statement_timeout = 0');
    const outside = await open();
    await say(outside, UPDATE);
    const person = await open(PERSON);
    await say(person, 'begin', UPDATE);
    const running = await open();
    await say(running, 'begin', 'select id from customers');
    running.send(serialize.query('select pg_sleep(600)'));
    const held = await open();
    await say(held, 'begin', 'select id from customers');
    held.send(serialize.query('truncate customers'));
    const { id } = await it_.desk.waiting();
    await untilOneIsEnded();
    for (const client of [unused, outside, person]) await say(client, 'select 1');
    for (const client of [running, held]) expect(client.closed).toBe(false);
    it_.desk.deny(id, 'Dana', null);
    expect(await held.ready()).toEqual(['E:42501', 'Z:E']);
  });
});
