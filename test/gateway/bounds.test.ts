/** Bounds before and after login, whatever the peer sends (I7). */
import { createServer, type Socket } from 'node:net';
import { serialize } from 'pg-protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Target } from '../../src/gateway/types.ts';
import { connectUpstream } from '../../src/gateway/upstream/connect.ts';
import { parameterStatus } from '../../src/gateway/wire/build.ts';
import { type TestPostgres, testPostgres } from '../support/postgres.ts';
import { WireClient } from '../support/wire-client.ts';
import { AGENT, type Bench, bench, OTHERS, SCHEMA } from './support.ts';

let server: TestPostgres;
let it_: Bench;
const clients: WireClient[] = [];

beforeAll(async () => {
  server = await testPostgres();
  await server.createDatabase('shop');
  await server.query('shop', SCHEMA);
  it_ = await bench(server, 'shop', {
    limits: { statements: 3, portals: 3, namedBytes: 10_000, messageBytes: 4 * 1024 * 1024 },
  });
});
afterAll(async () => {
  for (const client of clients) client.close();
  await it_?.stop();
  await server?.stop();
});

async function connect(): Promise<WireClient> {
  const client = await WireClient.login(it_.port, AGENT);
  clients.push(client);
  return client;
}
const { parse, bind, execute, sync, query, describe: described } = serialize;
const names = (count: number): string[] => Array.from({ length: count }, (_, i) => `n${i}`);

describe('a session', () => {
  it('has so many prepared statements, and takes more when some are closed', async () => {
    const client = await connect();
    client.send(...names(3).map((name) => parse({ name, text: 'select 1' })), sync());
    expect(await client.ready()).toEqual(['1', '1', '1', 'Z:I']);
    client.send(parse({ name: 'more', text: 'select 1' }), sync());
    expect(await client.ready()).toEqual(['E:54000', 'Z:I']);
    client.send(
      parse({ text: 'select 1' }),
      serialize.close({ type: 'S', name: 'n0' }),
      serialize.close({ type: 'S', name: 'n1' }),
      sync(),
    );
    expect(await client.ready()).toEqual(['1', '3', '3', 'Z:I']);
    client.send(parse({ name: 'more', text: 'select 1' }), sync());
    expect(await client.ready()).toEqual(['1', 'Z:I']);
  });

  it('has so many portals', async () => {
    const client = await connect();
    client.send(parse({ text: 'select 1' }), ...names(4).map((portal) => bind({ portal })), sync());
    expect(await client.ready()).toEqual(['1', '2', '2', '2', 'E:54000', 'Z:I']);
    client.send(parse({ text: 'select 1' }), bind({}), execute({}), sync());
    expect(await client.ready()).toEqual(['1', '2', 'D', 'C:SELECT 1', 'Z:I']);
  });

  it('keeps so much under names, in texts and in values', async () => {
    const client = await connect();
    const text = `select '${'x'.repeat(6000)}'`;
    client.send(parse({ name: 'a', text }), parse({ name: 'b', text }), sync());
    expect(await client.ready()).toEqual(['1', 'E:54000', 'Z:I']);
    const other = await connect();
    const values = ['x'.repeat(11_000)];
    other.send(
      parse({ text: 'select length($1::text)' }),
      bind({ portal: 'a', values }),
      bind({ portal: 'b', values }),
      sync(),
    );
    expect(await other.ready()).toEqual(['1', '2', 'E:54000', 'Z:I']);
    // What has no name goes with the next one.
    for (let i = 0; i < 3; i++) {
      other.send(parse({ text: 'select length($1::text)' }), bind({ values }), execute({}), sync());
      expect((await other.ready()).at(-2)).toBe('C:SELECT 1');
    }
  });

  it('is asked for answers when a pipeline without Sync owes too many, or too large ones', async () => {
    const client = await connect();
    client.send(parse({ text: 'select length($1::text)' }));
    // PostgreSQL alone keeps so few answers back.
    client.send(...Array.from({ length: 1100 }, () => bind({ values: ['x'] })));
    for (let i = 0; i < 500; i++) await client.until('2');
    client.send(sync());
    await client.ready();
    client.send(...Array.from({ length: 10 }, () => bind({ values: ['x'.repeat(1024 * 1024)] })));
    for (let i = 0; i < 4; i++) await client.until('2');
    client.send(execute({}), sync());
    expect((await client.ready()).slice(-2)).toEqual(['C:SELECT 1', 'Z:I']);
  });

  it('ends over a message that is larger than the limit, before it has come', async () => {
    const client = await connect();
    const head = query('select 1');
    head.writeInt32BE(4 * 1024 * 1024 + 1, 1);
    client.send(head);
    expect(await client.end()).toEqual(['E:54000']);
  });
});

