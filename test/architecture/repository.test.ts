import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { root } from './source.ts';

/** Tracked files and those about to be; null where there is no git (a source archive). */
const listed = spawnSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z'], {
  cwd: root,
  encoding: 'utf8',
});
const files =
  listed.status === 0
    ? listed.stdout.split('\0').filter((path) => path !== '' && existsSync(join(root, path)))
    : [];
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const texts = files.filter((path) =>
  /\.(ts|mjs|js|json|ya?ml|md|sql|prisma|css|html|sh)$|(^|\/)(Dockerfile|run)$/.test(path),
);

test.each([
  'LICENSE',
  'README.md',
  'SECURITY.md',
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  'manifest.yml',
  'Dockerfile',
  'compose.yaml',
  'package.json',
  'prisma/schema.prisma',
  '.ci/run',
])('%s is there', (path) => {
  expect(existsSync(join(root, path))).toBe(true);
});

test('the licence is MIT, in the file and in the package', () => {
  expect(read('LICENSE')).toMatch(/^MIT License/);
  expect(JSON.parse(read('package.json'))).toMatchObject({ license: 'MIT' });
});

test('.ci/run can be run, and is valid bash', () => {
  expect(statSync(join(root, '.ci/run')).mode & 0o111).not.toBe(0);
  expect(spawnSync('bash', ['-n', join(root, '.ci/run')]).status).toBe(0);
});

test('the changelog has an Unreleased section', () => {
  expect(read('CHANGELOG.md')).toContain('## [Unreleased]');
});

test.skipIf(files.length === 0)('no note of unfinished work is left in a file', () => {
  const word = new RegExp(
    `\\b(${['TO', 'DO'].join('')}|${['FIX', 'ME'].join('')}|${['X', 'XX'].join('')})\\b`,
  );
  expect(texts.filter((path) => path !== 'package-lock.json' && word.test(read(path)))).toEqual([]);
});

test('the lockfile names no registry but the public one', () => {
  const lock: { packages: Record<string, { resolved?: string; link?: boolean }> } = JSON.parse(
    read('package-lock.json'),
  );
  const wrong = Object.entries(lock.packages)
    .filter(
      ([, { resolved }]) => resolved !== undefined && !resolved.startsWith('https://registry.npmjs.org/'),
    )
    .map(([path]) => path);
  expect(wrong).toEqual([]);
});

test.skipIf(files.length === 0)(
  'no file names a package registry or a path of the machine it was written on',
  () => {
    const allowed = new Set(['package-lock.json', 'test/architecture/repository.test.ts']);
    const word =
      /\bregistry\.[a-z0-9-]+\.[a-z]{2,}|\bregistry=|_authToken|\/work\/(main|shared)\b|(?<![\w.])\/root\//i;
    expect(texts.filter((path) => !allowed.has(path) && word.test(read(path)))).toEqual([]);
  },
);

test.skipIf(files.length === 0)('no private key, token or environment file is tracked', () => {
  expect(files.filter((path) => /(^|\/)(\.env(\..*)?|.*\.pem|\.npmrc)$/.test(path))).toEqual([]);
  const token =
    /-----BEGIN [A-Z ]*PRIVATE KEY-----\s*\nMI|\bxox[bp]-\d{10,}-\d{10,}-[A-Za-z0-9]{20,}|\bghp_[A-Za-z0-9]{36}/;
  expect(texts.filter((path) => token.test(read(path)))).toEqual([]);
});

test('the container runs as a user without rights and says whether it is well', () => {
  const dockerfile = read('Dockerfile');
  expect(dockerfile).toMatch(/^USER (?!root|0\b)/m);
  expect(dockerfile).toMatch(
    /^HEALTHCHECK [^\n]*\\\n +CMD \["node", "\/app\/bin\/holdpoint.mjs", "health"\]$/m,
  );
});
