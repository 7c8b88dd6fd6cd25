/** The client's side of a session: reads ahead within bounds, so that its leaving is noticed while a statement waits (I7, WIRE.md "While held"). */
import type { Socket } from 'node:net';
import type { Account } from './budget.ts';
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
  #queue: (Frame | undefined)[] = [];
  #from = 0;
  #bytes = 0;
  #paused = false;
  #over = false;
  readonly #account: Account;
  readonly #now: () => number;
  /** Kept for the frame that was shifted last, until the next is asked for. */
  #held = 0;
  /** The message that has begun to come, and since when that is waited for. */
  #begun: { readonly frame: number; readonly since: number } | null = null;

  constructor(
    socket: Socket,
    limits: { readonly messageBytes: number; readonly aheadBytes: number },
    memory: { open(giveWay: () => void): Account },
    now: () => number,
    events: ClientEvents,
  ) {
    this.socket = socket;
    this.#events = events;
    this.#now = now;
    this.#account = memory.open(() => this.#framer.abandon());
    this.#framer = new FrontendFramer(limits.messageBytes, this.#account);
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
  /** For how long a message has been coming that has not ended; while nothing is read, its sender is not to blame. */
  get comingMs(): number {
    return this.#begun === null || this.#paused ? 0 : this.#now() - this.#begun.since;
  }

  shift(): Frame | null {
    this.#account.add(-this.#held);
    this.#held = 0;
    const frame = this.#queue[this.#from] ?? null;
    if (frame === null) return null;
    // What has been taken is not kept alive by what has not.
    this.#queue[this.#from] = undefined;
    this.#from += 1;
    this.#held = frame.kept;
    this.#bytes -= frame.bytes.length + FRAME_COST;
    if (this.#from === this.#queue.length || this.#from > 1024) {
      this.#queue = this.#queue.slice(this.#from);
      this.#from = 0;
    }
    if (this.#paused && this.#bytes <= this.#aheadBytes / 2) {
      this.#paused = false;
      if (this.#begun !== null) this.#begun = { ...this.#begun, since: this.#now() };
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
    this.#forget();
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
    const frame = this.#framer.begun;
    if (frame === null) this.#begun = null;
    else if (this.#begun?.frame !== frame) this.#begun = { frame, since: this.#now() };
    this.#events.readable();
    if (this.#over) return;
    if (this.#bytes > this.#aheadBytes && !this.#paused) {
      this.#paused = true;
      this.socket.pause();
    }
  }

  /** Nothing of it is read any more. */
  #forget(): void {
    this.#framer.abandon();
    this.#begun = null;
    this.#queue = [];
    this.#from = 0;
    this.#bytes = 0;
    this.#account.close();
  }

  #end(why: 'closed' | WireFault): void {
    if (this.#over) return;
    this.#over = true;
    this.#forget();
    this.#events.ended(why);
  }
}
