/** Who, where and what, in few lines for a phone: bold labels of ours, and beside them foreign text in which nothing is interpreted. */
import { cautions, waiterWords } from '../approvals/about.ts';
import type { ApprovalRequest } from '../approvals/types.ts';
import { impactLines, who } from '../approvals/words.ts';
import { type Block, type Line, lines, type Mention } from './blocks.ts';
import { counted, oneLine } from './text.ts';

export function factsBlock(request: ApprovalRequest, blockId: string, owner: Mention | null = null): Block {
  const all: Line[] = [
    { label: 'Who', text: oneLine(requesterLine(request), 300), mention: owner },
    { label: 'Where', text: oneLine(targetLine(request), 300) },
    { label: 'What', text: whatLine(request) },
  ];
  for (const [i, text] of effect(request).entries()) all.push({ label: i === 0 ? 'Effect' : '·', text });
  for (const note of notes(request)) all.push({ label: '⚠️', text: note });
  return lines(all, blockId);
}

/** Of the card's 8000 characters; names of characters that JSON doubles are nobody's, and count four times. */
const EFFECT_BUDGET = 1000;
/** The weightiest come first: what does not fit is in the console and in `holdpoint show`. */
function effect(request: ApprovalRequest): readonly string[] {
  const all = impactLines(request).map((line) => oneLine(line, 300));
  let left = EFFECT_BUDGET;
  const fits = all.findIndex((line) => {
    left -= 4 * JSON.stringify(line).length - 3 * line.length - 8;
    return left < 0;
  });
  if (fits < 0) return all;
  return [...all.slice(0, fits), `and ${counted(all.length - fits, 'more line')} in the console`];
}

/** `DELETE on public.orders`. */
function whatLine({ statement }: ApprovalRequest): string {
  const shown = statement.relations.slice(0, 6).map((each) => oneLine(each, 60));
  const more = statement.relations.length - shown.length;
  const names = shown.length === 0 ? '' : ` on ${shown.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
  return `${oneLine(statement.verb, 60)}${names}`;
}

function requesterLine(request: ApprovalRequest): string {
  const { ownerEmail } = request.requester;
  return who(request) + (ownerEmail === null ? '' : ` (${ownerEmail})`);
}
function targetLine({ target }: ApprovalRequest): string {
  return `${target.environment} · ${target.name} · database ${target.database} as ${target.role}`;
}

function notes(request: ApprovalRequest): readonly string[] {
  const { statement, waiterLive, state } = request;
  const { taggedColumns } = statement;
  const shown = taggedColumns.slice(0, 5).map((each) => oneLine(each, 60));
  const more = taggedColumns.length - shown.length;
  return [
    ...cautions(request).map(({ words }) => words),
    ...(shown.length === 0
      ? []
      : [`Personal data: ${shown.join(', ')}${more > 0 ? ` and ${more} more` : ''}`]),
    ...(state === 'pending' && !waiterLive ? [waiterWords(request)] : []),
  ];
}
