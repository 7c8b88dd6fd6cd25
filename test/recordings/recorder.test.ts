import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { RecordingFault } from '../../src/recordings/fault.ts';
import { loadSigningKey } from '../../src/recordings/keys.ts';
import type { FileSystem } from '../../src/recordings/segment.ts';
import { nodeFileSystem } from '../../src/recordings/segment.ts';
import { bytesOf, day, MemoryIndex, meta, recorder, result, statement, temporaryDir } from './support.ts';

test('the bytes are with the operating system before append returns', () => {
  const dir = temporaryDir();
  const session = recorder(dir).open(meta('s1'));
  session.append([statement(1, 'SELECT 1')]);
  expect(bytesOf(dir, 's1').toString()).toContain('"sql":"SELECT 1"');
});

test('ids that are no ids are refused before they reach the file system', async () => {
  const dir = temporaryDir();
  const made = recorder(dir);
  for (const id of ['', '..', '../x', 'a/b', 'a\\b', 'a.b', 'a\0', 'ä', 'x'.repeat(65), 's1.2']) {
    expect(() => made.open(meta(id)), id).toThrow(RecordingFault);
    await expect(made.verify(id)).rejects.toThrow(RecordingFault);
    await expect(made.read(id)).rejects.toThrow(RecordingFault);
  }
  expect(readdirSync(dir).sort()).toEqual(['keys', 'open']);
});

test('one id records once', async () => {
  const made = recorder(temporaryDir());
  made.open(meta('s1')).close('done');
  expect(() => made.open(meta('s1'))).toThrow('exists');
  await made.flush();
  expect(() => made.open(meta('s1'))).toThrow('exists');
  expect(await made.verify('s1')).toMatchObject({ kind: 'intact' });
});

test('close is idempotent, and nothing is taken after it', async () => {
  const made = recorder(temporaryDir());
  const session = made.open(meta('s1'));
  session.close('done');
  session.close('again');
  expect(() => session.append([statement(1, 'SELECT 1')])).toThrow('closed');
  expect((await made.read('s1')).filter((event) => event.kind === 'end')).toHaveLength(1);
});

test('the key is made once and readable by its owner alone', () => {
  const dir = temporaryDir();
  const first = loadSigningKey(join(dir, 'keys'));
  expect(statSync(join(dir, 'keys', 'signing.pem')).mode & 0o777).toBe(0o600);
  expect(loadSigningKey(join(dir, 'keys')).keyId).toBe(first.keyId);
  expect(readFileSync(join(dir, 'keys', `${first.keyId}.pub.pem`), 'utf8')).toBe(first.publicKeyPem);
});

