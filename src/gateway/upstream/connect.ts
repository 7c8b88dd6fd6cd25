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
import { checkPrivileges, type LoginFacts } from './privileges.ts';
import { checkServer } from './server.ts';

export interface UpstreamLink {
  readonly socket: Socket;
  /** The server's own; never shown to the client. */
  readonly key: BackendKey | null;
  readonly parameters: ReadonlyMap<string, string>;
  readonly facts: LoginFacts;
  readonly server: Server;
}

const LOOPBACK = /^(localhost|127(\.\d+){3}|::1)$/;

/** Rejects with UpstreamFault; its message is fit for the client. */
export async function connectUpstream(options: {
  readonly target: Target;
  readonly login: UpstreamLogin;
  /** Beyond user and database. */
  readonly settings: ReadonlyMap<string, string>;
  readonly timeoutMs: number;
}): Promise<UpstreamLink> {
  const { target, login } = options;
  const socket = await openSocket(target, options.timeoutMs);
  const reader = new MessageReader(socket, options.timeoutMs);
  try {
    socket.write(
      serialize.startup({
        ...Object.fromEntries(options.settings),
        user: login.user,
        database: target.database,
        // The serializer adds client_encoding UTF8 itself.
        standard_conforming_strings: 'on',
      }),
    );
    await authenticate(socket, reader, target, login);
    const { key, parameters } = await untilReady(reader);
    const server = await checkServer(socket, reader, target);
    const facts = await checkPrivileges(socket, reader, target);
    if (
      parameters.get('client_encoding') !== 'UTF8' ||
      parameters.get('standard_conforming_strings') !== 'on'
    )
      throw new UpstreamFault('it does not take client_encoding UTF8 with standard_conforming_strings on');
    reader.detach();
    return { socket, key, parameters, facts, server };
  } catch (error) {
    reader.detach();
    socket.destroy();
    throw error;
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
  return new UpstreamFault(
    code === '53300' ? 'it has too many connections' : `it refused the gateway's login (${code})`,
  );
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
