/** What has to work for statements to be judged, held, recorded and run: what `/readyz` looks at. */
import type { TargetSettings } from './config.ts';
import type { HealthCheck } from './console/health.ts';
import { probeTarget } from './gateway/upstream/probe.ts';
import { probeRecordings } from './recordings/probe.ts';
import { type Store, StoreFailure } from './store/store.ts';

const FRESH_MS = 1_000;
/** A look at a target is a login there. */
const TARGET_FRESH_MS = 5_000;

export function readinessChecks(of: {
  readonly store: Pick<Store, 'ping'>;
  readonly recordings: string;
  readonly targets: readonly TargetSettings[];
}): readonly HealthCheck[] {
  return [
    { name: 'store', freshMs: FRESH_MS, look: () => storeFault(of.store) },
    { name: 'recorder', freshMs: FRESH_MS, look: () => probeRecordings(of.recordings) },
    ...of.targets.map((target) => ({
      name: `target ${target.name}`,
      freshMs: TARGET_FRESH_MS,
      look: () => targetFault(target),
    })),
  ];
}

async function storeFault(store: Pick<Store, 'ping'>): Promise<string | null> {
  try {
    await store.ping();
    return null;
  } catch (error) {
    // Its message carries a code and nothing else; others may quote what they like.
    return error instanceof StoreFailure ? error.message : 'The store could not be reached.';
  }
}

async function targetFault(target: TargetSettings): Promise<string | null> {
  const {
    faults: [fault],
  } = await probeTarget(target, 'holdpoint readyz');
  return fault === undefined ? null : `It cannot be used now: ${fault}.`;
}
