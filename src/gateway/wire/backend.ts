/** Decoders of what the server sends, only where the gateway needs to know. Its text is shown, never judged: decoded leniently. */
import { HEADER } from './frame.ts';
import { Reader } from './reader.ts';

export interface ServerError {
  readonly severity: string;
  readonly code: string;
  readonly message: string;
  /** The raising function of the server: the same in every language. */
  readonly routine: string;
  readonly hint: string | null;
  readonly position: string | null;
}
/** ErrorResponse and NoticeResponse: every field by its letter, in order. */
export function decodeFields(message: Buffer): Map<string, string> {
  const reader = new Reader(message, HEADER);
  const fields = new Map<string, string>();
  while (reader.left > 0) {
    const field = reader.uint8();
    if (field === 0) break;
    fields.set(String.fromCharCode(field), reader.cbytes().toString('utf8'));
  }
  return fields;
}

export function decodeError(message: Buffer): ServerError {
  const fields = decodeFields(message);
  return {
    severity: fields.get('V') ?? fields.get('S') ?? 'ERROR',
    code: fields.get('C') ?? 'XX000',
    message: fields.get('M') ?? '',
    routine: fields.get('R') ?? '',
    hint: fields.get('H') ?? null,
    position: fields.get('P') ?? null,
  };
}

export interface Field {
  readonly name: string;
  readonly tableOid: number;
  readonly attnum: number;
  readonly typeOid: number;
  readonly format: number;
}
export function decodeRowDescription(message: Buffer): Field[] {
  const reader = new Reader(message, HEADER);
  const count = reader.uint16();
  const fields: Field[] = [];
  for (let i = 0; i < count; i++) {
    const name = reader.cbytes().toString('utf8');
    const tableOid = reader.uint32();
    const attnum = reader.int16();
    const typeOid = reader.uint32();
    reader.bytes(6);
    fields.push({ name, tableOid, attnum, typeOid, format: reader.int16() });
  }
  return fields;
}

/** Views of the column values. */
export function decodeDataRow(message: Buffer): (Buffer | null)[] {
  const reader = new Reader(message, HEADER);
  const count = reader.uint16();
  const values: (Buffer | null)[] = [];
  for (let i = 0; i < count; i++) {
    const length = reader.int32();
    values.push(length === -1 ? null : reader.bytes(length));
  }
  return values;
}

export const decodeTag = (message: Buffer): string => new Reader(message, HEADER).cbytes().toString('utf8');

/** `DELETE 202` → 202, `INSERT 0 5` → 5, `BEGIN` → null. */
export function tagRows(tag: string): number | null {
  const last = /(\d+)$/.exec(tag);
  return last === null ? null : Number(last[1]);
}

export function decodeParameterStatus(message: Buffer): { readonly name: string; readonly value: string } {
  const reader = new Reader(message, HEADER);
  return { name: reader.cbytes().toString('utf8'), value: reader.cbytes().toString('utf8') };
}

export interface BackendKey {
  readonly pid: number;
  readonly secret: Buffer;
}
export function decodeBackendKey(message: Buffer): BackendKey {
  const reader = new Reader(message, HEADER);
  return { pid: reader.int32(), secret: Buffer.from(reader.rest()) };
}

export type AuthRequest =
  | { readonly kind: 'ok' }
  | { readonly kind: 'cleartext' }
  | { readonly kind: 'md5'; readonly salt: Buffer }
  | { readonly kind: 'sasl'; readonly mechanisms: readonly string[] }
  | { readonly kind: 'sasl-continue'; readonly data: Buffer }
  | { readonly kind: 'sasl-final'; readonly data: Buffer }
  | { readonly kind: 'other'; readonly code: number };
export function decodeAuth(message: Buffer): AuthRequest {
  const reader = new Reader(message, HEADER);
  const code = reader.int32();
  if (code === 0) return { kind: 'ok' };
  if (code === 3) return { kind: 'cleartext' };
  if (code === 5) return { kind: 'md5', salt: Buffer.from(reader.bytes(4)) };
  if (code === 11) return { kind: 'sasl-continue', data: Buffer.from(reader.rest()) };
  if (code === 12) return { kind: 'sasl-final', data: Buffer.from(reader.rest()) };
  if (code !== 10) return { kind: 'other', code };
  const mechanisms: string[] = [];
  while (reader.left > 1) mechanisms.push(reader.cbytes().toString('latin1'));
  return { kind: 'sasl', mechanisms };
}
