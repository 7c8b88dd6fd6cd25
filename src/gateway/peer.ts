/** Whose a connection is: the address that it comes from, or what a trusted proxy says of it first of all (PROXY protocol, version 2). */
import { BlockList, isIP, type Socket } from 'node:net';
import { type Networks, plainAddress, sourceOf } from '../edge/address.ts';
import { ExactReader } from './exact.ts';
import { PROXY_HEAD, proxyHead, proxySource } from './wire/proxy.ts';

export interface Peer {
  readonly address: string;
  /** Counted together. */
  readonly source: string;
  /** Nothing of it passed a network, as far as is known. */
  readonly local: boolean;
}

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');
const isLoopback = (address: string): boolean =>
  isIP(address) !== 0 && LOOPBACK.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');

export const remoteOf = (tcp: Socket): string => plainAddress(tcp.remoteAddress ?? 'unknown');

/** From a network that is not trusted nothing is read: such a header is no startup packet. Rejects with WireFault where a proxy sends none. */
export async function peerOf(tcp: Socket, proxies: Networks, deadline: AbortSignal): Promise<Peer> {
  const remote = remoteOf(tcp);
  const stated = proxies.has(remote) ? await statedBy(new ExactReader(tcp, deadline)) : null;
  const address = stated ?? remote;
  return { address, source: sourceOf(address), local: isLoopback(remote) && isLoopback(address) };
}

async function statedBy(reader: ExactReader): Promise<string | null> {
  const bytes = await reader.take(PROXY_HEAD);
  const head = proxyHead(bytes);
  const rest = head.length === 0 ? Buffer.alloc(0) : await reader.take(head.length);
  return proxySource(head, bytes, rest);
}
