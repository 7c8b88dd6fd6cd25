/** The extended query protocol: judged at Parse, enforced at Bind and Execute with their own values (DESIGN.md 3). */
import { clear, clearParse, own, type Permit } from './clearance.ts';
import { type Core, NO_TYPES, type Work } from './core.ts';
import { type Subject, simple } from './draft.ts';
import type { Failure } from './errors.ts';
import { asksForRequests } from './judging.ts';
import type { Portal, Prepared, Settle } from './names.ts';
import { executedAhead } from './pipelined.ts';
import type { Plan } from './plan.ts';
import { runByValues, runsWhenRead } from './read.ts';
import { expected } from './replies.ts';
import { requestRows } from './requests.ts';
import type { Field } from './wire/backend.ts';
import { FRONTEND, type Frame } from './wire/frame.ts';
import { type BindMessage, decodeBind, decodeExecute, decodeNamed, decodeParse } from './wire/frontend.ts';

export class ExtendedQuery {
  readonly #c: Core;
  /** Approved with a Bind that has not come yet; there is at most one, and it comes before the next Sync. */
  #early: Prepared | null = null;
  /** A Describe has told of a tagged column that the lineage did not know. */
  readonly #mayShow: (plan: Plan, fields: readonly Field[]) => boolean;

  constructor(core: Core, mayShow: (plan: Plan, fields: readonly Field[]) => boolean) {
    this.#c = core;
    this.#mayShow = mayShow;
  }

