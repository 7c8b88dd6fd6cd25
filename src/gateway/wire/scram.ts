/** SCRAM-SHA-256 (RFC 5802, 7677), both sides; channel binding on the client's. Pure but for the derivation, which runs on the thread pool. */
import { createHash, createHmac, pbkdf2, timingSafeEqual } from 'node:crypto';

export const MECHANISM = 'SCRAM-SHA-256';
export const MECHANISM_PLUS = 'SCRAM-SHA-256-PLUS';
const KEY = 32;
/** A hostile server must not make us derive for minutes, nor send endless nonces. */
const MAX_ITERATIONS = 1_000_000;
const MAX_NONCE = 512;

const hmac = (key: Buffer, data: string): Buffer => createHmac('sha256', key).update(data).digest();
const sha256 = (data: Buffer): Buffer => createHash('sha256').update(data).digest();
const xor = (a: Buffer, b: Buffer): Buffer => Buffer.from(a.map((byte, i) => byte ^ (b[i] ?? 0)));

/** What a server keeps: base64. */
export interface Verifier {
  readonly iterations: number;
  readonly salt: string;
  readonly storedKey: string;
  readonly serverKey: string;
}

/** SASLprep (RFC 4013) as far as PostgreSQL needs it: ASCII stays, the rest is normalised. */
export function prepare(password: string): string {
  if (/^[\x20-\x7e]*$/.test(password)) return password;
  return password
    .replace(/[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]/g, ' ')
    .replace(/\u00ad|\u034f|\u1806|[\u180b-\u180d]|\u200c|\u200d|\u2060|[\ufe00-\ufe0f]|\ufeff/g, '')
    .normalize('NFKC');
}

export function salted(password: string, salt: Buffer, iterations: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    pbkdf2(prepare(password), salt, iterations, KEY, 'sha256', (error, key) =>
      error === null ? resolve(key) : reject(error),
    );
  });
}

export async function makeVerifier(password: string, salt: Buffer, iterations: number): Promise<Verifier> {
  const key = await salted(password, salt, iterations);
  return {
    iterations,
    salt: salt.toString('base64'),
    storedKey: sha256(hmac(key, 'Client Key')).toString('base64'),
    serverKey: hmac(key, 'Server Key').toString('base64'),
  };
}

/** The verifier of a user who does not exist: stable per name, unlike any real one, and never matched (`known` decides besides). */
export function mockVerifier(secret: Buffer, user: string, iterations: number): Verifier {
  const draw = (what: string): Buffer => hmac(secret, `scram mock ${what} ${user}`);
  return {
    iterations,
    salt: draw('salt').subarray(0, 16).toString('base64'),
    storedKey: draw('stored').toString('base64'),
    serverKey: draw('server').toString('base64'),
  };
}

type Attributes = ReadonlyMap<string, string>;
/** `r=…,s=…,i=…`: each attribute once, in any order; null when malformed. */
function attributes(text: string): Attributes | null {
  const map = new Map<string, string>();
  for (const part of text.split(',')) {
    if (part.length < 2 || part[1] !== '=') return null;
    const key = part.slice(0, 1);
    if (map.has(key)) return null;
    map.set(key, part.slice(2));
  }
  return map;
}

// ── the server's side ───────────────────────────────────────────────────────────────────────────────────────────

/** One login. `null` from any step: the exchange is malformed or the proof is wrong; the caller answers both alike. */
export class ScramServer {
  readonly #verifier: Verifier;
  readonly #known: boolean;
  readonly #ownNonce: string;
  #gs2 = '';
  #bare = '';
  #serverFirst = '';
  #nonce = '';

  constructor(verifier: Verifier, known: boolean, ownNonce: string) {
    this.#verifier = verifier;
    this.#known = known;
    this.#ownNonce = ownNonce;
  }

  /** client-first → server-first. */
  first(data: Buffer): string | null {
    const match = /^((?:n|y),(?:a=[^,]*)?,)((?:n=[^,]*),r=([\x21-\x2b\x2d-\x7e]+)(?:,.*)?)$/s.exec(
      data.toString('latin1'),
    );
    const [, gs2, bare, nonce] = match ?? [];
    if (gs2 === undefined || bare === undefined || nonce === undefined || nonce.length > MAX_NONCE)
      return null;
    this.#gs2 = gs2;
    this.#bare = bare;
    this.#nonce = nonce + this.#ownNonce;
    this.#serverFirst = `r=${this.#nonce},s=${this.#verifier.salt},i=${this.#verifier.iterations}`;
    return this.#serverFirst;
  }

