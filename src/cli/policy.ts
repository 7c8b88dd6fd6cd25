/** `holdpoint policy explain | check | default`. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { type ExplainedLine, explainLine, explainText } from '../policy/explain.ts';
import { DEFAULT_POLICY, formatMistakes, parsePolicy, policyVersion } from '../policy/rules/index.ts';
import { connect } from './client.ts';
import { type Cli, CommandError } from './context.ts';
import { createJudging } from './judging.ts';
import { safe } from './text.ts';

const MAX_SQL_CHARACTERS = 1_000_000;

function readPolicy(cli: Cli, path: string): string {
  try {
    return readFileSync(resolve(cli.cwd, path), 'utf8');
  } catch {
    throw new CommandError(`The policy file ${path} cannot be read; check its path and permissions.`);
  }
}

/** Throws with every mistake and its place. Returns the warnings, a line each. */
function checked(path: string, text: string): string {
  const parsed = parsePolicy(text);
  if (parsed.kind === 'mistakes') {
    const count = parsed.mistakes.length === 1 ? 'a mistake' : `${parsed.mistakes.length} mistakes`;
    throw new CommandError(
      `${path} has ${count}; nothing is applied until it has none.\n${formatMistakes(path, parsed.mistakes)}`,
    );
  }
  return formatMistakes(path, parsed.warnings);
}

export function check(cli: Cli, path: string): void {
  const text = readPolicy(cli, path);
  const warnings = checked(path, text);
  if (warnings !== '') cli.err(warnings);
  cli.out(`${path} is a good policy, version ${policyVersion(text)}.`);
}

export function printDefault(cli: Cli): void {
  cli.out(DEFAULT_POLICY.trimEnd());
}

export interface ExplainFlags {
  readonly jsonl?: boolean;
  readonly target?: string;
  readonly policy?: string;
}

export async function explain(cli: Cli, flags: ExplainFlags): Promise<void> {
  if (flags.target !== undefined && flags.policy !== undefined) {
    throw new CommandError('--target uses the policy in force there; leave out --policy or --target.');
  }
  if (flags.target !== undefined) return explainAt(cli, flags.target, flags.jsonl === true);
  const text = flags.policy === undefined ? DEFAULT_POLICY : readPolicy(cli, flags.policy);
  checked(flags.policy ?? 'the default policy', text);
  const judging = createJudging(text);
  try {
    if (flags.jsonl === true) {
      for await (const line of lines(cli)) cli.out(await explainLine(line, (sql) => judging.explain(sql)));
    } else {
      cli.out(safe(explainText(await judging.explain(await whole(cli)))).trimEnd());
    }
  } finally {
    await judging.close();
  }
}

/** The running gateway judges, with that target's catalog and policy. */
async function explainAt(cli: Cli, target: string, jsonl: boolean): Promise<void> {
  const api = connect(cli);
  const ask = (sql: string) => api.post<ExplainedLine>('/policy/explain', { sql, target });
  if (!jsonl) return cli.out(lineText(await ask(await whole(cli))));
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

function lineText(line: ExplainedLine): string {
  const out = [
    `verdict: ${line.verdict}`,
    `reason:  ${line.reason}`,
    `rules:   ${line.rules.join(', ')}`,
    `class:   ${line.class}`,
  ];
  for (const [i, statement] of line.statements.entries()) {
    out.push(`${i + 1}. ${statement.class}`);
    for (const [title, items] of [
      ['relations', statement.relations],
      ['functions', statement.functions],
      ['tagged columns', statement.columns],
    ] as const) {
      if (items.length > 0) out.push(`   ${title}`, ...items.map((item) => `     ${item}`));
    }
  }
  return safe(out.join('\n'));
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
