// Resident memory of the gateway under what is largest, slowest and most: bounded, and back where it was (DESIGN.md I7).
//
//   node test/suites/memory.mjs [--bindir DIR] [--quick] [--only PATTERN] [--svg FILE]
//
// Starts a PostgreSQL and the product before it. Ends with 1 when a step passes its bound or the memory does not come back.
import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { serialize } from 'pg-protocol';
import { cluster, gateway, ground } from './ground.mjs';

const { values } = parseArgs({
  options: {
    bindir: { type: 'string', default: '/usr/lib/postgresql/15/bin' },
    quick: { type: 'boolean', default: false },
    only: { type: 'string', default: '' },
    svg: { type: 'string' },
  },
});
const MB = 1024 * 1024;
const size = values.quick
  ? { stream: 200 * MB, row: 50 * MB, pause: 5_000, idle: 100, held: 20 }
  : { stream: 2048 * MB, row: 500 * MB, pause: 20_000, idle: 1000, held: 200 };
/**
 * In MB: what a stream may add to what was there before it; what all of it may ever add to the base, and what when it is over. Buffers that
 * are free are collected when more are asked for, not when the process idles: a step begins with what the one before has left.
 */
const STREAM = 150;
const EVER = 350;
const BACK = 150;
const SETTLE_MS = values.quick ? 3_000 : 8_000;

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** One connection, logged in by the driver and then spoken to by hand, so that nothing of the results is kept here. */
class Wire {
  bytes = 0;
  error = null;
  #left = 0;
  #head = Buffer.alloc(0);
  #type = 0;
  #waiting = [];

  static async open(login, database) {
    const { host, port, user, password } = login;
    const client = new pg.Client({ host, port, user, password, database });
    client.on('error', () => {});
    await client.connect();
    return new Wire(client.connection.stream);
  }

