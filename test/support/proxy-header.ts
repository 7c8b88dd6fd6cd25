/** A PROXY header of version 2 as the bytes say it, right or wrong. */
export function proxyV2(command: number, family: number, rest: Buffer): Buffer {
  const head = Buffer.from('0d0a0d0a000d0a515549540a00000000', 'hex');
  head[12] = command;
  head[13] = family;
  head.writeUInt16BE(rest.length, 14);
  return Buffer.concat([head, rest]);
}

/** As a proxy hands on a connection of that IPv4 address. */
export function proxied(address: string): Buffer {
  return proxyV2(
    0x21,
    0x11,
    Buffer.from([...address.split('.').map(Number), 127, 0, 0, 1, 0x10, 0, 0x1d, 0x08]),
  );
}
