/**
 * The catalog of one target, at most `maxAgeMs` old whenever it is handed out (DESIGN.md 16). A digest of the catalog's xmin tells
 * cheaply whether anything changed; only then everything is read again. Without it nothing is judged: fail closed.
 */
import type { z } from 'zod';
import type { CatalogSnapshot } from '../../policy/types.ts';
import type { CatalogConnection } from './catalog-connection.ts';
import * as sql from './catalog-sql.ts';

export interface CatalogReading {
  readonly snapshot: CatalogSnapshot;
  /** Column names by relation oid and attribute number (dropped columns leave gaps). */
  readonly attributes: ReadonlyMap<number, ReadonlyMap<number, string>>;
}

export interface Catalog {
  /** The reading when it is young enough to judge by, else null. Synchronous. */
  current(): CatalogReading | null;
  /** The last reading, whatever its age. */
  latest(): CatalogReading | null;
  /** A reading young enough; `fresh`: read from now on. Rejects with CatalogUnavailable. */
  ensure(fresh?: boolean): Promise<CatalogReading>;
  /** Something changed: what was read before does not count any more. */
  invalidate(): void;
  close(): Promise<void>;
}

export interface CatalogOptions {
  readonly connect: () => Promise<CatalogConnection>;
  readonly now: () => number;
  /** DESIGN.md 16: 2 s. */
  readonly maxAgeMs?: number;
  /** How often it is looked at in the background while it is in use. */
  readonly pollMs?: number;
}

export class CatalogUnavailable extends Error {
  constructor(cause: unknown) {
    super('the catalog cannot be read', { cause });
    this.name = 'CatalogUnavailable';
  }
}

/** Without use for this long, the background look stops. */
const IDLE_MS = 60_000;
/** After a failure, callers within this time get the same answer: a storm of clients is not a storm of connects. */
const FAILURE_MS = 250;

export function createCatalog(options: CatalogOptions): Catalog {
  const { connect, now } = options;
  const maxAgeMs = options.maxAgeMs ?? 2000;
  const pollMs = options.pollMs ?? 800;
  let connection: CatalogConnection | null = null;
  let reading: CatalogReading | null = null;
  let digest: string | null = null;
  let checkedAt = Number.NEGATIVE_INFINITY;
  /** `invalidate` raises it; a check counts only when it began under the present one. */
  let generation = 0;
  let checkedGeneration = -1;
  let running: { readonly generation: number; readonly done: Promise<CatalogReading> } | null = null;
  let failure: { readonly at: number; readonly error: CatalogUnavailable } | null = null;
  let partials = 0;
  let usedAt = Number.NEGATIVE_INFINITY;
  let timer: NodeJS.Timeout | null = null;
  let closed = false;

  function current(): CatalogReading | null {
    usedAt = now();
    const valid = checkedGeneration === generation && usedAt - checkedAt <= maxAgeMs;
    return valid ? reading : null;
  }

  async function check(): Promise<CatalogReading> {
    const startedGeneration = generation;
    const startedAt = now();
    try {
      const link = await linked();
      try {
        const value = text(await link.query(`${sql.BEGIN};\n${sql.DIGEST}`));
        if (reading === null || value !== digest) {
          const read = await readAll(link, value, startedAt);
          reading = read.reading;
          // A partial reading is not remembered as this digest's: the next look reads again.
          digest = read.partial ? null : value;
        }
        await link.query('commit');
      } catch (error) {
        await link.query('rollback').catch(() => drop(link));
        throw error;
      }
    } catch (error) {
      if (connection !== null && !isServerError(error)) drop(connection);
      const unavailable = new CatalogUnavailable(error);
      failure = { at: now(), error: unavailable };
      throw unavailable;
    }
    failure = null;
    checkedAt = startedAt;
    checkedGeneration = startedGeneration;
    return reading;
  }

  async function linked(): Promise<CatalogConnection> {
    if (closed) throw new Error('closed');
    if (connection !== null) return connection;
    const link = await connect();
    if (closed) {
      link.close();
      throw new Error('closed');
    }
    connection = link;
    link.onLost(() => drop(link));
    return link;
  }

  function drop(link: CatalogConnection): void {
    if (connection === link) connection = null;
    link.close();
  }

  async function readAll(
    link: CatalogConnection,
    value: string,
    takenAt: number,
  ): Promise<{ readonly reading: CatalogReading; readonly partial: boolean }> {
    const server = await one(link, sql.SERVER, sql.serverShape);
    const relations = await one(link, sql.RELATIONS, sql.relationShape);
    const functions = await one(link, sql.FUNCTIONS, sql.functionShape);
    const foreignKeys = await one(link, sql.FOREIGN_KEYS, sql.foreignKeyShape);
    const operators = await one(link, sql.OPERATORS, sql.operatorShape);
    const views = relations.filter(({ relkind }) => relkind === 'v' || relkind === 'm').map(({ oid }) => oid);
    const definitions = await texts(link, sql.definitions, views);
    const sqlBodies =
      server.serverVersion >= 140000
        ? await texts(
            link,
            sql.sqlBodies,
            functions.filter((f) => f.language === 'sql' && f.body === null).map((f) => f.oid),
          )
        : { found: new Map<number, string>(), partial: false };
    const partial = definitions.partial || sqlBodies.partial;
    if (partial) partials += 1;
    const snapshot: CatalogSnapshot = {
      version: partial ? `${value}+${partials}` : value,
      database: server.database,
      serverVersion: server.serverVersion,
      relations: relations.map((relation) => ({
        ...relation,
        columns: relation.columns.map(({ number: _, ...column }) => column),
        definition: definitions.found.get(relation.oid) ?? null,
      })),
      functions: functions.map((fn) => ({ ...fn, body: fn.body ?? sqlBodies.found.get(fn.oid) ?? null })),
      foreignKeys,
      customOperators: operators,
      takenAt,
    };
    const attributes = new Map(
      relations.map(
        ({ oid, columns }) => [oid, new Map(columns.map(({ number, name }) => [number, name]))] as const,
      ),
    );
    return { reading: { snapshot, attributes }, partial };
  }

  function run(): Promise<CatalogReading> {
    const started = { generation, done: check() };
    running = started;
    started.done
      .catch(() => undefined)
      .finally(() => {
        if (running === started) running = null;
        schedule();
      });
    return started.done;
  }

  async function ensure(fresh = false): Promise<CatalogReading> {
    if (fresh) invalidate();
    const valid = current();
    if (valid !== null) return valid;
    const wanted = generation;
    if (running !== null && running.generation < wanted) await running.done.catch(() => undefined);
    if (running !== null) return running.done;
    if (failure !== null && now() - failure.at < FAILURE_MS) throw failure.error;
    return run();
  }

  function invalidate(): void {
    generation += 1;
  }

  function schedule(): void {
    if (closed || timer !== null || now() - usedAt > IDLE_MS) return;
    timer = setTimeout(() => {
      timer = null;
      if (running === null) run().catch(() => undefined);
    }, pollMs);
    timer.unref();
  }

  return {
    current,
    latest: () => reading,
    ensure,
    invalidate,
    async close() {
      closed = true;
      if (timer !== null) clearTimeout(timer);
      if (connection !== null) drop(connection);
      await running?.done.catch(() => undefined);
    },
  };
}

