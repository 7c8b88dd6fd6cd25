/** What both ways of sending a statement share: the state of the session's links, names and context, and how a statement's effects count. */

import type { Socket } from 'node:net';
import type { AccessLevel, Identity } from '../identity/types.ts';
import type { SessionEffect } from '../policy/types.ts';
import type { SessionRecording } from '../recordings/types.ts';
import type { ApplicationName } from './application-name.ts';
import type { Account } from './budget.ts';
import { LOOKUP_PID, own, type Permit } from './clearance.ts';
import type { ClientLink } from './client.ts';
import type { SessionContext } from './context.ts';
import type { Asking, Subject } from './draft.ts';
import { type Failure, toReport } from './errors.ts';
import type { Gate, GateHost } from './gate.ts';
import type { Seen } from './impact/index.ts';
import { type Asker, refusal } from './impact/refusal.ts';
import type { Judging } from './judging.ts';
import type { Names, Portal, Prepared, Settle } from './names.ts';
import type { Outcomes } from './outcomes.ts';
import {
  factsOf,
  innerStatements,
  neededRelations,
  outerStatements,
  type Plan,
  statementsOf,
  verbOf,
} from './plan.ts';
import type { GatewayDeps, GatewayLimits } from './ports.ts';
import type { SessionRecord } from './record.ts';
import { type Expected, expected } from './replies.ts';
import { Run } from './run.ts';
import type { Judge, Target, UpstreamLogin } from './types.ts';
import type { UpstreamLink } from './upstream/connect.ts';
import { FLUSH, type ServerLink, SYNC, type TransactionStatus } from './upstream/link.ts';
import { decodeError } from './wire/backend.ts';
import { FRONTEND, messageName } from './wire/frame.ts';

export interface SessionOptions {
  readonly deps: GatewayDeps;
  readonly limits: GatewayLimits;
  readonly id: string;
  readonly identity: Identity;
  readonly level: AccessLevel;
  readonly target: Target;
  readonly judge: Judge;
  readonly client: Socket;
  readonly address: string;
  readonly upstream: UpstreamLink;
  /** What `upstream` was opened with. */
  readonly login: UpstreamLogin;
  readonly recording: SessionRecording;
  readonly applicationName: string | null;
  readonly holdpointSettings: ReadonlyMap<string, string>;
  /** Of the owner: for what is on its way, and for what has a name. */
  readonly memory: { readonly messages: (giveWay: () => void) => Account; readonly named: Account };
  /** null: a trusted target knows the client's own. */
  readonly name: ApplicationName | null;
  onEnd(): void;
  /** Another backend answered in the place of its own. */
  onBackendLost(): void;
}

/** null: settled in this turn of the event loop. */
export type Work = Promise<void> | null;

export const NO_TYPES: readonly number[] = [];

type Field =
  | 'o'
  | 'client'
  | 'link'
  | 'context'
  | 'statements'
  | 'portals'
  | 'judging'
  | 'gate'
  | 'record'
  | 'outcomes';
/** `isOver`: the session has ended. `lostBackend`: another answers in its place. */
type Parts = Pick<Core, Field> & { isOver(): boolean; lostBackend(): void };

const preparedBy = (sql: string, plan: Plan): Prepared => ({
  ...{ sql, plan },
  ...{ paramTypes: NO_TYPES, fields: null, early: null },
});
const cursorOf = (declared: string | null, { exposes }: Plan): Portal => ({
  ...{ declared, exposes },
  ...{ prepared: null, bind: null, approval: null, n: null, fields: null },
});

export class Core {
  readonly o: SessionOptions;
  readonly client: ClientLink;
  readonly link: ServerLink;
  readonly context: SessionContext;
  readonly statements: Names<Prepared>;
  readonly portals: Names<Portal>;
  readonly judging: Judging;
  readonly gate: Gate;
  readonly record: SessionRecord;
  readonly outcomes: Outcomes;
  /** Sent, unanswered, and able to change how what follows is read. */
  unsettled = 0;
  /** When extended messages began to go out since the last Sync. */
  #pipelineAt: number | null = null;
  #idleAt: number;
  #transactionAt: number | null = null;
  /** Work in the transaction may hold locks. */
  worked = false;
  readonly #isOver: () => boolean;
  readonly #lostBackend: () => void;

