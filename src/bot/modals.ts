/** Modals: the whole SQL (with Approve, when it can be shown whole) and a deny reason in words. */
import type { ApprovalRequest } from '../approvals/types.ts';
import { stateSentence } from '../approvals/words.ts';
import { type Block, plain, preformatted, section } from './blocks.ts';
import { createBudget } from './budget.ts';
import { factsOf } from './facts.ts';
import {
  CALLBACK,
  clientMessageId,
  encodeMemory,
  type ModalMemory,
  REASON_BLOCK,
  REASON_INPUT,
} from './ids.ts';
import { modalTexts, sqlView } from './sql-view.ts';
import { oneLine, thousands } from './text.ts';

export interface Modal {
  readonly type: 'modal';
  readonly callback_id: string;
  readonly private_metadata: string;
  readonly blocks: readonly Block[];
  readonly [key: string]: unknown;
}

export function fullSqlModal(
  request: ApprovalRequest,
  memory: ModalMemory,
  { publicUrl, now }: { readonly publicUrl: string | null; readonly now: number },
): Modal {
  const { statement } = request;
  const name = (part: string): string => `${request.id}:${request.version}:${part}`;
  const parts = modalTexts(statement);
  const blocks: Block[] = [
    section(oneLine(stateSentence(request, now), 400), name('state')),
    factsOf(request, name('about'), createBudget()).withEffect(),
    section(
      `${thousands(statement.bytes)} bytes · ${thousands(statement.statementCount)} in number · SHA-256 ${statement.sha256}`,
      name('digest'),
    ),
  ];
  if (parts === null) {
    const view = sqlView(statement);
    const where =
      publicUrl === null ? `"holdpoint show ${request.id}"` : `${publicUrl}/requests/${request.id}`;
    if (view.kind === 'cut') {
      blocks.push(preformatted('Beginning', view.head, name('sql')));
      if (view.tail !== '') blocks.push(preformatted('End', view.tail, name('tail')));
    }
    blocks.push(section(`Too long for Slack. Read all of it and decide there: ${where}`, name('elsewhere')));
  } else {
    for (const [i, part] of parts.sql.entries()) blocks.push(preformatted(null, part, name(`sql${i}`)));
    for (const [i, part] of parts.binds.entries())
      blocks.push(preformatted(i === 0 ? 'Bind values' : null, part, name(`binds${i}`)));
  }
  const decidable = parts !== null && request.state === 'pending';
  return {
    type: 'modal',
    callback_id: CALLBACK.full,
    private_metadata: encodeMemory(memory),
    title: plain(request.id, 24),
    close: plain('Close', 24),
    ...(decidable ? { submit: plain('Approve', 24) } : {}),
    blocks,
  };
}

export function denyModal(request: ApprovalRequest, memory: ModalMemory): Modal {
  return {
    type: 'modal',
    callback_id: CALLBACK.deny,
    private_metadata: encodeMemory(memory),
    title: plain(`Deny ${request.id}`, 24),
    submit: plain('Deny', 24),
    close: plain('Go back', 24),
    blocks: [
      {
        type: 'input',
        block_id: REASON_BLOCK,
        label: plain('Why? The requester and their agent read this.', 2000),
        element: {
          type: 'plain_text_input',
          action_id: REASON_INPUT,
          multiline: true,
          min_length: 1,
          max_length: 300,
        },
      },
    ],
  };
}

/** Name of the file that carries the full text into the thread. */
export function sqlFileName(request: ApprovalRequest): string {
  return `${request.id}-${clientMessageId(request.id, request.statement.sha256).slice(0, 8)}.sql`;
}
