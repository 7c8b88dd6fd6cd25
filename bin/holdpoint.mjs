#!/usr/bin/env node
// The command `holdpoint`. Everything that could keep dist/ from running is said in one sentence first, so this file
// stays within what an old Node parses and imports nothing but Node itself.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const main = join(root, 'dist', 'cli', 'main.js');

const problem = tooOld() || foreign() || notBuilt();
if (problem) {
  console.error(`holdpoint: ${problem}`);
  process.exitCode = 1;
} else {
  import(pathToFileURL(main).href).catch((error) => {
    if (error && error.code === 'ERR_MODULE_NOT_FOUND') {
      console.error(
        `holdpoint: the installation is not complete (${String(error.message).split('\n')[0]}); run \`npm ci\` and try again.`,
      );
    } else {
      console.error(error);
    }
    process.exitCode = 1;
  });
}

/** package.json's engines: `^A.B.C` and `>=A.B.C`, joined by `||`. */
function tooOld() {
  const { engines } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const have = process.versions.node.split('.').map(Number);
  const fits = engines.node.split('||').some((range) => {
    const [, operator, text] = /^\s*(\^|>=)\s*([\d.]+)\s*$/.exec(range);
    const want = text.split('.').map(Number);
    if (operator === '^' && have[0] !== want[0]) return false;
    const differs = [0, 1, 2].find((i) => have[i] !== want[i]);
    return differs === undefined || have[differs] > want[differs];
  });
  return fits ? null : `Node.js ${process.versions.node} is not supported; it takes ${engines.node}.`;
}

/** Only `start` needs PostgreSQL's binaries, and not when the store is elsewhere. */
function foreign() {
  if (process.platform !== 'linux' && process.platform !== 'darwin') {
    return `it runs on Linux and macOS, not on ${process.platform}; on Windows use WSL 2 or the container image.`;
  }
  if (process.platform === 'darwin' || process.argv[2] !== 'start' || process.env.HOLDPOINT_STORE_URL)
    return null;
  process.report.excludeNetwork = true;
  if (process.report.getReport().header.glibcVersionRuntime) return null;
  return 'the embedded PostgreSQL needs glibc and this system uses musl (Alpine); use a Debian-based image, or set HOLDPOINT_STORE_URL and --target to PostgreSQL servers of your own.';
}

function notBuilt() {
  if (existsSync(main)) return null;
  const require = createRequire(import.meta.url);
  const has = (name) => {
    try {
      return Boolean(require.resolve(`${name}/package.json`));
    } catch (error) {
      // Some packages do not export their package.json.
      return error.code !== 'MODULE_NOT_FOUND';
    }
  };
  if (!has('commander')) return 'its packages are not installed; run `npm ci` first.';
  if (!has('typescript') || !has('prisma')) {
    return 'it is not built and its build tools are not installed; run `npm ci --include=dev` once.';
  }
  console.error('holdpoint: not built yet (npm ran without install scripts), building once …');
  const built = spawnSync(process.execPath, [join(root, 'bin', 'build.mjs')], { stdio: ['ignore', 2, 2] });
  if (built.status === 0 && existsSync(main)) return null;
  return 'the build failed; see above, then run `npm run build`.';
}