  constructor(parts: Parts) {
    this.o = parts.o;
    this.client = parts.client;
    this.link = parts.link;
    this.context = parts.context;
    this.statements = parts.statements;
    this.portals = parts.portals;
    this.judging = parts.judging;
    this.gate = parts.gate;
    this.record = parts.record;
    this.outcomes = parts.outcomes;
    this.#isOver = parts.isOver;
    this.#lostBackend = parts.lostBackend;
    this.#idleAt = this.o.deps.now();
  }

  /** Extended messages went out since the last Sync: an implicit transaction may be open. */
  get unsynced(): boolean {
    return this.#pipelineAt !== null;
  }
  set unsynced(yes: boolean) {
    this.#pipelineAt = yes ? (this.#pipelineAt ?? this.o.deps.now()) : null;
  }

  /** ReadyForQuery. */
  ready(status: TransactionStatus): void {
    this.#idleAt = this.o.deps.now();
    this.#transactionAt = status === 'I' ? null : (this.#transactionAt ?? this.#idleAt);
  }

  ages(): ReturnType<GateHost['ages']> {
    const now = this.o.deps.now();
    const since = (at: number | null): number => (at === null ? 0 : Math.max(0, now - at));
    return {
      idle: since(this.#idleAt),
      transaction: since(this.#transactionAt),
      pipeline: this.#pipelineAt === null ? null : since(this.#pipelineAt),
    };
  }

  get over(): boolean {
    return this.#isOver();
  }

  subject(it: Plan, portal: Portal): Subject {
    return {
      plan: it,
      values: portal.bind?.values ?? [],
      formats: portal.bind?.formats ?? [],
      paramTypes: portal.prepared?.paramTypes ?? [],
      protocol: 'extended',
      ...(portal.prepared === null ? {} : { parsed: true as const }),
    };
  }

  run(
    it: Plan,
    permit: Permit | null,
    n: number,
    portal: Portal | null,
    resultFormats: readonly number[],
  ): Run {
    return new Run({
      n,
      plan: it,
      approval: permit?.kind === 'approval' ? permit.approval : null,
      startedAt: this.o.deps.now(),
      fields: portal === null ? null : (portal.fields ?? portal.prepared?.fields ?? null),
      resultFormats,
    });
  }

  /** The server has told whether a key is there. */
  guessed(run: Run): void {
    if (!run.plan.guesses) this.#noteGuess(run);
  }

  #noteGuess({ plan: it, approval }: Run): void {
    if (approval === null) this.o.deps.guesses?.note(this.o.identity, this.o.target, it);
  }

  /** The statement's effects on the session count when the server says that it did it. */
  expectRun(kind: 'query' | 'call' | 'execute', run: Run, given?: Subject): Expected {
    const { plan: it } = run;
    const affects = this.context.affectedBy(it);
    if (affects) this.unsettled += 1;
    if (takesLocks(it)) this.worked = true;
    if (it.guesses) this.#noteGuess(run);
    for (const facts of factsOf(it)) this.o.judge.written.note(this.o.identity.owner?.id ?? null, facts);
    const unnamed = kind === 'query' ? this.statements.closing('') : null;
    if (kind !== 'execute') this.unsynced = false;
    const settles = this.proposeNames(it, run.approval !== null);
    return expected(kind, {
      run,
      settle: (end) => {
        if (affects) this.unsettled -= 1;
        // A simple Query drops the unnamed statement, whatever becomes of it.
        if (end !== 'skipped') unnamed?.('done');
        for (const settle of settles) settle(end);
        if (end === 'failed') this.context.failed(it);
        if (end !== 'done') return;
        this.context.done(it, given);
        for (const { effects, class: kindOf } of statementsOf(it)) {
          if (kindOf === 'ddl' || kindOf === 'do' || kindOf === 'call' || kindOf === 'unknown')
            this.o.judge.invalidate();
          for (const effect of effects) {
            if (effect.kind === 'savepoint') this.outcomes.savepoint(effect.name);
            if (effect.kind === 'rollback-to') this.outcomes.rolledBackTo(effect.name);
          }
        }
      },
    });
  }

  /** By what is run by name: what was there by the name of what it makes stays a candidate, for it may be another that ran. */
  #mayPropose(effect: SessionEffect, it: Plan): Settle[] {
    if (effect.kind !== 'prepare' && effect.kind !== 'declare') return [];
    const { name, sql } = effect;
    const settle =
      effect.kind === 'prepare'
        ? this.statements.propose(name, preparedBy(sql, it), true)
        : this.portals.propose(name, cursorOf(sql, it), true);
    return [(end) => (end === 'skipped' ? settle(end) : undefined)];
  }

