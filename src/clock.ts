/**
 * One time for all desks on a store: its server's, carried on in between by a clock that nobody sets. Else a gateway whose clock is half a
 * minute behind is taken for dead by the others, and a clock that jumps lets requests expire or grants last.
 */
export interface SharedClock {
  readonly now: () => number;
  /** Asks the server again. Where it cannot be asked, or answers late, time goes on as it did. */
  sync(): Promise<void>;
}

const LATE_MS = 2000;

/** `first`: the time until the server has told it. */
export function sharedClock(
  ask: () => Promise<number>,
  first: number,
  steady: () => number = () => performance.now(),
): SharedClock {
  let ahead = first - steady();
  return {
    now: () => Math.floor(steady() + ahead),
    async sync() {
      const before = steady();
      const at = await ask().catch(() => null);
      const after = steady();
      if (at !== null && after - before <= LATE_MS) ahead = at - (before + after) / 2;
    },
  };
}
