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
    for (;;) {
      if (this.#deadline.aborted) throw new LoginLate();
      const bytes = this.#socket.read(count) as Buffer | null;
      if (bytes !== null) {
        if (bytes.length < count) throw new ClientGone();
        return bytes;
      }
      if (this.#socket.destroyed || this.#socket.readableEnded) throw new ClientGone();
      await this.#more();
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

  #more(): Promise<void> {
    return new Promise((resolve) => {
      const socket = this.#socket;
      const done = (): void => {
        for (const event of EVENTS) socket.off(event, done);
        this.#deadline.removeEventListener('abort', done);
        resolve();
      };
      for (const event of EVENTS) socket.on(event, done);
      this.#deadline.addEventListener('abort', done);
    });
  }
}
const EVENTS = ['readable', 'end', 'close', 'error'] as const;
