/** Decoders of what the client sends; each takes the whole message and insists on its exact length. */
import { MessageFault } from './fault.ts';
import { FRONTEND, HEADER } from './frame.ts';
import { Reader } from './reader.ts';

export function decodeQuery(message: Buffer): string {
  const reader = new Reader(message, HEADER);
  const sql = reader.cstring();
  reader.end();
  return sql;
}

export interface ParseMessage {
  readonly name: string;
  readonly sql: string;
  readonly paramTypes: readonly number[];
}
export function decodeParse(message: Buffer): ParseMessage {
  const reader = new Reader(message, HEADER);
  const name = reader.cstring();
  const sql = reader.cstring();
  const count = reader.uint16();
  const paramTypes: number[] = [];
  for (let i = 0; i < count; i++) paramTypes.push(reader.uint32());
  reader.end();
  return { name, sql, paramTypes };
}

export interface BindMessage {
  readonly portal: string;
  readonly statement: string;
  /** One per value: 0 text, 1 binary. */
  readonly formats: readonly number[];
  /** Views of the message; null is SQL NULL. */
  readonly values: readonly (Buffer | null)[];
  /** None: all text. One: for all columns. */
  readonly resultFormats: readonly number[];
  /** Of the whole message, which the values keep in memory. */
  readonly bytes: number;
}
export function decodeBind(given: Buffer): BindMessage {
  // What a named portal keeps must not keep the whole read alive.
  const named = given[HEADER] !== 0 && given.length * 2 < given.buffer.byteLength;
  const message = named ? Buffer.from(given) : given;
  const reader = new Reader(message, HEADER);
  const portal = reader.cstring();
  const statement = reader.cstring();
  const { formats, values } = givenValues(reader, 'bind message', 'parameter');
  const resultFormats = formatCodes(reader);
  reader.end();
  return { portal, statement, formats, values, resultFormats, bytes: message.length };
}

export interface FunctionCallMessage extends Pick<BindMessage, 'formats' | 'values'> {
  readonly oid: number;
}
export function decodeFunctionCall(message: Buffer): FunctionCallMessage {
  const reader = new Reader(message, HEADER);
  const oid = reader.uint32();
  const given = givenValues(reader, 'function call message', 'argument');
  formatCode(reader);
  reader.end();
  return { oid, ...given };
}

function givenValues(reader: Reader, of: string, what: string): Pick<BindMessage, 'formats' | 'values'> {
  const given = formatCodes(reader);
  const count = reader.uint16();
  if (given.length > 1 && given.length !== count)
    throw new MessageFault(`${of} has ${given.length} ${what} formats but ${count} ${what}s`);
  const values: (Buffer | null)[] = [];
  for (let i = 0; i < count; i++) {
    const length = reader.int32();
    values.push(length === -1 ? null : reader.bytes(length));
  }
  return { values, formats: values.map((_, i) => (given.length === 1 ? given[0] : given[i]) ?? 0) };
}

function formatCodes(reader: Reader): number[] {
  const count = reader.uint16();
  const formats: number[] = [];
  for (let i = 0; i < count; i++) formats.push(formatCode(reader));
  return formats;
}

function formatCode(reader: Reader): number {
  const format = reader.int16();
  if (format !== 0 && format !== 1) throw new MessageFault(`unsupported format code: ${format}`, '22023');
  return format;
}

export interface ExecuteMessage {
  readonly portal: string;
  readonly maxRows: number;
}
export function decodeExecute(message: Buffer): ExecuteMessage {
  const reader = new Reader(message, HEADER);
  const portal = reader.cstring();
  const maxRows = reader.int32();
  reader.end();
  return { portal, maxRows };
}

/** Describe and Close. */
export interface NamedMessage {
  readonly of: 'statement' | 'portal';
  readonly name: string;
}
export function decodeNamed(message: Buffer): NamedMessage {
  const reader = new Reader(message, HEADER);
  const kind = reader.uint8();
  const name = reader.cstring();
  reader.end();
  if (kind === 0x53) return { of: 'statement', name };
  if (kind === 0x50) return { of: 'portal', name };
  throw new MessageFault(
    `invalid ${message[0] === FRONTEND.close ? 'CLOSE' : 'DESCRIBE'} message subtype ${kind}`,
  );
}

export function decodePassword(message: Buffer): string {
  const reader = new Reader(message, HEADER);
  const password = reader.cstring();
  reader.end();
  return password;
}

export interface SaslInitial {
  readonly mechanism: string;
  readonly data: Buffer;
}
export function decodeSaslInitial(message: Buffer): SaslInitial {
  const reader = new Reader(message, HEADER);
  const mechanism = reader.cstring();
  const length = reader.int32();
  const data = length === -1 ? Buffer.alloc(0) : reader.bytes(length);
  reader.end();
  return { mechanism, data };
}

export const decodeSaslResponse = (message: Buffer): Buffer => message.subarray(HEADER);

/** Sync, Flush, CopyDone and Terminate carry nothing. */
export function expectEmpty(message: Buffer): void {
  if (message.length !== HEADER) throw new MessageFault('invalid message format');
}
