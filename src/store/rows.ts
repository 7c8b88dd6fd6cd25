import { z } from 'zod';
import type {
  ApprovalRequest,
  Bundle,
  Impact,
  Outcome,
  RequestPatch,
  RequestStatement,
} from '../approvals/types.ts';
import { Prisma } from '../generated/prisma/client.ts';
import { date, dateOrNull, json, msOrNull, storable, storableOrNull } from './client.ts';

const text = z.string();
const textOrNull = z.string().nullable();
const isClass = (value: unknown): value is RequestStatement['class'] =>
  typeof value === 'string' && value !== '';

const requester = z.object({
  ownerId: textOrNull,
  ownerName: textOrNull,
  ownerEmail: textOrNull,
  agent: textOrNull,
  credentialId: text,
  subject: text,
  mintedBy: textOrNull.default(null),
});
const target = z.object({ name: text, environment: text, database: text, role: text });
const statement = z.object({
  sql: text,
  tidied: textOrNull,
  class: z.custom<RequestStatement['class']>(isClass),
  verb: text,
  relations: z.array(text),
  taggedColumns: z.array(text),
  missingWhere: z.boolean(),
  binds: z.array(textOrNull),
  statementCount: z.number(),
  bytes: z.number(),
  sha256: text,
  transaction: z.enum(['idle', 'open', 'failed']),
  snapshotPredates: z.boolean(),
  clientSays: textOrNull,
});
const terms = z
  .object({
    approverGroups: z.array(text),
    quorum: z.number(),
    waitMs: z.number().nullable(),
    expiresMs: z.number().nullable(),
    reasonRequired: z.boolean(),
    ticketRequired: z.literal(true).optional(),
    owed: z.array(z.object({ groups: z.array(text), count: z.number() })).optional(),
    escalation: z.object({ afterMs: z.number(), groups: z.array(text) }).optional(),
    surfaces: z.array(z.enum(['slack', 'console', 'cli'])).optional(),
  })
  .transform(({ surfaces, ticketRequired, owed, escalation, ...rest }) => ({
    ...rest,
    ...(ticketRequired && { ticketRequired }),
    ...(owed && { owed }),
    ...(escalation && { escalation }),
    ...(surfaces && { surfaces }),
  }));
const impact: z.ZodType<Impact | null> = z
  .object({
    rows: z.number().nullable(),
    why: textOrNull,
    approximate: z.boolean(),
    counted: z.object({ rows: z.number(), at: z.number(), ms: z.number() }).nullable(),
    tables: z.array(z.object({ name: text, rows: z.number().nullable(), bytes: z.number().nullable() })),
    lock: z.object({ mode: text, relations: z.array(text) }).nullable(),
    cascades: z.array(text),
    triggers: z.array(text),
    rewrites: z.union([z.boolean(), z.literal('maybe')]).nullable(),
    dependents: z.array(text),
    transactionMs: z.number().nullable(),
    grewFrom: z.number().nullable().default(null),
    parts: z
      .object({
        lines: z.array(
          z.object({ what: text, rows: z.number().nullable(), why: textOrNull, approximate: z.boolean() }),
        ),
        more: z.number(),
      })
      .nullable()
      .default(null),
  })
  .nullable();
const bundle: z.ZodType<Bundle | null> = z
  .object({ lead: text, index: z.number(), of: z.number(), loose: z.boolean(), changes: z.boolean() })
  .nullable();
const outcome: z.ZodType<Outcome | null> = z
  .object({
    code: textOrNull,
    rows: z.number().nullable(),
    tag: textOrNull,
    ms: z.number(),
    transactionOpen: z.boolean(),
  })
  .nullable();

export const WITH_DECISIONS = {
  decisions: { orderBy: [{ at: 'asc' }, { approverKey: 'asc' }] },
} satisfies Prisma.RequestInclude;
export type RequestRow = Prisma.RequestGetPayload<{ include: typeof WITH_DECISIONS }>;

