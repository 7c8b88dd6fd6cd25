/** The one renderer of a request for Slack: state in, message out, pure (DESIGN.md 13; SLACK.md "Card life"). */

import { decidedBy, STATE_NAMES } from '../approvals/about.ts';
import type { ApprovalRequest } from '../approvals/types.ts';
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
import { consoleButton, denyMenu } from './buttons.ts';
import { factsBlock } from './facts.ts';
import { ACTION, encodeValue } from './ids.ts';
import { type SqlView, sqlView } from './sql-view.ts';
import { ICON, statusBlocks } from './status.ts';
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
  const { statement } = request;
  const view = sqlView(statement);
  const name = (part: string): string => `${request.id}:${request.version}:${part}`;
  const blocks: Block[] = [
    header(`${badge(request)} ${oneLine(statement.verb, 60)} · ${request.id}`, name('head')),
    ...statusBlocks(request, name),
    factsBlock(request, name('facts'), options.owner),
    ...sqlBlocks(request, view, name),
  ];
  const says = clientSays(request);
  if (says !== null) blocks.push(labelled('The client says:', oneLine(says, 500), name('says')));
  blocks.push(context([plain(ruleLine(request, options.now), 900)], name('rules')));
  if (request.state === 'pending') {
    blocks.push(context([mrkdwn(own`Expires ${date(request.expiresAt)}`)], name('expiry')));
    if (options.quiet !== true) {
      if (options.mention) blocks.push(mentioned('On call:', [options.mention], name('call')));
      blocks.push(actions(request, view, options, name('act')));
    }
  }
  return { text: pushText(request), blocks };
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

function sqlBlocks(request: ApprovalRequest, view: SqlView, name: (part: string) => string): Block[] {
  const { statement } = request;
  const blocks: Block[] = [];
  if (view.kind === 'whole') {
    const tidied = tidiedIfRoom(request, view.sql);
    if (tidied !== null) blocks.push(preformatted('Tidied for reading', tidied, name('tidy')));
    blocks.push(preformatted(tidied === null ? null : 'Exact text', view.sql, name('sql')));
  } else {
    const cutNote = `Too long to show: ${thousands(statement.bytes)} bytes, ${counted(statement.statementCount, 'statement')}, SHA-256 ${statement.sha256}. The full text is in the thread; approve from "View full SQL".`;
    blocks.push(preformatted('Beginning', view.head, name('sql')));
    if (view.tail !== '') blocks.push(preformatted('End', view.tail, name('tail')));
    blocks.push(section(cutNote, name('cut')));
  }
  if (view.binds !== null) blocks.push(preformatted('Bind values', view.binds, name('binds')));
  return blocks;
}
function tidiedIfRoom({ statement }: ApprovalRequest, exact: string): string | null {
  if (statement.tidied === null || hasUnseen(statement.tidied)) return null;
  const same = statement.tidied.trim() === exact.trim();
  return same || exact.length + statement.tidied.length > 3000 ? null : statement.tidied;
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
