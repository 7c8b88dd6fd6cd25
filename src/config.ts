/**
 * Environment + holdpoint.yaml + command line → one frozen Config, or every problem found, each with its place.
 * The only file that reads process.env. Secrets may be written as `${NAME}` (environment) or `*_file`.
 */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { type Document, isMap, isScalar, LineCounter, parseDocument } from 'yaml';
import { z } from 'zod';
import type { Target, UpstreamLogin } from './gateway/types.ts';
import type { IssuerConfig } from './identity/issuer.ts';
import type { AccessLevel, ApproverRecord } from './identity/types.ts';

export function environment(): NodeJS.ProcessEnv {
  return process.env;
}

export interface SlackSettings {
  readonly botToken: string;
  readonly appToken: string | null;
  readonly signingSecret: string | null;
  readonly channel: string;
  readonly apiUrl: string | null;
  readonly host: string;
  readonly port: number;
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
  readonly gateway: Listen & { readonly tls: { readonly cert: string; readonly key: string } | null };
  readonly console: Listen;
  readonly publicUrl: string | null;
  /** null: the embedded PostgreSQL. */
  readonly storeUrl: string | null;
  readonly targets: readonly TargetSettings[];
  /** No target of the user's: the demo shop is started and put behind the gateway. */
  readonly demo: boolean;
  readonly issuers: readonly IssuerConfig[];
  readonly levels: ReadonlyMap<string, AccessLevel>;
  readonly approvers: readonly ApproverRecord[];
  readonly slack: SlackSettings | null;
  readonly hold: { readonly agentWaitMs: number; readonly personWaitMs: number; readonly maxWaitMs: number };
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

const duration = z
  .union([
    z.number().nonnegative(),
    z.string().regex(/^\d+(ms|s|m|h)$/, 'write a duration such as 25s, 10m or 8h'),
  ])
  .transform((value) => {
    if (typeof value === 'number') return value * 1000;
    const unit = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[value.replace(/^\d+/, '')] ?? 1000;
    return Number.parseInt(value, 10) * unit;
  });
const address = z
  .string()
  .regex(/^(\[[0-9a-f:]+\]|[^:\s]+):\d{1,5}$/i, 'write host:port, such as 127.0.0.1:7432');
const level = z.enum(['none', 'read-only', 'read-write', 'admin']);
const login = z.strictObject({
  user: z.string().min(1).max(63),
  password: z.string().optional(),
  password_file: z.string().optional(),
});
const target = z.strictObject({
  url: z.string(),
  environment: z.string().min(1).max(40).default('production'),
  tls: z.enum(['verify-full', 'require', 'disable']).optional(),
  ca_file: z.string().optional(),
  policy: z.string().optional(),
  protocol: z.enum(['strict', 'trusted']).default('strict'),
  accept_privileges: z.array(z.string()).default([]),
  logins: z
    .strictObject({ 'read-only': login.optional(), 'read-write': login.optional(), admin: login.optional() })
    .optional(),
  catalog_login: login.optional(),
});
const schema = z.strictObject({
  data: z.string().optional(),
  gateway: z
    .strictObject({
      listen: address.optional(),
      tls: z.strictObject({ cert_file: z.string(), key_file: z.string() }).optional(),
    })
    .optional(),
  console: z.strictObject({ listen: address.optional(), public_url: z.url().optional() }).optional(),
  store: z.strictObject({ url: z.string() }).optional(),
  policy: z.string().optional(),
  targets: z
    .record(
      z.string().regex(/^[a-z][a-z0-9_-]{0,40}$/, 'a target name is lower case letters, digits, - and _'),
      target,
    )
    .optional(),
  identity: z
    .strictObject({
      issuers: z
        .array(
          z.strictObject({
            issuer: z.url(),
            audience: z.string().min(1),
            algorithms: z.array(z.string()).optional(),
            claims: z
              .strictObject({
                groups: z.string().optional(),
                owner: z.string().optional(),
                agent: z.string().optional(),
                email: z.string().optional(),
              })
              .optional(),
          }),
        )
        .default([]),
      levels: z.record(z.string(), level).default({}),
      approvers: z
        .array(
          z.strictObject({
            email: z.email().optional(),
            slack: z
              .string()
              .regex(/^[UW][A-Z0-9]{2,20}$/, 'a Slack user id starts with U or W')
              .optional(),
            name: z.string().min(1).max(80),
            groups: z.array(z.string()).default([]),
          }),
        )
        .default([]),
    })
    .optional(),
  slack: z
    .strictObject({
      bot_token: z.string().optional(),
      app_token: z.string().optional(),
      signing_secret: z.string().optional(),
      channel: z.string().optional(),
      api_url: z.url().optional(),
      listen: address.optional(),
    })
    .optional(),
  hold: z
    .strictObject({
      agent_wait: duration.optional(),
      person_wait: duration.optional(),
      max_wait: duration.optional(),
    })
    .optional(),
});
type FileConfig = z.infer<typeof schema>;

const LOOPBACK = /^(127(\.\d{1,3}){3}|localhost|::1|\[::1\])$/;
export function isLoopback(host: string): boolean {
  return LOOPBACK.test(host);
}

/** Reads everything there is to read; throws ConfigError with every problem at once. */
export function loadConfig(flags: Flags, env: NodeJS.ProcessEnv, cwd: string): Config {
  const problems: Problem[] = [];
  const found = findFile(flags.config, env, cwd, problems);
  const file = found === null ? {} : readFile(found, env, problems);
  const base = found === null ? cwd : dirname(found);
  const at = (path: string) => (isAbsolute(path) ? path : resolve(base, path));
  const place = found ?? 'environment';

  const targets = [...fileTargets(file, at, place, problems), ...flagTargets(flags.target ?? [], problems)];
  for (const [index, one] of targets.entries()) {
    if (targets.findIndex((t) => t.name === one.name) !== index) {
      problems.push({ place: '--target', message: `target "${one.name}" is named twice` });
    }
  }

  const slack = slackSettings(file, env, problems);
  const config: Config = {
    dataDir: resolve(
      cwd,
      flags.data ?? env['HOLDPOINT_DATA'] ?? (file.data === undefined ? '.holdpoint' : at(file.data)),
    ),
    gateway: {
      ...listen(file.gateway?.listen, env['HOLDPOINT_LISTEN'], 7432, 'HOLDPOINT_LISTEN', problems),
      tls: readTls(file, at, place, problems),
    },
    console: listen(
      file.console?.listen,
      env['HOLDPOINT_CONSOLE_LISTEN'],
      7480,
      'HOLDPOINT_CONSOLE_LISTEN',
      problems,
    ),
    publicUrl: publicUrl(file.console?.public_url ?? env['HOLDPOINT_PUBLIC_URL'], problems),
    storeUrl: file.store?.url ?? env['HOLDPOINT_STORE_URL'] ?? null,
    targets,
    demo: targets.length === 0,
    issuers: (file.identity?.issuers ?? []).map(({ algorithms, claims, ...rest }) => ({
      ...rest,
      ...(algorithms === undefined ? {} : { algorithms }),
      ...(claims === undefined
        ? {}
        : { claims: Object.fromEntries(Object.entries(claims).filter(([, v]) => v !== undefined)) }),
    })),
    levels: new Map(Object.entries(file.identity?.levels ?? {})),
    approvers: approvers(file, env, place, problems),
    slack,
    hold: {
      agentWaitMs: file.hold?.agent_wait ?? 25_000,
      personWaitMs: file.hold?.person_wait ?? 10 * 60_000,
      maxWaitMs: file.hold?.max_wait ?? 30 * 60_000,
    },
    logLevel: env['HOLDPOINT_LOG'] ?? 'warn',
  };
  if (Number.isInteger(config.console.port) && !isLoopback(config.console.host)) {
    problems.push({
      place:
        env['HOLDPOINT_CONSOLE_LISTEN'] === undefined
          ? `${place} console.listen`
          : 'HOLDPOINT_CONSOLE_LISTEN',
      message: `the console does not listen on ${config.console.host} without a login configured: write 127.0.0.1:7480 and reach it through a tunnel`,
    });
  }
  if (config.storeUrl !== null && !/^postgres(ql)?:\/\//.test(config.storeUrl)) {
    problems.push({
      place: file.store?.url === undefined ? 'HOLDPOINT_STORE_URL' : place,
      message: 'the store is PostgreSQL: write postgres://user:password@host/database',
    });
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return Object.freeze(config);
}

function findFile(
  flag: string | undefined,
  env: NodeJS.ProcessEnv,
  cwd: string,
  problems: Problem[],
): string | null {
  const named = flag ?? env['HOLDPOINT_CONFIG'];
  if (named !== undefined) {
    const path = resolve(cwd, named);
    if (existsSync(path)) return path;
    problems.push({
      place: flag === undefined ? 'HOLDPOINT_CONFIG' : '--config',
      message: `there is no file ${named}`,
    });
    return null;
  }
  const usual = join(cwd, 'holdpoint.yaml');
  return existsSync(usual) ? usual : null;
}

function readFile(path: string, env: NodeJS.ProcessEnv, problems: Problem[]): FileConfig {
  const lines = new LineCounter();
  const document = parseDocument(readFileSync(path, 'utf8'), { lineCounter: lines, uniqueKeys: true });
  for (const error of document.errors) {
    const at = lines.linePos(error.pos[0]);
    problems.push({
      place: `${path}:${at.line}:${at.col}`,
      message: error.message.split('\n')[0] ?? 'is not YAML',
    });
  }
  if (document.errors.length > 0) return {};
  const raw: unknown = expand(document.toJS({ maxAliasCount: 20 }) ?? {}, env, (name, keys) =>
    problems.push({
      place: `${path}:${where(document, lines, keys)}`,
      message: `the environment variable ${name} is not set`,
    }),
  );
  const parsed = schema.safeParse(raw);
  if (parsed.success) return parsed.data;
  for (const issue of parsed.error.issues) {
    const keys = issue.code === 'unrecognized_keys' ? [...issue.path, issue.keys[0] ?? ''] : issue.path;
    problems.push({
      place: `${path}:${where(document, lines, keys)}`,
      message: `${issue.path.join('.') || 'the file'}: ${issue.message}`,
    });
  }
  return {};
}

/** Line:column of the node at `keys`, or of the nearest parent that exists. */
function where(document: Document, lines: LineCounter, keys: readonly PropertyKey[]): string {
  for (let depth = keys.length; depth >= 0; depth -= 1) {
    const path = keys.slice(0, depth);
    const parent = depth === 0 ? document.contents : document.getIn(path.slice(0, -1), true);
    const pair =
      isMap(parent) && depth > 0
        ? parent.items.find((item) => isScalar(item.key) && item.key.value === path.at(-1))
        : undefined;
    const node =
      pair !== undefined && isScalar(pair.key)
        ? pair.key
        : depth === 0
          ? document.contents
          : document.getIn(path, true);
    if (node !== null && typeof node === 'object' && 'range' in node && Array.isArray(node.range)) {
      const offset: unknown = node.range[0];
      if (typeof offset === 'number') {
        const at = lines.linePos(offset);
        return `${at.line}:${at.col}`;
      }
    }
  }
  return '1:1';
}

function expand(
  value: unknown,
  env: NodeJS.ProcessEnv,
  missing: (name: string, keys: PropertyKey[]) => void,
  keys: PropertyKey[] = [],
): unknown {
  if (typeof value === 'string') {
    return value.replace(/\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g, (_, name: string) => {
      const found = env[name];
      if (found === undefined) missing(name, keys);
      return found ?? '';
    });
  }
  if (Array.isArray(value)) return value.map((item, i) => expand(item, env, missing, [...keys, i]));
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(
      Object.entries(value).map(([k, v]) => [k, expand(v, env, missing, [...keys, k])]),
    );
  }
  return value;
}

function listen(
  fromFile: string | undefined,
  fromEnv: string | undefined,
  port: number,
  name: string,
  problems: Problem[],
): Listen {
  const text = fromEnv ?? fromFile;
  if (text === undefined) return { host: '127.0.0.1', port, configured: false };
  const colon = text.lastIndexOf(':');
  const number = Number(text.slice(colon + 1));
  if (!address.safeParse(text).success || !Number.isInteger(number) || number > 65_535) {
    problems.push({
      place: name,
      message: `"${text}" is no address: write host:port, such as 127.0.0.1:${port}`,
    });
  }
  return { host: text.slice(0, colon).replace(/^\[|\]$/g, ''), port: number, configured: true };
}

function publicUrl(text: string | undefined, problems: Problem[]): string | null {
  if (text === undefined || text === '') return null;
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol)) {
    problems.push({ place: 'HOLDPOINT_PUBLIC_URL', message: 'is no http(s) URL' });
    return null;
  }
  return text.replace(/\/+$/, '');
}