/** A stored request as the desk speaks of it; throws when the row is not one (a hand edited it): denied, not guessed. */
export function requestOf(row: RequestRow): ApprovalRequest {
  return {
    id: row.id,
    version: row.version,
    state: row.state,
    fingerprint: row.fingerprint,
    sessionId: row.sessionId,
    // The column moves with the last session that joined; the JSON keeps who asked first.
    requester: { ...requester.parse(row.requester), credentialId: row.credentialId },
    target: target.parse(row.target),
    statement: statement.parse(row.statement),
    rules: row.rules,
    reason: row.reason,
    terms: terms.parse(row.terms),
    createdAt: row.createdAt.getTime(),
    expiresAt: row.expiresAt.getTime(),
    decisions: row.decisions.map((decision) => ({
      approverId: decision.approverId,
      approverName: decision.approverName,
      surface: decision.surface,
      effect: decision.effect,
      reason: decision.reason,
      at: decision.at.getTime(),
      groups: decision.groups,
    })),
    waiterLive: row.waiterLive,
    grantExpiresAt: msOrNull(row.grantExpiresAt),
    outcome: outcome.parse(row.outcome),
    note: row.note,
    endedAt: msOrNull(row.endedAt),
    holder: row.holder,
    purpose: row.purpose,
    impact: impact.parse(row.impact),
    bundle: bundle.parse(row.bundle),
    remindAt: msOrNull(row.remindAt),
    remindedAt: msOrNull(row.remindedAt),
    escalateAt: msOrNull(row.escalateAt),
    escalatedAt: msOrNull(row.escalatedAt),
  };
}

/** Of a part, the lead that it follows. */
export function leadOf({ id, bundle }: ApprovalRequest): string | null {
  return bundle && bundle.lead !== id ? bundle.lead : null;
}

/** Whose grants and limits these are. The owner's agent is part of the fingerprint already. */
export function ownerKeyOf(request: ApprovalRequest): string {
  const { ownerId, subject } = request.requester;
  return storable(ownerId === null ? `subject|${subject}` : `owner|${ownerId}`);
}

export function newRow(request: ApprovalRequest): Prisma.RequestCreateManyInput {
  return {
    id: request.id,
    version: 1,
    state: 'pending',
    fingerprint: request.fingerprint,
    ownerKey: ownerKeyOf(request),
    ownerId: storableOrNull(request.requester.ownerId),
    credentialId: storable(request.requester.credentialId),
    sessionId: request.sessionId,
    requester: json(request.requester),
    target: json(request.target),
    statement: json(request.statement),
    rules: request.rules.map(storable),
    reason: storable(request.reason),
    terms: json(request.terms),
    waiterLive: request.waiterLive,
    holder: request.holder ?? null,
    purpose: storableOrNull(request.purpose ?? null),
    ...(request.impact ? { impact: json(request.impact) } : {}),
    ...(request.bundle ? { bundle: json(request.bundle) } : {}),
    bundleLead: leadOf(request),
    bundleIndex: request.bundle?.index ?? null,
    createdAt: date(request.createdAt),
    expiresAt: date(request.expiresAt),
    remindAt: dateOrNull(request.remindAt ?? null),
    escalateAt: dateOrNull(request.escalateAt ?? null),
  };
}

/** The columns that a patch sets; `version` always grows by one. */
export function changesOf(patch: RequestPatch): Prisma.RequestUpdateManyMutationInput {
  return {
    version: { increment: 1 },
    state: patch.state,
    ...(patch.sessionId === undefined ? {} : { sessionId: patch.sessionId }),
    ...(patch.credentialId === undefined ? {} : { credentialId: storable(patch.credentialId) }),
    ...(patch.holder === undefined ? {} : { holder: patch.holder }),
    ...(patch.claim === undefined ? {} : { claim: patch.claim }),
    ...(patch.waiterLive === undefined ? {} : { waiterLive: patch.waiterLive }),
    ...(patch.grantExpiresAt === undefined ? {} : { grantExpiresAt: dateOrNull(patch.grantExpiresAt) }),
    ...(patch.outcome === undefined
      ? {}
      : { outcome: patch.outcome === null ? Prisma.DbNull : json(patch.outcome) }),
    ...(patch.note === undefined ? {} : { note: storableOrNull(patch.note) }),
    ...(patch.purpose === undefined ? {} : { purpose: storableOrNull(patch.purpose) }),
    ...(patch.impact === undefined
      ? {}
      : { impact: patch.impact === null ? Prisma.DbNull : json(patch.impact) }),
    ...(patch.remindedAt === undefined ? {} : { remindedAt: date(patch.remindedAt) }),
    ...(patch.escalatedAt === undefined ? {} : { escalatedAt: date(patch.escalatedAt) }),
    ...(patch.endedAt === undefined ? {} : { endedAt: dateOrNull(patch.endedAt) }),
  };
}
