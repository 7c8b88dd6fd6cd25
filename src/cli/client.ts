/** The API as the commands call it, with the approver's token. No agent credential is ever sent as one. */
import { readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { makeDirectory } from '../secrets.ts';
import { type Cli, CommandError, tokenFile } from './context.ts';

const TIMEOUT_MS = 30_000;
const TOKEN = /^hpa_[A-Za-z0-9_-]{43}$/;
const DEFAULT_CONSOLE = 'http://127.0.0.1:7480';
const LOOPBACK = new Set(['127.0.0.1', 'localhost', '[::1]']);

export interface CallOptions {
  readonly method?: 'PUT';
  readonly headers?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
}
export interface Api {
  get<T>(path: string): Promise<T>;
  post<T>(path: string, body: unknown, options?: CallOptions): Promise<T>;
  put<T>(path: string, body: unknown, headers: Readonly<Record<string, string>>): Promise<T>;
}

/** Origin and mount path of a console, no slash at the end. Refuses to send a secret in the clear over a network. */
export function consoleUrl(text: string): string {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new CommandError('The console address is not a URL; it looks like http://127.0.0.1:7480.');
  }
  const clear = url.protocol === 'http:' && LOOPBACK.has(url.hostname);
  if (url.protocol !== 'https:' && !clear) {
    throw new CommandError(
      'The console is reached over https (http is for this machine only); use its https address.',
    );
  }
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
}

function checkToken(token: string): string {
  if (/^(cred_|hpc_|hpl_|hps_)/.test(token) || token.startsWith('eyJ')) {
    throw new CommandError(
      'This is not an approver token, and no other credential decides here; run `holdpoint login LINK` as an approver.',
    );
  }
  if (!TOKEN.test(token)) {
    throw new CommandError('The approver token is malformed; run `holdpoint login LINK` to get a new one.');
  }
  return token;
}

function savedLogin(cli: Cli): { readonly console: string; readonly token: string } {
  const path = tokenFile(cli);
  let text: string;
  let mode: number;
  try {
    text = readFileSync(path, 'utf8');
    mode = statSync(path).mode;
  } catch {
    throw new CommandError(
      'You are not logged in; run `holdpoint login LINK` with the one-time link that `holdpoint start` printed.',
    );
  }
  if ((mode & 0o077) !== 0) {
    throw new CommandError(
      `Others can read ${path}; run \`chmod 600 ${path}\`, or log in again if that is not your doing.`,
    );
  }
  try {
    const saved: unknown = JSON.parse(text);
    if (typeof saved === 'object' && saved !== null && 'console' in saved && 'token' in saved) {
      if (typeof saved.console === 'string' && typeof saved.token === 'string') {
        return { console: saved.console, token: saved.token };
      }
    }
  } catch {
    // Said below.
  }
  throw new CommandError(`The file ${path} is damaged; run \`holdpoint login LINK\` again.`);
}

/** Where a login will be kept. Made sure of before the one-time link is spent. */
export function loginPlace(cli: Cli): string {
  const path = tokenFile(cli);
  try {
    makeDirectory(dirname(path));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new CommandError(`${why} XDG_CONFIG_HOME says where logins are kept.`);
  }
  return path;
}

/** HOLDPOINT_TOKEN with HOLDPOINT_CONSOLE_URL, else the saved login. A saved token goes to the console that gave it, nowhere else. */
export function connect(cli: Cli): Api {
  const fromEnv = cli.env['HOLDPOINT_TOKEN'];
  const login =
    fromEnv === undefined || fromEnv === ''
      ? savedLogin(cli)
      : { console: cli.env['HOLDPOINT_CONSOLE_URL'] || DEFAULT_CONSOLE, token: fromEnv };
  const base = consoleUrl(login.console);
  const token = checkToken(login.token);
  return {
    get: (path) => call(base, path, token, null),
    post: (path, body, options) => call(base, path, token, body, options),
    put: (path, body, headers) => call(base, path, token, body, { method: 'PUT', headers }),
  };
}

export async function call<T>(
  base: string,
  path: string,
  token: string | null,
  body: unknown,
  options: CallOptions = {},
): Promise<T> {
  let response: Response;
  try {
    response = await fetch(`${base}/api${path}`, {
      method: options.method ?? (body === null ? 'GET' : 'POST'),
      headers: {
        accept: 'application/json',
        'x-holdpoint-client': 'cli',
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
        ...(body === null ? {} : { 'content-type': 'application/json' }),
        ...options.headers,
      },
      ...(body === null ? {} : { body: JSON.stringify(body) }),
      redirect: 'error',
      signal: AbortSignal.timeout(options.timeoutMs ?? TIMEOUT_MS),
    });
  } catch {
    throw new CommandError(
      `Nothing answers at ${base}; start Holdpoint with \`holdpoint start\`, or log in again if it moved.`,
    );
  }
  const answer: unknown = await response.json().catch(() => null);
  // The answer's shape is that of src/console/api.ts, of the same release.
  if (response.ok) return answer as T;
  if (response.status === 401 && token !== null) {
    throw new CommandError(
      'The approver token is not valid any more; run `holdpoint login LINK` with a fresh one-time link.',
    );
  }
  const said =
    typeof answer === 'object' && answer !== null && 'error' in answer && typeof answer.error === 'string'
      ? answer.error
      : `The console answered ${response.status}; is ${base} a Holdpoint console?`;
  throw new CommandError(said);
}
