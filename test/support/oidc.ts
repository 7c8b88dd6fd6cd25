/**
 * A strict stand-in for an OpenID provider: consent is given at once, everything else is checked as a provider would. Whoever logs in is
 * what `person` says; `tamper` changes what it answers, for what a provider must never get away with.
 */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';

export interface TestPerson {
  readonly sub: string;
  readonly name?: string;
  readonly email?: string;
  readonly email_verified?: boolean | null | undefined;
  readonly groups?: readonly string[];
  readonly [claim: string]: unknown;
}
interface Code {
  readonly clientId: string;
  readonly redirectUri: string;
  readonly challenge: string;
  readonly nonce: string;
  readonly person: TestPerson;
}

export interface TestProvider {
  readonly issuer: string;
  readonly clientId: string;
  readonly clientSecret: string;
  /** Who sits at the browser. */
  person: TestPerson;
  /** Changes the claims of the next ID tokens. */
  claims: Readonly<Record<string, unknown>>;
  /** Changes the parameters that the browser is sent back with; null takes one out. */
  answer: Readonly<Record<string, string | null>>;
  /** Changes the discovery document. */
  document: Readonly<Record<string, unknown>>;
  /** `status` for everything; `foreignKey`: ID tokens are signed by a key that the key set does not have; `careless`: codes work again. */
  fault: { readonly status?: number; readonly foreignKey?: boolean; readonly careless?: boolean };
  redirectUris: readonly string[];
  /** What was asked at the token endpoint and refused, by its error. */
  readonly refused: string[];
  /** Authorisation requests, in order. */
  readonly asked: URLSearchParams[];
  close(): Promise<void>;
}

