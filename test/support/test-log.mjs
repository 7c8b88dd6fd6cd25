/**
 * What runs now, for whoever waits for a run that hangs or stops it: a vitest reporter that notes files and tests as they begin and end, in
 * the file that HP_RUN_LOG names, and says what takes minutes. `node test/support/test-log.mjs FILE` says what of it never ended.
 */
import { appendFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const LONG_MS = 4 * 60_000;

/** Written at once: a process that spins gets to nothing else. */
export function note(entry) {
  const path = process.env['HP_RUN_LOG'];
  if (path) appendFileSync(path, `${JSON.stringify({ ...entry, at: Date.now() })}\n`);
}

/** A line that is still being written is none yet. */
export function entries(text) {
  return text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
}

/** What began before `until` and never ended: files, tests, and the latest seeds of the properties that are checked in them. */
export function unfinished(all, until = Number.POSITIVE_INFINITY) {
  const open = new Map();
  for (const { kind, what, name, seed, at } of all) {
    const key = `${what} ${name}`;
    if (kind === 'begin') open.set(key, { line: what === 'file' ? name : `  "${name}"`, at, seeds: [] });
    else if (kind === 'end') open.delete(key);
    else if (kind === 'property') {
      // A process that spins has not told of the test it is in, but of this.
      const test = open.get(`test ${name}`) ?? { line: `  "${name}"`, at, seeds: [] };
      open.set(`test ${name}`, { ...test, seeds: [...test.seeds, seed].slice(-8) });
    }
  }
  return [...open.values()]
    .filter(({ at }) => at < until)
    .map(({ line, seeds }) => (seeds.length === 0 ? line : `${line}, seed ${seeds.join(', ')}`));
}

export default class TestLog {
  constructor() {
    // As soon as there is a reporter: the processes that run tests get the environment of this one.
    if (!process.env['HP_RUN_LOG']) {
      const own = join(tmpdir(), `holdpoint-tests-${process.pid}.log`);
      process.env['HP_RUN_LOG'] = own;
      process.once('exit', () => rmSync(own, { force: true }));
    }
    writeFileSync(process.env['HP_RUN_LOG'], '');
  }
  onInit() {
    const path = process.env['HP_RUN_LOG'];
    const timer = setInterval(() => {
      const long = unfinished(entries(readFileSync(path, 'utf8')), Date.now() - LONG_MS);
      if (long.length > 0) console.error(`still running after minutes:\n${long.join('\n')}`);
    }, 60_000);
    timer.unref();
  }
  onTestModuleQueued(module) {
    note({ kind: 'begin', what: 'file', name: fileOf(module) });
  }
  onTestModuleEnd(module) {
    note({ kind: 'end', what: 'file', name: fileOf(module), failed: !module.ok() });
  }
  onTestCaseReady(test) {
    note({ kind: 'begin', what: 'test', name: test.fullName });
  }
  onTestCaseResult(test) {
    note({ kind: 'end', what: 'test', name: test.fullName, failed: test.result().state === 'failed' });
  }
}
const fileOf = ({ moduleId }) => relative(process.cwd(), moduleId);

const [, script, path] = process.argv;
if (script !== undefined && path !== undefined && resolve(script) === fileURLToPath(import.meta.url))
  for (const line of unfinished(entries(readFileSync(path, 'utf8')))) console.log(line);
