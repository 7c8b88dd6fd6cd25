// Own suites of clients, direct and through the gateway in one run, and the tests that differ.
//
//   node test/suites/drivers.mjs node-postgres SOURCE [--bindir DIR] [--only TEXT]
//   node test/suites/drivers.mjs psycopg SOURCE --python BINARY [--bindir DIR] [--only TEXT]
//   node test/suites/drivers.mjs libpq-pipeline SOURCE [--bindir DIR] [--only TEXT]
//   node test/suites/drivers.mjs pgx SOURCE [--bindir DIR] [--only TEXT]
//
// SOURCE is the project's tree with its packages installed (`npm install && npx tsc --build`). psycopg is taken from SOURCE itself, in
// pure Python over the machine's libpq; the Python needs what it depends on, pytest, anyio and pproxy. libpq-pipeline wants
// PostgreSQL's tree, configured, with `make -C src/interfaces/libpq` and `make -C src/test/modules/libpq_pipeline` done. Ends with 1 when a test passes direct and not through the gateway.
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { delimiter, join, relative, resolve } from 'node:path';
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
const suites = { 'node-postgres': nodePostgres, psycopg, 'libpq-pipeline': libpqPipeline, pgx };
if (path === undefined || !Object.hasOwn(suites, driver)) {
  console.error(
    'usage: node test/suites/drivers.mjs node-postgres|psycopg|libpq-pipeline|pgx SOURCE [--python BINARY] [--bindir DIR] [--only TEXT]',
  );
  process.exit(2);
}
const source = resolve(path);
const database = 'drivers';

/** Each integration file of pg is a program, which passes when it ends with 0; the packages around it have mocha's tests. */
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
    const limits = { timeout: 120_000, killSignal: 'SIGKILL' };
    const done = await runLong(process.execPath, [file], { cwd: home, env, ...limits });
    verdicts.set(relative(home, file), { ok: done.status === 0, told: tail(done) });
  }
  for (const name of ['pg-pool', 'pg-cursor', 'pg-query-stream']) {
    if (values.only !== '' && !name.includes(values.only)) continue;
    const told = join(here.dir, 'mocha.json');
    rmSync(told, { force: true });
    const args = [join(source, 'node_modules/mocha/bin/mocha.js'), '--exit', '--timeout', '20000'];
    args.push('--reporter', 'json', '--reporter-option', `output=${told}`);
    if (name === 'pg-query-stream') args.push('-r', 'ts-node/register', 'test/**/*.ts');
    const done = await runLong(process.execPath, args, { cwd: join(source, 'packages', name), env });
    const { tests } = existsSync(told) ? JSON.parse(readFileSync(told, 'utf8')) : { tests: [] };
    if (tests.length === 0) verdicts.set(name, { ok: false, told: tail(done) });
    for (const { fullTitle, err } of tests) {
      const ok = err.message === undefined;
      verdicts.set(`${name}: ${fullTitle}`, { ok, told: err.stack ?? '' });
    }
  }
  return verdicts;
}

async function psycopg(login) {
  const dsn = conninfo(login);
  const only = values.only === '' ? [] : ['-k', values.only];
  const args = [
    '-m',
    'pytest',
    'tests',
    '-q',
    '-rA',
    '--tb=short',
    '-p',
    'no:randomly',
    '-o',
    `cache_dir=${join(here.dir, 'cache')}`,
  ];
  args.push(
    '-m',
    'not slow and not subprocess and not mypy',
    '--test-dsn',
    dsn,
    '--ignore=tests/pool',
    '--ignore=tests/crdb',
    ...only,
  );
  const paths = ['psycopg', 'psycopg_pool'].map((one) => join(source, one)).join(delimiter);
  const env = {
    PATH: process.env.PATH,
    HOME: process.env.HOME,
    PSYCOPG_TEST_DSN: dsn,
    PSYCOPG_IMPL: 'python',
    PYTHONPATH: paths,
    COLUMNS: '500',
  };
  const done = await runLong(values.python, args, { cwd: source, env });
  const verdicts = new Map();
  for (const line of done.stdout.split('\n')) {
    const found = /^(PASSED|FAILED|ERROR) (\S.*?)(?: - (.*))?$/.exec(line);
    if (found) verdicts.set(found[2], { ok: found[1] === 'PASSED', told: found[3] ?? '' });
  }
  if (verdicts.size === 0) console.log(tail(done));
  return verdicts;
}

