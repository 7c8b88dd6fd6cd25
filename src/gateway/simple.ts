/** The simple query protocol: one string, judged whole before any of it runs (WIRE.md "Query flow"). */
import { serialize } from 'pg-protocol';
import { aheadRow, askAhead } from './ahead.ts';
import { clear, clearParse, own, type Permit, PROBE } from './clearance.ts';
import { type Core, NO_TYPES, type Work } from './core.ts';
import { simple } from './draft.ts';
import { type Failure, toReport } from './errors.ts';
import { asksForRequests } from './judging.ts';
import { isTagged, type Plan } from './plan.ts';
import { expected } from './replies.ts';
import { requestRows } from './requests.ts';
import { asksAhead } from './settings.ts';
import { decodeError } from './wire/backend.ts';
import { errorResponse, readyForQuery } from './wire/build.ts';
import { decodeFunctionCall, decodeQuery, type FunctionCallMessage } from './wire/frontend.ts';

/**
 * Nobody has approved it, and to be read alone it would make values of its literals, which may be of users' types: it is not asked after on
 * the session's own connection (the gate asks on another, impact/refusal.ts).
 */
const makesValues = (it: Plan): boolean =>
  it.verdict.effect !== 'allow' && it.probe === 'unknown-name' && /['$]|::|\bcast\b/i.test(it.sql);

export class SimpleQuery {
  readonly #c: Core;

  constructor(core: Core) {
    this.#c = core;
  }

  query(message: Buffer): Work {
    const sql = decodeQuery(message);
    if (!this.#c.mustSettleFirst()) {
      const it = this.#c.judging.now(sql, NO_TYPES, this.#c.transaction());
      if (it !== null && this.#c.gate.plain(it)) {
        const subject = simple(it);
        const n = this.#c.record.statement(subject, 'allow');
        if (n === null) return this.#refuseQuery({ kind: 'not-recorded' });
        return this.#runQuery(message, it, { kind: 'verdict', verdict: it.verdict }, n);
      }
    }
    return this.#queryLater(message, sql);
  }

  async #queryLater(message: Buffer, sql: string): Promise<void> {
    if (!(await this.#c.settleContext())) return;
    let planned = await this.#c.judging.later(sql, NO_TYPES, this.#c.transaction());
    if (this.#c.over) return;
    if (planned.kind === 'plan' && planned.plan.probe !== 'none') {
      const probed = makesValues(planned.plan) ? 'accepted' : await this.#probe(planned.plan);
      if (probed === 'answered' || this.#c.over) return;
      planned = await this.#c.judging.later(sql, NO_TYPES, this.#c.transaction(), true);
    }
    if (planned.kind === 'no-statement') {
      if (!(await this.#c.settleEarlier())) return;
      if (this.#c.link.status !== 'E') return this.#refuseQuery({ kind: 'no-statement', name: planned.name });
      this.#c.link.send(own.inFailed(), expected('query'));
      return;
    }
    const it = planned.plan;
    if (asksAhead(this.#c.o.holdpointSettings) && it.verdict.effect !== 'deny' && !asksForRequests(it))
      return this.#askAhead(it);
    if (it.judged[0]?.probe === 'syntax' && this.#c.o.target.protocol === 'strict')
      this.#c.o.deps.log.warn(
        { session: this.#c.o.id },
        'the server accepts a text that cannot be read here: refused',
      );
    if (asksForRequests(it) && it.verdict.effect === 'allow') return this.#showRequests(it);
    const decision = await this.#c.gate.decide(simple(it));
    switch (decision.kind) {
      case 'go':
        return (await this.#runQuery(message, decision.plan, decision.permit, decision.n)) ?? undefined;
      case 'refuse':
        return this.#refuseQuery(decision.failure);
      case 'in-failed':
        this.#c.link.send(own.inFailed(), expected('query'));
        return;
      case 'stop':
        return;
    }
  }

  #runQuery(message: Buffer, it: Plan, permit: Permit, n: number): Work {
    const run = this.#c.run(it, permit, n, null, []);
    this.#c.link.send(clear(permit, message), this.#c.expectRun('query', run));
    return this.#c.awaitCopy(it);
  }

  /** The upstream's own Parse says whether it is a typo: then its error is the answer, and no card is made (DESIGN.md 4). */
  async #probe(it: Plan): Promise<'answered' | 'accepted'> {
    if (!(await this.#c.settleEarlier())) return 'answered';
    const many = (it.judged[0]?.facts?.statements.length ?? 1) > 1;
    if (many) return 'accepted';
    const n = this.#c.record.statement(simple(it), 'probe');
    if (n === null) {
      await this.#refuseQuery({ kind: 'not-recorded' });
      return 'answered';
    }
    const within = this.#c.unsynced;
    // Never as the unnamed statement: a Bind would run it as what the client had prepared under that name.
    const probe = clearParse(serialize.parse({ name: PROBE, text: it.sql }));
    const answer = await this.#c.link.probe(probe, within, it);
    if (answer.error !== null) this.#c.unsynced = false;
    if (answer.error === null || this.#c.over) return this.#c.over ? 'answered' : 'accepted';
    const report = answer.told?.error ?? decodeError(answer.error);
    // Several statements do not fit into a Parse: the server has read them, we have not.
    if (report.code === '42601' && report.routine === 'exec_parse_message') return 'accepted';
    this.#c.record.refused(n, { code: report.code, message: isTagged(it) ? '(withheld)' : report.message });
    this.#c.client.write(answer.told?.message ?? answer.error);
    this.#c.client.write(this.#c.link.takeLate());
    this.#c.client.write(readyForQuery(this.#c.link.status));
    return 'answered';
  }

  /** Nothing of the statement reached the server, yet the client is told what is true there (DESIGN.md 10). */
  async #refuseQuery(failure: Failure): Promise<void> {
    if (!(await this.#c.settleEarlier())) return;
    if (this.#c.link.status === 'I' && !this.#c.unsynced) {
      this.#c.client.write(errorResponse(toReport(failure)));
      this.#c.client.write(this.#c.link.takeLate());
      this.#c.client.write(readyForQuery('I'));
    } else {
      this.#c.link.send(own.failingQuery(), expected('query', { refusal: failure }));
      this.#c.unsynced = false;
    }
  }

  /** It runs a function without any SQL: only a trusted target takes it, judged as a text that cannot be read (DESIGN.md 15). */
  functionCall(message: Buffer, trusted: boolean): Work {
    if (trusted) return this.#call(message, decodeFunctionCall(message));
    const failure: Failure = { kind: 'function-call' };
    this.#c.record.message('FunctionCall', toReport(failure));
    return this.#refuseQuery(failure);
  }

  async #call(message: Buffer, { oid, values, formats }: FunctionCallMessage): Promise<void> {
    if (!(await this.#c.settleContext())) return;
    const planned = await this.#c.judging.later(`FUNCTION CALL ${oid}`, NO_TYPES, this.#c.transaction());
    if (this.#c.over || planned.kind !== 'plan') return;
    const decision = await this.#c.gate.decide({ ...simple(planned.plan), values, formats });
    if (decision.kind === 'stop') return;
    if (decision.kind === 'refuse') return this.#refuseQuery(decision.failure);
    if (decision.kind === 'in-failed') return this.#c.link.send(own.inFailed(), expected('query'));
    const run = this.#c.run(decision.plan, decision.permit, decision.n, null, []);
    this.#c.link.send(clear(decision.permit, message), this.#c.expectRun('call', run));
  }

  /** Answered as SHOW holdpoint.requests is. */
  async #askAhead(it: Plan): Promise<void> {
    const asked = await askAhead(this.#c, it);
    if (this.#c.over) return;
    const subject = simple(it);
    if (asked.kind === 'refused') {
      const decision = this.#c.gate.refuse(subject, asked.failure);
      return decision.kind === 'refuse' ? this.#refuseQuery(decision.failure) : undefined;
    }
    const n = this.#c.record.statement(subject, asked.kind === 'asked' ? 'hold' : 'allow');
    if (n === null) return this.#refuseQuery({ kind: 'not-recorded' });
    if (asked.kind === 'asked') this.#c.record.approval(n, asked.request);
    // As the SHOW that it answers like: nothing of the script counts as done.
    const show = await this.#c.judging.later('SHOW holdpoint.requests', NO_TYPES, 'idle');
    if (this.#c.over || show.kind !== 'plan') return;
    this.#c.link.send(
      own.query([aheadRow(asked)]),
      this.#c.expectRun('query', this.#c.run(show.plan, null, n, null, [])),
    );
  }

  async #showRequests(it: Plan): Promise<void> {
    const rows = await requestRows(this.#c.o.deps.desk, this.#c.o.identity, this.#c.o.deps.now());
    const n = this.#c.record.statement(simple(it), 'allow');
    if (n === null) return this.#refuseQuery({ kind: 'not-recorded' });
    this.#c.link.send(own.query(rows), this.#c.expectRun('query', this.#c.run(it, null, n, null, [])));
  }
}
