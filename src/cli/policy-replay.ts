/** `holdpoint policy replay`: what a candidate policy would have done to recorded sessions. Exit 0: nothing else; 3: something changes. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { formatMistakes, parsePolicy } from '../policy/rules/index.ts';
import { readSession } from '../recordings/archive.ts';
import { parseSegmentName } from '../recordings/paths.ts';
import {
  type ReplayJudge,
  type ReplayReport,
  type ReplaySession,
  replay as replayed,
} from '../recordings/replay.ts';
import { connect } from './client.ts';
import { type Cli, CommandError, moment, UsageError } from './context.ts';
import { createJudging, type Judging } from './judging.ts';
import { clock, count, indented, oneLine, safe } from './text.ts';

export interface ReplayFlags {
  readonly since: string;
  readonly policy?: string;
  readonly against?: string;
  readonly target?: string;
  readonly dir?: string;
  readonly json?: boolean;
}
const WAIT_MS = 300_000;
export const CHANGES = 3;

/** The exit code. */
export async function replay(cli: Cli, flags: ReplayFlags): Promise<number> {
  const since = moment(flags.since, cli.now());
  const policy = flags.policy === undefined ? null : textOf(cli, flags.policy);
  const report =
    flags.dir === undefined
      ? await online(cli, flags, since, policy)
      : await offline(cli, flags.dir, flags, since, policy);
  if (flags.json === true) cli.out(JSON.stringify(report));
  else print(cli, report, flags);
  return report.changed === 0 ? 0 : CHANGES;
}

function online(
  cli: Cli,
  { target, against }: ReplayFlags,
  since: number,
  policy: string | null,
): Promise<ReplayReport> {
  if (target === undefined)
    throw new UsageError('Name a target of the running gateway with --target, or recordings with --dir.');
  if (against !== undefined)
    throw new UsageError('--against is for --dir: a running gateway compares with its policy in force.');
  return connect(cli).post<ReplayReport>('/policy/replay', { target, since, policy }, { timeoutMs: WAIT_MS });
}

/** No catalog is at hand: views, functions and inheritance are not looked through. */
async function offline(
  cli: Cli,
  dir: string,
  flags: ReplayFlags,
  since: number,
  policy: string | null,
): Promise<ReplayReport> {
  if (policy === null) throw new UsageError('Offline there is no policy in force: name one with --policy.');
  const root = resolve(cli.cwd, dir);
  const candidate = createJudging(policy);
  const before = flags.against === undefined ? null : createJudging(textOf(cli, flags.against));
  try {
    return await replayed({
      sessions: sessionsIn(root),
      since,
      target: flags.target ?? null,
      candidate: opinionOf(candidate),
      before: before === null ? null : opinionOf(before),
      levelOf: () => 'admin',
      outOfTime: () => false,
    });
  } finally {
    await candidate.close();
    await before?.close();
  }
}

function textOf(cli: Cli, path: string): string {
  let text: string;
  try {
    text = readFileSync(resolve(cli.cwd, path), 'utf8');
  } catch {
    throw new CommandError(`The policy file ${path} cannot be read; check its path and permissions.`);
  }
  const parsed = parsePolicy(text);
  if (parsed.kind === 'policy') return text;
  throw new CommandError(
    `${path} has mistakes, so nothing was replayed.\n${formatMistakes(path, parsed.mistakes)}`,
  );
}

function sessionsIn(root: string): ReplaySession[] {
  let paths: string[];
  try {
    paths = readdirSync(root, { recursive: true, encoding: 'utf8' });
  } catch {
    throw new CommandError(`The directory ${safe(root)} cannot be read.`);
  }
  const ids = paths.flatMap((path) => {
    const name = parseSegmentName(path);
    return name?.segment === 1 ? [name.sessionId] : [];
  });
  if (ids.length === 0) throw new CommandError(`There are no recordings in ${safe(join(root))}.`);
  return [...new Set(ids)].sort().map((id) => ({
    id,
    async read() {
      const events = await readSession(root, id);
      if (events.length === 0) throw new Error('no line of it can be read');
      return events;
    },
  }));
}

function print(cli: Cli, report: ReplayReport, flags: ReplayFlags): void {
  const what = flags.policy ?? 'the policy in force';
  const with_ =
    flags.dir === undefined
      ? flags.policy === undefined
        ? 'what was recorded'
        : 'the policy in force'
      : (flags.against ?? 'what was recorded');
  cli.out(
    `${count(report.statements, 'statement')} of ${count(report.sessions, 'session')} since ${flags.since}: ${what} compared with ${with_}.`,
  );
  cli.out(
    report.changed === 0
      ? 'Nothing would change.'
      : `${count(report.changed, 'statement')} would get another answer:`,
  );
  for (const group of report.groups) {
    const where =
      group.relations.length === 0
        ? ''
        : ` on ${group.relations.slice(0, 3).join(', ')}${group.relations.length > 3 ? ` and ${group.relations.length - 3} more` : ''}`;
    cli.out('');
    cli.out(
      safe(
        `${group.count} × ${group.from} → ${group.to}${group.stricter ? '' : '  (not stricter)'}: ${group.verb}${where}, ${count(group.owners, 'owner')}`,
      ),
    );
    cli.out(safe(`    rules: ${group.rules.before.join(', ')} → ${group.rules.after.join(', ')}`));
    for (const one of group.examples) {
      cli.out(indented(`${clock(one.at)} ${one.session} #${one.n}, ${one.who}:`));
      cli.out(`      ${oneLine(one.sql, 160)}`);
    }
  }
  if (report.moreGroups > 0) cli.out(`\n${count(report.moreGroups, 'more group')} of changes, not listed.`);
  const notes = [
    ...(flags.dir === undefined
      ? []
      : [
          'No catalog was at hand: views, functions and inheritance are not looked through. Ask the running gateway (--target) for the exact answer.',
        ]),
    ...(report.recordedOtherwise > 0
      ? [
          `${count(report.recordedOtherwise, 'statement')} were answered otherwise when recorded: schema or policy changed since, or the gateway asked the server first.`,
        ]
      : []),
    ...(report.madeUp > 0
      ? [
          `${count(report.madeUp, 'statement')} were judged with made-up literals: the recording holds none of tagged columns.`,
        ]
      : []),
    ...(report.withheld > 0
      ? [`${count(report.withheld, 'statement')} could not be judged: their text is not in the recording.`]
      : []),
    ...report.unread.slice(0, 20).map(({ session, why }) => `Session ${session} was left out: ${why}.`),
    ...(report.unread.length > 20 ? [`${report.unread.length - 20} more sessions were left out.`] : []),
    ...(report.partial ? ['Not everything was looked at: choose a shorter time.'] : []),
  ];
  if (notes.length > 0) cli.err(['', ...notes].map(safe).join('\n'));
}

const opinionOf =
  (judging: Judging): ReplayJudge =>
  (sql, context, resolution) =>
    judging.explain(sql, { context, resolution });
