/** The one renderer of a request for Slack: state in, message out, pure (DESIGN.md 13; SLACK.md "Card life"). */

import { decidedBy, STATE_NAMES } from '../approvals/about.ts';
import type { ApprovalRequest, RequestStatement } from '../approvals/types.ts';
import { clientSays, confirmSentence, headline, isCountable, needsConfirm } from '../approvals/words.ts';
import {
  type Block,
  context,
  date,
  header,
  labelled,
  type Mention,
  type Message,
  mentioned,
  mrkdwn,
  own,
  plain,
  preformatted,
  section,
} from './blocks.ts';
import { createBudget } from './budget.ts';
import { consoleButton, denyMenu } from './buttons.ts';
import { factsOf } from './facts.ts';
import { ACTION, encodeValue } from './ids.ts';
import { type SqlView, sqlView } from './sql-view.ts';
import { decisionBlocks, endedBlock, ICON, statusBlock } from './status.ts';
import { counted, escaped, hasUnseen, oneLine, thousands } from './text.ts';

export interface RenderOptions {
  readonly now: number;
  readonly publicUrl: string | null;
  /** Rendered for one reader only: without buttons. */
  readonly quiet?: boolean;
  /** Who is called while it waits. */
  readonly mention?: Mention | null;
  /** Who the owner is in Slack. */
  readonly owner?: Mention | null;
  /** There is somebody who can count what it touches. */
  readonly countable?: boolean;
}

const GRAVE: readonly string[] = ['ddl', 'dcl', 'admin', 'truncate', 'do', 'unknown'];
const SERIOUS: readonly string[] = ['delete', 'update', 'merge', 'call', 'copy', 'lock'];

export function renderCard(request: ApprovalRequest, options: RenderOptions): Message {
  const { id, state, statement, version } = request;
  const name = (part: string): string => `${id}:${version}:${part}`;
  const pending = state === 'pending';
  const asks = pending && options.quiet !== true;
  const view = sqlView(statement);
  const tidied = tidiedBlock(statement, view, name('tidy'));
  const budget = createBudget();

  // Spent in this order: what is decided on and with; where, who and what; by whom; what is said and known of it.
  const leftOut = budget.must(
    section(`Not all of it fits here: see the console or "holdpoint show ${id}".`, name('left-out')),
  );
  const head = budget.must(header(`${badge(request)} ${oneLine(statement.verb, 60)} · ${id}`, name('head')));
  const status = budget.must(statusBlock(request, name('state')));
  const buttons = budget.must(asks ? actions(request, view, options, name('act')) : null);
  const sql = budget.must(sqlBlocks(statement, view, tidied !== null, name));
  const time = budget.must(
    pending ? expiryBlock(request, name('expiry')) : endedBlock(request, name('ended')),
  );
  const { mention } = options;
  const called = budget.must(asks && mention ? mentioned('On call:', [mention], name('call')) : null);
  const facts = factsOf(request, name('facts'), budget, options.owner);
  const rules = budget.upTo(900, (room) =>
    context([plain(ruleLine(request, options.now), room)], name('rules')),
  );
  const decisions = decisionBlocks(request, name, budget);
  const words = clientSays(request);
  const says =
    words === null
      ? null
      : budget.upTo(500, (room) => labelled('The client says:', oneLine(words, room), name('says')));
  const factsBlock = facts.withEffect();
  const beside = tidied === null ? null : budget.whole(tidied);

  const shown = [head, status, ...decisions, pending ? null : time, factsBlock, beside, ...sql, says, rules];
  const last = [budget.short() ? leftOut : null, pending ? time : null, called, buttons];
  return { text: pushText(request), blocks: [...shown, ...last].filter((block) => block !== null) };
}

/** Said when Slack refuses the full card: nothing to approve on, since nothing is shown. */
export function renderStub(request: ApprovalRequest): Message {
  const name = (part: string): string => `${request.id}:${request.version}:${part}`;
  return {
    text: pushText(request),
    blocks: [
      header(`${request.id}`, name('head')),
      section(
        `Slack refused this card. See it with "holdpoint show ${request.id}" or in the console, and decide there.`,
        name('stub'),
      ),
    ],
  };
}

