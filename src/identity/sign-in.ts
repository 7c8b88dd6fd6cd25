/**
 * Login of people by OpenID Connect: authorisation code with PKCE (RFC 7636, RFC 9700, OpenID Connect Core 3.1). What a login must
 * remember lies sealed in a cookie of the browser that began it: nobody else's browser can end it, and a flood of logins fills nothing.
 */
import { createHash } from 'node:crypto';
import { EncryptJWT, type JWTPayload, errors as joseErrors, jwtDecrypt, jwtVerify } from 'jose';
import * as oauth from 'oauth4webapi';
import { sourceOf } from '../edge/address.ts';
import { claim, groupsOf, text } from './claims.ts';
import { boundedFetch, createIssuer, FETCH_TIMEOUT_MS, type Issuer, trusted } from './issuer.ts';
import type { ProvenLogin } from './types.ts';

export interface SignInConfig {
  readonly issuer: string;
  readonly clientId: string;
  /** null: a public client, by PKCE alone. */
  readonly clientSecret: string | null;
  readonly scopes: readonly string[];
  readonly groupsClaim: string;
  /** Sent with the request, for issuers that ask for one; null: none. */
  readonly audience: string | null;
  /** The issuer vouches for every address without saying `email_verified`. */
  readonly trustEmail: boolean;
  readonly sessionMs: number;
  readonly algorithms?: readonly string[];
}

export type SignInEnd =
  | { readonly kind: 'proven'; readonly login: ProvenLogin; readonly returnTo: string }
  /** `sentence` says nothing that the provider or the address bar chose. */
  | { readonly kind: 'refused'; readonly sentence: string; readonly returnTo: string };

export interface SignIn {
  /** Where to send the browser, and what its cookie must hold meanwhile. null: the provider cannot be asked now. */
  start(
    returnTo: string,
    redirectUri: string,
  ): Promise<{ readonly url: string; readonly sealed: string } | null>;
  /** Never rejects. `sealed` null: the browser had no cookie. */
  finish(
    parameters: URLSearchParams,
    sealed: string | null,
    redirectUri: string,
    /** Where the browser is. */
    address?: string,
  ): Promise<SignInEnd>;
  /**
   * Where the browser ends its session at the provider (OpenID Connect RP-Initiated Logout 1.0), to come back to `returnUri`; null: the
   * provider publishes no such place, or cannot be asked. Never rejects. No ID token is kept that could be shown there as a hint.
   */
  leave(returnUri: string): Promise<string | null>;
}

export interface SignInLog {
  warn(details: object, message: string): void;
}

export const SIGN_IN_MS = 10 * 60_000;
/** Logins that ended well within SIGN_IN_MS, and those being ended. */
const MAX_SPENT = 20_000;
const MAX_ENDING = 200;
/** Of one source: whoever brings back what the provider refuses takes no place from others. */
const MAX_OWN_ENDING = 20;
const CLOCK_TOLERANCE_S = 30;
const ADDRESS = /^[^\s@|]{1,100}@[^\s@|]{1,150}$/;

const UNREACHABLE =
  'The identity provider cannot be asked now, or its configuration is not acceptable; try again shortly, or use a one-time link.';
const NOT_OURS =
  'This sign-in was not begun in this browser, was used already, or is older than ten minutes; sign in again.';
const UNVERIFIED =
  'What the identity provider answered could not be verified, so nobody was signed in; try again, or ask the administrators.';

interface Memory {
  readonly state: string;
  readonly nonce: string;
  readonly verifier: string;
  readonly returnTo: string;
}

