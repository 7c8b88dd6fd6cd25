/**
 * What a card hides (DESIGN.md 6), for one approver who could decide and whom policy lets look: recorded first, shown to nobody else, kept
 * nowhere. Texts and values are those in the memory that estimates need; nothing of them is written for this.
 */
import { barred } from '../approvals/authorise.ts';
import type { Approver, Desk, Revealed, Revealer } from '../approvals/types.ts';
import { refusalSentence } from '../approvals/words.ts';
import type { Recorder } from '../recordings/types.ts';
import { openAudit } from './audit.ts';
import type { Subject } from './draft.ts';
import { cardBinds, type Plan, shownSql } from './plan.ts';
import type { Target } from './types.ts';

export interface RevealDeps {
  readonly desk: Pick<Desk, 'get'>;
  readonly subjectOf: (id: string) => Subject | null;
  /** Groups that policy lets look, as it is now; null: there is no such target. */
  readonly allowedAt: (target: string) => {
    readonly target: Pick<Target, 'name' | 'environment' | 'database'>;
    readonly groups: readonly string[];
  } | null;
  readonly recorder: Pick<Recorder, 'open'>;
  readonly now: () => number;
  readonly log: {
    info(fields: object, message: string): void;
    error(fields: object, message: string): void;
  };
}

export function createRevealer(deps: RevealDeps): Revealer {
  const { desk, now, log } = deps;
  return {
    async reveal(id, approver) {
      const not = (sentence: string): Revealed => ({ kind: 'not-revealed', sentence });
      const request = await desk.get(id);
      if (request === null) return not('There is no such request. Check its id.');
      const why = barred(request, approver);
      if (why !== null) return not(refusalSentence(why, request, now()));
      const allowed = deps.allowedAt(request.target.name);
      if (allowed === null || !allowed.groups.some((group) => approver.groups.includes(group)))
        return not(
          `The policy of ${request.target.name} does not let you see what ${id} hides: its "reveal" names the groups that may.`,
        );
      const subject = request.state === 'pending' ? deps.subjectOf(id) : null;
      if (subject === null)
        return not(
          request.state === 'pending'
            ? `What ${id} hides is not in the memory of this process any more. When the client sends the statement again, it can be shown.`
            : `${id} is not pending any more: what it hides is not kept.`,
        );
      const bare = unhidden(subject.plan);
      const statement = {
        ...request.statement,
        sql: shownSql(bare),
        tidied: null,
        binds: cardBinds(bare, subject.values, subject.formats),
      };
      if (!recorded(id, approver, allowed.target))
        return not(
          `${id} is not shown: that you were shown it could not be recorded. Try again in a moment.`,
        );
      log.info({ request: id, approver: approver.id, surface: approver.surface }, 'revealed');
      return { kind: 'revealed', request, statement };
    },
  };

  function recorded(id: string, approver: Approver, target: RevealTarget): boolean {
    const t = now();
    try {
      const { recording } = openAudit(deps.recorder, 'reveal', target, approver, t);
      try {
        const text = `was shown what ${id} hides (${approver.surface})`;
        recording.append([{ kind: 'notice', t, n: 0, text }]);
      } finally {
        recording.close('shown');
      }
      return true;
    } catch {
      log.error({ request: id }, 'a reveal could not be recorded');
      return false;
    }
  }
}
type RevealTarget = Pick<Target, 'name' | 'environment' | 'database'>;

/** As it would be shown if nothing in it were tagged. */
function unhidden(plan: Plan): Plan {
  return {
    ...plan,
    judged: plan.judged.map((one) => ({
      ...one,
      facts: one.facts && { ...one.facts, redactions: [], taggedBinds: [] },
    })),
  };
}
