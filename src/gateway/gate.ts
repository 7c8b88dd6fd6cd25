/**
 * The gate that every statement passes: settings, verdict, the wait for a human (DESIGN.md 1–11). It decides and records; the session sends.
 */
import { isDeepStrictEqual } from 'node:util';
import type { ApprovalRequest, HoldDraft } from '../approvals/types.ts';
import { joinTerms, owedOf } from '../policy/terms.ts';
import { type ApplicationName, namedByBind } from './application-name.ts';
import type { Permit } from './clearance.ts';
import { type Given, type SessionContext, withBinds } from './context.ts';
import { type Asking, draft, fingerprint, requesterOf, type Subject } from './draft.ts';
import { describe, type Failure, toReport } from './errors.ts';
import { type HoldEnd, hold, type Interruption } from './hold.ts';
import type { Growth, Seen } from './impact/index.ts';
import { asksForRequests, type Judging, refusedSetting } from './judging.ts';
import {
  classOf,
  outerStatements,
  type Plan,
  relationsOf,
  statementsOf,
  taggedColumnsOf,
  verbOf,
} from './plan.ts';
import type { GatewayDeps } from './ports.ts';
import type { SessionRecord } from './record.ts';
import { readDuration } from './settings.ts';
import type { Judge } from './types.ts';

export type Decision =
  /** `n`: recorded already under this number. */
  | { readonly kind: 'go'; readonly permit: Permit; readonly n: number; readonly plan: Plan }
  | { readonly kind: 'refuse'; readonly failure: Failure }
  /** The transaction has failed: the server says so itself (DESIGN.md 10). */
  | { readonly kind: 'in-failed' }
  /** The session or the pipeline is over. */
  | { readonly kind: 'stop' };

/** What the gate asks the session. */
export interface GateHost {
  /** Earlier replies are with the client and nothing is owed. false: this statement will not be looked at by the server. */
  settleEarlier(): Promise<boolean>;
  transaction(): 'idle' | 'open' | 'failed';
  /** Earlier work in the transaction may hold locks. */
  hasWorked(): boolean;
  /** For how long the server's own clocks have run (ms). `pipeline`: since its first message, null after a Sync. */
  ages(): { readonly idle: number; readonly transaction: number; readonly pipeline: number | null };
  /** Why it would fail for want of a relation, asked of the server now, or of a transaction. */
  missing(subject: Subject): Promise<Failure | null>;
  /** What became of earlier approvals is known at the desk. */
  outcomesKept(): Promise<void>;
  asking(): Asking;
  /** For a look at the target from another connection. */
  seen(it: Subject): Seen;
  /** The wait begins: resolves when the client cancels or is gone. */
  holding(): Promise<Interruption>;
  held(): void;
  notice: ((text: string) => void) | null;
  stands(): boolean;
  /** A CancelRequest came while the statement was looked at. */
  cancelled(): boolean;
}

type ClearedEnd = Extract<HoldEnd, { kind: 'cleared' }>;

export class Gate {
  readonly #deps: GatewayDeps;
  readonly #host: GateHost;
  readonly #judge: Judge;
  readonly #judging: Judging;
  readonly #record: SessionRecord;
  readonly #context: SessionContext;
  readonly #trusted: boolean;
  readonly #custom: readonly string[];
  readonly #name: ApplicationName | null;
  readonly #agent: boolean;
  /** It only asks: nothing of it runs. */
  readonly #ahead: boolean;
  readonly #plain = new WeakMap<Plan, boolean>();

  constructor(options: {
    readonly deps: GatewayDeps;
    readonly host: GateHost;
    readonly judge: Judge;
    readonly judging: Judging;
    readonly record: SessionRecord;
    readonly context: SessionContext;
    readonly trusted: boolean;
    readonly custom: readonly string[];
    readonly name: ApplicationName | null;
    readonly agent: boolean;
    readonly ahead: boolean;
  }) {
    this.#deps = options.deps;
    this.#host = options.host;
    this.#judge = options.judge;
    this.#judging = options.judging;
    this.#record = options.record;
    this.#context = options.context;
    this.#trusted = options.trusted;
    this.#custom = options.custom;
    this.#name = options.name;
    this.#agent = options.agent;
    this.#ahead = options.ahead;
  }

  /** Goes through as it is, with nothing to wait for. */
  plain(it: Plan): boolean {
    const known = this.#plain.get(it);
    if (known !== undefined) return known;
    const plain =
      !this.#ahead &&
      it.verdict.effect === 'allow' &&
      it.probe === 'none' &&
      this.#refusedSetting(it) === null &&
      !statementsOf(it).some(({ settings }) => settings.some(namedByBind)) &&
      !asksForRequests(it);
    this.#plain.set(it, plain);
    return plain;
  }

  /** Would it be refused whoever asked? Without values: at Parse, before there are any. */
  blocked(it: Plan, given?: Given): Failure | null {
    return this.#ahead ? { kind: 'ahead' } : this.blockedByPolicy(it, given);
  }

