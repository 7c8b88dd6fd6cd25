/** `holdpoint policy show` and `policy set FILE`: the policy in force at a target of the running gateway. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { PolicyView } from '../policy/live.ts';
import { connect } from './client.ts';
import { type Cli, CommandError } from './context.ts';
import { clock, safe } from './text.ts';

type Shown = Omit<PolicyView, 'path'> & { readonly file: boolean };

const pathOf = (target: string | undefined): string =>
  target === undefined ? '/policy' : `/policy?target=${encodeURIComponent(target)}`;

export async function show(cli: Cli, options: { target?: string; diff?: boolean }): Promise<void> {
  const view = await connect(cli).get<Shown>(pathOf(options.target));
  if (options.diff !== true) return cli.out(safe(view.text).trimEnd());
  cli.out(`${view.target}: version ${view.version}`);
  cli.out(changeText(view));
}

export async function set(
  cli: Cli,
  path: string,
  options: { target?: string; base?: string },
): Promise<void> {
  let text: string;
  try {
    text = readFileSync(resolve(cli.cwd, path), 'utf8');
  } catch {
    throw new CommandError(`The policy file ${path} cannot be read; check its path and permissions.`);
  }
  const api = connect(cli);
  const base = options.base ?? (await api.get<Shown>(pathOf(options.target))).version;
  const view = await api.put<Shown>(pathOf(options.target), { text }, { 'if-match': `"${base}"` });
  if (view.version === base)
    return cli.out(`${view.target}: this text is in force already, version ${base}.`);
  cli.out(`${view.target}: version ${view.version} is in force from the next statement on (was ${base}).`);
  cli.out(changeText(view));
}

function changeText({ change }: Shown): string {
  if (change === null) return 'No change of it is known.';
  const by = change.author === null ? 'in its file' : `by ${change.author} (${change.surface})`;
  const where = change.session === null ? '' : `, recording ${change.session}`;
  return safe(`${clock(change.at)} ${by}, from version ${change.previous}${where}\n${change.diff}`);
}
