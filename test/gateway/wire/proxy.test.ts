import { describe, expect, it } from 'vitest';
import { WireFault } from '../../../src/gateway/wire/fault.ts';
import { crc32c, PROXY_HEAD, proxyHead, proxySource } from '../../../src/gateway/wire/proxy.ts';
import { proxyV2 } from '../../support/proxy-header.ts';

const V4 = Buffer.from([203, 0, 113, 9, 10, 0, 0, 1, 0x12, 0x67, 0x1d, 0x08]);
const V6 = Buffer.concat([
  Buffer.from('20010db8000000000000000000000009', 'hex'),
  Buffer.from('fd000000000000000000000000000001', 'hex'),
  Buffer.from([0x12, 0x67, 0x1d, 0x08]),
]);

function read(header: Buffer): string | null {
  const head = header.subarray(0, PROXY_HEAD);
  return proxySource(proxyHead(head), head, header.subarray(PROXY_HEAD));
}
const field = (type: number, value: Buffer): Buffer => {
  const head = Buffer.from([type, 0, 0]);
  head.writeUInt16BE(value.length, 1);
  return Buffer.concat([head, value]);
};

describe('a PROXY header of version 2', () => {
  it('says who the client is', () => {
    expect(read(proxyV2(0x21, 0x11, V4))).toBe('203.0.113.9');
    expect(read(proxyV2(0x21, 0x21, V6))).toBe('2001:db8:0:0:0:0:0:9');
    const mapped = Buffer.concat([Buffer.from('00000000000000000000ffffcb007109', 'hex'), V6.subarray(16)]);
    expect(read(proxyV2(0x21, 0x21, mapped))).toBe('203.0.113.9');
  });

  it('of the proxy itself says nothing, whatever it holds', () => {
    for (const family of [0x00, 0x11, 0x21, 0xff])
      for (const rest of [Buffer.alloc(0), V4, Buffer.alloc(500, 1)])
        expect(read(proxyV2(0x20, family, rest))).toBeNull();
  });

  it('may hold fields, which are passed over', () => {
    const fields = Buffer.concat([field(0x02, Buffer.from('db.example.com')), field(0xea, Buffer.alloc(0))]);
    expect(read(proxyV2(0x21, 0x11, Buffer.concat([V4, fields])))).toBe('203.0.113.9');
  });

  it('holds a checksum that is checked', () => {
    // RFC 3720, appendix B.4.
    expect(crc32c(Buffer.alloc(32))).toBe(0x8a9136aa);
    expect(crc32c(Buffer.alloc(32, 0xff))).toBe(0x62a8ab43);
    const summed = (wrong: number): Buffer => {
      const header = proxyV2(
        0x21,
        0x11,
        Buffer.concat([V4, field(0x03, Buffer.alloc(4)), field(0x05, Buffer.from('id'))]),
      );
      header.writeUInt32BE((crc32c(header) ^ wrong) >>> 0, PROXY_HEAD + 12 + 3);
      return header;
    };
    expect(read(summed(0))).toBe('203.0.113.9');
    expect(() => read(summed(1))).toThrow(WireFault);
    expect(() => read(proxyV2(0x21, 0x11, Buffer.concat([V4, field(0x03, Buffer.alloc(3))])))).toThrow(
      WireFault,
    );
  });

  it.each([
    ['another version', proxyV2(0x11, 0x11, V4)],
    ['an unknown command', proxyV2(0x22, 0x11, V4)],
    ['a family that is not said', proxyV2(0x21, 0x00, V4)],
    ['UDP', proxyV2(0x21, 0x12, V4)],
    ['a socket of the system', proxyV2(0x21, 0x31, Buffer.alloc(216))],
    ['addresses cut short', proxyV2(0x21, 0x11, V4.subarray(0, 11))],
    ['IPv6 with addresses of IPv4', proxyV2(0x21, 0x21, V4)],
    ['a field cut short', proxyV2(0x21, 0x11, Buffer.concat([V4, Buffer.from([1, 0])]))],
    ['a field that ends beyond it', proxyV2(0x21, 0x11, Buffer.concat([V4, Buffer.from([1, 0, 2, 0])]))],
    ['more than is taken', proxyV2(0x20, 0x00, Buffer.alloc(4097))],
    ['version 1', Buffer.from('PROXY TCP4 203.0.113.9 10.0.0.1 4711 7432\r\n')],
    ['a startup packet', Buffer.from('000000080004d2162f0000000000000000', 'hex')],
  ])('is refused with %s', (_, header) => {
    expect(() => read(header)).toThrow(WireFault);
  });

  it('is refused with any bit of its signature changed', () => {
    for (let bit = 0; bit < 96; bit += 1) {
      const header = proxyV2(0x21, 0x11, V4);
      header[bit >> 3] = (header[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(() => read(header)).toThrow(WireFault);
    }
  });
});
