import pg from 'pg';
import type { IssuedElsewhere } from '../identity/known.ts';
import type { Client, StoreLog } from './client.ts';
import { codeOf } from './failure.ts';

/** Told in the transaction of the change itself: `process request`. */
export const CHANNEL = 'holdpoint_requests';
/** Likewise, of a credential or access: `process kind key`. */
export const ISSUED_CHANNEL = 'holdpoint_issued';
const FIRST_MS = 500;
const LAST_MS = 10_000;

export interface Ear extends IssuedElsewhere {
  /** Requests that other processes changed, by id. Those of a lost connection are missed: whoever must not miss any asks as well. */
  onChange(listener: (id: string) => void): () => void;
  close(): Promise<void>;
}

export function listen(url: string, client: Client, log: StoreLog): Ear {
  const listeners = new Set<(id: string) => void>();
  const issued = new Set<Parameters<Ear['onIssued']>[0]>();
  const hearers = new Set<(hearing: boolean) => void>();
  let hearing = false;
  let connection: pg.Client | null = null;
  let timer: NodeJS.Timeout | null = null;
  let pause = FIRST_MS;
  let closed = false;

  function hear(now: boolean): void {
    if (hearing === now) return;
    hearing = now;
    for (const hearer of hearers) hearer(now);
  }

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
      hear(false);
      again();
    };
    next.on('error', lost).on('end', lost);
    next.on('notification', ({ channel, payload = '' }) => {
      const [from, first, second] = payload.split(' ');
      if (from === client.name || first === undefined) return;
      if (channel === CHANNEL) for (const listener of listeners) listener(first);
      else if (second !== undefined && (first === 'access' || first === 'credential'))
        for (const listener of issued) listener(first, second);
    });
    try {
      await next.connect();
      await next.query(`LISTEN ${CHANNEL}; LISTEN ${ISSUED_CHANNEL}`);
      pause = FIRST_MS;
      hear(true);
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
    onIssued(listener) {
      issued.add(listener);
      return () => issued.delete(listener);
    },
    onHearing(listener) {
      hearers.add(listener);
      listener(hearing);
      return () => hearers.delete(listener);
    },
    async close() {
      closed = true;
      if (timer !== null) clearTimeout(timer);
      listeners.clear();
      hearers.clear();
      await connection?.end().catch(() => undefined);
    },
  };
}
