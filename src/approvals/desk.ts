import { randomUUID } from 'node:crypto';
import { authorise, isReasonKept } from './authorise.ts';
import { bundleOf, createBundles, isPart } from './bundle.ts';
import { Clearances } from './clearance.ts';
import { normaliseId, randomId } from './ids.ts';
import { NOTHING_KNOWN } from './impact.ts';
import { createOwner } from './owner.ts';
import { createSweep } from './sweep.ts';
import { plain } from './text.ts';
import type {
  ApprovalRequest,
  AskResult,
  BundleDraft,
  DecideResult,
  Decision,
  Desk,
  DeskStore,
  HoldDraft,
  HoldResult,
  Impact,
  RefusedWhy,
  RequestPatch,
} from './types.ts';
import { Waiters } from './waiters.ts';
import { lostSentence, refusalSentence, unavailableSentence } from './words.ts';

/** The part of the log that the desk uses (pino's shape). */
export interface DeskLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

/** Times in milliseconds (DESIGN.md 8). */
export interface DeskLimits {
  readonly perSession: number;
  readonly perOwner: number;
  /** Requests of one owner taken back within ten minutes. */
  readonly withdrawn: number;
  readonly requestMs: number;
  readonly grantMs: number;
}
const LIMITS: DeskLimits = {
  perSession: 3,
  perOwner: 10,
  withdrawn: 20,
  requestMs: 8 * 60 * 60_000,
  grantMs: 15 * 60_000,
};

export interface DeskOptions {
  readonly store: DeskStore;
  readonly now: () => number;
  readonly log: DeskLog;
  readonly limits?: Partial<DeskLimits>;
  /** Of this process, unlike that of any other on the store. */
  readonly name?: string;
  /** Groups that may decide where the rule names none; empty: every approver. */
  readonly approverGroups?: readonly string[];
  /** Makes an id; `attempt` counts from 0 and grows with each that was taken. */
  readonly ids?: (attempt: number) => string;
  /** How often waiters ask for what other processes decided. */
  readonly pollMs?: number;
}

/** The desk, and what only app calls. */
export interface RunningDesk extends Desk {
  /**
   * At boot, where this process is known to be the only one on its store (the embedded one): what earlier processes were
   * executing becomes `unknown` now rather than when they have been silent for 30 s. Rejects when the store cannot be asked.
   */
  recover(): Promise<void>;
  /** Another process changed this request: whoever listens or waits here learns of it at once. */
  heard(id: string): Promise<void>;
  /** Names this desk in `ApprovalRequest.holder`. */
  readonly name: string;
}

const WITHDRAWN_MS = 10 * 60_000;
const BEAT_MS = 5_000;
const END_OF_TIME = 8.64e15;

/** Every retry below follows somebody else's progress; this many in a row mean that something is wrong. */
const TRIES = 60;

