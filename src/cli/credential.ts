/** `holdpoint credential mint` and `holdpoint credential revoke ID`. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from './client.ts';
import { type Cli, dataDir, duration, UsageError } from './context.ts';
import { clock, safe } from './text.ts';

export interface MintFlags {
  readonly owner?: string;
  readonly name?: string;
  readonly agent?: string;
  readonly group: readonly string[];
  readonly ttl: string;
  readonly data?: string;
}

export async function mint(cli: Cli, flags: MintFlags): Promise<void> {
  if (flags.name !== undefined && flags.owner === undefined) {
    throw new UsageError('--name goes with --owner; give the owner’s e-mail as well.');
  }
  const minted = await connect(cli).post<{
    id: string;
    secret: string;
    expiresAt: number;
    owner: { name: string; email: string | null };
  }>('/credentials', {
    owner:
      flags.owner === undefined
        ? null
        : { email: flags.owner, ...(flags.name === undefined ? {} : { name: flags.name }) },
    agent: flags.agent ?? null,
    groups: flags.group,
    ttlMs: duration(flags.ttl),
  });
  const whose = flags.agent === undefined ? minted.owner.name : `${flags.agent} for ${minted.owner.name}`;
  cli.out(
    `A credential of ${safe(whose)}, until ${clock(minted.expiresAt)}. The password is shown only now.`,
  );
  cli.out(`\n  user      ${minted.id}\n  password  ${minted.secret}`);
  const gateway = localGateway(dataDir(cli, flags.data)) ?? 'HOST:7432';
  cli.out(`\n  DATABASE_URL="postgres://${minted.id}:${minted.secret}@${gateway}/TARGET"`);
}

/** Where the gateway of this data directory listens, when it is this machine's. */
function localGateway(data: string): string | null {
  try {
    const run: unknown = JSON.parse(readFileSync(join(data, 'run.json'), 'utf8'));
    if (typeof run !== 'object' || run === null || !('gateway' in run)) return null;
    const { host, port } = run.gateway as { host?: unknown; port?: unknown };
    return typeof host === 'string' && typeof port === 'number' ? `${host}:${port}` : null;
  } catch {
    return null;
  }
}

export async function revoke(cli: Cli, id: string): Promise<void> {
  await connect(cli).post(`/credentials/${encodeURIComponent(id)}/revoke`, {});
  cli.out(
    `${safe(id)} is revoked: its sessions end before their next statement, its requests are withdrawn.`,
  );
}
