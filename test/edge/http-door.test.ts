/** The bounds of an HTTP server by themselves, with a server that answers when it is told to. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { afterEach, expect, test } from 'vitest';
import { type HttpDoor, httpDoor } from '../../src/edge/http-door.ts';
import { ask, type Flood, flood, UNFINISHED } from '../support/flood.ts';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

async function serve(
  limits: Parameters<typeof httpDoor>[1],
  answer: (door: HttpDoor, request: IncomingMessage, response: ServerResponse) => void,
): Promise<number> {
  const server = createServer((request, response) => answer(door, request, response));
  const door = httpDoor(server, limits);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  const address = server.address();
  return typeof address === 'object' ? (address?.port ?? 0) : 0;
}
const silent = async (port: number, count: number): Promise<Flood> => {
  const it = await flood(port, count, UNFINISHED.silent);
  closers.push(it.close);
  return it;
};

test('while every place is taken by people who have logged in, health has places of its own', async () => {
  const held: (() => void)[] = [];
  const port = await serve({ total: 6, waiting: 6, perOwner: 2, reserved: 2 }, (door, request, response) => {
    if (door.isReserved(request.socket)) {
      response.writeHead(request.url === '/healthz' ? 200 : 503).end();
      return;
    }
    door.prove(request.socket, response, request.headers.authorization ?? '');
    held.push(() => response.end());
  });
  const slow = ['a', 'b', 'c'].flatMap((authorization) =>
    [1, 2].map(() => ask(port, '/', { headers: { authorization } })),
  );
  await expect.poll(() => held.length).toBe(6);
  await silent(port, 50);
  expect(await ask(port, '/healthz')).toMatchObject({ status: 200 });
  expect(await ask(port, '/')).toMatchObject({ status: 503 });
  for (const done of held) done();
  expect((await Promise.all(slow)).map(({ status }) => status)).toEqual(Array(6).fill(200));
});

test('one person keeps so many places; what is more gives way like whoever has not logged in', async () => {
  const held: (() => void)[] = [];
  const port = await serve({ total: 6, waiting: 6, perOwner: 2, reserved: 0 }, (door, request, response) => {
    door.prove(request.socket, response, 'dana');
    held.push(() => response.end());
  });
  const asked: Promise<number>[] = [];
  for (let i = 1; i <= 6; i += 1) {
    asked.push(
      ask(port, '/').then(
        ({ status }) => status,
        () => 0,
      ),
    );
    await expect.poll(() => held.length).toBe(i);
  }
  const begun = await silent(port, 50);
  await expect.poll(begun.open).toBe(4);
  for (const done of held) done();
  expect(await Promise.all(asked)).toEqual([200, 200, 0, 0, 0, 0]);
});
