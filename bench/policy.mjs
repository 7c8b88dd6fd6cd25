#!/usr/bin/env node
// node bench/policy.mjs [--statements N] [--json] [--regress SQLDIR [--bindir DIR]]
// What a verdict costs: of a new text, of a known one, and the memory of the caches, on a made-up catalog of 500 tables. With --regress
// (src/test/regress/sql of PostgreSQL's sources): which share of the statements that server parses is parsed here. Needs `npm run build`.
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

async function main() {
  const { values } = parseArgs({
    options: {
      statements: { type: 'string', default: '5000' },
      json: { type: 'boolean', default: false },
      regress: { type: 'string' },
      bindir: { type: 'string', default: '/usr/lib/postgresql/15/bin' },
    },
  });
  const report = { ...(await verdicts(Number(values.statements))) };
  if (values.regress !== undefined) report.regress = await regress(resolve(values.regress), values.bindir);
  if (values.json) return console.log(JSON.stringify(report));
  for (const [name, line] of Object.entries(report)) console.log(`${name.padEnd(28)} ${told(line)}`);
}

const told = (line) =>
  Object.entries(line)
    .map(([key, value]) =>
      Array.isArray(value) ? `\n  ${key}:\n    ${value.join('\n    ')}` : `${key} ${value}`,
    )
    .join('  ');

// ── verdicts ─────────────────────────────────────────────────────────────────────────────────────────────────────────
/** A shop 25 times over: tables, views over views, a function, keys. */
function catalogOf(shops) {
  const relations = [];
  const column = (name) => ({ name, type: 'text', comment: null, generated: null });
  let oid = 16_384;
  for (let i = 0; i < shops; i += 1) {
    for (let t = 0; t < 18; t += 1) {
      const columns = [
        'id',
        'customer_id',
        'email',
        'note',
        'status',
        'total',
        ...Array.from({ length: 8 }, (_, c) => `c${c}`),
      ];
      relations.push(
        relation(
          oid++,
          `s${i}`,
          t === 0 ? 'customers' : t === 1 ? 'orders' : `t${t}`,
          columns.map(column),
          null,
        ),
      );
    }
    const view = (name, definition) =>
      relations.push(relation(oid++, `s${i}`, name, ['id', 'contact'].map(column), definition));
    view('contacts', `SELECT customers.id, customers.email AS contact FROM s${i}.customers;`);
    view('reachable', `SELECT contacts.id, upper(contacts.contact) AS contact FROM s${i}.contacts;`);
  }
  return {
    version: '1',
    database: 'bench',
    serverVersion: 180_000,
    relations,
    functions: [],
    foreignKeys: [],
    customOperators: [],
    takenAt: 0,
  };
}
const relation = (oid, schema, name, columns, definition) => ({
  oid,
  schema,
  name,
  columns,
  definition,
  relkind: definition === null ? 'r' : 'v',
  parents: [],
  triggers: [],
  calls: [],
  hasRules: false,
  rowSecurity: false,
  rows: 1000,
});

/** As drivers and agents send them; `n` makes the text a new one. */
const SHAPES = [
  (n) => `SELECT id, status FROM orders WHERE id = ${n}`,
  (n) =>
    `SELECT o.id, o.total, c.note FROM orders o JOIN customers c ON c.id = o.customer_id WHERE o.status = 'open' AND o.total > ${n} ORDER BY o.total DESC LIMIT 20`,
  (n) => `SELECT contact FROM reachable WHERE id = ${n}`,
  (n) =>
    `WITH recent AS (SELECT customer_id, count(*) AS n FROM orders WHERE c1 > '${n}' GROUP BY 1) SELECT * FROM recent JOIN customers USING (customer_id) WHERE n > 3`,
  (n) => `INSERT INTO orders (id, customer_id, total, note) VALUES (${n}, 7, 12.5, 'it''s new')`,
  (n) => `UPDATE orders SET status = 'sent' WHERE id = ${n}`,
  (n) => `DELETE FROM orders WHERE id = ${n}`,
];

async function verdicts(count) {
  const { createJudge } = await import('../dist/gateway/judge/judge.js');
  const { createPolicyHolder, DEFAULT_POLICY } = await import('../dist/policy/rules/index.js');
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc');
  const reading = { snapshot: catalogOf(25), attributes: new Map(), patch: null };
  const catalog = {
    current: () => reading,
    latest: () => reading,
    ensure: async () => reading,
    invalidate() {},
    close: async () => {},
  };
  const target = {
    name: 'bench',
    environment: 'production',
    host: '',
    port: 0,
    database: 'bench',
    tls: 'disable',
    ca: null,
    logins: {},
    catalogLogin: null,
    acceptPrivileges: [],
    protocol: 'strict',
  };
  const context = {
    policy: {
      target: 'bench',
      environment: 'production',
      owner: 'alice@example.com',
      agent: 'Cursor',
      groups: ['developers'],
      level: 'read-write',
      transaction: 'idle',
    },
    resolution: { searchPath: ['s3', 'public'], tempRelations: [] },
    paramTypes: [],
  };
  const judge = createJudge({ target, policy: createPolicyHolder(DEFAULT_POLICY), now: Date.now, catalog });
  try {
    const started = performance.now();
    await judge.judge('SELECT 1', context);
    const cold = performance.now() - started;
    const text = (n) => SHAPES[n % SHAPES.length](n);
    const timed = async (n) => {
      const at = performance.now();
      await judge.judge(text(n), context);
      return performance.now() - at;
    };
    let n = 0;
    // Compiled code and both workers with the catalog.
    while (n < 1000) await Promise.all([timed(n++), timed(n++)]);
    const first = [];
    for (let i = 0; i < count; i += 1) first.push(await timed(n++));
    const many = performance.now();
    for (let i = 0; i < count; i += 32) await Promise.all(Array.from({ length: 32 }, () => timed(n++)));
    const rate = (Math.ceil(count / 32) * 32) / ((performance.now() - many) / 1000);
    const known = Array.from({ length: 700 }, (_, i) => text(n - 1 - i));
    const cached = [];
    for (let round = 0; round < 200; round += 1) {
      const at = performance.now();
      for (const one of known) if (judge.cached(one, context) === null) throw new Error('not cached');
      cached.push(((performance.now() - at) * 1000) / known.length);
    }
    const filled = await memory(collect, judge, context, text, n);
    return {
      'first verdict of a process': { ms: cold.toFixed(0) },
      'verdict of a new text': { ...spread(first, 'ms'), 'per s (32 at once)': rate.toFixed(0) },
      'verdict of a known text': spread(cached, 'µs'),
      'memory of full caches': filled,
    };
  } finally {
    await judge.close();
  }
}

