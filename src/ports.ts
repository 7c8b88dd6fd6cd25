/** Free ports and busy ones: a default port moves on, a configured one is an error (issue: "What a newcomer does"). */
import { createServer } from 'node:net';

export class PortBusy extends Error {
  constructor(host: string, port: number, name: string) {
    super(
      `${name} cannot listen on ${host}:${port}: the port is in use. Stop what uses it, or configure another port.`,
    );
    this.name = 'PortBusy';
  }
}

/** `port` itself when it can be had; else, for a default port, the next free one within 50. */
export async function choosePort(
  host: string,
  port: number,
  configured: boolean,
  name: string,
  taken: readonly number[] = [],
): Promise<number> {
  const last = configured ? port : port + 50;
  for (let candidate = port; candidate <= last; candidate += 1) {
    if (candidate === 0 || (!taken.includes(candidate) && (await free(host, candidate)))) return candidate;
  }
  throw new PortBusy(host, port, name);
}

function free(host: string, port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE' || error.code === 'EACCES') resolve(false);
      else reject(error);
    });
    probe.listen({ host, port, exclusive: true }, () => probe.close(() => resolve(true)));
  });
}