export async function startProvider(
  options: { readonly public?: boolean; readonly port?: number } = {},
): Promise<TestProvider> {
  const { privateKey, publicKey } = await generateKeyPair('RS256');
  const foreign = await generateKeyPair('RS256');
  const jwk = { ...(await exportJWK(publicKey)), kid: 'k1', use: 'sig', alg: 'RS256' };
  const codes = new Map<string, Code>();

  const server = createServer((request, response) => {
    void handle(request, response).catch(() => send(response, 500, { error: 'server_error' }));
  });
  server.listen(options.port ?? 0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('no port');
  const issuer = `http://127.0.0.1:${address.port}`;

  const provider: TestProvider = {
    issuer,
    clientId: 'holdpoint-console',
    clientSecret: options.public === true ? '' : 's3cr:et/+ of the client',
    person: { sub: 'u-1' },
    claims: {},
    answer: {},
    document: {},
    fault: {},
    redirectUris: [],
    refused: [],
    asked: [],
    async close() {
      server.close();
      server.closeAllConnections();
    },
  };

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', issuer);
    const { status } = provider.fault;
    if (status !== undefined) return send(response, status, { error: 'temporarily_unavailable' });
    switch (`${request.method} ${url.pathname}`) {
      case 'GET /.well-known/openid-configuration':
        return send(response, 200, {
          issuer,
          authorization_endpoint: `${issuer}/authorize`,
          token_endpoint: `${issuer}/token`,
          jwks_uri: `${issuer}/keys`,
          response_types_supported: ['code'],
          subject_types_supported: ['public'],
          id_token_signing_alg_values_supported: ['RS256'],
          code_challenge_methods_supported: ['S256'],
          authorization_response_iss_parameter_supported: true,
          ...provider.document,
        });
      case 'GET /keys':
        return send(response, 200, { keys: [jwk] });
      case 'GET /authorize':
        return authorize(url.searchParams, response);
      case 'POST /token':
        return token(request, response);
    }
    send(response, 404, { error: 'not_found' });
  }

  function authorize(asked: URLSearchParams, response: ServerResponse) {
    provider.asked.push(asked);
    const one = (name: string): string => {
      const values = asked.getAll(name);
      return values.length === 1 ? (values[0] ?? '') : '';
    };
    const redirectUri = one('redirect_uri');
    // Never sent back to an address that nobody registered.
    if (one('client_id') !== provider.clientId || !provider.redirectUris.includes(redirectUri))
      return send(response, 400, { error: 'invalid_request' });
    const back = new URL(redirectUri);
    const good =
      one('response_type') === 'code' &&
      one('scope').split(' ').includes('openid') &&
      one('code_challenge_method') === 'S256' &&
      /^[A-Za-z0-9_-]{43}$/.test(one('code_challenge')) &&
      one('state').length >= 22 &&
      one('nonce').length >= 22;
    const parameters: Record<string, string | null> = { state: one('state'), iss: issuer };
    if (good) {
      const code = randomBytes(24).toString('base64url');
      const { clientId, person } = provider;
      codes.set(code, {
        clientId,
        redirectUri,
        challenge: one('code_challenge'),
        nonce: one('nonce'),
        person,
      });
      parameters['code'] = code;
    } else parameters['error'] = 'invalid_request';
    for (const [name, value] of Object.entries({ ...parameters, ...provider.answer }))
      if (value !== null) back.searchParams.set(name, value);
    response.writeHead(302, { location: back.href }).end();
  }

  async function token(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const form = new URLSearchParams(Buffer.concat(chunks).toString());
    const refuse = (status: number, error: string): void => {
      provider.refused.push(error);
      send(response, status, { error });
    };
    if (options.public === true) {
      if (request.headers.authorization !== undefined || form.get('client_id') !== provider.clientId)
        return refuse(401, 'invalid_client');
    } else {
      const basic = /^Basic (\S+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
      const [id = '', secret = ''] = Buffer.from(basic, 'base64').toString().split(':');
      const plain = (text: string) => decodeURIComponent(text.replaceAll('+', ' '));
      if (plain(id) !== provider.clientId || plain(secret) !== provider.clientSecret)
        return refuse(401, 'invalid_client');
    }
    const found = codes.get(form.get('code') ?? '');
    if (provider.fault.careless !== true) codes.delete(form.get('code') ?? '');
    const challenge = createHash('sha256')
      .update(form.get('code_verifier') ?? '')
      .digest('base64url');
    if (
      form.get('grant_type') !== 'authorization_code' ||
      found === undefined ||
      found.redirectUri !== form.get('redirect_uri') ||
      found.challenge !== challenge
    )
      return refuse(400, 'invalid_grant');
    const at = Math.floor(Date.now() / 1000);
    const claims: Record<string, unknown> = {
      iss: issuer,
      aud: provider.clientId,
      iat: at,
      exp: at + 300,
      nonce: found.nonce,
      ...found.person,
      ...provider.claims,
    };
    for (const [name, value] of Object.entries(claims)) if (value === null) delete claims[name];
    const id = await new SignJWT(claims)
      .setProtectedHeader({ alg: 'RS256', kid: 'k1' })
      .sign(provider.fault.foreignKey === true ? foreign.privateKey : privateKey);
    send(response, 200, { access_token: 'opaque', token_type: 'Bearer', expires_in: 300, id_token: id });
  }

  return provider;
}

function send(response: ServerResponse, status: number, body: object): void {
  response
    .writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' })
    .end(JSON.stringify(body));
}

/** A browser without a screen: keeps cookies by host, follows redirects one at a time, sends what a browser says of its site. */
export function browser() {
  const jar = new Map<string, Map<string, string>>();
  async function go(url: string, init: RequestInit = {}): Promise<Response> {
    const { host } = new URL(url);
    const cookies = jar.get(host) ?? new Map<string, string>();
    jar.set(host, cookies);
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const answer = await fetch(url, {
      ...init,
      redirect: 'manual',
      headers: { ...(cookie === '' ? {} : { cookie }), ...init.headers },
    });
    for (const line of answer.headers.getSetCookie()) {
      const [pair = '', ...attributes] = line.split(';');
      const at = pair.indexOf('=');
      const ended = attributes.some((one) => /^\s*max-age=0$/i.test(one));
      if (ended) cookies.delete(pair.slice(0, at));
      else cookies.set(pair.slice(0, at), pair.slice(at + 1));
    }
    return answer;
  }
  /** Follows redirects to the end. */
  async function follow(url: string): Promise<{ readonly answer: Response; readonly url: string }> {
    let at = url;
    for (let i = 0; i < 10; i += 1) {
      const answer = await go(at);
      const next = answer.headers.get('location');
      if (next === null) return { answer, url: at };
      at = new URL(next, at).href;
    }
    throw new Error('redirected for ever');
  }
  return { go, follow, jar };
}
