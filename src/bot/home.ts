/** App Home: what waits for the reader, what is theirs, what was decided. Made anew when it is opened, and after what they do. */
import { authorise } from '../approvals/authorise.ts';
import { isPart } from '../approvals/bundle.ts';
import type { ApprovalRequest, Approver, Person } from '../approvals/types.ts';
import { headline, progress, stateSentence } from '../approvals/words.ts';
import { deciders, isOf } from './access.ts';
import { text } from './answers.ts';
import { type Block, context, date, header, mrkdwn, own, plain, section } from './blocks.ts';
import { denyMenu } from './buttons.ts';
import { ACTION, encodeValue } from './ids.ts';
import { type SlackApi, SlackFailure } from './slack-api.ts';
import type { Tapper } from './tapper.ts';
import { oneLine } from './text.ts';
import type { BotDeps } from './types.ts';

/** Of a hundred blocks: three each of what waits, two each of the others. */
const SHOWN = 12;
const RECENT = 8;
/** Whose Home is kept up to date after what they do: those who opened it, the latest ones. */
const VIEWERS = 500;

export interface Home {
  /** Slack says that somebody opened it. */
  opened(body: unknown): Promise<void>;
  /** With a sentence at its top for what has no other place to be said. */
  show(userId: string, teamId: string | null, notice: string): Promise<void>;
  /** They did something elsewhere: their Home, where they use it, shows it. */
  touch(userId: string, teamId: string | null): Promise<void>;
}

export interface HomeContent {
  readonly notice: string | null;
  /** null: no approver. */
  readonly waiting: readonly ApprovalRequest[] | null;
  /** null: nobody knows which are theirs. */
  readonly mine: readonly ApprovalRequest[] | null;
  readonly recent: readonly ApprovalRequest[];
}

export function createHome(
  deps: Pick<BotDeps, 'desk' | 'log' | 'now'> & { readonly api: SlackApi; readonly tapper: Tapper },
): Home {
  const { api, desk, log, now, tapper } = deps;
  const viewers = new Set<string>();
  /** What was said at the top of their Home just now: it stays until they do something else. */
  const said = new Set<string>();

  async function show(userId: string, teamId: string | null, notice: string | null): Promise<void> {
    try {
      const blocks = await content(userId, teamId, notice);
      await api.call('views.publish', { user_id: userId, view: { type: 'home', blocks } });
    } catch (error) {
      const why = error instanceof SlackFailure ? error.message : 'unexpected failure';
      log.warn({ why }, 'App Home was not refreshed');
    }
  }

  async function content(userId: string, teamId: string | null, notice: string | null) {
    const member = await tapper.member(userId, teamId);
    if (member.kind === 'refused') return [section(member.sentence, 'home')];
    const lists = await Promise.all([
      desk.list({ states: ['pending', 'granted', 'executing'], limit: 200 }),
      desk.list({ states: ['executed', 'failed', 'unknown', 'denied', 'lapsed', 'expired'], limit: 100 }),
    ]);
    const [open, over] = lists.map((list) => list.filter((one) => !isPart(one)));
    const wanted = [...new Set((open ?? []).flatMap(deciders))].slice(0, 50);
    const approver = await tapper.approver(userId, teamId, wanted);
    const owner = await tapper.person(userId, teamId);
    const me = owner.kind === 'person' ? owner.person : null;
    const mine = (one: ApprovalRequest) => isOf(one, me, member.member);
    return homeBlocks(
      {
        notice,
        waiting: approver.kind === 'approver' ? waitingFor(approver.approver, open ?? []) : null,
        mine: (open ?? []).filter(mine),
        recent: (over ?? []).filter((one) => approver.kind === 'approver' || mine(one)),
      },
      { now: now(), me },
    );
  }

  return {
    async opened(body) {
      if (text(body, 'event', 'tab') !== 'home') return;
      const userId = text(body, 'event', 'user') ?? '';
      if (viewers.size >= VIEWERS) viewers.clear();
      viewers.add(userId);
      await show(userId, text(body, 'team_id'), null);
    },
    async show(userId, teamId, notice) {
      said.add(userId);
      await show(userId, teamId, notice);
    },
    async touch(userId, teamId) {
      if (!said.delete(userId) && viewers.has(userId)) await show(userId, teamId, null);
    },
  };
}

