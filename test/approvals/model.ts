/** Random lives of requests on two desks and one real store: what is done, and what must be true of it whatever the order. */
import fc from 'fast-check';
import type { RunningDesk } from '../../src/approvals/desk.ts';
import type {
  ApprovalRequest,
  Approver,
  Clearance,
  DecideResult,
  DeskStore,
  HoldDraft,
  Outcome,
  Settlement,
  Ticket,
} from '../../src/approvals/types.ts';
import type { HoldTerms } from '../../src/policy/types.ts';
import { type Auditor, History } from './audit.ts';
import { approver, draft, testClock, testDesk } from './support.ts';

const SESSIONS = 5;
const ok: Outcome = { code: null, rows: 1, tag: 'DELETE 1', ms: 3, transactionOpen: false };
const bad: Outcome = { ...ok, code: '23505', tag: null };

/** Sessions 0–2 are one owner's (two credentials), 3 and 4 another's. Session n lives on desk n % 2. */
const ownerOf = (session: number) => (session < 3 ? 0 : 1);
const credentialOf = (session: number) => (session < 2 ? 0 : session < 3 ? 1 : 2);

/** One each; what they ask for never mixes, so that terms are those of the statement. */
const TERMS: readonly Partial<HoldTerms>[] = [
  {},
  { quorum: 2 },
  {
    owed: [
      { groups: ['dba'], count: 1 },
      { groups: ['sre'], count: 1 },
    ],
    approverGroups: ['dba', 'sre'],
    quorum: 2,
  }, // prettier-ignore
  { approverGroups: ['dba'], escalation: { afterMs: 60_000, groups: ['boss'] }, reasonRequired: true },
];
const SCRIPTS = [
  ['s', 'c', 'l', 'cl', 'l'],
  ['s', 's'],
  ['c', 'l'],
] as const;

const PEOPLE: readonly Approver[] = [
  approver('Dana'),
  approver('Erin', { surface: 'console' }),
  approver('Sam', { groups: ['sre'], surface: 'cli' }),
  approver('Kim', { groups: ['dba', 'sre'], surface: 'api' }),
  approver('Boss', { groups: ['boss'] }),
  approver('Dana', { id: ' DANA@example.COM', surface: 'console' }),
];

type Kind = Parameters<Clearance['finish']>[0]['kind'];
export type Step =
  | { readonly do: 'hold'; readonly session: number; readonly what: number }
  | { readonly do: 'ask'; readonly session: number; readonly script: number }
  /** `who` beyond the people: the first or the second owner. */
  | {
      readonly do: 'decide';
      readonly desk: number;
      readonly who: number;
      readonly which: number;
      readonly deny: boolean;
    }
  | {
      readonly do: 'withdraw' | 'explain';
      readonly desk: number;
      readonly who: number;
      readonly which: number;
    } // prettier-ignore
  | { readonly do: 'leave' | 'cancel' | 'progress'; readonly session: number }
  | { readonly do: 'finish'; readonly session: number; readonly kind: Kind }
  | { readonly do: 'end-identity'; readonly desk: number; readonly credential: number }
  | { readonly do: 'sweep' | 'die'; readonly desk: number }
  | { readonly do: 'fault'; readonly desk: number; readonly when: 'before' | 'after'; readonly calls: number }
  | { readonly do: 'pass'; readonly ms: number };

