/** The one renderer of a request for Slack: state in, message out, pure (DESIGN.md 13; SLACK.md "Card life"). */
import type { ApprovalRequest } from '../approvals/types.ts';
import { clientSays, headline, needsConfirm, who } from '../approvals/words.ts';
import {
  type Block,
  context,
  date,
  fields,
  header,
  labelled,
  type Message,
  mrkdwn,
  own,
  plain,
  preformatted,
  section,
} from './blocks.ts';
import { ACTION, DENY_REASONS, encodeChoice, encodeValue } from './ids.ts';
import { type SqlView, sqlView } from './sql-view.ts';
import { statusBlocks } from './status.ts';
import { counted, escaped, hasUnseen, oneLine, thousands } from './text.ts';

export interface RenderOptions {
  readonly now: number;
  readonly publicUrl: string | null;
  /** Rendered for one reader only: without buttons. */
  readonly quiet?: boolean;
}

const GRAVE: readonly string[] = ['ddl', 'dcl', 'admin', 'truncate', 'do', 'unknown'];
const SERIOUS: readonly string[] = ['delete', 'update', 'merge', 'call', 'copy'];

export function renderCard(request: ApprovalRequest, options: RenderOptions): Message {
  const { statement } = request;
  const view = sqlView(statement);
  const name = (part: string): string => `${request.id}:${request.version}:${part}`;
  const blocks: Block[] = [
    header(`${risk(request)} · ${oneLine(statement.verb, 60)} · ${request.id}`, name('head')),
    ...statusBlocks(request, name),
    fields(
      [
        `Who\n${oneLine(requesterLine(request), 300)}`,
        `Where\n${oneLine(targetLine(request), 300)}`,
        `What\n${whatLine(request)}`,
        ...notes(request).map((each) => `Note\n${each}`),
      ],
      name('facts'),
    ),
    ...sqlBlocks(request, view, name),
  ];
  const says = clientSays(request);
  if (says !== null) blocks.push(labelled('The client says:', oneLine(says, 500), name('says')));
  blocks.push(context([plain(ruleLine(request), 700)], name('rules')));
  if (request.state === 'pending') {
    blocks.push(context([mrkdwn(own`Expires ${date(request.expiresAt)}`)], name('expiry')));
    if (options.quiet !== true) blocks.push(actions(request, view, options.publicUrl, name('act')));
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
/** `DELETE shop/orders · Cursor for Alice · HP-7Q2F`, and the state once it has left pending. */
export function pushText(request: ApprovalRequest): string {
  const done = request.state === 'pending' ? '' : ` · ${request.state}`;
  return `${escaped(headline(request), 600)}${done}`;
}

export function risk(request: ApprovalRequest): string {
  const { statement } = request;
  if (statement.missingWhere || GRAVE.includes(statement.class)) return '🔴 High risk';
  if (SERIOUS.includes(statement.class) || statement.taggedColumns.length > 0) return '🟠 Risky';
  return '🟡 Held';
}

function requesterLine(request: ApprovalRequest): string {
  const { ownerEmail } = request.requester;
  return who(request) + (ownerEmail === null ? '' : ` (${ownerEmail})`);
}
function targetLine({ target }: ApprovalRequest): string {
  return `${target.environment} · ${target.name} · database ${target.database} as ${target.role}`;
}
function whatLine({ statement }: ApprovalRequest): string {
  const shown = statement.relations.slice(0, 6).map((each) => oneLine(each, 60));
  const more = statement.relations.length - shown.length;
  const names = shown.length === 0 ? '' : ` on ${shown.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
  const several = statement.statementCount > 1 ? ` · ${counted(statement.statementCount, 'statement')}` : '';
  return `${oneLine(statement.verb, 60)}${names}${several}`;
}
function notes({ statement, waiterLive, state }: ApprovalRequest): readonly string[] {
  const all: string[] = [];
  if (statement.missingWhere) all.push('No WHERE: every row');
  if (statement.taggedColumns.length > 0) {
    const shown = statement.taggedColumns.slice(0, 5).map((each) => oneLine(each, 60));
    const more = statement.taggedColumns.length - shown.length;
    all.push(`Sensitive columns: ${shown.join(', ')}${more > 0 ? ` and ${more} more` : ''}`);
  }
  if (statement.transaction === 'open') all.push('Inside an open transaction');
  if (statement.snapshotPredates) all.push('Its snapshot is older than your approval will be');
  if (hasUnseen(statement.sql)) all.push('Invisible or reordering characters, written as ⟨U+…⟩');
  if (state === 'pending' && !waiterLive)
    all.push('The client waits no longer: approval lets one retry through');
  return all;
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

function ruleLine(request: ApprovalRequest): string {
  const { rules, terms } = request;
  const shown = rules
    .slice(0, 6)
    .map((each) => oneLine(each, 60))
    .join(', ');
  const quorum = terms.quorum > 1 ? ` · ${counted(terms.quorum, 'approval')} needed` : '';
  const groups = terms.approverGroups
    .slice(0, 5)
    .map((each) => oneLine(each, 40))
    .join(', ');
  const by = groups === '' ? '' : ` · approvers: ${groups}`;
  return `${oneLine(request.reason, 250)} · rule ${shown || 'unnamed'}${quorum}${by}`;
}

function actions(request: ApprovalRequest, view: SqlView, publicUrl: string | null, blockId: string): Block {
  const value = encodeValue(request);
  const elements: object[] = [];
  if (view.kind === 'whole')
    elements.push({
      type: 'button',
      action_id: ACTION.approve,
      style: 'primary',
      text: plain('Approve', 75),
      value,
      ...(needsConfirm(request) ? { confirm: confirmation(request) } : {}),
    });
  elements.push({
    type: 'static_select',
    action_id: ACTION.deny,
    placeholder: plain('Deny…', 150),
    options: DENY_REASONS.map((each) => ({
      text: plain(each.label, 75),
      value: encodeChoice(request, each.code),
    })),
  });
  elements.push({ type: 'button', action_id: ACTION.view, text: plain('View full SQL', 75), value });
  if (publicUrl !== null)
    elements.push({
      type: 'button',
      action_id: ACTION.open,
      text: plain('Open in console', 75),
      url: `${publicUrl.replace(/\/+$/, '')}/requests/${request.id}`,
      value,
    });
  return { type: 'actions', block_id: blockId, elements };
}
function confirmation(request: ApprovalRequest): object {
  const { statement, target } = request;
  const all = statement.missingWhere || statement.class === 'truncate' ? ' It touches every row.' : '';
  return {
    title: plain(`Approve ${request.id}?`, 100),
    text: plain(`${oneLine(whatLine(request), 180)} in ${oneLine(target.environment, 40)}.${all}`, 300),
    confirm: plain('Approve', 30),
    deny: plain('Go back', 30),
  };
}
