/** postgres:// URLs of targets and store. */
import type { UpstreamLogin } from '../gateway/types.ts';

const MODES = ['disable', 'require', 'verify-full'] as const;

export interface PostgresUrl {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly login: UpstreamLogin | null;
  readonly tls: (typeof MODES)[number] | null;
}

/** What is wrong with it, or null. Never quotes it: it may hold a password. */
export function urlProblem(text: string): string | null {
  if (!URL.canParse(text) || !/^postgres(ql)?:$/.test(new URL(text).protocol)) {
    return 'is no postgres:// URL: write postgres://user:password@host:port/database, special characters of the password as %XX';
  }
  const url = new URL(text);
  if (url.pathname.length < 2 || url.hostname === '') {
    return 'name host and database: postgres://host:port/database';
  }
  if (url.port === '0') return 'port 0 is none to connect to';
  return null;
}

/** As above, for a target: how TLS is used is ours to do. */
export function targetUrlProblem(text: string): string | null {
  const problem = urlProblem(text);
  if (problem !== null) return problem;
  const mode = new URL(text).searchParams.get('sslmode');
  if (mode === null || MODES.some((known) => known === mode)) return null;
  return `sslmode=${mode} is not offered: use ${MODES.join(', ')}`;
}

/** Of a text without a problem. */
export function parseUrl(text: string): PostgresUrl {
  const url = new URL(text);
  const mode = url.searchParams.get('sslmode');
  return {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? 5432 : Number(url.port),
    database: decode(url.pathname.slice(1)),
    login:
      url.username === ''
        ? null
        : { user: decode(url.username), password: url.password === '' ? null : decode(url.password) },
    tls: MODES.find((known) => known === mode) ?? null,
  };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
