/** What approvers are asked, and the fingerprint under which a retry is known again (DESIGN.md 6, 8). */
import { createHash, createHmac } from 'node:crypto';
import { plain } from '../approvals/text.ts';
import type { HoldDraft, Requester } from '../approvals/types.ts';
import type { Identity } from '../identity/types.ts';
import { owedOf } from '../policy/terms.ts';
import { line } from './errors.ts';
import {
  cardBinds,
  classOf,
  factsOf,
  heaviest,
  type Plan,
  redacted,
  relationsOf,
  shownSql,
  taggedColumnsOf,
  verbOf,
} from './plan.ts';
import type { Target } from './types.ts';

/** The values that a statement runs with. */
export interface Subject {
  readonly plan: Plan;
  readonly values: readonly (Buffer | null)[];
  readonly formats: readonly number[];
  readonly paramTypes: readonly number[];
  readonly protocol: 'simple' | 'extended';
  /** The server has taken its Parse. */
  readonly parsed?: true;
}
export const simple = (plan: Plan): Subject => ({
  plan,
  values: [],
  formats: [],
  paramTypes: [],
  protocol: 'simple',
});

export interface Asking {
  readonly sessionId: string;
  readonly identity: Identity;
  readonly target: Target;
  readonly role: string;
  readonly fingerprintKey: Buffer;
  readonly context: readonly (string | null)[];
  readonly transaction: 'idle' | 'open' | 'failed';
  readonly snapshotPredates: boolean;
  readonly reason: string | null;
  readonly applicationName: string | null;
}

/** White space and comments do not matter, a changed constant, value, type, meaning or definition does, and whom policy has asked. */
export function fingerprint(subject: Subject, asking: Asking): string {
  const { judged, verdict } = subject.plan;
  const { quorum, surfaces = null, reasonRequired, ticketRequired = false } = verdict.terms;
  return digest(subject, asking, [
    judged.map(({ facts }) => facts?.definitionsDigest ?? null),
    // What one approved is no answer where policy by now asks two.
    [quorum, owedOf(verdict.terms), surfaces, reasonRequired, ticketRequired],
  ]);
}
/** As a part of a script whose earlier statements change what it relies on. */
export function looseFingerprint(subject: Subject, asking: Asking): string {
  return digest(subject, asking, 'ahead');
}

function digest(subject: Subject, asking: Asking, definitions: unknown): string {
  const { identity } = asking;
  const parts = [
    identity.owner?.id ?? identity.credentialId,
    identity.agent,
    // Or whoever mints credentials could run, and approve, under a request that somebody else's asks.
    identity.mintedBy ?? null,
    asking.target.name,
    asking.role,
    // What cannot be read (trusted targets) has no tree: its very text stands for it.
    subject.plan.judged.map(({ sql, facts }) => facts?.treeDigest ?? sql),
    definitions,
    subject.values.map((value, i) =>
      value === null
        ? null
        : `${subject.formats[i] ?? 0}:${createHash('sha256').update(value).digest('base64')}`,
    ),
    subject.paramTypes,
    asking.context,
  ];
  return createHmac('sha256', asking.fingerprintKey).update(JSON.stringify(parts)).digest('hex');
}

export function requesterOf(identity: Identity): Requester {
  return {
    ownerId: identity.owner?.id ?? null,
    ownerName: identity.owner?.name ?? null,
    ownerEmail: identity.owner?.email ?? null,
    agent: identity.agent,
    credentialId: identity.credentialId,
    subject: identity.subject,
    mintedBy: identity.mintedBy ?? null,
  };
}

export async function draft(
  subject: Subject,
  asking: Asking,
  tidy: (sql: string) => Promise<string | null>,
): Promise<HoldDraft> {
  const { plan } = subject;
  const { identity, target } = asking;
  const plain = plan.judged.length === 1 && factsOf(plan).every((facts) => facts.redactions.length === 0);
  return {
    fingerprint: fingerprint(subject, asking),
    loose: looseFingerprint(subject, asking),
    sessionId: asking.sessionId,
    requester: requesterOf(identity),
    target: {
      name: target.name,
      environment: target.environment,
      database: target.database,
      role: asking.role,
    },
    statement: {
      sql: shownSql(plan),
      // The tidied form is made of the text that may be shown; with anything redacted it would not parse the same.
      tidied: plain && plan.judged[0] !== undefined ? await tidy(redacted(plan.judged[0])) : null,
      class: classOf(plan),
      verb: verbOf(plan),
      relations: heaviest(plan) === null ? [] : relationsOf(plan),
      taggedColumns: taggedColumnsOf(plan),
      missingWhere: factsOf(plan).some((facts) => facts.statements.some((one) => one.missingWhere)),
      binds: cardBinds(plan, subject.values, subject.formats),
      statementCount: plan.judged[0]?.facts?.statements.length ?? 1,
      bytes: Buffer.byteLength(plan.sql),
      sha256: createHash('sha256').update(plan.sql).digest('hex'),
      transaction: asking.transaction,
      snapshotPredates: asking.snapshotPredates,
      clientSays: asking.applicationName ? `application ${line(asking.applicationName, 100)}` : null,
    },
    rules: plan.verdict.rules,
    reason: plan.verdict.reason,
    terms: plan.verdict.terms,
    purpose: purposeOf(plan.sql, asking.reason),
  };
}

/** Of the statement itself, before that of the session. Read without the lexer: whoever hides it in a literal hides their own words. */
function purposeOf(sql: string, reason: string | null): string | null {
  const [, block, dashes] = COMMENT.exec(sql) ?? [];
  return plain(block ?? dashes ?? reason ?? '', 300) || null;
}
const COMMENT = /\/\*\s*reason:([^*]{1,1000})\*\/|--\s*reason:([^\n]{1,1000})/i;
