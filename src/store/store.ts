import type { DeskStore } from '../approvals/types.ts';
import type { Outbox } from '../bot/types.ts';
import type { FailedLoginStore } from '../identity/failed-logins.ts';
import type { CredentialStore } from '../identity/types.ts';
import { type AlertRows, alertStore } from './alerts.ts';
import { connect, type StoreLog } from './client.ts';
import { credentialStore } from './credentials.ts';
import { failedLoginStore } from './failed-logins.ts';
import { codeOf, StoreFailure } from './failure.ts';
import { type LinkStore, linkStore } from './links.ts';
import { type Ear, listen } from './listen.ts';
import { type MetaStore, metaStore } from './meta.ts';
import { MigrationRefused, migrate } from './migrate.ts';
import { outbox } from './outbox.ts';
import { requestStore } from './requests.ts';
import { type SessionRows, sessionIndex } from './sessions.ts';
import { type TurnStore, turnStore } from './turns.ts';

export type { StoreLog } from './client.ts';
export { patiently, StoreFailure } from './failure.ts';
export type { MetaStore } from './meta.ts';
export { MigrationRefused } from './migrate.ts';

/**
 * The store of the whole product. Every method rejects with a `StoreFailure` within seconds when PostgreSQL cannot be asked, and
 * works again by itself when it can.
 */
export interface Store {
  readonly requests: DeskStore;
  readonly outbox: Outbox;
  readonly links: LinkStore;
  readonly alerts: AlertRows;
  readonly credentials: CredentialStore;
  /** Names this process to others on the store. */
  readonly name: string;
  readonly failedLogins: FailedLoginStore;
  readonly sessions: SessionRows;
  readonly meta: MetaStore;
  readonly turns: TurnStore;
  readonly elsewhere: Omit<Ear, 'close'>;
  ping(): Promise<void>;
  /** The server's time, epoch milliseconds. */
  time(): Promise<number>;
  close(): Promise<void>;
}

/** Migrates, then opens. Rejects with `MigrationRefused` (needs a person) or `StoreFailure` (may be tried again). */
export async function openStore(options: { readonly url: string; readonly log: StoreLog }): Promise<Store> {
  const applied = await migrate(options.url).catch((error: unknown) => {
    throw error instanceof MigrationRefused ? error : new StoreFailure('be opened', codeOf(error));
  });
  for (const name of applied) options.log.info({ migration: name }, 'the store was migrated');
  const client = connect(options.url, options.log);
  const ear = listen(options.url, client, options.log);
  return {
    name: client.name,
    requests: requestStore(client),
    outbox: outbox(client),
    links: linkStore(client),
    alerts: alertStore(client),
    credentials: credentialStore(client),
    failedLogins: failedLoginStore(client),
    sessions: sessionIndex(client),
    meta: metaStore(client),
    turns: turnStore(client),
    elsewhere: ear,
    ping: () =>
      client.run('be reached', async (prisma) => {
        await prisma.$queryRaw`SELECT 1`;
      }),
    time: () =>
      client.run('tell the time', async (prisma) => {
        const [row] = await prisma.$queryRaw<
          readonly { readonly at: Date }[]
        >`SELECT clock_timestamp() AS at`;
        if (row === undefined) throw new StoreFailure('tell the time', 'no_row');
        return row.at.getTime();
      }),
    close: async () => {
      await ear.close();
      await client.close();
    },
  };
}
