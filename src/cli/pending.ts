/** `holdpoint pending`: what waits for a decision. */
import type { ApprovalRequest } from '../approvals/types.ts';
import { who } from '../approvals/words.ts';
import { connect } from './client.ts';
import type { Cli } from './context.ts';
import { oneLine, span, table } from './text.ts';

export async function pending(cli: Cli): Promise<void> {
  const { requests } = await connect(cli).get<{ requests: ApprovalRequest[] }>('/requests?state=pending');
  if (requests.length === 0) return cli.out('Nothing is waiting.');
  const now = cli.now();
  const rows = requests.map((request) => [
    request.id,
    who(request),
    `${request.target.name} (${request.target.environment})`,
    oneLine(request.statement.sql, 60),
    request.waiterLive ? 'yes' : 'no',
    span(request.expiresAt - now),
  ]);
  cli.out(table(['request', 'who', 'target', 'statement', 'waiting', 'expires in'], rows));
  cli.out('\nholdpoint show ID, approve ID, deny ID [reason]');
}