function readText(path: string, place: string, what: string, problems: Problem[]): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    problems.push({ place, message: `${what}: the file ${path} cannot be read` });
    return null;
  }
}

function readTls(file: FileConfig, at: (path: string) => string, place: string, problems: Problem[]) {
  const tls = file.gateway?.tls;
  if (tls === undefined) return null;
  const cert = readText(at(tls.cert_file), place, 'gateway.tls.cert_file', problems);
  const key = readText(at(tls.key_file), place, 'gateway.tls.key_file', problems);
  return cert === null || key === null ? null : { cert, key };
}

function readLogin(
  value: z.infer<typeof login>,
  at: (path: string) => string,
  place: string,
  problems: Problem[],
): UpstreamLogin {
  const fromFile =
    value.password_file === undefined
      ? null
      : readText(at(value.password_file), place, 'password_file', problems);
  return { user: value.user, password: value.password ?? fromFile?.replace(/\r?\n$/, '') ?? null };
}

function fileTargets(
  file: FileConfig,
  at: (path: string) => string,
  place: string,
  problems: Problem[],
): TargetSettings[] {
  return Object.entries(file.targets ?? {}).flatMap(([name, value]) => {
    const url = parseUrl(value.url, `${place} targets.${name}.url`, problems);
    if (url === null) return [];
    if (value.protocol === 'trusted' && value.environment !== 'test') {
      problems.push({
        place: `${place} targets.${name}.protocol`,
        message: 'trusted is for targets with `environment: test` only',
      });
    }
    const named = Object.entries(value.logins ?? {}).flatMap(([key, one]) =>
      one === undefined ? [] : [[key, readLogin(one, at, place, problems)] as const],
    );
    const logins: Target['logins'] = named.length > 0 ? Object.fromEntries(named) : everyLevel(url.login);
    if (Object.keys(logins).length === 0) {
      problems.push({
        place: `${place} targets.${name}.logins`,
        message: 'name at least one upstream login (read-only, read-write or admin)',
      });
    }
    const policy = value.policy ?? file.policy;
    return [
      {
        name,
        environment: value.environment,
        host: url.host,
        port: url.port,
        database: url.database,
        tls: value.tls ?? (isLoopback(url.host) ? 'disable' : 'verify-full'),
        ca:
          value.ca_file === undefined
            ? null
            : readText(at(value.ca_file), place, `targets.${name}.ca_file`, problems),
        logins,
        catalogLogin:
          value.catalog_login === undefined ? null : readLogin(value.catalog_login, at, place, problems),
        acceptPrivileges: value.accept_privileges,
        protocol: value.protocol,
        policyPath: policy === undefined ? null : at(policy),
      } satisfies TargetSettings,
    ];
  });
}

