import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from 'vitest';
import { loadSigningKey } from '../../src/recordings/keys.ts';
import type { IndexedRecorder, RecorderOptions } from '../../src/recordings/recorder.ts';
import { createRecorder } from '../../src/recordings/recorder.ts';
import type { RecordedEvent, SessionIndex, SessionMeta, SessionSummary } from '../../src/recordings/types.ts';

const cleanups: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

export function temporaryDir(): string {
  const dir = mkdtempSync(join(tmpdir(), 'holdpoint-rec-'));
  cleanups.push(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** An index in memory that can be out of order. */
export class MemoryIndex implements SessionIndex {
  readonly rows = new Map<string, SessionSummary>();
  down = false;
  upserts = 0;
  async upsert(rows: readonly SessionSummary[]): Promise<void> {
    this.#check();
    this.upserts += 1;
    for (const row of rows) this.rows.set(row.id, row);
  }
  async get(id: string): Promise<SessionSummary | null> {
    this.#check();
    return this.rows.get(id) ?? null;
  }
  async list(): Promise<readonly SessionSummary[]> {
    this.#check();
    return [...this.rows.values()];
  }
  #check(): void {
    if (this.down) throw new Error('the store is down');
  }
}

export const silent = { info: () => undefined, warn: () => undefined, error: () => undefined };

export function recorder(
  dir: string,
  index: SessionIndex = new MemoryIndex(),
  more: Partial<RecorderOptions> = {},
): IndexedRecorder {
  let clock = 1_780_000_000_000;
  const made = createRecorder({
    dir,
    index,
    log: silent,
    now: () => clock++,
    ...more,
    signingKey: more.signingKey ?? loadSigningKey(join(dir, 'keys')),
  });
  cleanups.push(() => made.close());
  return made;
}

export function meta(id: string): SessionMeta {
  return {
    id,
    ownerId: 'alice@example.com',
    ownerName: 'Alice',
    ownerEmail: 'alice@example.com',
    agent: 'Cursor',
    subject: 'cred_demo',
    credentialId: 'cred_demo',
    target: 'shop',
    environment: 'demo',
    database: 'shop',
    role: 'shop_rw',
    clientAddress: '127.0.0.1:50000',
    applicationName: 'psql',
    startedAt: 1_780_000_000_000,
  };
}

export function statement(
  n: number,
  sql: string,
  more: Partial<Extract<RecordedEvent, { kind: 'statement' }>> = {},
): RecordedEvent {
  return {
    kind: 'statement',
    t: 1_780_000_000_000 + n,
    n,
    sql,
    class: 'read',
    binds: [],
    effect: 'allow',
    rules: ['default:read'],
    reason: '',
    relations: ['public.orders'],
    taggedColumns: [],
    protocol: 'simple',
    ...more,
  };
}

export function result(
  n: number,
  more: Partial<Extract<RecordedEvent, { kind: 'result' }>> = {},
): RecordedEvent {
  return {
    kind: 'result',
    t: 1_780_000_000_500 + n,
    n,
    ms: 1.25,
    tag: 'SELECT 1',
    rows: 1,
    columns: ['id'],
    values: [['7']],
    truncated: false,
    withheld: false,
    error: null,
    ...more,
  };
}

export function day(): string {
  return '2026-05-28';
}

export function bytesOf(dir: string, id: string): Buffer {
  return readFileSync(join(dir, day(), `${id}.jsonl`));
}
