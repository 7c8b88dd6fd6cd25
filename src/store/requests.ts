import type { ApprovalRequest, Decision, DeskStore, RequestPatch, RequestState } from '../approvals/types.ts';
import { type Client, date, storable, storableOrNull, type Transaction } from './client.ts';
import { CHANNEL } from './listen.ts';
import { changesOf, newRow, ownerKeyOf, requestOf, WITH_DECISIONS } from './rows.ts';

const BATCH = 500;
/** Advisory locks of ours share this first key. */
const LOCK_OWNER = 0x4850;

/** Requests in PostgreSQL. No change without its outbox row: both are in one transaction. */
export function requestStore(client: Client): DeskStore {
  return {
    openOrJoin: (request, limits, { loose, parts = [] } = {}) =>
      client.atomically('open a request', async (transaction) => {
        const ownerKey = ownerKeyOf(request);
        // One opener per owner at a time: limits and the look-up below cannot be overtaken.
        await transaction.$executeRaw`SELECT pg_advisory_xact_lock(${LOCK_OWNER}::int, hashtext(${ownerKey}))`;
        const now = date(limits.now);
        const same = { ownerKey, fingerprint: request.fingerprint };
        const granted = { state: 'granted', grantExpiresAt: { gt: now } } as const;

        const stale = await transaction.request.findMany({
          where: { ...same, state: 'pending', expiresAt: { lte: now } },
          select: { id: true },
        });
        for (const { id } of stale) {
          await change(transaction, client.name, id, ['pending'], {
            state: 'expired',
            endedAt: limits.now,
            waiterLive: false,
          });
        }

        const live = await transaction.request.findFirst({
          where: {
            ownerKey,
            OR: [
              { ...same, ...granted },
              { ...same, state: 'pending', expiresAt: { gt: now } },
              ...(loose === undefined ? [] : [{ fingerprint: loose, ...granted }]),
            ],
          },
          // A grant before a pending one (the enum's order), the one that ends first before the others, in the order of a script.
          orderBy: [{ state: 'desc' }, { grantExpiresAt: 'asc' }, { bundleIndex: 'asc' }],
          include: WITH_DECISIONS,
        });
        if (live !== null) return { kind: 'joined' as const, request: requestOf(live) };

        const open = await transaction.request.findMany({
          where: { ownerKey, state: 'pending', expiresAt: { gt: now }, bundleLead: null },
          orderBy: { createdAt: 'asc' },
          select: { id: true, sessionId: true },
        });
        const ofSession = open.filter((row) => row.sessionId === request.sessionId);
        if (ofSession.length >= limits.perSession || open.length >= limits.perOwner) {
          const full = ofSession.length >= limits.perSession ? ofSession : open;
          return { kind: 'too-many' as const, open: full.map((row) => row.id) };
        }

        const { withdrawn } = limits;
        if (withdrawn !== undefined) {
          const endedAt = { gt: date(withdrawn.since) };
          const back = await transaction.request.count({
            where: { ownerKey, state: 'withdrawn', endedAt, bundleLead: null },
          });
          if (back >= withdrawn.most) return { kind: 'too-many' as const, open: [] };
        }

        const { count } = await transaction.request.createMany({
          data: [newRow(request)],
          skipDuplicates: true,
        });
        if (count === 0) return { kind: 'id-taken' as const };
        if (parts.length > 0) await transaction.request.createMany({ data: parts.map(newRow) });
        await tell(transaction, client.name, { id: request.id, version: 1 });
        const row = await transaction.request.findUniqueOrThrow({
          where: { id: request.id },
          include: WITH_DECISIONS,
        });
        return { kind: 'opened' as const, request: requestOf(row) };
      }),

    transition: (id, from, patch, guard) =>
      client.atomically('change a request', (transaction) =>
        change(transaction, client.name, id, from, patch, guard),
      ),

    get: (id) =>
      client.run('read a request', async (prisma) => {
        const row = await prisma.request.findUnique({
          where: { id: storable(id) },
          include: WITH_DECISIONS,
        });
        return row === null ? null : requestOf(row);
      }),

    list: (filter) =>
      client.run('list requests', async (prisma) => {
        const rows = await prisma.request.findMany({
          where: {
            ...(filter.states === undefined ? {} : { state: { in: [...filter.states] } }),
            ...(filter.ownerId === undefined ? {} : { ownerId: storable(filter.ownerId) }),
            ...(filter.sessionId === undefined ? {} : { sessionId: storable(filter.sessionId) }),
            ...(filter.credentialId === undefined ? {} : { credentialId: storable(filter.credentialId) }),
            ...(filter.ids === undefined ? {} : { id: { in: [...filter.ids] } }),
            ...(filter.lead === undefined ? {} : { bundleLead: filter.lead }),
            ...(filter.heads === true ? { bundleLead: null } : {}),
          },
          orderBy: [{ createdAt: 'desc' }, { bundleIndex: 'asc' }, { id: 'asc' }],
          take: Math.min(filter.limit ?? 100, 1000),
          include: WITH_DECISIONS,
        });
        return rows.map(requestOf);
      }),

    due: (now) =>
      client.run('list requests that are due', async (prisma) => {
        const rows = await prisma.request.findMany({
          where: {
            OR: [
              { state: 'pending', expiresAt: { lte: date(now) } },
              { state: 'granted', grantExpiresAt: { lte: date(now) } },
            ],
          },
          orderBy: { expiresAt: 'asc' },
          take: BATCH,
          include: WITH_DECISIONS,
        });
        return rows.map(requestOf);
      }),

    slow: (now) =>
      client.run('list requests that wait for long', async (prisma) => {
        const due = { lte: date(now) };
        const rows = await prisma.request.findMany({
          where: {
            state: 'pending',
            OR: [
              { remindAt: due, remindedAt: null },
              { escalateAt: due, escalatedAt: null },
            ],
          },
          take: BATCH,
          include: WITH_DECISIONS,
        });
        return rows.map(requestOf);
      }),

    beat: (desk, now) =>
      client.run('note that the desk lives', async (prisma) => {
        const beatAt = date(now);
        await prisma.deskInstance.upsert({
          where: { id: desk },
          create: { id: desk, beatAt },
          update: { beatAt },
        });
      }),

    bury: (desk, before) =>
      client.run('forget desks', async (prisma) => {
        await prisma.deskInstance.deleteMany({
          where: { OR: [...(desk === null ? [] : [{ id: desk }]), { beatAt: { lt: date(before) } }] },
        });
      }),

    orphans: () =>
      client.run('look for orphans', async (prisma) => {
        const desks = await prisma.deskInstance.findMany({ select: { id: true } });
        const rows = await prisma.request.findMany({
          where: {
            AND: [
              { OR: [{ state: 'executing' }, { state: { in: ['pending', 'granted'] }, waiterLive: true }] },
              { OR: [{ holder: null }, { holder: { notIn: desks.map((desk) => desk.id) } }] },
            ],
          },
          take: BATCH,
          include: WITH_DECISIONS,
        });
        return rows.map(requestOf);
      }),
  };
}