/** Oldest first: those that this approver's decision would count for. */
function waitingFor(approver: Approver, open: readonly ApprovalRequest[]): readonly ApprovalRequest[] {
  return open
    .filter((one) => one.state === 'pending' && authorise(one, approver, 'approve', []).kind === 'counts')
    .reverse();
}

export function homeBlocks(
  { notice, waiting, mine, recent }: HomeContent,
  { now, me }: { readonly now: number; readonly me: Person | null },
): readonly Block[] {
  const blocks: Block[] = [];
  if (notice !== null) blocks.push(section(`ℹ️ ${oneLine(notice, 1000)}`, 'notice'), { type: 'divider' });
  if (waiting !== null) {
    blocks.push(header('Waiting for me', 'waiting'));
    if (waiting.length === 0) blocks.push(section('Nothing waits for your decision. 🎉', 'waiting:none'));
    for (const one of waiting.slice(0, SHOWN)) {
      blocks.push(...entry(one, 'w'));
      const elements = [viewButton(one), denyMenu(one)];
      blocks.push({ type: 'actions', block_id: `w:${one.id}:${one.version}:act`, elements });
    }
    blocks.push(...more(waiting, 'w'));
  }
  blocks.push(header('Mine', 'mine'));
  if (mine === null || (mine.length === 0 && me === null))
    blocks.push(
      section('Which requests are yours is known once your account is linked: /hoop link', 'mine:unlinked'),
    );
  else if (mine.length === 0) blocks.push(section('You have asked for nothing that is open.', 'mine:none'));
  for (const one of (mine ?? []).slice(0, SHOWN))
    blocks.push(...entry(one, 'm', me === null ? viewButton(one) : withdrawButton(one)));
  blocks.push(...more(mine ?? [], 'm'));
  blocks.push(header('Recent decisions', 'recent'));
  if (recent.length === 0) blocks.push(section('None yet.', 'recent:none'));
  for (const one of recent.slice(0, RECENT)) {
    blocks.push(section(oneLine(headline(one), 300), `r:${one.id}`));
    blocks.push(context([plain(stateSentence(one, now), 400)], `r:${one.id}:state`));
  }
  return blocks;
}

function entry(request: ApprovalRequest, part: string, button?: object): readonly Block[] {
  const owed = progress(request);
  const words =
    request.state === 'pending'
      ? `Waiting${owed === null ? '' : `: ${oneLine(owed, 300)}`}`
      : request.waiterLive
        ? 'Approved, running'
        : 'Approved: send it again, it runs once';
  const until = request.state === 'pending' ? request.expiresAt : request.grantExpiresAt;
  return [
    {
      ...section(oneLine(headline(request), 300), `${part}:${request.id}`),
      ...(button === undefined ? {} : { accessory: button }),
    },
    context(
      [plain(words, 400), ...(until === null ? [] : [mrkdwn(own`until ${date(until)}`)])],
      `${part}:${request.id}:until`,
    ),
  ];
}
function more(all: readonly ApprovalRequest[], part: string): readonly Block[] {
  if (all.length <= SHOWN) return [];
  return [section(`and ${all.length - SHOWN} more: /hoop pending`, `${part}:more`)];
}

function viewButton(request: ApprovalRequest): object {
  return {
    type: 'button',
    action_id: ACTION.view,
    text: plain('View', 75),
    value: encodeValue(request),
  };
}
function withdrawButton(request: ApprovalRequest): object {
  return {
    type: 'button',
    action_id: ACTION.withdraw,
    text: plain('Withdraw', 75),
    value: encodeValue(request),
    confirm: {
      title: plain(`Withdraw ${request.id}?`, 100),
      text: plain('Nobody is asked any more, and it does not run.', 300),
      confirm: plain('Withdraw', 30),
      deny: plain('Keep it', 30),
    },
  };
}
