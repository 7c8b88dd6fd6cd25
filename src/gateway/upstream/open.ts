/** The TCP or TLS link to a target's server. */
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { serialize } from 'pg-protocol';
import type { Target } from '../types.ts';

/** A peer that is gone without a word is noticed; the system's own two hours would keep its locks as long. */
export const KEEP_ALIVE_MS = 60_000;

export class UpstreamFault extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UpstreamFault';
  }
}

/** Resolves with a connected socket, encrypted as the target says; rejects with an UpstreamFault that is fit for the client. */
export async function openSocket(target: Target, timeoutMs: number): Promise<Socket> {
  const tcp = await dial(target, timeoutMs);
  if (target.tls === 'disable') return tcp;
  try {
    return await encrypt(tcp, target, timeoutMs);
  } catch (error) {
    tcp.destroy();
    throw error;
  }
}

function dial(target: Target, timeoutMs: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connectTcp({
      host: target.host,
      port: target.port,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_MS,
    });
    const timer = setTimeout(() => fail('it did not answer in time'), timeoutMs);
    const fail = (why: string): void => {
      clearTimeout(timer);
      socket.destroy();
      reject(new UpstreamFault(why));
    };
    socket.once('error', (error: NodeJS.ErrnoException) =>
      fail(`it cannot be reached (${error.code ?? 'error'})`),
    );
    socket.once('connect', () => {
      clearTimeout(timer);
      socket.removeAllListeners('error');
      resolve(socket);
    });
  });
}

function encrypt(tcp: Socket, target: Target, timeoutMs: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => fail('it did not answer in time'), timeoutMs);
    const fail = (why: string): void => {
      clearTimeout(timer);
      reject(new UpstreamFault(why));
    };
    const onEnd = (): void => fail('it closed the link');
    tcp.once('error', onEnd);
    tcp.once('close', onEnd);
    tcp.once('data', (answer) => {
      // Exactly one byte: anything behind it was sent before encryption and could be injected.
      if (answer.length !== 1 || answer[0] !== 0x53) return fail('it does not offer TLS');
      tcp.removeListener('error', onEnd);
      tcp.removeListener('close', onEnd);
      const secure = connectTls({
        socket: tcp,
        ALPNProtocols: ['postgresql'],
        rejectUnauthorized: target.tls === 'verify-full',
        ...(isIP(target.host) === 0 ? { servername: target.host } : {}),
        ...(target.ca === null ? {} : { ca: target.ca }),
      });
      secure.once('error', (error: NodeJS.ErrnoException) => fail(`TLS failed (${error.code ?? 'error'})`));
      secure.once('secureConnect', () => {
        clearTimeout(timer);
        secure.removeAllListeners('error');
        resolve(secure);
      });
    });
    tcp.write(serialize.requestSsl());
  });
}
