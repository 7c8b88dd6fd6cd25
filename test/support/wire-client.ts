/** A client that speaks the wire protocol by hand: it sends any bytes and writes down what comes back as a short trace. */
import { randomBytes } from 'node:crypto';
import { connect as connectTcp, type Socket } from 'node:net';
import { serialize } from 'pg-protocol';
import { decodeAuth, decodeError, decodeTag } from '../../src/gateway/wire/backend.ts';
import { ScramClient } from '../../src/gateway/wire/scram.ts';

export { serialize };

export interface Message {
  readonly type: string;
  readonly bytes: Buffer;
}

/** `Z:I`, `E:42501`, `C:DELETE 1`, else the bare type. */
export function trace({ type, bytes }: Message): string {
  if (type === 'E' || type === 'N') return `${type}:${decodeError(bytes).code}`;
  if (type === 'C') return `C:${decodeTag(bytes)}`;
  if (type === 'Z') return `Z:${String.fromCharCode(bytes[5] ?? 0)}`;
  return type;
}

export class WireClient {
  readonly socket: Socket;
  readonly messages: Message[] = [];
  key: { readonly pid: number; readonly secret: number } = { pid: 0, secret: 0 };
  closed = false;
  #bytes = Buffer.alloc(0);
  #taken = 0;
  #wake: (() => void)[] = [];

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
      this.#frame();
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      this.closed = true;
      this.#notify();
    });
  }

  static open(port: number): Promise<WireClient> {
    return new Promise((resolve, reject) => {
      const socket = connectTcp({ host: '127.0.0.1', port, noDelay: true });
      socket.once('error', reject);
      socket.once('connect', () => resolve(new WireClient(socket)));
    });
  }

  /** Logged in with SCRAM and ready. */
  static async login(
    port: number,
    login: { readonly user: string; readonly password: string },
    parameters: Readonly<Record<string, string>> = {},
  ): Promise<WireClient> {
    const client = await WireClient.open(port);
    await client.authenticate(login, parameters);
    return client;
  }

  async authenticate(
    login: { readonly user: string; readonly password: string },
    parameters: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    this.send(serialize.startup({ user: login.user, database: 'shop', ...parameters }));
    const scram = new ScramClient(login.password, randomBytes(18).toString('base64'));
    for (;;) {
      const message = await this.next();
      if (message.type === 'E')
        throw Object.assign(new Error(decodeError(message.bytes).message), decodeError(message.bytes));
      if (message.type === 'K')
        this.key = { pid: message.bytes.readInt32BE(5), secret: message.bytes.readInt32BE(9) };
      if (message.type === 'Z') return;
      if (message.type !== 'R') continue;
      const auth = decodeAuth(message.bytes);
      if (auth.kind === 'sasl')
        this.send(serialize.sendSASLInitialResponseMessage('SCRAM-SHA-256', scram.first()));
      else if (auth.kind === 'sasl-continue')
        this.send(serialize.sendSCRAMClientFinalMessage((await scram.respond(auth.data)) ?? ''));
    }
  }

  send(...parts: readonly Buffer[]): void {
    this.socket.write(Buffer.concat(parts));
  }

  async next(): Promise<Message> {
    for (;;) {
      const message = this.messages[this.#taken];
      if (message !== undefined) {
        this.#taken += 1;
        return message;
      }
      if (this.closed) throw new Error('the gateway closed the link');
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
  }

  /** Forgets what was read. */
  forget(): void {
    this.messages.length = 0;
    this.#taken = 0;
  }

  /** Everything up to and including the `count`th ReadyForQuery, as a trace. */
  async ready(count = 1): Promise<string[]> {
    const seen: string[] = [];
    let left = count;
    while (left > 0) {
      const message = await this.next();
      seen.push(trace(message));
      if (message.type === 'Z') left -= 1;
    }
    return seen;
  }

  /** Everything until the link is closed. */
  async end(): Promise<string[]> {
    const seen: string[] = [];
    for (;;) {
      try {
        seen.push(trace(await this.next()));
      } catch {
        return seen;
      }
    }
  }

  /** Up to and including the first message of this type. */
  async until(type: string): Promise<Message> {
    for (;;) {
      const message = await this.next();
      if (message.type === type) return message;
    }
  }

  close(): void {
    this.socket.destroy();
  }

  #frame(): void {
    let at = 0;
    while (this.#bytes.length - at >= 5) {
      const size = this.#bytes.readInt32BE(at + 1) + 1;
      if (this.#bytes.length - at < size) break;
      const bytes = this.#bytes.subarray(at, at + size);
      this.messages.push({ type: String.fromCharCode(bytes[0] ?? 0), bytes });
      at += size;
    }
    this.#bytes = this.#bytes.subarray(at);
    this.#notify();
  }

  #notify(): void {
    const wake = this.#wake;
    this.#wake = [];
    for (const one of wake) one();
  }
}
