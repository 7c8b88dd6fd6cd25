/** `holdpoint sessions [owner] [--since 7d]`. */
import type { SessionSummary } from '../recordings/types.ts';
import { connect } from './client.ts';
import { type Cli, moment } from './context.ts';
import { clock, span, table } from './text.ts';

export const whoOf = (session: SessionSummary): string => {
  const owner = session.ownerName ?? session.ownerEmail ?? session.ownerId;
  if (session.agent === null) return owner ?? session.subject;
  return owner === null ? session.agent : `${session.agent} for ${owner}`;
};

export async function sessions(
  cli: Cli,
  owner: string | undefined,
  options: { since?: string },
): Promise<void> {
  const query = new URLSearchParams();
  if (owner !== undefined) query.set('owner', owner.replace(/^@/, ''));
  if (options.since !== undefined) query.set('since', String(moment(options.since, cli.now())));
  const { sessions: list } = await connect(cli).get<{ sessions: SessionSummary[] }>(`/sessions?${query}`);
  if (list.length === 0) return cli.out('No sessions.');
  const rows = list.map((session) => [
    session.id,
    whoOf(session),
    session.target,
    clock(session.startedAt),
    session.endedAt === null ? 'open' : span(session.endedAt - session.startedAt),
    ...[session.statements, session.held, session.denied, session.errors, session.rows].map(String),
  ]);
  const head = [
    'session',
    'who',
    'target',
    'started',
    'length',
    'statements',
    'held',
    'denied',
    'errors',
    'rows',
  ];
  cli.out(table(head, rows, new Set([5, 6, 7, 8, 9])));
}
