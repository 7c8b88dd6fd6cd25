/** Who may decide, from holdpoint.yaml and HOLDPOINT_APPROVERS. */
import { z } from 'zod';
import type { ApproverRecord } from '../identity/types.ts';
import type { ConfigFile } from './file.ts';
import type { Problem } from './types.ts';

export function readApprovers(
  file: ConfigFile,
  env: NodeJS.ProcessEnv,
  problems: Problem[],
): ApproverRecord[] {
  const listed = (file.values.identity?.approvers ?? []).map((one, index) => {
    if (one.email === undefined && one.slack === undefined)
      problems.push({
        place: file.place('identity', 'approvers', index),
        message: `approver "${one.name}" needs an e-mail or a Slack id`,
      });
    const email = one.email?.toLowerCase() ?? null;
    return {
      id: email ?? `slack:${one.slack}`,
      name: one.name,
      email,
      slackId: one.slack ?? null,
      groups: one.groups,
    };
  });
  const short = (env['HOLDPOINT_APPROVERS'] ?? '')
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one !== '');
  const named = short.flatMap((one): ApproverRecord[] => {
    if (/^[UW][A-Z0-9]{2,20}$/.test(one))
      return [{ id: `slack:${one}`, name: one, email: null, slackId: one, groups: [] }];
    if (z.email().safeParse(one).success)
      return [{ id: one.toLowerCase(), name: one, email: one.toLowerCase(), slackId: null, groups: [] }];
    problems.push({
      place: 'HOLDPOINT_APPROVERS',
      message: `"${one}" is neither an e-mail nor a Slack user id`,
    });
    return [];
  });
  const all = [...listed, ...named];
  for (const key of ['id', 'slackId'] as const) {
    for (const one of all) {
      if (one[key] !== null && all.filter((other) => other[key] === one[key]).length > 1) {
        problems.push({
          place: file.place('identity', 'approvers'),
          message: `"${one[key]}" is named twice`,
        });
        break;
      }
    }
  }
  return all;
}

/** Named as approvers are: an e-mail or a Slack id of one of them. */
export function readPolicyAdmins(
  file: ConfigFile,
  approvers: readonly ApproverRecord[],
  problems: Problem[],
): ReadonlySet<string> {
  return new Set(
    (file.values.identity?.policy_admins ?? []).flatMap((name, index) => {
      const found = approvers.find(({ email, slackId }) => slackId === name || email === name.toLowerCase());
      if (found !== undefined) return [found.id];
      problems.push({
        place: file.place('identity', 'policy_admins', index),
        message: `"${name}" is none of the approvers: name the e-mail or Slack id of one`,
      });
      return [];
    }),
  );
}
