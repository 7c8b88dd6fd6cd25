/** From the first byte to a proven identity: startup is a phase of its own, with its own bounds and its own deadline (DESIGN.md 17). */
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { type SecureContext, TLSSocket } from 'node:tls';
import type { Identity, StoredCredential } from '../identity/types.ts';
import type { Ending } from './errors.ts';
import { ExactReader } from './exact.ts';
import type { GatewayDeps } from './ports.ts';
import {
  authenticationCleartext,
  authenticationSasl,
  authenticationSaslContinue,
  authenticationSaslFinal,
  negotiateProtocolVersion,
} from './wire/build.ts';
import { FRONTEND } from './wire/frame.ts';
import { decodePassword, decodeSaslInitial, decodeSaslResponse } from './wire/frontend.ts';
import { MECHANISM, mockVerifier, ScramServer } from './wire/scram.ts';
import { parseStartup, type StartupPacket, startupLength } from './wire/startup.ts';

/** The login ends here, with this answer. */
export class LoginRefused extends Error {
  readonly ending: Ending | null;
  constructor(ending: Ending | null) {
    super(ending?.kind ?? 'closed');
    this.ending = ending;
  }
}

export type Startup = Extract<StartupPacket, { kind: 'startup' }>;
type CancelPacket = Extract<StartupPacket, { kind: 'cancel' }>;

export interface Opened {
  /** The TLS socket once encrypted. */
  readonly socket: Socket;
  readonly reader: ExactReader;
  readonly packet: Startup | CancelPacket;
  readonly encrypted: boolean;
}

const MAX_AUTH = 65_535;
const TLS_HANDSHAKE = 0x16;
const NO = Buffer.from('N');
const YES = Buffer.from('S');

/** Negotiates encryption and reads the startup packet. `onSocket` learns of the TLS socket as soon as there is one. */
export async function open(
  tcp: Socket,
  tls: SecureContext | null,
  deadline: AbortSignal,
  onSocket: (socket: Socket) => void,
): Promise<Opened> {
  let socket = tcp;
  let reader = new ExactReader(socket, deadline);
  let encrypted = false;
  const asked = { ssl: false, gssenc: false };
  const encrypt = async (): Promise<void> => {
    if (tls === null) throw new LoginRefused(null);
    const secure = await handshake(socket, tls, deadline);
    onSocket(secure);
    socket = secure;
    reader = new ExactReader(secure, deadline);
    encrypted = true;
  };
  for (;;) {
    const first = await reader.take(1);
    if (first[0] === TLS_HANDSHAKE && !encrypted && !asked.ssl && !asked.gssenc) {
      // Direct TLS (libpq 17): the hello belongs to the handshake.
      socket.unshift(first);
      await encrypt();
      continue;
    }
    const head = Buffer.concat([first, await reader.take(3)]);
    const length = whole(head);
    const packet = parseStartup(Buffer.concat([head, await reader.take(length - 4)]));
    switch (packet.kind) {
      case 'ssl':
      case 'gssenc':
        // Each once, none under encryption, and nothing may be sent ahead of the answer: it could be injected.
        if (encrypted || asked[packet.kind] || reader.buffered > 0) throw new LoginRefused(null);
        asked[packet.kind] = true;
        if (packet.kind === 'gssenc' || tls === null) socket.write(NO);
        else {
          socket.write(YES);
          await encrypt();
        }
        break;
      case 'cancel':
      case 'startup':
        return { socket, reader, packet, encrypted };
    }
  }
}

/** What cannot be a startup packet, such as the Terminate of a client that leaves at once, gets no answer, as from the server. */
function whole(head: Buffer): number {
  try {
    return startupLength(head) ?? 0;
  } catch {
    throw new LoginRefused(null);
  }
}

