/** Which ends of a login are failures that leave a trace, and what is said of them. */
import type { Socket } from 'node:net';
import type { FailedLogin, LoginFailure } from '../identity/failed-logins.ts';
import type { Identity } from '../identity/types.ts';
import type { Ending } from './errors.ts';
import { LoginRefused, ownerOf, type Startup } from './login.ts';
import type { Peer } from './peer.ts';

/** How far a login has come. */
export interface Attempt {
  /** The TLS socket once encrypted. */
  socket: Socket;
  peer: Peer | null;
  packet: Startup | null;
  identity: Identity | null;
}

/** null: nobody tried to log in (a probe, a cancel), or it failed for no reason of theirs or ours to look at. */
export function failureOf(error: unknown, ending: Ending | null, attempt: Attempt): FailedLogin | null {
  const { identity, packet, peer } = attempt;
  if (peer === null || packet === null || ending === null) return null;
  const refusal = error instanceof LoginRefused ? error.refusal : null;
  const reason = refusal?.reason ?? reasonOf(ending);
  if (reason === null) return null;
  return {
    via: 'gateway',
    address: peer.address,
    reason,
    claimed: identity?.credentialId ?? packet.parameters.get('user') ?? null,
    owner: identity === null ? (refusal?.owner ?? null) : ownerOf(identity),
    ...(refusal?.detail === undefined ? {} : { detail: refusal.detail }),
  };
}

function reasonOf(ending: Ending): LoginFailure | null {
  switch (ending.kind) {
    case 'identity':
      return ending.standing;
    case 'login-failed':
      return 'wrong-secret';
    case 'login-unchecked':
      return 'unchecked';
    case 'login-late':
      return 'late';
    case 'token-in-clear':
    case 'tls-needed':
      return 'in-clear';
    case 'no-access':
      return 'no-access';
    case 'unknown-target':
      return 'unknown-target';
    case 'too-many-connections':
      return 'too-many-connections';
    case 'protocol':
    case 'replication':
    case 'startup-setting':
      return 'malformed';
    case 'target-down':
    case 'target-lost':
    case 'target-changed':
    case 'backend-lost':
    case 'message-late':
    case 'idle-transaction':
    case 'not-recordable':
    case 'encoding':
    case 'tripwire':
    case 'shutdown':
      return null;
  }
}
