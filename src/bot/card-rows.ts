/** The stored row of a card: several lanes change it, one change at a time, each on what is stored then. */
import type { CardRef, Outbox } from './types.ts';

export interface CardRows {
  get(id: string): Promise<CardRef | null>;
  patch(id: string, change: Partial<CardRef>): Promise<CardRef>;
}

export function createCardRows(outbox: Outbox): CardRows {
  const locks = new Map<string, Promise<unknown>>();
  return {
    get: (id) => outbox.card(id),
    async patch(id, change) {
      const before = locks.get(id) ?? Promise.resolve();
      const next = before
        .catch(() => {})
        .then(async () => {
          const card: CardRef = { ...((await outbox.card(id)) ?? blank(id)), ...change };
          await outbox.saveCard(card);
          return card;
        });
      locks.set(id, next);
      try {
        return await next;
      } finally {
        if (locks.get(id) === next) locks.delete(id);
      }
    },
  };
}

function blank(requestId: string): CardRef {
  return {
    requestId,
    channel: '',
    ts: null,
    version: 0,
    postingSince: null,
    threadPosted: false,
    outcomePosted: false,
    reminderPosted: false,
    escalationPosted: false,
    told: [],
  };
}
