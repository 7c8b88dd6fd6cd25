/** App Home: what waits. Refreshed when it is opened. */
import { record, text } from './answers.ts';
import { section } from './blocks.ts';
import { pendingMessage } from './commands.ts';
import { type SlackApi, SlackFailure } from './slack-api.ts';
import type { Tapper } from './tapper.ts';
import type { BotDeps } from './types.ts';

export function createHome(
  deps: Pick<BotDeps, 'desk' | 'log'> & { readonly api: SlackApi; readonly tapper: Tapper },
): (body: unknown) => Promise<void> {
  const { api, desk, log, tapper } = deps;
  return async (body) => {
    if (text(body, 'event', 'tab') !== 'home') return;
    const userId = text(body, 'event', 'user') ?? '';
    const team = text(record(body), 'team_id');
    try {
      const member = await tapper.member(userId, team);
      const approver = await tapper.approver(userId, team);
      const all = member.kind === 'member' ? await desk.list({ states: ['pending'], limit: 100 }) : [];
      const email = member.kind === 'member' ? member.member.email : null;
      const mine = all.filter((each) => email !== null && each.requester.ownerEmail?.toLowerCase() === email);
      const blocks =
        member.kind === 'refused'
          ? [section(member.sentence, 'home')]
          : pendingMessage(approver.kind === 'approver' ? all : mine).blocks;
      await api.call('views.publish', { user_id: userId, view: { type: 'home', blocks } });
    } catch (error) {
      log.warn(
        { why: error instanceof SlackFailure ? error.message : 'unexpected failure' },
        'App Home was not refreshed',
      );
    }
  };
}
