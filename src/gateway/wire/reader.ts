import { MessageFault } from './fault.ts';

/** A bounded cursor over one message: it never reads past the end of its message (WIRE.md "Libraries"). */
export class Reader {
  readonly #bytes: Buffer;
  #at: number;

  constructor(bytes: Buffer, at = 0) {
    this.#bytes = bytes;
    this.#at = at;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  uint8(): number {
    return this.#bytes.readUInt8(this.#take(1));
  }

  int16(): number {
    return this.#bytes.readInt16BE(this.#take(2));
  }

  uint16(): number {
    return this.#bytes.readUInt16BE(this.#take(2));
  }

  int32(): number {
    return this.#bytes.readInt32BE(this.#take(4));
  }

  uint32(): number {
    return this.#bytes.readUInt32BE(this.#take(4));
  }

  /** Bytes up to the next NUL, which is consumed; a view, not a copy. */
  cbytes(): Buffer {
    const end = this.#bytes.indexOf(0, this.#at);
    if (end < 0) throw new MessageFault('invalid string in message');
    const bytes = this.#bytes.subarray(this.#at, end);
    this.#at = end + 1;
    return bytes;
  }

  cstring(): string {
    return decodeUtf8(this.cbytes());
  }

  bytes(length: number): Buffer {
    if (length < 0) throw new MessageFault('insufficient data left in message');
    const at = this.#take(length);
    return this.#bytes.subarray(at, at + length);
  }

  rest(): Buffer {
    return this.bytes(this.left);
  }

  end(): void {
    if (this.left !== 0) throw new MessageFault('invalid message format');
  }

  #take(count: number): number {
    if (this.left < count) throw new MessageFault('insufficient data left in message');
    this.#at += count;
    return this.#at - count;
  }
}

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Exactly the text the server reads: invalid UTF-8 has no text both sides agree on, so it is refused. */
export function decodeUtf8(bytes: Buffer): string {
  try {
    return strict.decode(bytes);
  } catch {
    throw new MessageFault('invalid byte sequence for encoding "UTF8"', '22021');
  }
}
