/** `holdpoint approve ID` and `holdpoint deny ID [reason]`. */
import type { ApprovalRequest } from '../approvals/types.ts';
import { stateSentence } from '../approvals/words.ts';
import { connect } from './client.ts';
import type { Cli } from './context.ts';
import { safe } from './text.ts';

export async function decide(
  cli: Cli,
  id: string,
  effect: 'approve' | 'deny',
  reason: string | undefined,
): Promise<void> {
  const answer = await connect(cli).post<{ sentence: string; request: ApprovalRequest | null }>(
    `/requests/${encodeURIComponent(id)}/decision`,
    { effect, reason: reason ?? null },
  );
  cli.out(safe(answer.sentence));
  if (answer.request !== null) cli.out(safe(stateSentence(answer.request, cli.now())));
}
