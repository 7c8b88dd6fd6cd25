import { createServer } from 'node:http';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { OAuth2Server } from 'oauth2-mock-server';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { createIdentity, type IdentityOptions } from '../../src/identity/index.ts';
import { memoryCredentials } from '../console/fakes.ts';

const idp = new OAuth2Server();
const other = new OAuth2Server();
let issuer = '';
const open: { close(): void }[] = [];
beforeAll(async () => {
  await idp.issuer.keys.generate('RS256');
  await other.issuer.keys.generate('RS256');
  await Promise.all([idp.start(0, '127.0.0.1'), other.start(0, '127.0.0.1')]);
  const { port } = idp.address();
  idp.issuer.url = `http://127.0.0.1:${port}`;
  issuer = idp.issuer.url;
});
afterAll(async () => {
  for (const one of open) one.close();
  await Promise.all([idp.stop(), other.stop()]);
});

const log = { info() {}, warn() {} };
function identity(claims: NonNullable<IdentityOptions['issuers'][number]['claims']> = {}, now = Date.now) {
  const credentials = memoryCredentials();
  const service = createIdentity({
    issuers: [{ issuer, audience: 'holdpoint', claims }],
    credentials,
    now,
    log,
  });
  open.push(service);
  return { service, credentials };
}
const token = (payload: object = {}, header: object = {}, server = idp) =>
  server.issuer.buildToken({
    scopesOrTransform: (head, body) => {
      Object.assign(body, { sub: 'u1', aud: 'holdpoint', iss: issuer, ...payload });
      Object.assign(head, header);
    },
  });

describe('a token', () => {
  test('of the configured issuer becomes an identity', async () => {
    const { service } = identity({ agent: 'act_as', groups: 'roles.all' });
    const given = await token({
      email: 'Alice@Example.com',
      name: 'Alice',
      roles: { all: ['dev', 'dev'] },
      act_as: 'Cursor',
      jti: 'a',
    });
    expect(await service.verifyToken(given)).toMatchObject({
      subject: 'u1',
      owner: { id: 'alice@example.com', name: 'Alice', email: 'alice@example.com' },
      agent: 'Cursor',
      groups: ['dev'],
      via: 'oidc',
    });
  });

  test('with an unverified e-mail has its subject as owner', async () => {
    const result = await identity().service.verifyToken(
      await token({ email: 'alice@example.com', email_verified: false }),
    );
    expect(result).toMatchObject({ owner: { id: `${issuer}|u1`, email: null } });
  });

  test.each([
    ['another audience', { aud: 'other' }, {}, /audience/],
    ['no audience', { aud: undefined }, {}, /audience/],
    ['the past', { exp: 1_000 }, {}, /expired/],
    ['no expiry', { exp: undefined }, {}, /exp/],
    ['an unknown issuer', { iss: 'https://evil.example' }, {}, /issuer/],
    ['the future', { nbf: Math.floor(Date.now() / 1000) + 600 }, {}, /not valid yet/],
    ['another type', {}, { typ: 'logout+jwt' }, /type/],
    ['too many groups', { groups: Array.from({ length: 201 }, (_, i) => `g${i}`) }, {}, /groups/],
    ['a group that is no text', { groups: ['ok', 7] }, {}, /groups/],
    ['no subject', { sub: undefined }, {}, /sub/],
    ['a subject of control characters', { sub: 'a\nb' }, {}, /sub/],
  ])('of %s is refused', async (_name, payload, header, why) => {
    expect(await identity().service.verifyToken(await token(payload, header))).toEqual({
      refused: expect.stringMatching(why),
    });
  });

  test('signed by another key, with alg none or HS256 is refused', async () => {
    const { service } = identity();
    const good = await token();
    const [head = '', body = ''] = good.split('.');
    const headed = (alg: string) => Buffer.from(JSON.stringify({ alg, typ: 'JWT' })).toString('base64url');
    for (const forged of [
      await token({}, {}, other),
      `${headed('none')}.${body}.`,
      `${headed('HS256')}.${body}.AAAA`,
      `${head}.${body}.AAAA`,
      'x',
      '',
    ]) {
      expect(await service.verifyToken(forged)).toHaveProperty('refused');
    }
    expect(await service.verifyToken('a'.repeat(20_000))).toEqual({
      refused: expect.stringMatching(/large/),
    });
  });

  test('without the configured owner claim is refused rather than owned by its subject', async () => {
    const { service } = identity({ owner: 'on_behalf_of' });
    expect(await service.verifyToken(await token())).toHaveProperty('refused');
    expect(await service.verifyToken(await token({ on_behalf_of: 'Bob@x.io' }))).toMatchObject({
      owner: { id: 'bob@x.io' },
    });
  });

  test('can be revoked by its id and is then refused', async () => {
    const { service } = identity();
    const given = await token({ jti: 'r1' });
    const who = await service.verifyToken(given);
    if ('refused' in who) throw new Error(who.refused);
    expect(await service.revoke(who.credentialId)).toBe(true);
    expect(service.standing(who)).toBe('revoked');
    expect(await service.verifyToken(given)).toMatchObject({ refused: expect.stringMatching(/revoked/) });
  });

  test('is refused while the store cannot tell what was revoked', async () => {
    const credentials = { ...memoryCredentials(), revokedSince: () => Promise.reject(new Error('down')) };
    const service = createIdentity({
      issuers: [{ issuer, audience: 'holdpoint' }],
      credentials,
      now: Date.now,
      log,
    });
    open.push(service);
    expect(await service.verifyToken(await token())).toEqual({ refused: expect.stringMatching(/revoked/) });
  });

  test('whose issuer is unreachable is refused', async () => {
    const dead = 'http://127.0.0.1:9';
    const service = createIdentity({
      issuers: [{ issuer: dead, audience: 'holdpoint' }],
      credentials: memoryCredentials(),
      now: Date.now,
      log,
    });
    open.push(service);
    expect(await service.verifyToken(await token({ iss: dead }))).toEqual({
      refused: expect.stringMatching(/keys/),
    });
  });
});

