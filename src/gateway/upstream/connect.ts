/** Login at the target with the gateway's own credential, and the privilege check of DESIGN.md 14. */
import { createHash, randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { serialize } from 'pg-protocol';
import type { Server } from '../../policy/server.ts';
import type { Target, UpstreamLogin } from '../types.ts';
import {
  type AuthRequest,
  type BackendKey,
  decodeAuth,
  decodeBackendKey,
  decodeError,
  decodeParameterStatus,
} from '../wire/backend.ts';
import { ascii } from '../wire/frame.ts';
import { MECHANISM, MECHANISM_PLUS, ScramClient } from '../wire/scram.ts';
import { serverEndPoint } from './binding.ts';
import { MessageReader } from './messages.ts';
import { openSocket, UpstreamFault } from './open.ts';
import { BACKEND, type Pooling } from './pooling.ts';
import { checkPrivileges, type LoginFacts } from './privileges.ts';
import { checkServer } from './server.ts';
import { Talk } from './talk.ts';

export interface UpstreamLink {
  readonly socket: Socket;
  /** The server's own; never shown to the client. */
  readonly key: BackendKey | null;
  readonly parameters: ReadonlyMap<string, string>;
  readonly facts: LoginFacts;
  readonly server: Server;
  /** There is a pooler in between. */
  readonly pooled: boolean;
}

const LOOPBACK = /^(localhost|127(\.\d+){3}|::1)$/;
/** For the connection that only proves something. */
const SECOND_MS = 3000;

interface Wanted {
  readonly target: Target;
  readonly login: UpstreamLogin;
  /** Beyond user and database. */
  readonly settings: ReadonlyMap<string, string>;
  readonly timeoutMs: number;
}

/** Which pooler, mode and pool it is goes by these. */
export const poolOf = ({ host, port, database }: Target, { user }: UpstreamLogin): string =>
  `${user}@${host}:${port}/${database}`;

/** Rejects with UpstreamFault; its message is fit for the client. `pooling`: its state is to be the session's own. */
export async function connectUpstream(
  wanted: Wanted & { readonly pooling?: Pooling },
): Promise<UpstreamLink> {
  const { target, login } = wanted;
  const startedAt = performance.now();
  const { talk, key, placed } = await logIn(wanted);
  const { parameters } = talk;
  try {
    const server = await checkServer(talk, target);
    let facts = await checkPrivileges(talk, target);
    // A key that is not the backend's, or a backend that was there before: somebody is in between, who may have given it to others before.
    const strange = facts.ageMs === null || facts.ageMs > performance.now() - startedAt;
    const pooled = strange || String(key?.pid) !== facts.pid;
    if (pooled || !placed) {
      await freshen(talk, wanted.settings);
      facts = await checkPrivileges(talk, target);
    }
    if (
      parameters.get('client_encoding') !== 'UTF8' ||
      parameters.get('standard_conforming_strings') !== 'on'
    )
      throw new UpstreamFault('it does not take client_encoding UTF8 with standard_conforming_strings on');
    await wanted.pooling?.prove(poolOf(target, login), { talk, backend: facts.backend, pooled }, () =>
      second(target, login),
    );
    talk.reader.detach();
    return { socket: talk.socket, key, parameters, facts, server, pooled };
  } catch (error) {
    talk.reader.detach();
    talk.socket.destroy();
    throw error;
  }
}

async function second(target: Target, login: UpstreamLogin): Promise<Talk> {
  const settings = new Map([['application_name', 'holdpoint pooling']]);
  return (await logIn({ target, login, settings, timeoutMs: SECOND_MS })).talk;
}

/** Which backend another connection is given for a transaction, as LoginFacts tells them apart; null: none just now. */
export async function anotherBackend(target: Target, login: UpstreamLogin): Promise<string | null> {
  try {
    const talk = await second(target, login);
    try {
      const { row } = await talk.ask(`BEGIN; ${BACKEND}`);
      await talk.ask('ROLLBACK');
      return row?.[0] ?? null;
    } finally {
      talk.leave();
    }
  } catch (error) {
    if (error instanceof UpstreamFault) return null;
    throw error;
  }
}

interface LoggedIn {
  readonly talk: Talk;
  readonly key: BackendKey | null;
  /** The settings went with the startup message. */
  readonly placed: boolean;
}

async function logIn(wanted: Wanted): Promise<LoggedIn> {
  try {
    return await logInWith(wanted, wanted.settings);
  } catch (error) {
    // Poolers take a few settings at startup and refuse the rest: they are set afterwards.
    if (!(error instanceof StartupRefused) || [...wanted.settings.keys()].every(isCommon)) throw error;
    const common = [...wanted.settings].filter(([name]) => isCommon(name));
    return { ...(await logInWith(wanted, new Map(common))), placed: false };
  }
}

class StartupRefused extends UpstreamFault {}
const isCommon = (name: string): boolean => name === 'application_name';

async function logInWith(
  { target, login, timeoutMs }: Wanted,
  settings: ReadonlyMap<string, string>,
): Promise<LoggedIn> {
  const socket = await openSocket(target, timeoutMs);
  const reader = new MessageReader(socket, timeoutMs);
  try {
    socket.write(
      serialize.startup({
        ...Object.fromEntries(settings),
        user: login.user,
        database: target.database,
        // The serializer adds client_encoding UTF8 itself.
        standard_conforming_strings: 'on',
      }),
    );
    await authenticate(socket, reader, target, login);
    const { key, parameters } = await untilReady(reader);
    return { talk: new Talk(socket, reader, parameters), key, placed: true };
  } catch (error) {
    reader.detach();
    socket.destroy();
    throw error;
  }
}

/** What others left on the backend goes, and what a startup message would have said is said. */
async function freshen(talk: Talk, settings: ReadonlyMap<string, string>): Promise<void> {
  const all = [...settings, ['client_encoding', 'UTF8'] as const];
  const quoted = (text: string): string => `'${text.replaceAll('\0', '').replaceAll("'", "''")}'`;
  const set = all.map(([name, value]) => `pg_catalog.set_config(${quoted(name)}, ${quoted(value)}, false)`);
  for (const text of ['DISCARD ALL', 'SET standard_conforming_strings = on', `SELECT ${set.join(', ')}`]) {
    const { code } = await talk.ask(text);
    if (code !== null)
      throw new UpstreamFault(`its pooler does not give the session a clean start (${code})`);
  }
}

async function authenticate(
  socket: Socket,
  reader: MessageReader,
  target: Target,
  login: UpstreamLogin,
): Promise<void> {
  const password = login.password ?? '';
  let scram = null as ScramClient | null;
  let proven = false;
  for (;;) {
    const request = await nextAuth(reader);
    switch (request.kind) {
      case 'ok':
        // A server that skips its own proof may be somebody else.
        if (scram !== null && !proven) throw new UpstreamFault('its login exchange was cut short');
        return;
      case 'cleartext':
        if (target.tls === 'disable' && !LOOPBACK.test(target.host))
          throw new UpstreamFault('it asks for the password in clear text without TLS');
        socket.write(serialize.password(password));
        break;
      case 'md5':
        socket.write(serialize.password(md5(login.user, password, request.salt)));
        break;
      case 'sasl': {
        const plus = request.mechanisms.includes(MECHANISM_PLUS);
        if (!plus && !request.mechanisms.includes(MECHANISM))
          throw new UpstreamFault('it offers no login method we know');
        const data = serverEndPoint(socket);
        const binds = plus && data !== null;
        scram = new ScramClient(
          password,
          randomBytes(18).toString('base64'),
          binds ? { kind: 'end-point', data } : { kind: data === null ? 'none' : 'unoffered' },
        );
        const mechanism = binds ? MECHANISM_PLUS : MECHANISM;
        socket.write(serialize.sendSASLInitialResponseMessage(mechanism, scram.first()));
        break;
      }
      case 'sasl-continue': {
        const answer = (await scram?.respond(request.data)) ?? null;
        if (answer === null) throw new UpstreamFault('its login exchange is malformed');
        socket.write(serialize.sendSCRAMClientFinalMessage(answer));
        break;
      }
      case 'sasl-final':
        if (scram?.verify(request.data) !== true)
          throw new UpstreamFault('it does not know the password it asks for');
        proven = true;
        break;
      case 'other':
        throw new UpstreamFault('it asks for a login method we do not have');
    }
  }
}

async function nextAuth(reader: MessageReader): Promise<AuthRequest> {
  const message = await reader.next();
  if (message[0] === ascii('E')) throw refusal(message);
  if (message[0] !== ascii('R')) throw new UpstreamFault('it does not speak the protocol');
  return decodeAuth(message);
}

/** The server's sentence may name hosts, roles or rules: only its code is passed on. */
export function refusal(message: Buffer): UpstreamFault {
  const { code } = decodeError(message);
  if (code === '53300') return new UpstreamFault('it has too many connections');
  const why = `it refused the gateway's login (${code})`;
  return code === '08P01' ? new StartupRefused(why) : new UpstreamFault(why);
}

async function untilReady(
  reader: MessageReader,
): Promise<{ key: BackendKey | null; parameters: Map<string, string> }> {
  const parameters = new Map<string, string>();
  let key: BackendKey | null = null;
  for (;;) {
    const message = await reader.next();
    switch (String.fromCharCode(message[0] ?? 0)) {
      case 'S': {
        const { name, value } = decodeParameterStatus(message);
        parameters.set(name, value);
        break;
      }
      case 'K':
        key = decodeBackendKey(message);
        break;
      case 'E':
        throw refusal(message);
      case 'Z':
        return { key, parameters };
      default:
        break;
    }
  }
}

function md5(user: string, password: string, salt: Buffer): string {
  const hash = (...parts: (string | Buffer)[]): string => {
    const digest = createHash('md5');
    for (const part of parts) digest.update(part);
    return digest.digest('hex');
  };
  return `md5${hash(hash(password, user), salt)}`;
}