const session = fc.nat(SESSIONS - 1);
const desk = fc.nat(1);
/** Of those that are open, the newest first: what happens to one request is of interest, not many requests. */
const which = fc.constantFrom(0, 0, 0, 0, 1, 1, 2, 3, 4);
/** Mostly Kim, who may decide everything. */
const who = fc.oneof(fc.constant(3), fc.nat(PEOPLE.length + 1));
const what = fc.constantFrom(0, 0, 0, 1, 2, 3, 4, 4, 5, 5, 6, 7);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 10, arbitrary: fc.record({ do: fc.constant('hold' as const), session, what }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('ask' as const), session, script: fc.nat(SCRIPTS.length - 1) }),
  }, // prettier-ignore
  {
    weight: 10,
    arbitrary: fc.record({
      do: fc.constant('decide' as const),
      desk,
      who,
      which,
      deny: fc.nat(11).map((n) => n === 0),
    }),
  }, // prettier-ignore
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constantFrom('withdraw' as const, 'explain' as const), desk, who, which }),
  }, // prettier-ignore
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom('leave' as const, 'cancel' as const, 'progress' as const),
      session,
    }),
  }, // prettier-ignore
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('finish' as const),
      session,
      kind: fc.constantFrom<Kind[]>(
        'executed',
        'executed',
        'failed',
        'rolled-back',
        'rolled-back',
        'lost',
        'unused',
      ),
    }),
  }, // prettier-ignore
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('end-identity' as const), desk, credential: fc.nat(2) }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('sweep' as const), desk }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('die' as const), desk }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('fault' as const),
      desk,
      when: fc.constantFrom('before' as const, 'after' as const),
      calls: fc.integer({ min: 1, max: 3 }),
    }),
  }, // prettier-ignore
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('pass' as const),
      ms: fc.constantFrom(1_000, 6_000, 6_000, 6_000, 31_000, 61_000, 20 * 60_000),
    }),
  }, // prettier-ignore
);
/** What stands in one inner list happens at once. */
export const lives: fc.Arbitrary<readonly (readonly Step[])[]> = fc.array(
  fc.array(step, { minLength: 1, maxLength: 4 }),
  { minLength: 12, maxLength: 20 },
);

interface Cell {
  readonly desk: RunningDesk;
  fault: { when: 'before' | 'after'; calls: number } | null;
  dead: boolean;
}
interface Waits {
  readonly ticket: Ticket;
  readonly desk: RunningDesk;
  over: boolean;
}
interface Runs {
  readonly id: string;
  readonly clearance: Clearance;
  readonly cell: Cell;
}

export class World {
  readonly #store: DeskStore;
  readonly #clock = testClock();
  readonly #history = new History();
  readonly #changes: Auditor;
  readonly #run: string;
  readonly #cells: Cell[];
  readonly #waiting = new Map<number, Waits>();
  readonly #running = new Map<number, Runs[]>();
  /** Unfinished clearances, and requests that were spent: neither may be cleared. */
  readonly #held = new Set<string>();
  readonly #spent = new Set<string>();
  readonly #settled = new Set<string>();
  readonly #broken: Error[] = [];
  #seq = 0;
  #requests: readonly ApprovalRequest[] = [];

  constructor(run: string, seq: number, store: DeskStore, changes: Auditor) {
    this.#run = run;
    this.#seq = seq;
    this.#store = store;
    this.#changes = changes;
    this.#cells = [this.#cell(), this.#cell()];
  }

  get seq(): number {
    return this.#seq;
  }

