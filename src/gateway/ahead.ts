/**
 * A session that asks ahead of time (`holdpoint.ahead=on` at startup; docs/decisions/0005): nothing that it sends runs. What would wait for
 * a human becomes one request with one card, and each statement of it a grant of its own once that is approved.
 */
import type { ApprovalRequest, BundleDraft } from '../approvals/types.ts';
import type { Core } from './core.ts';
import { draft, fingerprint, looseFingerprint, simple } from './draft.ts';
import { describe, type Failure } from './errors.ts';
import { outerStatements, type Plan, relationsOf, verbOf } from './plan.ts';

/** Statements of one script that may wait. */
const MOST_PARTS = 200;

export type Asked =
  | { readonly kind: 'refused'; readonly failure: Failure }
  | { readonly kind: 'asked'; readonly request: ApprovalRequest; readonly parts: number; readonly of: number }
  /** Policy lets all of it through. */
  | { readonly kind: 'nothing'; readonly of: number };

export async function askAhead(core: Core, it: Plan): Promise<Asked> {
  const refused = (failure: Failure): Asked => ({ kind: 'refused', failure });
  const { judge, target, deps } = core.o;
  const asking = core.asking();
  const tidy = (sql: string) => judge.tidy(sql);
  const statements = outerStatements(it);
  const spans = it.judged[0]?.facts?.spans ?? [[0, it.sql.length] as const];
  const parts: BundleDraft[] = [];
  const changed: string[] = [];
  for (const [at, [start, end]] of spans.entries()) {
    const planned = await core.judging.part(it.sql.slice(start, end), changed);
    if (core.over) return refused({ kind: 'internal' });
    if (planned.kind === 'no-statement') return refused({ kind: 'no-statement', name: planned.name });
    const { plan } = planned;
    const blocked = core.gate.blockedByPolicy(plan);
    if (blocked !== null) return refused(blocked);
    const loose = changed.length > 0;
    const changes = statements[at]?.changes ?? [];
    if (plan.verdict.effect === 'hold') {
      const subject = simple(plan);
      const { statement } = await draft(subject, asking, tidy);
      parts.push({
        fingerprint: loose ? looseFingerprint(subject, asking) : fingerprint(subject, asking),
        statement,
        index: at + 1,
        loose,
        changes: changes.length > 0,
      });
    }
    changed.push(...changes);
  }
  if (parts.length === 0) return { kind: 'nothing', of: spans.length };
  if (parts.length > MOST_PARTS) return refused({ kind: 'ahead-too-long', most: MOST_PARTS });
  const whole = simple(it);
  const script = await draft(whole, asking, tidy);
  const seen = core.seen(whole);
  const impact = deps.impact.known(whole, seen);
  const asked = await deps.desk.ask({ ...script, impact, fingerprint: `ahead:${script.fingerprint}` }, parts);
  if (asked.kind === 'unavailable') return refused({ kind: 'desk-unavailable' });
  if (asked.kind === 'too-many') return refused({ kind: 'too-many', open: asked.open });
  if (asked.request.state === 'pending') void deps.impact.appraise(asked.request, whole, seen);
  deps.log.info(
    {
      session: core.o.id,
      target: target.name,
      request: asked.request.id,
      what: describe(verbOf(it), relationsOf(it)),
    },
    'asked ahead of time',
  );
  return { kind: 'asked', request: asked.request, parts: parts.length, of: spans.length };
}

/** As a row of SHOW holdpoint.requests. */
export function aheadRow(asked: Exclude<Asked, { readonly kind: 'refused' }>): readonly string[] {
  if (asked.kind === 'nothing')
    return [
      '',
      'not needed',
      '',
      `none of the ${asked.of} statements needs approval: send them without holdpoint.ahead`,
    ];
  const { id, state, expiresAt } = asked.request;
  const next = `${asked.parts} of ${asked.of} statements need approval; once approved, send them unchanged and in this order, each once, without holdpoint.ahead`;
  return [id, state, new Date(expiresAt).toISOString(), next];
}
