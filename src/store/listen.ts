import pg from 'pg';
import type { Client, StoreLog } from './client.ts';
import { codeOf } from './failure.ts';

/** Told in the transaction of the change itself: `process request`. */
export const CHANNEL = 'holdpoint_requests';
const FIRST_MS = 500;
const LAST_MS = 10_000;

export interface Ear {
  /** Requests that other processes changed, by id. Those of a lost connection are missed: whoever must not miss any asks as well. */
  onChange(listener: (id: string) => void): () => void;
  close(): Promise<void>;
}

export function listen(url: string, client: Client, log: StoreLog): Ear {
  const listeners = new Set<(id: string) => void>();
  let connection: pg.Client | null = null;
  let timer: NodeJS.Timeout | null = null;
  let pause = FIRST_MS;
  let closed = false;

  function again(): void {
    if (closed || timer !== null) return;
    timer = setTimeout(() => {
      timer = null;
      void open();
    }, pause);
    timer.unref();
    pause = Math.min(2 * pause, LAST_MS);
  }

  async function open(): Promise<void> {
    const next = new pg.Client({
      connectionString: url,
      application_name: 'holdpoint-listen',
      connectionTimeoutMillis: 2_000,
      keepAlive: true,
    });
    connection = next;
    const lost = (): void => {
      if (connection !== next) return;
      connection = null;
      again();
    };
    next.on('error', lost).on('end', lost);
    next.on('notification', ({ payload = '' }) => {
      const [from, id] = payload.split(' ');
      if (from === client.name || id === undefined) return;
      for (const listener of listeners) listener(id);
    });
    try {
      await next.connect();
      await next.query(`LISTEN ${CHANNEL}`);
      pause = FIRST_MS;
    } catch (error) {
      log.warn({ code: codeOf(error) }, 'what other processes change is heard of later: no connection');
      lost();
      void next.end().catch(() => undefined);
    }
  }

  void open();
  return {
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async close() {
      closed = true;
      if (timer !== null) clearTimeout(timer);
      listeners.clear();
      await connection?.end().catch(() => undefined);
    },
  };
}
