// node-postgres's and psycopg's own suites, direct and through the gateway in one run, and the tests that differ.
//
//   node test/suites/drivers.mjs node-postgres SOURCE [--bindir DIR] [--only TEXT]
//   node test/suites/drivers.mjs psycopg SOURCE --python BINARY [--bindir DIR] [--only TEXT]
//
// SOURCE is the project's tree with its packages installed (`npm install && npx tsc --build`; for psycopg a Python that has psycopg of the
// same version, psycopg_pool, pytest, anyio and pproxy). Ends with 1 when a test passes direct and not through the gateway.
import { readdirSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { cluster, gateway, ground, run, runLong } from './ground.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    python: { type: 'string', default: 'python3' },
    bindir: { type: 'string', default: '/usr/lib/postgresql/15/bin' },
    only: { type: 'string', default: '' },
  },
});
const [driver, path] = positionals;
const suites = { 'node-postgres': nodePostgres, psycopg };
if (path === undefined || !Object.hasOwn(suites, driver)) {
  console.error('usage: node test/suites/drivers.mjs node-postgres|psycopg SOURCE [--python BINARY] [--bindir DIR] [--only TEXT]');
  process.exit(2);
}
const source = resolve(path);
const database = 'drivers';

/** Each integration file is a program; it passes when it ends with 0. */
async function nodePostgres(login) {
  const home = join(source, 'packages/pg');
  const files = readdirSync(join(home, 'test/integration'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('-tests.js'))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => file.includes(values.only))
    .sort();
  const env = { ...libpq(login), PATH: process.env.PATH, HOME: process.env.HOME, TEST_TIMEOUT: '20000' };
  const verdicts = new Map();
  // One at a time: several files make the same tables.
  for (const file of files) {
    const done = await runLong(process.execPath, [file], { cwd: home, env, timeout: 120_000, killSignal: 'SIGKILL' });
    verdicts.set(relative(home, file), { ok: done.status === 0, told: tail(done) });
  }
  return verdicts;
}

async function psycopg(login) {
  const dsn = `host=${login.host} port=${login.port} user=${login.user} password=${login.password} dbname=${database}`;
  const only = values.only === '' ? [] : ['-k', values.only];
  const args = ['-m', 'pytest', 'tests', '-q', '-rA', '--tb=short', '-p', 'no:randomly', '-p', 'no:cacheprovider'];
  args.push('-m', 'not slow and not subprocess and not mypy', '--test-dsn', dsn, '--ignore=tests/pool', '--ignore=tests/crdb', ...only);
  const env = { PATH: process.env.PATH, HOME: process.env.HOME, PSYCOPG_TEST_DSN: dsn };
  const done = await runLong(values.python, args, { cwd: source, env });
  const verdicts = new Map();
  for (const line of done.stdout.split('\n')) {
    const found = /^(PASSED|FAILED|ERROR) (\S.*?)(?: - (.*))?$/.exec(line);
    if (found) verdicts.set(found[2], { ok: found[1] === 'PASSED', told: found[3] ?? '' });
  }
  if (verdicts.size === 0) console.log(tail(done));
  return verdicts;
}

function libpq(login) {
  return { PGHOST: login.host, PGPORT: String(login.port), PGUSER: login.user, PGPASSWORD: login.password, PGDATABASE: database };
}
const tail = ({ stdout, stderr }) => `${stdout}${stderr}`.trim().split('\n').slice(-12).join('\n');

const here = ground();
try {
  const server = await cluster(here, values.bindir, { max_connections: 60, max_prepared_transactions: 10 });
  const psql = ['-X', '-q', '-h', server.host, '-p', String(server.port), '-U', server.user, '-d', 'postgres'];
  const env = { PATH: process.env.PATH, PGPASSWORD: server.password };
  const fresh = () => {
    run(join(values.bindir, 'psql'), [...psql, '-c', `DROP DATABASE IF EXISTS ${database} WITH (FORCE)`], { env });
    run(join(values.bindir, 'psql'), [...psql, '-c', `CREATE DATABASE ${database} TEMPLATE template0`], { env });
  };
  const report = (name, verdicts) => {
    const passed = [...verdicts.values()].filter(({ ok }) => ok).length;
    console.log(`${name}: ${passed} of ${verdicts.size} pass`);
    return verdicts;
  };
  fresh();
  const direct = report('direct', await suites[driver](server));
  fresh();
  const hp = await gateway(here, server, [database]);
  const through = report('gateway', await suites[driver](hp));
  const lost = [...direct].filter(([name, { ok }]) => ok && through.get(name)?.ok !== true);
  for (const [name] of lost) console.log(`\nthrough the gateway only, this fails: ${name}\n${through.get(name)?.told ?? 'not run'}`);
  console.log(lost.length === 0 ? 'no test differs' : `\n${lost.length} differ`);
  if (lost.length > 0) process.exitCode = 1;
} finally {
  await here.end();
}
