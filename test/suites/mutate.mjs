// Disables the rules of classifier, lineage and verdict one by one and runs, against each mutant, the corpora of test/policy without the
// database's part, then the tests that need no database. A mutant that all of them pass is a rule that no test holds: a survivor.
//
//   node bin/build.mjs && node test/suites/mutate.mjs [--files NAME,NAME …] [--again OUTPUT] [--sample N [--seed S]] [--jobs N] [--list]
//
// Mutations are made in the built files: a call that stands for itself is not made, a condition never holds, a way out is always taken,
// a case of a switch is not met, one of several dependencies is left out, a utility statement is taken for a harmless one.
// Ends with 1 when something survives.
import { fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('../../', import.meta.url));
const corpus = join(root, 'test/policy/corpus');
const UNITS = [
  'classification',
  'lineage',
  'rarely-met',
  'reasons',
  'rules',
  'rules-verdict',
  'rules-time-mode',
  'analyse',
  'casts',
  'row-values',
  'limits',
  'match',
  'known-rows',
  'operand-names',
  'policies',
  'running-path',
];
const dist = join(root, 'dist/policy');
/** All that decides; not what only tells (locks), and lists of names. */
const FILES = [
  ...['facts', 'lineage', 'operands'].flatMap((folder) =>
    readdirSync(join(dist, folder))
      .filter((name) => name.endsWith('.js') && !/^(?:builtins|extensions|locks)/.test(name))
      .map((name) => `${folder}/${name}`),
  ),
  ...[
    'analyse.js',
    'resolution.js',
    'statement.js',
    'redact.js',
    'verdict.js',
    'parse/plpgsql.js',
    'parse/body.js',
  ],
  ...['glob', 'match', 'tags', 'window'].map((name) => `rules/${name}.js`),
];
/** Calls that only keep a result for later, or hide fewer literals. */
const KEEPS =
  /^(?:FORMATS|known\.set|here\.set|clear\w*|visit|outer\.seen\.set|this\.#?\w+|.*\bcleared\.add|env\.|context\.env\.|COMPILED|ROWS|cache|byTags)/;
const KNOWN = /^\((?:known|byTags|env|rows|digest|tagged) [!=]== undefined\)$/;

/** Mutants that change nothing observable, or make the judge stricter only: `file what`, why. They are counted, not run. */
const EQUIVALENT = new Map([
  ...[
    'lineage/env.js without push(this.#referenced, key.from, key)',
    'lineage/env.js without push(this.#byIndex, index, relation)',
    'lineage/env.js never if (tempRelations.length > 0 || (changed ?? []).length > 0)',
    'lineage/env.js always if (tempRelations.length > 0 || (changed ?? []).length > 0)',
  ].map((one) => [one, 'for locks only, which test/policy/locks.test.ts compares with pg_locks']),
  ...[
    "never if (parts.length < 2 || parts.at(-2) !== parameter.name || typeof attribute !== 'string')",
    "never if (typeof attribute !== 'string')",
  ].map((one) => [
    `lineage/functions.js ${one}`,
    'what is no attribute stands for the whole row in any case',
  ]),
  [
    "facts/touch.js never if (event === undefined && access !== 'table-lock')",
    'the same: what a view reads is among its facts already',
  ],
  ...["no case 'read':", "no case 'lock':"].map((one) => [
    `rules/match.js ${one}`,
    'nothing is done for it: named so that the compiler sees every access',
  ]),
  [
    "lineage/select.js never if (typeof at !== 'number')",
    'stricter: what is no position stands for every column',
  ],
  ...['never if (value !== undefined)', 'never if (found.keep)'].map((one) => [
    `lineage/definitions.js ${one}`,
    'read again each time: the same is found',
  ]),
  ['lineage/fired.js never if (tagged.length === 0)', 'a short cut: nothing is found the long way either'],
  ['lineage/conflict.js never if (key.size === 0)', 'stricter: the columns given are related to one another'],
  [
    'lineage/compare.js always if (!fired || ![...parameters(context)].some((one) => side.has(one)))',
    'stricter: the row that fires counts as any other',
  ],
  ...['left', 'right'].map((side) => [
    `lineage/compare.js without ${side} in union(left, right)`,
    'stricter: comparisons of two rows are counted too',
  ]),
  [
    'facts/casts.js never if ((env.catalog?.types ?? []).length === 0)',
    'a short cut: nothing is found the long way either',
  ],
  [
    'lineage/select.js never if (columns.length > MAX_COLUMNS)',
    'a bound of time and memory: rounds and work end it as well',
  ],
  [
    'lineage/select.js never if (search === null && cycle === null)',
    'a short cut: nothing is found the long way either',
  ],
  ['facts/clauses.js never if (items.length > MAX_ITEMS)', 'a bound of time: the same is found the long way'],
  ["facts/clauses.js never if (kind !== 'AEXPR_OP')", 'the same is said of what has no other form'],
  [
    'lineage/functions.js never if (open !== null)',
    'the server makes functions of as many columns as they say: then nothing is left for the open part',
  ],
  [
    'lineage/relation.js never if (relation.columns.every(({ generated }) => generated === null))',
    'a short cut: nothing is found the long way either',
  ],
  [
    'lineage/relation.js never if (type === null || stack.includes(seen) || stack.length > MAX_DEFINITION_DEPTH)',
    'stricter: what fails is denied',
  ],
  [
    "lineage/row.js never if (type === null || type['arrayBounds'] !== undefined || nodeOf(name, 'ColumnRef') === null)",
    'the server refuses such a cast of a whole row; what is no name has no row',
  ],
  ...[
    'lineage/deps.js never if (deps.size === 0)',
    'lineage/env.js never if (!this.tags)',
    'facts/changes.js never if (changed.length === 0)',
    "facts/walk.js no case 'A_Const':",
    "facts/walk.js no case 'ParamRef':",
    "facts/walk.js no case 'String':",
    'lineage/deps.js never if (part.size === 0 || part === first)',
    'lineage/deps.js never if (first.size === 0)',
    "lineage/expression.js no case 'A_Const':",
    "lineage/expression.js no case 'ParamRef':",
    "lineage/expression.js no case 'TypeName':",
  ].map((one) => [one, 'a short cut: nothing is found the long way either']),
  [
    'redact.js never if (!mentionsTagged(code, context))',
    'stricter: literals of code are hidden where no tagged column is named',
  ],
  ['redact.js never if (literals.length === 0)', 'a short cut: nothing is found the long way either'],
  ["parse/plpgsql.js never if (typeof query !== 'string')", 'stricter: what fails is denied'],
  [
    'rules/window.js never if (day < 0 || !Number.isInteger(minute))',
    'for a calendar that names no weekday, which none is known to do',
  ],
  ["rules/match.js never if (typeof parts === 'string')", 'stricter: what fails is denied'],
  [
    'parse/plpgsql.js always if (error instanceof Error && error.constructor === Error)',
    'for a parser that is spoilt, which no text is known to do',
  ],
  [
    "statement.js without walkFields(node, place('ddl'), context)",
    'what no rule knows is unknown already: only told of',
  ],
  [
    'facts/limits.js always if (error instanceof Undecided)',
    'stricter: what fails counts as a missing WHERE',
  ],
  [
    'facts/reach.js never if (relation === undefined || more.length > 0)',
    'stricter: of several candidates the first has fewer columns, without one it fails',
  ],
  ...["facts/rows.js no case 'read':", "facts/rows.js no case 'lock':"].map((one) => [
    one,
    'there for the type checker: nothing is done in it',
  ]),
  ...["CreateStmt', of('ddl", "ViewStmt', of('ddl"].map((one) => [
    `facts/utility.js harmless ${one}`,
    'what is created raises the class too (createdBy)',
  ]),
  [
    "facts/walk.js always if ('limitOption' in node)",
    'whatever else stands bare is walked in the same way, and the class it raises to is the least',
  ],
  [
    "lineage/definitions.js never if (create === undefined || create.kind !== 'CreateFunctionStmt')",
    'stricter: what fails is denied',
  ],
]);

if (process.argv[2] === '--judge') await judge(process.argv[3]);
else await main();

// ── a process that judges one mutant after the other: says the first case that is judged otherwise, or null ───────────────
async function judge(work) {
  const { catalogs, policyText, cases } = JSON.parse(readFileSync(join(work, 'work.json'), 'utf8'));
  const context = {
    target: 'shop',
    environment: 'demo',
    owner: 'alice@example.com',
    agent: 'Cursor',
    groups: ['developers'],
    level: 'admin',
    transaction: 'idle',
  };
  const plain = { searchPath: ['public'], tempRelations: [], login: 'app' };
  process.on('message', async ({ dir, first }) => {
    const caught = await checksOf(dir)
      .then((checks) => firstCaught(checks, first))
      .catch((error) => ({ by: '', failed: String(error) }));
    process.send({ caught });
  });

  /** Every case and every test against what `dir` holds: name to what throws or says what is wrong. */
  async function checksOf(dir) {
    const load = (name) => import(pathToFileURL(join(dir, name)).href);
    const [{ analyse, loadParser }, { createPolicyHolder, createTagLookup }, { evaluate }] =
      await Promise.all(['analyse.js', 'rules/index.js', 'verdict.js'].map(load));
    await loadParser();
    const { policy } = createPolicyHolder(policyText).current();
    const tagsOf = createTagLookup(policy);
    const read = (sql, resolution, of = 'shop') =>
      analyse(sql, {
        catalog: catalogs[of],
        resolution,
        tagsOf,
        trustedFunctions: policy.trustedFunctions,
      });
    globalThis.before = [];
    globalThis.steps = [];
    for (const unit of UNITS) await load(`tests/${unit}.test.js`);
    for (const step of globalThis.before) await step();
    return new Map([
      ...cases.map((one) => [one.join('|'), () => wrong(...one)]),
      ...globalThis.steps.map((step, index) => [`test ${index}`, step]),
    ]);

    function wrong(expected, sql, setup, uses, of = 'shop') {
      const path = /search_path\s*=\s*([\w, ]+)/.exec(setup)?.[1]?.split(/\s*,\s*/);
      const tempRelations = [...setup.matchAll(/TEMP TABLE (\w+)/g)].map((match) => match[1]);
      const before = /^(?:CREATE(?! TEMP)|ALTER|DO)/.test(setup) ? read(setup, plain, of) : null;
      const changed = before?.kind === 'facts' ? before.statements.flatMap((one) => one.changes ?? []) : [];
      const analysis = read(
        sql,
        { searchPath: path ?? ['public'], tempRelations, login: 'app', changed },
        of,
      );
      const { effect } = evaluate(policy, analysis, context);
      if (effect !== expected) return { expected, effect, sql };
      if (uses === undefined || uses === null) return null;
      const found = new Set(analysis.statements.flatMap(({ columns }) => columns.map(({ use }) => use)));
      const right =
        uses === 'predicate' ? found.has('predicate') : !found.has('predicate') && !found.has('value');
      return right ? null : { expected: uses, uses: [...found], sql };
    }
  }

  /** `first`: the checks that caught others, for they are likely to catch this one too. */
  async function firstCaught(checks, first) {
    for (const by of new Set([...first, ...checks.keys()])) {
      const failed = await Promise.resolve()
        .then(checks.get(by))
        .catch((error) => String(error));
      if (failed !== undefined && failed !== null) return { by, failed };
    }
    return null;
  }
}

// ── what can be disabled ───────────────────────────────────────────────────────────────────────────────────────────
/** Each mutation: where it is, what it does, the text of the file with it. */
function* mutations(file, text) {
  const at = (index) => `${file}:${text.slice(0, index).split('\n').length}`;
  const put = (from, to, by) => text.slice(0, from) + by + text.slice(to);
  const closing = (open) => {
    let depth = 0;
    let quote = '';
    for (let i = open; i < text.length; i += 1) {
      const char = text[i];
      if (quote !== '') {
        if (char === '\\') i += 1;
        else if (char === quote) quote = '';
      } else if (char === "'" || char === '"' || char === '`') quote = char;
      else if (char === '(') depth += 1;
      else if (char === ')' && --depth === 0) return i;
    }
    return -1;
  };
  const told = (from, to) => text.slice(from, to).replace(/\s+/g, ' ').slice(0, 100);
  // A call that stands for itself.
  for (const { index, 0: start } of text.matchAll(/(?<=^ *(?:(?:if|for) \(.*\) |else )?)[\w#][\w.#]*\(/gm)) {
    const open = index + start.length - 1;
    const end = closing(open) + 1;
    if (end === 0 || text[end] !== ';' || KEEPS.test(start)) continue;
    yield { where: at(index), what: `without ${told(index, end)}`, text: put(index, end, 'void 0') };
  }
  // A guard against what is not there: without it the analysis fails, and what fails is denied.
  const guard = /^\([\w.[\]']+ === (?:null|undefined)(?: \|\| [\w.[\]']+ === (?:null|undefined))*\)$/;
  for (const { index, 0: start } of text.matchAll(/\bif \(/g)) {
    const open = index + start.length - 1;
    const end = closing(open);
    if (end < 0) continue;
    const condition = text.slice(open, end + 1);
    if (!guard.test(condition) && !KNOWN.test(condition))
      yield { where: at(index), what: `never ${told(index, end + 1)}`, text: put(open, end + 1, '(false)') };
    if (/^\s*\{?\s*(?:return|continue|break)\b/.test(text.slice(end + 1)))
      yield { where: at(index), what: `always ${told(index, end + 1)}`, text: put(open, end + 1, '(true)') };
  }
  for (const { index, 0: label } of text.matchAll(/\bcase '\w+':/g))
    yield { where: at(index), what: `no ${label}`, text: put(index, index + label.length, "case '\\0':") };
  // One of those whose dependencies are put together.
  for (const { index, 0: start } of text.matchAll(/\bunion\((?!\.\.\.parts)/g)) {
    const open = index + start.length - 1;
    const end = closing(open);
    let from = open + 1;
    for (let to = from; end > 0 && to <= end; to += 1) {
      if ('([{'.includes(text[to])) {
        to = past(to);
        continue;
      }
      if (text[to] !== ',' && to !== end) continue;
      const spread = text.slice(from, to).trimStart().startsWith('...');
      yield {
        where: at(from),
        what: `without ${told(from, to).trim()} in ${told(index, end + 1)}`,
        text: put(from, to, spread ? '...[]' : 'new Set()'),
      };
      from = to + 1;
    }
  }
  for (const { index } of text.matchAll(
    /(?<=\[')\w+(?=', of\('(?:ddl|dcl|admin|unknown|call|do|truncate)')/g,
  )) {
    const open = text.indexOf("of('", index) + 4;
    const end = text.indexOf("'", open);
    yield { where: at(index), what: `harmless ${told(index, end)}`, text: put(open, end, 'session') };
  }

  function past(open) {
    let depth = 0;
    for (let i = open; i < text.length; i += 1) {
      if ('([{'.includes(text[i])) depth += 1;
      else if (')]}'.includes(text[i]) && --depth === 0) return i;
    }
    return text.length;
  }
}

async function main() {
  const { values } = parseArgs({
    options: {
      files: { type: 'string', default: '' },
      again: { type: 'string', default: '' },
      sample: { type: 'string', default: '' },
      seed: { type: 'string', default: String(Math.floor(Math.random() * 1e9)) },
      jobs: { type: 'string', default: '2' },
      list: { type: 'boolean', default: false },
    },
  });
  const wanted = values.files.split(',').filter(Boolean);
  const found = FILES.filter((file) => wanted.length === 0 || wanted.includes(file)).flatMap((file) =>
    [...mutations(file, readFileSync(join(dist, file), 'utf8'))].map((one) => ({ file, ...one })),
  );
  const known = found.filter(({ file, what }) => EQUIVALENT.has(`${file} ${what}`));
  const named = values.again === '' ? null : survivedIn(readFileSync(values.again, 'utf8'));
  const killable = found.filter(
    (one) => !known.includes(one) && (named === null || named.has(`${one.file} ${one.what}`)),
  );
  const all = values.sample === '' ? killable : sample(killable, Number(values.sample), values.seed);
  if (values.list) {
    for (const { where, what } of all) console.log(`${where}  ${what}`);
    return;
  }
  if (values.sample !== '') console.log(`seed ${values.seed}: ${all.length} of ${killable.length} mutants`);
  const work = join(tmpdir(), `holdpoint-mutate-${process.pid}`);
  mkdirSync(work);
  try {
    await prepareUnits(work);
    await prepare(work);
    const whole = copyOf(work, 'unmutated', null);
    const first = startJudge(work);
    const wrong = await first.ask({ dir: whole, first: [] });
    first.stop();
    if (wrong !== null)
      throw new Error(`without a mutation ${JSON.stringify(wrong)}: the corpora fail as they are`);
    const survivors = [];
    let done = 0;
    const queue = [...all.entries()];
    let catching = [];
    const worker = async () => {
      let judge = startJudge(work);
      for (let next = queue.shift(), asked = 0; next !== undefined; next = queue.shift()) {
        const [index, mutant] = next;
        const dir = copyOf(work, `m${index}`, mutant);
        const caught = await judge.ask({ dir, first: catching });
        if (caught === null) {
          survivors.push(mutant);
          console.log(`survived  dist/policy/${mutant.where}  ${mutant.what}`);
        } else if (caught.by !== '') catching = [caught.by, ...catching.filter((by) => by !== caught.by)];
        // What it has loaded stays in memory.
        asked += 1;
        if (judge.ended() || asked % 25 === 0) {
          judge.stop();
          judge = startJudge(work);
        }
        rmSync(dir, { recursive: true });
        done += 1;
        if (done % 50 === 0) console.error(`${done} of ${all.length}, ${survivors.length} survived`);
      }
      judge.stop();
    };
    await Promise.all(Array.from({ length: Number(values.jobs) }, worker));
    console.log(
      `${all.length} mutants, ${all.length - survivors.length} turned a test red, ${survivors.length} survived; ${known.length} others are equivalent.`,
    );
    process.exitCode = survivors.length === 0 ? 0 : 1;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** The survivors that the output of an earlier run names; lines may have moved since. */
function survivedIn(output) {
  return new Set(
    [...output.matchAll(/^survived {2}dist\/policy\/([^:]+):\d+ {2}(.*)$/gm)].map(
      ([, file, what]) => `${file} ${what}`,
    ),
  );
}

function copyOf(work, name, mutant) {
  const dir = join(work, name);
  cpSync(dist, dir, { recursive: true, filter: (path) => !path.endsWith('.map') });
  cpSync(join(work, 'tests'), join(dir, 'tests'), { recursive: true });
  if (mutant !== null) writeFileSync(join(dir, mutant.file), mutant.text);
  return dir;
}

/** The same ones for the same seed. */
function sample(all, count, seed) {
  const rank = ({ where, what }) => createHash('sha256').update(`${seed} ${where} ${what}`).digest('hex');
  return all
    .map((one) => ({ one, rank: rank(one) }))
    .sort((a, b) => (a.rank < b.rank ? -1 : 1))
    .slice(0, count)
    .map(({ one }) => one);
}

/** `ask`: what a mutant was caught by; a crash or no end counts. null: nothing. */
function startJudge(work) {
  const child = fork(fileURLToPath(import.meta.url), ['--judge', work], { stdio: 'ignore' });
  let ended = false;
  let answer = () => {};
  child.on('message', ({ caught }) => answer(caught));
  child.once('close', () => {
    ended = true;
    answer({ by: '', failed: 'crashed' });
  });
  return {
    ended: () => ended,
    ask(mutant) {
      return new Promise((resolve) => {
        const timer = setTimeout(() => child.kill('SIGKILL'), 120_000);
        answer = (caught) => {
          clearTimeout(timer);
          resolve(caught);
        };
        if (ended) answer({ by: '', failed: 'crashed' });
        else child.send(mutant);
      });
    },
    stop: () => child.kill('SIGKILL'),
  };
}

/** The tests that need no database, for a runner that costs nothing to start: it knows what they use of vitest, and no more. */
async function prepareUnits(work) {
  writeFileSync(
    join(work, 'vitest.mjs'),
    `import { chai, JestAsymmetricMatchers, JestChaiExpect, JestExtend } from '@vitest/expect';
for (const plugin of [JestExtend, JestChaiExpect, JestAsymmetricMatchers]) chai.use(plugin);
export const expect = chai.expect;
export const beforeAll = (run) => globalThis.before.push(run);
export const describe = (_name, run) => run();
export const it = (_name, run) => globalThis.steps.push(async () => void (await run()));
it.each = (rows) => (_name, run) => {
  for (const row of rows) it('', () => run(...(Array.isArray(row) ? row : [row])));
};
`,
  );
  writeFileSync(
    join(work, 'property.mjs'),
    `import fc from 'fast-check';
export const holds = (property, { numRuns = 100 } = {}) => fc.assert(property, { numRuns });
export const holdsAsync = holds;
`,
  );
  const { transformWithOxc } = await import('vite');
  mkdirSync(join(work, 'tests'));
  for (const name of [...UNITS.map((unit) => `${unit}.test`), 'fixture', 'facts-of']) {
    const path = join(root, `test/policy/${name}.ts`);
    const { code } = await transformWithOxc(readFileSync(path, 'utf8'), path, { sourcemap: false });
    const placed = code
      .replaceAll(/(["'])(?:\.\.\/)+src\/policy\/(.*?)\.ts\1/g, "'../$2.js'")
      .replaceAll(/(["'])\.\/([\w-]+)\.ts\1/g, "'./$2.js'")
      .replaceAll(/(["'])\.\.\/support\/property\.ts\1/g, "'../../property.mjs'")
      .replaceAll(/(["'])vitest\1/g, "'../../vitest.mjs'");
    writeFileSync(join(work, 'tests', `${name}.js`), placed);
  }
}

/** The corpora's schema on a real PostgreSQL, once, for its catalog. */
async function prepare(work) {
  writeFileSync(join(work, 'package.json'), '{"type":"module"}');
  symlinkSync(join(root, 'node_modules'), join(work, 'node_modules'));
  const load = (name) => import(pathToFileURL(join(root, 'dist', name)).href);
  const [{ startPostgres }, { createCatalog }, { connectCatalog }, { default: pg }] = await Promise.all([
    load('embedded/postgres.js'),
    load('gateway/judge/catalog.js'),
    load('gateway/judge/catalog-connection.js'),
    import('pg'),
  ]);
  const login = { user: 'postgres', password: 'only-for-tests' };
  const server = await startPostgres({
    dataDir: join(work, 'postgres'),
    port: 0,
    superuser: login.user,
    password: login.password,
    settings: { fsync: 'off', shared_preload_libraries: 'pg_stat_statements' },
    log: { info: () => {} },
  });
  try {
    const at = { host: server.host, port: server.port };
    const run = async (database, text) => {
      const client = new pg.Client({ ...at, database, ...login });
      await client.connect();
      await client.query(text);
      await client.end();
    };
    const catalogs = {};
    for (const [database, files] of [
      ['shop', ['schema.sql', 'data.sql']],
      ['fires', ['fires.sql']],
    ]) {
      await run('postgres', `CREATE DATABASE ${database}`);
      for (const name of files)
        await run(database, readFileSync(join(corpus, name), 'utf8').replaceAll(/(?<!:):v\b/g, 'v'));
      const target = {
        name: database,
        environment: 'test',
        ...at,
        database,
        tls: 'disable',
        ca: null,
        logins: { admin: login },
        catalogLogin: login,
        acceptPrivileges: [],
        protocol: 'strict',
      };
      const catalog = createCatalog({ now: Date.now, connect: () => connectCatalog(target, login) });
      catalogs[database] = (await catalog.ensure()).snapshot;
      await catalog.close();
    }
    const lines = (name) =>
      readFileSync(join(corpus, name), 'utf8')
        .split('\n')
        .filter((line) => line.startsWith('['))
        .map((line) => JSON.parse(line));
    const cases = [
      ...lines('classification.jsonl').map(([expected, sql, setup = '']) => [expected, sql, setup]),
      ...lines('tools.jsonl').map(([, sql]) => ['allow', sql, '']),
      ...lines('lineage.jsonl').map(([expected, sql, setup = '']) =>
        expected === 'value' ? ['hold', sql, setup] : ['allow', sql, setup, expected],
      ),
      ...lines('fires.jsonl').map(([expected, sql]) => [expected, sql, '', null, 'fires']),
    ];
    const policyText = readFileSync(join(corpus, 'pii.yaml'), 'utf8');
    writeFileSync(join(work, 'work.json'), JSON.stringify({ catalogs, policyText, cases }));
  } finally {
    await server.stop();
  }
}
