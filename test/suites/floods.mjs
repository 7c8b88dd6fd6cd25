// Floods from one address, of what nobody finishes and of what is wrong, while honest people and agents come in from the same address and from
// another (I7). The long form of test/console/flood.test.ts and test/gateway/flood.test.ts: sustained, and against the whole product.
//
//   node test/suites/floods.mjs [--bindir DIR] [--seconds 10] [--rate 200]
//
// `rate` connections a second, at most 1,000 open. Ends with 1 when one honest request or login did not get in.
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { serialize } from 'pg-protocol';
import { cluster, gateway, ground } from './ground.mjs';

const { values } = parseArgs({
  options: {
    bindir: { type: 'string', default: '/usr/lib/postgresql/15/bin' },
    seconds: { type: 'string', default: '10' },
    rate: { type: 'string', default: '200' },
  },
});
const seconds = Math.min(60, Number(values.seconds));
const rate = Math.min(500, Number(values.rate));
const MOST = 1000;
const SAME = '127.0.0.1';
const OTHER = '127.0.0.2';

/** Connects so often, says `bytes` and no more, until it is stopped. */
function flood(port, bytes) {
  const open = new Set();
  let sent = 0;
  const timer = setInterval(() => {
    for (let i = 0; i < rate / 20 && open.size < MOST; i += 1) {
      const socket = connect({ host: '127.0.0.1', port, localAddress: SAME });
      open.add(socket);
      sent += 1;
      socket.on('connect', () => {
        const text = bytes();
        if (text.length > 0) socket.write(text);
      });
      socket.on('error', () => {});
      socket.on('close', () => open.delete(socket));
      socket.resume();
    }
  }, 50);
  return {
    stop() {
      clearInterval(timer);
      for (const socket of open) socket.destroy();
      return sent;
    },
  };
}

/** Milliseconds of processor that the process has had; NaN where the system does not tell so. */
function cpuOf(pid) {
  try {
    // proc(5): utime and stime are the 14th and 15th; the 2nd, in brackets, may hold spaces.
    const [user, system] = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ')
      .slice(11, 13);
    return 10 * (Number(user) + Number(system));
  } catch {
    return Number.NaN;
  }
}

/** A request on a connection of its own; its status. */
function ask(port, path, { from = SAME, token = null } = {}) {
  return new Promise((resolve) => {
    const headers = token === null ? {} : { authorization: `Bearer ${token}` };
    const asked = request(
      { host: '127.0.0.1', port, path, localAddress: from, agent: false, headers },
      (answer) => {
        answer.resume();
        answer.on('end', () => resolve(answer.statusCode));
      },
    );
    asked.on('error', (error) => resolve(error.code));
    asked.end();
  });
}
async function login(to) {
  const client = new pg.Client(to);
  client.on('error', () => {});
  try {
    await client.connect();
    return 'in';
  } catch (error) {
    return error.code ?? error.message;
  } finally {
    await client.end().catch(() => {});
  }
}

/** Each of the honest, one after the other, until the time is over. */
async function honest(all) {
  const until = performance.now() + seconds * 1000;
  const told = new Map();
  await Promise.all(
    Object.entries(all).map(async ([name, { come, right }]) => {
      const it = { tried: 0, failed: [], slowest: 0 };
      told.set(name, it);
      while (performance.now() < until) {
        const begun = performance.now();
        const answer = await come();
        it.tried += 1;
        it.slowest = Math.max(it.slowest, performance.now() - begun);
        if (answer !== right) it.failed.push(answer);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }),
  );
  return told;
}

const here = ground();
let failed = false;
try {
  const server = await cluster(here, values.bindir);
  const hp = await gateway(here, server, ['postgres']);
  const { console: base, token } = hp.saved();
  const port = Number(new URL(base).port);
  const agent = { host: hp.host, port: hp.port, user: hp.user, password: hp.password, database: 'postgres' };
  const people = {
    'health, same address': { come: () => ask(port, '/healthz'), right: 200 },
    'approver, same address': { come: () => ask(port, '/api/me', { token }), right: 200 },
    'approver, another address': { come: () => ask(port, '/api/me', { token, from: OTHER }), right: 200 },
  };
  const agents = { 'agent, same address': { come: () => login(agent), right: 'in' } };
  const text = (bytes) => () => bytes;
  const host = `127.0.0.1:${port}`;
  const wrong = () =>
    `GET /api/me HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer hpa_${randomBytes(32).toString('base64url')}\r\n\r\n`;
  const startup = serialize.startup({ user: agent.user, database: 'postgres' });
  const steps = [
    ['console: silent', port, text(''), people],
    ['console: half a head', port, text(`GET / HTTP/1.1\r\nHost: ${host}\r\nX: `), people],
    [
      'console: half a body',
      port,
      text(`POST /login HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 60000\r\n\r\nlink=`),
      people,
    ],
    ['console: wrong bearers', port, wrong, people],
    ['gateway: silent', agent.port, text(''), agents],
    ['gateway: half a startup packet', agent.port, text(startup.subarray(0, 9)), agents],
    ['gateway: a startup packet', agent.port, text(startup), agents],
  ];
  // An address that has guessed.
  for (let i = 0; i < 30; i += 1) await login({ ...agent, password: 'x' });
  for (const [name, to, bytes, all] of steps) {
    const before = cpuOf(hp.pid);
    const running = flood(to, bytes);
    const told = await honest(all);
    const sent = running.stop();
    const cpu = cpuOf(hp.pid) - before;
    console.log(
      `${name}: ${sent} connections in ${seconds} s, ${(cpu / sent).toFixed(1)} ms of processor each`,
    );
    for (const [who, it] of told) {
      if (it.failed.length > 0) failed = true;
      const worst = `slowest ${it.slowest.toFixed(0)} ms`;
      console.log(
        `  ${who}: ${it.tried} came, ${it.failed.length} did not get in ${it.failed[0] ?? ''}, ${worst}`,
      );
    }
  }
} finally {
  await here.end();
}
if (failed) process.exitCode = 1;
