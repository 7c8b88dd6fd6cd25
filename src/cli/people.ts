/** `holdpoint suspend OWNER` and `holdpoint resume OWNER`: for administrators. */
import { connect } from './client.ts';
import type { Cli } from './context.ts';
import { safe } from './text.ts';

async function change(cli: Cli, verb: 'suspend' | 'restore', person: string): Promise<void> {
  const { sentence } = await connect(cli).post<{ sentence: string }>(`/people/${verb}`, { person });
  cli.out(safe(sentence));
}

export const suspend = (cli: Cli, person: string): Promise<void> => change(cli, 'suspend', person);
export const resume = (cli: Cli, person: string): Promise<void> => change(cli, 'restore', person);
