import { Assembly } from './assembly.ts';
import { WireFault } from './fault.ts';

/** Type byte and length word. */
export const HEADER = 5;

export const ascii = (letter: string): number => letter.charCodeAt(0);

/** Frontend type bytes that a server knows (protocol 3.0, section "Message Formats"). */
export const FRONTEND = {
  bind: ascii('B'),
  close: ascii('C'),
  copyData: ascii('d'),
  copyDone: ascii('c'),
  copyFail: ascii('f'),
  describe: ascii('D'),
  execute: ascii('E'),
  flush: ascii('H'),
  functionCall: ascii('F'),
  parse: ascii('P'),
  password: ascii('p'),
  query: ascii('Q'),
  sync: ascii('S'),
  terminate: ascii('X'),
} as const;

/** As the documents of the protocol have it. */
export function messageName(type: number): string {
  const name = Object.entries(FRONTEND).find(([, byte]) => byte === type)?.[0] ?? 'unknown';
  return name.charAt(0).toUpperCase() + name.slice(1);
}

/** The server's own limits: small messages 10,000 bytes, the others as configured. */
const SMALL = 10_000;
const LARGE_TYPES: ReadonlySet<number> = new Set([
  FRONTEND.bind,
  FRONTEND.copyData,
  FRONTEND.functionCall,
  FRONTEND.parse,
  FRONTEND.query,
]);
const KNOWN_TYPES: ReadonlySet<number> = new Set(Object.values(FRONTEND));

/** One whole message, or a piece of a large CopyData: `bytes` is a view of what arrived. */
export interface Frame {
  readonly type: number;
  readonly bytes: Buffer;
  /**
   * A CopyData that is larger than one read is handed on in pieces: only the first has the header. `refused`: there was no room for it, so that
   * it went by unread and there is nothing but its header.
   */
  readonly piece: 'whole' | 'first' | 'rest' | 'refused';
  /** What was taken of `Memory` for it: whoever is done with the frame gives it back. */
  readonly kept: number;
}

/** Where room for large messages is had. */
export interface Memory {
  /** false: there is none. */
  take(bytes: number): boolean;
  /** Of something taken: more, or (less than nothing) given back. */
  add(bytes: number): void;
}
const BOUNDLESS: Memory = { take: () => true, add: () => {} };
/** Smaller ones are bounded by the number of connections. */
const FREE = 64 * 1024;

/**
 * Incremental framer of what a client sends. Pure: bytes in, frames out; views of the input wherever a message lies within one chunk.
 * Sizes are checked on the header, before anything is kept for the body (I7).
 */
export class FrontendFramer {
  readonly #maxBytes: number;
  readonly #memory: Memory;
  readonly #parts = new Assembly();
  /** Total size of the message being assembled, 0 while its header is incomplete. */
  #want = 0;
  #type = 0;
  #kept = 0;
  /** Bytes of a refused message that went by; null: it is not refused. */
  #passed: number | null = null;
  /** Bytes of a streamed CopyData still to come. */
  #streaming = 0;
  #frames = 0;

  constructor(maxBytes: number, memory: Memory = BOUNDLESS) {
    this.#maxBytes = maxBytes;
    this.#memory = memory;
  }

  /** Bytes kept for an incomplete message. */
  get buffered(): number {
    return this.#parts.length;
  }

  /** The number of the message that has begun and not ended; null: there is none, or it is a COPY's data. */
  get begun(): number | null {
    return this.#parts.length > 0 || this.#passed !== null ? this.#frames : null;
  }

