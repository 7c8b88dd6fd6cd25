/** Builders of the messages that the gateway itself sends to the client (pg-protocol has none for this direction). */
import { ascii, HEADER } from './frame.ts';

function frame(type: string, ...parts: readonly Buffer[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 4);
  const head = Buffer.alloc(5);
  head.writeUInt8(ascii(type), 0);
  head.writeInt32BE(length, 1);
  return Buffer.concat([head, ...parts], length + 1);
}
const int16 = (value: number): Buffer => {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value, 0);
  return bytes;
};
const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value, 0);
  return bytes;
};
/** A NUL would end the string early and shift every later field. */
const cstring = (text: string): Buffer => Buffer.from(`${text.replaceAll('\0', '')}\0`, 'utf8');

export interface Report {
  readonly severity: 'FATAL' | 'ERROR' | 'NOTICE';
  readonly code: string;
  readonly message: string;
  readonly detail?: string | null;
  readonly hint?: string | null;
  /** A character of the statement, from 1. */
  readonly position?: string | null;
}
function fields(report: Report): Buffer[] {
  const list: [string, string | null | undefined][] = [
    ['S', report.severity],
    ['V', report.severity],
    ['C', report.code],
    ['M', report.message],
    ['D', report.detail],
    ['H', report.hint],
    ['P', report.position],
  ];
  const parts = list.flatMap(([key, value]) =>
    value === null || value === undefined ? [] : [Buffer.from(key, 'latin1'), cstring(value)],
  );
  return [...parts, Buffer.alloc(1)];
}
/** A server's report again, with the fields that are left of it. */
export const reportFields = (type: 'E' | 'N', fields: ReadonlyMap<string, string>): Buffer =>
  frame(
    type,
    ...[...fields].flatMap(([key, value]) => [Buffer.from(key, 'latin1'), cstring(value)]),
    Buffer.alloc(1),
  );
export const errorResponse = (report: Report): Buffer => frame('E', ...fields(report));
export const noticeResponse = (report: Report): Buffer => frame('N', ...fields(report));
export const readyForQuery = (status: 'I' | 'T' | 'E'): Buffer => frame('Z', Buffer.from(status, 'latin1'));
export const parameterStatus = (name: string, value: string): Buffer =>
  frame('S', cstring(name), cstring(value));
export const backendKeyData = (pid: number, secret: Buffer): Buffer => frame('K', int32(pid), secret);

export const authenticationOk = (): Buffer => frame('R', int32(0));
export const authenticationCleartext = (): Buffer => frame('R', int32(3));
export const authenticationSasl = (mechanisms: readonly string[]): Buffer =>
  frame('R', int32(10), ...mechanisms.map(cstring), Buffer.alloc(1));
export const authenticationSaslContinue = (data: string): Buffer =>
  frame('R', int32(11), Buffer.from(data, 'latin1'));
export const authenticationSaslFinal = (data: string): Buffer =>
  frame('R', int32(12), Buffer.from(data, 'latin1'));

/** NotificationResponse as it came, but for its payload. */
export function withoutPayload(message: Buffer): Buffer {
  const pid = HEADER + 4;
  const channel = message.subarray(pid, message.indexOf(0, pid) + 1);
  return frame('A', message.subarray(HEADER, pid), channel, cstring(''));
}

export const negotiateProtocolVersion = (unknown: readonly string[]): Buffer =>
  frame('v', int32(0x30000), int32(unknown.length), ...unknown.map(cstring));

/** For tests and scripted servers: all columns text. */
export const rowDescription = (names: readonly string[]): Buffer =>
  frame(
    'T',
    int16(names.length),
    ...names.flatMap((name) => [
      cstring(name),
      int32(0),
      int16(0),
      int32(25),
      int16(0xffff),
      int32(-1),
      int16(0),
    ]),
  );
export const commandComplete = (tag: string): Buffer => frame('C', cstring(tag));
