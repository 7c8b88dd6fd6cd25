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
  /** A CopyData that is larger than one read is handed on in pieces: only the first has the header. */
  readonly piece: 'whole' | 'first' | 'rest';
}

/**
 * Incremental framer of what a client sends. Pure: bytes in, frames out; views of the input wherever a message lies within one chunk.
 * Sizes are checked on the header, before anything is kept for the body (I7).
 */
export class FrontendFramer {
  readonly #maxBytes: number;
  readonly #parts = new Assembly();
  /** Total size of the message being assembled, 0 while its header is incomplete. */
  #want = 0;
  #type = 0;
  /** Bytes of a streamed CopyData still to come. */
  #streaming = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Bytes kept for an incomplete message. */
  get buffered(): number {
    return this.#parts.length;
  }

  push(chunk: Buffer, out: (frame: Frame) => void): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#streaming > 0) {
        const end = Math.min(chunk.length, at + this.#streaming);
        this.#streaming -= end - at;
        out({ type: FRONTEND.copyData, bytes: chunk.subarray(at, end), piece: 'rest' });
        at = end;
        continue;
      }
      if (this.#parts.length === 0 && chunk.length - at >= HEADER) {
        const total = this.#size(chunk, at);
        const end = at + total;
        if (end <= chunk.length) {
          out({ type: chunk.readUInt8(at), bytes: chunk.subarray(at, end), piece: 'whole' });
          at = end;
          continue;
        }
        if (this.#type === FRONTEND.copyData) {
          this.#streaming = end - chunk.length;
          out({ type: this.#type, bytes: chunk.subarray(at), piece: 'first' });
          return;
        }
        this.#want = total;
        this.#parts.add(chunk.subarray(at), total);
        return;
      }
      at = this.#assemble(chunk, at, out);
    }
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
        out({ type: FRONTEND.copyData, bytes: header, piece: 'first' });
        return at;
      }
      this.#parts.add(header, this.#want);
    }
    const part = chunk.subarray(at, at + this.#want - this.#parts.length);
    this.#parts.add(part, this.#want);
    at += part.length;
    if (this.#parts.length === this.#want) {
      this.#want = 0;
      out({ type: this.#type, bytes: this.#parts.take(), piece: 'whole' });
    }
    return at;
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
