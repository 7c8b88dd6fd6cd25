import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** One import, re-export or dynamic import of a file below src. */
export interface Import {
  /** Below src, such as `gateway/judge/judge.ts`. */
  readonly from: string;
  readonly specifier: string;
  /** Nothing of it exists at run time. */
  readonly typeOnly: boolean;
  /** Below src, where it is a file of ours; null for packages and built-ins. */
  readonly to: string | null;
}

const STATEMENT =
  /(?:^|[\n;}])\s*(?:import|export)\s+((?:type\s+)?(?:[\w$*\s,]*(?:\{[^}]*\})?[\w$*\s,]*)\s+from\s+)?(['"])([^'"\n]+)\2/g;
const DYNAMIC = /\b(?:import|require|resolve)\s*\(\s*(['"`])([^'"`$]+)\1/g;
/** `new URL('./x.worker.ts', import.meta.url)`: a file loaded by path. */
const BY_URL = /new URL\(\s*(['"`])(\.{1,2}\/[^'"`$]+\.[jt]s)\1\s*,\s*import\.meta\.url/g;

export function sourceFiles(): string[] {
  return readdirSync(join(root, 'src'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => relative(join(root, 'src'), join(entry.parentPath, entry.name)).replaceAll('\\', '/'))
    .filter((path) => !path.startsWith('generated/'))
    .sort();
}

export function readSource(path: string): string {
  return readFileSync(join(root, 'src', path), 'utf8');
}

export function importsOf(from: string, text: string): Import[] {
  const code = text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');
  const found: Import[] = [];
  const add = (specifier: string, typeOnly: boolean) => {
    const to = specifier.startsWith('.') ? posix.normalize(posix.join(posix.dirname(from), specifier)) : null;
    found.push({ from, specifier, typeOnly, to });
  };
  for (const match of code.matchAll(STATEMENT)) add(match[3] ?? '', isTypeOnly(match[1] ?? ''));
  for (const pattern of [DYNAMIC, BY_URL])
    for (const match of code.matchAll(pattern)) add(match[2] ?? '', false);
  return found;
}

function isTypeOnly(clause: string): boolean {
  if (/^type\s/.test(clause)) return true;
  const names = /^\{([^}]*)\}\s*from\s*$/.exec(clause.trim())?.[1];
  if (names === undefined) return false;
  return names
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')
    .every((name) => name.startsWith('type '));
}
