/** Ports of the bot (DESIGN.md 13; SLACK.md). */
import type { AlertAbout } from '../approvals/about.ts';
import type { Counter, Desk, Requester, RequestState, Revealer } from '../approvals/types.ts';
import type { StatementClass } from '../policy/types.ts';

/** A message in Slack. */
export interface Place {
  readonly channel: string;
  readonly ts: string;
}
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
  readonly reminderPosted: boolean;
  readonly escalationPosted: boolean;
  /** States that the requester's owner was told in a direct message. */
  readonly told: readonly RequestState[];
  /** A second copy of it (an ambiguous post) that somebody tapped. */
  readonly stray: Place | null;
}
/** Outbox: rows are written by store in the transaction that changes a request. */
export interface Outbox {
  /** Requests whose card is behind (request version > card version), oldest first. */
  behind(limit: number): Promise<readonly { readonly requestId: string; readonly version: number }[]>;
  card(requestId: string): Promise<CardRef | null>;
  /** Changes these fields, of a card that is made where there is none. */
  patchCard(requestId: string, change: Partial<Omit<CardRef, 'requestId'>>): Promise<void>;
  /** The card is to be rendered again though its version has not changed, and that copy of it, by whoever has the turn. */
  ask(requestId: string, stray: Place | null): Promise<void>;
  /** The card has been rendered at `version`: rows up to it are done. */
  done(requestId: string, version: number): Promise<void>;
}

/** Port: what one of several processes on a store does at a time. */
export interface Turns {
  /** This process has that turn for so many milliseconds from now; false: another has it. */
  take(name: string, ms: number): Promise<boolean>;
  /** Given back, another need not wait until it ends. */
  give(name: string): Promise<void>;
}

/** An approver as the bot knows one: identity's ApproverRecord. */
export interface ApproverLike {
  readonly id: string;
  readonly name: string;
  readonly email: string | null;
  readonly slackId: string | null;
  readonly groups: readonly string[];
  /** Has the console's role of that name: sees every session, not only those that asked for an approval. */
  readonly auditor: boolean;
}
/** Port: who may decide. Asked at each tap, never cached here. `byEmail` gets a lower-case address and matches exactly. */
export interface Approvers {
  bySlackId(id: string): ApproverLike | null;
  byEmail(email: string): ApproverLike | null;
  byId(id: string): ApproverLike | null;
  /** By a login at the console that stands. */
  byLogin(id: string): Promise<ApproverLike | null>;
  /** Whoever goes by one of these keys may do nothing. */
  isSuspended(keys: readonly (string | null)[]): boolean;
}

/** Port: which Slack account a person linked to who they are at the console. One to one; keys are (team, user) and the owner's id. */
export interface Links {
  userOf(teamId: string, ownerId: string): Promise<string | null>;
  ownerOf(teamId: string, userId: string): Promise<LinkedOwner | null>;
}
export interface LinkedOwner {
  /** Owner.id, Approver.id. */
  readonly id: string;
  readonly name: string;
}

/** Port: the console's part of making a link. */
export interface Linking {
  /** The address that this account is given, and nobody else; null: the console has none that people can open. */
  begin(account: { readonly teamId: string; readonly userId: string; readonly name: string }): string | null;
  /** Ties this account to whom the console confirmed, and names them; null: it did not, or not for this account. */
  finish(confirmed: string, teamId: string, userId: string): Promise<string | null>;
}

/** Port: the policy in force. */
export interface Policies {
  readonly targets: readonly string[];
  describe(target: string): PolicySummary | null;
  /** Groups that some rule in force has decide. */
  deciders(): readonly string[];
}
export interface PolicySummary {
  readonly target: string;
  readonly version: string;
  readonly preset: string;
  /** Nothing of the defaults is enforced. */
  readonly observed: boolean;
  readonly defaults: readonly { readonly name: string; readonly effect: string }[];
  readonly rules: readonly { readonly name: string; readonly effect: string; readonly observed: boolean }[];
  readonly change: { readonly at: number; readonly author: string | null } | null;
}

/** A statement that somebody tried, as far as alerts need it. */
export interface Attempt {
  readonly requester: Requester;
  readonly target: { readonly name: string; readonly environment: string };
  readonly class: StatementClass;
  readonly verb: string;
  readonly relations: readonly string[];
}
/** Somebody kept sending destructive statements, or kept failing to log in, or tried what was revoked, or compared tagged columns very often. */
export interface Alert {
  /** Default: statements. */
  readonly about?: AlertAbout;
  /** `AL-…` */
  readonly id: string;
  /** Owner and agent. */
  readonly key: string;
  readonly requester: Requester;
  readonly count: number;
  readonly since: number;
  readonly at: number;
  /** The latest of them, in words. */
  readonly lines: readonly string[];
  readonly channel: string;
  readonly ts: string | null;
  /** Slack shows it as it is. */
  readonly shown: boolean;
  readonly suspendedBy: string | null;
}
/** Port: attempts and alerts survive a restart, and are counted and told once however many processes there are. */
export interface AlertStore {
  /**
   * Counts an attempt. So many within so long are a burst: `told` with the first of them, `known` from then on, until it has been
   * quiet for as long.
   */
  attempt(
    attempt: Pick<Alert, 'key' | 'requester' | 'channel' | 'at'> & {
      readonly id: string;
      readonly line: string;
    },
    burst: { readonly count: number; readonly withinMs: number; readonly lines: number },
  ): Promise<'counted' | 'told' | 'known'>;
  get(id: string): Promise<Alert | null>;
  /** Ids of those that Slack does not show as they are, oldest first. */
  unsent(): Promise<readonly string[]>;
  sent(
    id: string,
    shown: { readonly channel: string; readonly ts: string; readonly suspendedBy: string | null },
  ): Promise<void>;
  suspended(id: string, by: string): Promise<void>;
}

