/** Changing a policy while the gateway runs: who may, what is checked, what is recorded, what is on disk afterwards. */
import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { type PolicyFile, watchPolicyFile } from '../../src/gateway/judge/index.ts';
import { createPolicyEditor, type PolicyEditorDeps } from '../../src/gateway/policy-editor.ts';
import type { PolicyAuthor, PolicyChange } from '../../src/policy/live.ts';
import { createPolicyHolder, policyVersion } from '../../src/policy/rules/index.ts';
import type { RecordedEvent } from '../../src/recordings/types.ts';

const V1 = 'version: 1\ndefaults: { delete: hold }\n';
const V2 = 'version: 1\ndefaults: { delete: deny }\n';
const V3 = 'version: 1\ndefaults: { delete: allow }\n';
const DANA: PolicyAuthor = {
  id: 'dana@example.com',
  name: 'Dana',
  email: 'dana@example.com',
  surface: 'cli',
  source: '127.0.0.1',
};
const quiet = { info() {}, warn() {}, error() {} };

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const one of cleanups.splice(0).reverse()) one();
});

async function ground(patch: Partial<PolicyEditorDeps> = {}) {
  const dir = mkdtempSync(join(tmpdir(), 'hp-policy-'));
  cleanups.push(() => rmSync(dir, { recursive: true, force: true }));
  const path = join(dir, 'policy.yaml');
  writeFileSync(path, V1, { mode: 0o640 });
  chmodSync(path, 0o640);
  const file: PolicyFile = await watchPolicyFile(path, { intervalMs: 3_600_000 });
  cleanups.push(() => file.close());
  const events: RecordedEvent[] = [];
  const ends: string[] = [];
  const changes = new Map<string, PolicyChange>();
  const target = (name: string) => ({ name, environment: 'production', database: name });
  const editor = createPolicyEditor({
    policies: [
      { target: target('shop'), holder: file.holder, file: { path, reload: file.reload } },
      { target: target('twin'), holder: file.holder, file: { path, reload: file.reload } },
      { target: target('bare'), holder: createPolicyHolder(V1), file: null },
    ],
    admins: new Set([DANA.id]),
    recorder: {
      open: () => ({ append: (some) => void events.push(...some), close: (why) => void ends.push(why) }),
    },
    kept: {
      load: (name) => changes.get(name) ?? null,
      save: (name, change) => void changes.set(name, change),
    },
    now: () => 1000,
    log: quiet,
    ...patch,
  });
  cleanups.push(() => editor.close());
  return { dir, path, file, events, ends, changes, editor };
}

test('a new text is recorded with its author, on disk as a whole, and in force at every target of the file', async () => {
  const { editor, path, events, ends, dir, changes } = await ground();
  const done = await editor.put('shop', V2, policyVersion(V1), DANA);
  expect(done).toMatchObject({ kind: 'replaced', view: { version: policyVersion(V2), text: V2 } });
  expect(readFileSync(path, 'utf8')).toBe(V2);
  expect(statSync(path).mode & 0o777).toBe(0o640);
  expect(readdirSync(dir)).toEqual(['policy.yaml']);
  for (const name of ['shop', 'twin']) {
    expect(editor.view(name)).toMatchObject({
      version: policyVersion(V2),
      change: { author: 'Dana', surface: 'cli', previous: policyVersion(V1), at: 1000 },
    });
    expect(changes.get(name)?.diff).toBe(
      '@@ -1 +1 @@\n version: 1\n-defaults: { delete: hold }\n+defaults: { delete: deny }',
    );
  }
  expect(events).toMatchObject([
    { kind: 'policy', author: DANA.id, version: policyVersion(V2), previous: policyVersion(V1) },
    { kind: 'policy', author: DANA.id },
  ]);
  expect(ends).toEqual(['in force', 'in force']);
});

