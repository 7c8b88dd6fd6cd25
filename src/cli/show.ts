/** `holdpoint show ID`: one request in full. The SQL is never cut. */
import { cautions, decidedBy, waiterWords } from '../approvals/about.ts';
import type { ApprovalRequest } from '../approvals/types.ts';
import { by, clientSays, impactLines, stateSentence, who } from '../approvals/words.ts';
import { connect } from './client.ts';
import type { Cli } from './context.ts';
import { bind, clock, indented, oneLine, what } from './text.ts';

/** A name with a line break in it must not look like a fact. */
const line = (text: string): string => oneLine(text, 2000);

export async function show(cli: Cli, id: string): Promise<void> {
  const { request } = await connect(cli).get<{ request: ApprovalRequest }>(
    `/requests/${encodeURIComponent(id)}`,
  );
  cli.out(describe(request, cli.now()));
}

export function describe(request: ApprovalRequest, now: number): string {
  const { statement, target, requester } = request;
  const facts: readonly (readonly [string, string])[] = [
    ['who', `${who(request)}${requester.ownerEmail === null ? '' : ` <${requester.ownerEmail}>`}`],
    ['target', `${target.name} (${target.environment}), database ${target.database} as ${target.role}`],
    ['touches', statement.relations.join(', ')],
    ['personal data', statement.taggedColumns.join(', ')],
    [
      'watch out',
      cautions(request)
        .map(({ words }) => words)
        .join('; '),
    ],
    ['waiting', request.state === 'pending' && !request.waiterLive ? waiterWords(request) : ''],
    ...impactLines(request, now).map((line, i) => [i === 0 ? 'effect' : '', line] as const),
    ['rules', request.rules.join(', ')],
    ['why', request.reason],
    ['decided by', decidedBy(request, now)],
    ['asked', clock(request.createdAt)],
    ['expires', clock(request.expiresAt)],
    ['session', request.sessionId],
    ['sha256', statement.sha256],
    ['client says', clientSays(request) ?? ''],
  ];
  const lines = [
    `${request.id}  ${line(what(request))}`,
    line(stateSentence(request, now)),
    '',
    indented(statement.sql),
    '',
    ...statement.binds.map((value, i) => `    $${i + 1} = ${bind(value)}`),
    ...(statement.binds.length > 0 ? [''] : []),
    ...facts.filter(([, value]) => value !== '').map(([name, value]) => `${name.padEnd(14)}${line(value)}`),
    ...request.decisions.map(
      (decision) =>
        `${decision.effect === 'approve' ? 'approved' : 'denied'}${decision.effect === 'approve' ? '      ' : '        '}${line(by(decision, now))}${
          decision.reason === null ? '' : `: ${line(decision.reason)}`
        }`,
    ),
  ];
  return lines.join('\n');
}
