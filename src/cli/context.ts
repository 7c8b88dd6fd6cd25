/** What a command is given, and how it fails. */
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

export interface Cli {
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  readonly stdin: AsyncIterable<Buffer | string>;
  out(text: string): void;
  err(text: string): void;
  readonly now: () => number;
}

/** Told to the user as one sentence and what to do next; exit code 1. */
export class CommandError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'CommandError';
  }
}
/** The command was called wrongly: exit code 2. */
export class UsageError extends CommandError {}

export function dataDir(cli: Cli, flag: string | undefined): string {
  return resolve(cli.cwd, flag ?? cli.env['HOLDPOINT_DATA'] ?? '.holdpoint');
}

export function tokenFile(cli: Cli): string {
  const base = cli.env['XDG_CONFIG_HOME'] || join(cli.env['HOME'] || homedir(), '.config');
  return join(base, 'holdpoint', 'token');
}

const UNITS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `30m`, `12h`, `7d` in milliseconds. */
export function duration(text: string): number {
  const match = /^(\d{1,6})([smhd])$/.exec(text);
  const unit = UNITS[match?.[2] ?? ''];
  if (match === null || unit === undefined) {
    throw new UsageError(`${JSON.stringify(text)} is not a duration; write 30m, 12h or 7d.`);
  }
  return Number(match[1]) * unit;
}

/** `7d` back from now, or a date such as 2026-11-02. */
export function moment(text: string, now: number): number {
  const at = /^\d+[smhd]$/.test(text) ? now - duration(text) : Date.parse(text);
  if (Number.isFinite(at)) return at;
  throw new UsageError(
    `${JSON.stringify(text)} is neither a duration such as 7d nor a date such as 2026-11-02.`,
  );
}
