// PostgreSQL's own regression suite, direct and through the gateway in one run, and the tests that differ.
//
//   node test/suites/regress.mjs SOURCE [--isolation] [--schedule FILE] [--bindir DIR] [--keep]
//
// SOURCE is PostgreSQL's source tree of the server's version, configured, with `make -C src/test/regress` (and src/test/isolation) done;
// --bindir holds that version's server and psql. Ends with 1 when a test passes direct and not through the gateway.
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { asPostgres, cluster, gateway, ground, run, runLong } from './ground.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    isolation: { type: 'boolean', default: false },
    schedule: { type: 'string' },
    bindir: { type: 'string', default: '/usr/lib/postgresql/15/bin' },
    keep: { type: 'boolean', default: false },
  },
});
if (positionals.length !== 1) {
  console.error(
    'usage: node test/suites/regress.mjs SOURCE [--isolation] [--schedule FILE] [--bindir DIR] [--keep]',
  );
  process.exit(2);
}
const source = resolve(positionals[0]);
const suite = join(source, 'src/test', values.isolation ? 'isolation' : 'regress');
const program = values.isolation ? 'pg_isolation_regress' : 'pg_regress';
const database = values.isolation ? 'isolation_regression' : 'regression';
const shipped = join(
  values.bindir,
  '../lib/pgxs/src/test',
  values.isolation ? 'isolation' : 'regress',
  program,
);
const runner = existsSync(shipped) ? shipped : join(suite, program);
const here = ground();

/** One run of the whole schedule; the verdict of each test by name. */
async function suiteRun(name, login) {
  const out = join(here.dir, name);
  mkdirSync(out);
  for (const part of ['sql', 'expected', 'specs', 'data']) {
    if (existsSync(join(suite, part))) cpSync(join(suite, part), join(out, part), { recursive: true });
  }
  for (const part of ['results', 'testtablespace']) mkdirSync(join(out, part), { recursive: true });
  const user = asPostgres();
  if (user.uid !== undefined) run('chown', ['-R', `${user.uid}:${user.gid}`, out]);
  const schedule =
    values.schedule ?? join(suite, values.isolation ? 'isolation_schedule' : 'parallel_schedule');
  const libraries = join(source, 'src/test/regress');
  const args = [
    `--inputdir=${out}`,
    `--outputdir=${out}`,
    `--bindir=${values.bindir}`,
    `--dlpath=${libraries}`,
  ];
  args.push(`--host=${login.host}`, `--port=${login.port}`, `--user=${login.user}`, `--dbname=${database}`);
  args.push('--use-existing', '--max-concurrent-tests=20', `--schedule=${resolve(schedule)}`);
  const env = { PATH: process.env.PATH, HOME: out, PGPASSWORD: login.password };
  const started = Date.now();
  const done = await runLong(runner, args, { ...user, cwd: out, env });
  const seconds = Math.round((Date.now() - started) / 1000);
  const verdicts = new Map();
  for (const line of done.stdout.split('\n')) {
    const found = /^(?:test\s+|\s+)?(\S+)\s+\.\.\. (ok|FAILED|failed)/.exec(line);
    if (found) verdicts.set(found[1], found[2] === 'ok');
  }
  const passed = [...verdicts.values()].filter(Boolean).length;
  console.log(`${name}: ${passed} of ${verdicts.size} pass, ${seconds} s`);
  if (verdicts.size === 0) console.log(done.stdout, done.stderr);
  const diffs = existsSync(join(out, 'regression.diffs'))
    ? readFileSync(join(out, 'regression.diffs'), 'utf8')
    : '';
  return { verdicts, diffs, passed };
}

/** As pg_regress makes its database when it may. */
function prepare(server) {
  const psql = (name, sql) =>
    run(
      join(values.bindir, 'psql'),
      [
        '-X',
        '-q',
        '-v',
        'ON_ERROR_STOP=1',
        '-h',
        server.host,
        '-p',
        String(server.port),
        '-U',
        server.user,
        '-d',
        name,
        '-c',
        sql,
      ],
      {
        env: { PATH: process.env.PATH, PGPASSWORD: server.password },
      },
    );
  psql('postgres', `CREATE DATABASE ${database} TEMPLATE template0`);
  for (const setting of ['lc_messages', 'lc_monetary', 'lc_numeric', 'lc_time'])
    psql(database, `ALTER DATABASE ${database} SET ${setting} TO 'C'`);
  psql(database, `ALTER DATABASE ${database} SET bytea_output TO 'hex'`);
  psql(database, `ALTER DATABASE ${database} SET timezone_abbreviations TO 'Default'`);
}

try {
  const settings = { max_connections: 60, max_prepared_transactions: 2 };
  const direct = await cluster(here, values.bindir, settings);
  prepare(direct);
  const first = await suiteRun('direct', direct);
  const behind = await cluster(here, values.bindir, settings);
  prepare(behind);
  const hp = await gateway(here, behind, [database]);
  const second = await suiteRun('gateway', hp);
  const lost = [...first.verdicts]
    .filter(([name, ok]) => ok && second.verdicts.get(name) !== true)
    .map(([name]) => name);
  console.log(
    lost.length === 0 ? 'no test differs' : `through the gateway only, these fail: ${lost.join(' ')}`,
  );
  if (lost.length > 0) {
    const file = join(values.keep ? here.dir : process.cwd(), 'regression.diffs');
    writeFileSync(file, second.diffs);
    console.log(`differences: ${file}`);
    process.exitCode = 1;
  }
  if (hp.log().includes('"level":50'))
    console.log(
      hp
        .log()
        .split('\n')
        .filter((line) => line.includes('"level":50'))
        .slice(0, 10)
        .join('\n'),
    );
} finally {
  if (values.keep) {
    console.log(`kept: ${here.dir}`);
    here.stops.shift();
  }
  await here.end();
}
