/** One statement's wait at the desk, from the question to the answer (DESIGN.md 7–9). */
import { lacksReason } from '../approvals/authorise.ts';
import type { ApprovalRequest, Desk, HoldDraft, Settlement } from '../approvals/types.ts';
import { Approval } from './clearance.ts';
import { describe, type Failure } from './errors.ts';

export type Interruption = 'cancelled' | 'gone';

export interface HoldOptions {
  readonly desk: Desk;
  readonly draft: HoldDraft;
  readonly waitMs: number;
  readonly where: string;
  /** Resolves when the client cancels or is gone. */
  readonly interrupted: Promise<Interruption>;
  /** The request is there, and waits: for the record. */
  onRequest(request: ApprovalRequest): void;
  /** For people only; null for agents, whose standard output a notice could corrupt. */
  readonly notify: ((text: string) => void) | null;
  readonly heartbeatMs: number;
}

export type HoldEnd =
  /** `grant`: approved before, not while it waited. */
  | {
      readonly kind: 'cleared';
      readonly request: ApprovalRequest;
      readonly approval: Approval;
      readonly grant: boolean;
    }
  | { readonly kind: 'refused'; readonly failure: Failure; readonly request: ApprovalRequest | null }
  | { readonly kind: 'gone' };

/** After this long a retry makes sense. */
const RETRY_MS = 60_000;

export async function hold(options: HoldOptions): Promise<HoldEnd> {
  let interruption: Interruption | null = null;
  void options.interrupted.then((why) => {
    interruption = why;
  });
  const asked = await options.desk.hold(options.draft);
  switch (asked.kind) {
    case 'unavailable':
      return { kind: 'refused', failure: { kind: 'desk-unavailable' }, request: null };
    case 'too-many':
      return { kind: 'refused', failure: { kind: 'too-many', open: asked.open }, request: null };
    case 'cleared':
      if (interruption !== null) {
        await asked.clearance.finish({ kind: 'unused', outcome: null });
        return interruption === 'gone'
          ? { kind: 'gone' }
          : { kind: 'refused', failure: { kind: 'cancelled', requestId: null }, request: null };
      }
      return {
        kind: 'cleared',
        request: asked.request,
        approval: new Approval(asked.clearance),
        grant: true,
      };
    case 'waiting':
      break;
  }
  const { request, ticket } = asked;
  options.onRequest(request);
  // Nobody is asked before the requester has said why: nothing to wait for.
  const waitMs = lacksReason(request) ? 0 : options.waitMs;
  const end = await first({ ...options, waitMs }, request, ticket.settled);
  switch (end.kind) {
    case 'settled':
      return settled(end.settlement);
    case 'timeout':
    case 'gone': {
      ticket.leave();
      // It may have been settled in the same moment: a clearance that nobody uses must be given back.
      void ticket.settled.then(giveBack);
      if (end.kind === 'gone') return { kind: 'gone' };
      const failure: Failure = lacksReason(request)
        ? { kind: 'reason-needed', request }
        : { kind: 'pending', request, where: options.where, retryMs: RETRY_MS };
      return { kind: 'refused', failure, request };
    }
    case 'cancelled':
      await ticket.withdraw('cancelled by the client');
      void ticket.settled.then(giveBack);
      return { kind: 'refused', failure: { kind: 'cancelled', requestId: request.id }, request };
  }
}

type First =
  | { readonly kind: 'settled'; readonly settlement: Settlement }
  | { readonly kind: 'timeout' | Interruption };

async function first(
  options: HoldOptions,
  request: ApprovalRequest,
  answer: Promise<Settlement>,
): Promise<First> {
  const what = describe(request.statement.verb, request.statement.relations);
  const say = (): void => options.notify?.(`${request.id} waits for approval in ${options.where}: ${what}`);
  if (options.waitMs > 0) say();
  const beat = setInterval(say, options.heartbeatMs);
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<First>((resolve) => {
    timer = setTimeout(() => resolve({ kind: 'timeout' }), options.waitMs);
  });
  try {
    return await Promise.race([
      answer.then((settlement): First => ({ kind: 'settled', settlement })),
      options.interrupted.then((kind): First => ({ kind })),
      timeout,
    ]);
  } finally {
    clearInterval(beat);
    clearTimeout(timer);
  }
}

function settled(settlement: Settlement): HoldEnd {
  const { request } = settlement;
  switch (settlement.kind) {
    case 'cleared':
      return { kind: 'cleared', request, approval: new Approval(settlement.clearance), grant: false };
    case 'denied':
    case 'expired':
    case 'withdrawn':
    case 'superseded':
      return { kind: 'refused', failure: { kind: settlement.kind, request }, request };
  }
}

async function giveBack(settlement: Settlement): Promise<void> {
  if (settlement.kind === 'cleared') await settlement.clearance.finish({ kind: 'unused', outcome: null });
}
