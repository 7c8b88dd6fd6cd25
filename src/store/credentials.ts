import { type Access, type Credential, Prisma } from '../generated/prisma/client.ts';
import type { Issued } from '../identity/known.ts';
import type { CredentialStore, ProvenLogin, StoredAccess, StoredCredential } from '../identity/types.ts';
import { type Client, date, dateOrNull, json, msOrNull, storable, type Transaction } from './client.ts';
import { ISSUED_CHANNEL } from './listen.ts';

function credentialOf(row: Credential): StoredCredential {
  const owner =
    row.ownerId === null
      ? null
      : { id: row.ownerId, name: row.ownerName ?? row.ownerId, email: row.ownerEmail };
  return {
    id: row.id,
    owner,
    agent: row.agent,
    groups: row.groups,
    mintedBy: row.mintedBy,
    createdAt: row.createdAt.getTime(),
    expiresAt: row.expiresAt.getTime(),
    revokedAt: msOrNull(row.revokedAt),
    scram: {
      iterations: row.iterations,
      salt: row.salt,
      storedKey: row.storedKey,
      serverKey: row.serverKey,
    },
  };
}

function accessOf(row: Access): StoredAccess {
  return {
    secretHash: row.secretHash,
    kind: row.kind,
    approverId: row.approverId,
    // Written below, as it was.
    login: row.login as ProvenLogin | null,
    createdAt: row.createdAt.getTime(),
    expiresAt: row.expiresAt.getTime(),
    usedAt: msOrNull(row.usedAt),
    revokedAt: msOrNull(row.revokedAt),
  };
}

/** Other processes hear of it with the commit. */
const tell = (transaction: Transaction, by: string, kind: Issued, key: string) =>
  transaction.$executeRaw`SELECT pg_notify(${ISSUED_CHANNEL}, ${`${by} ${kind} ${storable(key)}`})`;

/** Minted credentials and approvers' access. A revocation is final: none is ever undone or moved. */
export function credentialStore(client: Client): CredentialStore {
  return {
    insertCredential: (credential) =>
      client.atomically('save a credential', async (transaction) => {
        await transaction.credential.create({
          data: {
            id: credential.id,
            ownerId: credential.owner?.id ?? null,
            ownerName: credential.owner?.name ?? null,
            ownerEmail: credential.owner?.email ?? null,
            agent: credential.agent,
            groups: [...credential.groups],
            mintedBy: credential.mintedBy ?? null,
            createdAt: date(credential.createdAt),
            expiresAt: date(credential.expiresAt),
            revokedAt: dateOrNull(credential.revokedAt),
            ...credential.scram,
          },
        });
        await tell(transaction, client.name, 'credential', credential.id);
      }),

    findCredential: (id) =>
      client.run('read a credential', async (prisma) => {
        const row = await prisma.credential.findUnique({ where: { id: storable(id) } });
        return row === null ? null : credentialOf(row);
      }),

    listCredentials: () =>
      client.run('list credentials', async (prisma) => {
        const rows = await prisma.credential.findMany({ orderBy: [{ createdAt: 'desc' }, { id: 'asc' }] });
        return rows.map(credentialOf);
      }),

    revokeCredential: (id, at) =>
      client.run('revoke a credential', async (prisma) => {
        const { count } = await prisma.credential.updateMany({
          where: { id: storable(id), revokedAt: null },
          data: { revokedAt: date(at) },
        });
        return count === 1;
      }),

    recentCredentials: (since, limit) =>
      client.run('read credentials', async (prisma) => {
        const rows = await prisma.credential.findMany({
          where: { expiresAt: { gt: date(since) }, id: { startsWith: 'cred_' } },
          orderBy: [{ createdAt: 'desc' }, { id: 'asc' }],
          take: limit,
        });
        return rows.map(credentialOf).reverse();
      }),

    // Inclusive: two revocations may share a millisecond, and a set does not mind the repeat.
    revokedSince: (since) =>
      client.run('read revocations', async (prisma) => {
        const rows = await prisma.credential.findMany({
          where: { revokedAt: { gte: date(since) } },
          select: { id: true },
        });
        return rows.map((row) => row.id);
      }),

    insertAccess: (access) =>
      client.atomically('save an access', async (transaction) => {
        await transaction.access.create({
          data: {
            secretHash: access.secretHash,
            kind: access.kind,
            approverId: access.approverId,
            login: access.login === null ? Prisma.DbNull : json(access.login),
            createdAt: date(access.createdAt),
            expiresAt: date(access.expiresAt),
            usedAt: dateOrNull(access.usedAt),
            revokedAt: dateOrNull(access.revokedAt),
          },
        });
        await tell(transaction, client.name, 'access', access.secretHash);
      }),

    findAccess: (secretHash) =>
      client.run('read an access', async (prisma) => {
        const row = await prisma.access.findUnique({ where: { secretHash: storable(secretHash) } });
        return row === null ? null : accessOf(row);
      }),

    consumeAccess: (secretHash, at) =>
      client.run('spend an access', async (prisma) => {
        const { count } = await prisma.access.updateMany({
          where: {
            secretHash: storable(secretHash),
            usedAt: null,
            revokedAt: null,
            expiresAt: { gt: date(at) },
          },
          data: { usedAt: date(at) },
        });
        return count === 1;
      }),

    revokeAccess: (secretHash, at) =>
      client.run('revoke an access', async (prisma) => {
        const { count } = await prisma.access.updateMany({
          where: { secretHash: storable(secretHash), revokedAt: null },
          data: { revokedAt: date(at) },
        });
        return count === 1;
      }),

    recentAccess: (since, limit) =>
      client.run('read accesses', async (prisma) => {
        const rows = await prisma.access.findMany({
          where: { expiresAt: { gt: date(since) } },
          orderBy: [{ createdAt: 'desc' }, { secretHash: 'asc' }],
          take: limit,
        });
        return rows.map(accessOf).reverse();
      }),

    listAccess: (now) =>
      client.run('list accesses', async (prisma) => {
        const rows = await prisma.access.findMany({
          where: { kind: { not: 'link' }, revokedAt: null, usedAt: null, expiresAt: { gt: date(now) } },
          orderBy: [{ createdAt: 'desc' }, { secretHash: 'asc' }],
          take: 500,
        });
        return rows.map(accessOf);
      }),

    revokeAccessOf: (personId, at) =>
      client.run('revoke the accesses of a person', async (prisma) => {
        const { count } = await prisma.access.updateMany({
          where: {
            approverId: storable(personId),
            revokedAt: null,
            usedAt: null,
            expiresAt: { gt: date(at) },
          },
          data: { revokedAt: date(at) },
        });
        return count;
      }),

    suspend: ({ personId, by, at }) =>
      client.run('suspend a person', async (prisma) => {
        const { count } = await prisma.suspension.createMany({
          data: [{ personId: storable(personId), by: storable(by), at: date(at) }],
          skipDuplicates: true,
        });
        return count === 1;
      }),

    unsuspend: (personId) =>
      client.run('lift a suspension', async (prisma) => {
        const { count } = await prisma.suspension.deleteMany({ where: { personId: storable(personId) } });
        return count === 1;
      }),

    listSuspensions: () =>
      client.run('list suspensions', async (prisma) => {
        const rows = await prisma.suspension.findMany({ orderBy: { at: 'desc' } });
        return rows.map((row) => ({ personId: row.personId, by: row.by, at: row.at.getTime() }));
      }),
  };
}
