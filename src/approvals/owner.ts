/** What the owner alone may do to a request of theirs. */
import { isOwner, isReasonKept } from './authorise.ts';
import { normaliseId } from './ids.ts';
import { named, plain } from './text.ts';
import type {
  ApprovalRequest,
  DecideResult,
  Desk,
  DeskStore,
  Person,
  RequestPatch,
  RequestState,
} from './types.ts';
import { lostSentence, reasonKeptSentence, refusalSentence, SURFACES } from './words.ts';

/** Each retry follows somebody else's change; this many in a row mean that something is wrong. */
const TRIES = 60;

export interface OwnerDesk {
  readonly store: DeskStore;
  readonly now: () => number;
  changed(request: ApprovalRequest): void;
  /** The work, or `unavailable` when the store cannot be asked. */
  answered(work: () => Promise<DecideResult>): Promise<DecideResult>;
}

export function createOwner({
  store,
  now,
  changed,
  answered,
}: OwnerDesk): Pick<Desk, 'withdraw' | 'explain'> {
  const act = (
    typed: string,
    by: Person,
    from: readonly RequestState[],
    patch: RequestPatch,
  ): Promise<DecideResult> =>
    answered(async () => {
      const id = normaliseId(typed);
      for (let attempt = 0; attempt < TRIES; attempt += 1) {
        const request = await store.get(id);
        if (request === null || !isOwner(request, by)) {
          const why = request === null ? 'no-such-request' : 'not-owner';
          return { kind: 'refused', why, request, sentence: refusalSentence(why, request, now()) };
        }
        if (!from.includes(request.state))
          return { kind: 'lost', request, sentence: lostSentence(request, now()) };
        if (patch.purpose !== undefined && isReasonKept(request))
          return { kind: 'lost', request, sentence: reasonKeptSentence(request) };
        const done = await store.transition(id, [request.state], patch, { version: request.version });
        if (done === null) continue;
        changed(done);
        return { kind: 'settled', request: done };
      }
      throw new Error('an owner was never heard');
    });

  return {
    withdraw({ id, by, note }) {
      const said = plain(note ?? '', 100);
      const words = `by ${named(by.name, 'its owner')} ${SURFACES[by.surface]}${said === '' ? '' : `: ${said}`}`;
      const over = { note: words, endedAt: now(), waiterLive: false, holder: null };
      return act(id, by, ['pending', 'granted'], { state: 'withdrawn', ...over });
    },
    explain: ({ id, by, reason }) =>
      act(id, by, ['pending'], { state: 'pending', purpose: plain(reason, 300) || null }),
  };
}