describe('large messages', () => {
  const MB = 1024 * 1024;
  let small: Bench;
  let hasty: Bench;
  beforeAll(async () => {
    small = await bench(server, 'shop', {
      limits: { ownerBytes: 24 * MB, totalBytes: 40 * MB, ownerNamedBytes: 30 * MB },
    });
  });
  afterAll(async () => {
    await small?.stop();
    await hasty?.stop();
  });
  const login = async (who = AGENT, at = small): Promise<WireClient> => {
    const client = await WireClient.login(at.port, who);
    clients.push(client);
    return client;
  };
  const value = (mb: number) => 'x'.repeat(mb * MB - 100);
  const ask = (mb: number) =>
    Buffer.concat([
      parse({ text: 'select length($1::text)' }),
      bind({ values: [value(mb)] }),
      execute({}),
      sync(),
    ]);
  /** All but its end: it is read, and waited for. */
  const begin = (client: WireClient, mb: number): Buffer => {
    const whole = ask(mb);
    client.send(whole.subarray(0, whole.length - 100));
    return whole.subarray(whole.length - 100);
  };
  /** Small ones get through at once, behind it too. */
  const settled = async (): Promise<void> => {
    const client = await login();
    client.send(query('select 1'));
    await client.ready();
    client.close();
  };

  it('of one owner have a budget: beyond it a message is refused, with the wire in step and the session kept', async () => {
    const [first, second] = [await login(), await login()];
    const end = begin(first, 15);
    await settled();
    await expect
      .poll(async () => {
        second.send(ask(15));
        return second.ready();
      })
      .toEqual(['1', 'E:54000', 'Z:I']);
    const text = value(15);
    second.send(query('begin'), query(`select '${text}'`), query('rollback'));
    expect(await second.ready(3)).toEqual(['C:BEGIN', 'Z:T', 'E:54000', 'Z:E', 'C:ROLLBACK', 'Z:I']);
    second.send(query('insert into orders values (9100, 1, 1)'));
    expect(await second.ready()).toEqual(['C:INSERT 0 1', 'Z:I']);
    first.send(end);
    expect((await first.ready()).at(-2)).toBe('C:SELECT 1');
    second.send(ask(15));
    expect((await second.ready()).at(-2)).toBe('C:SELECT 1');
    expect(small.recorder.statements().some(({ sql }) => sql === '-- Bind message')).toBe(true);
  });

  it('of others are not in their way; whoever has most gives way', async () => {
    const mine = await Promise.all(Array.from({ length: 2 }, () => login()));
    const end = mine.map((client) => begin(client, 11));
    await settled();
    const [theirs] = [await login(OTHERS)];
    theirs.send(ask(15));
    expect((await theirs.ready()).at(-2)).toBe('C:SELECT 1');
    for (const [i, client] of mine.entries()) client.send(end[i] ?? Buffer.alloc(0));
    const traces = await Promise.all(mine.map((client) => client.ready()));
    for (const trace of traces) expect(['C:SELECT 1', 'E:54000']).toContain(trace.at(-2));
  });

  it('that begin and do not end, end their session; data of a COPY that comes slowly does not', async () => {
    hasty = await bench(server, 'shop', { limits: { messageMs: 500 } });
    const [late, header, copying, held] = [
      await login(AGENT, hasty),
      await login(AGENT, hasty),
      await login(AGENT, hasty),
      await login(AGENT, hasty),
    ];
    begin(late, 1);
    header.send(Buffer.from([0x51, 0]));
    copying.send(query('copy orders from stdin'));
    await copying.until('G');
    const row = Buffer.from('9101\t1\t1\n');
    const data = serialize.copyData(Buffer.concat([row, Buffer.alloc(100_000, '9102\t1\t1\n'.repeat(10))]));
    copying.send(data.subarray(0, 20));
    held.send(query('delete from orders where id = 9100'));
    const request = await hasty.desk.waiting();
    expect(await late.end()).toEqual(['E:54000']);
    expect(await header.end()).toEqual(['E:54000']);
    hasty.desk.approve(request.id);
    expect(await held.ready()).toEqual(['C:DELETE 1', 'Z:I']);
    copying.send(data.subarray(20), serialize.copyDone());
    expect((await copying.ready()).at(-1)).toBe('Z:I');
  });

  it('are kept for portals of one owner within a bound, in all sessions together', async () => {
    const sessions = await Promise.all(Array.from({ length: 3 }, () => login()));
    const traces: string[] = [];
    for (const client of sessions) {
      client.send(query('begin'), ask(11));
      traces.push((await client.ready(2)).join(' '));
    }
    expect(traces.map((trace) => trace.slice(-30))).toEqual([
      expect.stringMatching(/C:SELECT 1 Z:T$/),
      expect.stringMatching(/C:SELECT 1 Z:T$/),
      expect.stringMatching(/E:54000 Z:E$/),
    ]);
    for (const client of sessions.slice(0, 2)) client.close();
    const again = await login();
    await expect
      .poll(async () => {
        again.send(ask(11));
        return (await again.ready()).at(-2);
      })
      .toBe('C:SELECT 1');
  });
});

