/**
 * Socket Mode, kept up by us. The SDK's own reconnect lets a failed `apps.connections.open` escape as an unhandled rejection (it ends a
 * Node process), so it is off: here every failure is a pause and another try (SLACK.md trap 1, 2).
 */
import { SocketModeReceiver } from '@slack/bolt';
import { clientOptions, slackLogger } from './slack-api.ts';
import type { BotConfig, BotLog } from './types.ts';

export interface SocketLink {
  readonly receiver: InstanceType<typeof SocketModeReceiver>;
  start(): void;
  stop(): Promise<void>;
}

const HELLO_MS = 15_000;
const PAUSE_FIRST_MS = 500;
const PAUSE_LAST_MS = 30_000;
const CLOSE_MS = 1500;

export function createSocketLink(config: BotConfig, appToken: string, log: BotLog): SocketLink {
  const receiver = new SocketModeReceiver({
    appToken,
    autoReconnectEnabled: false,
    logger: slackLogger(log),
    installerOptions: { clientOptions: clientOptions(config.apiUrl, log) },
  });
  const { client } = receiver;
  let wanted = false;
  let connected = false;
  let failures = 0;
  let timer: NodeJS.Timeout | null = null;

  async function connect(): Promise<void> {
    timer = null;
    if (!wanted) return;
    // A socket that opens but never says hello would wait for ever.
    const hello = setTimeout(() => void client.disconnect().catch(() => {}), HELLO_MS);
    try {
      await client.start();
      if (!wanted) return await close();
      connected = true;
      failures = 0;
      log.info({}, 'connected to Slack (Socket Mode)');
    } catch {
      again();
    } finally {
      clearTimeout(hello);
    }
  }
  function again(): void {
    if (!wanted || timer !== null) return;
    const pause =
      failures === 0 ? 0 : Math.min(PAUSE_LAST_MS, PAUSE_FIRST_MS * 2 ** Math.min(failures - 1, 8));
    failures += 1;
    if (pause > 0) log.warn({ tries: failures, waitMs: pause }, 'not connected to Slack; trying again');
    timer = setTimeout(() => void connect(), pause);
    timer.unref();
  }
  async function close(): Promise<void> {
    connected = false;
    const closed = client.disconnect().catch(() => {});
    const late = new Promise<'late'>((resolve) => setTimeout(() => resolve('late'), CLOSE_MS).unref());
    // The second call does not wait for the peer's close frame any more.
    if ((await Promise.race([closed, late])) === 'late') void client.disconnect().catch(() => {});
  }

  client.on('disconnected', () => {
    if (!connected) return;
    connected = false;
    again();
  });

  return {
    receiver,
    start() {
      wanted = true;
      void connect();
    },
    async stop() {
      wanted = false;
      if (timer !== null) clearTimeout(timer);
      await close();
    },
  };
}
