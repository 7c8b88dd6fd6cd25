import type { Credential } from '../generated/prisma/client.ts';
import type { CredentialStore, StoredCredential } from '../identity/types.ts';
import { type Client, date, dateOrNull, msOrNull, storable } from './client.ts';

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

/** Minted credentials and approvers' access. A revocation is final: none is ever undone or moved. */
export function credentialStore(client: Client): CredentialStore {
  return {
    insertCredential: (credential) =>
      client.run('save a credential', async (prisma) => {
        await prisma.credential.create({
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
      client.run('save an access', async (prisma) => {
        await prisma.access.create({
          data: {
            secretHash: access.secretHash,
            kind: access.kind,
            approverId: access.approverId,
            createdAt: date(access.createdAt),
            expiresAt: date(access.expiresAt),
            usedAt: dateOrNull(access.usedAt),
            revokedAt: dateOrNull(access.revokedAt),
          },
        });
      }),

    findAccess: (secretHash) =>
      client.run('read an access', async (prisma) => {
        const row = await prisma.access.findUnique({ where: { secretHash: storable(secretHash) } });
        if (row === null) return null;
        return {
          secretHash: row.secretHash,
          kind: row.kind,
          approverId: row.approverId,
          createdAt: row.createdAt.getTime(),
          expiresAt: row.expiresAt.getTime(),
          usedAt: msOrNull(row.usedAt),
          revokedAt: msOrNull(row.revokedAt),
        };
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
  };
}
