import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { connect as connectTls } from 'node:tls';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type TestPostgres, testPostgres } from '../support/postgres.ts';
import { serialize, trace, WireClient } from '../support/wire-client.ts';
import { AGENT, type Bench, bench, SCHEMA } from './support.ts';

let server: TestPostgres;
let plain: Bench;
let encrypted: Bench;

beforeAll(async () => {
  server = await testPostgres();
  await server.createDatabase('shop');
  await server.query('shop', `${SCHEMA} create role boss superuser login password 'boss-secret';`);
  const pair = (name: string) => readFileSync(new URL(`../support/tls/server.${name}`, import.meta.url));
  plain = await bench(server, 'shop');
  encrypted = await bench(server, 'shop', {
    tls: { key: pair('key'), cert: pair('crt') },
  });
});
afterAll(async () => {
  await plain?.stop();
  await encrypted?.stop();
  await server?.stop();
});

const refused = async (work: Promise<unknown>): Promise<{ code: string; message: string }> =>
  work.then(
    () => Promise.reject(new Error('it was let in')),
    (error: { code: string; message: string }) => error,
  );
const login = (config: pg.ClientConfig & { port: number; replication?: string }): Promise<pg.QueryResult> => {
  const client = new pg.Client({ host: '127.0.0.1', database: 'shop', ...AGENT, ...config });
  client.on('error', () => {});
  return client
    .connect()
    .then(() => client.query('select current_user as who'))
    .finally(() => client.end().catch(() => {}));
};

