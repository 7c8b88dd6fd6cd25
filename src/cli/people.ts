/** `holdpoint suspend OWNER` and `holdpoint resume OWNER`: for administrators. `holdpoint alerts`: for approvers. */
import { burstTitle } from '../approvals/about.ts';
import { connect } from './client.ts';
import type { Cli } from './context.ts';
import { clock, flat, safe } from './text.ts';

async function change(cli: Cli, verb: 'suspend' | 'restore', person: string): Promise<void> {
  const { sentence } = await connect(cli).post<{ sentence: string }>(`/people/${verb}`, { person });
  cli.out(safe(sentence));
}

/** A person, for administrators; or whoever an alert is about, for approvers. */
export async function suspend(cli: Cli, whom: string): Promise<void> {
  if (!/^AL-/i.test(whom)) return await change(cli, 'suspend', whom);
  const path = `/alerts/${encodeURIComponent(whom.replace(/^al/i, 'AL'))}/suspend`;
  const { sentence } = await connect(cli).post<{ sentence: string }>(path, {});
  cli.out(flat(sentence));
}

export async function alerts(cli: Cli): Promise<void> {
  const { alerts: all } = await connect(cli).get<{ alerts: Alert[] }>('/alerts');
  if (all.length === 0) return cli.out('No alerts.');
  for (const alert of all) {
    cli.out(`${alert.id}  ${clock(alert.at)}  ${flat(burstTitle(alert))}`);
    for (const line of alert.lines) cli.out(`    ${flat(line)}`);
  }
  cli.out('\nholdpoint suspend ID');
}
type Alert = Parameters<typeof burstTitle>[0] & { readonly id: string; readonly lines: readonly string[] };

export const resume = (cli: Cli, person: string): Promise<void> => change(cli, 'restore', person);
