/** holdpoint.yaml: found, read, `${NAME}` filled in, checked; every mistake with its line and column. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { type Document, isMap, isScalar, LineCounter, parseDocument } from 'yaml';
import { type FileConfig, schema } from './schema.ts';
import type { Problem } from './types.ts';

export interface ConfigFile {
  /** What is right in it. */
  readonly values: FileConfig;
  /** Relative paths are relative to the file. */
  path(text: string): string;
  /** `holdpoint.yaml:4:3`. */
  place(...keys: readonly PropertyKey[]): string;
}

export function configFile(
  flag: string | undefined,
  env: NodeJS.ProcessEnv,
  cwd: string,
  problems: Problem[],
): ConfigFile {
  const found = findFile(flag, env, cwd, problems);
  const none: ConfigFile = { values: {}, path: (text) => resolve(cwd, text), place: () => 'environment' };
  if (found === null) return none;
  let text: string;
  try {
    text = readFileSync(found, 'utf8');
  } catch {
    problems.push({ place: found, message: 'the file cannot be read' });
    return none;
  }
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true });
  const place = (...keys: readonly PropertyKey[]) => `${found}:${where(document, lines, keys)}`;
  return {
    values: check(document, lines, found, place, env, problems),
    path: (relative) => resolve(dirname(found), relative),
    place,
  };
}

function findFile(
  flag: string | undefined,
  env: NodeJS.ProcessEnv,
  cwd: string,
  problems: Problem[],
): string | null {
  const named = flag ?? env['HOLDPOINT_CONFIG'];
  if (named !== undefined) {
    const path = resolve(cwd, named);
    if (existsSync(path)) return path;
    problems.push({
      place: flag === undefined ? 'HOLDPOINT_CONFIG' : '--config',
      message: `there is no file ${named}`,
    });
    return null;
  }
  const usual = join(cwd, 'holdpoint.yaml');
  return existsSync(usual) ? usual : null;
}

function check(
  document: Document.Parsed,
  lines: LineCounter,
  found: string,
  place: ConfigFile['place'],
  env: NodeJS.ProcessEnv,
  problems: Problem[],
): FileConfig {
  for (const error of document.errors) {
    const at = lines.linePos(error.pos[0]);
    problems.push({
      place: `${found}:${at.line}:${at.col}`,
      message: error.message.split('\n')[0] ?? 'is not YAML',
    });
  }
  if (document.errors.length > 0) return {};
  const raw = expand(document.toJS({ maxAliasCount: 20 }) ?? {}, (name, keys) => {
    const value = variable(env, name, problems);
    if (value === undefined && !env[`${name}_FILE`])
      problems.push({ place: place(...keys), message: `the environment variable ${name} is not set` });
    return value ?? '';
  });
  const parsed = schema.safeParse(raw);
  if (parsed.success) return parsed.data;
  const wrong: PropertyKey[][] = [];
  const report = (path: PropertyKey[], message: string) => {
    wrong.push(path);
    const at = place(...path);
    // A variable that is not set leaves an empty text, which is no second mistake.
    if (!problems.some((known) => known.place === at)) problems.push({ place: at, message });
  };
  for (const issue of parsed.error.issues) {
    const name = issue.path.join('.') || 'the file';
    if (issue.code === 'unrecognized_keys') {
      for (const key of issue.keys) report([...issue.path, key], `${name}: there is no setting "${key}"`);
    } else if (issue.code === 'invalid_key') {
      report(issue.path, `${name}: ${issue.issues[0]?.message ?? issue.message}`);
    } else report(issue.path, `${name}: ${issue.message}`);
  }
  return sound(raw, wrong);
}

/** What is wrong is left out and the rest looked at further, so that every mistake is told at once. */
function sound(raw: unknown, wrong: readonly PropertyKey[][]): FileConfig {
  let rest = raw;
  let paths = wrong.map(leftOut);
  for (let round = 0; round < 5; round += 1) {
    for (const path of paths) rest = omit(rest, path);
    const parsed = schema.safeParse(rest);
    if (parsed.success) return parsed.data;
    // Without it something lacks: then what it lies in goes.
    paths = parsed.error.issues.map(({ path }) => path.slice(0, -1));
  }
  return {};
}

/** A target or a list goes as a whole: what remained of it would look like another mistake. */
function leftOut(path: PropertyKey[]): PropertyKey[] {
  const index = path.findIndex((key) => typeof key === 'number');
  return path.slice(0, path[0] === 'targets' ? 2 : index < 0 ? path.length : index);
}

function omit(value: unknown, [key, ...inner]: readonly PropertyKey[]): unknown {
  if (key === undefined || value === null || typeof value !== 'object' || Array.isArray(value)) return {};
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, one]) =>
      name !== key ? [[name, one]] : inner.length === 0 ? [] : [[name, omit(one, inner)]],
    ),
  );
}

/** Line:column of the node at `keys`, or of the nearest parent that exists. */
function where(document: Document, lines: LineCounter, keys: readonly PropertyKey[]): string {
  for (let depth = keys.length; depth >= 0; depth -= 1) {
    const path = keys.slice(0, depth);
    const parent = depth === 0 ? document.contents : document.getIn(path.slice(0, -1), true);
    const pair =
      isMap(parent) && depth > 0
        ? parent.items.find((item) => isScalar(item.key) && item.key.value === path.at(-1))
        : undefined;
    const node =
      pair !== undefined && isScalar(pair.key)
        ? pair.key
        : depth === 0
          ? document.contents
          : document.getIn(path, true);
    if (node !== null && typeof node === 'object' && 'range' in node && Array.isArray(node.range)) {
      const offset: unknown = node.range[0];
      if (typeof offset === 'number') {
        const at = lines.linePos(offset);
        return `${at.line}:${at.col}`;
      }
    }
  }
  return '1:1';
}

function expand(
  value: unknown,
  variable: (name: string, keys: PropertyKey[]) => string,
  keys: PropertyKey[] = [],
): unknown {
  if (typeof value === 'string')
    return value.replace(/\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g, (_, name: string) => variable(name, keys));
  if (Array.isArray(value)) return value.map((item, i) => expand(item, variable, [...keys, i]));
  if (value !== null && typeof value === 'object')
    return Object.fromEntries(
      Object.entries(value).map(([key, one]) => [key, expand(one, variable, [...keys, key])]),
    );
  return value;
}

/** A file that the configuration names. */
export function readText(path: string, place: string, what: string, problems: Problem[]): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    problems.push({ place, message: `${what}: the file ${path} cannot be read` });
    return null;
  }
}

/** Of the environment, where what is secret need not be: NAME_FILE names a file that holds it, as containers are given secrets. */
export function variable(env: NodeJS.ProcessEnv, name: string, problems: Problem[]): string | undefined {
  const [value, path] = [env[name], env[`${name}_FILE`]];
  if (path === undefined || path === '') return value;
  const place = `${name}_FILE`;
  // One mistake, however often it is looked up.
  const mistakes = problems.some((known) => known.place === place) ? [] : problems;
  if (value !== undefined && value !== '') {
    mistakes.push({ place, message: `is set, and so is ${name}: keep one of them` });
    return value;
  }
  return readText(path, place, name, mistakes)?.replace(/\r?\n$/, '');
}