function flagTargets(flags: readonly string[], problems: Problem[]): TargetSettings[] {
  return flags.flatMap((text) => {
    const match = /^([a-z][a-z0-9_-]{0,40})=(.+)$/.exec(text);
    if (match?.[1] === undefined || match[2] === undefined) {
      problems.push({
        place: '--target',
        message: 'write --target name=postgres://user:password@host:port/database',
      });
      return [];
    }
    const url = parseUrl(match[2], '--target', problems);
    if (url === null) return [];
    if (url.login === null)
      problems.push({
        place: '--target',
        message: 'the URL names no user: write postgres://user:password@host/database',
      });
    return [
      {
        name: match[1],
        environment: 'production',
        host: url.host,
        port: url.port,
        database: url.database,
        tls: url.tls ?? (isLoopback(url.host) ? 'disable' : 'verify-full'),
        ca: null,
        logins: everyLevel(url.login),
        catalogLogin: null,
        acceptPrivileges: [],
        protocol: 'strict',
        policyPath: null,
      } satisfies TargetSettings,
    ];
  });
}

/** One login for every level: policy still keeps the levels apart, the database does not. Said aloud at start. */
function everyLevel(one: UpstreamLogin | null): Target['logins'] {
  return one === null ? {} : { 'read-only': one, 'read-write': one, admin: one };
}

