/**
 * One client's time on one target: bytes become statements, statements get a verdict, the verdict lets them through, holds or refuses them.
 *
 * Frames are taken one at a time and in order. What is known to be allowed goes on in the same turn of the event loop; anything else makes the
 * session `busy`, and nothing more is taken until it is settled (DESIGN.md 1–3, 10).
 */

import type { Identity } from '../identity/types.ts';
import { isOtherMajor } from '../policy/server.ts';
import { ClientLink } from './client.ts';
import { SessionContext } from './context.ts';
import { CopyIn } from './copy.ts';
import { Core, type SessionOptions, type Work, within } from './core.ts';
import { type Ending, toEnding, toReport } from './errors.ts';
import { ExtendedQuery } from './extended.ts';
import { Gate } from './gate.ts';
import type { Interruption } from './hold.ts';
import { DEFAULT_AGENT_IDLE_MS, IdleWatch } from './idle.ts';
import { Judging } from './judging.ts';
import { Names, type Portal, type Prepared } from './names.ts';
import { Outcomes } from './outcomes.ts';
import { isTagged, outerStatements, type Plan } from './plan.ts';
import type { SessionView } from './ports.ts';
import { SessionRecord } from './record.ts';
import { expected } from './replies.ts';
import type { Run } from './run.ts';
import { asksAhead } from './settings.ts';
import { SimpleQuery } from './simple.ts';
import type { Target, UpstreamLogin } from './types.ts';
import { cancelUpstream } from './upstream/cancel.ts';
import { ServerLink, type TransactionStatus } from './upstream/link.ts';
import type { Field, ServerError } from './wire/backend.ts';
import { errorResponse, noticeResponse, parameterStatus } from './wire/build.ts';
import { MessageFault, WireFault } from './wire/fault.ts';
import { FRONTEND, type Frame } from './wire/frame.ts';
import { expectEmpty } from './wire/frontend.ts';
import type { Fate } from './wire/walk.ts';

type State =
  | { readonly kind: 'ready' }
  /** Something is awaited: a judgement, earlier replies, the server's buffer. `cancelled` by a CancelRequest meanwhile. */
  | { readonly kind: 'busy'; cancelled: boolean }
  /** A human is asked. */
  | { readonly kind: 'holding'; readonly interrupt: (why: Interruption) => void }
  | { readonly kind: 'ended'; readonly why: string };

/** Nothing ran: the transaction has failed before. */
/** A key of a unique index or an exclusion constraint is there; one that a foreign key refers to is not. */
const CLASHES: ReadonlySet<string> = new Set(['23503', '23505', '23P01']);
const IN_FAILED = '25P02';
const LIVENESS_MS = 1000;
/** Behind a pooler the backend is asked for that often, before a statement. */
const BACKEND_MS = 60_000;

export class Session {
  readonly id: string;
  readonly identity: Identity;
  readonly #o: SessionOptions;
  readonly #startedAt: number;
  readonly #client: ClientLink;
  readonly #link: ServerLink;
  readonly #core: Core;
  readonly #simple: SimpleQuery;
  readonly #extended: ExtendedQuery;
  readonly #copyIn: CopyIn;
  /** null: a person. */
  readonly #idle: IdleWatch | null;
  /** Resolves when the link to the target is closed and the recording with it. */
  readonly closed: Promise<void>;
  #close: () => void = () => {};
  #state: State = { kind: 'ready' };
  #lastTag: string | null = null;
  #erred = false;
  /** The server has said its own last word to the client. */
  #serverSaidWhy = false;

