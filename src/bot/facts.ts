/** Who, where and what, in few lines for a phone: bold labels of ours, and beside them foreign text in which nothing is interpreted. */
import { cautions, waiterWords } from '../approvals/about.ts';
import type { ApprovalRequest } from '../approvals/types.ts';
import { impactLines, who } from '../approvals/words.ts';
import { type Block, type Line, line, lines, type Mention } from './blocks.ts';
import type { Budget } from './budget.ts';
import { counted, oneLine } from './text.ts';

/** With the effect, which comes last and takes what others leave: the weightiest lines of it, and how many are left out. */
export interface Facts {
  withEffect(): Block;
}

export function factsOf(
  request: ApprovalRequest,
  blockId: string,
  budget: Budget,
  owner: Mention | null = null,
): Facts {
  budget.must(lines([], blockId));
  const warnings = [
    ...cautions(request).map(({ words }) => budget.must(line('⚠️', words))),
    personalData(request, budget),
    waiterLine(request, budget),
  ];
  const facts = [
    budget.upTo(300, (room) => line('Who', oneLine(requesterLine(request), room), owner)),
    budget.upTo(300, (room) => line('Where', oneLine(targetLine(request), room))),
    budget.upTo(450, (room) => line('What', oneLine(whatLine(request), room))),
  ];
  return {
    withEffect: () =>
      lines(
        [...facts, ...effect(request, budget), ...warnings].filter((each) => each !== null),
        blockId,
      ),
  };
}

/** The weightiest come first: what does not fit is in the console and in `holdpoint show`. */
function effect(request: ApprovalRequest, budget: Budget): readonly Line[] {
  const all = impactLines(request).map((text, i) => line(i === 0 ? 'Effect' : '·', oneLine(text, 300)));
  return budget.first(all, (out) => line('·', `and ${counted(out, 'more line')} in the console`));
}

/** `DELETE on public.orders`. */
function whatLine({ statement }: ApprovalRequest): string {
  const names = listed(statement.relations, 6);
  return `${oneLine(statement.verb, 60)}${names === '' ? '' : ` on ${names}`}`;
}

function requesterLine(request: ApprovalRequest): string {
  const { ownerEmail } = request.requester;
  return who(request) + (ownerEmail === null ? '' : ` (${ownerEmail})`);
}
function targetLine({ target }: ApprovalRequest): string {
  return `${target.environment} · ${target.name} · database ${target.database} as ${target.role}`;
}

function personalData({ statement }: ApprovalRequest, budget: Budget): Line | null {
  const names = listed(statement.taggedColumns, 5);
  if (names === '') return null;
  return budget.upTo(350, (room) => line('⚠️', oneLine(`Personal data: ${names}`, room)));
}
function waiterLine(request: ApprovalRequest, budget: Budget): Line | null {
  const { state, waiterLive } = request;
  return state === 'pending' && !waiterLive ? budget.must(line('⚠️', waiterWords(request))) : null;
}

function listed(names: readonly string[], max: number): string {
  const shown = names.slice(0, max).map((each) => oneLine(each, 60));
  const more = names.length - shown.length;
  return `${shown.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
