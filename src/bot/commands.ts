/** `/hoop …`: ephemeral, under the same authoriser as the buttons (SLACK.md "Commands"). */
import type { ApprovalRequest, Person } from '../approvals/types.ts';
import { needsConfirm, stateSentence } from '../approvals/words.ts';
import { deciders, isOf } from './access.ts';
import type { Actions } from './actions.ts';
import { type Answer, type Listener, text } from './answers.ts';
import { section } from './blocks.ts';
import { needsFullView, renderCard } from './cards.ts';
import { parseRequestId } from './ids.ts';
import {
  linkMessage,
  pendingMessage,
  policyMessage,
  revealedMessage,
  SHOWN,
  sessionsMessage,
} from './listings.ts';
import type { ApproverResult, Tapper } from './tapper.ts';
import { escaped, oneLine } from './text.ts';
import type { BotDeps } from './types.ts';

const HELP = [
  '/hoop sessions [@alice or e-mail] [24h, 7d]: recorded sessions',
  '/hoop pending: requests that wait for a decision',
  '/hoop show HP-7Q2F: one request',
  '/hoop approve HP-7Q2F · /hoop deny HP-7Q2F reason: decide',
  '/hoop reveal HP-7Q2F: what its placeholders stand for, to you alone, where policy lets you look',
  '/hoop withdraw HP-7Q2F: take back a request of yours',
  '/hoop policy [target]: what waits, and who changed that last (approvers)',
  '/hoop link: tie your Slack account to who you are at the console',
  '/hoop help: this',
].join('\n');
const APPROVERS_ONLY = 'Only approvers see what belongs to others. Try it without a name, for your own.';
const STORE_DOWN = 'Holdpoint cannot reach its store right now. Please try again in a moment.';
const NO_CONSOLE =
  'The console of this installation has no address that people can open. Ask whoever runs Holdpoint to set HOLDPOINT_PUBLIC_URL, or to list you by Slack id.';
const WEEK_MS = 7 * 24 * 3_600_000;

interface Call {
  readonly to: Listener;
  readonly teamId: string | null;
  readonly words: readonly string[];
}

