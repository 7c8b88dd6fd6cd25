/** What the session writes into its recording (DESIGN.md 11): a statement before it is forwarded or refused, then what came of it. */
import type { ApprovalRequest } from '../approvals/types.ts';
import { RecordingFault } from '../recordings/fault.ts';
import type { RecordedEvent, SessionRecording } from '../recordings/types.ts';
import type { Subject } from './draft.ts';
import { classOf, type Plan, relationsOf, shownBinds, shownSql, taggedColumnsOf } from './plan.ts';
import type { Run } from './run.ts';
import type { Report } from './wire/build.ts';

const MAX_BIND = 4096;
/** Events kept while the disk takes none; statements are refused meanwhile, so that only what was under way adds to them. */
const MAX_KEPT = 1000;

type Shown = Pick<
  Extract<RecordedEvent, { kind: 'statement' }>,
  'sql' | 'class' | 'relations' | 'taggedColumns'
>;

export class SessionRecord {
  readonly #recording: SessionRecording;
  readonly #now: () => number;
  readonly #onLost: () => void;
  #n = 0;
  #pending: RecordedEvent[] = [];
  /** Refused because they could not be recorded, and results given up meanwhile: told once it works again. */
  #missed = 0;

  /** `onLost`: the recording will never take anything again. */
  constructor(recording: SessionRecording, now: () => number, onLost: () => void) {
    this.#recording = recording;
    this.#now = now;
    this.#onLost = onLost;
  }

  /** The number of the statement, null when it cannot be recorded: it must then not go out. */
  statement(subject: Subject, effect: 'allow' | 'hold' | 'deny' | 'probe'): number | null {
    const { plan } = subject;
    this.#n += 1;
    const event: RecordedEvent = {
      kind: 'statement',
      t: this.#now(),
      n: this.#n,
      ...shown(plan),
      binds: shownBinds(plan, subject.values, subject.formats, MAX_BIND),
      effect,
      rules: plan.verdict.rules,
      reason: plan.verdict.reason,
      protocol: subject.protocol,
    };
    if (this.#write(event)) return this.#n;
    this.#missed += 1;
    return null;
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

  /** Written in batches: at the end of a read, and before the next statement. false: the recording takes nothing now. */
  flush(): boolean {
    return this.#write(null);
  }

  close(why: string): void {
    this.flush();
    try {
      this.#recording.close(why);
    } catch {
      // Its end is written by recovery.
    }
  }

  #later(event: RecordedEvent): void {
    this.#pending.push(event);
    if (this.#pending.length >= 100) this.flush();
  }

  /** What waits and then `statement`: all of it is written or none, and what waited waits on. */
  #write(statement: RecordedEvent | null): boolean {
    const events = this.#missed === 0 ? this.#pending : [this.#gap(this.#missed), ...this.#pending];
    if (statement !== null) events.push(statement);
    if (events.length === 0) return true;
    try {
      this.#recording.append(events);
    } catch (error) {
      const kept = events.filter((event) => event !== statement && event.kind !== 'notice').map(withoutRows);
      this.#pending = kept.slice(0, MAX_KEPT);
      this.#missed += kept.length - this.#pending.length;
      if (error instanceof RecordingFault && error.code === 'closed') this.#onLost();
      return false;
    }
    this.#pending = [];
    this.#missed = 0;
    return true;
  }

  #gap(missed: number): RecordedEvent {
    const text = `The recording failed for a while: ${missed} refused statements or results are not in it.`;
    return { kind: 'notice', t: this.#now(), n: this.#n, text };
  }
}

/** While the disk is full, memory must not fill in its place. */
function withoutRows(event: RecordedEvent): RecordedEvent {
  return event.kind === 'result' && event.values.length > 0
    ? { ...event, values: [], truncated: true }
    : event;
}

/** A repeat is the same plan (DESIGN.md 2): what is shown of it is worked out once. */
const known = new WeakMap<Plan, Shown>();
function shown(plan: Plan): Shown {
  const before = known.get(plan);
  if (before !== undefined) return before;
  const made = {
    sql: shownSql(plan),
    class: classOf(plan),
    relations: relationsOf(plan),
    taggedColumns: taggedColumnsOf(plan),
  };
  known.set(plan, made);
  return made;
}
