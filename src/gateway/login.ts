/** From the first byte to a proven identity: startup is a phase of its own, with its own bounds and its own deadline (DESIGN.md 17). */
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { type SecureContext, TLSSocket } from 'node:tls';
import type { FailedLogin, FailedOwner } from '../identity/failed-logins.ts';
import type { Identity } from '../identity/types.ts';
import type { Ending } from './errors.ts';
import { ExactReader } from './exact.ts';
import type { Peer } from './peer.ts';
import type { GatewayDeps, Standing } from './ports.ts';
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

/** What is not told to the client. */
export type Refusal = Pick<FailedLogin, 'reason' | 'detail'> & { readonly owner?: FailedOwner | null };

/** The login ends here, with this answer. */
export class LoginRefused extends Error {
  readonly ending: Ending | null;
  readonly refusal: Refusal | null;
  constructor(ending: Ending | null, refusal: Refusal | null = null) {
    super(ending?.kind ?? 'closed');
    this.ending = ending;
    this.refusal = refusal;
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

/** Proves who it is; rejects with LoginRefused. What is sent last (`tail`) belongs in front of AuthenticationOk. */
export async function authenticate(
  opened: Opened,
  packet: Startup,
  peer: Pick<Peer, 'local'>,
  deps: GatewayDeps,
): Promise<{ readonly identity: Identity; readonly tail: Buffer }> {
  const { socket, encrypted } = opened;
  if (!encrypted && !peer.local) throw new LoginRefused({ kind: 'tls-needed' });
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
    const { ended, refused } = verified;
    throw new LoginRefused(
      { kind: 'login-failed' },
      ended === undefined
        ? { reason: 'token-refused', detail: refused }
        : { reason: ended.standing, owner: ownerOf(ended.identity) },
    );
  }
  const standing = deps.identity.standing(verified);
  if (standing !== 'live') throw ended(standing, verified);
  return verified;
}

const ended = (standing: Exclude<Standing, 'live'>, identity: Identity): LoginRefused =>
  new LoginRefused({ kind: 'identity', standing }, { reason: standing, owner: ownerOf(identity) });

/** The same messages and the same work for a user who does not exist (WIRE.md). The store is asked once the secret is proven. */
async function scram(
  { socket, reader }: Opened,
  user: string,
  deps: GatewayDeps,
): Promise<{ readonly identity: Identity; readonly tail: Buffer }> {
  const credential = await deps.identity.findCredential(user);
  const mock = mockVerifier(deps.fingerprintKey, user, deps.scramIterations ?? 4096);
  const verifier = credential?.scram ?? mock;
  const wrong = new LoginRefused(
    { kind: 'login-failed' },
    credential === null
      ? { reason: 'unknown' }
      : { reason: 'wrong-secret', owner: ownerOf(deps.identity.identityOf(credential)) },
  );
  const exchange = new ScramServer(verifier, credential !== null, randomBytes(18).toString('base64'));
  socket.write(authenticationSasl([MECHANISM]));
  const initial = decodeSaslInitial(await reader.message(FRONTEND.password, MAX_AUTH));
  const first = initial.mechanism === MECHANISM ? exchange.first(initial.data) : null;
  if (first === null) throw wrong;
  socket.write(authenticationSaslContinue(first));
  const final = exchange.final(decodeSaslResponse(await reader.message(FRONTEND.password, MAX_AUTH)));
  if (final === null || credential === null) throw wrong;
  const identity = deps.identity.identityOf(credential);
  // Only who holds the secret learns why it is of no use any more.
  const standing = await deps.identity.confirm(credential);
  if (standing !== 'live') throw ended(standing, identity);
  return { identity, tail: authenticationSaslFinal(final) };
}

export const ownerOf = ({ owner, agent }: Identity): FailedOwner | null =>
  owner === null ? null : { ...owner, agent };
