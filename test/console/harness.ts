/** A real console on a free port, in front of in-memory ports. */
import { createConsole } from '../../src/console/server.ts';
import type { ConsoleListen, ConsoleOptions } from '../../src/console/types.ts';
import { createAccess } from '../../src/identity/access.ts';
import type { FailedLogin } from '../../src/identity/failed-logins.ts';
import { createDirectory, type DirectoryOptions } from '../../src/identity/roles.ts';
import { createSuspensions } from '../../src/identity/suspension.ts';
import {
  aRequest,
  DANA,
  EVENTS,
  type MemoryDesk,
  memoryCredentials,
  memoryDesk,
  memoryRecorder,
  memorySessions,
  policyOf,
  T0,
} from './fakes.ts';

export const quiet = { info() {}, warn() {}, error() {} };

export async function startConsole(
  patch: Partial<ConsoleOptions> = {},
  listen: Partial<ConsoleListen> = {},
  desk: MemoryDesk = memoryDesk([aRequest()]),
  people: Partial<DirectoryOptions> = {},
) {
  const clock = { now: T0 };
  const credentials = memoryCredentials();
  const approvers = [DANA];
  const directory = createDirectory({
    approvers,
    roles: {},
    policyAdmins: new Set(),
    login: null,
    ...people,
  });
  const failures: FailedLogin[] = [];
  const access = createAccess({
    credentials,
    directory,
    now: () => clock.now,
    onFailed: (failure) => void failures.push(failure),
  });
  await access.issued.load();
  const suspensions = createSuspensions(credentials, () => clock.now);
  const minted: Parameters<ConsoleOptions['mintCredential']>[0][] = [];
  const server = createConsole({
    access,
    signIn: null,
    people: {
      suspensions: () => credentials.listSuspensions(),
      suspend: suspensions.suspend,
      restore: suspensions.lift,
    },
    bursts: { recent: async () => [], suspend: async () => null },
    failedLogins: {
      note: (failure) => void failures.push(failure),
      summary: async () => ({ total: 0, byOwner: [], byAddress: [], latest: [] }),
    },
    slackLinking: null,
    desk,
    revealer: { reveal: async (id) => ({ kind: 'not-revealed', sentence: `${id} cannot be shown.` }) },
    counter: { count: async (id) => ({ kind: 'not-counted', sentence: `${id} cannot be counted.` }) },
    sessions: memorySessions(),
    recorder: memoryRecorder(EVENTS),
    policy: policyOf(),
    mintCredential: async (input) => {
      minted.push(input);
      return { id: 'cred_00112233445566778899aabb', secret: 'hpc_secret', expiresAt: T0 + input.ttlMs };
    },
    revokeCredential: async (id) => id === 'cred_00112233445566778899aabb',
    explain: async (sql, target) =>
      target === 'shop'
        ? { verdict: 'hold', class: 'delete', statements: [], rules: ['deletes'], reason: sql }
        : null,
    suggest: async () => null,
    replay: async () => null,
    health: { parts: async () => [] },
    listen: { host: '127.0.0.1', port: 0, publicUrl: null, allowedHosts: [], ...listen },
    log: quiet,
    now: () => clock.now,
    ...patch,
  });
  const { port } = await server.listen();
  const base = `http://127.0.0.1:${port}`;

  /** `token` for the API, or a cookie for the pages. */
  async function token(): Promise<string> {
    const grant = await access.redeemLink(await access.mintLink(DANA.id), 'token');
    if (grant === null) throw new Error('the link was not good');
    return grant.secret;
  }
  async function signIn(): Promise<{ readonly cookie: string; readonly csrf: string }> {
    const link = await access.mintLink(DANA.id);
    const answer = await fetch(`${base}/login`, {
      method: 'POST',
      body: new URLSearchParams({ link }),
      redirect: 'manual',
    });
    const cookie = (answer.headers.get('set-cookie') ?? '').split(';')[0] ?? '';
    const page = await (await fetch(base, { headers: { cookie } })).text();
    return { cookie, csrf: /name="csrf" value="([^"]+)"/.exec(page)?.[1] ?? '' };
  }
  const api = async (
    path: string,
    secret: string | null,
    body?: unknown,
    headers: Record<string, string> = {},
  ) => {
    const answer = await fetch(`${base}/api${path}`, {
      method: body === undefined ? 'GET' : 'POST',
      headers: {
        ...(secret === null ? {} : { authorization: `Bearer ${secret}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
  };
  const form = (path: string, fields: Record<string, string>, headers: Record<string, string>) =>
    fetch(`${base}${path}`, {
      method: 'POST',
      body: new URLSearchParams(fields),
      headers,
      redirect: 'manual',
    });
  return { server, base, port, desk, access, failures, credentials, clock, minted, token, signIn, api, form };
}
