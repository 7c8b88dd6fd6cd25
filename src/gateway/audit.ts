/** What approvers did to the gateway itself, recorded as sessions are: changes of a policy, values that were shown. */
import { randomBytes } from 'node:crypto';
import type { Recorder, SessionRecording } from '../recordings/types.ts';
import type { Target } from './types.ts';

/** Ids of such recordings begin so; those of sessions begin otherwise, and no client chooses one. */
const PREFIXES = { policy: 'pol_', reveal: 'rev_' } as const;

/** It holds nothing that a client sent. */
export const isAudit = (id: string): boolean =>
  Object.values(PREFIXES).some((prefix) => id.startsWith(prefix));

export interface AuditBy {
  readonly id: string;
  readonly name: string;
  readonly email?: string | null;
  readonly surface: string;
  readonly source?: string;
}

/** `by` null: the policy's file, by whom is not known. Throws when it cannot be recorded. */
export function openAudit(
  recorder: Pick<Recorder, 'open'>,
  kind: keyof typeof PREFIXES,
  target: Pick<Target, 'name' | 'environment' | 'database'>,
  by: AuditBy | null,
  at: number,
): { readonly id: string; readonly recording: SessionRecording } {
  const id = `${PREFIXES[kind]}${randomBytes(10).toString('hex')}`;
  const recording = recorder.open({
    id,
    ownerId: by?.id ?? null,
    ownerName: by?.name ?? null,
    ownerEmail: by?.email ?? null,
    agent: null,
    subject: by?.id ?? 'policy file',
    credentialId: by === null ? 'file' : `approver:${by.surface}`,
    target: target.name,
    environment: target.environment,
    database: target.database,
    role: 'none',
    clientAddress: by?.source ?? '',
    applicationName: `holdpoint ${kind}`,
    startedAt: at,
  });
  return { id, recording };
}
