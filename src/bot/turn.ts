/**
 * Of several processes on one store one at a time tells Slack what the store says: cards in version order, each thread once, within
 * Slack's rates. Its turn goes on while it says so; where it has been silent for long enough that nothing of it is still on its way,
 * another takes over.
 */
import { CALL_MS, type SlackApi, SlackFailure } from './slack-api.ts';
import type { BotDeps } from './types.ts';

export interface Turn {
  /** What begins now ends before anybody else's turn begins. */
  mine(): boolean;
  /** Calls that are not made outside of the turn. */
  guard(api: SlackApi): SlackApi;
  start(): Promise<void>;
  stop(): Promise<void>;
}

const NAME = 'slack';
const TURN_MS = 15_000;
const RENEW_MS = 1000;

export function createTurn({ log, turns }: Pick<BotDeps, 'log' | 'turns'>): Turn {
  // Not the wall clock: that may be set back.
  let until = Number.NEGATIVE_INFINITY;
  let timer: NodeJS.Timeout | null = null;
  let renewing = false;
  const mine = (): boolean => performance.now() + CALL_MS < until;

  async function renew(): Promise<void> {
    if (renewing) return;
    renewing = true;
    const before = mine();
    const asked = performance.now();
    try {
      until = (await turns.take(NAME, TURN_MS)) ? asked + TURN_MS : Number.NEGATIVE_INFINITY;
    } catch {
      // It ends by itself.
    } finally {
      renewing = false;
    }
    if (mine() !== before)
      log.info({}, before ? 'another process writes to Slack now' : 'this process writes to Slack');
  }

  return {
    mine,
    guard: (api) => ({
      call: async (method, args) => {
        if (!mine()) throw new SlackFailure(method, { kind: 'limited', retryAfterMs: RENEW_MS });
        return await api.call(method, args);
      },
    }),
    async start() {
      await renew();
      timer = setInterval(() => void renew(), RENEW_MS);
      timer.unref();
    },
    async stop() {
      if (timer !== null) clearInterval(timer);
      if (until > Number.NEGATIVE_INFINITY) await turns.give(NAME).catch(() => undefined);
      until = Number.NEGATIVE_INFINITY;
    },
  };
}
