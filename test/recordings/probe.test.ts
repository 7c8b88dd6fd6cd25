import { existsSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { probeRecordings } from '../../src/recordings/probe.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'holdpoint-probe-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

it('leaves nothing behind where recordings can be written', async () => {
  expect(await probeRecordings(dir)).toBeNull();
  expect(readdirSync(dir)).toEqual([]);
});

it('says what statements would be refused with where they cannot', async () => {
  rmSync(dir, { recursive: true });
  expect(await probeRecordings(dir)).toMatch(/^The session recording could not be written/);
});

it.skipIf(!existsSync('/dev/full'))('a full disk takes no page, though it may take a name', async () => {
  symlinkSync('/dev/full', join(dir, `.probe-${process.pid}`));
  expect(await probeRecordings(dir)).toMatch(/^The disk that holds the session recordings is full/);
  expect(readdirSync(dir)).toEqual([]);
});
