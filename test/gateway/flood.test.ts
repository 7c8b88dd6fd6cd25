/** Whoever holds connections or guesses shuts nobody out of the gateway's port, not even of their own address (I7); what fails leaves a trace. */
import { readFileSync } from 'node:fs';
import { connect as connectTls } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { networksOf } from '../../src/edge/address.ts';
import type { FailedLogin } from '../../src/identity/failed-logins.ts';
import { type Flood, flood } from '../support/flood.ts';
import { type TestPostgres, testPostgres } from '../support/postgres.ts';
import { proxied, proxyV2 } from '../support/proxy-header.ts';
import { serialize, WireClient } from '../support/wire-client.ts';
import { AGENT, type Bench, bench, SCHEMA } from './support.ts';

let server: TestPostgres;
let one: Bench | undefined;
const floods: Flood[] = [];

beforeAll(async () => {
  server = await testPostgres();
  await server.createDatabase('shop');
  await server.query('shop', SCHEMA);
});
afterEach(async () => {
  for (const it_ of floods.splice(0)) it_.close();
  await one?.stop();
  one = undefined;
});
afterAll(async () => {
  await server?.stop();
});

const code = (work: Promise<WireClient>): Promise<string> =>
  work.then(
    (client) => {
      client.close();
      return 'in';
    },
    (error: { code?: string; message: string }) => error.code ?? error.message,
  );
const wrong = (port: number, user = AGENT.user): Promise<string> =>
  code(WireClient.login(port, { user, password: 'x' }));
const honest = (port: number): Promise<string> => code(WireClient.login(port, AGENT));

describe('unfinished logins', () => {
  const startup = serialize.startup({ user: AGENT.user, database: 'shop' }).toString('latin1');
  it.each([
    ['silent', ''],
    ['with half a startup packet', startup.slice(0, 9)],
    ['with a startup packet', startup],
    ['with a request for TLS', serialize.requestSsl().toString('latin1')],
  ])('500 of an address that has guessed, %s, evict none of its honest ones', async (_, bytes) => {
    one = await bench(server, 'shop', { limits: { backoffMs: 100 } });
    const { port } = one;
    await Promise.all(Array.from({ length: 30 }, () => wrong(port)));
    // At the same moment, and afterwards.
    const both = Promise.all(Array.from({ length: 5 }, () => honest(port)));
    floods.push(await flood(port, 500, bytes));
    expect(await both).toEqual(Array(5).fill('in'));
    const after = Promise.all(Array.from({ length: 5 }, () => honest(port)));
    floods.push(await flood(port, 500, bytes));
    expect(await after).toEqual(Array(5).fill('in'));
  });

  it('are bounded by what the port takes in all', async () => {
    one = await bench(server, 'shop', { limits: { total: 50 } });
    const begun = await flood(one.port, 200, '');
    floods.push(begun);
    await expect.poll(begun.open).toBeLessThanOrEqual(50);
    expect(await honest(one.port)).toBe('in');
  });
});

describe('a wrong secret', () => {
  it('is answered late where there were many, and a right one at once', async () => {
    one = await bench(server, 'shop', { limits: { backoffMs: 60_000 } });
    const { port } = one;
    for (let i = 0; i < 20; i += 1) expect(await wrong(port)).toBe('28P01');
    const late = await WireClient.open(port);
    const refused = late.authenticate({ user: AGENT.user, password: 'x' }).then(
      () => 'in',
      () => 'refused',
    );
    const first = await Promise.race([refused, honest(port)]);
    expect(first).toBe('in');
    late.close();
    expect(await refused).toBe('refused');
  });

  it('does not ask the store, a right one does; while it is away that is what is told', async () => {
    const asked: string[] = [];
    const base = await bench(server, 'shop');
    one = base;
    const { identityOf, stored } = await import('./support.ts');
    const credential = await stored(AGENT, 'Cursor');
    const away = await bench(server, 'shop', {
      identity: {
        findCredential: async (id) => (id === AGENT.user ? credential : null),
        identityOf,
        confirm: ({ id }) => {
          asked.push(id);
          return Promise.reject(new Error('away'));
        },
        verifyToken: async () => ({ refused: 'none here' }),
        suspendedBy: () => null,
        standing: () => 'live',
      },
    });
    expect(await wrong(away.port)).toBe('28P01');
    expect(asked).toEqual([]);
    const { message } = await WireClient.login(away.port, AGENT).then(
      () => new Error('it was let in'),
      (error: Error) => error,
    );
    expect(message).toContain('This says nothing about the credential');
    expect(asked).toEqual([AGENT.user]);
    await away.stop();
  });
});

