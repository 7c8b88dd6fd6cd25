/** What the configuration comes to, and what can be wrong with it. */
import type { GatewayLimits } from '../gateway/ports.ts';
import type { Target } from '../gateway/types.ts';
import type { IssuerConfig } from '../identity/issuer.ts';
import type { RoleGroups } from '../identity/roles.ts';
import type { SignInConfig } from '../identity/sign-in.ts';
import type { AccessLevel, ApproverRecord } from '../identity/types.ts';

export interface SlackSettings {
  readonly botToken: string;
  readonly appToken: string | null;
  readonly signingSecret: string | null;
  readonly channel: string;
  readonly apiUrl: string | null;
  readonly host: string;
  readonly port: number;
  readonly mention: string | null;
  readonly matchEmail: boolean;
  readonly userGroups: boolean;
  readonly routes: readonly SlackRoute[];
  /** null: nobody is alerted. */
  readonly alerts: { readonly count: number; readonly withinMs: number; readonly channel: string } | null;
}
export interface SlackRoute {
  readonly target?: string;
  readonly environment?: string;
  readonly rule?: string;
  readonly channel: string;
  readonly mention: string | null;
}
export interface Listen {
  readonly host: string;
  readonly port: number;
  /** The user named this port: when it is busy that is an error; a default port moves on to the next free one. */
  readonly configured: boolean;
}
export interface TargetSettings extends Target {
  /** Absolute path of its policy; null: the built-in defaults, said aloud at start. */
  readonly policyPath: string | null;
}
export interface Config {
  readonly dataDir: string;
  readonly gateway: Listen & {
    readonly tls: { readonly cert: string; readonly key: string } | null;
    /** What the file says; the gateway has a default for the rest. */
    readonly limits: Partial<GatewayLimits>;
    /** Networks of those whose word on a connection's address counts (PROXY protocol). */
    readonly trustedProxies: readonly string[];
  };
  readonly console: Listen & {
    /** null: people sign in by one-time links alone. */
    readonly oidc: SignInConfig | null;
    readonly roles: RoleGroups;
    /** Networks of those whose `X-Forwarded-For` counts. */
    readonly trustedProxies: readonly string[];
  };
  readonly publicUrl: string | null;
  /** null: the embedded PostgreSQL. */
  readonly storeUrl: string | null;
  readonly targets: readonly TargetSettings[];
  /** No target of the user's: the demo shop is started and put behind the gateway. */
  readonly demo: boolean;
  readonly issuers: readonly IssuerConfig[];
  readonly levels: ReadonlyMap<string, AccessLevel>;
  readonly approvers: readonly ApproverRecord[];
  /** Approver.id of those who may change policies through the API; nobody unless named. */
  readonly policyAdmins: ReadonlySet<string>;
  readonly slack: SlackSettings | null;
  readonly hold: {
    readonly agentWaitMs: number;
    readonly personWaitMs: number;
    readonly maxWaitMs: number;
    readonly agentIdleMs: number;
  };
  /** So many statements of one owner that compare tagged columns with constants are an alert. */
  readonly guesses: { readonly count: number; readonly withinMs: number };
  readonly logLevel: string;
}

/** One mistake and where it is: `holdpoint.yaml:4:3`, `SLACK_CHANNEL`, `--target`. */
export interface Problem {
  readonly place: string;
  readonly message: string;
}
export class ConfigError extends Error {
  readonly problems: readonly Problem[];
  constructor(problems: readonly Problem[]) {
    super(problems.map((p) => `${p.place}: ${p.message}`).join('\n'));
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

export interface Flags {
  readonly target?: readonly string[] | undefined;
  readonly config?: string | undefined;
  readonly data?: string | undefined;
}
