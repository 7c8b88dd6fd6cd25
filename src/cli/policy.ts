/** `holdpoint policy explain | check | test | schema | default`. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { differences, parseCases } from '../policy/cases.ts';
import { type ExplainedLine, explainLine, explainText } from '../policy/explain.ts';
import {
  DEFAULT_POLICY,
  formatMistakes,
  type Policy,
  PRESETS,
  parsePolicy,
  policyVersion,
} from '../policy/rules/index.ts';
import { policyJsonSchema } from '../policy/rules/json-schema.ts';
import { GRAMMARS, grammarOf, NEWEST } from '../policy/server.ts';
import type { PolicyContext } from '../policy/types.ts';
import { connect } from './client.ts';
import { type Cli, CommandError, moment, UsageError } from './context.ts';
import { createJudging } from './judging.ts';
import { count, indented, safe } from './text.ts';

const MAX_SQL_CHARACTERS = 1_000_000;

const readPolicy = (cli: Cli, path: string): string => readFile(cli, path, 'policy file');

function readFile(cli: Cli, path: string, what: string): string {
  try {
    return readFileSync(resolve(cli.cwd, path), 'utf8');
  } catch {
    throw new CommandError(`The ${what} ${path} cannot be read; check its path and permissions.`);
  }
}

/** Throws with every mistake and its place. The warnings are a line each. */
function checked(path: string, text: string): { readonly policy: Policy; readonly warnings: string } {
  const parsed = parsePolicy(text);
  if (parsed.kind === 'mistakes') {
    const count = parsed.mistakes.length === 1 ? 'a mistake' : `${parsed.mistakes.length} mistakes`;
    throw new CommandError(
      `${path} has ${count}; nothing is applied until it has none.\n${formatMistakes(path, parsed.mistakes)}`,
    );
  }
  return { policy: parsed.policy, warnings: formatMistakes(path, parsed.warnings) };
}

export function check(cli: Cli, path: string, { strict }: { readonly strict?: boolean } = {}): void {
  const text = readPolicy(cli, path);
  const { policy, warnings } = checked(path, text);
  if (warnings !== '') cli.err(warnings);
  if (strict === true && warnings !== '')
    throw new CommandError(`${path} could be put in force, but --strict takes no warnings.`);
  const { preset, rules } = policy;
  const observing = rules.filter(({ mode }) => mode === 'observe').length;
  cli.out(`${path} is a good policy, version ${policyVersion(text)}.`);
  cli.out(
    `Preset ${preset}: ${PRESETS[preset].says}. ${count(rules.length, 'rule')}${observing === 0 ? '' : `, ${observing} only observing`}.`,
  );
}

/** Cases in a file beside the policy; whatever differs is a failure. */
export async function test(cli: Cli, path: string, casesPath: string | undefined): Promise<void> {
  const text = readPolicy(cli, path);
  checked(path, text);
  const file = casesPath ?? path.replace(/(\.ya?ml)?$/, '.test.yaml');
  const parsed = parseCases(readFile(cli, file, 'cases file'));
  if (parsed.kind === 'mistakes') {
    throw new CommandError(`${file} cannot be used.\n${formatMistakes(file, parsed.mistakes)}`);
  }
  const judging = createJudging(text);
  let failed = 0;
  try {
    for (const one of parsed.cases) {
      const { context, server } = one;
      const catalog = parsed.catalog && { ...parsed.catalog, serverVersion: server * 10_000 };
      const { verdict } = await judging.explain(one.sql, { context, catalog, server });
      const lines = differences(one, verdict);
      if (lines.length === 0) continue;
      failed += 1;
      cli.out(safe(`FAIL ${file}:${one.line}  ${one.name ?? ''}`.trimEnd()));
      cli.out(indented(one.sql.trim()));
      for (const line of [...lines, `because   ${verdict.reason}`]) cli.out(indented(line));
    }
  } finally {
    await judging.close();
  }
  const cases = count(parsed.cases.length, 'case');
  if (failed > 0) throw new CommandError(`${failed} of ${cases} failed.`);
  cli.out(`${cases}, all as expected.`);
}