/** As its t/001_libpq_pipeline.pl: what each test ends with, and for some the very messages that it sent and got. */
async function libpqPipeline(login) {
  const home = join(source, 'src/test/modules/libpq_pipeline');
  const program = join(home, 'libpq_pipeline');
  const env = { PATH: process.env.PATH, LD_LIBRARY_PATH: join(source, 'src/interfaces/libpq') };
  const verdicts = new Map();
  for (const name of run(program, ['tests'], { env }).stdout.trim().split(/\s+/)) {
    if (!name.includes(values.only)) continue;
    const trace = join(here.dir, `${name}.trace`);
    rmSync(trace, { force: true });
    const done = await runLong(program, ['-r', '700', '-t', trace, name, conninfo(login)], {
      env,
      timeout: 120_000,
      killSignal: 'SIGKILL',
    });
    verdicts.set(name, { ok: done.status === 0, told: tail(done) });
    const expected = join(home, 'traces', `${name}.trace`);
    if (!existsSync(expected)) continue;
    const same = existsSync(trace) && readFileSync(trace, 'utf8') === readFileSync(expected, 'utf8');
    const told = same ? '' : run('diff', ['-u', expected, trace], { check: false }).stdout.slice(0, 4000);
    verdicts.set(`${name}.trace`, { ok: same, told });
  }
  return verdicts;
}

/** Each test of each package. */
async function pgx(login) {
  const dsn = conninfo(login);
  const env = {
    ...libpq(login),
    PATH: process.env.PATH,
    HOME: process.env.HOME,
    PGX_TEST_DATABASE: dsn,
    PGX_TEST_TCP_CONN_STRING: dsn,
  };
  const only = values.only === '' ? [] : ['-run', values.only];
  const done = await runLong(
    'go',
    ['test', '-p', '1', '-count=1', '-json', '-timeout', '900s', ...only, './...'],
    { cwd: source, env },
  );
  const verdicts = new Map();
  const told = new Map();
  for (const line of done.stdout.split('\n')) {
    if (!line.startsWith('{')) continue;
    const { Action, Package, Test, Output } = JSON.parse(line);
    if (Test === undefined) continue;
    // A directory of the run is in some names.
    const name = `${Package} ${Test}`.replaceAll(/(?<=\/Test[A-Za-z]+)\d+/g, '');
    if (Action === 'output') told.set(name, ((told.get(name) ?? '') + Output).slice(-2000));
    if (Action === 'pass' || Action === 'fail')
      verdicts.set(name, { ok: Action === 'pass', told: told.get(name) ?? '' });
  }
  if (verdicts.size === 0) console.log(tail(done));
  return verdicts;
}

function conninfo(login) {
  return `host=${login.host} port=${login.port} user=${login.user} password=${login.password} dbname=${database}`;
}
function libpq(login) {
  return {
    PGHOST: login.host,
    PGPORT: String(login.port),
    PGUSER: login.user,
    PGPASSWORD: login.password,
    PGDATABASE: database,
  };
}
const tail = ({ stdout, stderr }) => `${stdout}${stderr}`.trim().split('\n').slice(-12).join('\n');

const here = ground();
try {
  const server = await cluster(here, values.bindir, { max_connections: 60, max_prepared_transactions: 10 });
  const psql = [
    '-X',
    '-q',
    '-h',
    server.host,
    '-p',
    String(server.port),
    '-U',
    server.user,
    '-d',
    'postgres',
  ];
  const env = { PATH: process.env.PATH, PGPASSWORD: server.password };
  const fresh = () => {
    const said = (sql, ...more) => run(join(values.bindir, 'psql'), [...psql, ...more, '-c', sql], { env });
    said(`DROP DATABASE IF EXISTS ${database} WITH (FORCE)`);
    said(`CREATE DATABASE ${database} TEMPLATE template0`);
    // As its testsetup/postgresql_setup.sql, without the roles for other ways of logging in.
    if (driver === 'pgx')
      said(
        'CREATE EXTENSION hstore; CREATE EXTENSION ltree; CREATE DOMAIN uint64 AS numeric(20, 0)',
        '-d',
        database,
      );
  };
  const report = (name, verdicts) => {
    const passed = [...verdicts.values()].filter(({ ok }) => ok).length;
    console.log(`${name}: ${passed} of ${verdicts.size} pass`);
    return verdicts;
  };
  fresh();
  const direct = report('direct', await suites[driver](server));
  fresh();
  const hp = await gateway(here, server, [database, 'postgres', 'template1']);
  const through = report('gateway', await suites[driver](hp));
  const lost = [...direct].filter(([name, { ok }]) => ok && through.get(name)?.ok !== true);
  for (const [name] of lost)
    console.log(`\nthrough the gateway only, this fails: ${name}\n${through.get(name)?.told ?? 'not run'}`);
  console.log(lost.length === 0 ? 'no test differs' : `\n${lost.length} differ`);
  if (lost.length > 0 || direct.size === 0) process.exitCode = 1;
} finally {
  await here.end();
}
