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

/** SQLSTATE, Prisma code or errno of an error, whatever threw it. */
export function codeOf(error: unknown): string {
  if (error instanceof StoreFailure) return error.code;
  const seen = new Set<unknown>();
  let code = 'unknown';
  for (let at: unknown = error; typeof at === 'object' && at !== null && !seen.has(at); ) {
    seen.add(at);
    if ('originalCode' in at && typeof at.originalCode === 'string') return at.originalCode;
    if ('code' in at && typeof at.code === 'string' && at.code !== '') code = at.code;
    at = 'cause' in at ? at.cause : null;
  }
  return /^[A-Za-z0-9_]{1,40}$/.test(code) ? code : 'unknown';
}

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