async function one<T>(link: CatalogConnection, query: string, shape: z.ZodType<T>): Promise<T> {
  return shape.parse(cellOf(await link.query(query)));
}

/**
 * Deparsed texts by oid. When one of them is locked by somebody's open DDL, each is tried by itself; what cannot be read stays
 * unknown (which analysis counts as tagged) until the next look.
 */
async function texts(
  link: CatalogConnection,
  query: (oid?: number) => string,
  oids: readonly number[],
): Promise<{ readonly found: ReadonlyMap<number, string>; readonly partial: boolean }> {
  const found = new Map<number, string>();
  if (oids.length === 0) return { found, partial: false };
  const add = (rows: readonly { readonly oid: number; readonly text: string | null }[]) => {
    for (const { oid, text } of rows) if (text !== null) found.set(oid, text);
  };
  await link.query('savepoint holdpoint');
  try {
    add(await one(link, query(), sql.textShape));
    return { found, partial: false };
  } catch (error) {
    if (!isServerError(error)) throw error;
    await link.query("rollback to holdpoint; set local lock_timeout = '20ms'");
  }
  const deadline = performance.now() + 3000;
  for (const oid of oids) {
    if (performance.now() > deadline) break;
    await link.query('savepoint holdpoint');
    try {
      add(await one(link, query(oid), sql.textShape));
    } catch (error) {
      if (!isServerError(error)) throw error;
      await link.query('rollback to holdpoint');
    }
  }
  return { found, partial: true };
}

function cellOf(rows: readonly unknown[]): unknown {
  const row = rows[0];
  return typeof row === 'object' && row !== null && 'value' in row ? row.value : undefined;
}

function text(rows: readonly unknown[]): string {
  const value = cellOf(rows);
  if (typeof value !== 'string') throw new Error('the catalog digest is no text');
  return value;
}

/** An ErrorResponse of the server (it has an SQLSTATE): the connection itself is well. */
function isServerError(error: unknown): boolean {
  return (
    error instanceof Error &&
    'code' in error &&
    typeof error.code === 'string' &&
    /^[0-9A-Z]{5}$/.test(error.code) &&
    !error.code.startsWith('57P') &&
    !error.code.startsWith('08')
  );
}
