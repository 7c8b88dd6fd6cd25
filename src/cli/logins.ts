/** `holdpoint logins [--since 24h]`: logins that failed, for auditors and administrators. */
import type { FailedLoginSummary } from '../identity/failed-logins.ts';
import { connect } from './client.ts';
import { type Cli, moment } from './context.ts';
import { clock, table } from './text.ts';

const SHOWN = 20;

export async function logins(cli: Cli, options: { readonly since: string }): Promise<void> {
  const since = moment(options.since, cli.now());
  const { byAddress, byOwner, latest, total } = await connect(cli).get<FailedLoginSummary>(
    `/logins/failed?since=${since}`,
  );
  if (total === 0) return cli.out('No login failed.');
  cli.out(`${total.toLocaleString('en-US')} failed`);
  const right = new Set([1]);
  for (const [name, counts] of [
    ['owner', byOwner],
    ['address', byAddress],
  ] as const) {
    const rows = counts.map(({ at, count, key }) => [key, String(count), clock(at)]);
    if (rows.length > 0) cli.out(`\n${table([name, 'failed', 'last'], rows, right)}`);
  }
  const rows = latest
    .slice(0, SHOWN)
    .map(({ address, at, claimed, count, owner, reason, via }) => [
      clock(at),
      via,
      address,
      claimed ?? '',
      owner === null ? '' : owner.name,
      count === 1 ? reason : `${reason} × ${count}`,
    ]);
  cli.out(`\n${table(['when', 'through', 'address', 'tried', 'owner', 'why'], rows)}`);
}
