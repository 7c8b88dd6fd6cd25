/** What the console is given by app (DESIGN.md 13). */
import type { AlertAbout } from '../approvals/about.ts';
import type { Counter, Desk, Requester, Revealer } from '../approvals/types.ts';
import type { Networks } from '../edge/address.ts';
import type { Access } from '../identity/access.ts';
import type { FailedLogin, FailedLoginSummary } from '../identity/failed-logins.ts';
import type { SignIn } from '../identity/sign-in.ts';
import type { SlackLinking } from '../identity/slack-link.ts';
import type { Owner, Suspension } from '../identity/types.ts';
import type { PolicyEditor } from '../policy/live.ts';
import type { Mistake } from '../policy/rules/types.ts';
import type { Suggestions } from '../policy/suggest.ts';
import type { ReplayReport } from '../recordings/replay.ts';
import type { Recorder, SessionIndex } from '../recordings/types.ts';
import type { Health } from './health.ts';

/** What is used of the logger (pino fits). */
export interface ConsoleLog {
  info(details: object, message: string): void;
  warn(details: object, message: string): void;
  error(details: object, message: string): void;
}

export interface ConsoleListen {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** The user named the port: busy is then an error. false: a busy port moves on to the next free one. Default true. */
  readonly configured?: boolean;
  /** Where people reach it (`https://holdpoint.example.com`); null: where it listens. */
  readonly publicUrl: string | null;
  /** Further values of the Host header, such as `holdpoint.internal:7480`. */
  readonly allowedHosts: readonly string[];
  /** Whose `X-Forwarded-For` counts; default: nobody's. */
  readonly proxies?: Networks;
}

export interface MintRequest {
  readonly owner: Owner | null;
  readonly agent: string | null;
  readonly groups: readonly string[];
  readonly ttlMs: number;
  readonly mintedBy: string;
}

/** Suspending whom credentials and logins are of; their sessions end, their requests are withdrawn. */
export interface People {
  suspensions(): Promise<readonly Suspension[]>;
  /** false: suspended already. */
  suspend(personId: string, by: string): Promise<boolean>;
  /** false: there is no such suspension. */
  restore(personId: string): Promise<boolean>;
}

/** Somebody kept sending destructive statements, failing to log in or comparing tagged columns (DESIGN.md 17); told of in Slack as well. */
export interface Burst {
  /** `AL-…` */
  readonly id: string;
  readonly about?: AlertAbout;
  readonly requester: Requester;
  readonly count: number;
  readonly since: number;
  readonly at: number;
  readonly lines: readonly string[];
}
export interface Bursts {
  /** Of the last day, nobody suspended for them yet; newest first. */
  recent(): Promise<readonly Burst[]>;
  /** The one whose they are, suspended; null: there is no such alert. */
  suspend(id: string, by: { readonly id: string; readonly name: string }): Promise<Burst | null>;
}

export interface ConsoleOptions {
  readonly access: Access;
  /** null: no login by OIDC is configured. */
  readonly signIn: SignIn | null;
  readonly people: People;
  readonly bursts: Bursts;
  readonly failedLogins: {
    note(failure: FailedLogin): void;
    summary(since: number): Promise<FailedLoginSummary>;
  };
  /** null: there is no Slack. */
  readonly slackLinking: SlackLinking | null;
  readonly desk: Desk;
  readonly counter: Counter;
  readonly revealer: Revealer;
  readonly sessions: SessionIndex;
  readonly recorder: Recorder;
  readonly policy: PolicyEditor;
  readonly mintCredential: (
    input: MintRequest,
  ) => Promise<{ readonly id: string; readonly secret: string; readonly expiresAt: number }>;
  readonly revokeCredential: (id: string) => Promise<boolean>;
  /** Verdict of a text at a target's catalog, as `policy explain --jsonl` prints it, or its tree as `text`; null: no such target. */
  readonly explain: (sql: string, target: string, tree: boolean) => Promise<object | null>;
  /** Columns of a target that look like personal data; null: no such target. Rejects when it cannot be read. */
  readonly suggest: (target: string) => Promise<Suggestions | null>;
  /** What a candidate policy (null: the one in force) would have said since then; null: no such target. */
  readonly replay: (input: {
    readonly target: string;
    readonly since: number;
    readonly policy: string | null;
  }) => Promise<ReplayReport | { readonly mistakes: readonly Mistake[] } | null>;
  readonly health: Health;
  readonly listen: ConsoleListen;
  readonly log: ConsoleLog;
  readonly now: () => number;
}

export interface Console {
  /** Rejects with a clear sentence when the address is not acceptable or busy. */
  listen(): Promise<{ readonly host: string; readonly port: number }>;
  /** An address of the console for people; after `listen`. */
  url(path: string): string;
  close(): Promise<void>;
}