export function createCommands(
  deps: Pick<BotDeps, 'desk' | 'config' | 'linking' | 'policies' | 'revealer' | 'sessions' | 'now'> & {
    readonly tapper: Tapper;
    readonly actions: Actions;
    readonly answer: Answer;
  },
): (body: unknown) => Promise<void> {
  const { actions, answer, config, desk, linking, now, policies, revealer, sessions, tapper } = deps;

  async function listSessions(call: Call): Promise<void> {
    const caller = await tapper.member(call.to.userId, call.teamId);
    if (caller.kind === 'refused') return await answer(call.to, caller.sentence);
    const subject = call.words.find((word) => span(word) === null) ?? null;
    const since = call.words.map(span).find((each) => each !== null) ?? WEEK_MS;
    let owner = caller.member.email;
    let held = false;
    if (subject !== null) {
      const named = await ownerOf(subject, call.teamId);
      if (named.kind === 'unknown') return await answer(call.to, named.sentence);
      if (named.owner !== owner) {
        const who = await approver(call);
        if (who.kind === 'refused') return await answer(call.to, APPROVERS_ONLY);
        held = !who.auditor;
      }
      owner = named.owner;
    }
    if (owner === null)
      return await answer(
        call.to,
        'Slack knows no confirmed e-mail of yours. Name one: /hoop sessions alice@example.com',
      );
    const only = held ? ({ held } as const) : {};
    const rows = await sessions.list({ owner, since: now() - since, ...only, limit: SHOWN + 1 });
    await answer(call.to, sessionsMessage(owner, rows, { publicUrl: config.publicUrl, held }));
  }

  async function ownerOf(
    word: string,
    teamId: string | null,
  ): Promise<
    | { readonly kind: 'owner'; readonly owner: string }
    | { readonly kind: 'unknown'; readonly sentence: string }
  > {
    const mention = /^<@([UW][A-Z0-9]{1,30})(?:\|[^>]*)?>$/.exec(word)?.[1];
    if (mention !== undefined) {
      const named = await tapper.member(mention, teamId);
      if (named.kind === 'member' && named.member.email !== null)
        return { kind: 'owner', owner: named.member.email };
      return {
        kind: 'unknown',
        sentence: 'Slack has no confirmed e-mail of that member. Give the e-mail instead.',
      };
    }
    // Slack turns a bare e-mail into <mailto:a@b|a@b>.
    const email = /^(?:<mailto:)?([^\s<>|@]{1,64}@[^\s<>|@]{1,190})(?:\|[^>]*>|>)?$/.exec(word)?.[1];
    if (email !== undefined) return { kind: 'owner', owner: email.toLowerCase() };
    return { kind: 'unknown', sentence: 'Name a person by @mention or e-mail: /hoop sessions @alice' };
  }

  async function approver(call: Call, ...requests: readonly ApprovalRequest[]): Promise<ApproverResult> {
    const wanted = [...new Set(requests.flatMap(deciders))].slice(0, 50);
    return await tapper.approver(call.to.userId, call.teamId, wanted);
  }
  async function personOf(call: Call): Promise<Person | null> {
    const found = await tapper.person(call.to.userId, call.teamId);
    return found.kind === 'person' ? found.person : null;
  }

  /** An approver sees all that wait, anybody else their own. */
  async function pending(call: Call): Promise<void> {
    const caller = await tapper.member(call.to.userId, call.teamId);
    if (caller.kind === 'refused') return await answer(call.to, caller.sentence);
    const all = await desk.list({ states: ['pending'], limit: 100 });
    const me = await personOf(call);
    const seen =
      (await approver(call, ...all)).kind === 'approver'
        ? all
        : all.filter((each) => isOf(each, me, caller.member));
    await answer(call.to, pendingMessage(seen));
  }

  async function show(call: Call): Promise<void> {
    const request = await named(call);
    if (request === null) return;
    await answer(call.to, renderCard(request, { now: now(), publicUrl: config.publicUrl, quiet: true }));
  }

  async function decide(call: Call, effect: 'approve' | 'deny'): Promise<void> {
    const id = parseRequestId(call.words[0] ?? '');
    if (id === null) return await answer(call.to, `Which request? For example: /hoop ${effect} HP-7Q2F`);
    const reason = call.words.slice(1).join(' ').trim();
    // Before anything is said of the request; asked once more when it is decided.
    const request = await desk.get(id);
    const who = await approver(call, ...(request === null ? [] : [request]));
    if (who.kind === 'refused') return await answer(call.to, who.sentence);
    if (request === null) return await answer(call.to, `There is no request ${id}.`);
    // What asks twice on the card, or cannot be shown whole, is not approved by a line of text.
    if (
      effect === 'approve' &&
      request.state === 'pending' &&
      (needsFullView(request) || needsConfirm(request))
    )
      return await answer(call.to, `${id} needs a second look: approve it on its card.`);
    await actions.decide(
      { value: { id, version: request.version }, listener: call.to, teamId: call.teamId, place: null },
      effect,
      reason === '' ? null : reason,
    );
    const after = await desk.get(id);
    if (after !== null && after.version > request.version)
      await answer(call.to, `${id}: ${stateSentence(after, now())}`);
  }

  async function reveal(call: Call): Promise<void> {
    const id = parseRequestId(call.words[0] ?? '');
    if (id === null) return await answer(call.to, 'Which request? For example: /hoop reveal HP-7Q2F');
    const request = await desk.get(id);
    const who = await approver(call, ...(request === null ? [] : [request]));
    if (who.kind === 'refused') return await answer(call.to, who.sentence);
    const shown = await revealer.reveal(id, who.approver);
    if (shown.kind === 'not-revealed') return await answer(call.to, shown.sentence);
    await answer(call.to, revealedMessage(id, shown.statement));
  }

  async function withdraw(call: Call): Promise<void> {
    const id = parseRequestId(call.words[0] ?? '');
    if (id === null) return await answer(call.to, 'Which request? For example: /hoop withdraw HP-7Q2F');
    await actions.takeBack(id, call.to, call.teamId);
  }

  async function policy(call: Call): Promise<void> {
    const who = await tapper.approver(call.to.userId, call.teamId, policies.deciders());
    if (who.kind === 'refused') return await answer(call.to, who.sentence);
    const [named] = call.words;
    const wanted = named === undefined ? policies.targets : [named];
    const found = wanted.map((target) => policies.describe(target)).filter((one) => one !== null);
    if (found.length === 0) {
      const all = policies.targets.slice(0, 20).map((one) => oneLine(one, 60));
      return await answer(call.to, `There is no such target. There are: ${all.join(', ')}`);
    }
    await answer(call.to, policyMessage(found));
  }

  async function link(call: Call): Promise<void> {
    const caller = await tapper.member(call.to.userId, call.teamId);
    if (caller.kind === 'refused') return await answer(call.to, caller.sentence);
    const { userId, name } = caller.member;
    const teamId = call.teamId ?? '';
    const [confirmed] = call.words;
    if (confirmed !== undefined) {
      const linked = await linking.finish(confirmed, teamId, userId);
      return await answer(
        call.to,
        linked === null
          ? 'That is not what the console gave you for this Slack account, or it is older than ten minutes. Start again: /hoop link'
          : `Your Slack account is linked: you are ${oneLine(linked, 80)} here.`,
      );
    }
    const url = linking.begin({ teamId, userId, name: oneLine(name, 80) });
    await answer(call.to, url === null ? NO_CONSOLE : linkMessage(url));
  }

  /** The request that the command names, when the caller may see it. Answers and gives null otherwise. */
  async function named(call: Call): Promise<ApprovalRequest | null> {
    const id = parseRequestId(call.words[0] ?? '');
    const caller = await tapper.member(call.to.userId, call.teamId);
    if (caller.kind === 'refused') {
      await answer(call.to, caller.sentence);
      return null;
    }
    const request = id === null ? null : await desk.get(id);
    const allowed =
      request !== null &&
      (isOf(request, await personOf(call), caller.member) ||
        (await approver(call, request)).kind === 'approver');
    if (request !== null && allowed) return request;
    await answer(call.to, `There is no such request that you may see. Try /hoop pending.`);
    return null;
  }

  return async (body) => {
    const [verb = 'help', ...words] = (text(body, 'text') ?? '').trim().slice(0, 1000).split(/\s+/);
    const call: Call = {
      to: {
        userId: text(body, 'user_id') ?? '',
        channel: text(body, 'channel_id'),
        responseUrl: text(body, 'response_url'),
        teamId: text(body, 'team_id'),
      },
      teamId: text(body, 'team_id'),
      words,
    };
    try {
      switch (verb.toLowerCase()) {
        case 'sessions':
          return await listSessions(call);
        case 'pending':
          return await pending(call);
        case 'show':
          return await show(call);
        case 'approve':
          return await decide(call, 'approve');
        case 'deny':
          return await decide(call, 'deny');
        case 'reveal':
          return await reveal(call);
        case 'withdraw':
          return await withdraw(call);
        case 'policy':
          return await policy(call);
        case 'link':
          return await link(call);
        case '':
        case 'help':
          return await answer(call.to, { text: escaped(HELP, 1000), blocks: [section(HELP, 'help')] });
        default:
          return await answer(call.to, {
            text: 'Unknown command',
            blocks: [section(`I do not know "${oneLine(verb, 40)}".\n${HELP}`, 'help')],
          });
      }
    } catch {
      await answer(call.to, STORE_DOWN);
    }
  };
}

/** `24h`, `7d`: milliseconds; at most a year. */
function span(word: string): number | null {
  const [, count, unit] = /^([1-9][0-9]{0,3})([hd])$/.exec(word) ?? [];
  if (count === undefined) return null;
  return Math.min(Number(count) * (unit === 'h' ? 3_600_000 : 86_400_000), 366 * 86_400_000);
}
