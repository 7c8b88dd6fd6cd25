/** The tree with its constants, without positions (DESIGN.md 8: white space and comments do not matter, a changed constant does). */
import { createHash } from 'node:crypto';
import type { RawStatement } from './parser.ts';

const POSITIONS = new Set([
  'stmt_location',
  'stmt_len',
  'rexpr_list_start',
  'rexpr_list_end',
  'list_start',
  'list_end',
]);

/** Only numbers: CREATE TABLESPACE has a `location` that is a path. */
const isPosition = (field: string, value: unknown): value is number =>
  typeof value === 'number' && (POSITIONS.has(field) || field === 'location' || field.endsWith('_location'));

function withoutPosition(this: unknown, field: string, value: unknown): unknown {
  return isPosition(field, value) ? undefined : value;
}

/** Byte offsets of the tree's parts in the text. */
export function positionsIn(value: unknown): number[] {
  const found: number[] = [];
  JSON.stringify(value, (field, part: unknown) => {
    if (isPosition(field, part)) found.push(part);
    return part;
  });
  return found;
}

export function canonical(value: unknown): string {
  return JSON.stringify(value, withoutPosition) ?? '';
}

export function treeDigest(statements: readonly RawStatement[]): string {
  const hash = createHash('sha256');
  for (const { kind, node } of statements) {
    const text = canonical({ [kind]: node });
    hash.update(`${text.length}:`).update(text);
  }
  return hash.digest('hex');
}

export function digestOf(parts: readonly string[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(`${part.length}:`).update(part);
  return hash.digest('hex');
}
