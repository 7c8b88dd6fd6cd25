/** Whose a request is, behind proxies: `X-Forwarded-For` as far as those who wrote it are trusted. */
import { isIP } from 'node:net';
import { type Networks, plainAddress } from './address.ts';

const MAX_HOPS = 32;

/**
 * Read from the right: each proxy appends whom it heard from, and the first who is no trusted proxy is the client; what stands left of it
 * is the client's own word. What is no address ends the reading at the proxy that let it through. From elsewhere the header counts nothing.
 */
export function clientAddress(remote: string, forwarded: string | undefined, proxies: Networks): string {
  let client = plainAddress(remote);
  const hops = (forwarded ?? '').split(',').slice(-MAX_HOPS);
  for (const hop of hops.reverse()) {
    if (!proxies.has(client)) return client;
    const address = addressOf(hop.trim());
    if (address === null) return client;
    client = address;
  }
  return client;
}

/** `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`, `[2001:db8::1]:4711`. */
function addressOf(hop: string): string | null {
  if (hop.length > 60) return null;
  const [, v6, v4] = /^\[([0-9a-f:.]+)\](?::\d{1,5})?$|^(\d+\.\d+\.\d+\.\d+)(?::\d{1,5})?$/i.exec(hop) ?? [];
  const address = v6 ?? v4 ?? hop;
  return isIP(address) === 0 || address.includes('%') ? null : plainAddress(address);
}
