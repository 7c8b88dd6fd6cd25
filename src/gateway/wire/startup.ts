import { WireFault } from './fault.ts';
import { Reader } from './reader.ts';

/** The server's MAX_STARTUP_PACKET_LENGTH. */
export const MAX_STARTUP = 10_000;

const SSL = 80877103;
const GSSENC = 80877104;
const CANCEL = 80877102;

export type StartupPacket =
  | { readonly kind: 'ssl' }
  | { readonly kind: 'gssenc' }
  | { readonly kind: 'cancel'; readonly pid: number; readonly secret: Buffer }
  | {
      readonly kind: 'startup';
      readonly minor: number;
      readonly parameters: ReadonlyMap<string, string>;
      /** `_pq_.…` options we do not know: named in NegotiateProtocolVersion. */
      readonly unknownOptions: readonly string[];
    };

/** Length of the packet that `bytes` begins with, null while the length word is incomplete. Throws before anything is allocated. */
export function startupLength(bytes: Buffer): number | null {
  if (bytes.length < 4) return null;
  const length = bytes.readInt32BE(0);
  if (length < 8 || length > MAX_STARTUP) throw new WireFault('invalid length of startup packet');
  return length;
}

/** `bytes` is exactly one packet. */
export function parseStartup(bytes: Buffer): StartupPacket {
  const reader = new Reader(bytes, 4);
  const code = reader.uint32();
  if (code === SSL || code === GSSENC) {
    reader.end();
    return { kind: code === SSL ? 'ssl' : 'gssenc' };
  }
  if (code === CANCEL) {
    const pid = reader.int32();
    const secret = reader.rest();
    if (secret.length < 4 || secret.length > 256) throw new WireFault('invalid cancel request');
    return { kind: 'cancel', pid, secret };
  }
  const major = code >>> 16;
  if (major !== 3) throw new WireFault(`unsupported frontend protocol ${major}.${code & 0xffff}`);
  const parameters = new Map<string, string>();
  const unknownOptions: string[] = [];
  for (;;) {
    const name = reader.cstring();
    if (name === '') break;
    const value = reader.cstring();
    if (name.startsWith('_pq_.')) unknownOptions.push(name);
    // The last one counts, as in the server; drivers do send some twice.
    else parameters.set(name, value);
  }
  reader.end();
  return { kind: 'startup', minor: code & 0xffff, parameters, unknownOptions };
}
