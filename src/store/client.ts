import { randomUUID } from 'node:crypto';
import { PrismaPg } from '@prisma/adapter-pg';
import PQueue from 'p-queue';
import { type Prisma, PrismaClient } from '../generated/prisma/client.ts';
import { codeOf, connected, guarded, StoreFailure } from './failure.ts';

/** The part of the log that the store uses (pino's shape). */
export interface StoreLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

/** Milliseconds. Holds wait on the store while a client waits on the hold: better refused soon than answered late. */
const CONNECT_MS = 2_000;
const STATEMENT_MS = 4_000;
const LOCK_MS = 2_000;
const OPERATION_MS = 6_000;
/** Until then a connection that could not be had is asked for again. */
const AGAIN_MS = 4_000;
/** For its turn on the pool. */
const TURN_MS = 15_000;
const CONNECTIONS = 10;

export type Transaction = Prisma.TransactionClient;

/** Prisma on one bounded pool; every call has an end. The pool reconnects by itself when the database is back. */
export interface Client {
  readonly prisma: PrismaClient;
  /** Names this process to others on the store. */
  readonly name: string;
  /** One operation outside a transaction. */
  run<T>(operation: string, work: (prisma: PrismaClient) => Promise<T>): Promise<T>;
  /** All of it or nothing. */
  atomically<T>(operation: string, work: (transaction: Transaction) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

export function connect(url: string, log: StoreLog): Client {
  const lost = (error: Error) => log.warn({ code: codeOf(error) }, 'a connection to the store was lost');
  const adapter = new PrismaPg(
    {
      connectionString: url,
      application_name: 'holdpoint-store',
      max: CONNECTIONS,
      connectionTimeoutMillis: CONNECT_MS,
      idleTimeoutMillis: 30_000,
      query_timeout: STATEMENT_MS + 500,
      statement_timeout: STATEMENT_MS,
      lock_timeout: LOCK_MS,
      idle_in_transaction_session_timeout: 2 * OPERATION_MS,
      keepAlive: true,
    },
    { onPoolError: lost, onConnectionError: lost },
  );
  const prisma = new PrismaClient({ adapter, errorFormat: 'minimal', log: [] });
  // Whoever waits for a turn waits here, where it is no sign of a lost store: the pool and Prisma would give up after CONNECT_MS.
  const turns = new PQueue({ concurrency: CONNECTIONS });
  async function inTurn<T>(operation: string, work: () => Promise<T>): Promise<T> {
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(new StoreFailure(operation, 'busy')), TURN_MS);
    const begin = (): Promise<T> => {
      clearTimeout(timer);
      return guarded(operation, OPERATION_MS, () => connected(AGAIN_MS, work));
    };
    return turns.add(begin, { signal: late.signal });
  }
  const limits = { maxWait: CONNECT_MS, timeout: OPERATION_MS };
  return {
    prisma,
    name: randomUUID(),
    run: (operation, work) => inTurn(operation, () => work(prisma)),
    atomically: (operation, work) =>
      inTurn(operation, () => prisma.$transaction((transaction) => work(transaction), limits)),
    close: () => prisma.$disconnect(),
  };
}

/** PostgreSQL stores neither NUL nor half a surrogate pair. */
export function storable(text: string): string {
  return Buffer.from(text.replaceAll('\0', '\uFFFD'), 'utf8').toString('utf8');
}

export function storableOrNull(text: string | null): string | null {
  return text === null ? null : storable(text);
}

/** A JSON copy of it in which every string can be stored. */
export function json(value: object): Prisma.InputJsonObject {
  return JSON.parse(
    JSON.stringify(value, (_key, inner) => (typeof inner === 'string' ? storable(inner) : inner)),
  );
}

export function date(ms: number): Date {
  return new Date(ms);
}
export function dateOrNull(ms: number | null): Date | null {
  return ms === null ? null : new Date(ms);
}
export function msOrNull(value: Date | null): number | null {
  return value === null ? null : value.getTime();
}
