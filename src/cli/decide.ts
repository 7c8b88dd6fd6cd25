/** `holdpoint approve ID`, `deny ID [reason]`, `withdraw ID [note]`, `reason ID words`, `count ID` and `reveal ID`. */
import type { ApprovalRequest } from '../approvals/types.ts';
import { confirmSentence, needsConfirm, stateSentence } from '../approvals/words.ts';
import { connect } from './client.ts';
import { type Cli, CommandError } from './context.ts';
import { bind, indented, safe } from './text.ts';

export async function decide(
  cli: Cli,
  id: string,
  effect: 'approve' | 'deny',
  reason: string,
  yes = false,
): Promise<void> {
  if (effect === 'approve' && !yes) await confirmed(cli, id);
  await change(cli, id, 'decision', { effect, reason: reason || null });
}

export async function withdraw(cli: Cli, id: string, note: string): Promise<void> {
  await change(cli, id, 'withdraw', { note: note || null });
}
export async function explain(cli: Cli, id: string, reason: string): Promise<void> {
  await change(cli, id, 'reason', { reason });
}

/** Exactly what it would touch; the request goes on waiting. */
export async function count(cli: Cli, id: string): Promise<void> {
  await change(cli, id, 'count', {});
}

/** What its placeholders stand for, where policy lets the approver look: on the terminal, and recorded. */
export async function reveal(cli: Cli, id: string): Promise<void> {
  const { sql, binds } = await connect(cli).post<{ sql: string; binds: readonly (string | null)[] }>(
    `/requests/${encodeURIComponent(id)}/reveal`,
    {},
  );
  cli.out(indented(sql));
  for (const [i, value] of binds.entries()) cli.out(`  $${i + 1} = ${bind(value)}`);
}

/** What Slack and the console ask about once more needs --yes here. */
async function confirmed(cli: Cli, id: string): Promise<void> {
  const { request } = await connect(cli).get<{ request: ApprovalRequest }>(
    `/requests/${encodeURIComponent(id)}`,
  );
  if (request.state !== 'pending' || !needsConfirm(request)) return;
  cli.out(`${indented(request.statement.sql)}\n`);
  throw new CommandError(
    `${safe(confirmSentence(request))} Nothing was decided: run \`holdpoint approve --yes ${request.id}\` if that is meant.`,
  );
}

async function change(
  cli: Cli,
  id: string,
  what: 'decision' | 'withdraw' | 'reason' | 'count',
  body: object,
): Promise<void> {
  const answer = await connect(cli).post<{ sentence: string; request: ApprovalRequest | null }>(
    `/requests/${encodeURIComponent(id)}/${what}`,
    body,
  );
  cli.out(safe(answer.sentence));
  if (answer.request !== null) cli.out(safe(stateSentence(answer.request, cli.now())));
}
