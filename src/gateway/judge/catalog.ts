/**
 * The catalog of one target, at most `maxAgeMs` old whenever it is handed out (DESIGN.md 16). A digest of the catalog's xmin tells
 * cheaply whether anything changed, stamps tell which relations did; only those are read again. Without it nothing is judged: fail closed.
 */
import type { z } from 'zod';
import type { Server } from '../../policy/server.ts';
import type { CatalogRelation, CatalogSnapshot } from '../../policy/types.ts';
import type { CatalogConnection } from './catalog-connection.ts';
import { OPERATORS, operatorShape } from './catalog-operators.ts';
import { type CatalogPatch, patched } from './catalog-patch.ts';
import * as sql from './catalog-sql.ts';

export interface CatalogReading {
  readonly snapshot: CatalogSnapshot;
  /** Column names by relation oid and attribute number (dropped columns leave gaps). */
  readonly attributes: ReadonlyMap<number, ReadonlyMap<number, string>>;
  /** From the snapshot of version `from` to this one. */
  readonly patch: { readonly from: string; readonly value: CatalogPatch } | null;
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
  let digest: Digest | null = null;
  let stamps: ReadonlyMap<number, string> = new Map();
  let checkedAt = Number.NEGATIVE_INFINITY;
  /** `invalidate` raises it; a check counts only when it began under the present one. */
  let generation = 0;
  let checkedGeneration = -1;
  let running: { readonly generation: number; readonly done: Promise<CatalogReading> } | null = null;
  let failure: { readonly at: number; readonly error: CatalogUnavailable } | null = null;
  let partials = 0;
  let usedAt = Number.NEGATIVE_INFINITY;
  let timer: NodeJS.Timeout | null = null;
  let server: Server | null = null;
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
      if (link.server.grammar === null) reading ??= stranger(link.server, startedAt);
      else reading = await look(link, reading, startedAt);
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

  async function look(
    link: CatalogConnection,
    before: CatalogReading | null,
    startedAt: number,
  ): Promise<CatalogReading> {
    try {
      await link.query(sql.BEGIN);
      const value = await one(link, sql.DIGEST, sql.digestShape);
      const found =
        before === null || digest === null || value.shared !== digest.shared
          ? await readAll(link, value, startedAt)
          : value.relations === digest.relations
            ? before
            : await readChanged(link, before, value, startedAt);
      await link.query('commit');
      return found;
    } catch (error) {
      await link.query('rollback').catch(() => drop(link));
      throw error;
    }
  }

  async function linked(): Promise<CatalogConnection> {
    if (closed) throw new Error('closed');
    if (connection !== null) return connection;
    const link = await connect();
    if (closed) {
      link.close();
      throw new Error('closed');
    }
    // Another server, or the same after an upgrade: nothing that was read before counts.
    if (server?.number !== link.server.number || server.said !== link.server.said)
      [reading, digest] = [null, null];
    server = link.server;
    connection = link;
    link.onLost(() => drop(link));
    return link;
  }

  function drop(link: CatalogConnection): void {
    if (connection === link) connection = null;
    link.close();
  }

  /** A partial reading is not remembered as this digest's: the next look reads again. */
  function keep(
    snapshot: CatalogSnapshot,
    patch: CatalogReading['patch'],
    attributes: CatalogReading['attributes'],
    of: { readonly digest: Digest; readonly stamps: ReadonlyMap<number, string>; readonly partial: boolean },
  ): CatalogReading {
    digest = of.partial ? null : of.digest;
    stamps = of.stamps;
    return { snapshot, attributes, patch };
  }

  function versionOf({ shared, relations }: Digest, partial: boolean): string {
    if (partial) partials += 1;
    return `${server?.number ?? 0}.${shared}.${relations}${partial ? `+${partials}` : ''}`;
  }

  async function readAll(link: CatalogConnection, value: Digest, takenAt: number): Promise<CatalogReading> {
    const rows = await one(link, sql.relations(), sql.relationShape);
    const functions = await one(link, sql.FUNCTIONS, sql.functionShape);
    const foreignKeys = await one(link, sql.FOREIGN_KEYS, sql.foreignKeyShape);
    const operators = await one(link, OPERATORS, operatorShape);
    const types = await one(link, sql.TYPES, sql.typeShape);
    const logins = await one(link, sql.LOGINS, sql.loginShape);
    const definitions = await texts(link, sql.definitions, viewsOf(rows));
    const database = await one(link, sql.DATABASE, sql.databaseShape);
    const policies = await texts(link, sql.policyTexts, policiesOf(rows));
    const sqlBodies = await texts(
      link,
      sql.sqlBodies,
      functions.filter((f) => f.language === 'sql' && f.body === null).map((f) => f.oid),
    );
    const partial = definitions.partial || policies.partial || sqlBodies.partial;
    const snapshot: CatalogSnapshot = {
      version: versionOf(value, partial),
      database: database.name,
      serverVersion: server?.number ?? 0,
      eventTriggers: database.eventTriggers,
      relations: rows.map((row) => relationOf(row, definitions.found, policies.found)),
      functions: functions.map((fn) => ({ ...fn, body: fn.body ?? sqlBodies.found.get(fn.oid) ?? null })),
      foreignKeys,
      customOperators: operators,
      types,
      logins,
      qualified: true,
      takenAt,
    };
    const now = new Map(await one(link, sql.STAMPS, sql.stampsShape));
    return keep(snapshot, null, new Map(rows.map(attributesOf)), { digest: value, stamps: now, partial });
  }