describe('the key', () => {
  const told: string[] = [];
  const log = {
    info: () => undefined,
    warn: (_: object, text: string) => void told.push(text),
    error: () => undefined,
  };
  beforeEach(() => void told.splice(0));

  test('lies outside of the recordings, its public half with both, and nobody else may enter', () => {
    const [data, dir] = [temporaryDir(), temporaryDir()];
    const keys = join(data, 'keys');
    const key = loadSigningKey(keys, { dir, log });
    expect(readdirSync(keys).sort()).toEqual([`${key.keyId}.pub.pem`, 'signing.pem']);
    expect(readdirSync(join(dir, 'keys'))).toEqual([`${key.keyId}.pub.pem`]);
    chmodSync(keys, 0o755);
    chmodSync(join(keys, 'signing.pem'), 0o644);
    expect(loadSigningKey(keys, { dir, log }).keyId).toBe(key.keyId);
    expect(statSync(keys).mode & 0o777).toBe(0o700);
    expect(statSync(join(keys, 'signing.pem')).mode & 0o777).toBe(0o600);
    expect(told).toEqual([]);
  });

  test('of an earlier version is moved out, which is told, and signs on', async () => {
    const [data, dir] = [temporaryDir(), temporaryDir()];
    const before = loadSigningKey(join(dir, 'keys'));
    const made = recorder(dir, new MemoryIndex(), { signingKey: before });
    made.open(meta('s1')).close('done');
    await made.flush();
    const key = loadSigningKey(join(data, 'keys'), { dir, log });
    expect(key.keyId).toBe(before.keyId);
    expect(readdirSync(join(dir, 'keys'))).toEqual([`${key.keyId}.pub.pem`]);
    expect(told).toEqual([expect.stringContaining('was moved out of the recordings')]);
    const again = recorder(dir, new MemoryIndex(), { signingKey: key });
    expect(await again.verify('s1')).toMatchObject({ kind: 'intact', ended: true });
    loadSigningKey(join(data, 'keys'), { dir, log });
    expect(told).toHaveLength(1);
  });

  test('that somebody puts among the recordings later is neither used nor removed', () => {
    const [data, dir] = [temporaryDir(), temporaryDir()];
    const key = loadSigningKey(join(data, 'keys'), { dir, log });
    const other = loadSigningKey(join(temporaryDir(), 'keys'));
    writeFileSync(
      join(dir, 'keys', 'signing.pem'),
      other.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    );
    expect(loadSigningKey(join(data, 'keys'), { dir, log }).keyId).toBe(key.keyId);
    expect(existsSync(join(dir, 'keys', 'signing.pem'))).toBe(true);
    expect(told).toEqual([expect.stringContaining('It is not used')]);
  });
});

test('a result too long for a line is kept without its rows; a statement too long is refused, the session goes on', async () => {
  const made = recorder(temporaryDir());
  const session = made.open(meta('s1'));
  session.append([result(1, { values: [['x'.repeat(5_000_000)]] })]);
  expect(() => session.append([statement(2, 'x'.repeat(5_000_000))])).toThrow('too large');
  session.append([statement(3, 'SELECT 3')]);
  const events = await made.read('s1');
  expect(events[1]).toMatchObject({ kind: 'result', values: [], truncated: true });
  expect(events[2]).toMatchObject({ n: 3 });
});

describe('the index', () => {
  test('gets one batch of counts, at flush and at the end', async () => {
    const [dir, index] = [temporaryDir(), new MemoryIndex()];
    const made = recorder(dir, index);
    const session = made.open(meta('s1'));
    for (let n = 1; n <= 50; n++) session.append([statement(n, 'SELECT 1'), result(n)]);
    session.append([
      statement(51, 'DROP TABLE x', { effect: 'deny' }),
      statement(52, 'DELETE FROM x', { effect: 'hold' }),
      result(52, { error: { code: '42501', message: 'denied' }, rows: null }),
    ]);
    await made.flush();
    expect(index.upserts).toBe(1);
    expect(index.rows.get('s1')).toMatchObject({
      statements: 52,
      held: 1,
      denied: 1,
      errors: 1,
      rows: 50,
      endedAt: null,
    });
    session.close('done');
    await made.flush();
    expect(index.rows.get('s1')).toMatchObject({ endedWhy: 'done' });
    expect(readdirSync(join(dir, 'open'))).toEqual([]);
  });

  test('a session is found and listed from its first moment on', async () => {
    const made = recorder(temporaryDir());
    const session = made.open(meta('s1'));
    expect(await made.sessions.get('s1')).toMatchObject({ statements: 0, endedAt: null });
    session.append([statement(1, 'SELECT 1')]);
    expect(await made.sessions.list({})).toMatchObject([{ id: 's1', statements: 1 }]);
    expect(await made.sessions.get('s2')).toBeNull();
  });

  test('an outage is ridden out: recording goes on and the rows arrive later', async () => {
    const index = new MemoryIndex();
    const made = recorder(temporaryDir(), index);
    index.down = true;
    const session = made.open(meta('s1'));
    session.append([statement(1, 'SELECT 1')]);
    await made.flush();
    session.close('done');
    await made.flush();
    expect(index.rows.size).toBe(0);
    index.down = false;
    await made.flush();
    expect(index.rows.get('s1')).toMatchObject({ statements: 1, endedWhy: 'done' });
  });
});

