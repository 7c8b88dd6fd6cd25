import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decodeChoice,
  decodeMemory,
  decodeValue,
  encodeChoice,
  encodeMemory,
  encodeValue,
  parseRequestId,
} from '../../src/bot/ids.ts';
import { cut, escaped, oneLine, visible } from '../../src/bot/text.ts';
import { holds } from '../support/property.ts';

describe('text for cards', () => {
  it('leaves ordinary SQL as it is, accents and line breaks included', () => {
    const sql = "SELECT 'Zoë', '日本', '€'\n\tFROM orders -- ok";
    expect(visible(sql)).toBe(sql);
    expect(visible('a\r\nb')).toBe('a\nb');
  });
  it.each([
    ['\u202e', '⟨U+202E⟩'],
    ['\u200b', '⟨U+200B⟩'],
    ['\u00a0', '⟨U+00A0⟩'],
    ['\r', '⟨U+000D⟩'],
    ['\ufeff', '⟨U+FEFF⟩'],
    ['\u3164', '⟨U+3164⟩'],
    ['\u{e0041}', '⟨U+E0041⟩'],
    ['\ud800', '⟨U+D800⟩'],
    ['א', '⟨U+05D0⟩'],
    ['о', '⟨U+043E⟩'],
    ['ο', '⟨U+03BF⟩'],
    ['＇', '⟨U+FF07⟩'],
    ['𝐚', '⟨U+1D41A⟩'],
  ])('spells out %j', (character, spelling) => {
    expect(visible(`a${character}b`)).toBe(`a${spelling}b`);
  });
  it('leaves letters of other scripts in words of their own', () => {
    for (const sql of ["SELECT 'Привет', 'Ωμέγα'", 'SELECT имя FROM "заказы"'])
      expect(visible(sql)).toBe(sql);
  });
  it('escapes without splitting an entity, within the limit', () => {
    expect(escaped('<!channel> & co', 100)).toBe('&lt;!channel&gt; &amp; co');
    holds(
      fc.property(fc.string({ unit: 'binary' }), fc.integer({ min: 10, max: 60 }), (text, max) => {
        const out = escaped(text, max);
        expect(out.length).toBeLessThanOrEqual(max);
        expect(out).not.toMatch(/[<>]|&(?!amp;|lt;|gt;)/);
      }),
    );
  });
  it('makes one line, never empty, of anything', () => {
    expect(oneLine('a\n\t b\u200b', 10)).toBe('a b');
    expect(oneLine('\u200b', 10)).toBe('(blank)');
    expect(cut('😀😀', 3)).toBe('😀…');
  });
});

describe('values', () => {
  it('come back as they went', () => {
    const value = { id: 'HP-7Q2F', version: 12 };
    expect(decodeValue(encodeValue(value))).toEqual(value);
    expect(decodeChoice(encodeChoice(value, 'too-broad'))).toEqual({ value, code: 'too-broad' });
    const memory = { value, channel: 'C1', ts: '1.2' };
    expect(decodeMemory(encodeMemory(memory))).toEqual(memory);
  });
  it('are refused when they are not ours', () => {
    holds(
      fc.property(fc.anything(), (anything) => {
        expect(decodeMemory(anything)).toBeNull();
        expect(decodeChoice(anything)).toBeNull();
      }),
    );
    for (const bad of [
      'HP-7Q2F',
      'HP-7Q2F:',
      'HP-7Q2F:1:x',
      'hp-7q2f:1',
      'HP-7Q2F:-1',
      'HP-7Q2F:1e3',
      '',
      null,
      7,
    ])
      expect(decodeValue(bad)).toBeNull();
  });
  it('understand ids as people type them', () => {
    expect(parseRequestId(' hp-7q2f ')).toBe('HP-7Q2F');
    expect(parseRequestId('7Q2F')).toBe('HP-7Q2F');
    expect(parseRequestId("x'; DROP")).toBeNull();
  });
});