  /** A desk on the store, as a process of its own: it may die, and its calls or their answers may be lost. */
  #cell(): Cell {
    const shell: { cell: Cell | null } = { cell: null };
    const broken = (when: 'before' | 'after'): boolean => {
      const { cell } = shell;
      if (cell === null) return false;
      if (cell.dead) return true;
      if (cell.fault === null || cell.fault.when !== when) return false;
      cell.fault.calls -= 1;
      if (cell.fault.calls <= 0) cell.fault = null;
      return true;
    };
    const wrap =
      <A extends readonly unknown[], R>(work: (...args: A) => Promise<R>) =>
      async (...args: A): Promise<R> => {
        if (broken('before')) throw new Error('the store was not reached');
        const answer = await work(...args);
        if (broken('after')) throw new Error('the answer was lost');
        return answer;
      };
    const { openOrJoin, transition, get, list, due, slow, beat, bury, orphans } = this.#store;
    const store: DeskStore = {
      openOrJoin: wrap(openOrJoin),
      transition: wrap(transition),
      get: wrap(get),
      list: wrap(list),
      due: wrap(due),
      slow: wrap(slow),
      beat: wrap(beat),
      bury: wrap(bury),
      orphans: wrap(orphans),
    };
    const made = testDesk(store, this.#clock.now, {
      approverGroups: ['dba', 'sre'],
      limits: { perSession: 50, perOwner: 50, withdrawn: 100_000 },
      pollMs: 10,
    });
    const cell: Cell = { desk: made, fault: null, dead: false };
    shell.cell = cell;
    return cell;
  }

  #at(index: number): Cell {
    const cell = this.#cells[index % 2];
    if (cell === undefined) throw new Error('no desk');
    return cell;
  }

  #owner(index: number): string {
    return `owner-${index}-${this.#run}@example.com`;
  }

  #draft(session: number, what: number): HoldDraft {
    // 0–3: statements with terms of their own; 4–7: statements of scripts, known in both ways.
    const script = what > 3;
    const name = `${this.#run}/${ownerOf(session)}/${what}`;
    return {
      ...draft(`strict/${name}`, {
        terms: script ? {} : (TERMS[what] ?? {}),
        sessionId: `${this.#run}-${session}`,
        requester: {
          ownerId: this.#owner(ownerOf(session)),
          ownerEmail: null,
          credentialId: `${this.#run}-cred-${credentialOf(session)}`,
        },
      }),
      ...(script ? { loose: `loose/${name}` } : {}),
    };
  }

  async #all(): Promise<readonly ApprovalRequest[]> {
    const of = await Promise.all(
      [0, 1].map((index) => this.#store.list({ ownerId: this.#owner(index), limit: 1000 })),
    );
    return of.flat();
  }

  // ── what is done ───────────────────────────────────────────────────────────────────────────────────────────────
  async at(steps: readonly Step[]): Promise<void> {
    const notBefore = this.#clock.now();
    const requests = this.#requests;
    const pick = (n: number) => requests[n % Math.max(1, requests.length)];
    const lanes = new Map<string, Step[]>();
    for (const [at, one] of steps.entries()) {
      // A session does one thing after the other.
      const lane = 'session' in one ? `session ${one.session}` : `other ${at}`;
      lanes.set(lane, [...(lanes.get(lane) ?? []), one]);
    }
    await Promise.all(
      [...lanes.values()].map(async (lane) => {
        for (const one of lane) await this.#do(one, pick);
      }),
    );
    await this.check(notBefore);
  }

  async #do(step: Step, pick: (n: number) => ApprovalRequest | undefined): Promise<void> {
    switch (step.do) {
      case 'hold':
        return this.#hold(step.session, step.what);
      case 'ask':
        return this.#ask(step.session, step.script);
      case 'decide':
      case 'withdraw':
      case 'explain': {
        const request = pick(step.which);
        return request === undefined ? undefined : this.#say(step, request);
      }
      case 'leave':
      case 'cancel':
        return this.#stopWaiting(step.session, step.do);
      case 'progress':
        for (const { clearance, id } of this.#running.get(step.session) ?? [])
          if (this.#held.has(id)) await clearance.progress({ ...ok, transactionOpen: true });
        return;
      case 'finish':
        return this.#finish(step.session, step.kind);
      case 'end-identity':
        return this.#at(step.desk).desk.endIdentity(`${this.#run}-cred-${step.credential}`, 'identity ended');
      case 'sweep':
        return this.#at(step.desk).desk.sweep();
      case 'die':
        return this.#die(step.desk);
      case 'fault':
        this.#at(step.desk).fault = { when: step.when, calls: step.calls };
        return;
      case 'pass':
        this.#clock.pass(step.ms);
    }
  }

  async #hold(session: number, what: number): Promise<void> {
    if (this.#waiting.has(session)) return;
    const cell = this.#at(session);
    const held = await cell.desk.hold(this.#draft(session, what));
    if (held.kind === 'cleared') this.#cleared(session, cell, held.request, held.clearance);
    if (held.kind !== 'waiting') return;
    if (cell.dead) return;
    const waits: Waits = { ticket: held.ticket, desk: cell.desk, over: false };
    this.#waiting.set(session, waits);
    void held.ticket.settled.then((end) => this.#settle(session, cell, waits, end));
  }

  #settle(session: number, cell: Cell, waits: Waits, end: Settlement): void {
    if (this.#waiting.get(session) === waits) this.#waiting.delete(session);
    if (end.kind !== 'cleared') return;
    this.#cleared(session, cell, end.request, end.clearance);
    // Nobody is there any more: as the gateway does (gateway/hold.ts).
    if (waits.over) void this.#end(session, end.request.id, 'unused');
  }

  #cleared(session: number, cell: Cell, request: ApprovalRequest, clearance: Clearance): void {
    const { id } = request;
    if (request.state !== 'executing') this.#wrong(`${id} was cleared as ${request.state}`);
    if (this.#held.has(id)) this.#wrong(`${id} was cleared twice at once`);
    if (this.#spent.has(id)) this.#wrong(`${id} was cleared after it was spent`);
    if (request.requester.ownerId !== this.#owner(ownerOf(session)))
      this.#wrong(`${id} was cleared for another owner`);
    this.#held.add(id);
    this.#running.set(session, [...(this.#running.get(session) ?? []), { id, clearance, cell }]);
  }

  async #end(session: number, id: string, kind: Kind): Promise<void> {
    const all = this.#running.get(session) ?? [];
    const run = all.find((each) => each.id === id);
    if (run === undefined) return;
    this.#running.set(
      session,
      all.filter((each) => each !== run),
    );
    this.#held.delete(id);
    if (kind !== 'rolled-back' && kind !== 'unused') this.#spent.add(id);
    await run.clearance.finish({ kind, outcome: kind === 'executed' ? ok : kind === 'failed' ? bad : null });
  }

  /** The end of the session's transaction: all that it holds. */
  async #finish(session: number, kind: Kind): Promise<void> {
    for (const { id } of [...(this.#running.get(session) ?? [])].reverse())
      await this.#end(session, id, kind);
  }

  async #stopWaiting(session: number, how: 'leave' | 'cancel'): Promise<void> {
    const waits = this.#waiting.get(session);
    if (waits === undefined) return;
    waits.over = true;
    this.#waiting.delete(session);
    if (how === 'leave') waits.ticket.leave();
    else await waits.ticket.withdraw('cancelled by the client');
  }

  async #ask(session: number, script: number): Promise<void> {
    const kinds = SCRIPTS[script] ?? [];
    const whole = this.#draft(session, 0);
    await this.#at(session).desk.ask(
      { ...whole, fingerprint: `ahead/${this.#run}/${ownerOf(session)}/${script}` },
      kinds.map((kind, at) => ({
        // The statements of scripts repeat, in one script too.
        fingerprint: `${kind.includes('l') ? 'loose' : 'strict'}/${this.#run}/${ownerOf(session)}/${4 + (at % 4)}`,
        statement: whole.statement,
        index: at + 1,
        loose: kind.includes('l'),
        changes: kind.includes('c'),
      })),
    );
  }

  async #say(step: Extract<Step, { readonly who: number }>, request: ApprovalRequest): Promise<void> {
    const { desk: on } = this.#at(step.desk);
    const by =
      PEOPLE[step.who] ??
      approver('Owner', { id: this.#owner(step.who - PEOPLE.length).toUpperCase(), groups: ['dba', 'sre'] });
    const isOwner = by.id.toLowerCase() === request.requester.ownerId;
    const { id } = request;
    if (step.do === 'decide') {
      const effect = step.deny ? 'deny' : 'approve';
      const told = await on.decide({ id, approver: by, effect, reason: null });
      if ((told.kind === 'settled' || told.kind === 'counted') && isOwner)
        this.#wrong(`${id} was decided by its owner`);
      if (told.kind === 'settled') {
        if (request.bundle && request.bundle.index > 0) this.#wrong(`${id} is a part and was decided`);
        if (this.#settled.has(id)) this.#wrong(`${id} was settled twice`);
        this.#settled.add(id);
      }
      this.#loser(told);
    } else {
      const told = await (step.do === 'withdraw'
        ? on.withdraw({ id, by, note: null })
        : on.explain({ id, by, reason: 'because' }));
      if (told.kind === 'settled' && !isOwner)
        this.#wrong(`${id}: ${step.do} by somebody who is not its owner`);
    }
  }

  /** Who comes too late is told who was first. */
  #loser(told: DecideResult): void {
    if (told.kind !== 'lost') return;
    const { request, sentence } = told;
    const first = request.decisions.find(({ effect }) => effect === 'deny') ?? request.decisions.at(-1);
    const decided = !['expired', 'withdrawn'].includes(request.state);
    if (decided && (first === undefined || !sentence.includes(`by ${first.approverName}`)))
      this.#wrong(`the loser was told: ${sentence}`);
  }

  /** kill -9: nothing of it is said any more, nobody there is told anything; another process takes its place. */
  #die(index: number): void {
    const cell = this.#at(index);
    cell.dead = true;
    cell.desk.close();
    for (const session of Array.from({ length: SESSIONS }, (_, n) => n).filter((n) => n % 2 === index)) {
      const waits = this.#waiting.get(session);
      if (waits !== undefined) waits.over = true;
      this.#waiting.delete(session);
      // What it ran is with the server: it may have happened, so it must never run again.
      for (const { id } of this.#running.get(session) ?? []) this.#spent.add(id);
      this.#running.delete(session);
    }
    this.#cells[index] = this.#cell();
  }

  // ── what must be true ──────────────────────────────────────────────────────────────────────────────────────────
  #wrong(why: string): void {
    this.#broken.push(new Error(why));
  }

  async check(notBefore: number): Promise<void> {
    const changes = await this.#changes(this.#seq, [this.#owner(0), this.#owner(1)]);
    this.#seq = changes.at(-1)?.seq ?? this.#seq;
    this.#history.take(changes, notBefore);
    for (const error of this.#broken) throw error;
    const all = await this.#all();
    for (const request of all) this.#counts(request);
    // Those that are over are of interest now and then.
    const over = ({ endedAt }: ApprovalRequest) => (endedAt === null ? 0 : 1);
    this.#requests = all.toSorted((a, b) => over(a) - over(b));
  }

  /** A decision counts once, of somebody who may; a grant has them all. */
  #counts({ id, state, decisions, requester, terms, escalatedAt, bundle, purpose }: ApprovalRequest): void {
    const people = decisions.map(({ approverId }) => approverId.trim().toLowerCase());
    if (new Set(people).size !== people.length) throw new Error(`${id}: somebody counts twice`);
    if (people.some((person) => person === requester.ownerId)) throw new Error(`${id}: its owner counts`);
    const yes = decisions.filter(({ effect }) => effect === 'approve');
    const no = decisions.length - yes.length;
    if (no > (state === 'denied' ? 1 : 0)) throw new Error(`${id}: ${no} denials, ${state}`);
    const approved = ['granted', 'executing', 'executed', 'failed', 'unknown', 'lapsed'].includes(state);
    if (!approved) return;
    const groups = yes.map((made) => made.groups ?? []);
    const also = escalatedAt ? (terms.escalation?.groups ?? []) : [];
    const has = (named: readonly string[]) =>
      groups.filter((of) => [...named, ...also].some((one) => of.includes(one))).length;
    const owed = terms.owed ?? [{ groups: terms.approverGroups, count: terms.quorum }];
    const general = ['dba', 'sre'];
    if (yes.length < owed.reduce((sum, { count }) => sum + count, 0))
      throw new Error(`${id}: too few approved`);
    for (const one of owed)
      if (has(one.groups.length > 0 ? one.groups : general) < one.count)
        throw new Error(`${id}: ${one.groups} is still owed`);
    if (terms.reasonRequired && !purpose && !bundle) throw new Error(`${id}: approved without its reason`);
  }

  /** Everybody goes home and time passes: everything ends, everybody was told. */
  async rest(): Promise<void> {
    const { now } = this.#clock;
    for (const cell of this.#cells) cell.fault = null;
    const told = [...this.#waiting.values()].map(({ ticket }) => ticket.settled);
    for (const session of this.#waiting.keys()) await this.#stopWaiting(session, 'cancel');
    for (let index = 0; index < SESSIONS; index += 1) await this.#finish(index, 'executed');
    const sweep = async (ms: number): Promise<void> => {
      const before = now();
      this.#clock.pass(ms);
      // One after the other: together they would only do the same twice.
      for (const { desk } of this.#cells) await desk.sweep();
      await this.check(before);
    };
    // Both beat, so that the dead alone are silent.
    for (const ms of [6_000, 20_000, 20_000]) await sweep(ms);
    const stuck = this.#history.open().filter(({ state }) => state === 'executing');
    if (stuck.length > 0) throw new Error(`still executing: ${stuck.map(({ id }) => id).join(', ')}`);
    const rows = [...this.#history.rows.values()];
    for (const lead of this.#history.open()) {
      const parts = rows.filter(({ part }) => part?.lead === lead.id);
      if (parts.length > 0 && parts.every(({ ended }) => ended !== null))
        throw new Error(`${lead.id} is ${lead.state}, though all of its parts have ended`);
    }
    await sweep(9 * 3_600_000);
    await sweep(6_000);
    const [open] = this.#history.open();
    if (open !== undefined) throw new Error(`${open.id} is ${open.state} for ever`);
    await Promise.all(told);
    for (const cell of this.#cells) cell.desk.close();
  }
}
