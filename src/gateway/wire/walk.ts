import { WireFault } from './fault.ts';
import { ascii, HEADER } from './frame.ts';

/** What becomes of a server message on its way to the client: as it is, not at all, or replaced. */
export type Fate = 'pass' | 'drop' | Buffer;

export interface WalkSink {
  /** A whole message. */
  message(type: number, bytes: Buffer): Fate;
  /** A row, COPY data or notice too large to be kept: its bytes go by in pieces. */
  large(type: number, size: number): 'pass' | 'drop';
  /** Bytes for the client, in order; views of what arrived wherever possible. */
  forward(bytes: Buffer): void;
}

/** Larger ones are not assembled when they arrive in several reads. */
const KEEP_WHOLE = 16 * 1024;
/** An error, a row layout … must be understood: kept whole up to here. */
const MAX_CONTROL = 16 * 1024 * 1024;

const STREAMED: ReadonlySet<number> = new Set([ascii('D'), ascii('d'), ascii('N'), ascii('A')]);
/** Types a server sends after login (protocol 3.0). */
const KNOWN: ReadonlySet<number> = new Set([...'123ACDEGHINSTVWZcdnst'].map(ascii));

/** Walks the headers of what the server sends. Pure; runs of passing messages are forwarded as one slice of the chunk (DESIGN.md 1). */
export class BackendWalker {
  readonly #sink: WalkSink;
  #parts: Buffer[] = [];
  #have = 0;
  /** Total size of the message whose beginning is kept; 0: header incomplete. */
  #want = 0;
  #streaming = 0;
  #streamed: 'pass' | 'drop' = 'pass';

  constructor(sink: WalkSink) {
    this.#sink = sink;
  }

  push(input: Buffer): void {
    let chunk = input;
    if (this.#have > 0) {
      this.#parts.push(chunk);
      this.#have += chunk.length;
      // What comes in crumbs costs no more than its bytes.
      if (this.#parts.length > 1000) this.#parts = [Buffer.concat(this.#parts, this.#have)];
      if (this.#have < Math.max(this.#want, HEADER)) return;
      chunk = Buffer.concat(this.#parts, this.#have);
      this.#parts = [];
      this.#have = 0;
      this.#want = 0;
    }
    let at = 0;
    let run = 0;
    const flush = (end: number): void => {
      if (end > run) this.#sink.forward(chunk.subarray(run, end));
    };
    while (at < chunk.length) {
      if (this.#streaming > 0) {
        const end = Math.min(chunk.length, at + this.#streaming);
        this.#streaming -= end - at;
        if (this.#streamed === 'drop') {
          flush(at);
          run = end;
        }
        at = end;
        continue;
      }
      const left = chunk.length - at;
      if (left < HEADER) break;
      const type = chunk.readUInt8(at);
      const size = chunk.readInt32BE(at + 1) + 1;
      if (!KNOWN.has(type) || size < HEADER) throw new WireFault('the server sent what is no message');
      if (size <= left) {
        const fate = this.#sink.message(type, chunk.subarray(at, at + size));
        if (fate !== 'pass') {
          flush(at);
          run = at + size;
          if (fate !== 'drop') this.#sink.forward(fate);
        }
        at += size;
        continue;
      }
      if (size > KEEP_WHOLE && STREAMED.has(type)) {
        this.#streaming = size;
        this.#streamed = this.#sink.large(type, size);
        continue;
      }
      if (size > MAX_CONTROL) throw new WireFault('the server sent a message that is too large');
      this.#want = size;
      break;
    }
    flush(at);
    if (at < chunk.length) {
      // A copy, so that a few bytes do not keep the whole read alive.
      this.#parts.push(Buffer.from(chunk.subarray(at)));
      this.#have = chunk.length - at;
    }
  }
}
