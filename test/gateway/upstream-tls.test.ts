/** The link to a target over TLS: verified by default, the login bound to the server's certificate. */
import { chmodSync, chownSync, copyFileSync, readFileSync, statSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls, TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Target } from '../../src/gateway/types.ts';
import { signatureAlgorithm } from '../../src/gateway/upstream/binding.ts';
import { type TestPostgres, testPostgres } from '../support/postgres.ts';
import { serialize, WireClient } from '../support/wire-client.ts';
import { AGENT, type Bench, bench, SCHEMA } from './support.ts';

const file = (name: string) => new URL(`../support/tls/server.${name}`, import.meta.url);
const ca = readFileSync(file('crt'), 'utf8');
let server: TestPostgres;
const open: { close?(): unknown; stop?(): Promise<void> }[] = [];
beforeAll(async () => {
  server = await testPostgres();
  await server.createDatabase('shop');
  await server.query('shop', SCHEMA);
  const directory = String((await server.query('shop', 'show data_directory')).rows[0]?.data_directory);
  const { uid, gid } = statSync(directory);
  for (const name of ['key', 'crt']) {
    const path = join(directory, `server.${name}`);
    copyFileSync(file(name), path);
    chmodSync(path, 0o600);
    chownSync(path, uid, gid);
  }
  await server.query('shop', 'alter system set ssl = on');
  await server.query('shop', 'select pg_reload_conf()');
  await vi.waitFor(async () =>
    expect((await server.query('shop', 'show ssl')).rows).toEqual([{ ssl: 'on' }]),
  );
});
afterAll(async () => {
  for (const one of open) {
    one.close?.();
    await one.stop?.();
  }
  await server?.stop();
});

async function at(target: Partial<Target>): Promise<Bench> {
  const one = await bench(server, 'shop', { target });
  open.push(one);
  return one;
}
async function backend(through: Bench): Promise<string[]> {
  const client = await WireClient.login(through.port, AGENT);
  client.send(serialize.query('select 1'));
  const seen = await client.ready();
  client.close();
  return seen;
}

/** Stands in between with the server's own key, as who has stolen it could; `offer` changes what the server offers. */
async function between(offer: (bytes: Buffer) => Buffer): Promise<{ port: number; said: () => string }> {
  let said = '';
  const relay: Server = createServer((socket: Socket) => {
    socket.once('data', () => {
      socket.write('S');
      const inner = new TLSSocket(socket, { isServer: true, key: readFileSync(file('key')), cert: ca });
      const outer = connectTcpTls();
      inner.on('data', (bytes: Buffer) => {
        said += bytes.toString('latin1');
        void outer.then((to) => to.write(bytes));
      });
      inner.on('error', () => {});
      inner.on('close', () => void outer.then((to) => to.destroy()));
      void outer.then((from) => {
        from.on('data', (bytes: Buffer) => inner.write(offer(bytes)));
        from.on('error', () => {});
        from.on('close', () => inner.destroy());
      });
    });
    socket.on('error', () => {});
  }).listen(0, '127.0.0.1');
  open.push(relay);
  await new Promise((resolve) => relay.once('listening', resolve));
  const address = relay.address();
  return { port: typeof address === 'object' ? (address?.port ?? 0) : 0, said: () => said };
}
async function connectTcpTls(): Promise<TLSSocket> {
  const { socket } = await WireClient.open(server.port);
  socket.removeAllListeners('data');
  socket.write(serialize.requestSsl());
  await new Promise((resolve) => socket.once('data', resolve));
  const secure = connectTls({ socket, rejectUnauthorized: false });
  await new Promise((resolve) => secure.once('secureConnect', resolve));
  return secure;
}

describe('the link to a target over TLS', () => {
  it('is verified: name and authority', async () => {
    expect(await backend(await at({ host: 'localhost', tls: 'verify-full', ca }))).toContain('C:SELECT 1');
    await expect(backend(await at({ host: 'localhost', tls: 'verify-full' }))).rejects.toMatchObject({
      code: 'XX000',
    });
    expect(await backend(await at({ tls: 'require' }))).toContain('C:SELECT 1');
  });

  it('binds the login to the certificate where the server offers it', async () => {
    const relay = await between((bytes) => bytes);
    expect(await backend(await at({ port: relay.port, tls: 'require' }))).toContain('C:SELECT 1');
    expect(relay.said()).toContain('SCRAM-SHA-256-PLUS\0');
    expect(relay.said()).toContain('p=tls-server-end-point,,');
  });

  it('does not log in where somebody takes the offer away', async () => {
    const relay = await between((bytes) => {
      const at = bytes.indexOf('SCRAM-SHA-256-PLUS\0');
      if (at < 0) return bytes;
      const rest = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 'SCRAM-SHA-256-PLUS\0'.length)]);
      rest.writeInt32BE(rest.length - 1, 1);
      return rest;
    });
    await expect(backend(await at({ port: relay.port, tls: 'require' }))).rejects.toMatchObject({
      code: 'XX000',
    });
    expect(relay.said()).toContain('y,,');
  });

  it('reads the signature algorithm of whatever bytes, or none', () => {
    const whole = Buffer.from(ca.replace(/-----[^-]+-----|\s/g, ''), 'base64');
    expect(signatureAlgorithm(whole)).toBe('2a8648ce3d040302');
    for (let i = 0; i < whole.length; i++) expect(signatureAlgorithm(whole.subarray(0, i))).toBeNull();
  });
});
