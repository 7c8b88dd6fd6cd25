/** Whose a connection is: addresses, the sources that are counted together, and networks in CIDR notation. */
import { BlockList, isIP } from 'node:net';

/** An IPv4 address that came as `::ffff:a.b.c.d` is that address. */
export function plainAddress(address: string): string {
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1] ?? address;
}

/** Whose connections count together: one address, of IPv6 the network of 64 bits that one host may have to itself. */
export function sourceOf(address: string): string {
  const plain = plainAddress(address);
  if (isIP(plain) !== 6) return plain;
  const [head = '', tail] = plain.replace(/%.*$/, '').split('::');
  const left = head.split(':').filter((part) => part !== '');
  const right = (tail ?? '').split(':').filter((part) => part !== '');
  // `::` stands for as many zeros as are missing to eight.
  const all =
    tail === undefined ? left : [...left, ...Array(8 - left.length - right.length).fill('0'), ...right];
  return `${all
    .slice(0, 4)
    .map((part) => Number.parseInt(part, 16).toString(16))
    .join(':')}::/64`;
}

export interface Networks {
  has(address: string): boolean;
}
export const NO_NETWORKS: Networks = { has: () => false };

/** What is wrong with a network such as `10.0.0.0/8` or `fd00::1`; null: nothing. */
export function networkProblem(text: string): string | null {
  return partsOf(text) === null ? 'write an address or a network such as 10.0.0.0/8 or fd00::/8' : null;
}

/** Of texts without a problem. */
export function networksOf(texts: readonly string[]): Networks {
  const list = new BlockList();
  for (const text of texts) {
    const parts = partsOf(text);
    if (parts === null) throw new Error('not a network');
    list.addSubnet(parts.address, parts.bits, parts.family);
  }
  return {
    has(address) {
      const plain = plainAddress(address).replace(/%.*$/, '');
      const family = isIP(plain);
      return family !== 0 && list.check(plain, family === 6 ? 'ipv6' : 'ipv4');
    },
  };
}

function partsOf(
  text: string,
): { readonly address: string; readonly bits: number; readonly family: 'ipv4' | 'ipv6' } | null {
  const [, address = '', length] = /^([0-9a-f:.]+)(?:\/(\d{1,3}))?$/i.exec(text) ?? [];
  const version = isIP(address);
  if (version === 0) return null;
  const most = version === 6 ? 128 : 32;
  const bits = length === undefined ? most : Number(length);
  // Of 0 bits it would trust everybody's word about who they are.
  if (bits < 1 || bits > most) return null;
  return { address, bits, family: version === 6 ? 'ipv6' : 'ipv4' };
}
