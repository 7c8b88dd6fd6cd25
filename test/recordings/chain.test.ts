import { appendFileSync, copyFileSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { verifyFile } from '../../src/recordings/archive.ts';
import { loadSigningKey } from '../../src/recordings/keys.ts';
import { holdsAsync } from '../support/property.ts';
import { bytesOf, day, MemoryIndex, meta, recorder, result, statement, temporaryDir } from './support.ts';

async function closedSession(id = 's1', segmentBytes?: number) {
  const dir = temporaryDir();
  const index = new MemoryIndex();
  const made = recorder(dir, index, segmentBytes === undefined ? {} : { segmentBytes });
  const session = made.open(meta(id));
  session.append([statement(1, "SELECT 'Zoë', 1"), result(1)]);
  await made.flush();
  session.append([
    statement(2, 'DELETE FROM orders WHERE id = 7', { effect: 'hold', class: 'delete' }),
    result(2),
  ]);
  session.close('client disconnected');
  await made.flush();
  return {
    dir,
    index,
    made,
    path: join(dir, day(), `${id}.jsonl`),
    pem: loadSigningKey(join(dir, 'keys')).publicKeyPem,
  };
}

test('a closed session verifies offline with the public key alone, every event signed', async () => {
  const { path, pem, made } = await closedSession();
  expect(await verifyFile(path, pem)).toMatchObject({
    kind: 'intact',
    events: 6,
    signed: 6,
    ended: true,
    sessionId: 's1',
  });
  expect(await made.verify('s1')).toMatchObject({ kind: 'intact' });
  expect((await made.read('s1')).map((event) => event.kind)).toEqual([
    'session',
    'statement',
    'result',
    'statement',
    'result',
    'end',
  ]);
});

test('a change of any single byte is detected', async () => {
  const { dir, path, pem } = await closedSession();
  const original = bytesOf(dir, 's1');
  // Every byte of the file once, each with a value of its own choosing.
  for (let at = 0; at < original.length; at++) {
    const changed = Buffer.from(original);
    changed[at] = (original[at] ?? 0) ^ (1 << (at % 8));
    writeFileSync(path, changed);
    expect((await verifyFile(path, pem)).kind, `byte ${at}`).toBe('broken');
  }
});

test('removed, inserted or swapped bytes and lines are detected', async () => {
  const { dir, path, pem, made } = await closedSession();
  const original = bytesOf(dir, 's1');
  const lines = original.toString('utf8').split('\n').slice(0, -1);
  await holdsAsync(
    fc.asyncProperty(
      fc.nat(original.length - 1),
      fc.integer({ min: 1, max: 40 }),
      fc.uint8Array({ maxLength: 40 }),
      async (at, removed, inserted) => {
        const changed = Buffer.concat([original.subarray(0, at), inserted, original.subarray(at + removed)]);
        fc.pre(!changed.equals(original));
        writeFileSync(path, changed);
        // A cut at a line's end leaves a shorter, unfinished recording: the index's head tells.
        const [alone, anchored] = [await verifyFile(path, pem), await made.verify('s1')];
        expect(anchored.kind).toBe('broken');
        if (alone.kind === 'intact') expect(alone.ended && alone.signed === 6).toBe(false);
      },
    ),
    { numRuns: 150 },
  );
  for (let i = 0; i < lines.length; i++) {
    for (const edited of [
      lines.toSpliced(i, 1),
      lines.toSpliced(i, 0, lines[i] ?? ''),
      lines.toSpliced(i, 2, lines[i + 1] ?? '', lines[i] ?? ''),
    ]) {
      writeFileSync(path, `${edited.join('\n')}\n`);
      expect((await made.verify('s1')).kind).toBe('broken');
    }
  }
});

test('a chain rebuilt without the key does not pass, nor one of another key or another session', async () => {
  const { path, pem } = await closedSession();
  const other = await closedSession('s2');
  expect(await verifyFile(path, other.pem)).toMatchObject({
    kind: 'broken',
    why: expect.stringContaining('another key'),
  });
  copyFileSync(other.path, path);
  expect(await verifyFile(path, pem)).toMatchObject({
    kind: 'broken',
    why: expect.stringContaining('another key'),
  });
  expect(await other.made.verify('s2')).toMatchObject({ kind: 'intact' });
});

test('events after the end are refused even with a valid hash', async () => {
  const { path, pem } = await closedSession();
  const { chainLine, readLine } = await import('../../src/recordings/chain.ts');
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
  const last = readLine(Buffer.from(lines.at(-1) ?? ''));
  if (last.kind !== 'line') throw new Error(last.why);
  appendFileSync(
    path,
    chainLine({ seq: last.line.seq + 1, prev: last.hash }, '{"kind":"notice","t":1,"n":1,"text":"x"}').text,
  );
  expect(await verifyFile(path, pem)).toMatchObject({
    kind: 'broken',
    why: 'there are events after the end',
  });
});

test('a shortened recording is found by the head in the index', async () => {
  const { dir, path, pem, made } = await closedSession();
  const text = bytesOf(dir, 's1').toString('utf8');
  truncateSync(path, Buffer.byteLength(text.split('\n').slice(0, 3).join('\n')) + 1);
  expect(await verifyFile(path, pem)).toMatchObject({ kind: 'intact', ended: false });
  expect(await made.verify('s1')).toMatchObject({ kind: 'broken', why: expect.stringContaining('head') });
});

test('segments roll, and verify as one chain', async () => {
  const dir = temporaryDir();
  const made = recorder(dir, new MemoryIndex(), { segmentBytes: 2_000 });
  const session = made.open(meta('s1'));
  for (let n = 1; n <= 30; n++) session.append([statement(n, `SELECT ${n}`), result(n)]);
  session.close('done');
  await made.flush();
  const pem = loadSigningKey(join(dir, 'keys')).publicKeyPem;
  const second = join(dir, day(), 's1.2.jsonl');
  expect(await made.verify('s1')).toMatchObject({ kind: 'intact', events: 62, signed: 62 });
  expect(await verifyFile(second, pem)).toMatchObject({ kind: 'intact', ended: true });
  expect((await made.read('s1')).at(-1)).toMatchObject({ kind: 'end', why: 'done' });
  truncateSync(second, 100);
  expect((await made.verify('s1')).kind).toBe('broken');
});
