/** Where the console listens, how people log in to it, and which groups have which role. */
import type { RoleGroups } from '../identity/roles.ts';
import type { SignInConfig } from '../identity/sign-in.ts';
import { type ConfigFile, readText } from './file.ts';
import { readListen } from './listen.ts';
import { isLoopback } from './targets.ts';
import type { Config, Problem } from './types.ts';

export function readConsole(
  file: ConfigFile,
  env: NodeJS.ProcessEnv,
  problems: Problem[],
): Config['console'] {
  const name = 'HOLDPOINT_CONSOLE_LISTEN';
  const listen = readListen(file.values.console?.listen, env[name], 7480, name, problems);
  const beyond = !isLoopback(listen.host);
  const place = env[name] ? name : file.place('console', 'listen');
  if (beyond && file.values.console?.oidc === undefined) {
    problems.push({
      place,
      message: `the console does not listen on ${listen.host} without a login configured: write 127.0.0.1:7480 and reach it through a tunnel, or configure console.oidc`,
    });
  } else if (beyond && readPublicUrl(file, env, [])?.startsWith('https:') !== true) {
    problems.push({
      place,
      message: `the console listens on ${listen.host} only behind https: name the address that people open in console.public_url, such as https://holdpoint.example.com`,
    });
  }
  const trustedProxies = file.values.console?.trusted_proxies ?? [];
  return { ...listen, oidc: readOidc(file, problems), roles: readRoles(file), trustedProxies };
}

export function readPublicUrl(file: ConfigFile, env: NodeJS.ProcessEnv, problems: Problem[]): string | null {
  const name = 'HOLDPOINT_PUBLIC_URL';
  const text = env[name] || file.values.console?.public_url;
  if (text === undefined) return null;
  const place = env[name] ? name : file.place('console', 'public_url');
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol)) {
    problems.push({ place, message: 'is no http(s) URL' });
    return null;
  }
  const url = new URL(text);
  if (url.protocol === 'http:' && !isLoopback(url.hostname) && file.values.console?.oidc !== undefined) {
    problems.push({
      place,
      message: 'people log in over https only (http is for this machine): write an https URL',
    });
  }
  return text.replace(/\/+$/, '');
}

function readOidc(file: ConfigFile, problems: Problem[]): SignInConfig | null {
  const oidc = file.values.console?.oidc;
  if (oidc === undefined) return null;
  const url = new URL(oidc.issuer);
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLoopback(url.hostname))) {
    problems.push({
      place: file.place('console', 'oidc', 'issuer'),
      message: 'is no https URL (http is for loopback only)',
    });
  }
  if (oidc.client_secret !== undefined && oidc.client_secret_file !== undefined) {
    problems.push({
      place: file.place('console', 'oidc', 'client_secret'),
      message: 'write client_secret or client_secret_file, not both',
    });
  }
  const fromFile =
    oidc.client_secret_file === undefined
      ? null
      : readText(
          file.path(oidc.client_secret_file),
          file.place('console', 'oidc', 'client_secret_file'),
          'client_secret_file',
          problems,
        );
  const secret = oidc.client_secret ?? fromFile?.trim() ?? null;
  // An empty one would quietly make a public client of what was meant to be none.
  if (secret === '') {
    problems.push({
      place: file.place('console', 'oidc'),
      message: 'the client secret is empty: leave the setting out for a public client',
    });
  }
  return {
    issuer: oidc.issuer,
    clientId: oidc.client_id,
    clientSecret: secret,
    scopes: oidc.scopes,
    groupsClaim: oidc.groups_claim,
    audience: oidc.audience ?? null,
    trustEmail: oidc.trust_email,
    sessionMs: oidc.session,
    ...(oidc.algorithms === undefined ? {} : { algorithms: oidc.algorithms }),
  };
}

function readRoles(file: ConfigFile): RoleGroups {
  const { approver, auditor, admin } = file.values.console?.roles ?? {};
  return {
    ...(approver === undefined ? {} : { approver }),
    ...(auditor === undefined ? {} : { auditor }),
    ...(admin === undefined ? {} : { admin }),
  };
}