/** The caches hold 20 000 texts at most: twice as many go through. */
async function memory(collect, judge, context, text, from) {
  collect();
  const before = process.memoryUsage();
  for (let i = 0; i < 40_000; i += 50)
    await Promise.all(Array.from({ length: 50 }, (_, k) => judge.judge(text(from + i + k), context)));
  collect();
  const after = process.memoryUsage();
  const mb = (bytes) => (bytes / 1024 / 1024).toFixed(0);
  return { 'heap MB before': mb(before.heapUsed), after: mb(after.heapUsed), 'rss MB': mb(after.rss) };
}

function spread(list, unit) {
  const sorted = [...list].sort((a, b) => a - b);
  const at = (share) =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))].toFixed(unit === 'ms' ? 2 : 1);
  return { [`p50 ${unit}`]: at(0.5), [`p99 ${unit}`]: at(0.99), [`max ${unit}`]: at(1) };
}

// ── parser success ───────────────────────────────────────────────────────────────────────────────────────────────────
/** With log_statement = all a server logs exactly the strings that its own grammar took. */
async function regress(dir, bindir) {
  const { asPostgres, cluster, ground, runLong } = await import('../test/suites/ground.mjs');
  const here = ground();
  const logs = join(here.dir, 'logs');
  mkdirSync(logs);
  chmodSync(logs, 0o777);
  try {
    const server = await cluster(here, bindir, {
      log_statement: 'all',
      log_destination: 'jsonlog',
      logging_collector: 'on',
      log_directory: logs,
      log_filename: 'said.log',
      log_file_mode: '0644',
      max_prepared_transactions: 2,
      statement_timeout: '20s',
    });
    const files = readdirSync(dir)
      .filter((name) => name.endsWith('.sql'))
      .sort((a, b) => (a === 'test_setup.sql' ? -1 : b === 'test_setup.sql' ? 1 : a < b ? -1 : 1));
    const env = {
      PATH: process.env.PATH,
      PGPASSWORD: server.password,
      PG_ABS_SRCDIR: dirname(dir),
      PG_ABS_BUILDDIR: here.dir,
      PG_LIBDIR: dirname(dir),
      PG_DLSUFFIX: '.so',
    };
    for (const name of files) {
      await runLong(
        join(bindir, 'psql'),
        [
          '-X',
          '-q',
          '-a',
          '-h',
          server.host,
          '-p',
          String(server.port),
          '-U',
          server.user,
          '-d',
          'postgres',
          '-f',
          join(dir, name),
        ],
        { ...asPostgres(), cwd: '/', env },
      );
    }
    const texts = new Set();
    for (const name of readdirSync(logs).filter((one) => one.startsWith('said') && one.endsWith('.json'))) {
      for (const line of readFileSync(join(logs, name), 'utf8').split('\n')) {
        if (line === '') continue;
        const { message } = JSON.parse(line);
        if (typeof message === 'string' && message.startsWith('statement: '))
          texts.add(message.slice('statement: '.length));
      }
    }
    const failed = [];
    const said = execFileSync(join(bindir, 'postgres'), ['--version'], { encoding: 'utf8' });
    const major = Number(/(\d+)\./.exec(said)?.[1]);
    let worker = null;
    for (const text of texts) {
      worker ??= new Worker(new URL(import.meta.url), { workerData: { major } });
      const answer = await new Promise((done) => {
        worker.once('message', done);
        worker.postMessage(text);
      });
      if (answer.kind === 'parsed') continue;
      failed.push(
        `${answer.kind}: ${(answer.message ?? answer.why ?? '').slice(0, 60)} | ${text.replace(/\s+/g, ' ').slice(0, 100)}`,
      );
      if (answer.kind === 'unjudgeable') {
        await worker.terminate();
        worker = null;
      }
    }
    await worker?.terminate();
    const parsed = texts.size - failed.length;
    return {
      files: files.length,
      'texts the server parses': texts.size,
      'parsed here': `${parsed} (${((100 * parsed) / texts.size).toFixed(2)} %)`,
      'not parsed': failed,
    };
  } finally {
    await here.end();
  }
}

async function parsing() {
  const { parse } = await import('../dist/policy/parse/parser.js');
  const { loadGrammar } = await import('../dist/policy/parse/grammar.js');
  const { major } = workerData;
  await loadGrammar(major);
  parentPort.on('message', (sql) => {
    const { statements: _, ...answer } = parse(sql, major);
    parentPort.postMessage(answer);
  });
}

if (isMainThread) await main();
else await parsing();
