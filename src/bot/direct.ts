/** What the requester's owner is told: how it ended, and what to do next. */
import { isLead } from '../approvals/bundle.ts';
import type { ApprovalRequest, RequestState } from '../approvals/types.ts';
import { headline, stateSentence } from '../approvals/words.ts';
import { type Block, context, date, type Message, mrkdwn, own, section } from './blocks.ts';
import { consoleButton } from './buttons.ts';
import { ACTION } from './ids.ts';
import { ICON } from './status.ts';
import { escaped, oneLine } from './text.ts';
import { isOver } from './thread.ts';

/** Terminal states, and approved while nobody waits. */
export function isTold(request: ApprovalRequest): boolean {
  return isOver(request) || (request.state === 'granted' && !request.waiterLive);
}

const NEXT: Readonly<Record<RequestState, string>> = {
  pending: '',
  granted: 'Send exactly the same statement again before then: it runs once, without asking.',
  executing: '',
  executed: 'Nothing is left to do.',
  failed: 'The database refused it. Correct the statement and send it again: a changed one asks anew.',
  unknown: 'It is not known whether it took effect. Look before you send it again.',
  denied: 'It did not run. Do not send it again as it is: talk to whoever denied it.',
  expired:
    'Nobody decided in time and it did not run. If it is still needed, send it again and tell an approver.',
  withdrawn: 'It did not run. Send it again if it is still needed.',
  lapsed: 'It was approved but not sent again in time, and did not run. Send it again to ask anew.',
};

function next(request: ApprovalRequest): string {
  return isLead(request) && request.state === 'granted'
    ? 'Run the script as it is before then: each statement runs once, without asking.'
    : NEXT[request.state];
}

export function directMessage(
  request: ApprovalRequest,
  { now, publicUrl }: { readonly now: number; readonly publicUrl: string | null },
): Message {
  const name = (part: string): string => `${request.id}:${request.version}:${part}`;
  const sentence = stateSentence(request, now);
  const blocks: Block[] = [
    section(`${ICON[request.state]} ${oneLine(headline(request), 400)}`, name('what')),
    section(`${oneLine(sentence, 400)}\n${next(request)}`, name('state')),
  ];
  if (request.state === 'granted' && request.grantExpiresAt !== null)
    blocks.push(context([mrkdwn(own`Until ${date(request.grantExpiresAt)}`)], name('until')));
  if (publicUrl !== null)
    blocks.push({
      type: 'actions',
      block_id: name('act'),
      elements: [consoleButton(publicUrl, `requests/${request.id}`, ACTION.open)],
    });
  return { text: escaped(`${request.id}: ${sentence}`, 600), blocks };
}