  /** Lets go of what is kept of an incomplete message: it will be refused. */
  abandon(): void {
    if (this.#kept === 0) return;
    this.#passed = this.#parts.take().length;
    this.#memory.add(-this.#kept);
    this.#kept = 0;
  }

  push(chunk: Buffer, out: (frame: Frame) => void): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#streaming > 0) {
        const end = Math.min(chunk.length, at + this.#streaming);
        this.#streaming -= end - at;
        out({ type: FRONTEND.copyData, bytes: chunk.subarray(at, end), piece: 'rest', kept: 0 });
        at = end;
        continue;
      }
      if (this.#got === 0 && chunk.length - at >= HEADER) {
        const total = this.#size(chunk, at);
        const end = at + total;
        if (end <= chunk.length) {
          this.#frames += 1;
          out({ type: chunk.readUInt8(at), bytes: chunk.subarray(at, end), piece: 'whole', kept: 0 });
          at = end;
          continue;
        }
        if (this.#type === FRONTEND.copyData) {
          this.#streaming = end - chunk.length;
          this.#frames += 1;
          out({ type: this.#type, bytes: chunk.subarray(at), piece: 'first', kept: 0 });
          return;
        }
        this.#want = total;
        this.#keep(chunk.subarray(at));
        return;
      }
      at = this.#assemble(chunk, at, out);
    }
  }

  /** Of the message being assembled. */
  get #got(): number {
    return this.#passed ?? this.#parts.length;
  }

  #keep(part: Buffer): void {
    if (this.#passed !== null) {
      this.#passed += part.length;
      return;
    }
    if (this.#want > FREE) {
      const more = this.#parts.room(part, this.#want) - this.#kept;
      if (more > 0 && !this.#memory.take(more)) {
        const had = this.#parts.length;
        this.abandon();
        this.#parts.take();
        this.#passed = had + part.length;
        return;
      }
      this.#kept += Math.max(0, more);
    }
    this.#parts.add(part, this.#want);
  }

  #assemble(chunk: Buffer, from: number, out: (frame: Frame) => void): number {
    let at = from;
    if (this.#want === 0) {
      const part = chunk.subarray(at, at + HEADER - this.#parts.length);
      this.#parts.add(part, HEADER);
      at += part.length;
      if (this.#parts.length < HEADER) return at;
      const header = this.#parts.take();
      this.#want = this.#size(header, 0);
      if (this.#type === FRONTEND.copyData && this.#want > HEADER) {
        this.#streaming = this.#want - HEADER;
        this.#want = 0;
        this.#frames += 1;
        out({ type: FRONTEND.copyData, bytes: header, piece: 'first', kept: 0 });
        return at;
      }
      this.#keep(header);
    }
    const part = chunk.subarray(at, at + this.#want - this.#got);
    this.#keep(part);
    at += part.length;
    if (this.#got === this.#want) this.#finish(out);
    return at;
  }

  #finish(out: (frame: Frame) => void): void {
    const [type, refused, kept] = [this.#type, this.#passed !== null, this.#kept];
    const bytes = refused ? headerOf(type, this.#want) : this.#parts.take();
    this.#want = 0;
    this.#kept = 0;
    this.#passed = null;
    this.#frames += 1;
    out({ type, bytes, piece: refused ? 'refused' : 'whole', kept });
  }

  #size(bytes: Buffer, at: number): number {
    const type = bytes.readUInt8(at);
    if (!KNOWN_TYPES.has(type)) throw new WireFault(`invalid frontend message type ${type}`);
    const length = bytes.readInt32BE(at + 1);
    if (length < 4) throw new WireFault('invalid message length');
    // CopyData is never kept whole, so that only the server's own limit applies to it.
    const cap =
      type === FRONTEND.copyData
        ? 0x3fffffff
        : type === FRONTEND.password
          ? 65_535
          : LARGE_TYPES.has(type)
            ? this.#maxBytes
            : SMALL;
    if (length > cap) throw new WireFault(`message of ${length} bytes is larger than ${cap}`, '54000');
    this.#type = type;
    return length + 1;
  }
}

function headerOf(type: number, total: number): Buffer {
  const header = Buffer.alloc(HEADER);
  header.writeUInt8(type);
  header.writeInt32BE(total - 1, 1);
  return header;
}
