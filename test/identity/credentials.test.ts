import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import { afterEach, describe, expect, test } from 'vitest';
import { createAccess, TooManyFailures } from '../../src/identity/access.ts';
import { checkProof, createIdentity, decoyVerifier, makeVerifier } from '../../src/identity/index.ts';
import { createDirectory } from '../../src/identity/roles.ts';
import { DANA, memoryCredentials } from '../console/fakes.ts';

const log = { info() {}, warn() {} };
const ALICE = { id: 'alice@example.com', name: 'Alice', email: 'alice@example.com' };
const open: { close(): void }[] = [];
afterEach(() => {
  for (const one of open.splice(0)) one.close();
});

function setUp(refreshMs = 3_600_000) {
  const clock = { now: 1_000_000 };
  const credentials = memoryCredentials();
  const service = createIdentity({
    issuers: [],
    credentials,
    now: () => clock.now,
    log,
    refreshMs,
  });
  open.push(service);
  return { clock, credentials, service };
}
const input = { owner: ALICE, agent: 'Cursor', groups: ['dev'], ttlMs: 3_600_000 };

describe('a minted credential', () => {
  test('is stored as a verifier only, and is found again', async () => {
    const { service, credentials } = setUp();
    const minted = await service.mint(input);
    expect(minted.id).toMatch(/^cred_[0-9a-f]{24}$/);
    expect(minted.secret).toMatch(/^hpc_[A-Za-z0-9_-]{43}$/);
    expect(JSON.stringify([...credentials.stored.values()])).not.toContain(minted.secret);
    expect(await service.findCredential(minted.id)).toMatchObject({
      owner: ALICE,
      agent: 'Cursor',
      scram: { iterations: 4096 },
    });
    for (const id of ['cred_x', `${minted.id} `, "cred_'; drop", 'jwt:a'])
      expect(await service.findCredential(id)).toBeNull();
  });

  test('lives until it expires, is revoked or its owner is suspended', async () => {
    const { service, clock } = setUp();
    const minted = await service.mint(input);
    const found = await service.findCredential(minted.id);
    if (found === null) throw new Error('not found');
    const who = service.identityOf(found);
    expect(service.standing(who)).toBe('live');
    expect(await service.suspend('Alice@Example.com ', DANA.id)).toBe(true);
    expect(service.isSuspended([ALICE.id])).toBe(true);
    expect(service.standing(who)).toBe('suspended');
    expect(await service.suspend(ALICE.id, 'somebody else')).toBe(false);
    expect(service.suspendedBy(who)).toBe(DANA.id);
    expect(await service.unsuspend(ALICE.id)).toBe(true);
    clock.now = minted.expiresAt;
    expect(service.standing(who)).toBe('expired');
    expect(await service.revoke(minted.id)).toBe(true);
    expect(await service.revoke(minted.id)).toBe(false);
    expect(service.standing(who)).toBe('revoked');
  });

  test('revoked elsewhere is noticed by the refresh', async () => {
    const { service, credentials, clock } = setUp(5);
    const minted = await service.mint(input);
    const found = await service.findCredential(minted.id);
    if (found === null) throw new Error('not found');
    await credentials.revokeCredential(minted.id, clock.now);
    await expect.poll(() => service.standing(service.identityOf(found))).toBe('revoked');
  });

  test.each([
    ['a lifetime of seconds', { ttlMs: 10 }],
    ['no lifetime', { ttlMs: Number.NaN }],
    ['a year', { ttlMs: 366 * 86_400_000 }],
    ['a group with a line end', { groups: ['a\nb'] }],
    ['an empty agent', { agent: ' ' }],
  ])('with %s is refused', async (_name, patch) => {
    await expect(setUp().service.mint({ ...input, ...patch })).rejects.toThrow(RangeError);
  });
});

/** The client's side of RFC 5802, written out. */
function proofOf(secret: string, salt: string, iterations: number, message: string): string {
  const salted = pbkdf2Sync(secret, Buffer.from(salt, 'base64'), iterations, 32, 'sha256');
  const key = createHmac('sha256', salted).update('Client Key').digest();
  const stored = createHash('sha256').update(key).digest();
  const signature = createHmac('sha256', stored).update(message).digest();
  return Buffer.from(key.map((byte, i) => byte ^ (signature[i] ?? 0))).toString('base64');
}

