/** The bot put together: Bolt for what Slack sends, our own delivery for what we send. Slack being down never stops the product. */
import { App } from '@slack/bolt';
import PQueue from 'p-queue';
import { createActions, suspension } from './actions.ts';
import { createAlerts } from './alerts.ts';
import { createAnswer, text } from './answers.ts';
import { createCommands } from './commands.ts';
import { createDelivery } from './delivery.ts';
import { createGroups } from './groups.ts';
import { createHome } from './home.ts';
import { createHttpLink } from './http-link.ts';
import { ACTION, CALLBACK } from './ids.ts';
import { createOwners } from './owners.ts';
import { createPace } from './pace.ts';
import { clientOptions, createSlackApi, type SlackApi, slackLogger } from './slack-api.ts';
import { createSocketLink } from './socket-link.ts';
import { createTapper } from './tapper.ts';
import { createTurn } from './turn.ts';
import type { Bot, BotDeps } from './types.ts';

/** Work after an acknowledgement: bounded, so that a flood of taps cannot pile up. */
const TAPS_AT_ONCE = 8;
const TAPS_QUEUED = 200;

export async function createBot(deps: BotDeps): Promise<Bot> {
  const { config, desk, log } = deps;
  const api = createSlackApi(config.botToken, config.apiUrl, log);
  const team = ownTeam(api);
  const groups = createGroups({ api, enabled: config.userGroups === true, now: deps.now, log });
  const matchEmail = config.matchEmail === true;
  const tapper = createTapper({ ...deps, api, groups, matchEmail, ownTeam: team });
  const owners = createOwners({ api, links: deps.links, matchEmail, ownTeam: team, log, now: deps.now });
  const home = createHome({ desk, log, now: deps.now, api, tapper });
  const answer = createAnswer(api, log, (to, sentence) => home.show(to.userId, to.teamId, sentence));
  const pace = createPace();
  const turn = createTurn(deps);
  const delivery = createDelivery({ ...deps, api, groups, owners, pace, turn });
  const alerts = createAlerts({ ...deps, api, answer, groups, pace, tapper, turn });
  const actions = createActions({ ...deps, api, tapper, delivery, answer });
  const command = createCommands({ ...deps, tapper, actions, answer });
  const taps = new PQueue({ concurrency: TAPS_AT_ONCE });

  const link = createLink(deps);
  const app = new App({
    receiver: link.receiver,
    // Ours, so that Bolt never asks auth.test at boot and caches its failure (SLACK.md trap 1).
    authorize: async () => ({ botToken: config.botToken, botId: 'self', botUserId: 'self' }),
    clientOptions: clientOptions(config.apiUrl, log),
    logger: slackLogger(log),
    convoStore: false,
    ignoreSelf: false,
  });
  app.error(async (error) => {
    log.error({ why: error.name }, 'a Slack listener failed');
  });

  /** Acknowledged already: what follows takes its own time and reports to the one who tapped. */
  function later(work: (body: unknown) => Promise<void>, body: unknown): void {
    if (taps.size >= TAPS_QUEUED) {
      log.warn({}, 'too many taps at once: one was dropped');
      return;
    }
    void taps.add(async () => {
      try {
        await work(body);
      } catch (error) {
        log.error({ why: error instanceof Error ? error.name : 'unknown' }, 'a tap failed');
        await answer(
          {
            userId: userOf(body),
            channel: text(body, 'channel', 'id') ?? text(body, 'channel_id'),
            responseUrl: text(body, 'response_url'),
            teamId: teamOf(body),
          },
          'That did not work: something failed inside Holdpoint. Look at the card before you try again.',
        );
      }
      if (work !== actions.view) await home.touch(userOf(body), teamOf(body));
    });
  }
  const onAction = (id: string, work: (body: unknown) => Promise<void>): void =>
    app.action(id, async ({ ack, body }) => {
      await ack();
      later(work, body);
    });
  const onView = (id: string, work: (body: unknown) => Promise<void>): void =>
    app.view(id, async ({ ack, body }) => {
      await ack();
      later(work, body);
    });
  onAction(ACTION.approve, actions.approve);
  onAction(ACTION.deny, actions.deny);
  onAction(ACTION.view, actions.view);
  onAction(ACTION.count, actions.count);
  onAction(ACTION.withdraw, actions.withdraw);
  onAction(ACTION.suspend, async (body) => alerts.suspend(...suspension(body)));
  onAction(ACTION.open, async () => {});
  onView(CALLBACK.deny, actions.denyReason);
  onView(CALLBACK.full, actions.approveFromModal);
  app.command('/hoop', async ({ ack, body }) => {
    await ack();
    later(command, body);
  });
  app.event('app_home_opened', async ({ body }) => later(home.opened, body));

  let port: number | null = null;
  return {
    where: label(config.channel),
    get port() {
      return port;
    },
    denied: alerts.denied,
    async start() {
      port = await link.start();
      await turn.start();
      delivery.start();
      alerts.start();
    },
    async stop() {
      await link.stop();
      taps.clear();
      await Promise.race([taps.onPendingZero(), new Promise((resolve) => setTimeout(resolve, 3000).unref())]);
      alerts.stop();
      delivery.stop();
      await pace.close();
      await turn.stop();
    },
  };
}

type Link = {
  readonly receiver: NonNullable<ConstructorParameters<typeof App>[0]>['receiver'] & object;
  start(): Promise<number | null>;
  stop(): Promise<void>;
};

function createLink({ config, log, now }: BotDeps): Link {
  if (config.appToken !== null) {
    const socket = createSocketLink(config, config.appToken, log);
    return {
      receiver: socket.receiver,
      start: async () => {
        socket.start();
        return null;
      },
      stop: () => socket.stop(),
    };
  }
  if (config.signingSecret === null)
    throw new Error(
      'Slack needs either an app token (SLACK_APP_TOKEN, Socket Mode) or a signing secret (SLACK_SIGNING_SECRET, HTTP). Set one of them.',
    );
  return createHttpLink(config, config.signingSecret, log, now);
}

function userOf(body: unknown): string {
  return text(body, 'user', 'id') ?? text(body, 'user_id') ?? '';
}
function teamOf(body: unknown): string | null {
  return text(body, 'user', 'team_id') ?? text(body, 'team', 'id') ?? text(body, 'team_id');
}

/** Our workspace's id, asked once Slack answers; a failure is not remembered. */
function ownTeam(api: SlackApi): () => Promise<string> {
  let known: string | null = null;
  return async () => {
    if (known !== null) return known;
    const team = text(await api.call('auth.test', {}), 'team_id');
    if (team === null) throw new Error('auth.test named no team');
    known = team;
    return known;
  };
}

/** `#db` when the configuration names the channel; an id says nothing to a client. */
function label(channel: string): string {
  if (/^[CGD][A-Z0-9]{6,}$/.test(channel)) return 'Slack';
  return channel.startsWith('#') ? channel : `#${channel}`;
}
