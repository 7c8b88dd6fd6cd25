/** The policy in force, replaced as a whole or not at all. */
import { createHash } from 'node:crypto';
import { formatMistakes, parsePolicy } from './parse.ts';
import type { Mistake, Policy } from './types.ts';

export interface HeldPolicy {
  readonly policy: Policy;
  /** 16 hex characters of the text's SHA-256: the same text has the same version everywhere. */
  readonly version: string;
  readonly text: string;
  readonly warnings: readonly Mistake[];
}

export type Replaced =
  | { readonly kind: 'replaced'; readonly held: HeldPolicy }
  | { readonly kind: 'unchanged'; readonly held: HeldPolicy }
  /** The text has mistakes: the old policy stays in force. */
  | { readonly kind: 'refused'; readonly mistakes: readonly Mistake[] };

export interface PolicyHolder {
  current(): HeldPolicy;
  replace(text: string): Replaced;
  /** Called after each replacement. Returns the way to stop. */
  onChange(listener: (held: HeldPolicy) => void): () => void;
}

/** A first policy with mistakes: there is no old one to stay with. */
export class PolicyRefused extends Error {
  readonly mistakes: readonly Mistake[];
  constructor(file: string, mistakes: readonly Mistake[]) {
    super(
      `the policy has ${mistakes.length === 1 ? 'a mistake' : `${mistakes.length} mistakes`}:\n${formatMistakes(file, mistakes)}`,
    );
    this.name = 'PolicyRefused';
    this.mistakes = mistakes;
  }
}

export function policyVersion(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

/** Throws PolicyRefused. `file` is only for the messages. */
export function createPolicyHolder(text: string, file = 'policy.yaml'): PolicyHolder {
  const first = read(text);
  if (first.kind === 'refused') throw new PolicyRefused(file, first.mistakes);
  let held = first.held;
  const listeners = new Set<(held: HeldPolicy) => void>();
  return {
    current: () => held,
    replace(next) {
      if (policyVersion(next) === held.version) return { kind: 'unchanged', held };
      const result = read(next);
      if (result.kind === 'refused') return result;
      held = result.held;
      for (const listener of listeners) listener(held);
      return result;
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

function read(
  text: string,
): Extract<Replaced, { readonly kind: 'replaced' }> | Extract<Replaced, { readonly kind: 'refused' }> {
  const parsed = parsePolicy(text);
  if (parsed.kind === 'mistakes') return { kind: 'refused', mistakes: parsed.mistakes };
  return {
    kind: 'replaced',
    held: { policy: parsed.policy, version: policyVersion(text), text, warnings: parsed.warnings },
  };
}