describe('SCRAM', () => {
  test('gives the exchange of RFC 7677', async () => {
    const verifier = await makeVerifier('pencil', Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64'));
    const message =
      'n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0';
    expect(checkProof(verifier, message, 'dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=')).toEqual({
      serverSignature: '6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=',
    });
    expect(checkProof(verifier, `${message}x`, 'dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=')).toBeNull();
    expect(checkProof(verifier, message, 'AAAA')).toBeNull();
  });

  test('takes the minted secret and no other', async () => {
    const { service } = setUp();
    const minted = await service.mint(input);
    const scram = (await service.findCredential(minted.id))?.scram;
    if (scram === undefined) throw new Error('not found');
    expect(checkProof(scram, 'm', proofOf(minted.secret, scram.salt, 4096, 'm'))).not.toBeNull();
    expect(checkProof(scram, 'm', proofOf(`${minted.secret}x`, scram.salt, 4096, 'm'))).toBeNull();
  });

  test('answers an unknown name steadily and lets nobody in', () => {
    const key = Buffer.alloc(32, 1);
    expect(decoyVerifier(key, 'cred_a')).toEqual(decoyVerifier(key, 'cred_a'));
    expect(decoyVerifier(key, 'cred_a').salt).not.toBe(decoyVerifier(key, 'cred_b').salt);
    const decoy = decoyVerifier(key, 'cred_a');
    expect(checkProof(decoy, 'm', proofOf('guess', decoy.salt, decoy.iterations, 'm'))).toBeNull();
  });
});

describe('approver access', () => {
  function access(approvers = [DANA]) {
    const clock = { now: 1_000_000 };
    const credentials = memoryCredentials();
    const directory = createDirectory({
      approvers,
      roles: {},
      policyAdmins: new Set(),
      login: 'https://id client',
    });
    return { clock, credentials, access: createAccess({ credentials, directory, now: () => clock.now }) };
  }

  test('a link becomes one token, once; only digests are stored', async () => {
    const { access: a, credentials } = access();
    const link = await a.mintLink(DANA.id);
    const both = await Promise.all([a.redeemLink(link, 'token'), a.redeemLink(link, 'session')]);
    const [grant] = both.filter((one) => one !== null);
    expect(both.filter((one) => one !== null)).toHaveLength(1);
    expect(await a.authenticate(grant?.secret ?? '')).toMatchObject(DANA);
    const kept = JSON.stringify([...credentials.access.values()]);
    expect(kept).not.toContain(link);
    expect(kept).not.toContain(grant?.secret);
  });

  test('a link older than ten minutes, or used as a token, is nothing', async () => {
    const { access: a, clock } = access();
    const link = await a.mintLink(DANA.id);
    expect(await a.authenticate(link)).toBeNull();
    clock.now += 10 * 60_000;
    expect(await a.redeemLink(link, 'token')).toBeNull();
    await expect(a.mintLink('nobody')).rejects.toThrow(/approver/);
  });

  test('who is configured no more has no access, whatever they hold', async () => {
    const { access: a, credentials, clock } = access();
    const grant = await a.redeemLink(await a.mintLink(DANA.id), 'token');
    const directory = createDirectory({ approvers: [], roles: {}, policyAdmins: new Set(), login: null });
    const after = createAccess({ credentials, directory, now: () => clock.now });
    expect(await after.authenticate(grant?.secret ?? '')).toBeNull();
  });

  test('wrong secrets are limited by source; who is logged in is not locked out', async () => {
    const { access: a, clock } = access();
    await a.issued.load();
    const grant = await a.redeemLink(await a.mintLink(DANA.id), 'token', 'home');
    const secret = grant?.secret ?? '';
    expect(await a.authenticate(secret, 'home')).toMatchObject(DANA);
    for (let i = 0; i < 20; i += 1) expect(await a.authenticate(`hpa_${'x'.repeat(43)}`, 'home')).toBeNull();
    await expect(a.authenticate(`hpa_${'y'.repeat(43)}`, 'home')).rejects.toThrow(TooManyFailures);
    await expect(a.redeemLink(`hpl_${'y'.repeat(43)}`, 'token', 'home')).rejects.toThrow(TooManyFailures);
    expect(await a.authenticate(secret, 'home')).toMatchObject(DANA);
    expect(await a.authenticate(`hpa_${'y'.repeat(43)}`, 'elsewhere')).toBeNull();
    clock.now += 120_000;
    expect(await a.authenticate(`hpa_${'y'.repeat(43)}`, 'home')).toBeNull();
  });

  test('an ended token is nothing', async () => {
    const { access: a } = access();
    const grant = await a.redeemLink(await a.mintLink(DANA.id), 'token');
    expect(await a.end(grant?.secret ?? '')).toBe(true);
    expect(await a.authenticate(grant?.secret ?? '')).toBeNull();
  });

  test('whatever comes of a login ends with it, is ended for all at once, and not begun while suspended', async () => {
    const { access: a, clock, credentials } = access();
    const login = {
      issuer: 'https://id',
      clientId: 'client',
      subject: 'u1',
      email: null,
      name: 'Uma',
      groups: [],
      until: clock.now + 3_600_000,
    };
    const session = await a.login(login);
    expect(session).toMatchObject({ expiresAt: login.until, person: { id: 'https://id|u1' } });
    const token = await a.redeemLink((await a.linkFor(session?.secret ?? '')) ?? '', 'token');
    expect(token?.expiresAt).toBe(login.until);
    expect((await a.active()).map(({ kind, via }) => [kind, via])).toEqual([
      ['session', 'login'],
      ['token', 'login'],
    ]);
    expect(await a.endAll('https://id|u1')).toBe(2);
    expect(await a.authenticate(token?.secret ?? '')).toBeNull();

    const again = await a.login(login);
    await credentials.suspend({ personId: 'https://id|u1', by: 'x', at: 1 });
    expect(await a.authenticate(again?.secret ?? '')).toBeNull();
    expect(await a.login(login)).toBeNull();
    expect(await a.login({ ...login, clientId: 'another' })).toBeNull();
  });
});
