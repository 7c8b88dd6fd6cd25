// Each property test many times, with a fresh seed each time.
//
//   node test/suites/properties.mjs [--times 50] [PATH…]
//
// Prints how far each one is and the seeds of failures; ends with 1 when there was one. One of them again:
//   HP_PROPERTY_SEED=SEED npx vitest run PATH -t 'NAME'
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { entries } from '../support/test-log.mjs';

const { values, positionals } = parseArgs({
  options: { times: { type: 'string', default: '50' } },
  allowPositionals: true,
});
const root = fileURLToPath(new URL('../..', import.meta.url));
const files = readdirSync(join(root, 'test'), { recursive: true })
  .map((path) => join('test', path))
  .filter(
    (path) =>
      path.endsWith('.test.ts') &&
      /\.\.\/support\/property\.ts'/.test(readFileSync(join(root, path), 'utf8')),
  )
  .filter((path) => positionals.length === 0 || positionals.includes(path))
  .sort();
console.log(`${files.length} files, ${values.times} times each property`);

// Threads of the judge run what is built.
if (spawnSync(process.execPath, [join(root, 'bin/build.mjs')], { stdio: 'inherit' }).status !== 0)
  process.exit(1);

const folder = mkdtempSync(join(tmpdir(), 'holdpoint-properties-'));
const log = join(folder, 'log');
const vitest = join(root, 'node_modules/vitest/vitest.mjs');
const child = spawn(process.execPath, [vitest, 'run', ...files, '--testTimeout', String(2 ** 31 - 1)], {
  cwd: root,
  stdio: 'inherit',
  env: { ...process.env, HP_RUN_LOG: log, HP_PROPERTY_TIMES: values.times },
});

for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));

/** By property: how often it was checked, how long that took, and what failed. */
function standing() {
  const all = new Map();
  for (const { kind, name, seed, ms, why } of entries(readFileSync(log, 'utf8'))) {
    if (kind !== 'checked') continue;
    const one = all.get(name) ?? { times: 0, ms: 0, failed: [] };
    all.set(name, {
      times: one.times + 1,
      ms: one.ms + ms,
      failed: why === null ? one.failed : [...one.failed, { seed, why }],
    });
  }
  return all;
}
let shown = '';
const progress = setInterval(() => {
  try {
    const lines = [...standing()].map(
      ([name, { times, failed }]) => `  ${times} times, ${failed.length} failed: ${name}`,
    );
    if (lines.join('\n') !== shown) console.log(`so far:\n${lines.join('\n')}`);
    shown = lines.join('\n');
  } catch {
    // Nothing is written yet.
  }
}, 30_000);

child.on('exit', (code) => {
  clearInterval(progress);
  const all = [...standing()];
  console.log('');
  for (const [name, { times, ms, failed }] of all) {
    console.log(`${times} times in ${Math.round(ms / 1000)} s, ${failed.length} failed: ${name}`);
    for (const { seed, why } of failed)
      console.log(`    seed ${seed}: ${why.slice(0, 2000).replaceAll('\n', '\n        ')}`);
  }
  const failures = all.reduce((sum, [, { failed }]) => sum + failed.length, 0);
  console.log(`${all.length} properties, ${failures} failures`);
  rmSync(folder, { recursive: true, force: true });
  process.exitCode = failures > 0 || all.length === 0 ? 1 : (code ?? 1);
});
