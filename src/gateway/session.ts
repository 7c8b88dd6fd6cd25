/**
 * One client's time on one target: bytes become statements, statements get a verdict, the verdict lets them through, holds or refuses them.
 *
 * Frames are taken one at a time and in order. What is known to be allowed goes on in the same turn of the event loop; anything else makes the
 * session `busy`, and nothing more is taken until it is settled (DESIGN.md 1–3, 10).
 */
import type { Socket } from 'node:net';
import { serialize } from 'pg-protocol';
import type { AccessLevel, Identity } from '../identity/types.ts';
import type { SessionRecording } from '../recordings/types.ts';
import { clear, clearParse, own, type Permit } from './clearance.ts';
import { ClientLink } from './client.ts';
import { affectsContext, SessionContext } from './context.ts';
import { type Asking, type Subject, simple } from './draft.ts';
import { type Ending, type Failure, toEnding, toReport } from './errors.ts';
import { Gate } from './gate.ts';
import type { Interruption } from './hold.ts';
import { asksForRequests, Judging } from './judging.ts';
import { Names, type Portal, type Prepared } from './names.ts';
import { Outcomes } from './outcomes.ts';
import { isTagged, outerStatements, type Plan } from './plan.ts';
import type { GatewayDeps, GatewayLimits, SessionView } from './ports.ts';
import { SessionRecord } from './record.ts';
import { type Expected, expected } from './replies.ts';
import { requestRows } from './requests.ts';
import { Run } from './run.ts';
import type { Judge, Target } from './types.ts';
import { cancelUpstream } from './upstream/cancel.ts';
import type { UpstreamLink } from './upstream/connect.ts';
import { FLUSH, ServerLink, type TransactionStatus } from './upstream/link.ts';
import { decodeError, type Field } from './wire/backend.ts';
import { errorResponse, noticeResponse, parameterStatus, readyForQuery } from './wire/build.ts';
import { WireFault } from './wire/fault.ts';
import { FRONTEND, type Frame } from './wire/frame.ts';
import {
  decodeBind,
  decodeExecute,
  decodeNamed,
  decodeParse,
  decodeQuery,
  expectEmpty,
} from './wire/frontend.ts';

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
  readonly recording: SessionRecording;
  readonly applicationName: string | null;
  readonly holdpointSettings: ReadonlyMap<string, string>;
  onEnd(session: Session): void;
}

type State =
  | { readonly kind: 'ready' }
  /** Something is awaited: a judgement, earlier replies, the server's buffer. `cancelled` by a CancelRequest meanwhile. */
  | { readonly kind: 'busy'; cancelled: boolean }
  /** A human is asked. */
  | { readonly kind: 'holding'; readonly interrupt: (why: Interruption) => void }
  | { readonly kind: 'ended'; readonly why: string };

/** null: settled in this turn. */
type Work = Promise<void> | null;

const LIVENESS_MS = 1000;
const NO_TYPES: readonly number[] = [];

export class Session {
  readonly id: string;
  readonly identity: Identity;
  readonly #o: SessionOptions;
  readonly #startedAt: number;
  readonly #client: ClientLink;
  readonly #link: ServerLink;
  readonly #context: SessionContext;
  readonly #statements = new Names<Prepared>();
  readonly #portals = new Names<Portal>();
  readonly #judging: Judging;
  readonly #gate: Gate;
  readonly #record: SessionRecord;
  readonly #outcomes: Outcomes;
  /** Resolves when the link to the target is closed and the recording with it. */
  readonly closed: Promise<void>;
  #close: () => void = () => {};
  #state: State = { kind: 'ready' };
  /** Sent, unanswered, and able to change how what follows is read. */
  #unsettled = 0;
  /** Extended messages went out since the last Sync: an implicit transaction may be open. */
  #unsynced = false;
  #worked = false;
  #lastTag: string | null = null;
  #erred = false;
  /** Where the pieces of a large CopyData go. */
  #pieces: 'send' | 'drop' = 'drop';

