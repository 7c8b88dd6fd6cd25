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

/** What the state alone does not tell. */
const NOTES: Readonly<Record<string, string>> = {
  pending: 'the wait is over, the request stays open',
  cancelled: 'withdrawn: canceled by the client',
  superseded: 'another connection of the same request runs it',
  'not-recorded': 'not run: its clearance could not be recorded',
  unused: 'not run: it was not the same any more, or its session had ended',
};

type Stated = Omit<Extract<RecordedEvent, { kind: 'statement' }>, 'kind' | 't' | 'n'>;
type Shown = Pick<Stated, 'sql' | 'class' | 'relations' | 'taggedColumns'>;

export class SessionRecord {
  readonly #recording: SessionRecording;
  readonly #now: () => number;
  readonly #onLost: () => void;
  #n = 0;
  #pending: RecordedEvent[] = [];
  /** The version under which the last recorded statement was judged. */
  #policy: string | null = null;
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
    return this.#statement(plan.judged[0]?.policyVersion ?? '', {
      ...shown(plan),
      binds: shownBinds(plan, subject.values, subject.formats, MAX_BIND),
      effect,
      rules: plan.verdict.rules,
      reason: plan.verdict.reason,
      ...(plan.verdict.observed === undefined ? {} : { observed: plan.verdict.observed }),
      protocol: subject.protocol,
    });
  }

  /** A message that no statement can be read from, refused (I4). Nothing of its content is kept. */
  message(name: string, report: Pick<Report, 'code' | 'message'>): void {
    const n = this.#statement(this.#policy, {
      sql: `-- ${name} message`,
      class: 'unknown',
      relations: [],
      taggedColumns: [],
      binds: [],
      effect: 'deny',
      rules: ['protocol'],
      reason: report.message,
      protocol: name === 'Query' ? 'simple' : 'extended',
    });
    if (n !== null) this.refused(n, report);
  }

  #statement(version: string | null, what: Stated): number | null {
    this.#n += 1;
    const event: RecordedEvent = { kind: 'statement', t: this.#now(), n: this.#n, ...what };
    const judged = version === null || version === this.#policy ? [] : [this.#judgedBy(version)];
    if (!this.#write([...judged, event])) {
      this.#missed += 1;
      return null;
    }
    this.#policy = version;
    return this.#n;
  }

  approval(n: number, request: ApprovalRequest, why = ''): void {
    this.#later(this.#approval(n, request, why));
    // No reply of the server need follow it: it must not wait in memory for the next statement.
    this.flush();
  }

  /** It is about to run. false: that cannot be recorded, now or later, so that it must not. */
  cleared(n: number, request: ApprovalRequest): boolean {
    return this.#write([this.#approval(n, request, '')]);
  }

  #approval(n: number, request: ApprovalRequest, why: string): RecordedEvent {
    const decision = request.decisions.at(-1);
    return {
      kind: 'approval',
      t: this.#now(),
      n,
      request: request.id,
      state: request.state,
      by: decision?.approverName ?? null,
      surface: decision?.surface ?? null,
      note:
        NOTES[why] ??
        (request.state === 'withdrawn' ? request.note : null) ??
        decision?.reason ??
        request.note,
    };
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

  /** The access behind the session has ended. */
  access(standing: 'expired' | 'revoked' | 'suspended', by: string | null): void {
    this.#later({ kind: 'access', t: this.#now(), standing, by });
  }

  /** Written in batches: at the end of a read, and before the next statement. false: the recording takes nothing now. */
  flush(): boolean {
    return this.#write([]);
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

  /** What waits and then `now`: all of it is written or none, and what waited waits on. */
  #write(now: readonly RecordedEvent[]): boolean {
    const waiting = this.#pending;
    const gap = this.#missed === 0 ? [] : [this.#gap(this.#missed)];
    if (gap.length + waiting.length + now.length === 0) return true;
    try {
      this.#recording.append([...gap, ...waiting, ...now]);
    } catch (error) {
      this.#pending = waiting.slice(0, MAX_KEPT).map(withoutRows);
      this.#missed += waiting.length - this.#pending.length;
      if (error instanceof RecordingFault && error.code === 'closed') this.#onLost();
      return false;
    }
    this.#pending = [];
    this.#missed = 0;
    return true;
  }

  #judgedBy(version: string): RecordedEvent {
    const note = this.#policy === null ? 'in force' : 'changed: what follows is judged by this version';
    return { kind: 'policy', t: this.#now(), version, note };
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
