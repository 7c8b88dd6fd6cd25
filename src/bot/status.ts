/** What state a request is in, and who brought it there, when and from where: the top of every card. */
import type { ApprovalRequest, Decision, Outcome, Surface } from '../approvals/types.ts';
import { type Block, context, date, mrkdwn, own, plain, section, wordsSection } from './blocks.ts';
import { counted, oneLine, thousands } from './text.ts';

const SURFACE: Readonly<Record<Surface, string>> = {
  slack: 'Slack',
  console: 'the console',
  cli: 'the command line',
  api: 'the API',
};

export function statusBlocks(request: ApprovalRequest, name: (part: string) => string): readonly Block[] {
  const blocks: Block[] = [statusLine(request, name('state'))];
  request.decisions.slice(-4).forEach((decision, index) => {
    blocks.push(
      context(
        [plain(decisionLine(decision), 400), mrkdwn(own`${date(decision.at)}`)],
        name(`decision${index}`),
      ),
    );
  });
  if (request.endedAt !== null)
    blocks.push(context([mrkdwn(own`Ended ${date(request.endedAt)}`)], name('ended')));
  return blocks;
}

function statusLine(request: ApprovalRequest, blockId: string): Block {
  const { state, outcome, note } = request;
  const because = note === null ? '' : `: ${oneLine(note, 300)}`;
  switch (state) {
    case 'pending':
      return section(`⏳ Waiting for approval${progress(request)}`, blockId);
    case 'granted':
      if (request.waiterLive) return section('✅ Approved, about to run', blockId);
      if (request.grantExpiresAt === null) return section('✅ Approved, not run, waiting for retry', blockId);
      return wordsSection(
        own`✅ Approved, not run, waiting for retry until ${date(request.grantExpiresAt)}`,
        blockId,
      );
    case 'executing':
      return section(
        outcome === null
          ? '▶️ Approved, running'
          : `▶️ Ran (${outcomeWords(outcome)}), its transaction is still open`,
        blockId,
      );
    case 'executed':
      return section(`✅ Executed${outcome === null ? '' : `: ${outcomeWords(outcome)}`}`, blockId);
    case 'failed':
      return section(
        `❌ Approved, failed${outcome === null ? because : `: ${outcomeWords(outcome)}`}`,
        blockId,
      );
    case 'unknown':
      return section(`❓ Approved, outcome unknown${because || ': the connection was lost'}`, blockId);
    case 'denied':
      return section('⛔ Denied. Not run', blockId);
    case 'expired':
      return section('⌛ Expired before anyone decided. Not run', blockId);
    case 'withdrawn':
      return section(`🚫 Withdrawn${because}. Not run`, blockId);
    case 'lapsed':
      return section('⌛ Approved, but not retried in time. Not run', blockId);
  }
}

function progress(request: ApprovalRequest): string {
  const { quorum } = request.terms;
  const approved = request.decisions.filter((each) => each.effect === 'approve').length;
  return quorum > 1 ? ` (${approved} of ${quorum})` : '';
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
