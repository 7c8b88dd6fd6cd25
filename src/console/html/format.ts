/** Times, amounts and words of the pages. */
import { html } from 'hono/html';
import { STATE_NAMES } from '../../approvals/about.ts';
import type { ApprovalRequest, RequestState } from '../../approvals/types.ts';
import type { Html } from './sql.ts';

const DAY_MS = 86_400_000;

/** A moment in UTC; the page's script rewrites it in the reader's own time zone. */
export function moment(at: number, now: number): Html {
  const iso = new Date(at).toISOString();
  const day = Math.abs(now - at) < DAY_MS / 2 ? '' : `${iso.slice(0, 10)} `;
  return html`<time datetime="${iso}">${day}${iso.slice(11, 19)} UTC</time>`;
}

/** `12 s`, `4 min`, `3 h`, `2 d`. */
export function span(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 90) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 90) return `${minutes} min`;
  const hours = Math.round(minutes / 60);
  return hours < 48 ? `${hours} h` : `${Math.round(hours / 24)} d`;
}

export function ago(at: number, now: number): string {
  return now - at < 5_000 ? 'just now' : `${span(now - at)} ago`;
}

export function took(ms: number): string {
  if (ms < 1) return 'under 1 ms';
  return ms < 10_000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** What the server did: its tag, rows where the tag does not name them, and time. A refusal took none and did nothing. */
export function work(end: {
  readonly tag: string | null;
  readonly rows: number | null;
  readonly ms: number;
}): string[] {
  const { tag, rows, ms } = end;
  return [
    ...(tag === null ? [] : [tag]),
    ...(!rows || tag?.endsWith(` ${rows}`) === true ? [] : [count(rows, 'row')]),
    ...(tag === null && ms === 0 ? [] : [took(ms)]),
  ];
}

export function count(n: number, one: string, many = `${one}s`): string {
  return `${n.toLocaleString('en')} ${n === 1 ? one : many}`;
}

export function size(bytes: number): string {
  return bytes < 1024 ? count(bytes, 'byte') : `${(bytes / 1024).toFixed(1)} KB`;
}

/** How a state looks: `wait` amber, `good` green, `bad` red, `dim` grey. */
const TONES = {
  pending: 'wait',
  granted: 'good',
  executing: 'good',
  executed: 'good',
  failed: 'bad',
  unknown: 'bad',
  denied: 'bad',
  expired: 'dim',
  withdrawn: 'dim',
  lapsed: 'dim',
} as const satisfies Record<RequestState, string>;
export function stateBadge(request: ApprovalRequest): Html {
  return html`<span class="badge ${TONES[request.state]}">${STATE_NAMES[request.state]}</span>`;
}

/** `DELETE on public.orders`: the title of a card, beside which its id and who asks stand on their own. */
export function what({ statement }: ApprovalRequest): string {
  const [first, ...more] = statement.relations;
  if (first === undefined) return statement.verb;
  return `${statement.verb} on ${first}${more.length > 0 ? ` and ${more.length} more` : ''}`;
}
