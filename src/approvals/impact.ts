/** The words about what a statement would do, the same in Slack, console and CLI. */
import { clock, named, plain } from './text.ts';
import type { ApprovalRequest, Impact } from './types.ts';

export const NOTHING_KNOWN: Impact = {
  rows: null,
  why: null,
  approximate: false,
  counted: null,
  tables: [],
  lock: null,
  cascades: [],
  triggers: [],
  rewrites: null,
  dependents: [],
  transactionMs: null,
};

/** Beyond, an approver is asked twice. */
export const MANY_ROWS = 10_000;

/** As counted, else as estimated; null: neither. */
export const rowsOf = ({ impact }: Pick<ApprovalRequest, 'impact'>): number | null =>
  impact?.counted?.rows ?? impact?.rows ?? null;

const whole = (value: number): string => Math.round(value).toLocaleString('en-US');
const rowsWord = (value: number): string => `${whole(value)} ${Math.round(value) === 1 ? 'row' : 'rows'}`;
/** An estimate has no more than three figures. */
function about(value: number): number {
  const step = 10 ** Math.max(0, Math.floor(Math.log10(Math.max(1, value))) - 2);
  return Math.round(value / step) * step;
}

const MORE = 4;
function listed(names: readonly string[]): string {
  const shown = names.slice(0, MORE).map((name) => named(name, '?', 80));
  return `${shown.join(', ')}${names.length > MORE ? ` and ${names.length - MORE} more` : ''}`;
}

function bytesShown(bytes: number): string {
  const units = ['bytes', 'KB', 'MB', 'GB', 'TB'];
  const at = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  const value = bytes / 1024 ** at;
  return `${value < 10 && at > 0 ? value.toFixed(1) : Math.round(value)} ${units[at]}`;
}

const STOPS: Readonly<Record<string, string>> = {
  SHARE: 'nobody can write it meanwhile',
  'SHARE ROW EXCLUSIVE': 'nobody can write it meanwhile',
  EXCLUSIVE: 'nobody can write it meanwhile',
  'ACCESS EXCLUSIVE': 'nobody can read or write it meanwhile',
};

const REWRITES: Readonly<Record<string, string>> = {
  true: 'Writes the whole table anew',
  false: 'Does not write the table anew',
  maybe: 'May write the whole table anew',
};

/** What it would do, a line each, the weightiest first; plain text, names and numbers alone. */
export function impactLines(request: ApprovalRequest, now: number = request.createdAt): readonly string[] {
  const { impact, statement } = request;
  if (impact === undefined || impact === null) return [];
  const lines: string[] = [];
  const say = (line: string): void => {
    lines.push(plain(line, 300));
  };
  const { rows, counted, lock } = impact;
  const tagged = statement.taggedColumns.length > 0 ? `, with ${listed(statement.taggedColumns)}` : '';
  if (counted !== null) {
    const estimate = rows === null ? '' : ` (the planner expected ${whole(about(rows))})`;
    say(
      `${rowsWord(counted.rows)}, counted at ${clock(counted.at, now)} in ${counted.ms} ms${estimate}${tagged}`,
    );
  } else if (rows !== null)
    say(`About ${rowsWord(about(rows))}${impact.parts ? ' in all' : ''}, as the planner expects${tagged}`);
  else if (impact.why !== null && !impact.parts) say(`Rows not estimated: ${impact.why}`);
  for (const one of impact.parts?.lines ?? []) {
    const count =
      one.rows === null
        ? `not estimated, because ${one.why ?? 'it is not known why'}`
        : `about ${rowsWord(about(one.rows))}`;
    say(
      `${one.what}: ${count}${one.approximate && one.rows !== null ? ' (approximate: earlier statements change the data)' : ''}`,
    );
  }
  if (impact.parts && impact.parts.more > 0) say(`and ${impact.parts.more} more statements`);
  if (typeof impact.grewFrom === 'number')
    say(
      `It was approved at ${rowsWord(impact.grewFrom)}; there are more than twice as many by now, so it asks anew`,
    );
  if (impact.approximate)
    say('Approximate: others cannot see the uncommitted work and temporary tables of its session');
  for (const { name, rows: has, bytes } of impact.tables.slice(0, MORE)) {
    const facts = [
      ...(has === null ? [] : [`about ${rowsWord(about(has))}`]),
      ...(bytes === null || bytes === 0 ? [] : [bytesShown(bytes)]),
    ];
    if (facts.length > 0) say(`Table ${named(name, '?', 80)}: ${facts.join(', ')}`);
  }
  if (impact.tables.length > MORE) say(`and ${impact.tables.length - MORE} more tables`);
  if (impact.rewrites !== null) say(REWRITES[String(impact.rewrites)] ?? 'May write the whole table anew');
  const stops = lock === null ? undefined : STOPS[lock.mode];
  if (lock !== null && stops !== undefined) say(`Locks ${listed(lock.relations)} (${lock.mode}): ${stops}`);
  if (impact.cascades.length > 0) say(`Goes on to ${listed(impact.cascades)}`);
  if (impact.triggers.length > 0) say(`Fires ${listed(impact.triggers)}`);
  if (impact.dependents.length > 0) say(`Depends on it: ${listed(impact.dependents)}`);
  if (impact.transactionMs !== null)
    say(`Its transaction has been open for ${Math.round(impact.transactionMs / 1000)} s`);
  return lines;
}
