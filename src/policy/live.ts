/** The policy in force at a target, and changing it while the gateway runs. */
import type { Mistake } from './rules/types.ts';

/** Who changes a policy: an approver, named by the configuration as one who may. */
export interface PolicyAuthor {
  readonly id: string;
  readonly name: string;
  readonly email: string | null;
  /** Through a group of the role admin; else identity.policy_admins must name them. */
  readonly admin?: boolean;
  readonly surface: 'console' | 'cli' | 'api';
  /** Address of the client. */
  readonly source: string;
}

export interface PolicyChange {
  readonly version: string;
  readonly previous: string;
  /** Epoch milliseconds at which it came into force. */
  readonly at: number;
  /** null: the file was changed by other means; nobody knows by whom. */
  readonly author: string | null;
  readonly surface: PolicyAuthor['surface'] | null;
  /** The recording that holds it. */
  readonly session: string | null;
  /** As `diff -u` without headers. */
  readonly diff: string;
}

export interface PolicyView {
  readonly target: string;
  readonly text: string;
  readonly version: string;
  readonly warnings: readonly Mistake[];
  /** null: there is no file; it is the built-in or the demo's. */
  readonly path: string | null;
  readonly change: PolicyChange | null;
}

export type PutPolicy =
  | { readonly kind: 'replaced' | 'unchanged'; readonly view: PolicyView }
  | { readonly kind: 'no-target' }
  /** Nobody may, or not this approver. */
  | { readonly kind: 'not-allowed'; readonly anybody: boolean }
  | { readonly kind: 'no-file' }
  /** Somebody else changed it meanwhile: `version` is in force now. */
  | { readonly kind: 'stale'; readonly version: string }
  | { readonly kind: 'mistakes'; readonly mistakes: readonly Mistake[] }
  | { readonly kind: 'unrecorded' }
  | { readonly kind: 'unwritable'; readonly code: string };

export interface PolicyEditor {
  readonly targets: readonly string[];
  /** null: no such target. */
  view(target: string): PolicyView | null;
  /** May this approver change policies? */
  admits(approverId: string): boolean;
  /** `expected`: the version that the new text was made from. Never rejects. */
  put(target: string, text: string, expected: string, author: PolicyAuthor): Promise<PutPolicy>;
}
