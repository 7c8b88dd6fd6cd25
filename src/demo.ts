/** What a start without a target of one's own brings along: the shop, an agent that asks, an approver who decides. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { TargetSettings } from './config.ts';
import { type ShopLogins, seedShop } from './embedded/demo-shop.ts';
import { keepPostgres } from './embedded/keep.ts';
import type { IdentityService } from './identity/index.ts';
import type { ApproverRecord } from './identity/types.ts';
import { keptSecret, readPrivate, writePrivate } from './secrets.ts';

const DAY = 86_400_000;
export const DEMO_GROUP = 'demo-agents';
const DEMO_OWNER = { id: 'alice@example.com', name: 'Alice', email: 'alice@example.com' } as const;
export const DEMO_APPROVER: ApproverRecord = {
  id: 'dana@example.com',
  name: 'Dana',
  email: 'dana@example.com',
  slackId: null,
  groups: ['approvers'],
};

/** A cluster of its own: the store is never in reach of the target (DESIGN.md 18). */
export async function startShop(
  dataDir: string,
  log: Logger,
): Promise<{ readonly target: TargetSettings; stop(): Promise<void> }> {
  const secret = (name: string) => keptSecret(join(dataDir, `${name}.secret`));
  const password = secret('shop');
  const server = await keepPostgres({
    dataDir: join(dataDir, 'shop'),
    port: 0,
    superuser: 'shop_owner',
    password,
    log,
  });
  try {
    const logins: ShopLogins = {
      'read-only': { user: 'shop_readonly', password: secret('shop-readonly') },
      'read-write': { user: 'shop_readwrite', password: secret('shop-readwrite') },
      admin: { user: 'shop_admin', password: secret('shop-admin') },
    };
    await seedShop({ host: server.host, port: server.port, user: 'shop_owner', password }, logins);
    const target: TargetSettings = {
      name: 'shop',
      environment: 'demo',
      host: server.host,
      port: server.port,
      database: 'shop',
      tls: 'disable',
      ca: null,
      logins,
      catalogLogin: null,
      acceptPrivileges: [],
      protocol: 'strict',
      policyPath: null,
    };
    return { target, stop: () => server.stop() };
  } catch (error) {
    await server.stop();
    throw error;
  }
}

/** Kept (0600) for `holdpoint sql`. It is an agent's credential: it can ask, never decide. */
const agentFile = (dataDir: string) => join(dataDir, 'demo-agent.url');

function keptAgent(dataDir: string): URL | null {
  const kept = readPrivate(agentFile(dataDir));
  return kept !== null && URL.canParse(kept) ? new URL(kept) : null;
}

/** The demo agent's connection URL; the credential of an earlier start while it lives. */
export async function demoAgent(
  dataDir: string,
  identity: IdentityService,
  at: { readonly host: string; readonly port: number; readonly target: string },
  now: number,
): Promise<string> {
  const known = keptAgent(dataDir);
  const stored = known === null ? null : await identity.findCredential(known.username);
  const usable = stored !== null && stored.revokedAt === null && stored.expiresAt > now + DAY;
  const login =
    usable && known !== null
      ? { id: known.username, secret: decodeURIComponent(known.password) }
      : await identity.mint({ owner: DEMO_OWNER, agent: 'Cursor', groups: [DEMO_GROUP], ttlMs: 30 * DAY });
  const url = `postgres://${login.id}:${encodeURIComponent(login.secret)}@${at.host}:${at.port}/${at.target}`;
  writePrivate(agentFile(dataDir), url);
  return url;
}

/** Before a real target the demo's agent is nobody: a real target's credentials are minted by an approver. */
export async function endDemoAgent(dataDir: string, identity: IdentityService): Promise<void> {
  const known = keptAgent(dataDir);
  if (known !== null) await identity.revoke(known.username);
  rmSync(agentFile(dataDir), { force: true });
}
