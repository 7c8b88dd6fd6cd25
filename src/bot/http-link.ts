/** HTTP mode: Bolt's receiver behind a listener of our own, which closes what the receiver leaves open (SLACK.md traps 3–5). */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { HTTPReceiver } from '@slack/bolt';
import { HTTP_TIMES, httpDoor } from '../edge/http-door.ts';
import { slackLogger } from './slack-api.ts';
import { isRecord } from './tapper.ts';
import type { BotConfig, BotLog } from './types.ts';

export interface HttpLink {
  readonly receiver: InstanceType<typeof HTTPReceiver>;
  /** Rejects when the port cannot be had. Resolves to the port in use. */
  start(): Promise<number>;
  stop(): Promise<void>;
}

const PATH = '/slack/events';
const BODY_LIMIT = 256 * 1024;
/** Slack's own advice: five minutes, both ways. */
const SKEW_S = 300;
const FORM = 'application/x-www-form-urlencoded';

export function createHttpLink(
  config: BotConfig,
  signingSecret: string,
  log: BotLog,
  now: () => number,
): HttpLink {
  const receiver = new HTTPReceiver({
    signingSecret,
    endpoints: [PATH],
    logger: slackLogger(log),
  });
  const server = createServer({ ...HTTP_TIMES, requestTimeout: 15_000 }, (request, response) => {
    front(receiver, request, response, now()).catch(() => refuse(response, 400));
  });
  // Slack comes through a proxy, as a rule: of one address there may be as many as in all.
  httpDoor(server, { total: 200, waiting: 200, perOwner: 200, reserved: 0 });
  const { port = 3000 } = config;
  const listen = typeof port === 'number' ? { host: '127.0.0.1', port } : port;
  return {
    receiver,
    start: () => start(server, listen),
    stop: () =>
      new Promise((resolve) => {
        if (!server.listening) return resolve();
        server.close(() => resolve());
        server.closeIdleConnections();
        setTimeout(() => server.closeAllConnections(), 1500).unref();
      }),
  };
}

function start(server: Server, listen: { readonly host: string; readonly port: number }): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(listen.port, listen.host, () => {
      server.off('error', reject);
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : listen.port);
    });
  });
}

async function front(
  receiver: InstanceType<typeof HTTPReceiver>,
  request: IncomingMessage,
  response: ServerResponse,
  at: number,
): Promise<void> {
  const status = refusal(request, at);
  if (status !== null) return refuse(response, status);
  // Bolt compares the content type with its bare form and answers 400 to a charset.
  const type = request.headers['content-type'] ?? '';
  if (type.split(';')[0]?.trim().toLowerCase() === FORM) request.headers['content-type'] = FORM;
  const rawBody = await bodyOf(request);
  if (rawBody === null) return refuse(response, 413);
  // Outside Bolt's own try: a body of `null` would end the process.
  if (!isAnObject(rawBody.toString(), request.headers['content-type'] === FORM)) return refuse(response, 400);
  receiver.requestListener(Object.assign(request, { rawBody }), response);
}

function refuse(response: ServerResponse, status: number): void {
  if (!response.headersSent) response.writeHead(status, { connection: 'close' });
  response.end();
}

/** null: over the limit. Bolt takes what is in `rawBody` and reads no more. */
async function bodyOf(request: IncomingMessage): Promise<Buffer | null> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    if (!Buffer.isBuffer(chunk)) return null;
    size += chunk.length;
    if (size > BODY_LIMIT) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** A form without a payload is a command, an object by itself. */
function isAnObject(body: string, form: boolean): boolean {
  const json = form ? new URLSearchParams(body).get('payload') : body;
  return json === null || isRecord(JSON.parse(json));
}

/** What never reaches the receiver, as a status; null: let it through. */
function refusal(request: IncomingMessage, at: number): number | null {
  const [path] = (request.url ?? '').split('?');
  if (path !== PATH) return 404;
  if (request.method !== 'POST') return 405;
  // Bolt refuses only what is old: a timestamp ahead of time would stay valid for as long as it is ahead.
  const stamp = request.headers['x-slack-request-timestamp'];
  const seconds = typeof stamp === 'string' && /^[0-9]{9,11}$/.test(stamp) ? Number(stamp) : Number.NaN;
  return Math.abs(at / 1000 - seconds) <= SKEW_S ? null : 401;
}
