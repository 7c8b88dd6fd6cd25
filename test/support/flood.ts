/** Connections that begin something and never finish it, from an address of this machine; bounded, and all closed again. */
import { request } from 'node:http';
import { connect, type Socket } from 'node:net';

/** Every way to be half there. */
export const UNFINISHED = {
  silent: '',
  'half a request line': 'GET /heal',
  'half a head': 'GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: ',
  'half a body':
    'POST /login HTTP/1.1\r\nHost: @\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 60000\r\n\r\nlink=',
  'half a chunk':
    'POST /api/login HTTP/1.1\r\nHost: @\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n{',
} as const;

export interface Flood {
  /** How many are still open. */
  open(): number;
  close(): void;
}

/** Resolves when each has connected (or was turned away). `bytes`: what it says first; `@` is the server's own address. */
export async function flood(port: number, count: number, bytes: string, from = '127.0.0.1'): Promise<Flood> {
  const sockets: Socket[] = [];
  await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<void>((resolve) => {
          const socket = connect({ host: '127.0.0.1', port, localAddress: from });
          sockets.push(socket);
          socket.on('error', () => resolve());
          socket.on('close', () => resolve());
          socket.on('connect', () => {
            if (bytes !== '') socket.write(Buffer.from(bytes.replace('@', `127.0.0.1:${port}`), 'latin1'));
            resolve();
          });
          socket.resume();
        }),
    ),
  );
  return {
    open: () => sockets.filter((socket) => !socket.destroyed && !socket.closed).length,
    close: () => {
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** A request on a connection of its own, from an address of this machine. */
export function ask(
  port: number,
  path: string,
  options: { readonly from?: string; readonly headers?: Record<string, string> } = {},
): Promise<{ readonly status: number; readonly body: string }> {
  return new Promise((resolve, reject) => {
    const asked = request(
      {
        host: '127.0.0.1',
        port,
        path,
        localAddress: options.from ?? '127.0.0.1',
        agent: false,
        headers: options.headers ?? {},
      },
      (answer) => {
        let body = '';
        answer.setEncoding('utf8');
        answer.on('data', (chunk: string) => {
          body += chunk;
        });
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body }));
        answer.on('error', reject);
      },
    );
    asked.on('error', reject);
    asked.end();
  });
}
