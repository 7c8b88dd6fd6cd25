import { Readable } from 'node:stream';
import fc from 'fast-check';
import { parse as oracle, serialize } from 'pg-protocol';
import { describe, expect, it } from 'vitest';
import { Assembly } from '../../../src/gateway/wire/assembly.ts';
import { decodeDataRow, decodeError } from '../../../src/gateway/wire/backend.ts';
import {
  commandComplete,
  errorResponse,
  readyForQuery,
  rowDescription,
} from '../../../src/gateway/wire/build.ts';
import { WireFault } from '../../../src/gateway/wire/fault.ts';
import { type Frame, FrontendFramer } from '../../../src/gateway/wire/frame.ts';
import {
  decodeBind,
  decodeExecute,
  decodeNamed,
  decodeParse,
  decodeQuery,
} from '../../../src/gateway/wire/frontend.ts';
import { parseStartup, startupLength } from '../../../src/gateway/wire/startup.ts';
import { BackendWalker, type Fate } from '../../../src/gateway/wire/walk.ts';
import { holds } from '../../support/property.ts';

const conversation = Buffer.concat([
  serialize.query('select 1'),
  serialize.parse({ name: 's', text: 'select $1', types: [23] }),
  serialize.bind({ statement: 's', values: ['7', null, 'é'] }),
  serialize.describe({ type: 'S', name: 's' }),
  serialize.execute({ rows: 5 }),
  serialize.close({ type: 'P', name: 'p' }),
  serialize.sync(),
  serialize.flush(),
  serialize.end(),
]);

function frames(chunks: readonly Buffer[], max = 1_000_000): Frame[] {
  const out: Frame[] = [];
  const framer = new FrontendFramer(max);
  for (const chunk of chunks) framer.push(chunk, (frame) => out.push(frame));
  return out;
}
const shown = (list: readonly Frame[]): string[] => list.map((frame) => frame.bytes.toString('hex'));

describe('the frontend framer', () => {
  it('gives the same frames wherever the input is split', () => {
    const whole = shown(frames([conversation]));
    expect(whole).toHaveLength(9);
    for (let at = 0; at <= conversation.length; at++)
      expect(shown(frames([conversation.subarray(0, at), conversation.subarray(at)])), String(at)).toEqual(
        whole,
      );
    expect(shown(frames([...conversation].map((byte) => Buffer.from([byte]))))).toEqual(whole);
  });

  it('hands on views of the chunk where a message lies within it', () => {
    for (const frame of frames([conversation])) expect(frame.bytes.buffer).toBe(conversation.buffer);
  });

  it('passes CopyData of any size in pieces that add up, and keeps none of it', () => {
    const data = serialize.copyData(Buffer.alloc(100_000, 'x'));
    holds(
      fc.property(fc.array(fc.integer({ min: 1, max: 30_000 }), { maxLength: 12 }), (sizes) => {
        const framer = new FrontendFramer(1000);
        const out: Frame[] = [];
        const input = Buffer.concat([data, serialize.sync()]);
        let at = 0;
        for (const size of [...sizes, input.length]) {
          framer.push(input.subarray(at, at + size), (frame) => out.push(frame));
          at = Math.min(input.length, at + size);
          expect(framer.buffered).toBeLessThan(6);
        }
        expect(Buffer.concat(out.map((frame) => frame.bytes)).equals(input)).toBe(true);
        expect(out.filter((frame) => frame.piece === 'first').length).toBeLessThan(2);
      }),
    );
  });

  it('takes memory for what has come, not for what was announced', () => {
    const parts = new Assembly();
    parts.add(Buffer.alloc(5), 1_000_000_000);
    expect(parts.take().buffer.byteLength).toBeLessThanOrEqual(64 * 1024);
    const crumb = Buffer.alloc(100, 'x');
    for (let i = 0; i < 10_000; i++) parts.add(crumb, 1_000_000);
    const whole = parts.take();
    expect(whole.buffer.byteLength).toBe(1_000_000);
    expect(whole.equals(Buffer.alloc(1_000_000, 'x'))).toBe(true);
  });

  it('lets a large message go by for which there is no room, wherever the input is split, and stays in step', () => {
    const large = serialize.query('x'.repeat(200_000));
    const input = Buffer.concat([serialize.sync(), large, serialize.flush(), large, serialize.sync()]);
    const ends = [5, 5 + large.length, 10 + large.length, 10 + 2 * large.length];
    holds(
      fc.property(
        fc.array(fc.integer({ min: 500, max: 90_000 }), { minLength: 1, maxLength: 20 }),
        fc.integer({ min: 0, max: 450_000 }),
        (sizes, room) => {
          let [used, most] = [0, 0];
          const framer = new FrontendFramer(1_000_000, {
            take: (bytes) => {
              if (used + bytes > room) return false;
              used += bytes;
              most = Math.max(most, used);
              return true;
            },
            add: (bytes) => {
              used += bytes;
            },
          });
          const out: Frame[] = [];
          for (let at = 0, i = 0; at < input.length; i++) {
            const size = sizes[i % sizes.length] ?? 1;
            framer.push(input.subarray(at, at + size), (frame) => out.push(frame));
            at += size;
            expect(framer.begun === null).toBe(at >= input.length || ends.includes(at));
          }
          expect(out.map(({ type }) => String.fromCharCode(type)).join('')).toBe('SQHQS');
          for (const { piece, bytes, kept } of out) {
            if (piece === 'refused') expect([bytes.equals(large.subarray(0, 5)), kept]).toEqual([true, 0]);
            else if (bytes.length > 5) expect(bytes.equals(large)).toBe(true);
            else expect(kept).toBe(0);
          }
          expect(most).toBeLessThanOrEqual(room);
          expect(used).toBe(out.reduce((sum, { kept }) => sum + kept, 0));
        },
      ),
    );
  });

  it('lets go of what it keeps of an unfinished one when it is told to', () => {
    let used = 0;
    const framer = new FrontendFramer(1_000_000, {
      take: (bytes) => {
        used += bytes;
        return true;
      },
      add: (bytes) => {
        used += bytes;
      },
    });
    const large = serialize.query('x'.repeat(200_000));
    const out: Frame[] = [];
    framer.push(large.subarray(0, 100_000), (frame) => out.push(frame));
    expect(used).toBeGreaterThanOrEqual(100_000);
    framer.abandon();
    expect([used, framer.buffered]).toEqual([0, 0]);
    framer.push(Buffer.concat([large.subarray(100_000), serialize.sync()]), (frame) => out.push(frame));
    expect(out.map(({ piece }) => piece)).toEqual(['refused', 'whole']);
  });

  it('refuses bad lengths and unknown types on the header, before anything is kept', () => {
    for (const hex of [
      '5100000000',
      '5100000003',
      '51ffffffff',
      '517fffffff',
      '5300002711',
      '2100000004',
      '0000000004',
    ])
      expect(() => frames([Buffer.from(hex, 'hex')]), hex).toThrow(WireFault);
    expect(() => frames([Buffer.from('51000003e9', 'hex')], 1000)).toThrow(/larger/);
    expect(() => frames([Buffer.from('64000003e9', 'hex')], 1000)).not.toThrow();
  });
});

