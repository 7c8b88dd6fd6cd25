import type { Socket } from 'node:net';
import { HEADER } from '../wire/frame.ts';
import { UpstreamFault } from './open.ts';

const MAX_LOGIN_MESSAGE = 64 * 1024;
/** All that a server may say until the session begins. */
const MAX_LOGIN = 1024 * 1024;

/** Pulls whole messages one at a time while the gateway itself talks to the server (login, privilege check). */
export class MessageReader {
  readonly #socket: Socket;
  readonly #timeoutMs: number;
  /** Neither by silence nor by talk does a login last longer. */
  readonly #until: number;
  #taken = 0;
  #bytes: Buffer = Buffer.alloc(0);
  #fault: UpstreamFault | null = null;
  #wake: (() => void) | null = null;

  constructor(socket: Socket, timeoutMs: number) {
    this.#socket = socket;
    this.#timeoutMs = timeoutMs;
    this.#until = performance.now() + 3 * timeoutMs;
    socket.on('data', this.#onData);
    socket.on('error', this.#onEnd);
    socket.on('close', this.#onEnd);
  }

  /** Rejects when the link ends, is silent for too long or sends what no server sends. */
  async next(): Promise<Buffer> {
    for (;;) {
      if (this.#bytes.length >= HEADER) {
        const length = this.#bytes.readInt32BE(1);
        if (length < 4 || length > MAX_LOGIN_MESSAGE)
          throw new UpstreamFault('it does not speak the protocol');
        if (this.#bytes.length > length) {
          const message = this.#bytes.subarray(0, length + 1);
          this.#bytes = this.#bytes.subarray(length + 1);
          return message;
        }
      }
      if (this.#fault !== null) throw this.#fault;
      if (performance.now() > this.#until) throw new UpstreamFault('it did not answer in time');
      await this.#more();
    }
  }

  /** The socket is the caller's again, paused. An error until the next owner listens is not lost: `close` follows. */
  detach(): void {
    this.#socket.pause();
    this.#socket.off('data', this.#onData);
    this.#socket.off('error', this.#onEnd);
    this.#socket.off('close', this.#onEnd);
    this.#socket.on('error', () => {});
    if (this.#bytes.length > 0) this.#socket.unshift(this.#bytes);
  }

  #more(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(
        () => {
          this.#fault ??= new UpstreamFault('it did not answer in time');
          this.#wake?.();
        },
        Math.min(this.#timeoutMs, Math.max(0, this.#until - performance.now())),
      );
      this.#wake = () => {
        clearTimeout(timer);
        this.#wake = null;
        resolve();
      };
    });
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#taken += chunk.length;
    if (this.#taken > MAX_LOGIN) {
      this.#fault ??= new UpstreamFault('it does not speak the protocol');
      this.#socket.pause();
    } else this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
    this.#wake?.();
  };

  readonly #onEnd = (): void => {
    this.#fault ??= new UpstreamFault('it closed the link');
    this.#wake?.();
  };
}
