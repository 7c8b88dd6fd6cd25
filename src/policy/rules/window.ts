/** A time of the week, in a zone. Pure: the clock is an argument. */
export const DAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;
export type Day = (typeof DAYS)[number];

/** From `from` (included) to `to` (excluded), minutes of the day. `to` ≤ `from`: past midnight, the days say when it begins. */
export interface TimeWindow {
  readonly zone: string;
  /** null: every day. */
  readonly days: readonly Day[] | null;
  readonly from: number;
  readonly to: number;
}

/** `09:30` → 570, `24:00` → 1440, or null. */
export function parseClock(text: string): number | null {
  const [, hours, minutes] = /^(\d{1,2}):(\d{2})$/.exec(text) ?? [];
  if (hours === undefined || minutes === undefined) return null;
  const at = Number(hours) * 60 + Number(minutes);
  return Number(minutes) < 60 && at <= 1440 ? at : null;
}

export function knownZone(zone: string): boolean {
  try {
    formatOf(zone);
    return true;
  } catch {
    return false;
  }
}

export function inWindow({ zone, days, from, to }: TimeWindow, now: number): boolean {
  const { day, minute } = localTime(zone, now);
  const on = (index: number): boolean => days === null || days.includes(DAYS[(index + 7) % 7] ?? 'mon');
  if (from < to) return on(day) && minute >= from && minute < to;
  return (on(day) && minute >= from) || (on(day - 1) && minute < to);
}

const FORMATS = new Map<string, Intl.DateTimeFormat>();

function formatOf(zone: string): Intl.DateTimeFormat {
  let format = FORMATS.get(zone);
  if (format === undefined) {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      weekday: 'short',
      hour: '2-digit',
      minute: '2-digit',
      hourCycle: 'h23',
    });
    FORMATS.set(zone, format);
  }
  return format;
}

/** Throws on what is no time: a rule that cannot be evaluated denies. */
function localTime(zone: string, now: number): { readonly day: number; readonly minute: number } {
  const parts = new Map(
    formatOf(zone)
      .formatToParts(now)
      .map(({ type, value }) => [type, value]),
  );
  const weekday = parts.get('weekday')?.toLowerCase() ?? '';
  const day: number = (DAYS as readonly string[]).indexOf(weekday);
  const minute = Number(parts.get('hour')) * 60 + Number(parts.get('minute'));
  if (day < 0 || !Number.isInteger(minute)) throw new Error('no local time');
  return { day, minute };
}

export function windowText({ zone, days, from, to }: TimeWindow): string {
  const clock = (at: number): string =>
    `${String(Math.floor(at / 60)).padStart(2, '0')}:${String(at % 60).padStart(2, '0')}`;
  return `${days === null ? '' : `${days.join(', ')} `}${clock(from)} to ${clock(to)} ${zone}`;
}
