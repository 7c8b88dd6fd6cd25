/** What the session writes into its recording (DESIGN.md 11): a statement before it is forwarded or refused, then what came of it. */
import type { ApprovalRequest } from '../approvals/types.ts';
import type { RecordedEvent, SessionRecording } from '../recordings/types.ts';
import type { Subject } from './draft.ts';
import { classOf, relationsOf, shownBinds, shownSql, taggedColumnsOf } from './plan.ts';
import type { Run } from './run.ts';
import type { Report } from './wire/build.ts';

const MAX_BIND = 4096;

export class SessionRecord {
  readonly #recording: SessionRecording;
  readonly #now: () => number;
  #n = 0;
  #broken = false;
  #pending: RecordedEvent[] = [];

  constructor(recording: SessionRecording, now: () => number) {
    this.#recording = recording;
    this.#now = now;
  }

  /** The number of the statement, null when it cannot be recorded: it must then not go out. */
  statement(subject: Subject, effect: 'allow' | 'hold' | 'deny' | 'probe'): number | null {
    const { plan } = subject;
    this.#n += 1;
    this.#pending.push({
      kind: 'statement',
      t: this.#now(),
      n: this.#n,
      sql: shownSql(plan),
      class: classOf(plan),
      binds: shownBinds(plan, subject.values, subject.formats, MAX_BIND),
      effect,
      rules: plan.verdict.rules,
      reason: plan.verdict.reason,
      relations: relationsOf(plan),
      taggedColumns: taggedColumnsOf(plan),
      protocol: subject.protocol,
    });
    return this.flush() ? this.#n : null;
  }

  approval(n: number, request: ApprovalRequest, note: string | null = null): void {
    const decision = request.decisions.at(-1);
    this.#later({
      kind: 'approval',
      t: this.#now(),
      n,
      request: request.id,
      state: request.state,
      by: decision?.approverName ?? null,
      surface: decision?.surface ?? null,
      note: note ?? decision?.reason ?? request.note,
    });
    // No reply of the server need follow it: it must not wait in memory for the next statement.
    this.flush();
  }

  result(run: Run): void {
    this.#later(run.result(this.#now()));
  }

  /** What the client was told instead. */
  refused(n: number, report: Pick<Report, 'code' | 'message'>): void {
    this.#later({
      kind: 'result',
      t: this.#now(),
      n,
      ms: 0,
      tag: null,
      rows: null,
      columns: [],
      values: [],
      truncated: false,
      withheld: false,
      error: { code: report.code, message: report.message },
    });
    this.flush();
  }

  /** Written in batches: at the end of a read, and before the next statement. false: the recording is broken. */
  flush(): boolean {
    if (this.#pending.length > 0 && !this.#broken) {
      const events = this.#pending;
      this.#pending = [];
      try {
        this.#recording.append(events);
      } catch {
        this.#broken = true;
      }
    }
    return !this.#broken;
  }

  close(why: string): void {
    this.flush();
    try {
      this.#recording.close(why);
    } catch {
      this.#broken = true;
    }
  }

  #later(event: RecordedEvent): void {
    this.#pending.push(event);
    if (this.#pending.length >= 100) this.flush();
  }
}
