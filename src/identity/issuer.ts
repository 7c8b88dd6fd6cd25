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

const FETCH_TIMEOUT_MS = 5_000;
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

function trusted(text: string): URL | null {
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
async function boundedFetch(url: string, init: RequestInit): Promise<Response> {
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

  let current: { readonly keys: RemoteJWKSet; readonly uri: string; readonly at: number } | null = null;
  let failedAt = Number.NEGATIVE_INFINITY;
  let pending: Promise<RemoteJWKSet> | null = null;

  async function discover(): Promise<RemoteJWKSet> {
    const address = `${config.issuer.replace(/\/+$/, '')}/.well-known/openid-configuration`;
    const response = await boundedFetch(address, {
      headers: { accept: 'application/json' },
      signal: AbortSignal.timeout(FETCH_TIMEOUT_MS),
    });
    if (response.status !== 200) throw new Error(`discovery answered ${response.status}`);
    const document: unknown = await response.json();
    if (typeof document !== 'object' || document === null) throw new Error('discovery is not an object');
    const { issuer, jwks_uri: uri } = document as { issuer?: unknown; jwks_uri?: unknown };
    if (issuer !== config.issuer) throw new Error('discovery names another issuer');
    const keysUrl = typeof uri === 'string' ? trusted(uri) : null;
    // A public issuer must not point its keys at this host.
    if (keysUrl === null || (keysUrl.protocol === 'http:' && base?.protocol !== 'http:')) {
      throw new Error('discovery has no acceptable jwks_uri');
    }
    if (current !== null && current.uri === keysUrl.href) {
      current = { ...current, at: now() };
      return current.keys;
    }
    const keys = createRemoteJWKSet(keysUrl, {
      timeoutDuration: FETCH_TIMEOUT_MS,
      [customFetch]: (url, options) => boundedFetch(url, options),
    });
    current = { keys, uri: keysUrl.href, at: now() };
    return keys;
  }

  return {
    config,
    algorithms,
    async keys() {
      if (current !== null && now() - current.at < DISCOVERY_LIFETIME_MS) return current.keys;
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
    },
  };
}