  /** The relations whose stamp changed, and those whose deparsed texts hold the names of others: views, and what has policies. */
  async function readChanged(
    link: CatalogConnection,
    before: CatalogReading,
    value: Digest,
    takenAt: number,
  ): Promise<CatalogReading> {
    const now = new Map(await one(link, sql.STAMPS, sql.stampsShape));
    const changed = [...now].filter(([oid, stamp]) => stamps.get(oid) !== stamp).map(([oid]) => oid);
    const removed = [...stamps.keys()].filter((oid) => !now.has(oid));
    const old = changed.some((oid) => stamps.has(oid));
    const guarded = before.snapshot.relations.filter(
      ({ oid, policies }) => old && now.has(oid) && (policies ?? []).length > 0,
    );
    const again = [...new Set([...changed, ...guarded.map(({ oid }) => oid)])];
    const rows = await one(link, sql.relations(again), sql.relationShape);
    const foreignKeys = await one(link, sql.FOREIGN_KEYS, sql.foreignKeyShape);
    const views = old
      ? viewsOf([...before.snapshot.relations.filter(({ oid }) => now.has(oid)), ...rows])
      : viewsOf(rows);
    const { found, partial } = await texts(link, sql.definitions, views);
    const policies = await texts(link, sql.policyTexts, policiesOf(rows));
    const fresh = new Map(rows.map((row) => [row.oid, relationOf(row, found, policies.found)]));
    for (const view of before.snapshot.relations) {
      const text = found.get(view.oid) ?? null;
      if (fresh.has(view.oid) || !views.includes(view.oid) || text === view.definition) continue;
      fresh.set(view.oid, { ...view, definition: text });
    }
    const patch: CatalogPatch = {
      version: versionOf(value, partial || policies.partial),
      relations: [...fresh.values()],
      removed,
      foreignKeys,
      takenAt,
    };
    const attributes = new Map(before.attributes);
    for (const oid of removed) attributes.delete(oid);
    for (const row of rows) attributes.set(...attributesOf(row));
    const from = before.snapshot.version;
    return keep(patched(before.snapshot, patch), { from, value: patch }, attributes, {
      digest: value,
      stamps: now,
      partial: partial || policies.partial,
    });
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

/** Of a server with no grammar here the catalog may be another as well: it is not read. */
const stranger = ({ number, said }: Server, takenAt: number): CatalogReading => ({
  snapshot: {
    version: `${number}.${said}`,
    database: '',
    serverVersion: number,
    unfamiliar: said,
    relations: [],
    functions: [],
    foreignKeys: [],
    customOperators: [],
    takenAt,
  },
  attributes: new Map(),
  patch: null,
});

type Digest = z.infer<typeof sql.digestShape>;
type Row = z.infer<typeof sql.relationShape>[number];

const viewsOf = (relations: readonly { readonly oid: number; readonly relkind: string }[]) => [
  ...new Set(relations.filter(({ relkind }) => relkind === 'v' || relkind === 'm').map(({ oid }) => oid)),
];

const policiesOf = (rows: readonly Row[]) => rows.flatMap(({ policies }) => policies.map(({ oid }) => oid));

type Texts = ReadonlyMap<number, string>;
const relationOf = (row: Row, definitions: Texts, policies: Texts): CatalogRelation => ({
  ...row,
  policies: row.policies.map(({ oid, ...policy }) => ({ ...policy, text: policies.get(oid) ?? null })),
  columns: row.columns.map(({ number: _, ...column }) => column),
  definition: definitions.get(row.oid) ?? null,
});

const attributesOf = ({ oid, columns }: Row) =>
  [oid, new Map(columns.map(({ number, name }) => [number, name]))] as const;

async function one<T>(link: CatalogConnection, query: string, shape: z.ZodType<T>): Promise<T> {
  return shape.parse(cellOf(await link.query(query)));
}

/**
 * Deparsed texts by oid. When one of them is locked by somebody's open DDL, each is tried by itself; what cannot be read stays
 * unknown (which analysis counts as tagged) until the next look.
 */
async function texts(
  link: CatalogConnection,
  query: (oids: readonly number[]) => string,
  oids: readonly number[],
): Promise<{ readonly found: ReadonlyMap<number, string>; readonly partial: boolean }> {
  const found = new Map<number, string>();
  if (oids.length === 0) return { found, partial: false };
  const add = (rows: readonly { readonly oid: number; readonly text: string | null }[]) => {
    for (const { oid, text } of rows) if (text !== null) found.set(oid, text);
  };
  await link.query('savepoint holdpoint');
  try {
    add(await one(link, query(oids), sql.textShape));
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
      add(await one(link, query([oid]), sql.textShape));
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