describe('in the background', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] }));
  afterEach(() => void vi.useRealTimers());

  test('a session is signed every few seconds while it grows, and only then', async () => {
    let now = 1_780_000_000_000;
    const dir = temporaryDir();
    const made = recorder(dir, new MemoryIndex(), { now: () => now });
    const session = made.open(meta('s1'));
    session.append([statement(1, 'SELECT 1')]);
    const signatures = () => bytesOf(dir, 's1').toString().split('"kind":"checkpoint"').length - 1;
    vi.advanceTimersByTime(1_000);
    expect(signatures()).toBe(0);
    now += 6_000;
    await made.flush();
    const before = signatures();
    expect(before).toBe(1);
    await made.flush();
    expect(signatures()).toBe(before);
    expect(await made.verify('s1')).toMatchObject({ kind: 'intact', events: 2, signed: 2, ended: false });
  });
});

describe('disk full', () => {
  /** Takes `bytes` more bytes, then answers ENOSPC, also in the middle of a write. */
  function smallDisk() {
    const disk = { room: Number.POSITIVE_INFINITY };
    const fs: FileSystem = {
      ...nodeFileSystem,
      writeSync(fd, data, offset, length) {
        if (disk.room <= 0) throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
        const n = nodeFileSystem.writeSync(fd, data, offset, Math.min(length, disk.room));
        disk.room -= n;
        return n;
      },
    };
    return { disk, fs };
  }

  test('refuses statements and sessions until there is space; nothing torn remains, the session goes on', async () => {
    const { disk, fs } = smallDisk();
    const faults: string[] = [];
    const [dir, index] = [temporaryDir(), new MemoryIndex()];
    const made = recorder(dir, index, { fs, onFault: (fault) => void faults.push(fault.code) });
    const session = made.open(meta('s1'));
    session.append([statement(1, 'SELECT 1')]);
    disk.room = 100;
    expect(() => session.append([statement(2, 'SELECT 2')])).toThrow(/disk.*full/);
    expect(() => session.append([statement(3, 'SELECT 3')])).toThrow(/disk.*full/);
    expect(faults).toEqual(['disk-full']);
    expect(() => made.open(meta('s2'))).toThrow(/disk.*full/);
    expect(existsSync(join(dir, day(), 's2.jsonl'))).toBe(false);

    disk.room = Number.POSITIVE_INFINITY;
    session.append([statement(4, 'SELECT 4')]);
    made.open(meta('s3')).append([statement(1, 'SELECT 1')]);
    session.close('done');
    await made.flush();
    const said = (await made.read('s1')).flatMap((event) => (event.kind === 'statement' ? [event.n] : []));
    expect(said).toEqual([1, 4]);
    expect(await made.verify('s1')).toMatchObject({ kind: 'intact', events: 4, signed: 4, ended: true });
    expect(index.rows.get('s1')).toMatchObject({ statements: 2, endedWhy: 'done' });
  });

  test('is told once, and once that it is over, with how often it failed', async () => {
    const { disk, fs } = smallDisk();
    const told: string[] = [];
    const log = {
      info: (fields: object, text: string) =>
        void told.push(`${text} ${'failures' in fields ? fields.failures : ''}`),
      warn: () => undefined,
      error: (_fields: object, text: string) => void told.push(text.slice(0, 50)),
    };
    let now = 1_780_000_000_000;
    const made = recorder(temporaryDir(), new MemoryIndex(), { fs, log, now: () => now });
    const sessions = Array.from({ length: 20 }, (_, i) => made.open(meta(`s${i}`)));
    disk.room = 0;
    for (const n of [1, 2])
      for (const session of sessions)
        expect(() => session.append([statement(n, 'SELECT 1')])).toThrow(RecordingFault);
    for (const id of ['x', 'y', 'z']) expect(() => made.open(meta(id))).toThrow(RecordingFault);
    expect(made.outage).toMatchObject({ code: 'disk-full', since: now, failures: 43 });
    expect(told).toEqual(['The disk that holds the session recordings is full']);

    disk.room = Number.POSITIVE_INFINITY;
    for (const session of sessions) session.append([statement(3, 'SELECT 1')]);
    await made.check();
    expect(told).toHaveLength(1);
    now += 6_000;
    await made.check();
    expect(told[1]).toBe('Recordings can be written again. 43');
    expect(made.outage).toBeNull();
  });

  test('what a failed write left is cut off before the next one, also when it could not be cut at once', async () => {
    const { disk, fs } = smallDisk();
    const dir = temporaryDir();
    const cut = { works: false };
    const made = recorder(dir, new MemoryIndex(), {
      fs: {
        ...fs,
        ftruncateSync(fd, length) {
          if (!cut.works) throw Object.assign(new Error('io'), { code: 'EIO' });
          nodeFileSystem.ftruncateSync(fd, length);
        },
      },
    });
    const session = made.open(meta('s1'));
    disk.room = 100;
    expect(() => session.append([statement(1, 'SELECT 1')])).toThrow(RecordingFault);
    disk.room = Number.POSITIVE_INFINITY;
    expect(() => session.append([statement(2, 'SELECT 2')])).toThrow(RecordingFault);
    cut.works = true;
    session.append([statement(3, 'SELECT 3')]);
    session.close('done');
    await made.flush();
    expect(await made.verify('s1')).toMatchObject({ kind: 'intact', events: 3, ended: true });
  });

  test('no room for a new segment refuses what would go there; numbers of segments have no gap', async () => {
    const dir = temporaryDir();
    const door = { open: false };
    const fs: FileSystem = {
      ...nodeFileSystem,
      openSync(path, flags, mode) {
        if (!door.open && path.endsWith('.2.jsonl'))
          throw Object.assign(new Error('no space'), { code: 'ENOSPC' });
        return nodeFileSystem.openSync(path, flags, mode);
      },
    };
    const made = recorder(dir, new MemoryIndex(), { fs, segmentBytes: 1000 });
    const session = made.open(meta('s1'));
    session.append([statement(1, 'x'.repeat(1000))]);
    for (const n of [2, 3]) expect(() => session.append([statement(n, 'SELECT 1')])).toThrow(/disk.*full/);
    door.open = true;
    session.append([statement(4, 'SELECT 4')]);
    session.close('done');
    await made.flush();
    expect(readdirSync(join(dir, day())).sort()).toEqual(['s1.2.jsonl', 's1.jsonl']);
    expect(await made.verify('s1')).toMatchObject({ kind: 'intact', events: 4, ended: true });
  });

  test('a session whose end found no space is ended by recovery when there is some', async () => {
    const { disk, fs } = smallDisk();
    const [dir, index] = [temporaryDir(), new MemoryIndex()];
    const made = recorder(dir, index, { fs });
    const session = made.open(meta('s1'));
    disk.room = 0;
    session.close('client disconnected');
    await made.flush();
    expect(readdirSync(join(dir, 'open'))).toEqual(['s1']);
    disk.room = Number.POSITIVE_INFINITY;
    expect(await made.recover()).toMatchObject({ ended: 1, damaged: [] });
    expect(await made.verify('s1')).toMatchObject({ kind: 'intact', ended: true });
    expect(readdirSync(join(dir, 'open'))).toEqual([]);
  });

  test.skipIf(!existsSync('/dev/full'))('the real error of a full device is understood', () => {
    const fs: FileSystem = {
      ...nodeFileSystem,
      openSync: (path, flags, mode) =>
        path.endsWith('.jsonl')
          ? nodeFileSystem.openSync('/dev/full', 'a', mode)
          : nodeFileSystem.openSync(path, flags, mode),
    };
    expect(() => recorder(temporaryDir(), new MemoryIndex(), { fs }).open(meta('s1'))).toThrow(/disk.*full/);
  });

  test('after a failed fdatasync nothing is appended to what may be gone', async () => {
    const fs: FileSystem = {
      ...nodeFileSystem,
      fdatasync: (_fd, done) => done(Object.assign(new Error('io'), { code: 'EIO' })),
    };
    const made = recorder(temporaryDir(), new MemoryIndex(), { fs });
    const session = made.open(meta('s1'));
    await made.flush();
    expect(() => session.append([statement(1, 'SELECT 1')])).toThrow('closed');
  });
});