describe('login', () => {
  it('lets a credential in as the login of its level', async () => {
    expect((await login({ port: plain.port })).rows).toEqual([{ who: 'app' }]);
    expect(plain.recorder.sessions.at(-1)).toMatchObject({
      credentialId: 'cred_agent',
      role: 'app',
      target: 'shop',
    });
  });

  it('answers a wrong secret and an unknown user alike', async () => {
    const wrong = await refused(login({ port: plain.port, password: 'x' }));
    const unknown = await refused(login({ port: plain.port, user: 'cred_nobody' }));
    expect(wrong).toMatchObject({ code: '28P01' });
    expect(unknown.message).toBe(wrong.message);
    // The salt of an unknown user is stable, as that of a known one is.
    const salts = new Set<string>();
    for (let i = 0; i < 2; i++) {
      const client = await WireClient.open(plain.port);
      client.send(serialize.startup({ user: 'cred_nobody', database: 'shop' }));
      await client.next();
      client.send(serialize.sendSASLInitialResponseMessage('SCRAM-SHA-256', 'n,,n=,r=abc'));
      salts.add(/s=([^,]+)/.exec((await client.next()).bytes.toString('latin1'))?.[1] ?? '');
      client.close();
    }
    expect(salts.size).toBe(1);
  });

  it('takes a token over TLS only', async () => {
    const token = { user: 'bob', password: 'good-token' };
    expect(await refused(login({ port: plain.port, ...token }))).toMatchObject({
      code: '28000',
      message: /only over TLS/,
    });
    const ssl = { rejectUnauthorized: false };
    expect((await login({ port: encrypted.port, ...token, ssl })).rows).toEqual([{ who: 'app' }]);
    expect(await refused(login({ port: encrypted.port, ...token, password: 'bad', ssl }))).toMatchObject({
      code: '28P01',
    });
    expect((await login({ port: encrypted.port, ssl })).rows).toEqual([{ who: 'app' }]);
  });

  it('takes direct TLS', async () => {
    const socket = connectTls({
      host: '127.0.0.1',
      port: encrypted.port,
      rejectUnauthorized: false,
      ALPNProtocols: ['postgresql'],
    });
    await new Promise((resolve) => socket.once('secureConnect', resolve));
    const client = new WireClient(socket);
    await client.authenticate(AGENT);
    client.send(serialize.query('select 1'));
    expect((await client.ready()).at(-1)).toBe('Z:I');
    client.close();
  });

  it('refuses bytes sent ahead of the answer to SSLRequest', async () => {
    const client = await WireClient.open(encrypted.port);
    client.send(serialize.requestSsl(), serialize.startup({ user: 'cred_agent', database: 'shop' }));
    expect(await client.end()).toEqual([]);
  });

  it('answers GSSENC and SSL with one byte each, once', async () => {
    const client = await WireClient.open(plain.port);
    const bytes: Buffer[] = [];
    client.socket.removeAllListeners('data');
    client.socket.on('data', (chunk: Buffer) => bytes.push(chunk));
    const answered = (): Promise<void> =>
      new Promise((resolve) => client.socket.once('data', () => resolve()));
    for (const code of [80877104, 80877103]) {
      const request = Buffer.alloc(8);
      request.writeInt32BE(8, 0);
      request.writeInt32BE(code, 4);
      const answer = answered();
      client.send(request);
      await answer;
    }
    expect(Buffer.concat(bytes).toString()).toBe('NN');
    client.send(serialize.requestSsl());
    await client.end();
    expect(Buffer.concat(bytes).toString()).toBe('NN');
  });

  it('refuses unknown targets, no access, replication and settings that are not listed', async () => {
    expect(await refused(login({ port: plain.port, database: 'elsewhere' }))).toMatchObject({
      code: '3D000',
    });
    expect(await refused(login({ port: plain.port, replication: 'database' }))).toMatchObject({
      code: '28000',
    });
    expect(await refused(login({ port: plain.port, options: '-c role=postgres' }))).toMatchObject({
      code: '42501',
    });
    expect(
      await refused(login({ port: plain.port, options: '-c standard_conforming_strings=off' })),
    ).toMatchObject({ code: '42501' });
    expect(
      (await login({ port: plain.port, options: '-c statement_timeout=5s -c holdpoint.wait=0' })).rows,
    ).toHaveLength(1);
    const none = await bench(server, 'shop', { levelFor: () => 'none' });
    expect(await refused(login({ port: none.port }))).toMatchObject({
      code: '28000',
      message: /give no access/,
    });
    await none.stop();
  });

  it('reports UTF8 to a client that asks for another encoding', async () => {
    const client = await WireClient.login(plain.port, AGENT, { client_encoding: 'SQL_ASCII' });
    const reported = client.messages
      .filter((one) => one.type === 'S')
      .map((one) => one.bytes.subarray(5).toString());
    expect(reported).toContain('client_encoding\0UTF8\0');
    client.close();
  });

  it('negotiates what it does not know', async () => {
    const client = await WireClient.open(plain.port);
    const startup = serialize.startup({ user: 'cred_agent', database: 'shop', '_pq_.foo': '1' });
    startup.writeInt32BE(0x30002, 4);
    client.send(startup);
    expect(trace(await client.next())).toBe('v');
    expect(trace(await client.next())).toBe('R');
    client.close();
  });

  it('closes without a word on a startup packet of a bad length, as the server does', async () => {
    const answer = async (hex: string): Promise<string[]> => {
      const client = await WireClient.open(plain.port);
      client.send(Buffer.from(hex, 'hex'));
      return client.end();
    };
    // A Terminate before the startup packet reads as one of them.
    for (const hex of ['00000003', '7fffffff', 'ffffffff', '5800000004'])
      expect(await answer(hex), hex).toEqual([]);
    expect(await answer('0000000800020000')).toEqual(['E:08P01']);
  });

  it('does not wait for ever for a login', async () => {
    const hasty = await bench(server, 'shop', { limits: { loginMs: 50 } });
    const client = await WireClient.open(hasty.port);
    expect(await client.end()).toEqual(['E:28000']);
    await hasty.stop();
  });

  it.each([
    ['of one address', { loggingIn: 5 }],
    ['of one address, with its sessions', { perAddress: 5 }],
    ['in all', { total: 5 }],
  ])('is open to others however many half-open ones there are %s', async (_, limits) => {
    const small = await bench(server, 'shop', { limits });
    const idle = await Promise.all(Array.from({ length: 50 }, () => WireClient.open(small.port)));
    for (let i = 0; i < 5; i++) {
      const client = await WireClient.login(small.port, AGENT);
      expect(small.gateway.sessions()).toHaveLength(1);
      client.close();
      await expect.poll(() => small.gateway.sessions()).toEqual([]);
    }
    for (const one of idle) one.close();
    await small.stop();
  });

  it('ends no session for a connection that is one too many', async () => {
    const small = await bench(server, 'shop', { limits: { perAddress: 2 } });
    const two = [await WireClient.login(small.port, AGENT), await WireClient.login(small.port, AGENT)];
    await expect(WireClient.login(small.port, AGENT)).rejects.toMatchObject({ code: '53300' });
    for (const one of two) {
      one.send(serialize.query('select 1'));
      expect(await one.ready()).toContain('C:SELECT 1');
      one.close();
    }
    await small.stop();
  });

  it('counts the connections of an owner that come in the same moment', async () => {
    const small = await bench(server, 'shop', { limits: { perOwner: 3 } });
    const tried = await Promise.allSettled(
      Array.from({ length: 8 }, () => WireClient.login(small.port, AGENT)),
    );
    const kept = tried.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    expect(kept).toHaveLength(3);
    for (const one of tried)
      if (one.status === 'rejected') expect(one.reason).toMatchObject({ code: '53300' });
    for (const one of kept) one.close();
    await expect.poll(() => small.gateway.sessions()).toEqual([]);
    (await WireClient.login(small.port, AGENT)).close();
    await small.stop();
  });

  it('refuses an upstream login with too many privileges unless it is accepted by name', async () => {
    const logins = { 'read-write': { user: 'boss', password: 'boss-secret' } };
    const strict = await bench(server, 'shop', { target: { logins } });
    expect(await refused(login({ port: strict.port }))).toMatchObject({ message: /SUPERUSER/ });
    await strict.stop();
    const accepting = await bench(server, 'shop', { target: { logins, acceptPrivileges: ['SUPERUSER'] } });
    expect((await login({ port: accepting.port })).rows).toEqual([{ who: 'boss' }]);
    await accepting.stop();
  });

  it('says clearly that the target is down or refuses the login, without its secrets', async () => {
    const idle = createServer();
    await new Promise<void>((resolve) => idle.listen(0, '127.0.0.1', resolve));
    const address = idle.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    await new Promise((resolve) => idle.close(resolve));
    const down = await bench(server, 'shop', { target: { port } });
    expect(await refused(login({ port: down.port }))).toMatchObject({
      code: 'XX000',
      message: /shop cannot be used/,
    });
    await down.stop();
    const wrong = await bench(server, 'shop', {
      target: { logins: { 'read-write': { user: 'app', password: 'wrong-secret' } } },
    });
    const { message } = await refused(login({ port: wrong.port }));
    expect(message).toMatch(/refused the gateway's login/);
    expect(message).not.toMatch(/secret/);
    await wrong.stop();
  });
});
