/** What one message may show in all, spent part by part: the weightiest first, whatever stands where. */

/** Slack names no figure and refuses messages from about 11,000 characters on (`msg_blocks_too_long`). */
const MESSAGE_TOTAL = 8000;
/** A text cut shorter than this says nothing. */
const LEAST = 24;

export interface Budget {
  /** For what has to be there, and is bounded by cuts of its own. */
  must<T>(part: T): T;
  /** The whole of it or nothing. */
  whole<T>(part: T): T | null;
  /** As much as there is room for: `make` cuts its foreign text to the characters that it is given, `max` at most. */
  upTo<T>(max: number, make: (room: number) => T): T | null;
  /** As many as there is room for, in their order, and how many of all are left out. */
  first<T>(parts: readonly T[], rest: (out: number) => T, all?: number): readonly T[];
  /** Of some text not even a beginning fitted, and nothing says so yet. */
  short(): boolean;
}

export function createBudget(total: number = MESSAGE_TOTAL): Budget {
  let left = total;
  let short = false;
  function must<T>(part: T): T {
    left -= price(part);
    return part;
  }
  const whole = <T>(part: T): T | null => (price(part) > left ? null : must(part));
  return {
    must,
    whole,
    upTo(max, make) {
      const uncut = whole(make(max));
      if (uncut !== null) return uncut;
      const room = left - price(make(1));
      const made = room < LEAST ? null : whole(make(Math.min(max, room)));
      if (made === null) short = true;
      return made;
    },
    first(parts, rest, all = parts.length) {
      const every = parts.length < all ? null : whole(parts);
      if (every !== null) return every;
      const last = price(rest(all));
      if (last > left) {
        short = true;
        return [];
      }
      left -= last;
      const shown: (typeof parts)[number][] = [];
      for (const part of parts) {
        if (whole(part) === null) break;
        shown.push(part);
      }
      return [...shown, rest(all - shown.length)];
    },
    short: () => short,
  };
}

/**
 * In characters. What frames them has its price too: Slack counts nobody knows what, so half of the JSON counts where that is more. A
 * character of a shown text is never more than two of JSON; the comma and the line end before it are the one more.
 */
function price(part: unknown): number {
  return Math.max(characters(part), Math.ceil(JSON.stringify(part).length / 2)) + 1;
}
function characters(part: unknown): number {
  if (typeof part !== 'object' || part === null) return 0;
  return Object.entries(part).reduce(
    (sum, [key, each]) => sum + (key === 'text' && typeof each === 'string' ? each.length : characters(each)),
    0,
  );
}