describe('a recording under an open session', () => {
  const taken: Record<string, (path: string) => void> = {
    removed: (path) => unlinkSync(path),
    'renamed away': (path) => renameSync(path, `${path}.old`),
    'replaced by a copy': (path) => {
      copyFileSync(path, `${path}.copy`);
      renameSync(`${path}.copy`, path);
    },
    emptied: (path) => truncateSync(path),
    'short of a byte': (path) => truncateSync(path, statSync(path).size - 1),
    'gone with its directory': (path) => renameSync(dirname(path), `${dirname(path)}-gone`),
  };
  test.each(Object.keys(taken))('%s is noticed and nothing is appended to it', async (how) => {
    const [dir, index] = [temporaryDir(), new MemoryIndex()];
    const faults: string[] = [];
    const made = recorder(dir, index, { onFault: (fault) => void faults.push(fault.code) });
    const [session, other] = [made.open(meta('s1')), made.open(meta('s2'))];
    session.append([statement(1, 'SELECT 1')]);
    await made.check();
    await made.flush();
    expect(faults).toEqual([]);
    taken[how]?.(join(dir, day(), 's1.jsonl'));
    await expect.poll(() => faults, { timeout: 1_500 }).toContain('gone');
    const left = existsSync(join(dir, day(), 's1.jsonl')) ? bytesOf(dir, 's1') : null;
    expect(() => session.append([statement(2, 'SELECT 2')])).toThrow('closed');
    if (how !== 'gone with its directory') other.append([statement(1, 'SELECT 1')]);
    session.close('done');
    await made.flush();
    expect(existsSync(join(dir, day(), 's1.jsonl')) ? bytesOf(dir, 's1') : null).toEqual(left);
    expect(index.rows.get('s1')).toMatchObject({
      endedWhy: 'done (its recording had been removed, replaced or cut short)',
    });
    // The copy holds up to where it was taken: the head that the index has is in it, its end is not.
    if (how !== 'replaced by a copy') expect((await made.verify('s1')).kind).toBe('broken');
    made.open(meta('s3')).append([statement(1, 'SELECT 1')]);
  });

  test('an earlier segment of it counts as well', async () => {
    const dir = temporaryDir();
    const faults: string[] = [];
    const made = recorder(dir, new MemoryIndex(), {
      segmentBytes: 1000,
      onFault: (fault) => void faults.push(fault.code),
    });
    const session = made.open(meta('s1'));
    for (const n of [1, 2, 3]) session.append([statement(n, 'x'.repeat(1000))]);
    unlinkSync(join(dir, day(), 's1.2.jsonl'));
    await made.check();
    expect(faults).toEqual(['gone']);
    expect(() => session.append([statement(4, 'SELECT 4')])).toThrow('closed');
  });
});