  constructor(stream) {
    this.stream = stream;
    stream.removeAllListeners('data');
    stream.on('data', (chunk) => this.#read(chunk));
    stream.on('error', () => {});
    stream.on('close', () => this.#tell('closed'));
  }

  /** Resolves when it has been handed on: the gateway reads no faster than its target. */
  async send(...parts) {
    for (const part of parts)
      if (!this.stream.write(part)) await new Promise((resolve) => this.stream.once('drain', resolve));
  }

  /** The next message of one of these types, by its letter; `closed` ends every wait. */
  until(types) {
    return new Promise((resolve) => this.#waiting.push({ types, resolve }));
  }
  ready() {
    return this.until('Z');
  }
  close() {
    this.stream.destroy();
  }

  #tell(type) {
    const due = this.#waiting.filter(({ types }) => type === 'closed' || types.includes(type));
    this.#waiting = this.#waiting.filter((one) => !due.includes(one));
    for (const { resolve } of due) resolve(type);
  }

  #read(chunk) {
    this.bytes += chunk.length;
    let at = 0;
    while (at < chunk.length) {
      if (this.#left === 0) {
        const part = chunk.subarray(at, at + 5 - this.#head.length);
        this.#head = this.#head.length === 0 ? Buffer.from(part) : Buffer.concat([this.#head, part]);
        at += part.length;
        if (this.#head.length < 5) return;
        this.#type = this.#head[0];
        this.#left = this.#head.readInt32BE(1) - 4;
        this.#head = Buffer.alloc(0);
      }
      const end = Math.min(chunk.length, at + this.#left);
      if (this.#type === 0x45 && this.error === null)
        this.error = /\0M([^\0]*)/.exec(chunk.toString('utf8', at - 1, end))?.[1];
      this.#left -= end - at;
      at = end;
      if (this.#left === 0) this.#tell(String.fromCharCode(this.#type));
    }
  }
}

// ── what is measured ──────────────────────────────────────────────────────────────────────────────────────────────

const here = ground();
const samples = [];
const rows = [];
let failed = false;
try {
  const server = await cluster(here, values.bindir, {
    max_connections: size.idle + 100,
    superuser_reserved_connections: 5,
    max_wal_size: '8GB',
  });
  const direct = new pg.Client({ ...server, database: 'postgres' });
  // Stopped from outside, the server goes first.
  direct.on('error', () => {});
  await direct.connect();
  for (const name of ['open', 'held']) await direct.query(`create database ${name}`);
  for (const database of ['open', 'held']) {
    const one = new pg.Client({ ...server, database });
    await one.connect();
    await one.query(
      'create unlogged table sink (v text); create table orders (id int); insert into orders values (1)',
    );
    await one.end();
  }
  const hp = await gateway(here, server, ['open', 'held'], {
    policies: { held: 'version: 1\ndefaults: { delete: hold }\n' },
    limits: `{ connections: ${size.idle * 2}, per_address: ${size.idle * 2}, per_owner: ${size.idle * 2} }`,
  });
  const started = Date.now();
  const rss = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${hp.pid}/status`, 'utf8'))?.[1]) / 1024;
  const sampler = setInterval(() => samples.push({ t: Date.now() - started, mb: rss() }), 100);
  here.stops.push(() => clearInterval(sampler));
  const peakSince = (from) => Math.max(rss(), ...samples.slice(from).map(({ mb }) => mb));
  /** The least of a second: what is held, not what has just been let go. */
  const resting = async () => {
    await wait(SETTLE_MS);
    const from = samples.length;
    await wait(1_000);
    return Math.min(...samples.slice(from).map(({ mb }) => mb));
  };

  const line = Buffer.from(`${'x'.repeat(1000)}\n`);
  const rowsOf = (bytes) => Math.ceil(bytes / 1000);
  const select = (bytes) => `select repeat('x', 1000) as v from generate_series(1, ${rowsOf(bytes)})`;
  const out = async (wire, sql) => {
    const ended = wire.ready();
    await wire.send(serialize.query(sql));
    await ended;
  };
  const copyIn = async (wire, bytes, meanwhile = async () => {}) => {
    const began = wire.until('GE');
    await wire.send(serialize.query('copy sink from stdin'));
    await began;
    const batch = Buffer.concat(Array.from({ length: 64 }, () => serialize.copyData(line)));
    for (let sent = 0; sent < bytes; sent += 64 * 1000) {
      if (sent <= bytes / 2 && sent + 64_000 > bytes / 2) void meanwhile();
      await wire.send(batch);
    }
    const ended = wire.ready();
    await wire.send(serialize.copyDone());
    await ended;
    await direct.query('select 1');
  };
  const largeBind = async (wire, bytes) => {
    const ended = wire.ready();
    await wire.send(
      serialize.parse({ text: 'insert into sink values ($1)' }),
      serialize.bind({ values: ['x'.repeat(bytes)] }),
      serialize.execute({}),
      serialize.sync(),
    );
    await ended;
  };
  const check = (what, yes) => {
    if (yes) return;
    failed = true;
    console.log(`FAILED: ${what}`);
  };
  const empty = async () => {
    const one = new pg.Client({ ...server, database: 'open' });
    await one.connect();
    await one.query('truncate sink');
    await one.end();
  };

  /** Ordinary work, so that the base and the end are those of a process that has done some. */
  const ordinary = async () => {
    const wire = await Wire.open(hp, 'open');
    await out(wire, `copy (${select(100 * MB)}) to stdout`);
    await out(wire, select(100 * MB));
    await copyIn(wire, 100 * MB);
    await largeBind(wire, 8 * MB);
    wire.close();
    await empty();
  };
  // 10 open requests an owner, at most.
  const owners = Array.from({ length: size.held / 10 }, (_, i) => hp.mint(`owner${i}@example.com`));
  await ordinary();
  const base = await resting();
  console.log(`base ${base.toFixed(0)} MB, after 100 MB each way`);

  const only = new RegExp(values.only, 'i');
  const step = async (name, bound, work) => {
    if (!only.test(name)) return;
    const before = rows.at(-1)?.after ?? base;
    const from = samples.length;
    const t = Date.now() - started;
    const told = await work();
    const took = Date.now() - started - t;
    const peak = peakSince(from);
    const after = await resting();
    rows.push({ name, t, took, bound, peak, after });
    check(
      `${name}: ${(peak - before).toFixed(0)} MB more than before, bound ${bound} MB`,
      peak - before <= bound,
    );
    const mb = (n) => `${n.toFixed(0)} MB`.padStart(8);
    console.log(
      `${name.padEnd(58)} peak ${mb(peak)} (+${(peak - before).toFixed(0)} of ${bound})`.padEnd(96) +
        `after ${mb(after)}  ${(took / 1000).toFixed(1)} s${told ? `  ${told}` : ''}`,
    );
  };
  const alone = (work) => async () => {
    const wire = await Wire.open(hp, 'open');
    const told = await work(wire);
    check(`an error: ${wire.error}`, wire.error === null);
    const { bytes } = wire;
    wire.close();
    await empty();
    return told ?? `${(bytes / MB).toFixed(0)} MB out`;
  };
  const many = async (count, login, database) => {
    const wires = [];
    for (let at = 0; at < count; at += 20)
      wires.push(
        ...(await Promise.all(
          Array.from({ length: Math.min(20, count - at) }, (_, i) => Wire.open(login(at + i), database)),
        )),
      );
    return wires;
  };
  const gb = `${(size.stream / 1024 / MB).toFixed(1)} GB`;

  await step(
    `${gb} through COPY out`,
    STREAM,
    alone((wire) => out(wire, `copy (${select(size.stream)}) to stdout`)),
  );
  await step(
    `${gb} through SELECT`,
    STREAM,
    alone((wire) => out(wire, select(size.stream))),
  );
  await step(
    `${gb} through COPY in`,
    STREAM,
    alone((wire) => copyIn(wire, size.stream).then(() => gb)),
  );
  await step(
    `a row of ${size.row / MB} MB`,
    STREAM,
    alone((wire) => out(wire, `select repeat('x', ${size.row}) as v`)),
  );
  await step(
    `a CopyData of ${size.row / MB} MB`,
    STREAM,
    alone(async (wire) => {
      const began = wire.until('GE');
      await wire.send(serialize.query('copy sink from stdin'));
      await began;
      const head = Buffer.from([0x64, 0, 0, 0, 0]);
      head.writeInt32BE(size.row + 4, 1);
      const piece = Buffer.alloc(MB, `${'x'.repeat(1023)}\n`);
      await wire.send(head);
      for (let sent = 0; sent < size.row; sent += MB) await wire.send(piece);
      const ended = wire.ready();
      await wire.send(serialize.copyDone());
      await ended;
    }),
  );
  await step(
    'a value of 15 MB bound and inserted, 20 times',
    2 * STREAM,
    alone(async (wire) => {
      for (let i = 0; i < 20; i += 1) await largeBind(wire, 15 * MB);
    }),
  );
  await step('the same on 8 connections at once', 8 * 3 * 16 + STREAM, async () => {
    const wires = await Promise.all(Array.from({ length: 8 }, () => Wire.open(hp, 'open')));
    await Promise.all(wires.map((wire) => largeBind(wire, 15 * MB)));
    for (const wire of wires) check(`an error: ${wire.error}`, wire.error === null);
    for (const wire of wires) wire.close();
    await empty();
  });
  await step(`${values.quick ? 500 : 2000} values of 1 MB bound without a Sync`, STREAM, async () => {
    const wire = await Wire.open(hp, 'open');
    const bind = serialize.bind({ statement: 's', values: ['x'.repeat(MB)] });
    await wire.send(serialize.parse({ name: 's', text: 'select length($1::text)' }));
    for (let i = 0; i < (values.quick ? 500 : 2000); i += 1) await wire.send(bind);
    const ended = wire.ready();
    await wire.send(serialize.sync());
    await ended;
    check(`an error: ${wire.error}`, wire.error === null);
    wire.close();
  });
  // Those of one owner share 128 MB; what others send meanwhile goes through, and a second after the end the rest is back.
  await step('100 unfinished messages of 16 MB of one credential', 128 + STREAM, async () => {
    const login = hp.mint('unfinished@example.com');
    const wires = await many(100, () => login, 'open');
    const message = serialize.query(`select '${'x'.repeat(16 * MB - 200)}'`);
    const most = message.subarray(0, message.length - 100);
    await Promise.all(wires.map((wire) => wire.send(most)));
    const other = await Wire.open(hp, 'open');
    await largeBind(other, 15 * MB);
    check(`another owner got: ${other.error}`, other.error === null);
    other.close();
    await wait(2_000);
    const held = rss();
    for (const wire of wires) wire.close();
    await wait(5_000);
    const after = rss();
    check(`${(after - base).toFixed(0)} MB above the base 5 s after it`, after - base <= BACK);
    await empty();
    return `${held.toFixed(0)} MB held, ${after.toFixed(0)} MB 5 s later`;
  });
  await step(
    'a message that comes byte by byte',
    STREAM,
    alone(async (wire) => {
      const message = serialize.query(`select length('${'x'.repeat(200_000)}')`);
      const ended = wire.ready();
      for (let at = 0; at < message.length; at += 1) {
        await wire.send(message.subarray(at, at + 1));
        if (at % 64 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      await ended;
    }),
  );
  await step(
    `a client that stops reading for ${size.pause / 1000} s in ${gb}`,
    STREAM,
    alone(async (wire) => {
      const ended = wire.ready();
      await wire.send(serialize.query(`copy (${select(size.stream)}) to stdout`));
      while (wire.bytes < size.stream / 2) await wait(2);
      wire.stream.pause();
      await wait(size.pause);
      wire.stream.resume();
      await ended;
    }),
  );
  await step(
    `a client that stops writing for ${size.pause / 1000} s`,
    STREAM,
    alone(async (wire) => {
      const began = wire.until('GE');
      await wire.send(serialize.query('copy sink from stdin'));
      await began;
      const head = Buffer.from([0x64, 0, 0, 0, 0]);
      head.writeInt32BE(200 * MB + 4, 1);
      const piece = Buffer.alloc(MB, `${'x'.repeat(1023)}\n`);
      await wire.send(head);
      for (let sent = 0; sent < 200; sent += 1) {
        if (sent === 100) await wait(size.pause);
        await wire.send(piece);
      }
      const ended = wire.ready();
      await wire.send(serialize.copyDone());
      await ended;
    }),
  );
  await step(
    `a target that stops reading for ${size.pause / 1000} s in ${gb}`,
    STREAM,
    alone(async (wire) => {
      await copyIn(wire, size.stream, async () => {
        const { rows: backends } = await direct.query(
          "select pid from pg_stat_activity where query like 'copy sink%'",
        );
        for (const { pid } of backends) process.kill(pid, 'SIGSTOP');
        await wait(size.pause);
        for (const { pid } of backends) process.kill(pid, 'SIGCONT');
      });
    }),
  );

  // Twice: what the second time adds would be a leak.
  for (const again of ['', ', again']) {
    await step(`${size.idle} idle sessions${again}`, STREAM + size.idle * 0.15, async () => {
      const before = rss();
      const wires = await many(size.idle, () => hp, 'open');
      await wait(2_000);
      const now = rss();
      for (const wire of wires) wire.close();
      return `${(((now - before) * 1024) / size.idle).toFixed(0)} KB each`;
    });
    await step(`${size.held} held sessions, then denied${again}`, STREAM + size.held * 0.3, async () => {
      const before = rss();
      const wires = await many(size.held, (i) => owners[i % owners.length], 'held');
      const told = wires.map((wire) => wire.ready());
      await Promise.all(
        wires.map((wire, i) => wire.send(serialize.query(`delete from orders where id = ${i}`))),
      );
      let waiting = [];
      for (let tries = 0; waiting.length < size.held && tries < 600; tries += 1) {
        waiting = (await hp.api('GET', '/requests?state=pending')).requests;
        await wait(100);
      }
      check(`${waiting.length} of ${size.held} wait`, waiting.length === size.held);
      await wait(2_000);
      const now = rss();
      for (const { id } of waiting)
        await hp.api('POST', `/requests/${id}/decision`, { effect: 'deny', reason: 'memory' });
      await Promise.all(told);
      const denied = wires.filter(({ error }) => / denied by Suite/.test(error ?? '')).length;
      check(`${denied} of ${size.held} were denied`, denied === size.held);
      for (const wire of wires) wire.close();
      return `${(((now - before) * 1024) / size.held).toFixed(0)} KB each while held`;
    });
  }
  await ordinary();
  const end = await resting();
  console.log(
    `\nbase ${base.toFixed(0)} MB, highest ${Math.max(...rows.map(({ peak }) => peak)).toFixed(0)} MB, at the end ${end.toFixed(0)} MB`,
  );
  check(
    `the highest is over the bound of ${EVER} MB`,
    Math.max(...rows.map(({ peak }) => peak)) - base <= EVER,
  );
  check(`at the end ${(end - base).toFixed(0)} MB above the base, bound ${BACK} MB`, end - base <= BACK);
  console.log(plot(samples));
  if (values.svg) writeFileSync(values.svg, svg(samples, rows, base));
  await direct.end();
} finally {
  await here.end();
}
if (failed) process.exitCode = 1;

// ── how it is shown ───────────────────────────────────────────────────────────────────────────────────────────────

/** The highest of each column, one row for every 20 MB. */
function plot(all) {
  const width = 100;
  const last = all.at(-1).t;
  const columns = Array.from({ length: width }, () => 0);
  for (const { t, mb } of all) {
    const i = Math.min(width - 1, Math.floor((t / last) * width));
    columns[i] = Math.max(columns[i], mb);
  }
  const top = Math.max(...columns);
  const unit = Math.max(20, Math.ceil(top / 400) * 20);
  const lines = [];
  for (let level = Math.ceil(top / unit) * unit; level > 0; level -= unit)
    lines.push(
      `${String(level).padStart(5)} MB |${columns.map((mb) => (mb > level - unit ? '█' : ' ')).join('')}`,
    );
  return `${lines.join('\n')}\n         +${'-'.repeat(width)} ${(last / 1000).toFixed(0)} s`;
}

function svg(all, steps, base) {
  const [width, height] = [1000, 400];
  const last = all.at(-1).t;
  const top = Math.max(...all.map(({ mb }) => mb)) * 1.1;
  const x = (t) => ((t / last) * width).toFixed(1);
  const y = (mb) => (height - (mb / top) * height).toFixed(1);
  const marks = steps.map(
    ({ t, name }) =>
      `<line x1="${x(t)}" x2="${x(t)}" y1="0" y2="${height}" stroke="#ddd"/><text transform="translate(${x(t)},4) rotate(90)" font-size="9" fill="#777">${name}</text>`,
  );
  const path = all.map(({ t, mb }) => `${x(t)},${y(mb)}`).join(' ');
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif"><rect width="${width}" height="${height}" fill="#fff"/>${marks.join('')}<line x1="0" x2="${width}" y1="${y(base)}" y2="${y(base)}" stroke="#c60" stroke-dasharray="4"/><polyline points="${path}" fill="none" stroke="#06c"/></svg>\n`;
}
