/**
 * Does it live (`/healthz`), and can it do its work (`/readyz`)? Answered without a login, so asking costs nothing: what is looked at is
 * looked at once for all who ask in a moment, and nobody waits for what hangs. Reasons are words and codes, no addresses, users or values.
 */
import { Hono } from 'hono';
import type { ConsoleLog } from './types.ts';

/** Also for probes that address a container by its own name. */
export const HEALTH_PATHS: ReadonlySet<string> = new Set(['/healthz', '/readyz']);

export interface HealthCheck {
  /** `store`, `recorder`, `target shop`. */
  readonly name: string;
  /** How old an answer may be. */
  readonly freshMs: number;
  /** null: ready; else why not, in words. What it rejects with is not shown. */
  look(): Promise<string | null>;
}
export interface Part {
  readonly name: string;
  readonly ready: boolean;
  readonly why: string | null;
}
export interface Health {
  parts(): Promise<readonly Part[]>;
}

/** Below the time limits that probes have. */
const PATIENCE_MS = 2_000;

export function createHealth(
  checks: readonly HealthCheck[],
  { log, now, patienceMs = PATIENCE_MS }: HealthDeps,
): Health {
  const watched = checks.map((check) => watch(check, { log, now, patienceMs }));
  return { parts: () => Promise.all(watched.map((part) => part())) };
}
interface HealthDeps {
  readonly log: Pick<ConsoleLog, 'info' | 'warn'>;
  readonly now: () => number;
  readonly patienceMs?: number;
}

/** One look at a time, and none while the last answer is fresh. */
function watch({ name, freshMs, look }: HealthCheck, deps: Required<HealthDeps>): () => Promise<Part> {
  const { log, now, patienceMs } = deps;
  let last: { readonly part: Part; readonly at: number } | null = null;
  let running: { readonly since: number; readonly done: Promise<Part> } | null = null;

  function found(why: string | null): Part {
    const part = { name, ready: why === null, why };
    if (part.ready !== (last === null || last.part.ready)) {
      if (part.ready) log.info({ part: name }, 'ready again');
      else log.warn({ part: name, why }, 'not ready');
    }
    last = { part, at: now() };
    return part;
  }
  function begin(): { readonly since: number; readonly done: Promise<Part> } {
    const done = look()
      .then(found, () => found('It cannot be told: the check failed.'))
      .finally(() => {
        running = null;
      });
    return { since: now(), done };
  }

  return async () => {
    const age = last === null ? Number.POSITIVE_INFINITY : now() - last.at;
    if (last !== null && age >= 0 && age < freshMs) return last.part;
    running ??= begin();
    const { since, done } = running;
    const answer = await within(patienceMs - (now() - since), done);
    return answer ?? found('It gives no answer.');
  };
}

async function within<T>(ms: number, work: Promise<T>): Promise<T | null> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(resolve, Math.max(0, ms), null);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

export function healthRoutes(health: Health): Hono {
  return new Hono()
    .get('/healthz', (c) => c.json({ ok: true }))
    .get('/readyz', async (c) => {
      const parts = await health.parts();
      const ready = parts.every((part) => part.ready);
      return c.json({ ready, parts }, ready ? 200 : 503);
    });
}
