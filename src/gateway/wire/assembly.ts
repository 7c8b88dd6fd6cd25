const FIRST = 64 * 1024;
const EMPTY = Buffer.alloc(0);

/**
 * One message in the making (I7). Its memory grows with what has arrived, not with what was announced, and a message that comes byte by byte
 * costs no more than its bytes.
 */
export class Assembly {
  #bytes: Buffer = EMPTY;
  #have = 0;

  get length(): number {
    return this.#have;
  }

  /** What there will be to keep for the next part. `want`: what the whole will be, and so the most that is ever allocated. */
  room(part: Buffer, want: number): number {
    const need = this.#have + part.length;
    return need <= this.#bytes.length
      ? this.#bytes.length
      : Math.max(need, Math.min(want, Math.max(FIRST, need * 4)));
  }

  add(part: Buffer, want: number): void {
    const need = this.#have + part.length;
    if (need > this.#bytes.length) {
      const larger = Buffer.allocUnsafeSlow(this.room(part, want));
      this.#bytes.copy(larger, 0, 0, this.#have);
      this.#bytes = larger;
    }
    part.copy(this.#bytes, this.#have);
    this.#have = need;
  }

  /** What there is, which is the caller's from now on. */
  take(): Buffer {
    const bytes = this.#bytes.subarray(0, this.#have);
    this.#bytes = EMPTY;
    this.#have = 0;
    return bytes;
  }
}
