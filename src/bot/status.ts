/** What state a request is in, and who brought it there, when and from where: the top of every card. */
import { isLead } from '../approvals/bundle.ts';
import type { ApprovalRequest, Decision, Outcome, RequestState, Surface } from '../approvals/types.ts';
import { progress } from '../approvals/words.ts';
import { type Block, context, date, mrkdwn, own, plain, section, wordsSection } from './blocks.ts';
import type { Budget } from './budget.ts';
import { counted, oneLine, thousands } from './text.ts';

const SURFACE: Readonly<Record<Surface, string>> = {
  slack: 'Slack',
  console: 'the console',
  cli: 'the command line',
  api: 'the API',
};

/** The latest decisions, as many as there is room for. */
export function decisionBlocks(
  { decisions }: ApprovalRequest,
  name: (part: string) => string,
  budget: Budget,
): readonly Block[] {
  const latest = decisions.slice(-4).map((decision, index) => {
    const when = mrkdwn(own`${date(decision.at)}`);
    return context([plain(decisionLine(decision), 400), when], name(`decision${index}`));
  });
  const earlier = (out: number): Block =>
    context([plain(`and ${counted(out, 'earlier decision')} in the console`, 100)], name('earlier'));
  return budget.first(latest.toReversed(), earlier, decisions.length).toReversed();
}

/** Of a denial its decision says when. */
export function endedBlock({ endedAt, state }: ApprovalRequest, blockId: string): Block | null {
  return endedAt === null || state === 'denied'
    ? null
    : context([mrkdwn(own`Ended ${date(endedAt)}`)], blockId);
}

export const ICON: Readonly<Record<RequestState, string>> = {
  pending: '⏳',
  granted: '✅',
  executing: '▶️',
  executed: '✅',
  failed: '❌',
  unknown: '❓',
  denied: '⛔',
  expired: '⌛',
  withdrawn: '🚫',
  lapsed: '⌛',
};

export function statusBlock(request: ApprovalRequest, blockId: string): Block {
  const { state, outcome, note } = request;
  const because = note === null ? '' : `: ${oneLine(note, 300)}`;
  const say = (words: string): Block => section(`${ICON[state]} ${words}`, blockId);
  switch (state) {
    case 'pending':
      return say(waiting(request));
    case 'granted':
      if (isLead(request))
        return say(`Approved. ${because === '' ? 'None run yet' : oneLine(note ?? '', 300)}`);
      if (request.waiterLive) return say('Approved, about to run');
      if (request.grantExpiresAt === null) return say('Approved, not run, waiting for retry');
      return wordsSection(
        own`✅ Approved, not run, waiting for retry until ${date(request.grantExpiresAt)}`,
        blockId,
      );
    case 'executing':
      return say(
        outcome === null
          ? 'Approved, running'
          : `Ran (${outcomeWords(outcome)}), its transaction is still open`,
      );
    case 'executed':
      return say(`Executed${outcome === null ? because : `: ${outcomeWords(outcome)}`}`);
    case 'failed':
      return say(`Approved, failed${outcome === null ? because : `: ${outcomeWords(outcome)}`}`);
    case 'unknown':
      return say(`Approved, outcome unknown${because || ': the connection was lost'}`);
    case 'denied':
      return say('Denied. Not run');
    case 'expired':
      return say('Expired before anyone decided. Not run');
    case 'withdrawn':
      return say(`Withdrawn${because}. Not run`);
    case 'lapsed':
      return say('Approved, but not retried in time. Not run');
  }
}

function waiting(request: ApprovalRequest): string {
  const owed = progress(request);
  return `Waiting for approval${owed === null ? '' : `: ${oneLine(owed, 500)}`}`;
}

/** `12 rows in 34 ms`, `SQLSTATE 23503 after 2 ms`. */
export function outcomeWords(outcome: Outcome): string {
  const ms = `${thousands(Math.max(0, Math.round(outcome.ms)))} ms`;
  if (outcome.code !== null) return `SQLSTATE ${oneLine(outcome.code, 10)} after ${ms}`;
  if (outcome.rows !== null) return `${counted(outcome.rows, 'row')} in ${ms}`;
  return `${outcome.tag === null ? 'done' : oneLine(outcome.tag, 60)} in ${ms}`;
}

function decisionLine(decision: Decision): string {
  const verb = decision.effect === 'approve' ? 'Approved' : 'Denied';
  const reason = decision.reason === null ? '' : `: ${oneLine(decision.reason, 200)}`;
  return `${verb} by ${oneLine(decision.approverName, 80)} in ${SURFACE[decision.surface]}${reason}`;
}
