import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { makeVerifier, mockVerifier, ScramClient, ScramServer } from '../../../src/gateway/wire/scram.ts';

const b = (text: string): Buffer => Buffer.from(text, 'latin1');

describe('SCRAM-SHA-256', () => {
  it('agrees with the example of RFC 7677', async () => {
    const client = new ScramClient('pencil', 'rOprNGfwEbeRWgbNEkqO');
    // PostgreSQL sends no user name in here; the RFC does, so that only the key derivation is compared.
    const verifier = await makeVerifier('pencil', Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64'), 4096);
    const server = new ScramServer(verifier, true, '%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0');
    expect(server.first(b('n,,n=user,r=rOprNGfwEbeRWgbNEkqO'))).toBe(
      'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
    );
    expect(
      server.final(
        b(
          'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
        ),
      ),
    ).toBe('v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=');
    expect(client.first()).toBe('n,,n=,r=rOprNGfwEbeRWgbNEkqO');
  });

  async function exchange(
    password: string,
    known: boolean,
    tamper: (text: string) => string = (text) => text,
  ): Promise<boolean> {
    const verifier = await makeVerifier('sécret', randomBytes(16), 4096);
    const server = new ScramServer(verifier, known, randomBytes(12).toString('base64'));
    const client = new ScramClient(password, randomBytes(12).toString('base64'));
    const first = server.first(b(client.first()));
    const answer = await client.respond(b(first ?? ''));
    const final = server.final(b(tamper(answer ?? '')));
    return final !== null && client.verify(b(final));
  }

  it('lets in who knows the password, and nobody else', async () => {
    expect(await exchange('sécret', true)).toBe(true);
    expect(await exchange('secret', true)).toBe(false);
    expect(await exchange('sécret', false)).toBe(false);
    expect(await exchange('sécret', true, (text) => text.replace('c=biws', 'c=eSws'))).toBe(false);
    expect(await exchange('sécret', true, (text) => text.replace(/r=./, 'r=#'))).toBe(false);
    expect(await exchange('sécret', true, (text) => text.slice(0, -8))).toBe(false);
  });

  it('answers malformed messages with nothing', async () => {
    const verifier = mockVerifier(Buffer.from('k'), 'cred_x', 4096);
    for (const text of [
      '',
      'n,,',
      'p=tls-unique,,n=,r=abc',
      'n,,n=',
      `n,,n=,r=${'x'.repeat(600)}`,
      'n,,m=1,n=,r=a',
    ])
      expect(new ScramServer(verifier, true, 'own').first(b(text)), text).toBeNull();
    expect(new ScramServer(verifier, true, 'own').final(b('c=biws,r=own,p=AAAA'))).toBeNull();
  });

  it('trusts no server with a foreign nonce, absurd work or no proof', async () => {
    const client = new ScramClient('p', 'mine');
    for (const text of [
      'r=other,s=AAAA,i=4096',
      'r=mine,s=AAAA,i=4096',
      'r=mineX,s=AAAA,i=100000000',
      'r=mineX,s=,i=4096',
      'r=mineX,s=AAAA,i=0',
      'x',
    ])
      expect(await client.respond(b(text)), text).toBeNull();
    await client.respond(b('r=mineX,s=AAAA,i=4096'));
    expect(client.verify(b('v=AAAA'))).toBe(false);
  });
});
