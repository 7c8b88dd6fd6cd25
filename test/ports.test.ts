import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { checkListen, listenFrom } from '../src/ports.ts';

const host = '127.0.0.1';
let other: Server;
let busy: number;
beforeEach(async () => {
  other = createServer().listen(0, host);
  await once(other, 'listening');
  const address = other.address();
  busy = typeof address === 'object' ? (address?.port ?? 0) : 0;
});
afterEach(() => {
  other.close();
});

test('a default port that is taken moves on, also when it was free a moment ago', async () => {
  const tried: number[] = [];
  const port = await listenFrom({ host, port: busy, configured: false }, 'the gateway', async (candidate) => {
    tried.push(candidate);
    if (tried.length < 3) throw Object.assign(new Error(), { code: 'EADDRINUSE' });
    return candidate;
  });
  expect(port).toBe(busy + 2);
  expect(tried).toEqual([busy, busy + 1, busy + 2]);
});

test('a configured one is an error, and each cause has its sentence', async () => {
  await expect(checkListen({ host, port: busy, configured: true }, 'the gateway')).rejects.toThrow(
    `the gateway cannot listen on ${host}:${busy}: the port is in use.`,
  );
  // TEST-NET-1: no machine has it.
  await expect(checkListen({ host: '192.0.2.1', port: 1, configured: true }, 'it')).rejects.toThrow(
    'this machine has no address 192.0.2.1',
  );
  for (const [code, sentence] of [
    ['EACCES', 'this user has no permission for the port. Configure one above 1023.'],
    ['ENOTFOUND', 'the name 127.0.0.1 does not resolve'],
    ['EPERM', 'the system refuses (EPERM)'],
  ] as const)
    await expect(
      listenFrom({ host, port: 80, configured: false }, 'it', async () => {
        throw Object.assign(new Error(), { code });
      }),
    ).rejects.toThrow(sentence);
});