export function createSignIn(options: {
  readonly config: SignInConfig;
  /** 32 bytes that every replica knows. */
  readonly key: Uint8Array;
  readonly now: () => number;
  readonly log: SignInLog;
}): SignIn {
  const { config, now, log } = options;
  const key = createHash('sha256').update('sign-in\0').update(options.key).digest();
  const issuer = createIssuer(
    {
      issuer: config.issuer,
      audience: config.clientId,
      ...(config.algorithms === undefined ? {} : { algorithms: config.algorithms }),
    },
    now,
  );
  const client: oauth.Client = { client_id: config.clientId, [oauth.clockTolerance]: CLOCK_TOLERANCE_S };
  /** State → until when it would still be taken. */
  const spent = new Map<string, number>();
  /** Whose they are. */
  const ending = new Map<string, string>();

  async function seal(memory: Memory): Promise<string> {
    return new EncryptJWT({ ...memory })
      .setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
      .setExpirationTime(new Date(now() + SIGN_IN_MS))
      .encrypt(key);
  }

  async function unseal(sealed: string): Promise<Memory | null> {
    try {
      const { payload } = await jwtDecrypt(sealed, key, {
        keyManagementAlgorithms: ['dir'],
        contentEncryptionAlgorithms: ['A256GCM'],
        requiredClaims: ['exp'],
        currentDate: new Date(now()),
      });
      const { state, nonce, verifier, returnTo } = payload;
      if (typeof state !== 'string' || typeof nonce !== 'string') return null;
      if (typeof verifier !== 'string' || typeof returnTo !== 'string') return null;
      return { state, nonce, verifier, returnTo };
    } catch {
      return null;
    }
  }

  /** What comes of a code. Rejects when anything does not hold. */
  async function redeem(
    parameters: URLSearchParams,
    memory: Memory,
    redirectUri: string,
  ): Promise<ProvenLogin> {
    const server = await serverOf(issuer);
    // Checks state, `iss` (RFC 9207), that no parameter is doubled, and that there is no error.
    const valid = oauth.validateAuthResponse(server.metadata, client, parameters, memory.state);
    const answer = await oauth.authorizationCodeGrantRequest(
      server.metadata,
      client,
      clientAuth(server.metadata, config.clientSecret),
      valid,
      redirectUri,
      memory.verifier,
      {
        [oauth.customFetch]: (url, init) => boundedFetch(url, init),
        [oauth.allowInsecureRequests]: server.insecure,
        signal: AbortSignal.timeout(FETCH_TIMEOUT_MS),
      },
    );
    const tokens = await oauth.processAuthorizationCodeResponse(server.metadata, client, answer, {
      expectedNonce: memory.nonce,
      requireIdToken: true,
    });
    const { payload } = await jwtVerify(tokens.id_token ?? '', await issuer.keys(), {
      issuer: config.issuer,
      audience: config.clientId,
      algorithms: [...issuer.algorithms],
      requiredClaims: ['exp', 'iat', 'sub', 'nonce'],
      clockTolerance: CLOCK_TOLERANCE_S,
      currentDate: new Date(now()),
    });
    return provenBy(payload, config, now());
  }

  return {
    async start(returnTo, redirectUri) {
      try {
        const { metadata } = await serverOf(issuer);
        const memory: Memory = {
          state: oauth.generateRandomState(),
          nonce: oauth.generateRandomNonce(),
          verifier: oauth.generateRandomCodeVerifier(),
          returnTo,
        };
        const url = new URL(metadata.authorization_endpoint ?? '');
        const parameters = {
          response_type: 'code',
          client_id: config.clientId,
          redirect_uri: redirectUri,
          scope: [...new Set(['openid', ...config.scopes])].join(' '),
          state: memory.state,
          nonce: memory.nonce,
          code_challenge: await oauth.calculatePKCECodeChallenge(memory.verifier),
          code_challenge_method: 'S256',
          ...(config.audience === null ? {} : { audience: config.audience }),
        };
        for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
        return { url: url.href, sealed: await seal(memory) };
      } catch (error) {
        log.warn(
          { why: reasonOf(error) },
          'a sign-in could not begin: the identity provider cannot be asked',
        );
        return null;
      }
    },

    async leave(returnUri) {
      try {
        const { endSession } = await serverOf(issuer);
        if (endSession === null) return null;
        endSession.searchParams.set('client_id', config.clientId);
        endSession.searchParams.set('post_logout_redirect_uri', returnUri);
        return endSession.href;
      } catch (error) {
        log.warn({ why: reasonOf(error) }, 'a session at the identity provider was not ended');
        return null;
      }
    },

    async finish(parameters, sealed, redirectUri, address = '') {
      const source = sourceOf(address);
      const memory = sealed === null ? null : await unseal(sealed);
      const refused = (sentence: string): SignInEnd => ({
        kind: 'refused',
        sentence,
        returnTo: memory?.returnTo ?? '/',
      });
      if (memory === null || parameters.get('state') !== memory.state) return refused(NOT_OURS);
      for (const [state, until] of spent) if (until < now()) spent.delete(state);
      if (spent.has(memory.state) || ending.has(memory.state)) return refused(NOT_OURS);
      const own = [...ending.values()].filter((of) => of === source).length;
      if (spent.size >= MAX_SPENT || ending.size >= MAX_ENDING || own >= MAX_OWN_ENDING)
        return refused(UNREACHABLE);
      ending.set(memory.state, source);
      try {
        const login = await redeem(parameters, memory, redirectUri);
        spent.set(memory.state, now() + SIGN_IN_MS);
        return { kind: 'proven', login, returnTo: memory.returnTo };
      } catch (error) {
        log.warn({ why: reasonOf(error) }, 'a sign-in was refused');
        return refused(sentenceOf(error));
      } finally {
        ending.delete(memory.state);
      }
    },
  };
}

