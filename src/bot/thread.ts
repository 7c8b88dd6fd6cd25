/** What goes under a card: the session-log link when it is posted, the outcome when it ends. */
import type { ApprovalRequest, RequestState } from '../approvals/types.ts';
import { progress, stateSentence } from '../approvals/words.ts';
import {
  type Block,
  context,
  date,
  type Mention,
  type Message,
  mentioned,
  mrkdwn,
  own,
  section,
} from './blocks.ts';
import { escaped, hasUnseen, oneLine } from './text.ts';

const OVER: readonly RequestState[] = [
  'executed',
  'failed',
  'unknown',
  'denied',
  'expired',
  'withdrawn',
  'lapsed',
];
export function isOver(request: ApprovalRequest): boolean {
  return OVER.includes(request.state);
}

/** A link carries no authority; without a public URL the command is named instead of a dead link. */
export function sessionNote(request: ApprovalRequest, publicUrl: string | null, now: number): Message {
  const outcome = isOver(request) ? outcomeNote(request, now).blocks : [];
  const id = oneLine(request.sessionId, 80);
  const target =
    publicUrl === null
      ? { type: 'text', text: `holdpoint session ${id}`, style: { code: true } }
      : {
          type: 'link',
          url: `${publicUrl.replace(/\/+$/, '')}/sessions/${encodeURIComponent(request.sessionId)}`,
          text: `session ${id}`,
        };
  return {
    text: escaped(`Session log: ${publicUrl === null ? 'holdpoint session ' : 'session '}${id}`, 300),
    blocks: [
      {
        type: 'rich_text',
        block_id: `${request.id}:session`,
        elements: [
          { type: 'rich_text_section', elements: [{ type: 'text', text: 'Session log: ' }, target] },
        ],
      },
      ...outcome,
    ],
  };
}

/** Half of the time is over. */
export function reminderNote(request: ApprovalRequest, who: readonly Mention[]): Message {
  const owed = progress(request);
  return called(
    request,
    'reminder',
    who,
    `⏰ ${request.id} still waits for a decision${owed === null ? '' : `: ${oneLine(owed, 400)}`}.`,
  );
}
/** Others may decide it as well now. */
export function escalationNote(request: ApprovalRequest, who: readonly Mention[]): Message {
  const groups = (request.terms.escalation?.groups ?? []).slice(0, 5).map((one) => oneLine(one, 40));
  const also = groups.length === 0 ? 'more people' : groups.join(', ');
  return called(
    request,
    'escalation',
    who,
    `⏫ ${request.id} was not decided in time: ${also} may decide it now.`,
  );
}
function called(request: ApprovalRequest, part: string, who: readonly Mention[], words: string): Message {
  const name = (what: string): string => `${request.id}:${part}:${what}`;
  const [first, ...others] = who;
  const blocks: Block[] = [
    first === undefined ? section(words, name('words')) : mentioned(words, [first, ...others], name('words')),
    context([mrkdwn(own`Expires ${date(request.expiresAt)}`)], name('expiry')),
  ];
  return { text: escaped(words, 600), blocks };
}

export function outcomeNote(request: ApprovalRequest, now: number): Message {
  const sentence = `${request.id}: ${stateSentence(request, now)}`;
  return {
    text: escaped(sentence, 600),
    blocks: [section(oneLine(sentence, 600), `${request.id}:outcome`)],
  };
}

/** Comment of the file with the full text; own words only (Slack reads it as mrkdwn). */
export function fileComment(request: ApprovalRequest): string {
  const warning = hasUnseen(request.statement.sql)
    ? ' It has invisible or reordering characters: "View full SQL" spells them out.'
    : '';
  return `Full SQL of ${request.id}.${warning}`;
}
