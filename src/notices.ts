/** Sentences that the user must see at start: what moved, what is missing, what is weaker than it looks. */
import type { Config, TargetSettings } from './config.ts';
import { probeTarget } from './gateway/upstream/probe.ts';
import { levelsOf } from './levels.ts';

export function moved(name: string, wanted: Config['gateway'] | Config['console'], port: number): string[] {
  if (wanted.configured || port === wanted.port) return [];
  return [`Port ${wanted.port} is in use: ${name} listens on ${port} instead.`];
}

export function identityNotices(config: Config): string[] {
  const [level] = config.levels.size > 0 ? [] : levelsOf(config);
  return [
    ...(config.approvers.length > 0 || config.console.roles.approver !== undefined || config.slack?.userGroups
      ? []
      : [
          'No approver is named and no group approves: nobody can. Name them in holdpoint.yaml (identity.approvers, console.roles.approver).',
        ]),
    ...(config.levels.size > 0
      ? []
      : [
          `No group has an access level, so ${level === undefined ? 'nobody gets in' : `"${level[0]}" has ${level[1]} and nobody else gets in`}. Name levels in holdpoint.yaml (identity.levels).`,
        ]),
  ];
}

export async function faultNotices(target: TargetSettings): Promise<string[]> {
  const { faults, pooled } = await probeTarget(target);
  return [
    ...faults.map(
      (fault) =>
        `Target ${target.name} cannot be used now: ${fault}. Its statements are refused until it can.`,
    ),
    ...(pooled && faults.length === 0
      ? [
          `Target ${target.name} is behind a pooler in session mode. It is accepted; whoever sets that pooler to transaction mode locks everybody out (docs/compatibility.md).`,
        ]
      : []),
  ];
}

export function targetNotices(targets: readonly TargetSettings[]): string[] {
  return targets.flatMap((target) => {
    const users = Object.values(target.logins).map((one) => one.user);
    return [
      ...(target.policyPath === null
        ? [
            `Target ${target.name} has no policy file: the built-in defaults per statement class apply and no column is known as PII. Write one and name it with \`policy:\` (docs/policy.md).`,
          ]
        : []),
      ...(users.length > 1 && new Set(users).size === 1
        ? [
            `Target ${target.name} has one upstream login for every access level: the database itself does not keep the levels apart. Name logins per level in holdpoint.yaml.`,
          ]
        : []),
      ...(target.tls === 'require'
        ? [`Target ${target.name} is reached with tls: require: the server's certificate is not verified.`]
        : []),
    ];
  });
}
