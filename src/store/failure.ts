/**
 * What every method of the store rejects with. It carries the operation and an error code, never a statement, a value or a
 * connection string (invariant I9): Prisma's and the driver's own messages quote all three.
 */
export class StoreFailure extends Error {
  readonly operation: string;
  readonly code: string;

  constructor(operation: string, code: string) {
    super(`The store could not ${operation} (${code}).`);
    this.name = 'StoreFailure';
    this.operation = operation;
    this.code = code;
  }
}

/** The driver's own words where there is no code. */
const NO_CONNECTION =
  /^(?:Connection terminated due to connection timeout|timeout exceeded when trying to connect)$/;
const LOST = /^(?:Connection terminated|Client has encountered a connection error)/;

/** SQLSTATE, Prisma code or errno of an error, whatever threw it. */
export function codeOf(error: unknown): string {
  if (error instanceof StoreFailure) return error.code;
  const seen = new Set<unknown>();
  let code = 'unknown';
  for (let at: unknown = error; typeof at === 'object' && at !== null && !seen.has(at); ) {
    seen.add(at);
    if ('originalCode' in at && typeof at.originalCode === 'string') return at.originalCode;
    if ('code' in at && typeof at.code === 'string' && at.code !== '') code = at.code;
    else if (code === 'unknown' && at instanceof Error) code = wordOf(at.message);
    at = 'cause' in at ? at.cause : null;
  }
  return /^[A-Za-z0-9_]{1,40}$/.test(code) ? code : 'unknown';
}

const wordOf = (message: string): string =>
  NO_CONNECTION.test(message) ? 'no_connection' : LOST.test(message) ? 'connection_lost' : 'unknown';

/** Nothing was sent: on a machine that is busy a connection can take longer than it may, and the next one does not. */
const UNSENT: ReadonlySet<string> = new Set(['no_connection', 'P1001', 'P2028', '57P03', '53300']);
const PAUSE_MS = 100;

/** Once more, where the work did not begin because there was no connection; as long as `ms` have not passed. */
export async function connected<T>(ms: number, work: () => Promise<T>): Promise<T> {
  const until = performance.now() + ms;
  for (let pause = PAUSE_MS; ; pause *= 2) {
    try {
      return await work();
    } catch (error) {
      if (!UNSENT.has(codeOf(error)) || performance.now() + pause >= until) throw error;
      await rest(pause);
    }
  }
}

const TRANSIENT: ReadonlySet<string> = new Set([
  ...UNSENT,
  'timeout',
  'busy',
  'connection_lost',
  'ETIMEDOUT',
  '57P01',
  '57014',
  '55P03',
]);

/** For what may be done twice, such as all that a start does: a store that is slow to come, or comes back, fails it only after `ms`. */
export async function patiently<T>(ms: number, work: () => Promise<T>): Promise<T> {
  const until = performance.now() + ms;
  for (let pause = PAUSE_MS; ; pause = Math.min(2 * pause, 2000)) {
    try {
      return await work();
    } catch (error) {
      const again = error instanceof StoreFailure && TRANSIENT.has(error.code);
      if (!again || performance.now() + pause >= until) throw error;
      await rest(pause);
    }
  }
}

const rest = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Rejects with a StoreFailure, after `ms` at the latest: a store that hangs is a store that failed. */
export async function guarded<T>(operation: string, ms: number, work: () => Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new StoreFailure(operation, 'timeout')), ms);
  });
  try {
    return await Promise.race([work(), late]);
  } catch (error) {
    throw error instanceof StoreFailure ? error : new StoreFailure(operation, codeOf(error));
  } finally {
    clearTimeout(timer);
  }
}
