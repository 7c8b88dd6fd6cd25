/**
 * PROXY protocol, version 2 (haproxy's proxy-protocol.txt, section 2.2): what a proxy says of the connection that it hands on. Strict: TCP
 * over IPv4 or IPv6, every field within its bounds, a checksum that holds where there is one. Version 1 is not spoken.
 */
import { WireFault } from './fault.ts';

const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');
/** Signature, version and command, family and protocol, length. */
export const PROXY_HEAD = 16;
/** What follows: addresses and, of load balancers, a few names or the subject of a certificate. */
const MAX_REST = 4096;
const CRC32C = 0x03;

/** `local`: the proxy's own connection, such as its health check. */
export type ProxyCommand = 'local' | 'proxy';
export interface ProxyHead {
  readonly command: ProxyCommand;
  /** Of both addresses; null: not said, of a local one. */
  readonly family: 4 | 6 | null;
  /** Bytes that follow. */
  readonly length: number;
}

/** The first PROXY_HEAD bytes. Throws WireFault. */
export function proxyHead(bytes: Buffer): ProxyHead {
  if (bytes.length !== PROXY_HEAD || !bytes.subarray(0, 12).equals(SIGNATURE))
    throw new WireFault('no PROXY header of version 2 from a proxy');
  const [version, family, length] = [bytes.readUInt8(12), bytes.readUInt8(13), bytes.readUInt16BE(14)];
  if (length > MAX_REST) throw new WireFault('a PROXY header that is too long');
  // Whatever it says of addresses, the connection is the proxy's own.
  if (version === 0x20) return { command: 'local', family: null, length };
  if (version !== 0x21) throw new WireFault('a PROXY header of an unknown version or command');
  if (family === 0x11) return { command: 'proxy', family: 4, length };
  if (family === 0x21) return { command: 'proxy', family: 6, length };
  throw new WireFault('a PROXY header of another protocol than TCP');
}

/** The client's address; null: the connection is the proxy's own. `rest`: the bytes after the head. Throws WireFault. */
export function proxySource(head: ProxyHead, headBytes: Buffer, rest: Buffer): string | null {
  if (rest.length !== head.length) throw new WireFault('a PROXY header of another length');
  if (head.family === null) return null;
  const size = head.family === 4 ? 4 : 16;
  const addresses = 2 * size + 4;
  if (rest.length < addresses) throw new WireFault('a PROXY header that is too short');
  checkFields(Buffer.concat([headBytes, rest]), PROXY_HEAD + addresses);
  return head.family === 4 ? v4(rest.subarray(0, 4)) : v6(rest.subarray(0, 16));
}

function checkFields(header: Buffer, from: number): void {
  let at = from;
  while (at < header.length) {
    const end = at + 3 <= header.length ? at + 3 + header.readUInt16BE(at + 1) : Number.POSITIVE_INFINITY;
    if (end > header.length) throw new WireFault('a PROXY header with a broken field');
    if (header.readUInt8(at) === CRC32C) {
      if (end !== at + 7) throw new WireFault('a PROXY header with a broken checksum');
      const blank = Buffer.from(header);
      blank.writeUInt32BE(0, at + 3);
      if (crc32c(blank) !== header.readUInt32BE(at + 3))
        throw new WireFault('a PROXY header whose checksum does not hold');
    }
    at = end;
  }
}

/** Castagnoli's, as RFC 9260 (SCTP), appendix A has it. */
export function crc32c(bytes: Buffer): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return (crc ^ 0xffffffff) >>> 0;
}

const v4 = (bytes: Buffer): string => [...bytes].join('.');
function v6(bytes: Buffer): string {
  const mapped = bytes.subarray(0, 12).equals(Buffer.from('00000000000000000000ffff', 'hex'));
  if (mapped) return v4(bytes.subarray(12));
  return Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(2 * i).toString(16)).join(':');
}
