/** Where to listen: a busy default port moves on to the next free one, a configured one is an error (issue: "What a newcomer does"). */
import { once } from 'node:events';
import { createServer } from 'node:net';

export interface Wanted {
  readonly host: string;
  readonly port: number;
  /** The user named this port. */
  readonly configured: boolean;
}

const PORTS_TRIED = 50;

/** Opens the listener on the first port that can be had. To try is the only check that holds: another program may be as quick. */
export async function listenFrom<T>(
  { host, port, configured }: Wanted,
  name: string,
  open: (port: number) => Promise<T>,
): Promise<T> {
  const last = configured ? port : port + PORTS_TRIED;
  for (let candidate = port; ; candidate += 1) {
    try {
      return await open(candidate);
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : null;
      if (code === 'EADDRINUSE' && candidate < last) continue;
      if (code === null) throw error;
      throw new Error(`${name} cannot listen on ${host}:${port}: ${reason(code, host)}`);
    }
  }
}

/** Rejects when nothing can listen there: told before anything is started. */
export async function checkListen(wanted: Wanted, name: string): Promise<void> {
  await listenFrom(wanted, name, async (port) => {
    const probe = createServer().listen(port, wanted.host);
    await once(probe, 'listening');
    probe.close();
    await once(probe, 'close');
  });
}

function reason(code: string, host: string): string {
  switch (code) {
    case 'EADDRINUSE':
      return 'the port is in use. Stop what uses it, or configure another port.';
    case 'EACCES':
      return 'this user has no permission for the port. Configure one above 1023.';
    case 'EADDRNOTAVAIL':
      return `this machine has no address ${host}. Configure one that it has.`;
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `the name ${host} does not resolve. Configure an address of this machine.`;
    default:
      return `the system refuses (${code}). Configure another address.`;
  }
}
