/** Slack's tokens and channel; the environment wins over holdpoint.yaml. */
import type { ConfigFile } from './file.ts';
import { readListen } from './listen.ts';
import type { Problem, SlackSettings } from './types.ts';

export function readSlack(
  { values: file }: ConfigFile,
  env: NodeJS.ProcessEnv,
  problems: Problem[],
): SlackSettings | null {
  const pick = (fromFile: string | undefined, name: string) => {
    const value = env[name] ?? fromFile;
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
  if (appToken === null && signingSecret === null) {
    problems.push({
      place: 'SLACK_APP_TOKEN',
      message: 'set SLACK_APP_TOKEN (Socket Mode) or SLACK_SIGNING_SECRET (HTTP)',
    });
  }
  if (channel === null)
    problems.push({ place: 'SLACK_CHANNEL', message: 'is not set: the channel id where cards are posted' });
  const http = readListen(
    file.slack?.listen,
    env['HOLDPOINT_SLACK_LISTEN'],
    7481,
    'HOLDPOINT_SLACK_LISTEN',
    problems,
  );
  return botToken === null || channel === null
    ? null
    : { botToken, appToken, signingSecret, channel, apiUrl, host: http.host, port: http.port };
}