  blockedByPolicy(it: Plan, given?: Given): Failure | null {
    const setting = this.#refusedSetting(it, given);
    if (setting !== null) return { kind: 'setting', ...setting };
    if (it.verdict.effect !== 'deny') return null;
    return { kind: 'blocked', verdict: it.verdict, what: describe(verbOf(it), relationsOf(it)) };
  }

  #refusedSetting(it: Plan, given?: Given): { readonly name: string; readonly why: string } | null {
    const listed = refusedSetting(it, this.#trusted, this.#custom);
    if (listed !== null || this.#name === null) return listed;
    for (const one of statementsOf(it))
      for (const change of given === undefined ? one.settings : withBinds(it.sql, one, given).settings) {
        const why = this.#name.refuse(change, given !== undefined);
        if (why !== null) return { name: change.name, why };
      }
    return null;
  }

  async decide(first: Subject): Promise<Decision> {
    let subject = first;
    const blocked = this.blocked(subject.plan, subject);
    if (blocked !== null) return this.refuse(subject, blocked);
    if (subject.plan.verdict.effect === 'allow') return this.#go(subject);
    if (!(await this.#host.settleEarlier())) return { kind: 'stop' };
    if (this.#host.transaction() === 'failed' && !endsTransaction(subject.plan)) return { kind: 'in-failed' };
    const missing = await this.#host.missing(subject);
    if (!this.#host.stands()) return { kind: 'stop' };
    if (missing !== null) return this.refuse(subject, missing);
    if (this.#host.cancelled()) return this.refuse(subject, { kind: 'cancelled', requestId: null });
    const n = this.#record.statement(subject, 'hold');
    if (n === null) return this.refuse(subject, { kind: 'not-recorded' });
    // A definition that changed during the wait asks anew, and so does an estimate that grew since it was approved.
    let loose = true;
    let grew: Growth | null = null;
    for (let attempt = 0; attempt < 3; attempt++) {
      const end = await this.#hold(subject, n, loose, grew);
      if (end.kind === 'gone') return { kind: 'stop' };
      if (end.kind === 'refused') {
        if (end.request !== null) this.#record.approval(n, end.request, end.failure.kind);
        this.#record.refused(n, toReport(end.failure));
        return { kind: 'refuse', failure: end.failure };
      }
      const { approval, request } = end;
      if (!this.#host.stands()) {
        await this.#giveBack(n, end, 'unused');
        return { kind: 'stop' };
      }
      grew = end.grant ? await this.#deps.impact.grown(request, subject, this.#host.seen(subject)) : null;
      if (grew !== null) {
        await this.#void(n, end, grewNote(grew));
        if (!this.#host.stands()) return { kind: 'stop' };
        continue;
      }
      // From the catalog as it is now: what was shown must be what the names still mean (DESIGN.md 8).
      const { sql } = subject.plan;
      const again = await this.#judging.later(sql, subject.paramTypes, this.#host.transaction(), true);
      if (again.kind !== 'plan') {
        await this.#giveBack(n, end, 'unused');
        return this.refuse(subject, { kind: 'no-statement', name: again.name });
      }
      const before = fingerprint(subject, this.#host.asking());
      subject = { ...subject, plan: again.plan };
      const now = this.blocked(again.plan, subject);
      const same = fingerprint(subject, this.#host.asking()) === before;
      const covered = covers(request, subject, before);
      const stands = this.#host.stands();
      const runs = stands && now === null && same && covered;
      if (runs && this.#record.cleared(n, request))
        return { kind: 'go', permit: { kind: 'approval', approval }, n, plan: again.plan };
      // Changed, nobody can use it as it is any more.
      if (now === null && covered && !same) await this.#void(n, end, CHANGED);
      else await this.#giveBack(n, end, runs ? 'not-recorded' : 'unused');
      if (!stands || !this.#host.stands()) return { kind: 'stop' };
      if (now !== null) return this.refuse(subject, now);
      if (runs) return this.refuse(subject, { kind: 'not-recorded' });
      if (!covered) loose = false;
    }
    return this.refuse(subject, { kind: 'internal' });
  }

  /** Cleared, and yet it does not run: the permission goes back, and the record does not say that it was executing. */
  async #giveBack(n: number, { approval, request }: ClearedEnd, why: string): Promise<void> {
    this.#record.approval(n, { ...request, state: 'granted' }, why);
    await approval.finish('unused', null);
  }
  async #void(n: number, { approval, request }: ClearedEnd, note: string): Promise<void> {
    this.#record.approval(n, { ...request, state: 'withdrawn', note, decisions: [] });
    await approval.finish('void', null, note);
  }

  /** Recorded as refused. */
  refuse(subject: Subject, failure: Failure): Decision {
    const n = this.#record.statement(subject, 'deny');
    if (n === null) return { kind: 'refuse', failure: { kind: 'not-recorded' } };
    const { code, message } = toReport(failure);
    // The server quotes the statement's literals, and those of tagged columns are in no recording.
    const quotes = failure.kind === 'as-server' && subject.plan.exposes;
    this.#record.refused(n, { code, message: quotes ? '(withheld)' : message });
    if (failure.kind === 'blocked') this.#tell(subject.plan);
    return { kind: 'refuse', failure };
  }

  #tell(it: Plan): void {
    const { identity, target } = this.#host.asking();
    try {
      this.#deps.onBlocked?.({
        requester: requesterOf(identity),
        target,
        class: classOf(it),
        verb: verbOf(it),
        relations: relationsOf(it),
      });
    } catch (error) {
      this.#deps.log.error({ err: error }, 'a refusal could not be told of');
    }
  }

  #go(subject: Subject): Decision {
    const n = this.#record.statement(subject, 'allow');
    if (n === null) return { kind: 'refuse', failure: { kind: 'not-recorded' } };
    return { kind: 'go', permit: { kind: 'verdict', verdict: subject.plan.verdict }, n, plan: subject.plan };
  }

  async #hold(subject: Subject, n: number, loose: boolean, grew: Growth | null): ReturnType<typeof hold> {
    const { deps, host } = { deps: this.#deps, host: this.#host };
    const interrupted = host.holding();
    try {
      await host.outcomesKept();
      const seen = host.seen(subject);
      const impact = { ...deps.impact.known(subject, seen), grewFrom: grew?.from ?? null };
      const asked = { ...(await draft(subject, host.asking(), (sql) => this.#judge.tidy(sql))), impact };
      return await hold({
        desk: deps.desk,
        draft: loose ? asked : strict(asked),
        waitMs: this.#waitMs(subject.plan),
        where: deps.where,
        interrupted,
        onRequest: (request) => {
          this.#record.approval(n, request);
          // It does not wait for the target, and neither does the client.
          if (request.state === 'pending') void deps.impact.appraise(request, subject, seen);
        },
        notify: host.notice,
        heartbeatMs: deps.holdTerms.heartbeatMs ?? 10_000,
      });
    } catch (error) {
      deps.log.error({ err: error }, 'the approval desk failed');
      return { kind: 'refused', failure: { kind: 'desk-unavailable' }, request: null };
    } finally {
      host.held();
    }
  }

  /** `SET holdpoint.wait`, capped by policy and by what the server itself would not outlast. */
  #waitMs(it: Plan): number {
    const { holdTerms } = this.#deps;
    const { settings } = this.#context;
    const asked = settings.get('holdpoint.wait');
    const own = asked === null ? null : readDuration(asked);
    const usual = it.verdict.terms.waitMs ?? (this.#agent ? holdTerms.agentWaitMs : holdTerms.personWaitMs);
    const caps = [own ?? usual, holdTerms.maxWaitMs];
    // What policy says is the most that may be asked for.
    if (it.verdict.terms.waitMs !== null) caps.push(it.verdict.terms.waitMs);
    const ages = this.#host.ages();
    const server = (name: string, age: number): void => {
      const limit = readDuration(settings.get(name) ?? '0') ?? 0;
      if (limit > 0) caps.push(limit - Math.min(2000, limit / 2) - age);
    };
    if (ages.pipeline !== null) {
      // Between the messages of a pipeline the server is at work, not idle.
      server('statement_timeout', ages.pipeline);
      server('transaction_timeout', Math.max(ages.pipeline, ages.transaction));
    } else if (this.#host.transaction() === 'idle') server('idle_session_timeout', ages.idle);
    else {
      server('idle_in_transaction_session_timeout', ages.idle);
      server('transaction_timeout', ages.transaction);
    }
    if (this.#host.transaction() !== 'idle' && this.#host.hasWorked()) caps.push(holdTerms.lockedWaitMs);
    return Math.max(0, Math.min(...caps));
  }
}

const strict = ({ loose: _, ...rest }: HoldDraft): HoldDraft => rest;

/** Known without its definitions, as a part of a script: then what it has turned out to be asks for nothing that was not on the card. */
function covers(request: ApprovalRequest, { plan: it }: Subject, exact: string): boolean {
  if (request.fingerprint === exact) return true;
  const { terms } = request;
  const now = joinTerms([terms, it.verdict.terms]);
  return (
    isDeepStrictEqual(
      [now.quorum, owedOf(now), now.surfaces],
      [terms.quorum, owedOf(terms), terms.surfaces],
    ) && taggedColumnsOf(it).every((column) => request.statement.taggedColumns.includes(column))
  );
}

const CHANGED = 'what it relies on, or whom the policy asks, has changed since, so it asks anew';
const grewNote = ({ from, to }: Growth): string =>
  `it was approved at about ${from} rows and would touch about ${to} by now, so it asks anew`;

/** COMMIT or ROLLBACK is the one thing that a failed transaction takes. */
export const endsTransaction = (it: Plan): boolean =>
  outerStatements(it).some(({ effects }) =>
    effects.some((effect) => ['commit', 'rollback', 'rollback-to'].includes(effect.kind)),
  );