  parse(frame: Frame): Work {
    const { name, sql, paramTypes } = decodeParse(frame.bytes);
    if (!this.#c.mustSettleFirst()) {
      const it = this.#c.judging.now(sql, paramTypes, this.#c.transaction());
      if (it !== null && this.#c.gate.plain(it) && !this.#full(name, sql)) {
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
    if (!(await this.#c.settleContext())) return;
    const planned = await this.#c.judging.later(sql, paramTypes, this.#c.transaction());
    if (this.#c.over) return;
    if (planned.kind === 'no-statement') {
      if (!(await this.#c.settleEarlier())) return;
      if (this.#c.transaction() === 'failed') return this.#inFailedExtended();
      return this.#refuseExtended({ kind: 'no-statement', name: planned.name }, name);
    }
    const it = planned.plan;
    const subject: Subject = { plan: it, values: [], formats: [], paramTypes, protocol: 'extended' };
    if (this.#full(name, sql)) return this.#refuseExtended({ kind: 'too-many-names' }, name);
    const unread = this.#unread(it);
    if (it.probe === 'none' || unread) {
      const blocked = this.#c.gate.blocked(it);
      if (blocked !== null) {
        const decision = this.#c.gate.refuse(subject, blocked);
        return decision.kind === 'refuse' ? this.#refuseExtended(decision.failure, name) : undefined;
      }
    }
    const prepared: Prepared = { sql, paramTypes, plan: it, fields: null, early: null };
    if (asksForRequests(it) && it.verdict.effect === 'allow') {
      const rows = await requestRows(this.#c.o.deps.desk, this.#c.o.identity, this.#c.o.deps.now());
      this.#c.unsynced = true;
      this.#c.link.send(
        own.parse(name, rows),
        expected('parse', { settle: this.#c.statements.propose(name, prepared) }),
      );
      return;
    }
    // Its Execute is here already: ask before the Parse takes locks and starts timeouts (DESIGN.md 3).
    if (it.verdict.effect === 'hold' && (it.probe === 'none' || unread)) {
      const bound = executedAhead(this.#c.client.ahead(), name);
      if (bound === null && unread) return this.#refuseUnread(subject, name);
      if (bound !== null) {
        const bind = decodeBind(bound);
        const decision = await this.#c.gate.decide({
          ...subject,
          values: bind.values,
          formats: bind.formats,
        });
        if (decision.kind === 'stop') return;
        if (decision.kind === 'in-failed') return this.#inFailedExtended();
        if (decision.kind === 'refuse') return this.#refuseExtended(decision.failure, name);
        if (decision.permit.kind === 'approval') {
          prepared.early = { bind: bound, approval: decision.permit.approval, n: decision.n };
          this.#early = prepared;
        }
      }
    }
    this.#sendParse(message, name, prepared);
  }

  /** Not for the server to read yet. */
  #unread(it: Plan): boolean {
    const { context, o } = this.#c;
    return it.verdict.effect !== 'allow' && runsWhenRead(it, o.judge.catalog(), context.resolution);
  }

  /** It would wait for its Bind, and the Bind for its answer. What is certain to fail gets the server's own error. */
  async #refuseUnread(subject: Subject, name: string): Promise<void> {
    if (!(await this.#c.settleEarlier())) return;
    if (this.#c.transaction() === 'failed') return this.#inFailedExtended();
    const failure = (await this.#c.missing(subject)) ?? { kind: 'not-read' };
    if (this.#c.over) return;
    const decision = this.#c.gate.refuse(subject, failure);
    return decision.kind === 'refuse' ? this.#refuseExtended(decision.failure, name) : undefined;
  }

  /** No room for another statement of this name. The unnamed one takes the place of the one before. */
  #full(name: string, sql: string): boolean {
    const { statements, o } = this.#c;
    if (!o.memory.named.has(sql.length * 2)) return true;
    return (
      name !== '' && ((!statements.has(name) && statements.size >= o.limits.statements) || this.#heavy())
    );
  }
  #fullOfPortals({ portal: name, bytes }: BindMessage): boolean {
    const { portals, o } = this.#c;
    if (!o.memory.named.has(bytes)) return true;
    return name !== '' && ((!portals.has(name) && portals.size >= o.limits.portals) || this.#heavy());
  }
  #heavy(): boolean {
    const { statements, portals, o } = this.#c;
    return statements.bytes + portals.bytes >= o.limits.namedBytes;
  }

  /** The server drops the unnamed one before it makes another, and if that fails there is none (WIRE.md). */
  #replacing(name: string): Settle {
    const before = name === '' ? this.#c.statements.closing('') : null;
    return (end) => (end === 'failed' ? before?.('done') : undefined);
  }

  #sendParse(message: Buffer, name: string, prepared: Prepared): void {
    const replaced = this.#replacing(name);
    const settle = this.#c.statements.propose(name, prepared);
    this.#c.unsynced = true;
    this.#c.link.send(
      clearParse(message),
      expected('parse', {
        exposes: prepared.plan.exposes,
        text: prepared.sql,
        settle: (end) => {
          settle(end);
          replaced(end);
          if (end !== 'done') this.#c.outcomes.giveUp(prepared.early?.approval ?? null);
        },
      }),
    );
  }

  /** A Sync: a Bind that was skipped has no use for its approval. */
  synced(): void {
    if (this.#early?.early) this.#c.outcomes.giveUp(this.#early.early.approval);
    if (this.#early !== null) this.#early.early = null;
    this.#early = null;
  }

  bind(frame: Frame): Work {
    const bind = decodeBind(frame.bytes);
    const [prepared, ...others] = this.#c.statements.candidates(bind.statement);
    if (
      prepared !== undefined &&
      others.length === 0 &&
      !this.#c.mustSettleFirst() &&
      prepared.early === null
    ) {
      const it = this.#c.judging.now(prepared.sql, prepared.paramTypes, this.#c.transaction());
      if (it !== null && this.#c.gate.plain(it) && !this.#fullOfPortals(bind)) {
        this.#sendBind(frame.bytes, it, allowed(it), {
          prepared,
          declared: null,
          exposes: it.exposes,
          bind,
          approval: null,
          n: null,
          fields: null,
        });
        return null;
      }
    }
    return this.#bindLater(frame.bytes, bind);
  }

  async #bindLater(message: Buffer, bind: ReturnType<typeof decodeBind>): Promise<void> {
    if (!(await this.#c.settleContext())) return;
    const candidates = this.#c.statements.candidates(bind.statement);
    // Which of several it is, and whether the server takes what we could not read, is for the server to say first.
    const open = candidates.length > 1 || candidates.some((one) => one.plan.probe !== 'none');
    if (open && !(await this.#c.settleEarlier())) return;
    const [prepared] = this.#c.statements.candidates(bind.statement);
    if (prepared === undefined) return this.#refuseExtended({ kind: 'no-statement', name: bind.statement });
    if (this.#fullOfPortals(bind)) return this.#refuseExtended({ kind: 'too-many-names' });
    const { early } = prepared;
    const portal: Portal = {
      prepared,
      declared: null,
      exposes: true,
      bind,
      approval: null,
      n: null,
      fields: null,
    };
    if (early !== null && early.bind === message) {
      prepared.early = null;
      portal.approval = early.approval;
      portal.n = early.n;
      return this.#sendBind(message, prepared.plan, { kind: 'approval', approval: early.approval }, portal);
    }
    const it = await this.#planAgain(prepared);
    if (it === null) return;
    // Planning runs functions, so that a Bind of what is held waits as its Execute would (DESIGN.md 3).
    if (it.verdict.effect === 'allow' && this.#c.gate.blocked(it, this.#c.subject(it, portal)) === null)
      return this.#sendBind(message, it, allowed(it), portal);
    const decision = await this.#c.gate.decide(this.#c.subject(it, portal));
    if (decision.kind === 'stop') return;
    if (decision.kind === 'in-failed') return this.#inFailedExtended();
    if (decision.kind === 'refuse') return this.#refuseExtended(decision.failure);
    if (decision.permit.kind === 'approval') portal.approval = decision.permit.approval;
    portal.n = decision.n;
    this.#sendBind(message, decision.plan, decision.permit, portal);
  }

  #sendBind(message: Buffer, it: Plan, permit: Permit, portal: Portal): void {
    const name = portal.bind?.portal ?? '';
    const replaced = this.#c.portals.candidates(name);
    portal.exposes = it.exposes;
    const settle = this.#c.portals.propose(name, portal);
    this.#c.unsynced = true;
    this.#c.link.send(
      clear(permit, message),
      expected('bind', {
        exposes: it.exposes,
        text: it.sql,
        settle: (end) => {
          settle(end);
          for (const one of end === 'done' ? replaced : [portal]) this.#c.outcomes.giveUp(one.approval);
        },
      }),
    );
  }

  /** Meaning is judged again: search_path, policy or catalog may have changed. null: the server has answered instead. */
  async #planAgain(prepared: Prepared): Promise<Plan | null> {
    let fresh = false;
    if (prepared.plan.probe !== 'none') {
      // The Parse itself was the probe: only what the server took comes here.
      if (!(await this.#c.settleEarlier())) return null;
      fresh = true;
    }
    const planned = await this.#c.judging.later(
      prepared.sql,
      prepared.paramTypes,
      this.#c.transaction(),
      fresh,
    );
    if (this.#c.over) return null;
    if (planned.kind === 'plan') return planned.plan;
    await this.#refuseExtended({ kind: 'no-statement', name: planned.name });
    return null;
  }

  execute(frame: Frame): Work {
    const { portal: name } = decodeExecute(frame.bytes);
    const [portal, ...others] = this.#c.portals.candidates(name);
    if (portal !== undefined && others.length === 0 && !this.#c.mustSettleFirst()) {
      const { prepared, approval } = portal;
      if (prepared !== null && approval === null) {
        const it = this.#c.judging.now(prepared.sql, prepared.paramTypes, this.#c.transaction());
        if (it !== null && this.#c.gate.plain(it)) {
          const n = this.#c.record.statement(this.#c.subject(it, portal), 'allow');
          if (n === null) return this.#refuseExtended({ kind: 'not-recorded' });
          return this.#runPortal(frame.bytes, portal, it, allowed(it), n);
        }
      }
    }
    return this.#executeLater(frame.bytes, name);
  }

  async #executeLater(message: Buffer, name: string): Promise<void> {
    if (!(await this.#c.settleContext())) return;
    if (this.#c.portals.candidates(name).length > 1 && !(await this.#c.settleEarlier())) return;
    const [portal] = this.#c.portals.candidates(name);
    if (portal === undefined) return this.#refuseExtended({ kind: 'no-portal', name });
    const { prepared, approval } = portal;
    if (prepared === null) return this.#fetchDeclared(message, name);
    const it = await this.#planAgain(prepared);
    if (it === null) return;
    // Its Bind failed meanwhile: the permission went back, and the server skips to Sync.
    if (approval?.over && !approval.spent)
      return this.#c.link.skipping ? undefined : this.#refuseExtended({ kind: 'no-portal', name });
    const subject = this.#c.subject(it, portal);
    if (approval !== null) {
      const blocked = this.#c.gate.blocked(it, subject);
      if (blocked !== null) {
        portal.approval = null;
        this.#c.outcomes.giveUp(approval);
        const decision = this.#c.gate.refuse(subject, blocked);
        return decision.kind === 'refuse' ? this.#refuseExtended(decision.failure) : undefined;
      }
      const resumes = approval.spent;
      const n = (resumes ? null : portal.n) ?? this.#c.record.statement(subject, 'allow');
      portal.n = null;
      if (n === null) {
        if (!resumes) portal.approval = null;
        if (!resumes) this.#c.outcomes.giveUp(approval);
        return this.#refuseExtended({ kind: 'not-recorded' });
      }
      const run = this.#c.run(
        it,
        { kind: 'approval', approval },
        n,
        portal,
        portal.bind?.resultFormats ?? [],
      );
      const cleared = resumes ? approval.resume(message) : approval.clear(message);
      this.#c.unsynced = true;
      this.#c.link.send(cleared, this.#c.expectRun('execute', run, subject));
      return (await this.#c.awaitCopy(it)) ?? undefined;
    }
    if (asksForRequests(it) && it.verdict.effect === 'allow') {
      const n = this.#c.record.statement(subject, 'allow');
      if (n === null) return this.#refuseExtended({ kind: 'not-recorded' });
      await this.#runPortal(message, portal, it, allowed(it), n);
      return;
    }
    const decision = await this.#c.gate.decide(subject);
    if (decision.kind === 'stop') return;
    if (decision.kind === 'in-failed') return this.#inFailedExtended();
    if (decision.kind === 'refuse') return this.#refuseExtended(decision.failure);
    if (decision.permit.kind === 'approval') portal.approval = decision.permit.approval;
    await this.#runPortal(message, portal, decision.plan, decision.permit, decision.n);
  }

  #runPortal(message: Buffer, portal: Portal, it: Plan, permit: Permit, n: number): Work {
    const run = this.#c.run(it, permit, n, portal, portal.bind?.resultFormats ?? []);
    this.#c.unsynced = true;
    this.#c.link.send(clear(permit, message), this.#c.expectRun('execute', run, this.#c.subject(it, portal)));
    return this.#c.awaitCopy(it);
  }

  /** A cursor that a judged DECLARE opened: its rows were cleared with it. The FETCH that stands for this message is judged too. */
  async #fetchDeclared(message: Buffer, name: string): Promise<void> {
    const sql = `FETCH ALL FROM "${name.replaceAll('"', '""')}"`;
    const planned = await this.#c.judging.later(sql, NO_TYPES, this.#c.transaction());
    if (planned.kind !== 'plan') return this.#refuseExtended({ kind: 'no-portal', name });
    const subject: Subject = { ...simple(planned.plan), protocol: 'extended' };
    const decision = await this.#c.gate.decide(subject);
    if (decision.kind === 'stop') return;
    if (decision.kind === 'in-failed') return this.#inFailedExtended();
    if (decision.kind === 'refuse') return this.#refuseExtended(decision.failure);
    const run = this.#c.run(decision.plan, decision.permit, decision.n, null, []);
    this.#c.unsynced = true;
    this.#c.link.send(clear(decision.permit, message), this.#c.expectRun('execute', run));
  }

  named(frame: Frame): Work {
    const { of, name } = decodeNamed(frame.bytes);
    if (frame.type === FRONTEND.describe && of === 'statement' && this.#readsAgain(name))
      return this.#describeLater(frame, name);
    return this.#named(frame, of, name);
  }

  /** The server reads a statement anew where names may mean something else by now. */
  #readsAgain(name: string): boolean {
    const catalog = this.#c.o.judge.catalog();
    if (catalog === null || runByValues(catalog).size === 0) return false;
    return this.#c.statements.candidates(name).some(({ plan }) => plan.verdict.effect === 'allow');
  }

  async #describeLater(frame: Frame, name: string): Promise<void> {
    if (!(await this.#c.settleContext())) return;
    for (const { plan, paramTypes, sql } of this.#c.statements.candidates(name)) {
      if (plan.verdict.effect !== 'allow') continue;
      const again = await this.#c.judging.later(sql, paramTypes, this.#c.transaction());
      if (this.#c.over) return;
      if (again.kind === 'plan' && this.#unread(again.plan))
        return this.#refuseExtended({ kind: 'not-read' });
    }
    this.#named(frame, 'statement', name);
  }

  #named(frame: Frame, of: 'statement' | 'portal', name: string): null {
    this.#c.unsynced = true;
    if (frame.type === FRONTEND.close) {
      const map: { closing(name: string): Settle } =
        of === 'statement' ? this.#c.statements : this.#c.portals;
      const given = of === 'portal' ? this.#c.portals.candidates(name) : [];
      const close = map.closing(name);
      this.#c.link.control(
        frame.bytes,
        expected('close', {
          settle: (end) => {
            close(end);
            if (end === 'done') for (const portal of given) this.#c.outcomes.giveUp(portal.approval);
          },
        }),
      );
      return null;
    }
    const { statements, portals } = this.#c;
    const subjects: (Prepared | Portal)[] =
      of === 'statement' ? statements.candidates(name) : portals.candidates(name);
    this.#c.link.control(
      frame.bytes,
      expected('describe', {
        // What it describes may be analysed again.
        exposes: subjects.some((subject) => ('plan' in subject ? subject.plan : subject).exposes),
        fields: (fields) => {
          for (const subject of subjects) {
            subject.fields = fields;
            const plan = 'plan' in subject ? subject.plan : (subject.prepared?.plan ?? null);
            if (fields !== null && plan !== null) this.#mayShow(plan, fields);
          }
        },
      }),
    );
    return null;
  }

  /** In its place goes what must fail, so that the server itself skips to Sync and undoes the pipeline (WIRE.md). */
  #refuseExtended(failure: Failure, parsed: string | null = null): Promise<void> {
    const name = parsed === '' ? '' : 'holdpoint_refused';
    this.#c.unsynced = true;
    const settle = this.#replacing(name);
    this.#c.link.send(own.failingParse(name), expected('parse', { refusal: failure, settle }));
    return Promise.resolve();
  }

  #inFailedExtended(): void {
    this.#c.unsynced = true;
    this.#c.link.send(own.parseInFailed(), expected('parse'));
  }
}

const allowed = (it: Plan): Permit => ({ kind: 'verdict', verdict: it.verdict });
