/** Slack's tokens and channel; the environment wins over holdpoint.yaml. */
import { type ConfigFile, variable } from './file.ts';
import { readListen } from './listen.ts';
import type { Problem, SlackSettings } from './types.ts';

export function readSlack(
  config: ConfigFile,
  env: NodeJS.ProcessEnv,
  problems: Problem[],
): SlackSettings | null {
  const file = config.values;
  const pick = (fromFile: string | undefined, name: string) => {
    const value = variable(env, name, problems) ?? fromFile;
    return value === undefined || value === '' ? null : value;
  };
  const botToken = pick(file.slack?.bot_token, 'SLACK_BOT_TOKEN');
  const appToken = pick(file.slack?.app_token, 'SLACK_APP_TOKEN');
  const signingSecret = pick(file.slack?.signing_secret, 'SLACK_SIGNING_SECRET');
  const channel = pick(file.slack?.channel, 'SLACK_CHANNEL');
  const apiUrl = pick(file.slack?.api_url, 'SLACK_API_URL');
  if (botToken === null && appToken === null && signingSecret === null && channel === null) return null;
  if (botToken === null)
    problems.push({ place: 'SLACK_BOT_TOKEN', message: 'is not set: the bot token starts with xoxb-' });
  // Pasted into each other's place, as happens; never shown.
  if (botToken !== null && !/^(xoxe\.)?xoxb-/.test(botToken))
    problems.push({
      place: 'SLACK_BOT_TOKEN',
      message: 'is no bot token: that starts with xoxb- (OAuth & Permissions of the app)',
    });
  if (appToken !== null && !appToken.startsWith('xapp-'))
    problems.push({
      place: 'SLACK_APP_TOKEN',
      message: 'is no app-level token: that starts with xapp- (Basic Information of the app)',
    });
  if (appToken === null && signingSecret === null) {
    problems.push({
      place: 'SLACK_APP_TOKEN',
      message: 'set SLACK_APP_TOKEN (Socket Mode) or SLACK_SIGNING_SECRET (HTTP)',
    });
  }
  if (channel === null)
    problems.push({
      place: 'SLACK_CHANNEL',
      message: 'is not set: where cards are posted, #db or a channel id',
    });
  const http = readListen(
    file.slack?.listen,
    env['HOLDPOINT_SLACK_LISTEN'],
    7481,
    'HOLDPOINT_SLACK_LISTEN',
    problems,
  );
  if (botToken === null || channel === null) return null;
  return {
    ...{ botToken, appToken, signingSecret, channel, apiUrl, host: http.host, port: http.port },
    ...readRouting(config, channel, problems),
  };
}

/** Where cards and alerts go, who is called, how people are matched. */
function readRouting(
  { values, place }: ConfigFile,
  channel: string,
  problems: Problem[],
): Pick<SlackSettings, 'mention' | 'matchEmail' | 'userGroups' | 'routes' | 'alerts'> {
  const { slack, targets = {} } = values;
  const userGroups = slack?.user_groups ?? false;
  const needsList = (mention: string | undefined, ...keys: PropertyKey[]): string | null => {
    if (mention?.startsWith('@') && !userGroups)
      problems.push({
        place: place('slack', ...keys),
        message: `"${mention}" is a handle: set slack.user_groups: true, or write the id (S…)`,
      });
    return mention ?? null;
  };
  const routes = (slack?.routes ?? []).map(({ target, environment, rule, ...rest }, index) => {
    if (target !== undefined && Object.keys(targets).length > 0 && !(target in targets))
      problems.push({
        place: place('slack', 'routes', index, 'target'),
        message: `there is no target "${target}"`,
      });
    return {
      ...(target === undefined ? {} : { target }),
      ...(environment === undefined ? {} : { environment }),
      ...(rule === undefined ? {} : { rule }),
      channel: rest.channel,
      mention: needsList(rest.mention, 'routes', index, 'mention'),
    };
  });
  const alerts = slack?.alerts;
  return {
    mention: needsList(slack?.mention, 'mention'),
    matchEmail: slack?.match_email ?? false,
    userGroups,
    routes,
    alerts:
      alerts === undefined
        ? null
        : { count: alerts.count, withinMs: alerts.within, channel: alerts.channel ?? channel },
  };
}
