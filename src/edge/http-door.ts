/** Bounds on the connections of an HTTP server: however many requests are begun and not finished, a newcomer finds a place. */
import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { type Networks, NO_NETWORKS, sourceOf } from './address.ts';
import { Doorkeeper, type DoorLimits } from './doorkeeper.ts';

/** Milliseconds. A request's head comes at once, or from nobody. */
export const HTTP_TIMES = {
  headersTimeout: 5_000,
  requestTimeout: 30_000,
  connectionsCheckingInterval: 1_000,
} as const;

export interface HttpDoor {
  /** The request came with a credential that stands: its connection keeps its place until the answer has gone out. */
  prove(socket: Socket, response: ServerResponse, owner: string): void;
  /** There was no place but for what is asked of the process itself. */
  isReserved(socket: Socket): boolean;
}

export function httpDoor(
  server: Server,
  limits: DoorLimits & {
    /** Of one owner at once that keep their place; more may have to give way. */
    readonly perOwner: number;
    /** Places beyond `total`. */
    readonly reserved: number;
  },
  proxies: Networks = NO_NETWORKS,
): HttpDoor {
  const close = (socket: Socket): void => {
    socket.destroy();
  };
  const now = (): number => performance.now();
  const door = new Doorkeeper<Socket>(limits, now, close);
  const reserve = new Doorkeeper<Socket>({ total: limits.reserved, waiting: limits.reserved }, now, close);
  const reserved = new WeakSet<Socket>();
  const remoteOf = (socket: Socket): string => socket.remoteAddress ?? 'unknown';

  server.on('connection', (socket: Socket) => {
    const remote = remoteOf(socket);
    const source = sourceOf(remote);
    socket.once('close', () => {
      door.leave(socket);
      reserve.leave(socket);
    });
    if (door.admit(socket, source, proxies.has(remote))) return;
    reserved.add(socket);
    if (!reserve.admit(socket, source)) socket.destroy();
  });

  return {
    prove(socket, response, owner) {
      // A proxy's connection brings the next request from somebody else.
      const source = sourceOf(remoteOf(socket));
      if (door.provenBy(owner).length >= limits.perOwner) return;
      door.prove(socket, owner);
      response.once('close', () => door.wait(socket, source));
    },
    isReserved: (socket) => reserved.has(socket),
  };
}
