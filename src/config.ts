/**
 * Environment + holdpoint.yaml + command line → one frozen Config, or every problem found, each with its place. The command line wins
 * over the environment, that over the file. The only file that reads process.env. Secrets may be written as `${NAME}` or `*_file`, and NAME may lie in the file that NAME_FILE names.
 */
import { resolve } from 'node:path';
import { readApprovers, readPolicyAdmins } from './config/approvers.ts';
import { readConsole, readPublicUrl } from './config/console.ts';
import { type ConfigFile, configFile, readText, variable } from './config/file.ts';
import { readListen } from './config/listen.ts';
import { readSlack } from './config/slack.ts';
import { readTargets } from './config/targets.ts';
import { type Config, ConfigError, type Flags, type Problem } from './config/types.ts';
import { urlProblem } from './config/url.ts';

export { type Config, ConfigError, type Flags, type Problem, type TargetSettings } from './config/types.ts';

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'];

export function environment(): NodeJS.ProcessEnv {
  return process.env;
}

/** Where it is, for those who need nothing else of the configuration: its mistakes and missing secrets are not theirs. */
export function findDataDir(flags: Flags, env: NodeJS.ProcessEnv, cwd: string): string {
  return dataDirOf(configFile(flags.config, env, cwd, []), flags, env, cwd);
}
function dataDirOf({ values, path }: ConfigFile, flags: Flags, env: NodeJS.ProcessEnv, cwd: string): string {
  const inFile = values.data === undefined ? '.holdpoint' : path(values.data);
  return resolve(cwd, flags.data || env['HOLDPOINT_DATA'] || inFile);
}

/** Reads everything there is to read; throws ConfigError with every problem at once. */
export function loadConfig(flags: Flags, env: NodeJS.ProcessEnv, cwd: string): Config {
  const problems: Problem[] = [];
  const file = configFile(flags.config, env, cwd, problems);
  const { values } = file;
  const targets = readTargets(file, flags.target ?? [], problems);
  const approvers = readApprovers(file, env, problems);
  const config: Config = {
    dataDir: dataDirOf(file, flags, env, cwd),
    gateway: {
      ...readListen(values.gateway?.listen, env['HOLDPOINT_LISTEN'], 7432, 'HOLDPOINT_LISTEN', problems),
      tls: readTls(file, problems),
      limits: readLimits(file),
      trustedProxies: values.gateway?.trusted_proxies ?? [],
    },
    console: readConsole(file, env, problems),
    publicUrl: readPublicUrl(file, env, problems),
    storeUrl: readStore(file, env, problems),
    targets,
    demo: targets.length === 0,
    issuers: (values.identity?.issuers ?? []).map(({ algorithms, claims, ...rest }) => ({
      ...rest,
      ...(algorithms === undefined ? {} : { algorithms }),
      ...(claims === undefined
        ? {}
        : { claims: Object.fromEntries(Object.entries(claims).filter(([, v]) => v !== undefined)) }),
    })),
    levels: new Map(Object.entries(values.identity?.levels ?? {})),
    approvers,
    policyAdmins: readPolicyAdmins(file, approvers, problems),
    slack: readSlack(file, env, problems),
    hold: {
      agentWaitMs: values.hold?.agent_wait ?? 25_000,
      personWaitMs: values.hold?.person_wait ?? 10 * 60_000,
      maxWaitMs: values.hold?.max_wait ?? 30 * 60_000,
      agentIdleMs: values.hold?.agent_idle_in_transaction ?? 5 * 60_000,
    },
    guesses: {
      count: values.alerts?.guesses?.count ?? 2000,
      withinMs: values.alerts?.guesses?.within ?? 10 * 60_000,
    },
    logLevel: env['HOLDPOINT_LOG'] || 'warn',
  };
  if (!LOG_LEVELS.includes(config.logLevel)) {
    problems.push({ place: 'HOLDPOINT_LOG', message: `write one of ${LOG_LEVELS.join(', ')}` });
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return Object.freeze(config);
}

function readStore(file: ConfigFile, env: NodeJS.ProcessEnv, problems: Problem[]): string | null {
  const name = 'HOLDPOINT_STORE_URL';
  const text = variable(env, name, problems);
  if (!text) return file.values.store?.url ?? null;
  const problem = urlProblem(text);
  if (problem !== null) problems.push({ place: name, message: problem });
  return text;
}

function readLimits({ values }: ConfigFile): Config['gateway']['limits'] {
  const limits = values.gateway?.limits ?? {};
  const { connections, per_address, per_owner, login, message } = limits;
  return {
    ...(connections === undefined ? {} : { total: connections }),
    ...(per_address === undefined ? {} : { perAddress: per_address }),
    ...(per_owner === undefined ? {} : { perOwner: per_owner }),
    ...(login === undefined ? {} : { loginMs: login }),
    ...(message === undefined ? {} : { messageBytes: message }),
    ...(limits.message_time === undefined ? {} : { messageMs: limits.message_time }),
    ...(limits.memory === undefined ? {} : { totalBytes: limits.memory }),
    ...(limits.owner_memory === undefined ? {} : { ownerBytes: limits.owner_memory }),
  };
}

function readTls(file: ConfigFile, problems: Problem[]): Config['gateway']['tls'] {
  const tls = file.values.gateway?.tls;
  if (tls === undefined) return null;
  const read = (key: 'cert_file' | 'key_file') =>
    readText(file.path(tls[key]), file.place('gateway', 'tls', key), key, problems);
  const [cert, key] = [read('cert_file'), read('key_file')];
  return cert === null || key === null ? null : { cert, key };
}
