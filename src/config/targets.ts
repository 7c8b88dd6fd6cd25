/** The databases behind the gateway, from holdpoint.yaml and from --target. */
import type { z } from 'zod';
import type { Target, UpstreamLogin } from '../gateway/types.ts';
import { type ConfigFile, readText } from './file.ts';
import type { login } from './schema.ts';
import type { Problem, TargetSettings } from './types.ts';
import { parseUrl, targetUrlProblem } from './url.ts';

const LOOPBACK = /^(127(\.\d{1,3}){3}|localhost|::1|\[::1\])$/;
export function isLoopback(host: string): boolean {
  return LOOPBACK.test(host);
}

export function readTargets(
  file: ConfigFile,
  flags: readonly string[],
  problems: Problem[],
): TargetSettings[] {
  const listed = fileTargets(file, problems);
  const flagged = flagTargets(flags, problems);
  for (const [index, { name }] of flagged.entries()) {
    if ([...listed, ...flagged.slice(0, index)].some((one) => one.name === name))
      problems.push({ place: '--target', message: `target "${name}" is named twice` });
  }
  return [...listed, ...flagged];
}

function fileTargets(file: ConfigFile, problems: Problem[]): TargetSettings[] {
  return Object.entries(file.values.targets ?? {}).map(([name, value]) => {
    const place = (...keys: readonly string[]) => file.place('targets', name, ...keys);
    const read = (key: string, one: z.infer<typeof login>): UpstreamLogin => {
      const fromFile =
        one.password_file === undefined
          ? null
          : readText(file.path(one.password_file), place(key), 'password_file', problems);
      return { user: one.user, password: one.password ?? fromFile?.replace(/\r?\n$/, '') ?? null };
    };
    const url = parseUrl(value.url);
    if (value.protocol === 'trusted' && value.environment !== 'test') {
      problems.push({
        place: place('protocol'),
        message: 'trusted is for targets with `environment: test` only',
      });
    }
    const named = Object.entries(value.logins ?? {}).flatMap(([level, one]) =>
      one === undefined ? [] : [[level, read('logins', one)] as const],
    );
    const logins: Target['logins'] = named.length > 0 ? Object.fromEntries(named) : everyLevel(url.login);
    if (Object.keys(logins).length === 0) {
      problems.push({
        place: place('logins'),
        message: `target "${name}" needs at least one upstream login (logins: read-only, read-write or admin)`,
      });
    }
    const policy = value.policy ?? file.values.policy;
    return {
      name,
      environment: value.environment,
      host: url.host,
      port: url.port,
      database: url.database,
      tls: value.tls ?? url.tls ?? (isLoopback(url.host) ? 'disable' : 'verify-full'),
      ca:
        value.ca_file === undefined
          ? null
          : readText(file.path(value.ca_file), place('ca_file'), 'ca_file', problems),
      logins,
      catalogLogin: value.catalog_login === undefined ? null : read('catalog_login', value.catalog_login),
      acceptPrivileges: value.accept_privileges,
      customSettings: value.settings,
      protocol: value.protocol,
      ...(value.server === undefined ? {} : { server: value.server }),
      policyPath: policy === undefined ? null : file.path(policy),
    };
  });
}

function flagTargets(flags: readonly string[], problems: Problem[]): TargetSettings[] {
  return flags.flatMap((text): TargetSettings[] => {
    const [, name, address] = /^([a-z][a-z0-9_-]{0,40})=(.+)$/.exec(text) ?? [];
    if (name === undefined || address === undefined) {
      problems.push({
        place: '--target',
        message: 'write --target name=postgres://user:password@host:port/database, the name in lower case',
      });
      return [];
    }
    const place = `--target ${name}`;
    const problem = targetUrlProblem(address);
    if (problem !== null) {
      problems.push({ place, message: problem });
      return [];
    }
    const url = parseUrl(address);
    if (url.login === null) {
      problems.push({
        place,
        message: 'the URL names no user: write postgres://user:password@host/database',
      });
    }
    return [
      {
        name,
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
      },
    ];
  });
}

/** One login for every level: policy still keeps the levels apart, the database does not. Said aloud at start. */
function everyLevel(one: UpstreamLogin | null): Target['logins'] {
  return one === null ? {} : { 'read-only': one, 'read-write': one, admin: one };
}
