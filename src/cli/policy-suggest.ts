/** `holdpoint policy suggest --target NAME`: a `pii:` part to paste, with why. */
import { type Suggestions, suggestionsYaml } from '../policy/suggest.ts';
import { connect } from './client.ts';
import type { Cli } from './context.ts';

const WAIT_MS = 60_000;

export async function suggest(cli: Cli, { target }: { target: string }): Promise<void> {
  const found = await connect(cli).post<Suggestions>('/policy/suggest', { target }, { timeoutMs: WAIT_MS });
  cli.out(suggestionsYaml(found, target));
}