/** What `/hoop sessions` lists; structural subset of recordings' SessionSummary. */
export interface SessionRow {
  readonly id: string;
  readonly ownerName: string | null;
  readonly ownerEmail: string | null;
  readonly agent: string | null;
  readonly subject: string;
  readonly target: string;
  readonly environment: string;
  readonly startedAt: number;
  readonly endedAt: number | null;
  readonly statements: number;
  readonly held: number;
  readonly denied: number;
  readonly errors: number;
}
/** Port: the index of recordings. Newest first; `owner` matches id, e-mail or name, `since` is epoch milliseconds. */
export interface Sessions {
  list(query: {
    readonly owner: string;
    readonly since?: number;
    /** Only those that asked for an approval. */
    readonly held?: true;
    readonly limit?: number;
  }): Promise<readonly SessionRow[]>;
}

/** pino's shape. Fields never carry tokens, SQL or data values. */
export interface BotLog {
  debug(fields: Readonly<Record<string, unknown>>, message: string): void;
  info(fields: Readonly<Record<string, unknown>>, message: string): void;
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
  error(fields: Readonly<Record<string, unknown>>, message: string): void;
}

export interface BotConfig {
  /** `xoxb-…` */
  readonly botToken: string;
  /** `xapp-…`: Socket Mode. null: HTTP, and then `signingSecret` is needed. */
  readonly appToken: string | null;
  readonly signingSecret: string | null;
  /** Channel id (`C…`) or name (`#db`). */
  readonly channel: string;
  /** Who is called on cards of that channel: a user group's id (`S…`), a user's (`U…`), or `@handle` of a user group. */
  readonly mention?: string | null;
  /** The first that fits says where a card goes. */
  readonly routes?: readonly Route[];
  /** null: nobody is alerted. */
  readonly alerts?: { readonly count: number; readonly withinMs: number; readonly channel: string } | null;
  /** Members of Slack's user groups are approvers of the groups of those names too. */
  readonly userGroups?: boolean;
  /** An owner without a link is whoever has their e-mail, confirmed, in Slack. */
  readonly matchEmail?: boolean;
  /** Another Web API endpoint (`SLACK_API_URL`); null: Slack's own. */
  readonly apiUrl: string | null;
  /** HTTP mode: where to listen; a number alone listens on 127.0.0.1. Default 3000; 0 picks a free port. */
  readonly port?: number | { readonly host: string; readonly port: number };
  /** Base of links to the console (`HOLDPOINT_PUBLIC_URL`); null: commands are named instead, never a dead link. */
  readonly publicUrl: string | null;
}

/** What is not named fits everything. */
export interface Route {
  readonly target?: string;
  readonly environment?: string;
  /** One of the rules that hold it. */
  readonly rule?: string;
  readonly channel: string;
  readonly mention?: string | null;
}

export interface BotDeps {
  readonly config: BotConfig;
  readonly desk: Desk;
  readonly outbox: Outbox;
  readonly turns: Turns;
  readonly approvers: Approvers;
  readonly sessions: Sessions;
  /** null: nobody can count; there is no button then. */
  readonly counter: Counter | null;
  readonly revealer: Revealer;
  readonly links: Links;
  readonly linking: Linking;
  readonly policies: Policies;
  readonly alerts: AlertStore;
  /**
   * Whoever an alert is about, by owner or, where none is known, by credential: let in no more, sessions end, requests withdrawn, grants
   * void. Noted with the alert; nothing more where somebody was before.
   */
  suspend(
    alert: Pick<Alert, 'id' | 'requester' | 'suspendedBy'>,
    by: { readonly id: string; readonly name: string },
  ): Promise<void>;
  readonly log: BotLog;
  readonly now: () => number;
}

export interface Bot {
  /** Returns once listening (HTTP) or once the background connection is under way (Socket Mode). Slack being down is no error. */
  start(): Promise<void>;
  stop(): Promise<void>;
  /** A statement that policy refused: counted for alerts. */
  denied(attempt: Attempt): void;
  /** Label of the channel for texts to clients: `#db`, or `Slack` when only the channel's id is known. */
  readonly where: string;
  /** HTTP mode, after start: the port in use. */
  readonly port: number | null;
}
