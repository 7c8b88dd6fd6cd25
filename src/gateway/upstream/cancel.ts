import { serialize } from 'pg-protocol';
import type { Target } from '../types.ts';
import type { BackendKey } from '../wire/backend.ts';
import { openSocket } from './open.ts';

/** Sends a CancelRequest with the server's own key. Best effort, as in the protocol: there is no answer. */
export async function cancelUpstream(target: Target, key: BackendKey): Promise<void> {
  const socket = await openSocket(target, 5000);
  socket.on('error', () => {});
  const head = serialize.cancel(key.pid, 0).subarray(0, 12);
  const message = Buffer.concat([head, key.secret]);
  message.writeInt32BE(message.length, 0);
  socket.end(message);
}