/** One conditional UPDATE decides (invariant I5); decision and outbox row follow in the same transaction. */
async function change(
  transaction: Transaction,
  by: string,
  id: string,
  from: readonly RequestState[],
  patch: RequestPatch,
  guard: { readonly version?: number; readonly claim?: string } = {},
): Promise<ApprovalRequest | null> {
  const [changed] = await transaction.request.updateManyAndReturn({
    where: {
      id: storable(id),
      state: { in: [...from] },
      ...(guard.version === undefined ? {} : { version: guard.version }),
      ...(guard.claim === undefined ? {} : { claim: guard.claim }),
    },
    data: changesOf(patch),
    select: { id: true, version: true, bundleLead: true },
  });
  if (changed === undefined) return null;
  if (patch.decision !== undefined) await record(transaction, changed.id, patch.decision);
  if (FOLLOWED.has(patch.state)) await follow(transaction, changed.id, patch);
  // A part has no card: its lead's tells of it.
  if (changed.bundleLead === null) await tell(transaction, by, changed);
  const row = await transaction.request.findUniqueOrThrow({
    where: { id: changed.id },
    include: WITH_DECISIONS,
  });
  return requestOf(row);
}

/** Slack, by the outbox; other processes, as soon as it is committed. */
async function tell(
  transaction: Transaction,
  by: string,
  { id, version }: { readonly id: string; readonly version: number },
): Promise<void> {
  await transaction.$executeRaw`
    WITH told AS (INSERT INTO outbox (request_id, version) VALUES (${id}, ${version}))
    SELECT pg_notify(${CHANNEL}, ${`${by} ${id}`})`;
}

/** What becomes of a lead becomes of its parts, in the same transaction. */
const FOLLOWED: ReadonlySet<RequestState> = new Set(['granted', 'denied', 'expired', 'withdrawn']);

async function follow(transaction: Transaction, lead: string, patch: RequestPatch): Promise<void> {
  const { state, grantExpiresAt, note, endedAt } = patch;
  const said = {
    state,
    ...(grantExpiresAt === undefined ? {} : { grantExpiresAt }),
    ...(note === undefined ? {} : { note }),
    ...(endedAt === undefined ? {} : { endedAt }),
  };
  const from = state === 'withdrawn' ? (['pending', 'granted'] as const) : (['pending'] as const);
  // It may be running: its session settles it. What it rolls back must not become a grant again.
  if (state === 'withdrawn')
    await transaction.request.updateMany({
      where: { bundleLead: lead, state: 'executing' },
      data: changesOf({ state: 'executing', grantExpiresAt: endedAt ?? 0 }),
    });
  const parts = await transaction.request.updateManyAndReturn({
    where: { bundleLead: lead, state: { in: [...from] } },
    data: changesOf(said),
    select: { id: true },
  });
  if (parts.length === 0) return;
  const decisions = await transaction.decision.findMany({ where: { requestId: lead } });
  await transaction.decision.createMany({
    data: parts.flatMap(({ id }) => decisions.map((made) => ({ ...made, requestId: id }))),
    skipDuplicates: true,
  });
}

/** The primary key keeps one decision a person: whoever approved and then denies has denied. */
async function record(transaction: Transaction, requestId: string, decision: Decision): Promise<void> {
  // The same folding as approvals/authorise: spellings of one address are one person.
  const approverKey = storable(decision.approverId).normalize('NFKC').trim().toLowerCase();
  const row = {
    approverId: storable(decision.approverId),
    approverName: storable(decision.approverName),
    surface: decision.surface,
    effect: decision.effect,
    reason: storableOrNull(decision.reason),
    at: date(decision.at),
    groups: (decision.groups ?? []).map(storable),
  };
  await transaction.decision.upsert({
    where: { requestId_approverKey: { requestId, approverKey } },
    create: { requestId, approverKey, ...row },
    update: row,
  });
}