export function printSchema(cli: Cli): void {
  cli.out(JSON.stringify(policyJsonSchema(), null, 2));
}

export function printDefault(cli: Cli): void {
  cli.out(DEFAULT_POLICY.trimEnd());
}

export interface ExplainFlags {
  readonly jsonl?: boolean;
  readonly target?: string;
  readonly policy?: string;
  readonly owner?: string;
  readonly agent?: string;
  readonly group: readonly string[];
  readonly environment?: string;
  readonly at?: string;
  /** A major version. */
  readonly server?: string;
}

export async function explain(cli: Cli, flags: ExplainFlags): Promise<void> {
  if (flags.target !== undefined && flags.policy !== undefined) {
    throw new CommandError('--target uses the policy in force there; leave out --policy or --target.');
  }
  const { owner, agent, group, environment, at, server: major } = flags;
  if (
    flags.target !== undefined &&
    [owner, agent, group[0], environment, at, major].some((one) => one !== undefined)
  )
    throw new UsageError(
      '--target judges for nobody in particular, now; leave out who, where, when and server.',
    );
  const server = major === undefined ? NEWEST : grammarOf(Number(major) * 10_000);
  if (server === null)
    throw new UsageError(`--server takes a major version of PostgreSQL: ${GRAMMARS.join(', ')}.`);
  if (flags.target !== undefined) return explainAt(cli, flags.target, flags.jsonl === true);
  const text = flags.policy === undefined ? DEFAULT_POLICY : readPolicy(cli, flags.policy);
  checked(flags.policy ?? 'the default policy', text);
  const context: PolicyContext = {
    target: '',
    environment: environment ?? '',
    owner: owner ?? null,
    agent: agent ?? null,
    groups: group,
    level: 'admin',
    transaction: 'idle',
    now: at === undefined ? cli.now() : moment(at, cli.now()),
  };
  const judging = createJudging(text);
  try {
    if (flags.jsonl === true) {
      for await (const line of lines(cli))
        cli.out(await explainLine(line, (sql) => judging.explain(sql, { context, server })));
    } else {
      cli.out(safe(explainText(await judging.explain(await whole(cli), { context, server }))).trimEnd());
    }
  } finally {
    await judging.close();
  }
}

/** The running gateway judges, with that target's catalog and policy. */
async function explainAt(cli: Cli, target: string, jsonl: boolean): Promise<void> {
  const api = connect(cli);
  if (!jsonl) {
    const sql = await whole(cli);
    const { text } = await api.post<{ readonly text: string }>('/policy/explain', {
      sql,
      target,
      tree: true,
    });
    return cli.out(safe(text).trimEnd());
  }
  const ask = (sql: string) => api.post<ExplainedLine>('/policy/explain', { sql, target });
  for await (const line of lines(cli)) {
    let sql: unknown;
    try {
      const value: unknown = JSON.parse(line);
      sql = typeof value === 'object' && value !== null && 'sql' in value ? value.sql : undefined;
    } catch {
      sql = undefined;
    }
    const answer =
      typeof sql === 'string' ? await ask(sql) : { error: 'this line has no "sql" text; write {"sql": "…"}' };
    cli.out(JSON.stringify(answer));
  }
}

async function* lines(cli: Cli): AsyncGenerator<string> {
  const input = Readable.from(cli.stdin);
  const reader = createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY });
  for await (const line of reader) yield line;
}

async function whole(cli: Cli): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of cli.stdin) {
    const bytes = Buffer.from(chunk);
    size += bytes.length;
    if (size > MAX_SQL_CHARACTERS) throw new CommandError('The SQL is larger than 1 MB; split it up.');
    chunks.push(bytes);
  }
  const text = Buffer.concat(chunks).toString('utf8').trim();
  if (text === '')
    throw new CommandError(
      'There is no SQL on standard input; try echo "DELETE FROM t" | holdpoint policy explain.',
    );
  return text;
}
