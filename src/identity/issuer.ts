/**
 * What an OIDC issuer is configured with, its discovery document (OpenID Connect Discovery 1.0, section 4) and its keys.
 * Everything fetched is bounded in time and size, redirects are refused, and plain HTTP is for loopback alone.
 */
import { createRemoteJWKSet, customFetch, type RemoteJWKSet } from 'jose';

export interface IssuerConfig {
  /** Exactly the token's `iss`. */
  readonly issuer: string;
  readonly audience: string;
  /** Default: DEFAULT_ALGORITHMS. Symmetric algorithms and `none` are refused. */
  readonly algorithms?: readonly string[];
  readonly claims?: {
    readonly groups?: string;
    readonly owner?: string;
    readonly agent?: string;
    readonly email?: string;
  };
}

export const ASYMMETRIC = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
] as const;
const DEFAULT_ALGORITHMS: readonly string[] = ['RS256', 'PS256', 'ES256', 'EdDSA', 'Ed25519'];

export const FETCH_TIMEOUT_MS = 5_000;
const MAX_BODY_BYTES = 256 * 1024;
const DISCOVERY_LIFETIME_MS = 60 * 60_000;
/** After a failure an issuer is left alone this long: a flood of logins must not become a flood of fetches. */
const RETRY_AFTER_MS = 5_000;

const LOOPBACK = new Set(['127.0.0.1', 'localhost', '[::1]']);

/** Thrown at start: the message says what is wrong with the configuration. */
export class IssuerConfigError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'IssuerConfigError';
  }
}

export function trusted(text: string): URL | null {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return null;
  }
  if (url.username !== '' || url.password !== '') return null;
  if (url.protocol === 'https:') return url;
  return url.protocol === 'http:' && LOOPBACK.has(url.hostname) ? url : null;
}

/** Reads a body up to the bound; a longer one is an error, however the length was announced. */
export async function boundedFetch(url: string, init: RequestInit): Promise<Response> {
  const response = await fetch(url, { ...init, redirect: 'error' });
  const chunks: Uint8Array[] = [];
  let size = 0;
  if (response.body !== null) {
    for await (const chunk of response.body) {
      size += chunk.byteLength;
      if (size > MAX_BODY_BYTES) throw new Error(`the answer is larger than ${MAX_BODY_BYTES} bytes`);
      chunks.push(chunk);
    }
  }
  return new Response(Buffer.concat(chunks), { status: response.status, headers: response.headers });
}

export interface Issuer {
  readonly config: IssuerConfig;
  readonly algorithms: readonly string[];
  /** The issuer's key set. Rejects while the issuer cannot be reached or its document is not acceptable. */
  keys(): Promise<RemoteJWKSet>;
  /** Its discovery document, in which only issuer and jwks_uri have been checked. Rejects as `keys` does. */
  document(): Promise<Readonly<Record<string, unknown>>>;
}

export function createIssuer(config: IssuerConfig, now: () => number): Issuer {
  const base = trusted(config.issuer);
  if (base === null) {
    throw new IssuerConfigError(
      `issuer ${JSON.stringify(config.issuer)} must be an https URL (http is for loopback only)`,
    );
  }
  if (config.audience === '') throw new IssuerConfigError(`issuer ${config.issuer} needs an audience`);
  const algorithms = config.algorithms ?? DEFAULT_ALGORITHMS;
  const allowed: readonly string[] = ASYMMETRIC;
  const bad = algorithms.find((algorithm) => !allowed.includes(algorithm));
  if (bad !== undefined || algorithms.length === 0) {
    throw new IssuerConfigError(
      `issuer ${config.issuer}: algorithm ${JSON.stringify(bad ?? '')} is not one of ${ASYMMETRIC.join(', ')}`,
    );
  }

  interface Discovered {
    readonly keys: RemoteJWKSet;
    readonly uri: string;
    readonly document: Readonly<Record<string, unknown>>;
    readonly at: number;
  }
  let current: Discovered | null = null;
  let failedAt = Number.NEGATIVE_INFINITY;
  let pending: Promise<Discovered> | null = null;

  async function discover(): Promise<Discovered> {
    const address = `${config.issuer.replace(/\/+$/, '')}/.well-known/openid-configuration`;
    const response = await boundedFetch(address, {
      headers: { accept: 'application/json' },
      signal: AbortSignal.timeout(FETCH_TIMEOUT_MS),
    });
    if (response.status !== 200) throw new Error(`discovery answered ${response.status}`);
    const body: unknown = await response.json();
    if (typeof body !== 'object' || body === null) throw new Error('discovery is not an object');
    const document = body as Readonly<Record<string, unknown>>;
    const { issuer, jwks_uri: uri } = document;
    if (issuer !== config.issuer) throw new Error('discovery names another issuer');
    const keysUrl = typeof uri === 'string' ? trusted(uri) : null;
    // A public issuer must not point its keys at this host.
    if (keysUrl === null || (keysUrl.protocol === 'http:' && base?.protocol !== 'http:')) {
      throw new Error('discovery has no acceptable jwks_uri');
    }
    // The same key set keeps what it has fetched, and when.
    const keys =
      current?.uri === keysUrl.href
        ? current.keys
        : createRemoteJWKSet(keysUrl, {
            timeoutDuration: FETCH_TIMEOUT_MS,
            [customFetch]: (url, options) => boundedFetch(url, options),
          });
    current = { keys, uri: keysUrl.href, document, at: now() };
    return current;
  }

  async function known(): Promise<Discovered> {
    if (current !== null && now() - current.at < DISCOVERY_LIFETIME_MS) return current;
    if (pending !== null) return pending;
    if (now() - failedAt < RETRY_AFTER_MS) throw new Error('discovery failed a moment ago');
    pending = discover();
    try {
      return await pending;
    } catch (error) {
      failedAt = now();
      throw error;
    } finally {
      pending = null;
    }
  }

  return {
    config,
    algorithms,
    keys: async () => (await known()).keys,
    document: async () => (await known()).document,
  };
}
