/**
 * Cancel keys: the secret is ours, the server's is never shown (WIRE.md). Compared in constant time; who guesses at a process is stopped there, and nobody
 * else is, nor they elsewhere: behind their address may be others. The process number is the backend's own (DESIGN.md 14): clients look for it in
 * notifications, pg_locks and pg_stat_activity.
 */
import { randomBytes, randomInt, timingSafeEqual } from 'node:crypto';
import { createLimiter, type Limiter } from '../identity/limiter.ts';

const SECRET = 4;
/** At once, and then by the minute. */
const GUESSES = 100;

export interface CancelKey {
  readonly pid: number;
  readonly secret: Buffer;
}

export class Cancels<T> {
  /** Backends of several targets may have the same number. */
  readonly #map = new Map<number, readonly { readonly secret: Buffer; readonly value: T }[]>();
  readonly #guesses: Limiter;

  constructor(now: () => number) {
    this.#guesses = createLimiter({ burst: GUESSES, perMinute: GUESSES, now });
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

  /** `from`: who asks. */
  find(pid: number, secret: Buffer, from: string): T | null {
    const key = `${from} ${pid}`;
    const backends = this.#map.get(pid);
    if (backends === undefined || this.#guesses.limited(key)) return null;
    const found = backends.find((one) => secret.length === SECRET && timingSafeEqual(secret, one.secret));
    if (found === undefined) this.#guesses.failed(key);
    return found?.value ?? null;
  }
}