/** Over budget: Approve only behind "View full SQL". */
export function needsFullView(request: ApprovalRequest): boolean {
  return sqlView(request.statement).kind === 'cut';
}
/** `DELETE prod/orders · ~12,400 rows · Cursor for Alice · HP-7Q2F`, and the state once it has left pending. */
export function pushText(request: ApprovalRequest): string {
  const done = request.state === 'pending' ? '' : ` · ${STATE_NAMES[request.state]}`;
  return `${escaped(headline(request), 600)}${done}`;
}

/** What is seen first: how bad while it waits, how it ended after. */
function badge(request: ApprovalRequest): string {
  return request.state === 'pending' ? `${risk(request)} ·` : ICON[request.state];
}

export function risk(request: ApprovalRequest): string {
  const { statement } = request;
  if (statement.missingWhere || GRAVE.includes(statement.class)) return '🔴 High risk';
  if (SERIOUS.includes(statement.class) || statement.taggedColumns.length > 0) return '🟠 Risky';
  return '🟡 Held';
}

function sqlBlocks(
  statement: RequestStatement,
  view: SqlView,
  beside: boolean,
  name: (part: string) => string,
): readonly Block[] {
  const blocks: Block[] = [];
  if (view.kind === 'whole') blocks.push(preformatted(beside ? 'Exact text' : null, view.sql, name('sql')));
  else {
    const cutNote = `Too long to show: ${thousands(statement.bytes)} bytes, ${counted(statement.statementCount, 'statement')}, SHA-256 ${statement.sha256}. The full text is in the thread; approve from "View full SQL".`;
    blocks.push(preformatted('Beginning', view.head, name('sql')));
    if (view.tail !== '') blocks.push(preformatted('End', view.tail, name('tail')));
    blocks.push(section(cutNote, name('cut')));
  }
  if (view.binds !== null) blocks.push(preformatted('Bind values', view.binds, name('binds')));
  return blocks;
}
/** A form to read, beside the exact one where both are short enough to be read. */
function tidiedBlock({ tidied }: RequestStatement, view: SqlView, blockId: string): Block | null {
  if (view.kind !== 'whole' || tidied === null || hasUnseen(tidied)) return null;
  const same = tidied.trim() === view.sql.trim();
  return same || view.sql.length + tidied.length > 3000
    ? null
    : preformatted('Tidied for reading', tidied, blockId);
}

function expiryBlock({ expiresAt }: ApprovalRequest, blockId: string): Block {
  return context([mrkdwn(own`Expires ${date(expiresAt)}`)], blockId);
}

function ruleLine(request: ApprovalRequest, now: number): string {
  const { rules } = request;
  const shown = rules
    .slice(0, 6)
    .map((each) => oneLine(each, 60))
    .join(', ');
  return `${oneLine(request.reason, 250)} · rule ${shown || 'unnamed'} · decided by ${oneLine(decidedBy(request, now), 300)}`;
}

function actions(
  request: ApprovalRequest,
  view: SqlView,
  { publicUrl, countable = false }: RenderOptions,
  blockId: string,
): Block {
  const value = encodeValue(request);
  const elements: object[] = [];
  if (view.kind === 'whole')
    elements.push({
      type: 'button',
      action_id: ACTION.approve,
      style: 'primary',
      text: plain('Approve', 75),
      ...(needsConfirm(request)
        ? { value: encodeValue({ ...request, sure: true }), confirm: confirmation(request) }
        : { value }),
    });
  elements.push(denyMenu(request));
  elements.push({ type: 'button', action_id: ACTION.view, text: plain('View full SQL', 75), value });
  if (countable && isCountable(request))
    elements.push({
      type: 'button',
      action_id: ACTION.count,
      text: plain(request.impact?.counted == null ? 'Count now' : 'Count again', 75),
      value,
    });
  if (publicUrl !== null) elements.push(consoleButton(publicUrl, `requests/${request.id}`, ACTION.open));
  return { type: 'actions', block_id: blockId, elements };
}
function confirmation(request: ApprovalRequest): object {
  return {
    title: plain(`Approve ${request.id}?`, 100),
    text: plain(oneLine(confirmSentence(request), 300), 300),
    confirm: plain('Approve', 30),
    deny: plain('Go back', 30),
  };
}
