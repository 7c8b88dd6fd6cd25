/**
 * Which relations of a target each owner has written, as far as this process knows: their rows are no news to the owner, so that
 * comparing them with a tagged column spells it out (policy's `ResolutionContext.written`). Kept as long as the process lives.
 */
import { writtenBy } from '../policy/resolution.ts';
import type { Facts } from '../policy/types.ts';

/** Per owner; whoever wrote more has written all of them. */
const MAX_RELATIONS = 5_000;
const MAX_OWNERS = 10_000;

export class WrittenRelations {
  readonly #owners = new Map<string, Set<string> | 'any'>();
  /** Of all that came after there was no more room. */
  #others: 'none' | 'any' = 'none';

  note(owner: string | null, facts: Facts): void {
    const names = facts.statements.flatMap(writtenBy);
    if (names.length === 0 || this.#others === 'any') return;
    const key = owner ?? '';
    let known = this.#owners.get(key);
    if (known === 'any') return;
    if (known === undefined) {
      if (this.#owners.size >= MAX_OWNERS) {
        this.#others = 'any';
        return;
      }
      known = new Set();
      this.#owners.set(key, known);
    }
    for (const name of names) known.add(name);
    if (known.size > MAX_RELATIONS) this.#owners.set(key, 'any');
  }

  /** Those of `names` that the owner has written. */
  among(owner: string | null, names: readonly string[]): readonly string[] {
    const known = this.#others === 'any' ? 'any' : this.#owners.get(owner ?? '');
    if (known === undefined) return [];
    return known === 'any' ? names : names.filter((name) => known.has(name));
  }
}