test('issuers that cannot be trusted are refused at start', () => {
  const make = (config: object) => () =>
    createIdentity({
      issuers: [{ issuer: 'https://a.example', audience: 'x', ...config }],
      credentials: memoryCredentials(),
      now: Date.now,
      log,
    });
  expect(make({ issuer: 'http://idp.example' })).toThrow(/https/);
  expect(make({ algorithms: ['HS256'] })).toThrow(/HS256/);
  expect(make({ algorithms: [] })).toThrow();
  expect(make({ audience: '' })).toThrow(/audience/);
});

test('a new signing key is fetched when its first token comes, an old one counts no longer, and unknown ones do not hammer the issuer', async () => {
  const made = async (kid: string) => {
    const pair = await generateKeyPair('RS256');
    const jwk = { ...(await exportJWK(pair.publicKey)), kid, alg: 'RS256', use: 'sig' };
    const sign = () =>
      new SignJWT({ sub: 'u1', aud: 'holdpoint', iss: rotating })
        .setProtectedHeader({ alg: 'RS256', kid })
        .setIssuedAt()
        .setExpirationTime('1h')
        .sign(pair.privateKey);
    return { jwk, sign };
  };
  let asked = 0;
  let published: object[] = [];
  const server = createServer((request, response) => {
    const keys = request.url === '/keys';
    if (keys) asked += 1;
    response.setHeader('content-type', 'application/json');
    response.end(
      JSON.stringify(keys ? { keys: published } : { issuer: rotating, jwks_uri: `${rotating}/keys` }),
    );
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  const rotating = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
  const [first, second, foreign] = [await made('first'), await made('second'), await made('foreign')];
  published = [first.jwk];
  const service = createIdentity({
    issuers: [{ issuer: rotating, audience: 'holdpoint' }],
    credentials: memoryCredentials(),
    now: Date.now,
    log,
  });
  open.push(service);
  try {
    expect(await service.verifyToken(await first.sign())).toMatchObject({ subject: 'u1' });
    published = [second.jwk];
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 60_000 });
    expect(await service.verifyToken(await second.sign())).toMatchObject({ subject: 'u1' });
    expect(asked).toBe(2);
    const told = { refused: expect.stringMatching(/no such signing key/) };
    for (const sign of [first.sign, ...Array.from({ length: 20 }, () => foreign.sign)])
      expect(await service.verifyToken(await sign())).toEqual(told);
    expect(asked).toBe(2);
  } finally {
    vi.useRealTimers();
    server.close();
    server.closeAllConnections();
  }
});
