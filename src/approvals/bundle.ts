/** A script asked for ahead of time: one lead with the card, one request for each statement that needs approval (docs/decisions/0005). */
import type { ApprovalRequest, BundleDraft, DeskStore, RequestPatch, RequestState } from './types.ts';

/** Each retry follows somebody else's progress; the next sweep goes on. */
const TRIES = 60;
const OPEN: readonly RequestState[] = ['pending', 'granted', 'executing'];

export const isPart = ({ bundle }: ApprovalRequest): boolean => (bundle?.index ?? 0) > 0;
export const isLead = ({ bundle }: ApprovalRequest): boolean => bundle?.index === 0;

/** The requests of a bundle, of its lead: nobody waits for any of them. */
export function bundleOf(
  lead: ApprovalRequest,
  parts: readonly BundleDraft[],
): { readonly lead: ApprovalRequest; readonly parts: readonly ApprovalRequest[] } {
  const of = parts.length;
  const nobody = { waiterLive: false, holder: null } as const;
  const bundle = { lead: lead.id, of } as const;
  return {
    lead: { ...lead, ...nobody, bundle: { ...bundle, index: 0, loose: false, changes: false } },
    parts: parts.map(({ index, loose, changes, fingerprint, statement }) => ({
      ...lead,
      ...nobody,
      id: `${lead.id}-${index}`,
      fingerprint,
      statement,
      // The lead speaks for all.
      impact: null,
      remindAt: null,
      escalateAt: null,
      bundle: { ...bundle, index, loose, changes },
    })),
  };
}

export interface BundleDesk {
  readonly store: DeskStore;
  readonly now: () => number;
  changed(request: ApprovalRequest): void;
}

export function createBundles({ store, now, changed }: BundleDesk) {
  const partsOf = (lead: string) => store.list({ lead, limit: 1000 });
  return {
    /** Definitions that it relies on are those that the script itself makes: so what it says before must have run, or runs in its own session. */
    async inTurn({ bundle }: ApprovalRequest, sessionId: string): Promise<boolean> {
      if (!bundle?.loose) return true;
      const parts = await partsOf(bundle.lead);
      return parts.every(
        (part) =>
          part.bundle == null ||
          part.bundle.index >= bundle.index ||
          !part.bundle.changes ||
          part.state === 'executed' ||
          // Uncommitted, another session would not see it.
          (part.state === 'executing' && part.sessionId === sessionId),
      );
    },

    /** What has become of the parts, told by the lead. */
    async follow(id: string): Promise<void> {
      for (let attempt = 0; attempt < TRIES; attempt += 1) {
        const lead = await store.get(id);
        if (lead === null || lead.state !== 'granted') return;
        const patch = progress(lead, await partsOf(id), now());
        if (patch === null) return;
        const told = await store.transition(id, ['granted'], patch, { version: lead.version });
        // Told by somebody else, who may have looked before this part ended.
        if (told === null) continue;
        changed(told);
        return;
      }
    },
  };
}

function progress(lead: ApprovalRequest, parts: readonly ApprovalRequest[], at: number): RequestPatch | null {
  const count = (...states: readonly RequestState[]) =>
    parts.filter(({ state }) => states.includes(state)).length;
  const ran = count('executed');
  const note = `${ran} of ${parts.length} run`;
  if (count(...OPEN) > 0) return note === lead.note || ran === 0 ? null : { state: 'granted', note };
  const state: RequestState =
    count('failed') > 0 ? 'failed' : count('unknown') > 0 ? 'unknown' : ran > 0 ? 'executed' : 'lapsed';
  return { state, note, endedAt: at };
}
