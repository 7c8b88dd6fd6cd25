/** A target tried before anybody needs it: a typing mistake in its address or logins is told at start, and what fails later when asked for. */
import { serialize } from 'pg-protocol';
import type { Target } from '../types.ts';
import { connectUpstream } from './connect.ts';
import { UpstreamFault } from './open.ts';
import { Pooling } from './pooling.ts';

const TIMEOUT_MS = 3_000;

/** What its sessions would be told, once for each cause; `pooled`: it is behind a pooler that keeps sessions apart. */
export async function probeTarget(
  target: Target,
  name = 'holdpoint start',
): Promise<{ readonly faults: readonly string[]; readonly pooled: boolean }> {
  const logins = new Map(Object.values(target.logins).map((one) => [one.user, one]));
  const pooling = new Pooling(() => performance.now(), null);
  let pooled = false;
  const faults = await Promise.all(
    [...logins.values()].map(async (login) => {
      try {
        const link = await connectUpstream({
          target,
          login,
          settings: new Map([['application_name', name]]),
          timeoutMs: TIMEOUT_MS,
          pooling,
        });
        pooled ||= link.pooled;
        link.socket
          .on('error', () => {})
          .resume()
          .end(serialize.end());
        return null;
      } catch (error) {
        return error instanceof UpstreamFault ? error.message : 'it cannot be reached';
      }
    }),
  );
  return { faults: [...new Set(faults.filter((fault) => fault !== null))], pooled };
}
