/** `holdpoint verify` without a gateway: files, a directory and the public key are enough. */
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { run } from '../../src/cli/program.ts';
import { loadSigningKey } from '../../src/recordings/keys.ts';
import { day, meta, recorder, result, statement, temporaryDir } from '../recordings/support.ts';

let dir: string;
let home: string;
let files: { readonly one: string; readonly two: string };
beforeEach(async () => {
  dir = temporaryDir();
  home = mkdtempSync(join(tmpdir(), 'holdpoint-verify-'));
  const made = recorder(dir);
  for (const id of ['s1', 's2']) {
    const session = made.open(meta(id));
    session.append([statement(1, 'SELECT 1'), result(1)]);
    if (id === 's1') session.close('done');
  }
  await made.flush();
  files = { one: join(dir, day(), 's1.jsonl'), two: join(dir, day(), 's2.jsonl') };
});
afterEach(() => rmSync(home, { recursive: true }));

async function verify(...args: readonly string[]) {
  let [out, err] = ['', ''];
  const code = await run(
    ['verify', ...args],
    {
      env: { XDG_CONFIG_HOME: home },
      cwd: home,
      stdin: (async function* () {})(),
      out: (text) => {
        out += `${text}\n`;
      },
      err: (text) => {
        err += `${text}\n`;
      },
      now: () => 0,
    },
    '0.0.0',
  );
  return { code, out, err };
}

test('a directory is verified with the keys that lie in it', async () => {
  const { code, out } = await verify('--dir', dir);
  expect(code).toBe(0);
  expect(out).toContain('s1.jsonl: session s1 intact, 4 events, all signed\n');
  expect(out).toMatch(/s2\.jsonl: session s2 intact, 3 events, all signed; it has no end/);
});

test('one changed byte is broken, named, and fails the command; the others are still told', async () => {
  writeFileSync(files.one, readFileSync(files.one, 'utf8').replace('SELECT 1', 'SELECT 2'));
  const { code, out, err } = await verify('--dir', dir);
  expect(code).toBe(1);
  expect(out).toMatch(/s1\.jsonl: BROKEN at line 2: the hash does not fit/);
  expect(out).toContain('s2.jsonl: session s2 intact');
  expect(err).toContain('1 recording did not hold');
});

test('a sound recording under the name of another session is broken', async () => {
  copyFileSync(files.one, files.two);
  const { code, out } = await verify('--dir', dir);
  expect(code).toBe(1);
  expect(out).toMatch(/s2\.jsonl: BROKEN at line 1: it is the recording of another session/);
});

test('a single file needs no directory, with a key that somebody else kept', async () => {
  const alone = join(home, 'exported.jsonl');
  copyFileSync(files.one, alone);
  const key = join(home, 'kept.pem');
  expect(await verify(alone)).toMatchObject({ code: 2, err: expect.stringContaining('--key') });
  writeFileSync(key, loadSigningKey(join(dir, 'keys')).publicKeyPem);
  expect(await verify(alone, '--key', key)).toMatchObject({
    code: 0,
    out: expect.stringContaining('s1 intact'),
  });
  writeFileSync(key, loadSigningKey(join(temporaryDir(), 'keys')).publicKeyPem);
  expect(await verify(alone, '--key', key)).toMatchObject({
    code: 1,
    out: expect.stringContaining('signed with another key'),
  });
});

test('nothing named, nothing there and a missing file are told apart', async () => {
  expect(await verify()).toMatchObject({ code: 2 });
  expect(await verify('--dir', home)).toMatchObject({
    code: 1,
    err: expect.stringContaining('no recordings'),
  });
  expect(await verify(join(dir, day(), 'nope.jsonl'))).toMatchObject({
    code: 1,
    out: expect.stringContaining('cannot be read (ENOENT)'),
  });
});
