import type { Socket } from 'node:net';
import { WireFault } from './wire/fault.ts';
import { HEADER } from './wire/frame.ts';

export class ClientGone extends Error {}
export class LoginLate extends Error {}

/** Takes exact numbers of bytes while a client logs in; what it has not taken stays in the socket's own bounded buffer. */
export class ExactReader {
  readonly #socket: Socket;
  readonly #deadline: AbortSignal;

  constructor(socket: Socket, deadline: AbortSignal) {
    this.#socket = socket;
    this.#deadline = deadline;
  }

  /** Bytes that have arrived and not been taken. */
  get buffered(): number {
    return this.#socket.readableLength;
  }

  async take(count: number): Promise<Buffer> {
    const at = this.#read(count);
    if (at !== null) return at;
    // Listening once for all of it: Node emits `readable` anew whenever somebody starts to listen while bytes are buffered, so that
    // listening again after each look at half a message spins, and starves every other client and the deadline with it.
    let wake = (): void => {};
    const woken = (): void => wake();
    for (const event of EVENTS) this.#socket.on(event, woken);
    this.#deadline.addEventListener('abort', woken);
    try {
      for (;;) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        const bytes = this.#read(count);
        if (bytes !== null) return bytes;
      }
    } finally {
      for (const event of EVENTS) this.#socket.off(event, woken);
      this.#deadline.removeEventListener('abort', woken);
    }
  }

  /** One message of the login; its size is checked before it is waited for. */
  async message(type: number, max: number): Promise<Buffer> {
    const head = await this.take(HEADER);
    const length = head.readInt32BE(1);
    if (head[0] !== type) throw new WireFault('unexpected message during login');
    if (length < 4 || length > max) throw new WireFault('invalid message length');
    const body = length === 4 ? Buffer.alloc(0) : await this.take(length - 4);
    return Buffer.concat([head, body]);
  }

  #read(count: number): Buffer | null {
    if (this.#deadline.aborted) throw new LoginLate();
    const bytes = this.#socket.read(count) as Buffer | null;
    if (bytes !== null) {
      if (bytes.length < count) throw new ClientGone();
      return bytes;
    }
    if (this.#socket.destroyed || this.#socket.readableEnded) throw new ClientGone();
    return null;
  }
}
const EVENTS = ['readable', 'end', 'close', 'error'] as const;