export function createDesk(options: DeskOptions): RunningDesk {
  const { store, now, log } = options;
  const limits = { ...LIMITS, ...options.limits };
  const approverGroups = options.approverGroups ?? [];
  const ids = options.ids ?? ((attempt: number) => randomId(attempt === 0 ? 4 : 5));
  const pollMs = options.pollMs ?? 500;
  const desk = options.name ?? `desk-${randomUUID()}`;
  const listeners = new Set<(request: ApprovalRequest) => void>();
  /** What the store could not be told yet. Bounded by the clearances and waiters there were. */
  const unsaid = new Map<string, () => Promise<void>>();
  let beatAt = Number.NEGATIVE_INFINITY;
  let timer: NodeJS.Timeout | null = null;
  let sweeping: Promise<void> | null = null;
  let closed = false;
  let storeAway = false;

  function announce(request: ApprovalRequest): void {
    for (const listener of listeners) {
      try {
        listener(request);
      } catch (error) {
        log.warn({ request: request.id, error: nameOf(error) }, 'a listener of the desk failed');
      }
    }
    waiters.observe(request);
  }

  function changed(request: ApprovalRequest): void {
    announce(request);
    const { bundle } = request;
    if (bundle && isPart(request)) void persist('follow', bundle.lead, () => bundles.follow(bundle.lead));
  }

  async function persist(what: string, id: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      away(error);
      unsaid.set(`${what} ${id}`, work);
    }
  }

  function away(error: unknown): void {
    if (!storeAway)
      log.warn({ error: nameOf(error) }, 'the desk cannot reach the store; holds fail closed until it can');
    storeAway = true;
  }

  const clearances = new Clearances({ store, desk, now, changed, persist });
  const waiters = new Waiters({ store, desk, now, clearances, changed, away, persist });
  const bundles = createBundles({ store, now, changed });
  const ends = createSweep({ bundles, store, desk, now, waiters, clearances, changed, persist });
  const owner = createOwner({ store, now, changed, answered });

  /** A desk that holds must be known to live before it does, or others take over what it holds. */
  async function beat(): Promise<void> {
    const at = now();
    if (at - beatAt < BEAT_MS && at >= beatAt) return;
    await store.beat(desk, at);
    beatAt = at;
  }

  // ── waiting for what other processes decide ────────────────────────────────────────────────────────────────────
  function startPolling(): void {
    if (timer !== null || closed) return;
    timer = setTimeout(() => {
      void poll()
        .catch(away)
        .finally(() => {
          timer = null;
          if (waiters.ids.length > 0) startPolling();
        });
    }, pollMs);
    timer.unref();
  }

  async function poll(): Promise<void> {
    await beat();
    const waited = waiters.ids;
    for (let start = 0; start < waited.length; start += 500) {
      const rows = await store.list({ ids: waited.slice(start, start + 500), limit: 500 });
      for (const request of rows) waiters.observe(request);
    }
  }

  // ── hold ───────────────────────────────────────────────────────────────────────────────────────────────────────
  function draftRequest(draft: HoldDraft, id: string): ApprovalRequest {
    const createdAt = now();
    const expiresAt = createdAt + (draft.terms.expiresMs ?? limits.requestMs);
    const { escalation } = draft.terms;
    return {
      ...draft,
      id,
      version: 1,
      state: 'pending',
      createdAt,
      expiresAt,
      remindAt: createdAt + Math.ceil((expiresAt - createdAt) / 2),
      escalateAt: escalation === undefined ? null : createdAt + escalation.afterMs,
      decisions: [],
      waiterLive: true,
      grantExpiresAt: null,
      outcome: null,
      note: null,
      endedAt: null,
      holder: desk,
    };
  }

  async function hold(draft: HoldDraft): Promise<HoldResult> {
    if (closed) return { kind: 'unavailable' };
    try {
      await beat();
      return await openJoinOrClaim(draft);
    } catch (error) {
      away(error);
      return { kind: 'unavailable' };
    }
  }

  async function openJoinOrClaim(draft: HoldDraft): Promise<HoldResult> {
    const by = { sessionId: draft.sessionId, credentialId: draft.requester.credentialId };
    const { loose, ...rest } = draft;
    let wanted = loose === undefined ? {} : { loose };
    let taken = 0;
    for (let attempt = 0; attempt < TRIES; attempt += 1) {
      const found = await store.openOrJoin(draftRequest(rest, ids(taken)), limitsNow(), wanted);
      if (found.kind === 'too-many') return found;
      if (found.kind === 'id-taken') {
        taken += 1;
        continue;
      }
      if (found.kind === 'opened') {
        const ticket = waiters.join(found.request, by);
        startPolling();
        changed(found.request);
        return { kind: 'waiting', request: found.request, joined: false, ticket };
      }
      // Its turn has not come: it is asked for on its own.
      if (
        found.request.fingerprint !== rest.fingerprint &&
        !(await bundles.inTurn(found.request, draft.sessionId))
      ) {
        wanted = {};
        continue;
      }
      if (found.request.state === 'granted') {
        const won = await clearances.claim(found.request, by);
        if (won !== null) return { kind: 'cleared', ...won };
        continue;
      }
      const purpose = isReasonKept(found.request) ? null : draft.purpose;
      const patch: RequestPatch = {
        state: 'pending',
        waiterLive: true,
        holder: desk,
        ...by,
        ...(purpose ? { purpose } : {}),
      };
      // With another reason, only of the request that was looked at: nobody has approved it meanwhile.
      const guard = purpose ? { version: found.request.version } : undefined;
      const request = await store.transition(found.request.id, ['pending'], patch, guard);
      if (request === null) continue;
      const ticket = waiters.join(request, by);
      startPolling();
      changed(request);
      return { kind: 'waiting', request, joined: true, ticket };
    }
    log.warn({}, 'a hold did not come to rest');
    return { kind: 'unavailable' };
  }

  const limitsNow = () => {
    const at = now();
    const withdrawn = { most: limits.withdrawn, since: at - WITHDRAWN_MS };
    return { perSession: limits.perSession, perOwner: limits.perOwner, withdrawn, now: at };
  };

  async function ask(draft: HoldDraft, parts: readonly BundleDraft[]): Promise<AskResult> {
    if (closed) return { kind: 'unavailable' };
    try {
      const { loose: _, ...rest } = draft;
      for (let taken = 0; taken < TRIES; taken += 1) {
        const made = bundleOf(draftRequest(rest, ids(taken)), parts);
        const found = await store.openOrJoin(made.lead, limitsNow(), { parts: made.parts });
        if (found.kind === 'id-taken') continue;
        if (found.kind === 'too-many') return found;
        if (found.kind === 'opened') changed(found.request);
        return { kind: 'asked', request: found.request, joined: found.kind === 'joined' };
      }
      log.warn({}, 'a bundle did not find an id');
    } catch (error) {
      away(error);
    }
    return { kind: 'unavailable' };
  }

  /** Estimate and count may come in the same moment: each is put to the version that it was read with. */
  async function appraise(id: string, news: Partial<Impact>): Promise<ApprovalRequest | null> {
    for (let attempt = 0; attempt < TRIES; attempt += 1) {
      const request = await store.get(id);
      if (request?.state !== 'pending') return null;
      const before = { ...NOTHING_KNOWN, ...request.impact };
      const impact = { ...before, ...news };
      if (JSON.stringify(impact) === JSON.stringify(before)) return request;
      const { version } = request;
      const told = await store.transition(id, ['pending'], { state: 'pending', impact }, { version });
      if (told === null) continue;
      changed(told);
      return told;
    }
    return null;
  }

  // ── decide ─────────────────────────────────────────────────────────────────────────────────────────────────────
  function refused(why: RefusedWhy, request: ApprovalRequest | null): DecideResult {
    return { kind: 'refused', why, request, sentence: refusalSentence(why, request, now()) };
  }

  async function answered(work: () => Promise<DecideResult>): Promise<DecideResult> {
    try {
      return await work();
    } catch (error) {
      away(error);
      return { kind: 'unavailable', sentence: unavailableSentence() };
    }
  }

  async function decideNow({ id: typed, approver, effect, reason: said }: Parameters<Desk['decide']>[0]) {
    const id = normaliseId(typed);
    const reason = plain(said ?? '', 300) || null;
    for (let attempt = 0; attempt < TRIES; attempt += 1) {
      const request = await store.get(id);
      if (request === null) return refused('no-such-request', null);
      // It has no card: whoever decides has the whole script before them.
      if (isPart(request)) return refused('part', request);
      const answer = authorise(request, approver, effect, approverGroups);
      // A row and its decisions are read one after the other: a decision of the same moment may be of a later version.
      if (answer.kind === 'refused') {
        const latest = await store.get(id);
        if (latest?.version !== request.version) continue;
        return refused(answer.why, request);
      }
      if (answer.kind === 'late') return lost(request);
      const at = now();
      if (request.expiresAt <= at) {
        await ends.end(request, { state: 'expired', endedAt: at });
        continue;
      }
      const decision: Decision = {
        approverId: approver.id,
        approverName: plain(approver.name, 100) || plain(approver.id, 100),
        surface: approver.surface,
        effect,
        reason,
        at,
        groups: approver.groups.slice(0, 50),
      };
      const patch = outcomeOf(request, decision, answer.missing);
      // The version binds the UPDATE to the row that was judged: no decision, expiry or withdrawal came in between.
      const settled = await store.transition(id, ['pending'], patch, { version: request.version });
      if (settled === null) continue;
      changed(settled);
      return patch.state === 'pending'
        ? { kind: 'counted' as const, request: settled, missing: answer.missing }
        : { kind: 'settled' as const, request: settled };
    }
    throw new Error('a decision did not come to rest');
  }

  function outcomeOf(request: ApprovalRequest, decision: Decision, missing: number): RequestPatch {
    if (decision.effect === 'deny') {
      return { state: 'denied', decision, endedAt: decision.at, waiterLive: false, holder: null };
    }
    if (missing > 0) return { state: 'pending', decision };
    const grantExpiresAt = Math.min(decision.at + limits.grantMs, request.expiresAt);
    // Waits here: known. Waits elsewhere: as that desk keeps it.
    const elsewhere = request.waiterLive && (request.holder ?? null) !== desk;
    return {
      state: 'granted',
      decision,
      grantExpiresAt,
      waiterLive: waiters.has(request.id) || elsewhere,
    };
  }

  function lost(request: ApprovalRequest): DecideResult {
    return { kind: 'lost', request, sentence: lostSentence(request, now()) };
  }

  async function sweepNow(): Promise<void> {
    const beats = now() - beatAt >= BEAT_MS || now() < beatAt;
    await beat();
    // One that fails keeps none of the others from being said.
    for (const [key, work] of [...unsaid]) {
      await work().then(() => unsaid.delete(key), away);
    }
    await ends.due();
    if (beats) await ends.strays();
  }

  async function sweep(): Promise<void> {
    if (closed) return;
    sweeping ??= sweepNow()
      .then(() => {
        if (storeAway) log.info({}, 'the desk reaches the store again');
        storeAway = false;
      }, away)
      .finally(() => {
        sweeping = null;
      });
    await sweeping;
  }

  return {
    name: desk,
    hold,
    ask,
    decide: (input) => answered(() => decideNow(input)),
    ...owner,
    appraise,
    get: (id) => store.get(normaliseId(id)),
    list: (filter) => store.list({ ...filter, heads: true }),
    endIdentity: ends.endIdentity,
    onChange: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    sweep,
    heard: async (id) => {
      // Lost, it is for the next poll.
      const request = closed ? null : await store.get(id).catch(() => null);
      if (request !== null && !closed) announce(request);
    },
    recover: async () => {
      await store.bury(null, END_OF_TIME);
      await store.beat(desk, now());
      await ends.adoptOrphans();
    },
    close: () => {
      if (closed) return;
      closed = true;
      if (timer !== null) clearTimeout(timer);
      listeners.clear();
      // Said goodbye, others need not wait for the silence. What it still executes is then unknown to them, as it is.
      void store.bury(desk, 0).catch(() => undefined);
    },
  };
}

function nameOf(error: unknown): string {
  if (!(error instanceof Error)) return 'internal error';
  return error.name === 'StoreFailure' ? error.message : error.name;
}