describe('what is refused without being a statement is on record (I4)', () => {
  it.each([
    ['FunctionCall', Buffer.from('460000000e000004d2000000000000', 'hex'), '42501'],
    ['Query', Buffer.concat([Buffer.from('5100000007', 'hex'), Buffer.from([0xff, 0x41, 0])]), '22021'],
    ['Bind', Buffer.from('42000000080000ffff', 'hex'), '08P01'],
  ])('%s', async (name, message, code) => {
    const client = await connect();
    const before = it_.recorder.events.length;
    client.send(message, sync());
    expect(await client.ready()).toContain(`E:${code}`);
    const events = it_.recorder.events.slice(before);
    expect(events.find((event) => event.kind === 'statement')).toMatchObject({
      sql: `-- ${name} message`,
      class: 'unknown',
      effect: 'deny',
      rules: ['protocol'],
    });
    expect(events.find((event) => event.kind === 'result')).toMatchObject({ error: { code } });
  });
});

describe('COPY', () => {
  it('ends as in PostgreSQL over a message that does not belong there, and nothing of either runs', async () => {
    for (const stray of [
      query('delete from orders'),
      described({ type: 'S' }),
      parse({ text: 'select 1' }),
    ]) {
      const client = await connect();
      client.send(query('copy orders from stdin'));
      await client.until('G');
      client.send(serialize.copyData(Buffer.from('9001\t1\t1\n')), stray, sync());
      expect(await client.end()).toEqual(['E:08P01', 'E:08P01']);
    }
    const { rows } = await server.query('shop', 'select count(*)::int as n from orders');
    expect(rows).toEqual([{ n: 100 }]);
  });
});

describe('before a session', () => {
  it('a server that talks on and on is not listened to', async () => {
    const open: Socket[] = [];
    const talker = createServer((socket) => {
      open.push(socket);
      socket.on('error', () => {});
      const talk = (): void => {
        while (socket.write(parameterStatus(`p${Math.random()}`, 'x'.repeat(10_000))));
      };
      socket.on('drain', talk);
      socket.once('data', () => {
        socket.write(Buffer.from('520000000800000000', 'hex'));
        talk();
      });
    });
    await new Promise<void>((resolve) => talker.listen(0, '127.0.0.1', resolve));
    const address = talker.address();
    const target: Target = { ...it_.target, port: typeof address === 'object' ? (address?.port ?? 0) : 0 };
    const login = { user: 'app', password: 'app-secret' };
    await expect(connectUpstream({ target, login, settings: new Map(), timeoutMs: 5000 })).rejects.toThrow(
      'does not speak the protocol',
    );
    for (const socket of open) socket.destroy();
    await new Promise((resolve) => talker.close(resolve));
  });
});
