import { mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { makeDirectory } from '../src/secrets.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'holdpoint-dir-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

test('a directory is made with those above it, for its owner alone, and may be there already', () => {
  makeDirectory(join(dir, 'a/b/c'));
  makeDirectory(join(dir, 'a/b/c'));
  expect(statSync(join(dir, 'a/b/c')).mode & 0o777).toBe(0o700);
});

test('one that cannot be is refused in one sentence', () => {
  writeFileSync(join(dir, 'file'), '');
  symlinkSync('nowhere', join(dir, 'link'));
  const said = (path: string) => () => makeDirectory(path);
  for (const path of [join(dir, 'file'), join(dir, 'file/below')])
    expect(said(path)).toThrow(/cannot be used: a file stands in its place or in its path\./);
  for (const path of [join(dir, 'link'), join(dir, 'link/below/it')])
    expect(said(path)).toThrow(/cannot be used: nothing can be made there\./);
  // Node's recursive mkdir never returns from this one.
  if (process.platform === 'linux') expect(said('/proc/nope/below')).toThrow(/nothing can be made there/);
  expect(said(join(dir, 'x'.repeat(300)))).toThrow(/the name is too long/);
});