  constructor(options: SessionOptions) {
    const { deps, identity, target, upstream } = options;
    this.#o = options;
    this.id = options.id;
    this.closed = new Promise((resolve) => {
      this.#close = resolve;
    });
    this.identity = identity;
    this.#startedAt = deps.now();
    this.#context = new SessionContext(upstream.facts, upstream.parameters, options.holdpointSettings);
    this.#record = new SessionRecord(options.recording, deps.now);
    this.#outcomes = new Outcomes(deps.now, (work) => {
      work.catch((error: unknown) =>
        deps.log.error({ err: error, session: this.id }, 'an outcome was not kept'),
      );
    });
    const [statements, portals, context] = [this.#statements, this.#portals, this.#context];
    this.#judging = new Judging({ ...options, statements, portals, context });
    this.#gate = new Gate({
      deps,
      judge: options.judge,
      judging: this.#judging,
      record: this.#record,
      context,
      trusted: target.protocol === 'trusted' && target.environment === 'test',
      agent: identity.agent !== null,
      host: {
        settleEarlier: () => this.#settleEarlier(),
        transaction: () => this.#transaction(),
        hasWorked: () => this.#worked,
        asking: () => this.#asking(),
        holding: () => this.#holding(),
        held: () => this.#held(),
        notice: identity.agent === null ? (text) => this.#notice(text) : null,
        stands: () => !this.#over && this.#stands(),
      },
    });
    this.#client = new ClientLink(options.client, options.limits, {
      readable: () => this.#pump(),
      drained: () => this.#link.resume(),
      ended: (why) => this.#clientEnded(why),
    });
    this.#link = new ServerLink(upstream.socket, {
      toClient: (bytes) => this.#over || this.#client.write(bytes),
      batchEnded: () => this.#batchEnded(),
      completed: (run, tag) => this.#completed(run, tag),
      failed: (run) => {
        this.#erred = true;
        this.#outcomes.failed(run);
      },
      skipped: (run) => {
        this.#outcomes.skipped(run);
        this.#record.refused(run.n, {
          code: '25000',
          message: 'skipped by the server after an earlier error',
        });
      },
      finished: (run) => this.#record.result(run),
      ready: (status) => this.#ready(status),
      fields: (run, fields) => this.#mayShow(run, fields),
      parameter: (name, value) => this.#parameter(name, value),
      ended: () => this.#upstreamEnded(),
    });
  }

  start(): void {
    this.#client.start();
  }

  view(): SessionView {
    const { owner, agent, credentialId } = this.identity;
    return {
      id: this.id,
      ownerId: owner?.id ?? null,
      ownerName: owner?.name ?? null,
      agent,
      credentialId,
      target: this.#o.target.name,
      address: this.#o.address,
      startedAt: this.#startedAt,
      state: this.#state.kind,
    };
  }

  // ── the way of a frame ──────────────────────────────────────────────────────────────────────────────────────────

  #pump(): void {
    if (this.#state.kind !== 'ready') return;
    try {
      while (this.#state.kind === 'ready') {
        const frame = this.#client.shift();
        if (frame === null) break;
        const work = this.#handle(frame);
        if (work !== null) this.#await(work);
      }
      if (this.#state.kind === 'ready' && !this.#link.flush()) this.#await(this.#link.drained());
    } catch (error) {
      this.#fault(error);
    }
  }

  #await(work: Promise<void>): void {
    if (this.#over) {
      work.catch(() => {});
      return;
    }
    this.#state = { kind: 'busy', cancelled: false };
    this.#link.flush();
    work.then(
      () => {
        if (this.#over) return;
        this.#state = { kind: 'ready' };
        if (!this.#client.flush()) this.#link.pause();
        this.#pump();
      },
      (error: unknown) => this.#fault(error),
    );
  }

  #handle(frame: Frame): Work {
    const { type } = frame;
    if (type === FRONTEND.copyData || type === FRONTEND.copyDone || type === FRONTEND.copyFail)
      return this.#copy(frame);
    if (this.#link.copyIn && type !== FRONTEND.terminate) {
      // The server itself ignores Flush and Sync here, and gives up over anything else.
      if (type === FRONTEND.sync || type === FRONTEND.flush) return null;
      throw new WireFault('unexpected message during COPY from stdin');
    }
    switch (type) {
      case FRONTEND.query:
        return this.#admits() ? this.#query(frame) : null;
      case FRONTEND.parse:
        return this.#admits() ? this.#parse(frame) : null;
      case FRONTEND.bind:
        return this.#admits() ? this.#bind(frame) : null;
      case FRONTEND.execute:
        return this.#admits() ? this.#execute(frame) : null;
      case FRONTEND.describe:
      case FRONTEND.close:
        return this.#admits() ? this.#named(frame) : null;
      case FRONTEND.functionCall:
        return this.#admits() ? this.#functionCall() : null;
      case FRONTEND.sync:
        expectEmpty(frame.bytes);
        this.#link.control(frame.bytes, expected('sync'));
        this.#unsynced = false;
        return null;
      case FRONTEND.flush:
        expectEmpty(frame.bytes);
        this.#link.control(frame.bytes, null);
        return null;
      case FRONTEND.terminate:
        this.#finish('closed by the client', null);
        return null;
      default:
        throw new WireFault(`invalid frontend message type ${type}`);
    }
  }

  /** Does the identity still stand, and would the server look at this message at all? */
  #admits(): boolean {
    const standing = this.#o.deps.identity.standing(this.identity);
    if (standing !== 'live') {
      void this.#endIdentity(standing);
      return false;
    }
    return !this.#link.skipping;
  }

  // ── simple query ────────────────────────────────────────────────────────────────────────────────────────────────

  #query(frame: Frame): Work {
    const sql = decodeQuery(frame.bytes);
    if (!this.#mustSettleFirst()) {
      const it = this.#judging.now(sql, NO_TYPES, this.#transaction());
      if (it !== null && this.#gate.plain(it)) {
        const subject = simple(it);
        const n = this.#record.statement(subject, 'allow');
        if (n === null) return this.#refuseQuery({ kind: 'not-recorded' });
        return this.#runQuery(frame.bytes, it, { kind: 'verdict', verdict: it.verdict }, n);
      }
    }
    return this.#queryLater(frame.bytes, sql);
  }

  async #queryLater(message: Buffer, sql: string): Promise<void> {
    if (!(await this.#settleContext())) return;
    let planned = await this.#judging.later(sql, NO_TYPES, this.#transaction());
    if (this.#over) return;
    if (planned.kind === 'plan' && planned.plan.probe !== 'none' && !this.#unsynced) {
      const probed = await this.#probe(planned.plan);
      if (probed === 'answered' || this.#over) return;
      planned = await this.#judging.later(sql, NO_TYPES, this.#transaction(), true);
    }
    if (planned.kind === 'no-statement')
      return this.#refuseQuery({ kind: 'no-statement', name: planned.name });
    const it = planned.plan;
    if (it.judged[0]?.probe === 'syntax' && this.#o.target.protocol === 'strict')
      this.#o.deps.log.warn(
        { session: this.id },
        'the server accepts a text that cannot be read here: refused',
      );
    if (asksForRequests(it) && it.verdict.effect === 'allow') return this.#showRequests(it);
    const decision = await this.#gate.decide(simple(it));
    switch (decision.kind) {
      case 'go':
        return (await this.#runQuery(message, decision.plan, decision.permit, decision.n)) ?? undefined;
      case 'refuse':
        return this.#refuseQuery(decision.failure);
      case 'in-failed':
        this.#link.send(own.inFailed(), expected('query'));
        return;
      case 'stop':
        return;
    }
  }

  #runQuery(message: Buffer, it: Plan, permit: Permit, n: number): Work {
    const run = this.#run(it, permit, n, null, []);
    this.#link.send(clear(permit, message), this.#expectRun('query', run));
    return this.#awaitCopy(it);
  }

  /** The upstream's own Parse says whether it is a typo: then its error is the answer, and no card is made (DESIGN.md 4). */
  async #probe(it: Plan): Promise<'answered' | 'accepted'> {
    if (!(await this.#settleEarlier())) return 'answered';
    const many = (it.judged[0]?.facts?.statements.length ?? 1) > 1;
    if (many || this.#link.status === 'E') return 'accepted';
    const n = this.#record.statement(simple(it), 'probe');
    if (n === null) {
      await this.#refuseQuery({ kind: 'not-recorded' });
      return 'answered';
    }
    const answer = await this.#link.ask('parse', clearParse(serialize.parse({ name: '', text: it.sql })));
    if (answer.error === null || this.#over) return this.#over ? 'answered' : 'accepted';
    const report = decodeError(answer.error);
    // Several statements do not fit into a Parse: the server has read them, we have not.
    if (report.code === '42601' && report.routine === 'exec_parse_message') return 'accepted';
    this.#record.refused(n, { code: report.code, message: isTagged(it) ? '(withheld)' : report.message });
    this.#client.write(answer.error);
    this.#client.write(readyForQuery(this.#link.status));
    return 'answered';
  }

  /** Nothing of the statement reached the server, yet the client is told what is true there (DESIGN.md 10). */
  async #refuseQuery(failure: Failure): Promise<void> {
    if (!(await this.#settleEarlier())) return;
    if (this.#link.status === 'I' && !this.#unsynced) {
      this.#client.write(errorResponse(toReport(failure)));
      this.#client.write(readyForQuery('I'));
    } else {
      this.#link.send(own.failingQuery(), expected('query', { refusal: failure }));
      this.#unsynced = false;
    }
  }

  async #functionCall(): Promise<void> {
    await this.#refuseQuery({ kind: 'function-call' });
  }

  async #showRequests(it: Plan): Promise<void> {
    const rows = await requestRows(this.#o.deps.desk, this.identity, this.#o.deps.now());
    const n = this.#record.statement(simple(it), 'allow');
    if (n === null) return this.#refuseQuery({ kind: 'not-recorded' });
    this.#link.send(own.query(rows), this.#expectRun('query', this.#run(it, null, n, null, [])));
  }

  // ── extended query ──────────────────────────────────────────────────────────────────────────────────────────────

  #parse(frame: Frame): Work {
    const { name, sql, paramTypes } = decodeParse(frame.bytes);
    if (!this.#mustSettleFirst()) {
      const it = this.#judging.now(sql, paramTypes, this.#transaction());
      if (it !== null && this.#gate.plain(it)) {
        this.#sendParse(frame.bytes, name, { sql, paramTypes, plan: it, fields: null, early: null });
        return null;
      }
    }
    return this.#parseLater(frame.bytes, name, sql, paramTypes);
  }

  async #parseLater(
    message: Buffer,
    name: string,
    sql: string,
    paramTypes: readonly number[],
  ): Promise<void> {
    if (!(await this.#settleContext())) return;
    const planned = await this.#judging.later(sql, paramTypes, this.#transaction());
    if (this.#over) return;
    if (planned.kind === 'no-statement')
      return this.#refuseExtended({ kind: 'no-statement', name: planned.name }, name);
    const it = planned.plan;
    const subject: Subject = { plan: it, values: [], formats: [], paramTypes, protocol: 'extended' };
    if (!this.#statements.has(name) && this.#statements.size >= this.#o.limits.statements)
      return this.#refuseExtended({ kind: 'too-many-names' }, name);
    if (it.probe === 'none') {
      const blocked = this.#gate.blocked(it);
      if (blocked !== null) {
        const decision = this.#gate.refuse(subject, blocked);
        return decision.kind === 'refuse' ? this.#refuseExtended(decision.failure, name) : undefined;
      }
    }
    const prepared: Prepared = { sql, paramTypes, plan: it, fields: null, early: null };
    if (asksForRequests(it) && it.verdict.effect === 'allow') {
      const rows = await requestRows(this.#o.deps.desk, this.identity, this.#o.deps.now());
      this.#unsynced = true;
      this.#link.send(
        own.parse(name, rows),
        expected('parse', { settle: this.#statements.propose(name, prepared) }),
      );
      return;
    }
    // Its Execute is here already: ask before the Parse takes locks and starts timeouts (DESIGN.md 3).
    if (it.verdict.effect === 'hold' && it.probe === 'none') {
      const bound = this.#executedAhead(name);
      if (bound !== null) {
        const bind = decodeBind(bound);
        const decision = await this.#gate.decide({ ...subject, values: bind.values, formats: bind.formats });
        if (decision.kind === 'stop') return;
        if (decision.kind === 'in-failed') return this.#inFailedExtended();
        if (decision.kind === 'refuse') return this.#refuseExtended(decision.failure, name);
        if (decision.permit.kind === 'approval') {
          prepared.early = { bind: bound, approval: decision.permit.approval };
          this.#early = { prepared, n: decision.n };
        }
      }
    }
    this.#sendParse(message, name, prepared);
  }

  #early: { readonly prepared: Prepared; readonly n: number } | null = null;

  #sendParse(message: Buffer, name: string, prepared: Prepared): void {
    this.#unsynced = true;
    this.#link.send(
      clearParse(message),
      expected('parse', { settle: this.#statements.propose(name, prepared) }),
    );
  }

  /** The Bind of this statement, if the Execute of its portal has been read as well. */
  #executedAhead(statement: string): Buffer | null {
    let bound: { readonly bytes: Buffer; readonly portal: string } | null = null;
    for (const frame of this.#client.ahead()) {
      if (frame.type === FRONTEND.sync || frame.type === FRONTEND.query || frame.type === FRONTEND.parse)
        return null;
      if (frame.type === FRONTEND.bind && bound === null) {
        const bind = decodeBind(frame.bytes);
        if (bind.statement !== statement) return null;
        bound = { bytes: frame.bytes, portal: bind.portal };
      }
      if (frame.type === FRONTEND.execute && bound !== null)
        return decodeExecute(frame.bytes).portal === bound.portal ? bound.bytes : null;
    }
    return null;
  }

  #bind(frame: Frame): Work {
    const bind = decodeBind(frame.bytes);
    const [prepared, ...others] = this.#statements.candidates(bind.statement);
    if (
      prepared !== undefined &&
      others.length === 0 &&
      !this.#mustSettleFirst() &&
      prepared.early === null
    ) {
      const it = this.#judging.now(prepared.sql, prepared.paramTypes, this.#transaction());
      if (it !== null && this.#gate.plain(it) && this.#portals.size < this.#o.limits.portals) {
        const permit: Permit = { kind: 'verdict', verdict: it.verdict };
        this.#sendBind(frame.bytes, permit, { prepared, bind, approval: null, n: null, fields: null });
        return null;
      }
    }
    return this.#bindLater(frame.bytes, bind);
  }

  async #bindLater(message: Buffer, bind: ReturnType<typeof decodeBind>): Promise<void> {
    if (!(await this.#settleContext())) return;
    if (this.#statements.candidates(bind.statement).length > 1 && !(await this.#settleEarlier())) return;
    const [prepared] = this.#statements.candidates(bind.statement);
    if (prepared === undefined) return this.#refuseExtended({ kind: 'no-statement', name: bind.statement });
    if (!this.#portals.has(bind.portal) && this.#portals.size >= this.#o.limits.portals)
      return this.#refuseExtended({ kind: 'too-many-names' });
    const { early } = prepared;
    const portal: Portal = { prepared, bind, approval: null, n: null, fields: null };
    if (early !== null && early.bind === message) {
      prepared.early = null;
      portal.approval = early.approval;
      portal.n = this.#early?.n ?? null;
      this.#early = null;
      return this.#sendBind(message, { kind: 'approval', approval: early.approval }, portal);
    }
    const it = await this.#planAgain(prepared);
    if (it === null) return;
    // Planning runs functions, so that a Bind of what is held waits as its Execute would (DESIGN.md 3).
    if (it.verdict.effect === 'allow' && this.#gate.plain(it))
      return this.#sendBind(message, { kind: 'verdict', verdict: it.verdict }, portal);
    if (asksForRequests(it) && it.verdict.effect === 'allow')
      return this.#sendBind(message, { kind: 'verdict', verdict: it.verdict }, portal);
    const decision = await this.#gate.decide(this.#subject(it, portal));
    if (decision.kind === 'stop') return;
    if (decision.kind === 'in-failed') return this.#inFailedExtended();
    if (decision.kind === 'refuse') return this.#refuseExtended(decision.failure);
    if (decision.permit.kind === 'approval') portal.approval = decision.permit.approval;
    portal.n = decision.n;
    this.#sendBind(message, decision.permit, portal);
  }

  #sendBind(message: Buffer, permit: Permit, portal: Portal): void {
    const settle = this.#portals.propose(portal.bind?.portal ?? '', portal);
    this.#unsynced = true;
    this.#link.send(
      clear(permit, message),
      expected('bind', {
        settle: (end) => {
          settle(end);
          if (end !== 'done') this.#giveUp(portal);
        },
      }),
    );
  }

  /** Meaning is judged again: search_path, policy or catalog may have changed. null: the server has answered instead. */
  async #planAgain(prepared: Prepared): Promise<Plan | null> {
    let fresh = false;
    if (prepared.plan.probe !== 'none') {
      // The Parse itself was the probe: only what the server took comes here.
      if (!(await this.#settleEarlier())) return null;
      fresh = true;
    }
    const planned = await this.#judging.later(prepared.sql, prepared.paramTypes, this.#transaction(), fresh);
    if (this.#over) return null;
    if (planned.kind === 'plan') return planned.plan;
    await this.#refuseExtended({ kind: 'no-statement', name: planned.name });
    return null;
  }

  #execute(frame: Frame): Work {
    const { portal: name } = decodeExecute(frame.bytes);
    const [portal, ...others] = this.#portals.candidates(name);
    if (portal !== undefined && others.length === 0 && !this.#mustSettleFirst()) {
      const { prepared, approval } = portal;
      if (prepared !== null && approval === null) {
        const it = this.#judging.now(prepared.sql, prepared.paramTypes, this.#transaction());
        if (it !== null && this.#gate.plain(it)) {
          const n = this.#record.statement(this.#subject(it, portal), 'allow');
          if (n === null) return this.#refuseExtended({ kind: 'not-recorded' });
          return this.#runPortal(frame.bytes, portal, it, { kind: 'verdict', verdict: it.verdict }, n);
        }
      }
    }
    return this.#executeLater(frame.bytes, name);
  }

  async #executeLater(message: Buffer, name: string): Promise<void> {
    if (!(await this.#settleContext())) return;
    if (this.#portals.candidates(name).length > 1 && !(await this.#settleEarlier())) return;
    const [portal] = this.#portals.candidates(name);
    if (portal === undefined) return this.#refuseExtended({ kind: 'no-portal', name });
    const { prepared, approval } = portal;
    if (prepared === null) return this.#fetchDeclared(message, name);
    const it = await this.#planAgain(prepared);
    if (it === null) return;
    const subject = this.#subject(it, portal);
    if (approval !== null) {
      const blocked = this.#gate.blocked(it);
      if (blocked !== null) {
        this.#giveUp(portal);
        const decision = this.#gate.refuse(subject, blocked);
        return decision.kind === 'refuse' ? this.#refuseExtended(decision.failure) : undefined;
      }
      const resumes = approval.spent;
      const n = (resumes ? null : portal.n) ?? this.#record.statement(subject, 'allow');
      portal.n = null;
      if (n === null) return this.#refuseExtended({ kind: 'not-recorded' });
      const run = this.#run(it, { kind: 'approval', approval }, n, portal, portal.bind?.resultFormats ?? []);
      const cleared = resumes ? approval.resume(message) : approval.clear(message);
      this.#unsynced = true;
      this.#link.send(cleared, this.#expectRun('execute', run));
      return (await this.#awaitCopy(it)) ?? undefined;
    }
    if (asksForRequests(it) && it.verdict.effect === 'allow') {
      const n = this.#record.statement(subject, 'allow');
      if (n === null) return this.#refuseExtended({ kind: 'not-recorded' });
      await this.#runPortal(message, portal, it, { kind: 'verdict', verdict: it.verdict }, n);
      return;
    }
    const decision = await this.#gate.decide(subject);
    if (decision.kind === 'stop') return;
    if (decision.kind === 'in-failed') return this.#inFailedExtended();
    if (decision.kind === 'refuse') return this.#refuseExtended(decision.failure);
    if (decision.permit.kind === 'approval') portal.approval = decision.permit.approval;
    await this.#runPortal(message, portal, decision.plan, decision.permit, decision.n);
  }

  #runPortal(message: Buffer, portal: Portal, it: Plan, permit: Permit, n: number): Work {
    const run = this.#run(it, permit, n, portal, portal.bind?.resultFormats ?? []);
    this.#unsynced = true;
    this.#worked = true;
    this.#link.send(clear(permit, message), this.#expectRun('execute', run));
    return this.#awaitCopy(it);
  }

  /** A cursor that a judged DECLARE opened: its rows were cleared with it. The FETCH that stands for this message is judged too. */
  async #fetchDeclared(message: Buffer, name: string): Promise<void> {
    const sql = `FETCH ALL FROM "${name.replaceAll('"', '""')}"`;
    const planned = await this.#judging.later(sql, NO_TYPES, this.#transaction());
    if (planned.kind !== 'plan') return this.#refuseExtended({ kind: 'no-portal', name });
    const subject: Subject = { ...simple(planned.plan), protocol: 'extended' };
    const decision = await this.#gate.decide(subject);
    if (decision.kind === 'stop') return;
    if (decision.kind === 'in-failed') return this.#inFailedExtended();
    if (decision.kind === 'refuse') return this.#refuseExtended(decision.failure);
    const run = this.#run(decision.plan, decision.permit, decision.n, null, []);
    this.#unsynced = true;
    this.#link.send(clear(decision.permit, message), this.#expectRun('execute', run));
  }

  #named(frame: Frame): Work {
    const { of, name } = decodeNamed(frame.bytes);
    this.#unsynced = true;
    if (frame.type === FRONTEND.close) {
      const map: { closing(name: string): (end: 'done' | 'failed' | 'skipped') => void } =
        of === 'statement' ? this.#statements : this.#portals;
      const given = of === 'portal' ? this.#portals.candidates(name) : [];
      const close = map.closing(name);
      this.#link.control(
        frame.bytes,
        expected('close', {
          settle: (end) => {
            close(end);
            if (end === 'done') for (const portal of given) this.#giveUp(portal);
          },
        }),
      );
      return null;
    }
    const subjects: { fields: readonly Field[] | null }[] =
      of === 'statement' ? this.#statements.candidates(name) : this.#portals.candidates(name);
    this.#link.control(
      frame.bytes,
      expected('describe', {
        fields: (fields) => {
          for (const subject of subjects) subject.fields = fields;
        },
      }),
    );
    return null;
  }

  /** In its place goes what must fail, so that the server itself skips to Sync and undoes the pipeline (WIRE.md). */
  #refuseExtended(failure: Failure, parsed: string | null = null): Promise<void> {
    const name = parsed === '' ? '' : 'holdpoint_refused';
    if (parsed === '') this.#dropUnnamed();
    this.#unsynced = true;
    this.#link.send(own.failingParse(name), expected('parse', { refusal: failure }));
    return Promise.resolve();
  }

  #inFailedExtended(): void {
    this.#unsynced = true;
    this.#link.send(own.parseInFailed(), expected('parse'));
  }

  // ── COPY ────────────────────────────────────────────────────────────────────────────────────────────────────────

  #copy(frame: Frame): Work {
    if (frame.piece === 'rest') {
      if (this.#pieces === 'send') this.#link.copyData(frame.bytes, true);
      return null;
    }
    // Stray COPY messages are ignored, as the server does.
    const under = this.#link.copyIn;
    this.#pieces = under ? 'send' : 'drop';
    if (!under) return null;
    if (frame.type === FRONTEND.copyData) {
      this.#link.copyData(frame.bytes, false);
      return null;
    }
    const { head } = this.#link.replies;
    this.#link.control(frame.bytes, null);
    // A simple Query may have another COPY behind this one.
    return head?.kind === 'query' && head.run !== null ? this.#awaitCopy(head.run.plan) : null;
  }

  /** Whether a COPY FROM STDIN takes the next bytes is for the server to say, never for the SQL text (WIRE.md). */
  #awaitCopy(it: Plan): Work {
    const copies = it.judged.some(
      ({ facts }) =>
        facts === null ||
        facts.statements.some(({ effects }) => effects.some((effect) => effect.kind === 'copy-in')),
    );
    if (!copies) return null;
    this.#link.control(FLUSH, null);
    this.#link.flush();
    return this.#link.until(() => this.#link.copyIn || this.#link.replies.size === 0);
  }

  // ── what is shared ──────────────────────────────────────────────────────────────────────────────────────────────

  #subject(it: Plan, portal: Portal): Subject {
    return {
      plan: it,
      values: portal.bind?.values ?? [],
      formats: portal.bind?.formats ?? [],
      paramTypes: portal.prepared?.paramTypes ?? [],
      protocol: 'extended',
    };
  }

  #run(
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
      startedAt: this.#o.deps.now(),
      fields: portal === null ? null : (portal.fields ?? portal.prepared?.fields ?? null),
      resultFormats,
    });
  }

  /** The statement's effects on the session count when the server says that it did it. */
  #expectRun(kind: 'query' | 'execute', run: Run): Expected {
    const { plan: it } = run;
    const affects = affectsContext(it);
    if (affects) this.#unsettled += 1;
    this.#worked = true;
    if (kind === 'query') {
      this.#unsynced = false;
      // A simple Query drops the unnamed statement and portal.
      this.#dropUnnamed();
    }
    const settles = this.#proposeNames(it);
    return expected(kind, {
      run,
      settle: (end) => {
        if (affects) this.#unsettled -= 1;
        for (const settle of settles) settle(end);
        if (end === 'failed') this.#context.failed(it);
        if (end !== 'done') return;
        this.#context.done(it);
        for (const { effects, class: kindOf } of outerStatements(it)) {
          if (kindOf === 'ddl' || kindOf === 'do' || kindOf === 'call' || kindOf === 'unknown')
            this.#o.judge.invalidate();
          for (const effect of effects) {
            if (effect.kind === 'savepoint') this.#outcomes.savepoint(effect.name);
            if (effect.kind === 'rollback-to') this.#outcomes.rolledBackTo(effect.name);
          }
        }
      },
    });
  }

  /** SQL-level PREPARE, DECLARE, DEALLOCATE, CLOSE and DISCARD share the namespace of the protocol (DESIGN.md 3). */
  #proposeNames(it: Plan): ((end: 'done' | 'failed' | 'skipped') => void)[] {
    const statements = outerStatements(it);
    const keep = statements.length > 1;
    const settles: ((end: 'done' | 'failed' | 'skipped') => void)[] = [];
    for (const { effects } of statements)
      for (const effect of effects) {
        if (effect.kind === 'prepare') {
          const { name, sql } = effect;
          settles.push(
            this.#statements.propose(
              name,
              { sql, paramTypes: NO_TYPES, plan: it, fields: null, early: null },
              keep,
            ),
          );
        } else if (effect.kind === 'declare')
          settles.push(
            this.#portals.propose(
              effect.name,
              { prepared: null, bind: null, approval: null, n: null, fields: null },
              keep,
            ),
          );
        // In a string of several, what is made and dropped again stays a candidate: to be cautious costs only a question.
        else if (effect.kind === 'deallocate' && !keep) settles.push(this.#statements.closing(effect.name));
        else if (effect.kind === 'close' && !keep) settles.push(this.#portals.closing(effect.name));
      }
    return settles;
  }

  /** A simple Query or a refused Parse leaves no unnamed statement behind (WIRE.md). */
  #dropUnnamed(): void {
    this.#statements.closing('')('done');
  }

  /** An approval whose portal will not run it. */
  #giveUp(portal: Portal): void {
    const { approval } = portal;
    if (approval === null || approval.spent) return;
    portal.approval = null;
    approval
      .finish('unused', null)
      .catch((error: unknown) => this.#o.deps.log.error({ err: error }, 'a grant was not given back'));
  }

  #mustSettleFirst(): boolean {
    return this.#unsettled > 0 || (this.#context.stale && this.#link.status === 'I');
  }

  /** What could change the meaning of the next statement is answered, and names are looked up anew where they may have moved. */
  async #settleContext(): Promise<boolean> {
    if (this.#unsettled > 0 && !(await this.#settleEarlier())) return false;
    if (this.#context.stale && this.#link.status === 'I' && !this.#unsynced) {
      if (!(await this.#settleEarlier())) return false;
      if (this.#link.status !== 'I') return true;
      const answer = await this.#link.ask('query', own.lookup());
      if (this.#over) return false;
      if (!this.#context.learn(answer.rows))
        this.#o.deps.log.warn({ session: this.id }, 'names could not be looked up');
    }
    return !this.#over;
  }

  /** Earlier replies are with the client. false: the server would not look at what comes next. */
  async #settleEarlier(): Promise<boolean> {
    if (this.#link.replies.size > 0) {
      this.#link.control(FLUSH, null);
      this.#link.flush();
      await this.#link.quiet();
    }
    return !this.#over && !this.#link.skipping;
  }

  #transaction(): 'idle' | 'open' | 'failed' {
    if (this.#link.status === 'E') return 'failed';
    return this.#link.status === 'T' || (this.#unsynced && this.#worked) ? 'open' : 'idle';
  }

  #asking(): Asking {
    const { deps, target } = this.#o;
    return {
      sessionId: this.id,
      identity: this.identity,
      target,
      role: this.#context.role,
      fingerprintKey: deps.fingerprintKey,
      context: this.#context.fingerprint(),
      transaction: this.#transaction(),
      snapshotPredates: this.#transaction() !== 'idle' && this.#context.snapshotPredates,
      reason: this.#context.settings.get('holdpoint.reason'),
      applicationName: this.#o.applicationName,
    };
  }

  // ── while held ──────────────────────────────────────────────────────────────────────────────────────────────────

  #probing: NodeJS.Timeout | null = null;

  #holding(): Promise<Interruption> {
    return new Promise((resolve) => {
      if (this.#over) return resolve('gone');
      if (this.#state.kind === 'busy' && this.#state.cancelled) return resolve('cancelled');
      this.#state = { kind: 'holding', interrupt: resolve };
      this.#client.flush();
      // A paused socket never shows that the peer has left; a repeated ParameterStatus is silent in every driver.
      this.#probing = setInterval(() => {
        if (!this.#client.paused) return;
        this.#client.write(parameterStatus('client_encoding', 'UTF8'));
        this.#client.flush();
      }, LIVENESS_MS);
    });
  }

  #held(): void {
    if (this.#probing !== null) clearInterval(this.#probing);
    this.#probing = null;
    if (this.#state.kind === 'holding') this.#state = { kind: 'busy', cancelled: false };
  }

  #notice(text: string): void {
    const least = this.#context.settings.get('client_min_messages') ?? 'notice';
    if (/^(warning|error)$/i.test(least) || this.#over) return;
    this.#client.write(noticeResponse({ severity: 'NOTICE', code: '00000', message: text }));
    this.#client.flush();
  }

  /** A CancelRequest with this session's secret. */
  cancel(): void {
    const state = this.#state;
    if (state.kind === 'holding') {
      state.interrupt('cancelled');
      return;
    }
    if (state.kind === 'busy') state.cancelled = true;
    this.#cancelRunning();
  }

  #cancelRunning(): void {
    const { key } = this.#o.upstream;
    if (key === null || this.#link.over || this.#link.replies.size === 0) return;
    cancelUpstream(this.#o.target, key).catch(() =>
      this.#o.deps.log.warn({ session: this.id }, 'a cancel request could not be delivered'),
    );
  }

  // ── what the server says ────────────────────────────────────────────────────────────────────────────────────────

  #completed(run: Run, tag: string | null): void {
    this.#outcomes.done(run);
    this.#lastTag = tag ?? this.#lastTag;
    if (tag === 'COMMIT' || tag === 'COMMIT PREPARED') this.#outcomes.ended('executed');
    else if (
      tag === 'ROLLBACK' &&
      !outerStatements(run.plan).some(({ effects }) => effects.some((e) => e.kind === 'rollback-to'))
    )
      this.#outcomes.ended('rolled-back');
  }

  #ready(status: TransactionStatus): void {
    this.#outcomes.ready(status);
    if (status === 'I') {
      this.#context.transactionEnded(!this.#erred && this.#lastTag !== 'ROLLBACK');
      this.#erred = false;
      this.#lastTag = null;
      this.#worked = this.#link.replies.size > 0;
      // Portals end with their transaction; cursors WITH HOLD do not.
      for (const portal of this.#portals.forget((one) => one.prepared !== null)) this.#giveUp(portal);
    }
  }

  /** Tripwire: a layout that names a tagged column which the lineage did not (LIBRARIES.md "Lineage"). */
  #mayShow(run: Run | null, fields: readonly Field[]): boolean {
    if (run === null || run.withheld || run.approval !== null) return true;
    const origins = fields.flatMap((field): [number, number][] =>
      field.tableOid === 0 ? [] : [[field.tableOid, field.attnum]],
    );
    if (origins.length === 0 || this.#o.judge.tagged(origins).length === 0) return true;
    this.#o.deps.log.error(
      { session: this.id, n: run.n },
      'a result names a tagged column that was not expected',
    );
    this.end({ kind: 'tripwire' });
    return false;
  }

  #parameter(name: string, value: string): boolean {
    this.#context.reported.set(name, value);
    if (
      (name !== 'client_encoding' || value === 'UTF8') &&
      (name !== 'standard_conforming_strings' || value === 'on')
    )
      return true;
    this.end({ kind: 'encoding' });
    return false;
  }

  #batchEnded(): void {
    this.#record.flush();
    if (this.#over) return;
    if (!this.#client.flush()) this.#link.pause();
  }

  // ── ends ────────────────────────────────────────────────────────────────────────────────────────────────────────

  get #over(): boolean {
    return this.#state.kind === 'ended';
  }

  #stands(): boolean {
    return this.#o.deps.identity.standing(this.identity) === 'live';
  }

  async #endIdentity(standing: string): Promise<void> {
    this.end({ kind: 'identity', standing });
    try {
      await this.#o.deps.desk.endIdentity(
        this.identity.credentialId,
        `the requester's access was ${standing}`,
      );
    } catch (error) {
      this.#o.deps.log.error({ err: error }, 'requests of an ended identity could not be withdrawn');
    }
  }

  /** Tells the client why, and closes both sides. */
  end(ending: Ending): void {
    const report = toEnding(ending);
    this.#finish(report.message, errorResponse(report));
  }

  #fault(error: unknown): void {
    if (error instanceof WireFault) {
      this.end({ kind: 'protocol', code: error.code, message: error.message });
      return;
    }
    this.#o.deps.log.error({ err: error, session: this.id }, 'the session failed');
    this.#finish('internal error', errorResponse({ ...toReport({ kind: 'internal' }), severity: 'FATAL' }));
  }

  #clientEnded(why: 'closed' | WireFault): void {
    if (why instanceof WireFault) this.#fault(why);
    else this.#finish('the client is gone', null);
  }

  #upstreamEnded(): void {
    const rest = this.#link.replies.clear();
    const running = rest.flatMap((entry) => entry.run ?? []);
    const committing = running.some((run) =>
      outerStatements(run.plan).some(({ effects }) => effects.some((effect) => effect.kind === 'commit')),
    );
    for (const run of running) this.#record.result(run);
    this.#outcomes.lost(running, committing);
    this.end({ kind: 'target-lost', target: this.#o.target.name });
    this.#record.close(this.#state.kind === 'ended' ? this.#state.why : 'ended');
    this.#close();
  }

  #finish(why: string, last: Buffer | null): void {
    const before = this.#state;
    if (before.kind === 'ended') return;
    this.#state = { kind: 'ended', why };
    this.#held();
    if (before.kind === 'holding') before.interrupt('gone');
    this.#client.end(last);
    for (const portal of this.#portals.forget(() => true)) this.#giveUp(portal);
    void this.#leaveUpstream();
    this.#o.onEnd(this);
  }

  /** What runs still gets a moment, so that the outcome is known; then it is cancelled. The record closes with the link. */
  async #leaveUpstream(): Promise<void> {
    const link = this.#link;
    if (link.over) return;
    link.resume();
    if (link.replies.size > 0 && !link.copyIn) {
      await within(link.quiet(), 2000);
      if (link.replies.size > 0) {
        this.#cancelRunning();
        await within(link.quiet(), 3000);
      }
    }
    link.close();
  }
}

const within = (work: Promise<void>, ms: number): Promise<void> =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    void work.then(() => {
      clearTimeout(timer);
      resolve();
    });
  });
