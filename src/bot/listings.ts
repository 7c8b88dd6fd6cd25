/** What `/hoop` answers with: sessions, pending requests, the policy, what a request hides. */
import type { ApprovalRequest, RequestStatement } from '../approvals/types.ts';
import { headline } from '../approvals/words.ts';
import {
  type Block,
  context,
  date,
  type Message,
  mrkdwn,
  own,
  plain,
  preformatted,
  section,
} from './blocks.ts';
import { createBudget } from './budget.ts';
import { ACTION } from './ids.ts';
import { modalTexts } from './sql-view.ts';
import { counted, escaped, oneLine } from './text.ts';
import type { PolicySummary, SessionRow } from './types.ts';

export const SHOWN = 15;

export function sessionsMessage(
  owner: string,
  rows: readonly SessionRow[],
  { publicUrl, held }: { readonly publicUrl: string | null; readonly held: boolean },
): Message {
  const which = held ? ' that asked for an approval (auditors see all)' : '';
  if (rows.length === 0) {
    const none = `No sessions of ${oneLine(owner, 200)} in that time${which}.`;
    return { text: escaped(none, 400), blocks: [section(none, 'sessions')] };
  }
  const title = `Sessions of ${oneLine(owner, 200)}${which}${rows.length > SHOWN ? `, the latest ${SHOWN}` : ''}`;
  const entries = rows
    .slice(0, SHOWN)
    .map((row, index) => [
      sessionBlock(row, publicUrl, index),
      context([mrkdwn(own`${date(row.startedAt)}`), plain(sessionCounts(row), 300)], `counts${index}`),
    ]);
  const more = (out: number): string => `and ${out} more: ask for a shorter time`;
  return { text: escaped(title, 400), blocks: listed([section(title, 'sessions')], entries, more) };
}

/** A title, as many entries as a message may have, and how many are left out. */
function listed(
  title: readonly Block[],
  entries: readonly (readonly Block[])[],
  more: (out: number) => string,
  all?: number,
): readonly Block[] {
  const budget = createBudget();
  const head = budget.must(title);
  return [...head, ...budget.first(entries, (out) => [section(more(out), 'more')], all).flat()];
}

function sessionBlock(row: SessionRow, publicUrl: string | null, index: number): Block {
  const person = row.ownerName ?? row.ownerEmail ?? row.subject;
  const name = oneLine(row.agent === null ? person : `${row.agent} for ${person}`, 150);
  const where = `${oneLine(row.environment, 40)}/${oneLine(row.target, 60)}`;
  const id = oneLine(row.id, 80);
  const link =
    publicUrl === null
      ? { type: 'text', text: `holdpoint session ${id}`, style: { code: true } }
      : {
          type: 'link',
          url: `${publicUrl.replace(/\/+$/, '')}/sessions/${encodeURIComponent(row.id)}`,
          text: id,
        };
  return {
    type: 'rich_text',
    block_id: `session${index}`,
    elements: [
      { type: 'rich_text_section', elements: [{ type: 'text', text: `${name} on ${where} · ` }, link] },
    ],
  };
}
function sessionCounts(row: SessionRow): string {
  const state = row.endedAt === null ? 'open' : 'ended';
  const counts = `${row.held} held, ${row.denied} denied, ${counted(row.errors, 'error')}`;
  return `${state} · ${counted(row.statements, 'statement')}, ${counts}`;
}

export function linkMessage(url: string): Message {
  const words =
    'Log in to the console and confirm that this Slack account is yours. The address is for you alone.';
  return {
    text: words,
    blocks: [
      section(words, 'link'),
      {
        type: 'actions',
        block_id: 'link:open',
        elements: [{ type: 'button', action_id: ACTION.open, text: plain('Log in', 75), url }],
      },
    ],
  };
}

const EFFECTS = [
  ['hold', 'Waits for approval'],
  ['mask', 'Masked, which waits until masking is there'],
  ['deny', 'Refused'],
] as const;

export function policyMessage(policies: readonly PolicySummary[]): Message {
  const entries = policies.slice(0, 8).map(policyBlocks);
  const more = (out: number): string => `and ${out} more: name one`;
  return { text: 'The policy in force', blocks: listed([], entries, more, policies.length) };
}
function policyBlocks(one: PolicySummary): readonly Block[] {
  const preset = `preset ${oneLine(one.preset, 40)}${one.observed ? ', observed only' : ''}`;
  const title = `${oneLine(one.target, 60)} · ${preset} · version ${oneLine(one.version, 20)}`;
  const blocks: Block[] = [section(title, `policy:${one.target}`)];
  for (const [effect, label] of EFFECTS) {
    const rules = one.rules
      .filter((rule) => rule.effect === effect)
      .map((rule) => `${oneLine(rule.name, 60)}${rule.observed ? ' (observed)' : ''}`);
    const classes = one.defaults.filter((each) => each.effect === effect).map((each) => each.name);
    const parts = [
      ...(classes.length === 0 ? [] : [`by default ${classes.slice(0, 30).join(', ')}`]),
      ...(rules.length === 0 ? [] : [`rules ${firstOf(rules, 12)}`]),
    ];
    if (parts.length > 0)
      blocks.push(section(oneLine(`${label}: ${parts.join('; ')}`, 900), `policy:${one.target}:${effect}`));
  }
  return [...blocks, changeBlock(one)];
}
function changeBlock({ target, change }: PolicySummary): Block {
  const id = `policy:${target}:change`;
  if (change === null) return context([plain('Not changed since it was started.', 200)], id);
  const by = change.author === null ? 'through its file' : `by ${oneLine(change.author, 80)}`;
  return context([plain(`Last changed ${by}`, 200), mrkdwn(own`${date(change.at)}`)], id);
}
function firstOf(all: readonly string[], max: number): string {
  return `${all.slice(0, max).join(', ')}${all.length > max ? ` and ${all.length - max} more` : ''}`;
}

export function pendingMessage(requests: readonly ApprovalRequest[]): Message {
  if (requests.length === 0)
    return { text: 'Nothing waits.', blocks: [section('Nothing waits for a decision.', 'pending')] };
  const title = `${counted(requests.length, 'request')} waiting`;
  const entries = requests
    .slice(0, SHOWN)
    .map((request) => [
      section(oneLine(headline(request), 400), `pending:${request.id}`),
      context([mrkdwn(own`Expires ${date(request.expiresAt)}`)], `expiry:${request.id}`),
    ]);
  const more = (out: number): string => `and ${out} more: holdpoint pending`;
  return {
    text: escaped(title, 200),
    blocks: listed([section(title, 'pending')], entries, more, requests.length),
  };
}

/** Ephemeral: for one approver whom policy lets look. */
export function revealedMessage(id: string, statement: RequestStatement): Message {
  const parts = modalTexts(statement);
  const title = `What ${id} hides, for you alone: it is recorded that you were shown it.`;
  const long = `What ${id} hides is too long for Slack: see it in the console, or with "holdpoint reveal ${id}".`;
  const blocks =
    parts === null
      ? null
      : createBudget().whole([
          section(title, 'revealed'),
          ...parts.sql.map((part, i) => preformatted(null, part, `sql${i}`)),
          ...parts.binds.map((part, i) => preformatted(i === 0 ? 'Bind values' : null, part, `binds${i}`)),
        ]);
  return blocks === null ? { text: long, blocks: [section(long, 'revealed')] } : { text: title, blocks };
}
