/**
 * What predicates relate to one another. Within one group a value of one member may be told by another: of `series = c.salary` every
 * number that comes out is a salary, and so is their count.
 */
import type { Origin, Tagged } from './deps.ts';

type Member = Tagged | Origin;

export class Related {
  readonly #parents = new Map<Member, Member>();

  join(members: Iterable<Member>): void {
    let first: Member | null = null;
    for (const member of members) {
      const root = this.#root(member);
      if (first === null) first = root;
      else if (root !== first) this.#parents.set(root, first);
    }
  }

  absorb(other: Related): void {
    for (const [member, parent] of other.#parents) this.join([member, parent]);
  }

  has(members: Iterable<Member>): boolean {
    for (const member of members) if (this.#parents.has(member)) return true;
    return false;
  }

  /** Everything that was ever related. */
  all(): Iterable<Member> {
    return this.#parents.keys();
  }

  /** The tagged columns in the groups of these. */
  tagsTold(by: Iterable<Member>): ReadonlySet<Tagged> {
    const roots = new Set<Member>();
    for (const member of by) if (this.#parents.has(member)) roots.add(this.#root(member));
    const told = new Set<Tagged>();
    for (const member of this.#parents.keys())
      if (member.kind === 'tagged' && roots.has(this.#root(member))) told.add(member);
    return told;
  }

  #root(member: Member): Member {
    let at = member;
    for (let up = this.#parents.get(at); up !== at; up = this.#parents.get(at)) {
      if (up === undefined) {
        this.#parents.set(at, at);
        break;
      }
      at = up;
    }
    this.#parents.set(member, at);
    return at;
  }
}
