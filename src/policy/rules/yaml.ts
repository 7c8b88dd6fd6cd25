/** YAML text → a value of a schema, or every mistake at once with line and column. */
import { isMap, isScalar, isSeq, LineCounter, type Node, parseDocument, visit } from 'yaml';
import type { z } from 'zod';
import { nearest } from './nearest.ts';
import type { Mistake } from './types.ts';

const MAX_TEXT = 1_048_576;

export type Path = readonly (string | number)[];
export type Place = (path: Path, message: string) => Mistake;

export type ReadYaml<T> =
  | { readonly kind: 'value'; readonly value: T; readonly at: Place }
  | { readonly kind: 'mistakes'; readonly mistakes: readonly Mistake[] };

export interface Reading<S extends z.ZodType> {
  readonly schema: S;
  /** What the smallest text must have. */
  readonly needs: string;
  /** The words a key may be: for "did you mean". */
  readonly keys: readonly string[];
  /** What the schema does not see; asked even when the schema found something. */
  readonly more?: (value: unknown) => Iterable<readonly [Path, string]>;
}

export function readYaml<S extends z.ZodType>(text: string, reading: Reading<S>): ReadYaml<z.output<S>> {
  if (text.length > MAX_TEXT) {
    return refuse([
      { line: 1, column: 1, path: '', message: `the text is longer than ${MAX_TEXT} characters` },
    ]);
  }
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    uniqueKeys: true,
    prettyErrors: false,
    version: '1.2',
  });
  const at = (offset: number, path: string, message: string): Mistake => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1), path, message };
  };
  const broken = [...document.errors, ...document.warnings];
  if (broken.length > 0) return refuse(broken.map((fault) => at(fault.pos[0], '', sentence(fault.message))));
  if (document.contents === null) {
    return refuse([
      { line: 1, column: 1, path: '', message: `the text is empty: it needs at least "${reading.needs}"` },
    ]);
  }

  const dangling: Mistake[] = [];
  visit(document, {
    Alias(_key, node) {
      if (node.resolve(document) === undefined) {
        dangling.push(
          at(node.range?.[0] ?? 0, '', `the alias *${node.source} names nothing that stands before it`),
        );
      }
    },
  });
  if (dangling.length > 0) return refuse(dangling);

  let value: unknown;
  try {
    // Aliases may multiply (a "billion laughs" text): the bound makes toJS throw.
    value = document.toJS({ maxAliasCount: 100 });
  } catch {
    return refuse([at(0, '', 'aliases (*name) repeat too much')]);
  }

  const mistake = (path: Path, message: string, key?: string): Mistake =>
    at(place(document.contents, path, key), printPath(key === undefined ? path : [...path, key]), message);
  const parsed = reading.schema.safeParse(value);
  const mistakes: Mistake[] = [];
  if (!parsed.success) {
    for (const issue of parsed.error.issues) {
      const path = issue.path.filter((part) => typeof part !== 'symbol');
      if (issue.code === 'unrecognized_keys') {
        for (const key of issue.keys)
          mistakes.push(mistake(path, `unknown key "${key}"${nearest(key, reading.keys)}`, key));
        continue;
      }
      mistakes.push(mistake(path, issue.message));
    }
  }
  for (const [path, message] of reading.more?.(value) ?? []) mistakes.push(mistake(path, message));
  if (!parsed.success || mistakes.length > 0) return refuse(mistakes);
  return { kind: 'value', value: parsed.data, at: mistake };
}

/** One mistake a line, as compilers print them. */
export function formatMistakes(file: string, mistakes: readonly Mistake[]): string {
  return mistakes
    .map(
      ({ line, column, path, message }) =>
        `${file}:${line}:${column}: ${path === '' ? '' : `${path}: `}${message}`,
    )
    .join('\n');
}

function refuse(mistakes: readonly Mistake[]): { kind: 'mistakes'; mistakes: readonly Mistake[] } {
  return { kind: 'mistakes', mistakes: sorted(mistakes) };
}

export function sorted(mistakes: readonly Mistake[]): readonly Mistake[] {
  return [...mistakes].sort((a, b) => a.line - b.line || a.column - b.column);
}

/** Offset of the node at `path` (or of the key `key` inside it); of the nearest parent that exists when it does not. */
function place(root: Node | null, path: Path, key?: string): number {
  let node: unknown = root;
  let offset = root?.range?.[0] ?? 0;
  for (const part of key === undefined ? path : [...path, key]) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(part));
      if (pair === undefined) return offset;
      if (isScalar(pair.key)) offset = pair.key.range?.[0] ?? offset;
      node = pair.value;
    } else if (isSeq(node) && typeof part === 'number') {
      node = node.items[part];
    } else {
      return offset;
    }
    const range = nodeRange(node);
    if (range !== null) offset = range;
  }
  if (key !== undefined) {
    const parent = find(root, path);
    if (isMap(parent)) {
      const pair = parent.items.find((item) => isScalar(item.key) && String(item.key.value) === key);
      if (isScalar(pair?.key)) return pair.key.range?.[0] ?? offset;
    }
  }
  return offset;
}

function find(root: Node | null, path: Path): unknown {
  let node: unknown = root;
  for (const part of path) {
    if (isMap(node))
      node = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(part))?.value;
    else if (isSeq(node) && typeof part === 'number') node = node.items[part];
    else return undefined;
  }
  return node;
}

function nodeRange(node: unknown): number | null {
  return (isScalar(node) || isMap(node) || isSeq(node)) && node.range ? node.range[0] : null;
}

function printPath(path: Path): string {
  return path.reduce<string>(
    (text, part) => (typeof part === 'number' ? `${text}[${part}]` : text === '' ? part : `${text}.${part}`),
    '',
  );
}

function sentence(message: string): string {
  return message.replace(/\s+/g, ' ').slice(0, 300);
}
