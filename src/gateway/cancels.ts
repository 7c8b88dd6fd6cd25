/**
 * Cancel keys: the secret is ours, the server's is never shown (WIRE.md). Compared in constant time, tried at a bounded rate. The process number
 * is the backend's own (DESIGN.md 14): clients look for it in notifications, pg_locks and pg_stat_activity.
 */
import { randomBytes, randomInt, timingSafeEqual } from 'node:crypto';

const PER_SECOND = 100;
const SECRET = 4;

export interface CancelKey {
  readonly pid: number;
  readonly secret: Buffer;
}

export class Cancels<T> {
  readonly #now: () => number;
  /** Backends of several targets may have the same number. */
  readonly #map = new Map<number, readonly { readonly secret: Buffer; readonly value: T }[]>();
  #window = 0;
  #tries = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  register(value: T, backend: number | null): CancelKey {
    const pid = backend ?? randomInt(1, 0x7fffffff);
    const secret = randomBytes(SECRET);
    this.#map.set(pid, [...(this.#map.get(pid) ?? []), { secret, value }]);
    return { pid, secret };
  }

  forget({ pid, secret }: CancelKey): void {
    const rest = this.#map.get(pid)?.filter((one) => one.secret !== secret) ?? [];
    if (rest.length === 0) this.#map.delete(pid);
    else this.#map.set(pid, rest);
  }

  find(pid: number, secret: Buffer): T | null {
    const second = Math.floor(this.#now() / 1000);
    if (second !== this.#window) [this.#window, this.#tries] = [second, 0];
    if (++this.#tries > PER_SECOND) return null;
    if (secret.length !== SECRET) return null;
    const found = this.#map.get(pid)?.find((one) => timingSafeEqual(secret, one.secret));
    return found?.value ?? null;
  }
}
