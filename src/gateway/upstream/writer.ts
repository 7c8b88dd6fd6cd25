import type { Socket } from 'node:net';

/** Collects what one read produces and writes it at once; neighbouring views of one chunk become one slice again (DESIGN.md 1). */
export class BatchWriter {
  readonly #socket: Socket;
  #list: Buffer[] = [];

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  push(bytes: Buffer): void {
    const last = this.#list.at(-1);
    if (
      last !== undefined &&
      last.buffer === bytes.buffer &&
      last.byteOffset + last.length === bytes.byteOffset
    ) {
      this.#list[this.#list.length - 1] = Buffer.from(
        last.buffer,
        last.byteOffset,
        last.length + bytes.length,
      );
    } else this.#list.push(bytes);
  }

  /** false: the peer reads slowly, wait for `drain`. */
  flush(): boolean {
    const list = this.#list;
    if (list.length === 0) return !this.#socket.writableNeedDrain;
    this.#list = [];
    if (!this.#socket.writable) return true;
    if (list.length === 1 && list[0] !== undefined) return this.#socket.write(list[0]);
    this.#socket.cork();
    let room = true;
    for (const bytes of list) room = this.#socket.write(bytes);
    this.#socket.uncork();
    return room;
  }
}
