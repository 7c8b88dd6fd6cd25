/** Names and values that travel through Slack. A value carries a request id and a version: never SQL, never authority (SLACK.md "A tap"). */
import { createHash } from 'node:crypto';
import { DENY_REASONS, type DenyCode } from '../approvals/words.ts';

export { DENY_REASONS, type DenyCode };

export const ACTION = {
  approve: 'hp_approve',
  deny: 'hp_deny',
  view: 'hp_view',
  open: 'hp_open',
  count: 'hp_count',
  withdraw: 'hp_withdraw',
  suspend: 'hp_suspend',
} as const;
export const CALLBACK = { deny: 'hp_deny_reason', full: 'hp_full_sql' } as const;
export const REASON_BLOCK = 'hp_reason';
export const REASON_INPUT = 'hp_reason_text';

export interface CardValue {
  readonly id: string;
  readonly version: number;
  /** Of an Approve behind which stands a second question. */
  readonly sure?: boolean;
}

const ID = /^HP-[0-9A-Z]{3,16}$/;
const VALUE = /^(HP-[0-9A-Z]{3,16}):([0-9]{1,9})(:sure)?$/;
const CHOICE = /^(HP-[0-9A-Z]{3,16}:[0-9]{1,9}):([a-z-]{1,20})$/;

/** `hp-7q2f` and `7Q2F` are what people type. null: not an id. */
export function parseRequestId(text: string): string | null {
  const upper = text.trim().toUpperCase();
  const id = upper.startsWith('HP-') ? upper : `HP-${upper}`;
  return ID.test(id) ? id : null;
}

export function encodeValue(value: CardValue): string {
  return `${value.id}:${value.version}${value.sure === true ? ':sure' : ''}`;
}
export function decodeValue(text: unknown): CardValue | null {
  const match = typeof text === 'string' ? VALUE.exec(text) : null;
  const [, id, version, sure] = match ?? [];
  if (id === undefined || version === undefined) return null;
  return { id, version: Number(version), ...(sure === undefined ? {} : { sure: true }) };
}

export function encodeChoice(value: CardValue, code: DenyCode): string {
  return `${encodeValue(value)}:${code}`;
}
export function decodeChoice(text: unknown): { readonly value: CardValue; readonly code: DenyCode } | null {
  const [, head, code] = (typeof text === 'string' ? CHOICE.exec(text) : null) ?? [];
  const value = decodeValue(head);
  const known = DENY_REASONS.find((each) => each.code === code);
  return value === null || known === undefined ? null : { value, code: known.code };
}

/** What a modal remembers (private_metadata, ≤ 3000 characters). */
export interface ModalMemory {
  readonly value: CardValue;
  /** Where an answer can be shown: the channel of the card. */
  readonly channel: string;
  readonly ts: string | null;
}
export function encodeMemory(memory: ModalMemory): string {
  return JSON.stringify([encodeValue(memory.value), memory.channel, memory.ts]);
}
export function decodeMemory(text: unknown): ModalMemory | null {
  if (typeof text !== 'string' || text.length > 3000) return null;
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return null;
  }
  if (!Array.isArray(parsed)) return null;
  const [head, channel, ts]: unknown[] = parsed;
  const value = decodeValue(head);
  if (value === null || typeof channel !== 'string') return null;
  return { value, channel, ts: typeof ts === 'string' ? ts : null };
}

/** Same message, same UUID: Slack documents no idempotency key, but keeps this id with the message (docs/slack.md "Delivery"). */
export function clientMessageId(...parts: readonly string[]): string {
  const hex = createHash('sha256').update(parts.join('\0')).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
