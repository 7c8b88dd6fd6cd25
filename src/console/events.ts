/** Server-sent events: which requests changed. Says ids and states only; whoever listens fetches what it may see. */
import type { Context } from 'hono';
import { streamSSE } from 'hono/streaming';
import type { Desk } from '../approvals/types.ts';
import type { Access } from '../identity/access.ts';
import type { Caller, Env } from './guard.ts';
import { seesRequest } from './scope.ts';

const MAX_STREAMS = 256;
/** Of one person: nobody takes the live view from all others. */
const MAX_OWN = 8;
const BEAT_MS = 15_000;

export interface Live {
  stream(c: Context<Env>, caller: Caller): Response;
  close(): void;
}

export function createLive(desk: Desk, access: Access): Live {
  const streams = new Map<() => void, string>();
  return {
    stream(c, caller) {
      const own = [...streams.values()].filter((id) => id === caller.person.id).length;
      if (streams.size >= MAX_STREAMS || own >= MAX_OWN) {
        return c.json({ error: 'Too many live views are open; close one and reload.' }, 503);
      }
      return streamSSE(c, async (stream) => {
        // A slow reader costs one entry a request, however often it changes.
        const dirty = new Map<
          string,
          { readonly id: string; readonly version: number; readonly state: string }
        >();
        let wake = (): void => {};
        let open = true;
        const stop = (): void => {
          open = false;
          wake();
        };
        streams.set(stop, caller.person.id);
        let { person } = caller;
        const off = desk.onChange((request) => {
          if (!seesRequest(person, request)) return;
          const { id, version, state } = request;
          dirty.set(id, { id, version, state });
          wake();
        });
        stream.onAbort(stop);
        try {
          await stream.writeSSE({ event: 'ready', data: '{}', retry: 2_000 });
          while (open) {
            if (dirty.size === 0) {
              const changed = await new Promise<boolean>((resolve) => {
                const timer = setTimeout(() => resolve(false), BEAT_MS);
                wake = () => {
                  clearTimeout(timer);
                  resolve(true);
                };
              });
              if (!open) break;
              // Logged out, expired or suspended: the stream ends with it.
              const still = await access.still(caller.secret);
              if (still === null) break;
              person = still;
              if (!changed) await stream.write(': beat\n\n');
            }
            const batch = [...dirty.values()];
            dirty.clear();
            for (const change of batch)
              await stream.writeSSE({ event: 'request', data: JSON.stringify(change) });
          }
        } finally {
          off();
          streams.delete(stop);
        }
      });
    },
    close() {
      for (const stop of streams.keys()) stop();
    },
  };
}