  /** client-final → server-final. The same work is done whether or not the user exists. */
  final(data: Buffer): string | null {
    const text = data.toString('latin1');
    const cut = text.lastIndexOf(',p=');
    if (cut < 0 || this.#serverFirst === '') return null;
    const withoutProof = text.slice(0, cut);
    const given = attributes(withoutProof);
    const proof = Buffer.from(text.slice(cut + 3), 'base64');
    const authMessage = `${this.#bare},${this.#serverFirst},${withoutProof}`;
    const storedKey = Buffer.from(this.#verifier.storedKey, 'base64');
    const signature = hmac(storedKey, authMessage);
    const clientKey = xor(signature, proof.length === KEY ? proof : Buffer.alloc(KEY));
    const proven = timingSafeEqual(sha256(clientKey), storedKey);
    const wellFormed =
      given !== null &&
      given.get('r') === this.#nonce &&
      given.get('c') === Buffer.from(this.#gs2, 'latin1').toString('base64') &&
      proof.length === KEY;
    if (!wellFormed || !proven || !this.#known) return null;
    return `v=${hmac(Buffer.from(this.#verifier.serverKey, 'base64'), authMessage).toString('base64')}`;
  }
}

// ── the client's side ───────────────────────────────────────────────────────────────────────────────────────────

/**
 * `none`: no binding is possible. `unoffered`: it would be, but the server is said not to know it; told so, the true server finds out whether
 * somebody in between took it away.
 */
export type Binding =
  | { readonly kind: 'none' | 'unoffered' }
  | { readonly kind: 'end-point'; readonly data: Buffer };

export class ScramClient {
  readonly #password: string;
  readonly #nonce: string;
  readonly #bare: string;
  readonly #gs2: string;
  /** `c=`: the header, and what binds the channel. */
  readonly #bound: string;
  #expected: Buffer | null = null;

  constructor(password: string, nonce: string, binding: Binding = { kind: 'none' }) {
    this.#password = password;
    this.#nonce = nonce;
    this.#bare = `n=,r=${nonce}`;
    const flag = { none: 'n', unoffered: 'y', 'end-point': 'p=tls-server-end-point' }[binding.kind];
    this.#gs2 = `${flag},,`;
    const data = binding.kind === 'end-point' ? binding.data : Buffer.alloc(0);
    this.#bound = Buffer.concat([Buffer.from(this.#gs2), data]).toString('base64');
  }

  first(): string {
    return `${this.#gs2}${this.#bare}`;
  }

  /** server-first → client-final; null when the server's message is not acceptable. */
  async respond(data: Buffer): Promise<string | null> {
    const text = data.toString('latin1');
    const given = attributes(text);
    const nonce = given?.get('r') ?? '';
    const iterations = Number(given?.get('i'));
    const salt = Buffer.from(given?.get('s') ?? '', 'base64');
    if (!nonce.startsWith(this.#nonce) || nonce.length <= this.#nonce.length || nonce.length > MAX_NONCE)
      return null;
    if (!Number.isInteger(iterations) || iterations < 1 || iterations > MAX_ITERATIONS || salt.length === 0)
      return null;
    const key = await salted(this.#password, salt, iterations);
    const clientKey = hmac(key, 'Client Key');
    const withoutProof = `c=${this.#bound},r=${nonce}`;
    const authMessage = `${this.#bare},${text},${withoutProof}`;
    const proof = xor(clientKey, hmac(sha256(clientKey), authMessage));
    this.#expected = hmac(hmac(key, 'Server Key'), authMessage);
    return `${withoutProof},p=${proof.toString('base64')}`;
  }

  /** server-final: does the server know the password too? */
  verify(data: Buffer): boolean {
    const given = Buffer.from(attributes(data.toString('latin1'))?.get('v') ?? '', 'base64');
    return this.#expected !== null && given.length === KEY && timingSafeEqual(given, this.#expected);
  }
}
