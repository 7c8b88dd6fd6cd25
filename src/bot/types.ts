/** Ports of the bot (DESIGN.md 13; SLACK.md). */

/** One message of ours in Slack for one request. */
export interface CardRef {
  readonly requestId: string;
  readonly channel: string;
  /** Slack message ts; null while the first post is not confirmed. */
  readonly ts: string | null;
  /** Request version last rendered to Slack; 0: none. */
  readonly version: number;
  /** Intent recorded before the post (a crash between intent and ts is reconciled). */
  readonly postingSince: number | null;
  readonly threadPosted: boolean;
  readonly outcomePosted: boolean;
}
/** Outbox: rows are written by store in the transaction that changes a request. */
export interface Outbox {
  /** Requests whose card is behind (request version > card version), oldest first. */
  behind(limit: number): Promise<readonly { readonly requestId: string; readonly version: number }[]>;
  card(requestId: string): Promise<CardRef | null>;
  saveCard(card: CardRef): Promise<void>;
  /** The card has been rendered at `version`: rows up to it are done. */
  done(requestId: string, version: number): Promise<void>;
}