  /** SQL-level PREPARE, DECLARE, DEALLOCATE, CLOSE and DISCARD share the namespace of the protocol (DESIGN.md 3). */
  proposeNames(it: Plan, approved: boolean): Settle[] {
    const outer = outerStatements(it);
    const keep = outer.length > 1;
    const settles: Settle[] = [];
    for (const { effects } of innerStatements(it))
      for (const effect of effects) settles.push(...this.#mayPropose(effect, it));
    for (const { effects } of outer)
      for (const effect of effects) {
        if (effect.kind === 'prepare') {
          settles.push(this.statements.propose(effect.name, preparedBy(effect.sql, it), keep));
        } else if (effect.kind === 'declare')
          settles.push(this.portals.propose(effect.name, cursorOf(approved ? null : effect.sql, it), keep));
        // In a string of several, what is made and dropped again stays a candidate: to be cautious costs only a question.
        else if (effect.kind === 'deallocate' && !keep) settles.push(this.statements.closing(effect.name));
        else if (effect.kind === 'close' && !keep) settles.push(this.portals.closing(effect.name));
      }
    return settles;
  }

  mustSettleFirst(): boolean {
    return this.unsettled > 0 || (this.context.stale && this.link.status === 'I') || this.#nameDue();
  }

  /** What could change the meaning of the next statement is answered, and names are looked up anew where they may have moved. */
  async settleContext(): Promise<boolean> {
    if ((this.unsettled > 0 || this.#nameDue()) && !(await this.settleEarlier())) return false;
    await this.putName();
    if (this.context.stale && this.link.status === 'I' && !this.unsynced) {
      if (!(await this.settleEarlier())) return false;
      if (this.link.status !== 'I') return true;
      const answer = await this.link.ask(own.lookup(this.context.settings.named));
      if (this.over) return false;
      const pid = answer.rows[0]?.[LOOKUP_PID];
      if (pid && pid !== this.o.upstream.facts.pid) {
        this.#lostBackend();
        return false;
      }
      if (!this.context.learn(answer.rows))
        this.o.deps.log.warn({ session: this.o.id }, 'names could not be looked up');
    }
    return !this.over;
  }

  #nameDue(): boolean {
    return this.o.name?.due === true && !this.unsynced && this.link.status !== 'E';
  }

  /**
   * As soon as nothing is under way: in a transaction for as long as the value lasts that the client gave it, so that what its end brings back
   * gets its own. A later report tells what came of it.
   */
  async putName(): Promise<void> {
    if (!this.#nameDue() || this.link.replies.size > 0 || this.link.skipping || this.over) return;
    const name = this.o.name?.take() ?? null;
    if (name === null) return;
    const { error } = await this.link.ask(own.rename(name, this.link.status === 'T'));
    if (error !== null)
      this.o.deps.log.warn({ session: this.o.id }, 'the session could not be given its name at the target');
  }

  /** Earlier replies are with the client. false: the server would not look at what comes next. */
  async settleEarlier(): Promise<boolean> {
    if (this.link.replies.size > 0) {
      this.link.control(FLUSH, null);
      this.link.flush();
      await this.link.quiet();
    }
    return !this.over && !this.link.skipping;
  }

  /** A client that pipelines without end waits until some of it is answered (I7). */
  answered(): Promise<void> {
    this.link.control(FLUSH, null);
    this.link.flush();
    return this.link.until(() => this.link.copyIn || this.link.replies.eased);
  }

  /**
   * A malformed message is an error like any other: where an answer stands open the server itself fails, and what was prepared before stays.
   * Of the extended protocol everything up to Sync is then skipped; the others bring their own ReadyForQuery.
   */
  async refuseMessage(type: number, failure: Failure): Promise<void> {
    this.record.message(messageName(type), toReport(failure));
    const ends = type === FRONTEND.query || type === FRONTEND.functionCall || type === FRONTEND.sync;
    if (ends && !(await this.settleEarlier())) {
      // A Sync ends the skipping, whatever else is in it.
      if (this.over || type !== FRONTEND.sync) return;
      this.link.control(SYNC, expected('sync', { answer: { rows: [], error: null, told: null } }));
    }
    this.unsynced = !ends;
    this.link.send(own.failingParse('holdpoint_refused'), expected('parse', { refusal: failure }));
    if (ends) this.link.control(SYNC, expected('sync'));
  }

  /**
   * A utility statement is not looked into at Parse, so that the server is asked for its names in a text of the gateway's own: nobody
   * is asked about a typo (DESIGN.md 4). The statement itself does not go out.
   */
  async missing(subject: Subject): Promise<Failure | null> {
    const { plan: it } = subject;
    const verb = verbOf(it);
    // A string of several is a block, and so may be what came before in a pipeline.
    if (
      verb === 'LOCK TABLE' &&
      outerStatements(it).length === 1 &&
      this.link.status === 'I' &&
      !this.unsynced
    )
      return { kind: 'as-server', code: '25P01', message: `${verb} can only be used in transaction blocks` };
    for (const { schema, name } of neededRelations(it)) {
      const { error } = await this.link.probe(own.relation(schema, name), this.unsynced);
      if (error === null) continue;
      this.unsynced = false;
      const { code, message } = decodeError(error);
      const dropped = /^DROP (.+)$/.exec(verb)?.[1]?.toLowerCase() ?? 'relation';
      return {
        kind: 'as-server',
        code: code === '42P01' && dropped === 'index' ? '42704' : code,
        message: message.replace(/^relation/, RELATION_KINDS.has(dropped) ? dropped : 'relation'),
      };
    }
    if (subject.parsed === true) return null;
    const said = await refusal(subject, this.#asker());
    if (said === null) return null;
    const { code, message, hint, position } = said;
    return { kind: 'as-server', code, message, hint, position };
  }

  #asker(): Asker {
    const { context, o } = this;
    const { target, login, judge } = o;
    const { searchPath } = context.resolution;
    return { target, login, judge, searchPath, settings: context.meaning(), apart: context.apart };
  }

  transaction(): 'idle' | 'open' | 'failed' {
    if (this.link.status === 'E') return 'failed';
    return this.link.status === 'T' || (this.unsynced && this.worked) ? 'open' : 'idle';
  }

  asking(): Asking {
    const { deps, target } = this.o;
    return {
      sessionId: this.o.id,
      identity: this.o.identity,
      target,
      role: this.context.role,
      fingerprintKey: deps.fingerprintKey,
      context: this.context.fingerprint(),
      transaction: this.transaction(),
      snapshotPredates: this.transaction() !== 'idle' && this.context.snapshotPredates,
      reason: this.context.settings.get('holdpoint.reason'),
      applicationName: this.o.applicationName,
    };
  }

  seen({ paramTypes }: Subject): Seen {
    const { context, judging, o } = this;
    const transaction = this.transaction();
    const { tempRelations, changed } = context.resolution;
    const worked = transaction !== 'idle' && this.worked;
    return {
      target: o.target,
      login: o.login,
      judge: o.judge,
      context: judging.at(paramTypes, transaction),
      settings: context.meaning(),
      approximate: worked || tempRelations.length > 0 || (changed ?? []).length > 0,
      transactionMs: transaction === 'idle' ? null : this.ages().transaction,
    };
  }

  /** Whether a COPY FROM STDIN takes the next bytes is for the server to say, never for the SQL text (WIRE.md). */
  awaitCopy(it: Plan): Work {
    const copies = it.judged.some(
      ({ facts }) =>
        facts === null ||
        facts.statements.some(({ effects }) => effects.some((effect) => effect.kind === 'copy-in')),
    );
    if (!copies) return null;
    this.link.control(FLUSH, null);
    this.link.flush();
    return this.link.until(() => this.link.copyIn || this.link.replies.size === 0);
  }
}

const RELATION_KINDS: ReadonlySet<string> = new Set([
  ...['table', 'view', 'materialized view', 'foreign table', 'sequence', 'index'],
]);
const LOCKLESS: ReadonlySet<string> = new Set(['empty', 'transaction', 'session', 'prepare']);
/** To parse what PREPARE names is enough. */
const takesLocks = (it: Plan): boolean =>
  statementsOf(it).some((one) => !LOCKLESS.has(one.class) || one.relations.length > 0);

/** Waits for it, no longer. */
export const within = (work: Promise<void>, ms: number): Promise<void> =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    void work.then(() => {
      clearTimeout(timer);
      resolve();
    });
  });
