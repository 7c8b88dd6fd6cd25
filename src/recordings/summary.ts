/** What the index knows of a session, counted from its events: the same function counts live and from a file. */
import type { RecordedEvent, SessionMeta, SessionSummary } from './types.ts';

export function newSummary(meta: SessionMeta): SessionSummary {
  return {
    ...meta,
    endedAt: null,
    endedWhy: null,
    statements: 0,
    held: 0,
    denied: 0,
    errors: 0,
    rows: 0,
    head: null,
  };
}

/** Mutable inside the recorder, handed out as copies. */
export type Counts = { -readonly [K in keyof SessionSummary]: SessionSummary[K] };

export function count(counts: Counts, event: RecordedEvent): void {
  switch (event.kind) {
    case 'statement':
      counts.statements += 1;
      if (event.effect === 'hold') counts.held += 1;
      if (event.effect === 'deny') counts.denied += 1;
      return;
    case 'approval':
      if (event.state === 'denied') counts.denied += 1;
      return;
    case 'result':
      if (event.error !== null) counts.errors += 1;
      counts.rows += event.rows ?? 0;
      return;
    case 'end':
      counts.endedAt = event.t;
      counts.endedWhy = event.why;
      return;
    case 'session':
    case 'notice':
    case 'policy':
    case 'access':
      return;
  }
}