function handshake(socket: Socket, secureContext: SecureContext, deadline: AbortSignal): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const secure = new TLSSocket(socket, { isServer: true, secureContext, ALPNProtocols: ['postgresql'] });
    const fail = (): void => {
      deadline.removeEventListener('abort', fail);
      socket.destroy();
      reject(new LoginRefused(null));
    };
    secure.on('error', () => {});
    secure.once('error', fail);
    secure.once('close', fail);
    deadline.addEventListener('abort', fail);
    secure.once('secure', () => {
      secure.off('error', fail);
      secure.off('close', fail);
      deadline.removeEventListener('abort', fail);
      resolve(secure);
    });
  });
}

const LOOPBACK = /^(127\.|::1$|::ffff:127\.)/;

/** Proves who it is; rejects with LoginRefused. What is sent last (`tail`) belongs in front of AuthenticationOk. */
export async function authenticate(
  opened: Opened,
  packet: Startup,
  deps: GatewayDeps,
): Promise<{ readonly identity: Identity; readonly tail: Buffer }> {
  const { socket, encrypted } = opened;
  if (!encrypted && !LOOPBACK.test(socket.remoteAddress ?? ''))
    throw new LoginRefused({ kind: 'tls-needed' });
  const replication = packet.parameters.get('replication');
  if (replication !== undefined && !/^(false|off|no|0)$/i.test(replication))
    throw new LoginRefused({ kind: 'replication' });
  if (packet.minor > 0 || packet.unknownOptions.length > 0)
    socket.write(negotiateProtocolVersion(packet.unknownOptions));
  const user = packet.parameters.get('user') ?? '';
  if (user === '')
    throw new LoginRefused({
      kind: 'protocol',
      code: '08P01',
      message: 'no user name given in startup packet',
    });
  if (user.startsWith('cred_')) return scram(opened, user, deps);
  if (!encrypted) throw new LoginRefused({ kind: 'token-in-clear' });
  return { identity: await token(opened, deps), tail: Buffer.alloc(0) };
}

async function token({ socket, reader }: Opened, deps: GatewayDeps): Promise<Identity> {
  socket.write(authenticationCleartext());
  const password = decodePassword(await reader.message(FRONTEND.password, MAX_AUTH));
  const verified = await deps.identity.verifyToken(password);
  if ('refused' in verified) {
    deps.log.info({ refused: verified.refused }, 'a token was refused');
    throw new LoginRefused({ kind: 'login-failed' });
  }
  const standing = deps.identity.standing(verified);
  if (standing !== 'live') throw new LoginRefused({ kind: 'identity', standing });
  return verified;
}

/** The same messages and the same work for a user who does not exist (WIRE.md). */
async function scram(
  { socket, reader }: Opened,
  user: string,
  deps: GatewayDeps,
): Promise<{ readonly identity: Identity; readonly tail: Buffer }> {
  const credential = await deps.identity.findCredential(user);
  const mock = mockVerifier(deps.fingerprintKey, user, deps.scramIterations ?? 4096);
  const verifier = credential?.scram ?? mock;
  const exchange = new ScramServer(verifier, credential !== null, randomBytes(18).toString('base64'));
  socket.write(authenticationSasl([MECHANISM]));
  const initial = decodeSaslInitial(await reader.message(FRONTEND.password, MAX_AUTH));
  const first = initial.mechanism === MECHANISM ? exchange.first(initial.data) : null;
  if (first === null) throw new LoginRefused({ kind: 'login-failed' });
  socket.write(authenticationSaslContinue(first));
  const final = exchange.final(decodeSaslResponse(await reader.message(FRONTEND.password, MAX_AUTH)));
  if (final === null || credential === null) throw new LoginRefused({ kind: 'login-failed' });
  const identity = identityOf(credential);
  // Only who holds the secret learns why it is of no use any more.
  const standing = credential.revokedAt === null ? deps.identity.standing(identity) : 'revoked';
  if (standing !== 'live') throw new LoginRefused({ kind: 'identity', standing });
  return { identity, tail: authenticationSaslFinal(final) };
}

function identityOf(credential: StoredCredential): Identity {
  const { id, owner, agent, groups, expiresAt } = credential;
  return {
    credentialId: id,
    subject: id,
    owner,
    agent,
    groups,
    expiresAt,
    via: 'credential',
    mintedBy: credential.mintedBy ?? null,
  };
}