/** Thrown with what a person may be told. */
class SignInRefused extends Error {}

/** The provider's endpoints, each held to what its issuer is: https, or loopback with a loopback issuer. */
async function serverOf(issuer: Issuer) {
  let document: Readonly<Record<string, unknown>>;
  try {
    document = await issuer.document();
  } catch (error) {
    throw new SignInRefused(UNREACHABLE, { cause: error });
  }
  const insecure = issuer.config.issuer.startsWith('http:');
  const acceptable = (name: string): URL | null => {
    const value = document[name];
    const url = typeof value === 'string' ? trusted(value) : null;
    return url === null || (url.protocol === 'http:' && !insecure) ? null : url;
  };
  const endpoint = (name: string): string => {
    const url = acceptable(name);
    if (url === null)
      throw new SignInRefused(UNREACHABLE, { cause: new Error(`discovery has no acceptable ${name}`) });
    return url.href;
  };
  const list = (name: string): string[] | null => {
    const value = document[name];
    return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : null;
  };
  const methods = list('token_endpoint_auth_methods_supported');
  const algorithms = list('id_token_signing_alg_values_supported');
  const metadata: oauth.AuthorizationServer = {
    issuer: issuer.config.issuer,
    authorization_endpoint: endpoint('authorization_endpoint'),
    token_endpoint: endpoint('token_endpoint'),
    authorization_response_iss_parameter_supported:
      document['authorization_response_iss_parameter_supported'] === true,
    ...(methods === null ? {} : { token_endpoint_auth_methods_supported: methods }),
    ...(algorithms === null ? {} : { id_token_signing_alg_values_supported: algorithms }),
  };
  return { metadata, insecure, endSession: acceptable('end_session_endpoint') };
}

/** Discovery's default is client_secret_basic (OpenID Connect Discovery 1.0, section 3). */
function clientAuth(server: oauth.AuthorizationServer, secret: string | null): oauth.ClientAuth {
  if (secret === null) return oauth.None();
  const methods = server.token_endpoint_auth_methods_supported ?? ['client_secret_basic'];
  const post = methods.includes('client_secret_post') && !methods.includes('client_secret_basic');
  return post ? oauth.ClientSecretPost(secret) : oauth.ClientSecretBasic(secret);
}

function provenBy(payload: JWTPayload, config: SignInConfig, now: number): ProvenLogin {
  const subject = text(payload.sub);
  const groups = groupsOf(claim(payload, config.groupsClaim));
  if (subject === null) throw new SignInRefused(UNVERIFIED);
  if (groups === null)
    throw new SignInRefused('The groups that the identity provider names are malformed or more than 200.');
  const said = payload['email_verified'];
  const verified = said === true || said === 'true' || (said === undefined && config.trustEmail);
  const address = verified ? text(payload['email']) : null;
  // People are compared folded: an address that only folds into another's is nobody's.
  const usual = address !== null && ADDRESS.test(address) && address.normalize('NFKC') === address;
  const email = usual ? address.toLowerCase() : null;
  // OpenID Connect Enterprise Extensions 1.0: until when the provider lets a session last.
  const ends = payload['session_expiry'];
  const until = typeof ends === 'number' && Number.isFinite(ends) ? ends * 1000 : Number.POSITIVE_INFINITY;
  return {
    issuer: config.issuer,
    clientId: config.clientId,
    subject,
    email,
    name: text(payload['name']) ?? text(payload['preferred_username']) ?? email ?? subject,
    groups,
    until: Math.floor(Math.min(now + config.sessionMs, until)),
  };
}

function sentenceOf(error: unknown): string {
  if (error instanceof SignInRefused) return error.message;
  if (error instanceof oauth.AuthorizationResponseError)
    return error.error === 'access_denied'
      ? 'The identity provider did not let you in; ask for access to Holdpoint there.'
      : 'The identity provider broke the sign-in off; try again, or ask the administrators.';
  if (error instanceof DOMException || error instanceof TypeError || error instanceof joseErrors.JWKSTimeout)
    return UNREACHABLE;
  return UNVERIFIED;
}

/** For the log: kinds and codes, nothing that a token or the address bar holds. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  if (error instanceof oauth.ResponseBodyError || error instanceof oauth.AuthorizationResponseError)
    return `${error.name} ${/^[a-z_]{1,60}$/.test(error.error) ? error.error : 'error'}`;
  if (error instanceof SignInRefused)
    return error.cause === undefined ? error.message : reasonOf(error.cause);
  const code = 'code' in error && typeof error.code === 'string' ? ` ${error.code}` : '';
  return `${error.name}${code}: ${error instanceof oauth.OperationProcessingError || error.name === 'Error' ? error.message : ''}`;
}