describe('behind a trusted proxy', () => {
  const proxies = networksOf(['127.0.0.1']);
  const through = async (port: number, header: Buffer, login = AGENT): Promise<WireClient> => {
    const client = await WireClient.open(port);
    client.send(header);
    await client.authenticate(login);
    return client;
  };

  it('a connection is of whom the proxy says: recorded, counted and cancelled so', async () => {
    one = await bench(server, 'shop', { proxies, limits: { perAddress: 1 } });
    const first = await through(one.port, proxied('127.0.0.9'));
    expect(one.recorder.sessions.at(-1)).toMatchObject({ clientAddress: '127.0.0.9' });
    expect(await code(through(one.port, proxied('127.0.0.9')))).toBe('53300');
    expect(await code(through(one.port, proxied('127.0.0.10')))).toBe('in');
    first.close();
  });

  it('the header may come byte by byte', async () => {
    one = await bench(server, 'shop', { proxies });
    const client = await WireClient.open(one.port);
    client.socket.setNoDelay(true);
    for (const byte of proxied('127.0.0.9')) {
      client.send(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await client.authenticate(AGENT);
    expect(one.recorder.sessions.at(-1)).toMatchObject({ clientAddress: '127.0.0.9' });
    client.close();
  });

  it('the proxy’s own connections are its own', async () => {
    one = await bench(server, 'shop', { proxies });
    expect(await code(through(one.port, proxyV2(0x20, 0x11, proxied('192.0.2.1').subarray(16))))).toBe('in');
    expect(one.recorder.sessions.at(-1)).toMatchObject({ clientAddress: '127.0.0.1' });
  });

  it('whose clients are elsewhere, TLS is needed', async () => {
    const pair = (name: string) => readFileSync(new URL(`../support/tls/server.${name}`, import.meta.url));
    one = await bench(server, 'shop', { proxies, tls: { key: pair('key'), cert: pair('crt') } });
    const refused = await through(one.port, proxied('203.0.113.9')).catch((error: Error) => error.message);
    expect(refused).toMatch(/TLS/);
    const plain = await WireClient.open(one.port);
    plain.socket.removeAllListeners('data');
    plain.send(proxied('203.0.113.9'), serialize.requestSsl());
    await new Promise<void>((resolve) => plain.socket.once('data', () => resolve()));
    const socket = connectTls({ socket: plain.socket, rejectUnauthorized: false });
    await new Promise((resolve) => socket.once('secureConnect', resolve));
    const client = new WireClient(socket);
    await client.authenticate(AGENT);
    expect(one.recorder.sessions.at(-1)).toMatchObject({ clientAddress: '203.0.113.9' });
    client.close();
  });

  it.each([
    ['no header', Buffer.alloc(0)],
    ['a header of version 1', Buffer.from('PROXY TCP4 203.0.113.9 127.0.0.1 4711 7432\r\n')],
    ['a malformed header', proxyV2(0x21, 0x11, Buffer.alloc(3))],
    ['a header that is too long', proxyV2(0x20, 0x00, Buffer.alloc(5000))],
    ['a second header', Buffer.concat([proxied('127.0.0.9'), proxied('127.0.0.10')])],
  ])('a connection with %s is closed', async (_, header) => {
    one = await bench(server, 'shop', { proxies });
    expect(await code(through(one.port, header))).toBe('the gateway closed the link');
    expect(one.recorder.sessions).toEqual([]);
  });

  it('elsewhere a header is no startup packet', async () => {
    one = await bench(server, 'shop', { proxies: networksOf(['192.0.2.0/24']) });
    expect(await code(through(one.port, proxied('127.0.0.9')))).toBe('the gateway closed the link');
    expect(await honest(one.port)).toBe('in');
  });

  it('one client’s wrong secrets and silence are nothing to the others', async () => {
    one = await bench(server, 'shop', { proxies, limits: { backoffMs: 60_000, loggingIn: 5 } });
    const { port } = one;
    const refuse = () => code(through(port, proxied('127.0.0.66'), { user: AGENT.user, password: 'x' }));
    for (let i = 0; i < 20; i += 1) expect(await refuse()).toBe('28P01');
    floods.push(await flood(port, 100, proxied('127.0.0.66').toString('latin1')));
    floods.push(await flood(port, 100, ''));
    expect(await code(through(port, proxied('127.0.0.9'), { user: AGENT.user, password: 'x' }))).toBe(
      '28P01',
    );
    expect(await code(through(port, proxied('127.0.0.9')))).toBe('in');
  });
});

describe('a login that fails', () => {
  it('leaves a trace: from where, what was named, whose it is, why', async () => {
    const failures: FailedLogin[] = [];
    one = await bench(server, 'shop', { onLoginFailed: (failure) => failures.push(failure) });
    const { port, revoked } = one;
    await wrong(port);
    await wrong(port, 'cred_nobody');
    await wrong(port, 'bob');
    await code(WireClient.login(port, AGENT, { database: 'elsewhere' }));
    revoked.add(AGENT.user);
    await honest(port);
    (await WireClient.open(port)).close();
    await flood(port, 3, '').then((it_) => it_.close());
    const alice = 'alice@example.com';
    expect(failures.map(({ claimed, owner, reason }) => [reason, claimed, owner?.id])).toEqual([
      ['wrong-secret', AGENT.user, alice],
      ['unknown', 'cred_nobody', undefined],
      ['in-clear', 'bob', undefined],
      ['unknown-target', AGENT.user, alice],
      ['revoked', AGENT.user, alice],
    ]);
    expect(failures.every(({ address, via }) => address === '127.0.0.1' && via === 'gateway')).toBe(true);
    expect(JSON.stringify(failures)).not.toContain(AGENT.password);
  });
});