describe('the frontend decoders', () => {
  it('read what the serializer writes', () => {
    expect(decodeQuery(serialize.query('sélect'))).toBe('sélect');
    expect(decodeParse(serialize.parse({ name: 'n', text: 't', types: [1, 2] }))).toEqual({
      name: 'n',
      sql: 't',
      paramTypes: [1, 2],
    });
    const bind = decodeBind(
      serialize.bind({ portal: 'p', statement: 's', values: ['a', null, Buffer.from([0])] }),
    );
    expect(bind.values.map((value) => value?.toString('hex') ?? null)).toEqual(['61', null, '00']);
    expect(bind.formats).toEqual([0, 0, 1]);
    expect(decodeExecute(serialize.execute({ portal: 'p', rows: 9 }))).toEqual({ portal: 'p', maxRows: 9 });
    expect(decodeNamed(serialize.describe({ type: 'P', name: 'p' }))).toEqual({ of: 'portal', name: 'p' });
  });

  it('throw nothing but a WireFault, whatever the bytes', () => {
    const decoders = [decodeQuery, decodeParse, decodeBind, decodeExecute, decodeNamed];
    holds(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(4), (bytes, which) => {
        const message = Buffer.concat([Buffer.alloc(5), bytes]);
        try {
          decoders[which]?.(message);
        } catch (error) {
          expect(error).toBeInstanceOf(WireFault);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('refuse NUL, bytes behind the end, invalid UTF-8 and lengths that reach beyond the message', () => {
    const query = (hex: string): Buffer => Buffer.concat([Buffer.alloc(5), Buffer.from(hex, 'hex')]);
    for (const hex of ['', '61', '610061', '61006200', 'c300', 'eda08000', 'ff00'])
      expect(() => decodeQuery(query(hex)), hex).toThrow(WireFault);
    for (const hex of [
      '0000000000017fffffff',
      '000000000001fffffffe',
      '0000000200',
      '000000010002',
      '00000000ffff',
    ])
      expect(() => decodeBind(query(hex)), hex).toThrow(WireFault);
  });
});

describe('startup packets', () => {
  it('are read as the serializer writes them', () => {
    const packet = serialize.startup({ user: 'u', database: 'd' });
    expect(startupLength(packet)).toBe(packet.length);
    const read = parseStartup(packet);
    expect(read.kind === 'startup' && Object.fromEntries(read.parameters)).toEqual({
      user: 'u',
      database: 'd',
      client_encoding: 'UTF8',
    });
    expect(parseStartup(serialize.requestSsl())).toEqual({ kind: 'ssl' });
    expect(parseStartup(serialize.cancel(1, 2))).toEqual({
      kind: 'cancel',
      pid: 1,
      secret: Buffer.from([0, 0, 0, 2]),
    });
  });

  it('throw nothing but a WireFault, whatever the bytes', () => {
    holds(
      fc.property(fc.uint8Array({ minLength: 8, maxLength: 100 }), fc.boolean(), (bytes, real) => {
        const packet = Buffer.from(bytes);
        if (real) packet.writeInt32BE(196608, 4);
        try {
          parseStartup(packet);
        } catch (error) {
          expect(error).toBeInstanceOf(WireFault);
        }
      }),
    );
  });
});

describe('the backend walker', () => {
  const row = (text: string): Buffer => {
    const value = Buffer.from(text);
    const bytes = Buffer.alloc(11 + value.length);
    bytes.write('D');
    bytes.writeInt32BE(bytes.length - 1, 1);
    bytes.writeInt16BE(1, 5);
    bytes.writeInt32BE(value.length, 7);
    value.copy(bytes, 11);
    return bytes;
  };
  const reply = Buffer.concat([
    rowDescription(['a']),
    row('x'),
    row('y'.repeat(50_000)),
    commandComplete('SELECT 2'),
    errorResponse({ severity: 'ERROR', code: '42501', message: 'no' }),
    readyForQuery('I'),
  ]);
  function walk(chunks: readonly Buffer[], fate: (type: string) => Fate): { out: Buffer; types: string } {
    const out: Buffer[] = [];
    let types = '';
    const walker = new BackendWalker({
      message: (type) => {
        types += String.fromCharCode(type);
        return fate(String.fromCharCode(type));
      },
      large: (type) => {
        types += String.fromCharCode(type);
        const chosen = fate(String.fromCharCode(type));
        return chosen === 'drop' ? 'drop' : 'pass';
      },
      forward: (bytes) => out.push(Buffer.from(bytes)),
    });
    for (const chunk of chunks) walker.push(chunk);
    return { out: Buffer.concat(out), types };
  }

  it('passes every byte as it came, wherever it is split', () => {
    holds(
      fc.property(fc.array(fc.integer({ min: 1, max: 9000 }), { maxLength: 30 }), (sizes) => {
        const chunks: Buffer[] = [];
        let at = 0;
        for (const size of [...sizes, reply.length]) {
          chunks.push(reply.subarray(at, at + size));
          at = Math.min(reply.length, at + size);
        }
        const { out, types } = walk(chunks, () => 'pass');
        expect(out.equals(reply)).toBe(true);
        expect(types).toBe('TDDCEZ');
      }),
    );
  });

  it('drops and replaces whole messages, wherever they are split', () => {
    const other = errorResponse({ severity: 'ERROR', code: 'HP001', message: 'pending' });
    for (const size of [1, 7, 4096, reply.length]) {
      const chunks: Buffer[] = [];
      for (let at = 0; at < reply.length; at += size) chunks.push(reply.subarray(at, at + size));
      const { out } = walk(chunks, (type) => (type === 'D' ? 'drop' : type === 'E' ? other : 'pass'));
      expect(
        out.equals(
          Buffer.concat([rowDescription(['a']), commandComplete('SELECT 2'), other, readyForQuery('I')]),
        ),
      ).toBe(true);
    }
  });

  it('refuses what is no message', () => {
    for (const hex of ['5a00000003', '2100000004', '5a80000000'])
      expect(() => walk([Buffer.from(hex, 'hex')], () => 'pass')).toThrow(WireFault);
  });
});

describe('messages of the gateway', () => {
  it('are what an independent parser reads', async () => {
    const seen: unknown[] = [];
    const bytes = Buffer.concat([
      errorResponse({ severity: 'ERROR', code: 'HP001', message: 'a\0b é', hint: 'h' }),
      rowDescription(['x']),
      commandComplete('SELECT 1'),
      readyForQuery('T'),
    ]);
    await oracle(Readable.from([bytes]), (message) => seen.push(message));
    expect(seen).toMatchObject([
      { name: 'error', code: 'HP001', hint: 'h', severity: 'ERROR' },
      { name: 'rowDescription', fieldCount: 1 },
      { name: 'commandComplete', text: 'SELECT 1' },
      { name: 'readyForQuery', status: 'T' },
    ]);
    expect(decodeError(errorResponse({ severity: 'FATAL', code: '28000', message: 'm' }))).toMatchObject({
      severity: 'FATAL',
      code: '28000',
      message: 'm',
    });
  });

  it('decodes rows without reading past a message', () => {
    expect(() => decodeDataRow(Buffer.from('440000000a000100000005', 'hex'))).toThrow(WireFault);
  });
});
