/**
 * What became of the approved statements of a transaction (DESIGN.md 8): executed when the commit is known, rolled back on proof, lost otherwise.
 * In doubt a permission is spent, never given back.
 */
import type { Approval } from './clearance.ts';
import { classOf } from './plan.ts';
import type { Run } from './run.ts';

type Mark =
  | { readonly kind: 'savepoint'; readonly name: string }
  | { readonly kind: 'run'; readonly run: Run };

/** May have committed work of its own before it ended. */
const COMMITS_ITSELF: ReadonlySet<string> = new Set(['admin', 'call', 'do', 'unknown', 'ddl']);

const PREPARED = 'its transaction was prepared, and whoever ends it decides whether it lasts';

export class Outcomes {
  readonly #now: () => number;
  readonly #unkept: (error: unknown) => void;
  readonly #pending = new Set<Promise<void>>();
  #marks: Mark[] = [];
  #failed = false;
  /** Shown as done, with the transaction still open. */
  readonly #shown = new WeakSet<Run>();

  constructor(now: () => number, unkept: (error: unknown) => void) {
    this.#now = now;
    this.#unkept = unkept;
  }

  /** What was said so far is with the desk: a permission given back by a rollback is there for the retry that follows it. */
  async kept(): Promise<void> {
    await Promise.all(this.#pending);
  }

  /** An approval that will not be used here: the permission goes back. */
  giveUp(approval: Approval | null): void {
    if (approval !== null && !approval.spent) this.#report(approval.finish('unused', null));
  }

  /** The server completed it. Whether that lasts is known when the transaction ends. */
  done(run: Run): void {
    if (run.approval !== null) this.#marks.push({ kind: 'run', run });
  }

  /** The server refused it; an earlier part of its string may have committed, so that only class 40 gives it back. */
  failed(run: Run | null): void {
    this.#failed = true;
    if (run?.approval)
      this.#end(run.approval, run, run.error?.code.startsWith('40') ? 'rolled-back' : 'failed');
  }

  skipped(run: Run): void {
    if (run.approval !== null) this.#end(run.approval, run, 'unused');
  }

  savepoint(name: string): void {
    // Set again at the same place, as some clients do around each statement: the same one.
    const since = this.#marks.slice(this.#marks.findLastIndex((mark) => mark.kind === 'run') + 1);
    if (since.some((mark) => mark.kind === 'savepoint' && mark.name === name)) return;
    if (this.#marks.length < 1000) this.#marks.push({ kind: 'savepoint', name });
  }

  rolledBackTo(name: string): void {
    const at = this.#marks.findLastIndex((mark) => mark.kind === 'savepoint' && mark.name === name);
    if (at < 0) return;
    for (const mark of this.#marks.splice(at + 1))
      if (mark.kind === 'run') this.#close(mark.run, 'rolled-back');
  }

  /** A COMMIT or ROLLBACK was completed. */
  ended(how: 'executed' | 'rolled-back'): void {
    for (const mark of this.#take()) if (mark.kind === 'run') this.#close(mark.run, how);
  }

  /** PREPARE TRANSACTION was completed: whoever ends it, in whatever session, decides whether it lasts. */
  prepared(): void {
    for (const mark of this.#take()) if (mark.kind === 'run') this.#close(mark.run, 'lost', PREPARED);
  }

  /** ReadyForQuery. */
  ready(status: 'I' | 'T' | 'E'): void {
    if (status === 'I') {
      // An error and then idle, without COMMIT in between: the implicit transaction was undone, unless a statement commits by itself.
      for (const mark of this.#take()) {
        if (mark.kind !== 'run') continue;
        const own = COMMITS_ITSELF.has(classOf(mark.run.plan));
        this.#close(mark.run, !this.#failed ? 'executed' : own ? 'lost' : 'rolled-back');
      }
    } else {
      for (const mark of this.#marks)
        if (mark.kind === 'run' && mark.run.approval !== null && !this.#shown.has(mark.run)) {
          this.#shown.add(mark.run);
          this.#report(mark.run.approval.progress(mark.run.outcome(this.#now(), true)));
        }
    }
    this.#failed = status === 'E';
  }

  /** The link is gone. `running`: sent and unanswered. Without a COMMIT on its way an open transaction is undone by the server. */
  lost(running: readonly Run[], committing: boolean): void {
    for (const run of running) if (run.approval !== null) this.#end(run.approval, run, 'lost');
    const how = committing || running.length > 0 ? 'lost' : 'rolled-back';
    for (const mark of this.#take()) if (mark.kind === 'run') this.#close(mark.run, how);
  }

  #report(work: Promise<void>): void {
    const kept = work.catch(this.#unkept).finally(() => this.#pending.delete(kept));
    this.#pending.add(kept);
  }

  #take(): Mark[] {
    const marks = this.#marks;
    this.#marks = [];
    return marks;
  }

  #close(run: Run, how: 'executed' | 'rolled-back' | 'lost', note?: string): void {
    if (run.approval !== null) this.#end(run.approval, run, how, note);
  }

  #end(
    approval: Approval,
    run: Run,
    how: 'executed' | 'failed' | 'rolled-back' | 'lost' | 'unused',
    note?: string,
  ): void {
    this.#report(approval.finish(how, run.outcome(this.#now(), false), note));
  }
}
