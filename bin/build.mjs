#!/usr/bin/env node
// Builds dist/ and the Prisma client; run by `npm ci` (prepare). Where the build tools are not installed
// (NODE_ENV=production, --omit=dev) it says so in one sentence and lets the installation succeed.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, renameSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeThirdParty } from './third-party.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const require = createRequire(import.meta.url);

function bin(name, file) {
  try {
    return join(dirname(require.resolve(`${name}/package.json`)), file);
  } catch {
    return null;
  }
}

// `npx holdpoint` in this directory: npm links the commands of dependencies only, and would otherwise install the
// package into its cache first (and run this script again).
if (existsSync(join(root, 'node_modules'))) {
  const link = join(root, 'node_modules/.bin/holdpoint');
  try {
    mkdirSync(dirname(link), { recursive: true });
    rmSync(link, { force: true });
    symlinkSync('../../bin/holdpoint.mjs', link);
  } catch {
    // A read-only node_modules: npx still finds its own way.
  }
}

const tsc = bin('typescript', 'bin/tsc');
const prisma = bin('prisma', 'build/index.js');
if (tsc === null || prisma === null) {
  console.error(
    'holdpoint: not built, because the build tools are not installed; run `npm ci --include=dev` once.',
  );
  process.exit(0);
}

function run(title, script, args) {
  const done = spawnSync(process.execPath, [script, ...args], { cwd: root, encoding: 'utf8' });
  if (done.status === 0) return;
  process.stderr.write(`${done.stdout ?? ''}${done.stderr ?? ''}\nholdpoint: ${title} failed.\n`);
  process.exit(1);
}

const age = (path) => (existsSync(join(root, path)) ? statSync(join(root, path)).mtimeMs : 0);
if (
  age('src/generated/prisma/client.ts') <= age('prisma/schema.prisma') ||
  process.argv.includes('--force')
) {
  run('prisma generate', prisma, ['generate']);
}
// Built beside and put in place at the end: a build that fails leaves the last one.
const fresh = join(root, `dist.${process.pid}.new`);
const dist = join(root, 'dist');
process.on('exit', () => rmSync(fresh, { recursive: true, force: true }));
run('the TypeScript build', tsc, ['-p', 'tsconfig.build.json', '--outDir', fresh]);
if (existsSync(join(root, 'src/console/assets')))
  cpSync(join(root, 'src/console/assets'), join(fresh, 'console/assets'), { recursive: true });
writeThirdParty(fresh);
rmSync(dist, { recursive: true, force: true });
renameSync(fresh, dist);
