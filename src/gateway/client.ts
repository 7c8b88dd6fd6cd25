/** The client's side of a session: reads ahead within bounds, so that its leaving is noticed while a statement waits (I7, WIRE.md "While held"). */
import type { Socket } from 'node:net';
import { BatchWriter } from './upstream/writer.ts';
import { WireFault } from './wire/fault.ts';
import { type Frame, FrontendFramer } from './wire/frame.ts';

export interface ClientEvents {
  readable(): void;
  /** The peer can take more again. */
  drained(): void;
  ended(why: 'closed' | WireFault): void;
}

/** What a queued frame costs besides its bytes: many tiny messages must not escape the bound. */
const FRAME_COST = 100;

export class ClientLink {
  readonly socket: Socket;
  readonly #events: ClientEvents;
  readonly #framer: FrontendFramer;
  readonly #writer: BatchWriter;
  readonly #aheadBytes: number;
  #queue: Frame[] = [];
  #from = 0;
  #bytes = 0;
  #paused = false;
  #over = false;

  constructor(
    socket: Socket,
    limits: { readonly messageBytes: number; readonly aheadBytes: number },
    events: ClientEvents,
  ) {
    this.socket = socket;
    this.#events = events;
    this.#framer = new FrontendFramer(limits.messageBytes);
    this.#writer = new BatchWriter(socket);
    this.#aheadBytes = limits.aheadBytes;
  }

  /** Begins to read, with what came behind the last message of the login. */
  start(): void {
    const { socket } = this;
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.on('drain', () => this.#events.drained());
    socket.on('error', () => {});
    socket.on('end', () => this.#end('closed'));
    socket.on('close', () => this.#end('closed'));
    socket.resume();
  }

  get over(): boolean {
    return this.#over;
  }
  /** Nothing is read: only a write would show that the peer is gone. */
  get paused(): boolean {
    return this.#paused;
  }

  /** It does not read what it is sent. */
  get stalled(): boolean {
    return !this.#over && this.socket.writableNeedDrain;
  }

  shift(): Frame | null {
    const frame = this.#queue[this.#from] ?? null;
    if (frame === null) return null;
    this.#from += 1;
    this.#bytes -= frame.bytes.length + FRAME_COST;
    if (this.#from === this.#queue.length || this.#from > 1024) {
      this.#queue = this.#queue.slice(this.#from);
      this.#from = 0;
    }
    if (this.#paused && this.#bytes <= this.#aheadBytes / 2) {
      this.#paused = false;
      this.socket.resume();
    }
    return frame;
  }

  /** What has been read already and not been taken. */
  *ahead(): Iterable<Frame> {
    for (let i = this.#from; i < this.#queue.length; i++) {
      const frame = this.#queue[i];
      if (frame !== undefined) yield frame;
    }
  }

  write(bytes: Buffer): void {
    this.#writer.push(bytes);
  }

  /** false: wait for `drained`. */
  flush(): boolean {
    return this.#over || this.#writer.flush();
  }

  /** Says the last word and closes. */
  end(last: Buffer | null): void {
    this.#over = true;
    if (last !== null) this.#writer.push(last);
    this.#writer.flush();
    const { socket } = this;
    socket.end();
    socket.resume();
    // A peer that neither reads nor closes is not waited for.
    const timer = setTimeout(() => socket.destroy(), 2000);
    timer.unref();
    socket.once('close', () => clearTimeout(timer));
  }

  #read(chunk: Buffer): void {
    if (this.#over) return;
    try {
      this.#framer.push(chunk, (frame) => {
        this.#queue.push(frame);
        this.#bytes += frame.bytes.length + FRAME_COST;
      });
    } catch (error) {
      if (!(error instanceof WireFault)) throw error;
      this.#events.readable();
      this.#end(error);
      return;
    }
    this.#events.readable();
    if (this.#bytes > this.#aheadBytes && !this.#paused) {
      this.#paused = true;
      this.socket.pause();
    }
  }

  #end(why: 'closed' | WireFault): void {
    if (this.#over) return;
    this.#over = true;
    this.#events.ended(why);
  }
}
