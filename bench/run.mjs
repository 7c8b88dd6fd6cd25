#!/usr/bin/env node
// npm run bench -- [--quick] [--seconds N] [--rounds N] [--without-gateway]
// pgbench -S through every way, interleaved (A B C A B C …) so that a noisy machine hurts all alike; medians, ratios to direct.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { plot } from './plot.mjs';
import { cpuSeconds, onPath, startCluster, startPgBouncer, startProduct, startSplice } from './ways.mjs';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    seconds: { type: 'string' },
    rounds: { type: 'string' },
    'without-gateway': { type: 'boolean', default: false },
  },
});
const seconds = Number(values.seconds ?? (values.quick ? 3 : 8));
const rounds = Number(values.rounds ?? (values.quick ? 1 : 5));
const SCALE = 5;

if (!onPath('pgbench')) {
  console.log(
    'npm run bench needs pgbench (Debian: postgresql-contrib or postgresql-15); it is not on PATH.',
  );
  process.exit(1);
}

const data = mkdtempSync(join(tmpdir(), 'holdpoint-bench-'));
const stops = [];
try {
  await main();
} finally {
  for (const stop of stops.reverse()) await stop();
  rmSync(data, { recursive: true, force: true });
}

async function main() {
  const base = values['without-gateway'] ? await startCluster(data, stops) : await startProduct(data, stops);
  await pgbench(base.owner, base.database, ['-i', '-q', '-s', String(SCALE)]);
  if (base.owner.user !== base.direct.user) {
    const tables = 'pgbench_accounts, pgbench_branches, pgbench_tellers, pgbench_history';
    await run(
      'psql',
      ['-X', '-q', '-c', `GRANT SELECT ON ${tables} TO ${base.direct.user}`],
      base.owner,
      base.database,
    );
  }
  const ways = {
    direct: base.direct,
    pgbouncer: await startPgBouncer(base.direct, base.database, data, stops),
    splice: await startSplice(base.direct, stops),
    gateway: base.gateway,
  };
  if (ways.pgbouncer === null) console.log('PgBouncer is not installed: left out.');
  if (ways.gateway === null) console.log('Without the gateway, as asked.');
  const names = Object.keys(ways).filter((name) => ways[name] !== null);
  const points = [];
  for (const mode of ['simple', 'extended', 'prepared']) {
    for (const clients of [1, 8])
      points.push({ mode, clients, samples: Object.fromEntries(names.map((name) => [name, []])) });
  }
  for (let round = 1; round <= rounds; round++) {
    for (const point of points) {
      for (const name of names) point.samples[name].push(await measure(ways[name], base.database, point));
    }
    console.log(`round ${round} of ${rounds} done`);
  }
  report(points.map(summarise), names);
}

async function measure(way, database, { mode, clients }) {
  const before = cpuSeconds(way.pid);
  const args = [
    '-S',
    '-n',
    '-M',
    mode,
    '-c',
    String(clients),
    '-j',
    '1',
    '-T',
    String(seconds),
    '-s',
    String(SCALE),
  ];
  const output = await pgbench(way, database, args);
  const after = cpuSeconds(way.pid);
  const tps = Number(/^tps = ([\d.]+) \(without/m.exec(output)?.[1]);
  const done = Number(/transactions actually processed: (\d+)/.exec(output)?.[1]);
  const failed = Number(/failed transactions: (\d+)/.exec(output)?.[1] ?? 0);
  if (!(tps > 0) || !(done > 0) || failed > 0) throw new Error(`pgbench did not run cleanly:\n${output}`);
  return { tps, cpuMicros: before === null || after === null ? null : ((after - before) * 1e6) / done };
}

function pgbench(login, database, args) {
  return run('pgbench', args, login, database);
}

function run(command, args, login, database) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env.PATH,
        PGHOST: login.host,
        PGPORT: String(login.port),
        PGUSER: login.user,
        PGPASSWORD: login.password,
        PGDATABASE: database,
        PGSSLMODE: 'disable',
      },
    });
    let output = '';
    child.stdout.on('data', (chunk) => {
      output += chunk;
    });
    child.stderr.on('data', (chunk) => {
      output += chunk;
    });
    child.once('error', reject);
    child.once('exit', (code) =>
      code === 0 ? resolve(output) : reject(new Error(`${command} ended with ${code}:\n${output}`)),
    );
  });
}

function summarise({ mode, clients, samples }) {
  const direct = median(samples.direct.map((sample) => sample.tps));
  const ways = {};
  for (const [name, list] of Object.entries(samples)) {
    const tps = median(list.map((sample) => sample.tps));
    const cpu = list.map((sample) => sample.cpuMicros).filter((value) => value !== null);
    ways[name] = { tps, ratio: tps / direct, cpuMicros: cpu.length === 0 ? null : median(cpu) };
  }
  return { mode, clients, ways };
}

function median(list) {
  const sorted = [...list].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

function report(points, names) {
  const head = [
    'mode',
    'clients',
    ...names.map((name) => `${name} tps`),
    ...names.slice(1).map((name) => `${name} ratio`),
    ...names.slice(1).map((name) => `${name} µs/tx`),
  ];
  const rows = points.map(({ mode, clients, ways }) => [
    mode,
    String(clients),
    ...names.map((name) => ways[name].tps.toFixed(0)),
    ...names.slice(1).map((name) => ways[name].ratio.toFixed(2)),
    ...names.slice(1).map((name) => ways[name].cpuMicros?.toFixed(0) ?? '-'),
  ]);
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i].length)));
  const line = (cells) => `| ${cells.map((text, i) => text.padStart(widths[i])).join(' | ')} |`;
  const table = [
    line(head),
    `|${widths.map((width) => `${'-'.repeat(width + 1)}:`).join('|')}|`,
    ...rows.map(line),
  ].join('\n');
  const note = `pgbench -S, scale ${SCALE}, ${seconds} s a point, ${rounds} interleaved round(s), medians; Node ${process.version}, ${cpus().length} CPUs. µs/tx: user + system time of the proxy's process (10 ms ticks).`;
  const out = join(dirname(fileURLToPath(import.meta.url)), 'out');
  mkdirSync(out, { recursive: true });
  writeFileSync(join(out, '.gitignore'), '*\n');
  writeFileSync(join(out, 'bench.md'), `${note}\n\n${table}\n`);
  writeFileSync(join(out, 'bench.json'), `${JSON.stringify(points, null, 2)}\n`);
  writeFileSync(join(out, 'bench.svg'), plot(points, names));
  console.log(`\n${note}\n\n${table}\n\nAlso in bench/out: bench.md, bench.json, bench.svg`);
}
