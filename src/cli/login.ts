/** `holdpoint login LINK`: trades the one-time link for a token: of 30 days, or until the login ends that the link is of. */
import { writePrivate } from '../secrets.ts';
import { call, connect, consoleUrl, loginPlace } from './client.ts';
import { type Cli, CommandError } from './context.ts';
import { clock } from './text.ts';

export async function login(cli: Cli, link: string): Promise<void> {
  const match = /^(https?:\/\/\S+)\/login\/(hpl_[A-Za-z0-9_-]+)$/.exec(link.trim());
  if (match === null && /^https?:\/\/\S+$/.test(link.trim())) {
    const place = consoleUrl(link.trim());
    throw new CommandError(
      `Open ${place}/terminal in your browser, sign in, and run the command that it makes.`,
    );
  }
  if (match === null) {
    throw new CommandError(
      'This is not a one-time link; paste the whole link that `holdpoint start` printed.',
    );
  }
  const console = consoleUrl(match[1] ?? '');
  const path = loginPlace(cli);
  const grant = await call<{ token: string; expiresAt: number; approver: string }>(console, '/login', null, {
    link: match[2],
  });
  writePrivate(path, `${JSON.stringify({ console, token: grant.token })}\n`);
  cli.out(`Logged in as ${grant.approver} until ${clock(grant.expiresAt)}; the token is in ${path}.`);
}

/** `holdpoint link`: a one-time link for one's own browser. */
export async function link(cli: Cli): Promise<void> {
  const { url } = await connect(cli).post<{ url: string }>('/links', {});
  cli.out(url);
}
