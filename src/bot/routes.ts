/** Where a card goes and who is called there: the first route that fits, else the channel of all. */
import type { ApprovalRequest } from '../approvals/types.ts';
import type { BotConfig } from './types.ts';

export interface Destination {
  readonly channel: string;
  /** As configured: an id, or `@handle`. */
  readonly mention: string | null;
}

export function destinationOf(
  { target, rules }: Pick<ApprovalRequest, 'target' | 'rules'>,
  config: Pick<BotConfig, 'channel' | 'mention' | 'routes'>,
): Destination {
  const fits = (wanted: string | undefined, ...given: readonly string[]) =>
    wanted === undefined || given.includes(wanted);
  const route = config.routes?.find(
    (one) =>
      fits(one.target, target.name) && fits(one.environment, target.environment) && fits(one.rule, ...rules),
  );
  const { channel, mention = null } = route ?? config;
  return { channel, mention };
}
