/** A TCP proxy before a server that swallows what a test names, so that a process can be killed between two messages. */
import { connect, createServer, type Socket } from 'node:net';

export interface StallingProxy {
  readonly port: number;
  /** What carries this text, and all that follows on its connection, never arrives. */
  swallow(text: string): void;
  /** What carries this text arrives; no answer to it does. */
  mute(text: string): void;
  /** Nothing arrives any more. */
  swallowAll(): void;
  /** Resolves with the time (`performance.now`) at which this text arrives. */
  sees(text: string): Promise<number>;
  /** As at first; connections that were tampered with end. */
  heal(): void;
  close(): Promise<void>;
}

export async function stallingProxy(upstreamPort: number): Promise<StallingProxy> {
  const swallowed = new Set<string>();
  const muted = new Set<string>();
  const awaited = new Map<string, (at: number) => void>();
  const ends = new Set<() => void>();
  let all = false;
  const names = (texts: Set<string>, chunk: Buffer) => [...texts].some((text) => chunk.includes(text));
  const server = createServer((client: Socket) => {
    const upstream = connect(upstreamPort, '127.0.0.1');
    let dumb = false;
    let deaf = false;
    const end = (): void => {
      client.destroy();
      upstream.destroy();
      ends.delete(end);
    };
    ends.add(end);
    client.on('data', (chunk: Buffer) => {
      for (const [text, tell] of awaited) if (chunk.includes(text)) tell(performance.now());
      deaf ||= all || names(swallowed, chunk);
      dumb ||= names(muted, chunk);
      if (!deaf) upstream.write(chunk);
    });
    upstream.on('data', (chunk: Buffer) => {
      if (!dumb) client.write(chunk);
    });
    for (const socket of [client, upstream]) socket.on('error', end).on('close', end);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const heal = (): void => {
    all = false;
    swallowed.clear();
    muted.clear();
    for (const end of [...ends]) end();
  };
  return {
    port: address.port,
    swallow: (text) => void swallowed.add(text),
    mute: (text) => void muted.add(text),
    swallowAll: () => {
      all = true;
    },
    sees: (text) =>
      new Promise((resolve) => {
        awaited.set(text, (at) => {
          awaited.delete(text);
          resolve(at);
        });
      }),
    heal,
    close: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      heal();
      await closed;
    },
  };
}