describe('recovery', () => {
  /** What kill -9 leaves: the files of a recorder that never closed. */
  async function killed(index = new MemoryIndex()) {
    const dir = temporaryDir();
    const made = recorder(dir, index);
    const session = made.open(meta('s1'));
    session.append([statement(1, 'SELECT 1'), result(1)]);
    await made.flush();
    const files = { marker: join(dir, 'open', 's1'), segment: join(dir, day(), 's1.jsonl') };
    const bytes = readFileSync(files.segment);
    const copy = temporaryDir();
    const again = recorder(copy, index, { signingKey: loadSigningKey(join(dir, 'keys')) });
    writeFileSync(join(copy, 'open', 's1'), '');
    mkdirSync(join(copy, day()), { recursive: true });
    const segment = join(copy, day(), 's1.jsonl');
    writeFileSync(segment, bytes);
    return { index, again, segment, copy, lines: bytes.toString('utf8') };
  }

  test('ends and signs what a killed gateway left open', async () => {
    const { again, index } = await killed();
    expect(await again.recover()).toEqual({ ended: 1, torn: 0, damaged: [], indexed: true });
    expect(await again.verify('s1')).toMatchObject({ kind: 'intact', events: 4, signed: 4, ended: true });
    expect(index.rows.get('s1')).toMatchObject({ endedWhy: 'gateway stopped', statements: 1, rows: 1 });
  });

  test('cuts a torn tail and says so', async () => {
    const { again, segment } = await killed();
    appendFileSync(segment, '{"seq":5,"prev":"ab');
    expect(await again.recover()).toMatchObject({ ended: 1, torn: 1, damaged: [] });
    expect(await again.verify('s1')).toMatchObject({ kind: 'intact', ended: true });
    expect((await again.read('s1')).at(-1)).toMatchObject({
      kind: 'end',
      why: expect.stringContaining('19 bytes'),
    });
  });

  test('a tail torn at any byte after the last indexed line recovers', async () => {
    const { chainLine, readLine } = await import('../../src/recordings/chain.ts');
    const base = await killed();
    const last = readLine(Buffer.from(base.lines.trimEnd().split('\n').at(-1) ?? ''));
    if (last.kind !== 'line') throw new Error(last.why);
    const next = chainLine(
      { seq: last.line.seq + 1, prev: last.hash },
      JSON.stringify(statement(2, 'SELECT 2')),
    ).text;
    for (const cut of [1, 2, 50, next.length - 66, next.length - 2, next.length - 1]) {
      const { again, segment } = await killed();
      appendFileSync(segment, next.slice(0, cut));
      expect(await again.recover(), `cut ${cut}`).toMatchObject({ ended: 1, torn: 1 });
      expect((await again.verify('s1')).kind).toBe('intact');
    }
  });

  test('does not sign over a recording that was shortened or edited', async () => {
    const shortened = await killed();
    const two = shortened.lines.split('\n').slice(0, 2).join('\n');
    truncateSync(shortened.segment, Buffer.byteLength(two) + 1);
    expect(await shortened.again.recover()).toMatchObject({ ended: 0, damaged: ['s1'] });
    expect(readFileSync(shortened.segment, 'utf8')).toBe(`${two}\n`);
    expect(shortened.index.rows.get('s1')?.endedWhy).toContain('shorter');

    const edited = await killed();
    writeFileSync(edited.segment, edited.lines.replace('SELECT 1', 'SELECT 2'));
    expect(await edited.again.recover()).toMatchObject({ ended: 0, damaged: ['s1'] });
  });

  test('waits for the index before it signs anything', async () => {
    const { again, index, segment, lines } = await killed();
    index.down = true;
    expect(await again.recover()).toMatchObject({ indexed: false, ended: 0 });
    expect(readFileSync(segment, 'utf8')).toBe(lines);
    index.down = false;
    expect(await again.recover()).toMatchObject({ indexed: true, ended: 1 });
  });

  test('closes index rows whose recording is gone, and leaves them to others where the index is shared', async () => {
    const index = new MemoryIndex();
    const alone = recorder(temporaryDir(), index);
    const { newSummary } = await import('../../src/recordings/summary.ts');
    await index.upsert([newSummary(meta('elsewhere'))]);
    await recorder(temporaryDir(), index, { endAbandoned: async () => 0 }).recover();
    expect(index.rows.get('elsewhere')?.endedAt).toBeNull();
    await alone.recover();
    expect(index.rows.get('elsewhere')?.endedWhy).toContain('gateway stopped');
  });
});