  constructor(options: SessionOptions) {
    const { deps, identity, upstream } = options;
    this.#o = options;
    this.id = options.id;
    this.closed = new Promise((resolve) => {
      this.#close = resolve;
    });
    this.identity = identity;
    this.#startedAt = deps.now();
    const idleMs = deps.holdTerms.agentIdleMs ?? DEFAULT_AGENT_IDLE_MS;
    this.#idle = identity.agent === null ? null : new IdleWatch(deps.now, idleMs);
    const log = deps.log.child({ session: this.id });
    const context = new SessionContext(upstream.facts, upstream.parameters, options.holdpointSettings);
    const kept = (bytes: number): void => options.memory.named.add(bytes);
    const syncs = (): number => link.syncs;
    const statements = new Names<Prepared>(({ sql }) => sql.length * 2, syncs, kept);
    const portals = new Names<Portal>(
      ({ bind, declared }) => (bind?.bytes ?? 0) + (declared?.length ?? 0) * 2,
      syncs,
      kept,
    );
    // The client connects again, and with it comes a new recording.
    const record = new SessionRecord(options.recording, deps.now, () =>
      queueMicrotask(() => this.end({ kind: 'not-recordable' })),
    );
    const judging = new Judging({
      ...options,
      statements,
      portals,
      context,
      server: options.upstream.server.number,
    });
    const outcomes = new Outcomes(deps.now, (error) => log.error({ err: error }, 'an outcome was not kept'));
    const gate = new Gate({
      deps,
      judge: options.judge,
      judging,
      record,
      context,
      trusted: this.#trusted,
      custom: options.target.customSettings ?? [],
      name: options.name,
      agent: identity.agent !== null,
      ahead: asksAhead(options.holdpointSettings),
      host: {
        settleEarlier: () => this.#core.settleEarlier(),
        transaction: () => this.#core.transaction(),
        hasWorked: () => this.#core.worked,
        ages: () => this.#core.ages(),
        missing: (subject) => this.#core.missing(subject),
        outcomesKept: () => outcomes.kept(),
        asking: () => this.#core.asking(),
        seen: (it) => this.#core.seen(it),
        holding: () => this.#holding(),
        held: () => this.#held(),
        notice: identity.agent === null ? (text) => this.#notice(text) : null,
        stands: () => !this.#over && this.#stands(),
        cancelled: () => this.#state.kind === 'busy' && this.#state.cancelled,
      },
    });
    const memory = { open: options.memory.messages };
    const client = new ClientLink(options.client, options.limits, memory, deps.now, {
      readable: () => this.#pump(),
      drained: () => {
        if (link.working) this.#idle?.touch();
        link.resume();
      },
      ended: (why) => this.#clientEnded(why),
    });
    const link = new ServerLink(
      upstream.socket,
      {
        toClient: (bytes) => this.#over || client.write(bytes),
        batchEnded: () => this.#batchEnded(),
        progressed: () => this.#idle?.touch(),
        completed: (run, tag) => this.#completed(run, tag),
        failed: (run, error, exposed) => this.#failed(run, error, exposed),
        skipped: (run) => {
          outcomes.skipped(run);
          record.refused(run.n, { code: '25000', message: 'skipped by the server after an earlier error' });
        },
        finished: (run) => record.result(run),
        tags: () => this.#o.judge.tags(),
        names: () => this.#o.judge.names(),
        ready: (status) => this.#ready(status),
        fields: (run, fields) => run === null || run.approval !== null || this.#mayShow(run.plan, fields),
        parameter: (name, value) => this.#parameter(name, value),
        ended: () => this.#upstreamEnded(),
      },
      upstream.parameters,
    );
    this.#client = client;
    this.#link = link;
    this.#core = new Core({
      o: options,
      client,
      link,
      context,
      statements,
      portals,
      judging,
      gate,
      record,
      outcomes,
      isOver: () => this.#over,
      lostBackend: () => this.lostBackend(),
    });
    this.#simple = new SimpleQuery(this.#core);
    this.#copyIn = new CopyIn(this.#core, () => this.#idle?.touch());
    this.#extended = new ExtendedQuery(this.#core, (it, fields) => this.#mayShow(it, fields));
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
        const work = this.#take(frame);
        if (work !== null) this.#await(work);
        else if (this.#link.replies.crowded) this.#await(this.#core.answered());
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

  #take(frame: Frame): Work {
    try {
      return this.#handle(frame);
    } catch (error) {
      if (!(error instanceof MessageFault)) throw error;
      const { code, message } = error;
      return this.#core.refuseMessage(frame.type, { kind: 'as-server', code, message });
    }
  }

  #handle(frame: Frame): Work {
    const { type } = frame;
    if (frame.piece === 'refused') return this.#refuseLarge(type);
    if (type === FRONTEND.copyData || type === FRONTEND.copyDone || type === FRONTEND.copyFail)
      return this.#copyIn.data(frame);
    if (this.#link.copyIn && type !== FRONTEND.terminate) return this.#copyIn.other(type);
    switch (type) {
      case FRONTEND.query:
        return this.#admits() ? this.#simple.query(frame.bytes) : null;
      case FRONTEND.parse:
        return this.#admits() ? this.#extended.parse(frame) : null;
      case FRONTEND.bind:
        return this.#admits() ? this.#extended.bind(frame) : null;
      case FRONTEND.execute:
        return this.#admits() ? this.#extended.execute(frame) : null;
      case FRONTEND.describe:
      case FRONTEND.close:
        return this.#admits() ? this.#extended.named(frame) : null;
      case FRONTEND.functionCall:
        return this.#admits() ? this.#simple.functionCall(frame.bytes, this.#trusted) : null;
      case FRONTEND.sync:
        expectEmpty(frame.bytes);
        this.#link.control(frame.bytes, expected('sync'));
        this.#core.unsynced = false;
        this.#extended.synced();
        return null;
      case FRONTEND.flush:
        if (!this.#admits()) return null;
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

  /** There was no room for it. In a COPY it is a message that does not belong there, as it would have been. */
  #refuseLarge(type: number): Work {
    if (this.#link.copyIn) return this.#copyIn.other(type);
    return this.#admits() ? this.#core.refuseMessage(type, { kind: 'no-room' }) : null;
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
    const least = this.#core.context.settings.get('client_min_messages') ?? 'notice';
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
    if (tag === 'PREPARE TRANSACTION') this.#core.outcomes.prepared();
    this.#core.outcomes.done(run);
    this.#lastTag = tag ?? this.#lastTag;
    if (tag === 'COMMIT' || tag === 'COMMIT PREPARED') this.#core.outcomes.ended('executed');
    else if (
      tag === 'ROLLBACK' &&
      !outerStatements(run.plan).some(({ effects }) => effects.some((e) => e.kind === 'rollback-to'))
    )
      this.#core.outcomes.ended('rolled-back');
  }

  #ready(status: TransactionStatus): void {
    this.#core.outcomes.ready(status);
    this.#core.ready(status);
    if (status === 'I') {
      if (this.#core.context.transactionEnded(!this.#erred && this.#lastTag !== 'ROLLBACK'))
        this.#core.o.judge.invalidate();
      this.#erred = false;
      this.#lastTag = null;
      this.#core.worked = this.#link.replies.size > 0;
      // Portals end with their transaction; cursors WITH HOLD do not.
      for (const portal of this.#core.portals.forget((one) => one.prepared !== null))
        this.#core.outcomes.giveUp(portal.approval);
    }
    // Last: it is a question of the gateway's own.
    void this.#core.putName();
  }

  #failed(run: Run | null, error: ServerError, exposed: boolean): void {
    this.#erred = true;
    if (exposed && run !== null && CLASHES.has(error.code)) this.#core.guessed(run);
    if (run !== null && error.code !== IN_FAILED) this.#idle?.touch();
    if (error.severity === 'FATAL' || error.severity === 'PANIC') this.#serverSaidWhy = true;
    this.#core.outcomes.failed(run);
  }

  /** Tripwire: a layout that names a tagged column which the lineage did not (LIBRARIES.md "Lineage"). */
  #mayShow(it: Plan, fields: readonly Field[]): boolean {
    if (isTagged(it) || it.verdict.effect !== 'allow') return true;
    const origins = fields.flatMap((field): [number, number][] =>
      field.tableOid === 0 ? [] : [[field.tableOid, field.attnum]],
    );
    if (origins.length === 0 || this.#o.judge.tagged(origins).length === 0) return true;
    this.#o.deps.log.error({ session: this.id }, 'a result names a tagged column that was not expected');
    this.end({ kind: 'tripwire' });
    return false;
  }

  get #trusted(): boolean {
    const { protocol, environment } = this.#o.target;
    return protocol === 'trusted' && environment === 'test';
  }

  #parameter(name: string, value: string): Fate {
    if (name === 'application_name' && this.#o.name !== null) {
      const own = this.#o.name.reported(value);
      return own === null ? 'drop' : own === value ? 'pass' : parameterStatus(name, own);
    }
    this.#core.context.reported.set(name, value);
    if (
      (name !== 'client_encoding' || value === 'UTF8') &&
      (name !== 'standard_conforming_strings' || value === 'on' || this.#trusted)
    )
      return 'pass';
    this.end({ kind: 'encoding' });
    return 'drop';
  }

  #batchEnded(): void {
    this.#core.record.flush();
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

  /**
   * Asked now and then: whose identity has ended neither idles with locks nor waits for an approver (DESIGN.md 17). What is running may
   * end; nothing comes after it.
   */
  checkStanding(): void {
    const standing = this.#o.deps.identity.standing(this.identity);
    const catalog = this.#o.judge.catalog();
    const changed =
      catalog !== null &&
      catalog.takenAt > this.#startedAt &&
      isOtherMajor(catalog.serverVersion, this.#o.upstream.server.number);
    const running =
      this.#state.kind === 'busy' || (this.#state.kind === 'ready' && this.#link.replies.size > 0);
    if (running || this.#over) return;
    if (standing !== 'live') void this.#endIdentity(standing);
    else if (changed) this.end({ kind: 'target-changed', target: this.#o.target.name });
  }

  /** Asked now and then: an agent in whose transaction nothing runs does not keep others from its tables for as long as it likes. */
  checkIdle(): void {
    if (this.#idle === null || this.#over) return;
    const { status, copyIn, replies } = this.#link;
    const { stalled } = this.#client;
    const moment = {
      atWork: this.#state.kind === 'holding' || (!stalled && !copyIn && this.#link.working),
      busy: !stalled && !copyIn && this.#state.kind === 'busy',
      status,
      worked: this.#core.worked,
      unsynced: this.#core.unsynced,
      awaited: copyIn || (stalled && replies.size > 0),
    };
    if (!this.#idle.over(moment)) return;
    const { owner, agent } = this.identity;
    this.#o.deps.log.warn(
      { session: this.id, owner: owner?.id ?? null, agent, target: this.#o.target.name },
      'an agent left a transaction that may hold locks; its session was ended',
    );
    this.end({ kind: 'idle-transaction' });
  }

  #backendAt = performance.now();

  /** The pool that its backend is out of; null: the server itself is there. */
  get pool(): { readonly target: Target; readonly login: UpstreamLogin } | null {
    const { target, login, upstream } = this.#o;
    return upstream.pooled ? { target, login } : null;
  }

  /** Asks whose backend it is, where nothing else is under way. false: it is at work, or over. */
  async confirmBackend(): Promise<boolean> {
    const { status, replies } = this.#link;
    if (this.#state.kind !== 'ready' || status !== 'I' || replies.size > 0 || this.#core.unsynced)
      return false;
    this.#core.context.askAgain();
    const asked = this.#core.settleContext();
    this.#await(asked.then(() => {}));
    return (await asked) && !this.#over;
  }

  /** A pooler's mode may be changed under its sessions. */
  checkBackend(): void {
    if (!this.#o.upstream.pooled || performance.now() - this.#backendAt < BACKEND_MS) return;
    this.#backendAt = performance.now();
    this.#core.context.askAgain();
  }

  /** Nothing of what is known of its state holds. */
  lostBackend(): void {
    if (this.#over) return;
    const { target, upstream } = this.#o;
    this.#o.deps.log.error(
      { session: this.id, target: target.name, backend: upstream.facts.pid },
      'a session lost its backend: a pooler in transaction mode is in between; the session was ended',
    );
    this.#o.onBackendLost();
    this.end({ kind: 'backend-lost', target: target.name });
  }

  /** A message that begins and does not end holds memory for as long as its sender likes (I7). */
  checkClient(): void {
    if (!this.#over && this.#client.comingMs > this.#o.limits.messageMs) this.end({ kind: 'message-late' });
  }

  async #endIdentity(standing: Extract<Ending, { kind: 'identity' }>['standing']): Promise<void> {
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
    if (ending.kind === 'identity' && !this.#over) {
      const by = ending.standing === 'suspended' ? this.#o.deps.identity.suspendedBy(this.identity) : null;
      this.#core.record.access(ending.standing, by);
    }
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
    for (const run of running) this.#core.record.result(run);
    this.#core.outcomes.lost(running, committing);
    if (this.#serverSaidWhy) this.#finish('the target ended the session', null);
    else this.end({ kind: 'target-lost', target: this.#o.target.name });
    this.#core.record.close(this.#state.kind === 'ended' ? this.#state.why : 'ended');
    this.#close();
  }

  #finish(why: string, last: Buffer | null): void {
    const before = this.#state;
    if (before.kind === 'ended') return;
    this.#state = { kind: 'ended', why };
    this.#held();
    if (before.kind === 'holding') before.interrupt('gone');
    this.#client.end(last);
    for (const portal of this.#core.portals.forget(() => true)) this.#core.outcomes.giveUp(portal.approval);
    for (const one of this.#core.statements.forget(() => true))
      this.#core.outcomes.giveUp(one.early?.approval ?? null);
    this.#o.memory.named.close();
    void this.#leaveUpstream();
    this.#o.onEnd();
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
