/** Cancel keys of our own: the server's are never shown (WIRE.md). Compared in constant time, tried at a bounded rate. */
import { randomBytes, randomInt, timingSafeEqual } from 'node:crypto';

const PER_SECOND = 100;

export interface CancelKey {
  readonly pid: number;
  readonly secret: Buffer;
}

export class Cancels<T> {
  readonly #now: () => number;
  readonly #map = new Map<number, { readonly secret: Buffer; readonly value: T }>();
  #window = 0;
  #tries = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  register(value: T): CancelKey {
    let pid = 0;
    do pid = randomInt(1, 0x7fffffff);
    while (this.#map.has(pid));
    const secret = randomBytes(4);
    this.#map.set(pid, { secret, value });
    return { pid, secret };
  }

  forget(pid: number): void {
    this.#map.delete(pid);
  }

  find(pid: number, secret: Buffer): T | null {
    const second = Math.floor(this.#now() / 1000);
    if (second !== this.#window) [this.#window, this.#tries] = [second, 0];
    if (++this.#tries > PER_SECOND) return null;
    const found = this.#map.get(pid);
    const known = found?.secret ?? Buffer.alloc(4);
    const given = secret.length === known.length ? secret : Buffer.alloc(known.length);
    const same = timingSafeEqual(given, known) && secret.length === known.length;
    return same && found !== undefined ? found.value : null;
  }
}
