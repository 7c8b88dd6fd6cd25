/** The bot as the composition root makes it: its ports, filled from the parts. */
import type { Counter, Desk, Revealer } from './approvals/types.ts';
import { createBot } from './bot/index.ts';
import type { Bot, BotDeps, BotLog, PolicySummary } from './bot/types.ts';
import type { Config } from './config.ts';
import type { Access } from './identity/access.ts';
import type { Directory } from './identity/roles.ts';
import type { SlackLinking } from './identity/slack-link.ts';
import type { ApproverRecord } from './identity/types.ts';
import type { PolicyEditor } from './policy/live.ts';
import type { HeldPolicy } from './policy/rules/holder.ts';
import type { LinkStore } from './store/links.ts';

export interface SlackParts {
  readonly desk: Desk;
  readonly outbox: BotDeps['outbox'];
  readonly turns: BotDeps['turns'];
  readonly sessions: BotDeps['sessions'];
  readonly links: LinkStore;
  readonly linking: SlackLinking;
  readonly access: Access;
  readonly approvers: readonly ApproverRecord[];
  readonly directory: Directory;
  readonly counter: Counter | null;
  readonly revealer: Revealer;
  readonly alerts: BotDeps['alerts'];
  readonly suspend: BotDeps['suspend'];
  isSuspended(keys: readonly (string | null)[]): boolean;
  /** Asked once the bot runs. */
  policyOf(target: string): { readonly held: HeldPolicy; readonly change: ReturnType<ChangeOf> } | null;
  readonly targets: readonly string[];
  readonly log: BotLog;
  readonly now: () => number;
}
type ChangeOf = (target: string) => NonNullable<ReturnType<PolicyEditor['view']>>['change'];

export async function slackBot(
  config: Config,
  slack: NonNullable<Config['slack']>,
  parts: SlackParts,
): Promise<Bot> {
  const { access, approvers, directory, isSuspended, linking, links, now, policyOf, targets, ...rest } =
    parts;
  const listed = approvers.map((one) => ({
    ...one,
    auditor: directory.named(one.id)?.roles.has('auditor') === true,
  }));
  const one = (is: (approver: ApproverRecord) => boolean) => listed.find(is) ?? null;
  return await createBot({
    ...rest,
    links,
    now,
    config: { ...slack, port: { host: slack.host, port: slack.port }, publicUrl: config.publicUrl },
    approvers: {
      bySlackId: (id) => one(({ slackId }) => slackId === id),
      byEmail: (email) => one((approver) => approver.email === email),
      byId: (id) => one((approver) => approver.id === id),
      byLogin: async (id) => {
        const person = await access.standing(id);
        if (person?.roles.has('approver') !== true) return null;
        return { ...person, auditor: person.roles.has('auditor') };
      },
      isSuspended,
    },
    policies: {
      targets,
      describe: (target) => summaryOf(target, policyOf(target)),
      deciders: () => [...new Set(targets.flatMap((target) => decidersOf(policyOf(target)?.held)))].sort(),
    },
    linking: {
      begin: (account) =>
        config.publicUrl === null ? null : `${config.publicUrl}/slack/link/${linking.begin(account)}`,
      async finish(confirmed, teamId, userId) {
        const person = linking.finish(confirmed, teamId, userId);
        if (person === null) return null;
        await links.save({ teamId, userId, ownerId: person.id, name: person.name, linkedAt: now() });
        return person.name;
      },
    },
  });
}

function decidersOf(held: HeldPolicy | undefined): readonly string[] {
  if (held === undefined) return [];
  const { policy } = held;
  return [policy.terms, ...policy.rules.map(({ terms }) => terms)].flatMap(({ groups, each, escalation }) => [
    ...groups,
    ...each,
    ...(escalation?.groups ?? []),
  ]);
}

function summaryOf(target: string, found: ReturnType<SlackParts['policyOf']>): PolicySummary | null {
  if (found === null) return null;
  const { held, change } = found;
  const { policy, version } = held;
  return {
    target,
    version,
    preset: policy.preset,
    observed: policy.mode === 'observe',
    defaults: Object.entries(policy.defaults).map(([name, effect]) => ({ name, effect })),
    rules: policy.rules.map(({ name, effect, mode }) => ({ name, effect, observed: mode === 'observe' })),
    change: change === null ? null : { at: change.at, author: change.author },
  };
}