test('nobody may unless the configuration names them, and that is asked first', async () => {
  const { editor, path } = await ground();
  const eve = { ...DANA, id: 'eve@example.com' };
  expect(await editor.put('shop', V2, policyVersion(V1), eve)).toEqual({
    kind: 'not-allowed',
    anybody: true,
  });
  const closed = await ground({ admins: new Set() });
  expect(await closed.editor.put('nowhere', 'nonsense', '', DANA)).toEqual({
    kind: 'not-allowed',
    anybody: false,
  });
  expect(readFileSync(path, 'utf8')).toBe(V1);
});

test('of two changes made from one version the second is told, whichever way the first came', async () => {
  const { editor, path } = await ground();
  const both = await Promise.all([
    editor.put('shop', V2, policyVersion(V1), DANA),
    editor.put('twin', V3, policyVersion(V1), DANA),
  ]);
  expect(both).toMatchObject([{ kind: 'replaced' }, { kind: 'stale', version: policyVersion(V2) }]);
  // An edit of the file that nobody has taken over yet.
  writeFileSync(path, V3);
  expect(await editor.put('shop', V1, policyVersion(V2), DANA)).toEqual({
    kind: 'stale',
    version: policyVersion(V3),
  });
  expect(readFileSync(path, 'utf8')).toBe(V3);
});

test('a file whose text has mistakes can be put right by who names that text', async () => {
  const { editor, path, file } = await ground();
  const broken = 'version: 1\nrules: 7\n';
  writeFileSync(path, broken);
  await file.reload();
  expect(editor.view('shop')?.version).toBe(policyVersion(V1));
  const there = policyVersion(broken);
  expect(await editor.put('shop', V1, policyVersion(V1), DANA)).toEqual({ kind: 'stale', version: there });
  expect(await editor.put('shop', V1, there, DANA)).toMatchObject({ kind: 'replaced' });
  expect(readFileSync(path, 'utf8')).toBe(V1);
});

test('a text with mistakes changes nothing and says where they are', async () => {
  const { editor, path, events } = await ground();
  const done = await editor.put(
    'shop',
    'version: 1\ndefaults: { delete: perhaps }\n',
    policyVersion(V1),
    DANA,
  );
  expect(done).toMatchObject({ kind: 'mistakes', mistakes: [{ line: 2 }] });
  expect(readFileSync(path, 'utf8')).toBe(V1);
  expect(events).toEqual([]);
});

test('what cannot be recorded is not applied', async () => {
  const { editor, path, dir } = await ground({
    recorder: {
      open: () => {
        throw new Error('disk full');
      },
    },
  });
  expect(await editor.put('shop', V2, policyVersion(V1), DANA)).toEqual({ kind: 'unrecorded' });
  expect(readFileSync(path, 'utf8')).toBe(V1);
  expect(readdirSync(dir)).toEqual(['policy.yaml']);
});

test('a target without a file, and one that does not exist, are told apart', async () => {
  const { editor } = await ground();
  expect(await editor.put('bare', V2, policyVersion(V1), DANA)).toEqual({ kind: 'no-file' });
  expect(await editor.put('nowhere', V2, policyVersion(V1), DANA)).toEqual({ kind: 'no-target' });
});

test('a file that cannot be replaced is told, and stays', async () => {
  const { editor, path } = await ground();
  rmSync(path);
  symlinkSync('/proc/version', path);
  expect(await editor.put('shop', V2, policyVersion(V1), DANA)).toMatchObject({ kind: 'stale' });
  rmSync(path);
  expect(await editor.put('shop', V2, policyVersion(V1), DANA)).toEqual({
    kind: 'unwritable',
    code: 'ENOENT',
  });
});

test('a change of the file itself is recorded without an author', async () => {
  const { editor, path, file, events } = await ground();
  writeFileSync(path, V3);
  await file.reload();
  expect(editor.view('shop')?.change).toMatchObject({ author: null, previous: policyVersion(V1) });
  expect(events).toMatchObject([
    { kind: 'policy', author: null },
    { kind: 'policy', author: null },
  ]);
});
