/** A target tried before anybody needs it: a typing mistake in its address or logins is told at start. */
import { serialize } from 'pg-protocol';
import type { Target } from '../types.ts';
import { connectUpstream } from './connect.ts';
import { UpstreamFault } from './open.ts';

const TIMEOUT_MS = 3_000;

/** What its sessions would be told, once for each cause; empty: every login gets in. */
export async function probeTarget(target: Target): Promise<string[]> {
  const logins = new Map(Object.values(target.logins).map((one) => [one.user, one]));
  const faults = await Promise.all(
    [...logins.values()].map(async (login) => {
      try {
        const { socket } = await connectUpstream({
          target,
          login,
          settings: new Map([['application_name', 'holdpoint start']]),
          timeoutMs: TIMEOUT_MS,
        });
        socket
          .on('error', () => {})
          .resume()
          .end(serialize.end());
        return null;
      } catch (error) {
        return error instanceof UpstreamFault ? error.message : 'it cannot be reached';
      }
    }),
  );
  return [...new Set(faults.filter((fault) => fault !== null))];
}