function parseUrl(text: string, place: string, problems: Problem[]) {
  if (!URL.canParse(text) || !/^postgres(ql)?:$/.test(new URL(text).protocol)) {
    problems.push({ place, message: 'is no postgres:// URL' });
    return null;
  }
  const url = new URL(text);
  const database = decode(url.pathname.slice(1));
  if (database === '' || url.hostname === '') {
    problems.push({ place, message: 'name host and database: postgres://host:port/database' });
    return null;
  }
  const mode = url.searchParams.get('sslmode');
  const tls =
    mode === 'disable'
      ? 'disable'
      : mode === 'require'
        ? 'require'
        : mode === 'verify-full'
          ? 'verify-full'
          : null;
  if (mode !== null && tls === null)
    problems.push({ place, message: `sslmode=${mode} is not offered: use disable, require or verify-full` });
  const login: UpstreamLogin | null =
    url.username === ''
      ? null
      : { user: decode(url.username), password: url.password === '' ? null : decode(url.password) };
  return {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? 5432 : Number(url.port),
    database,
    login,
    tls,
  } as const;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function approvers(
  file: FileConfig,
  env: NodeJS.ProcessEnv,
  place: string,
  problems: Problem[],
): ApproverRecord[] {
  const listed = (file.identity?.approvers ?? []).map((one) => {
    if (one.email === undefined && one.slack === undefined)
      problems.push({
        place: `${place} identity.approvers`,
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
        problems.push({ place: `${place} identity.approvers`, message: `"${one[key]}" is named twice` });
        break;
      }
    }
  }
  return all;
}

function slackSettings(file: FileConfig, env: NodeJS.ProcessEnv, problems: Problem[]): SlackSettings | null {
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
  const http = listen(
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
