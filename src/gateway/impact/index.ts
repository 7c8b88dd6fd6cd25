/**
 * What a held statement would do (DESIGN.md 8): estimated once its request is open, counted when an approver asks, estimated again when a grant
 * is used. Nothing of it makes a hold fail or wait; the texts and values that it needs stay in memory and go with the request.
 */
import type { ApprovalRequest, Counter, CountResult, Desk, Impact } from '../../approvals/types.ts';
import type { Subject } from '../draft.ts';
import { CannotCount, count, estimate, type Seen } from './estimate.ts';
import { knownImpact } from './known.ts';

export type { Seen } from './estimate.ts';

export interface Appraiser extends Counter {
  /** For the card's first moment. */
  known(subject: Subject, seen: Seen): Impact;
  /** Its request is open: what the target says follows as soon as it is there. Never rejects. */
  appraise(request: ApprovalRequest, subject: Subject, seen: Seen): Promise<void>;
  /** A grant is about to be used: from how many rows to how many it has grown beyond what was approved; null: it has not. */
  grown(request: ApprovalRequest, subject: Subject, seen: Seen): Promise<Growth | null>;
  /** What a pending request asks for, while it is remembered here. */
  subjectOf(id: string): Subject | null;
  close(): void;
}
export interface Growth {
  readonly from: number;
  readonly to: number;
}

export interface AppraiserOptions {
  readonly desk: Desk;
  readonly now: () => number;
  readonly log: { warn(fields: object, message: string): void };
  /** Milliseconds. */
  readonly estimateMs?: number;
  readonly countMs?: number;
  /** Looks at one target at a time; estimates beyond are not made. */
  readonly perTarget?: number;
}

const MAX_REMEMBERED = 1000;
const MAX_BYTES = 32 * 1024 * 1024;
/** Fewer rows than this grow without a word. */
const FLOOR = 100;

export function createAppraiser(options: AppraiserOptions): Appraiser {
  const { desk, now, log } = options;
  const estimateMs = options.estimateMs ?? 2000;
  const countMs = options.countMs ?? 5000;
  const perTarget = options.perTarget ?? 4;
  const remembered = new Map<
    string,
    { readonly subject: Subject; readonly seen: Seen; readonly bytes: number }
  >();
  let bytes = 0;
  const looking = new Map<string, number>();
  const counting = new Map<string, Promise<CountResult>>();

  const stop = desk.onChange((request) => {
    if (request.state !== 'pending') forget(request.id);
  });

  function remember(id: string, subject: Subject, seen: Seen): void {
    forget(id);
    const size =
      subject.plan.sql.length * 2 + subject.values.reduce((sum, one) => sum + (one?.length ?? 0), 0);
    remembered.set(id, { subject, seen, bytes: size });
    bytes += size;
    for (const oldest of remembered.keys()) {
      if (remembered.size <= MAX_REMEMBERED && bytes <= MAX_BYTES) break;
      forget(oldest);
    }
  }
  function forget(id: string): void {
    bytes -= remembered.get(id)?.bytes ?? 0;
    remembered.delete(id);
  }

  /** null: the target has as many looks at once as it gets. */
  async function look<T>(target: string, work: () => Promise<T>): Promise<T | null> {
    const others = looking.get(target) ?? 0;
    if (others >= perTarget) return null;
    looking.set(target, others + 1);
    try {
      return await work();
    } finally {
      looking.set(target, (looking.get(target) ?? 1) - 1);
    }
  }

  async function estimated(subject: Subject, seen: Seen): Promise<Impact> {
    return (
      (await look(seen.target.name, () => estimate(subject, seen, estimateMs))) ?? {
        ...knownImpact(subject.plan, seen.judge.catalog(), seen),
        why: 'too many others were being estimated',
      }
    );
  }

  async function counted(id: string): Promise<CountResult> {
    const not = (why: string): CountResult => ({
      kind: 'not-counted',
      sentence: `${id} cannot be counted: ${why}.`,
    });
    const one = remembered.get(id);
    if (one === undefined) {
      const request = await desk.get(id);
      if (request === null) return not('there is no such request');
      return not(
        request.state === 'pending'
          ? 'its statement is not in the memory of this process any more; when the client sends it again, it can be'
          : 'it is not pending any more',
      );
    }
    const startedAt = now();
    try {
      const rows = await look(one.seen.target.name, () => count(one.subject, one.seen, countMs));
      if (rows === null) return not('too many others are being counted, try again in a moment');
      const at = now();
      const request = await desk.appraise(id, { counted: { rows, at, ms: Math.max(0, at - startedAt) } });
      return request === null ? not('it is not pending any more') : { kind: 'counted', request };
    } catch (error) {
      if (error instanceof CannotCount) return not(error.message);
      log.warn({ request: id, error: error instanceof Error ? error.name : 'unknown' }, 'a count failed');
      return not('something went wrong, see the log of the gateway');
    }
  }

  return {
    known: (subject, seen) => knownImpact(subject.plan, seen.judge.catalog(), seen),
    async appraise(request, subject, seen) {
      try {
        remember(request.id, subject, seen);
        // A retry joins: what the card says stands.
        if (typeof request.impact?.rows === 'number') return;
        const { counted: _, ...impact } = await estimated(subject, seen);
        if ((await desk.appraise(request.id, impact)) === null) forget(request.id);
      } catch (error) {
        log.warn(
          { request: request.id, error: error instanceof Error ? error.name : 'unknown' },
          'an estimate failed',
        );
      }
    },
    async grown({ impact }, subject, seen) {
      if (impact === undefined || impact === null) return null;
      const approved = Math.max(impact.rows ?? -1, impact.counted?.rows ?? -1);
      const latest = await estimated(subject, seen);
      if (approved >= 0 && latest.rows !== null) return beyond(approved, latest.rows);
      if (approved < 0) return null;
      // It could be told then and cannot be told now: a busy target must not void approvals, a table that doubled does.
      const before = total(impact);
      const after = total(latest);
      return before === null || after === null ? null : beyond(before, after);
    },
    count(id) {
      const running = counting.get(id) ?? counted(id).finally(() => counting.delete(id));
      counting.set(id, running);
      return running;
    },
    subjectOf: (id) => remembered.get(id)?.subject ?? null,
    close() {
      stop();
      remembered.clear();
    },
  };
}

const beyond = (from: number, to: number): Growth | null =>
  to > Math.max(2 * from, FLOOR) ? { from, to } : null;

function total({ tables }: Impact): number | null {
  if (tables.length === 0 || tables.some(({ rows }) => rows === null || rows < 0)) return null;
  return tables.reduce((all, { rows }) => all + (rows ?? 0), 0);
}
