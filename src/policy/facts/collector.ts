/** Gathers what a walk finds; statements, views and function bodies each have one, and flow into the one above. */

import type { Deps, Origin, Tagged } from '../lineage/deps.ts';
import { Related } from '../lineage/related.ts';
import type {
  ColumnUse,
  RelationUse,
  SessionEffect,
  SettingChange,
  StatementClass,
  StatementFacts,
} from '../types.ts';
import { STATEMENT_CLASSES } from '../types.ts';

const RANK: ReadonlyMap<StatementClass, number> = new Map(
  STATEMENT_CLASSES.map((name, rank) => [name, rank]),
);
/** Up to here a statement changes no data by itself: an unknown inside makes the whole of it unknown. */
const HARMLESS_UP_TO = STATEMENT_CLASSES.indexOf('prepare');
/** Relations one statement may list: a view over thousands of partitions is cut here, and says so. */
const MAX_RELATIONS = 2_000;
/** Comparisons of one column with constants: more spell it out. */
export const MAX_CONSTANTS = 16;

export function moreRestrictive(a: StatementClass, b: StatementClass): StatementClass {
  return (RANK.get(a) ?? 0) >= (RANK.get(b) ?? 0) ? a : b;
}

export class Collector {
  class: StatementClass = 'empty';
  missingWhere = false;
  /** A tagged column is compared with or written here (not merely inside a view's definition): its literals are PII. */
  tainted = false;
  /** The text itself (not what it reaches) names a column or function that the catalog does not know. */
  unresolved = false;
  readonly relations = new Map<string, RelationUse>();
  readonly functions = new Set<string>();
  readonly unknowns = new Set<string>();
  readonly settings: SettingChange[] = [];
  readonly effects: SessionEffect[] = [];
  /** `(x).name`, which may be a call. */
  readonly attributes = new Set<string>();
  /** Row types of the columns of its relations: oid → name. */
  readonly types = new Map<number, string>();
  /** Casts to built-in types that something in it may run: by the type of users that they are from, and what they call. */
  readonly casts = new Map<number, Set<string>>();
  /** It calls, row by row, what tells how often it was called: how far every comparison has gone is told. */
  countsSteps = false;
  /** It calls bodies whose names the search path decides. */
  byPath = false;
  /** For several rows: whatever it compares may go by how often. */
  countsRows = false;
  /** It sorts, groups or compares. */
  compares = false;
  /** Functions of users that compare values of built-in types which may be met in it. */
  readonly comparisons = new Set<string>();
  /** Types of users that it names. */
  readonly named = new Set<number>();
  /** It names a type that cannot be told. */
  anyType = false;
  /** Relations whose reach has been followed (touch.ts). */
  readonly followed = new Set<string>();
  /** Keys of definitions the facts rely on → their digest. */
  readonly definitions = new Map<string, string>();
  /** What domains and stored expressions call of the values that they are given here, or of the rows that are written. */
  readonly checks = { values: new Set<string>(), rows: new Set<string>() };
  /** What triggers do depends on how these compare with the row that is written. */
  readonly branched = new Set<Tagged>();
  /** It writes rows that hold more than constants. */
  writesRows = false;
  /** What its predicates relate to one another. */
  readonly related = new Related();
  /** Rows are put in order, or into groups, by these. */
  readonly arranged = new Set<Tagged>();
  /** A frame of another window's order reaches so far by value: whatever orders rows is compared by what lies between. */
  framed = false;
  /** Relations with columns that an equality handed a tag: known rows tell more (`ResolutionContext.written`). */
  readonly handed = new Set<string>();
  readonly #uses: Record<ColumnUse['use'], Set<Tagged>> = {
    value: new Set(),
    predicate: new Set(),
    written: new Set(),
  };
  /** Worked out, whether or not anything reads it. */
  readonly #evaluated = new Set<Tagged>();
  /** Made of tagged columns, and kept while rows are sorted or stored: EXPLAIN ANALYZE prints how large that is. */
  readonly #sized = new Set<Tagged>();
  /** Compared by order: EXPLAIN estimates by the values that were sampled. */
  readonly #ranged = new Set<Tagged>();
  /** Parts of these are worked out: digits, letters. */
  readonly #taken = new Set<Tagged>();
  /** Comparisons of a tagged column with constants. */
  readonly #ladders = new Map<Tagged | Origin, Map<unknown, number>>();
  /** Where each relation is named. */
  readonly #named = new Map<string, Set<unknown>>();
  /** Where what comes out has its untagged values and its number of rows from. */
  readonly #told = new Set<Origin>();

  raise(to: StatementClass): void {
    this.class = moreRestrictive(this.class, to);
  }

  use(kind: ColumnUse['use'], deps: Deps): void {
    for (const dep of deps) {
      if (dep.kind === 'tagged') {
        this.#uses[kind].add(dep);
        if (kind !== 'value') this.tainted = true;
      } else if (kind === 'value') this.#told.add(dep);
    }
  }

  /** What evaluates it may fail at it or act on it. */
  evaluated(deps: Deps): void {
    for (const dep of deps) if (dep.kind === 'tagged') this.#evaluated.add(dep);
  }

  /** It may be as large as its value says: `repeat('x', pin)`. */
  sized(deps: Deps): void {
    for (const dep of deps) if (dep.kind === 'tagged') this.#sized.add(dep);
  }

  taken(deps: Deps): void {
    for (const dep of deps) if (dep.kind === 'tagged') this.#taken.add(dep);
  }

  ranged(deps: Deps): void {
    for (const dep of deps) if (dep.kind === 'tagged') this.#ranged.add(dep);
  }

  /** `weight`: how much of it one such comparison tells. */
  comparedAt(column: Tagged | Origin, node: unknown, weight = 1): void {
    const nodes = this.#ladders.get(column) ?? new Map();
    this.#ladders.set(column, nodes.set(node, weight));
  }

  /** Compared with so many constants, they are told. */
  #spelledOut(): readonly Tagged[] {
    const told: (Tagged | Origin)[] = [];
    for (const [column, nodes] of this.#ladders) {
      let steps = 0;
      for (const weight of nodes.values()) steps += weight;
      if (steps > MAX_CONSTANTS) told.push(column);
    }
    return [...told.filter((one): one is Tagged => one.kind === 'tagged'), ...this.related.tagsTold(told)];
  }

  /** Something of rows comes out, be it their number. */
  get tellsRows(): boolean {
    return this.#told.size > 0;
  }

  /** A relation is read here. */
  names(relation: string, node: unknown): void {
    this.#named.set(relation, (this.#named.get(relation) ?? new Set()).add(node));
  }

  /** It does more than read. */
  get acts(): boolean {
    return (RANK.get(this.class) ?? 0) > STATEMENT_CLASSES.indexOf('read');
  }

  get writes(): boolean {
    return [...this.relations.values()].some(({ access }) => access !== 'read');
  }

  /** A view named twice is its tables twice; so are those that it names twice itself. */
  namesAll(view: Collector, node: unknown): void {
    for (const relation of view.#named.keys()) {
      this.names(relation, node);
      if (view.namedTwice(relation)) this.names(relation, view);
    }
  }

  /** What it compares, apart from what it works out. */
  compared(): Iterable<Tagged> {
    return this.#uses.predicate;
  }

  /** Two columns of it may be of different rows. */
  namedTwice(relation: string): boolean {
    return (this.#named.get(relation)?.size ?? 0) > 1;
  }

  /** The number of rows at every step is shown: all that was compared is told. */
  tellSteps(): void {
    for (const member of this.related.all()) if (member.kind !== 'tagged') this.#told.add(member);
  }

  tells(origins: Iterable<Tagged | Origin>): boolean {
    for (const one of origins) if (one.kind !== 'tagged' && this.#told.has(one)) return true;
    return false;
  }

  /** How many rows there may be is shown, to any number of digits: how far the constant is from one value to the next. */
  tellEstimates(): void {
    this.use('value', this.#ranged);
  }

  /** How large it was at every step is shown. */
  tellSizes(): void {
    this.use('value', this.#sized);
  }

  uses(kind: ColumnUse['use']): ReadonlySet<Tagged> {
    switch (kind) {
      case 'value':
        if (this.countsSteps) this.tellSteps();
        return new Set([
          ...this.#uses.value,
          ...this.related.tagsTold(this.#told),
          ...this.#spelledOut(),
          ...(this.countsRows ? this.#uses.predicate : []),
          ...(this.framed ? this.arranged : [...this.#taken].filter((one) => this.arranged.has(one))),
        ]);
      case 'predicate':
        return new Set([...this.#uses.predicate, ...this.#evaluated]);
      case 'written':
        return this.#uses.written;
    }
  }

  relation(use: RelationUse): void {
    const key = `${use.schema ?? ''}\0${use.name}\0${use.access}`;
    const seen = this.relations.get(key);
    if (seen !== undefined && (!seen.indirect || use.indirect)) return;
    if (seen === undefined && this.relations.size >= MAX_RELATIONS) {
      this.unknowns.add('too many relations');
      return;
    }
    this.relations.set(key, use);
  }

  cast(from: number, calls: readonly string[]): void {
    const known = this.casts.get(from) ?? new Set();
    for (const called of calls) known.add(called);
    this.casts.set(from, known);
  }

  /** What a view or function body does is done by the statement that uses it. `tainted` does not spread from views. */
  absorb(inner: Collector, from: 'view' | 'function'): void {
    this.raise(inner.class);
    this.missingWhere ||= inner.missingWhere;
    for (const use of inner.relations.values()) this.relation({ ...use, indirect: true });
    for (const name of inner.functions) this.functions.add(name);
    for (const what of inner.unknowns) this.unknowns.add(what);
    for (const name of inner.attributes) this.attributes.add(name);
    for (const [oid, name] of inner.types) this.types.set(oid, name);
    for (const [from, calls] of inner.casts) this.cast(from, [...calls]);
    this.countsSteps ||= inner.countsSteps;
    this.countsRows ||= inner.countsRows;
    this.framed ||= inner.framed;
    this.compares ||= inner.compares;
    this.byPath ||= inner.byPath;
    for (const called of inner.comparisons) this.comparisons.add(called);
    for (const type of inner.named) this.named.add(type);
    for (const called of inner.checks.values) this.checks.values.add(called);
    for (const called of inner.checks.rows) this.checks.rows.add(called);
    for (const one of inner.branched) this.branched.add(one);
    this.writesRows ||= inner.writesRows;
    this.anyType ||= inner.anyType;
    for (const [key, digest] of inner.definitions) this.definitions.set(key, digest);
    this.settings.push(...inner.settings);
    const tainted = this.tainted;
    for (const kind of ['value', 'predicate', 'written'] as const) this.use(kind, inner.#uses[kind]);
    this.taken(inner.#taken);
    for (const one of inner.arranged) this.arranged.add(one);
    this.evaluated(inner.#evaluated);
    this.sized(inner.#sized);
    for (const origin of inner.#told) this.#told.add(origin);
    this.related.absorb(inner.related);
    for (const relation of inner.handed) this.handed.add(relation);
    for (const [column, nodes] of inner.#ladders)
      for (const [node, weight] of nodes) this.comparedAt(column, node, weight);
    // Those of a view are named where it is (relationShape).
    if (from === 'function')
      for (const [relation, nodes] of inner.#named) for (const node of nodes) this.names(relation, node);
    this.tainted = from === 'view' ? tainted : this.tainted;
  }

  finish(verb: string): StatementFacts {
    const opaque = this.unknowns.size > 0 && (RANK.get(this.class) ?? 0) <= HARMLESS_UP_TO;
    const columns: ColumnUse[] = [];
    const value = this.uses('value');
    const listed = new Set<string>();
    for (const use of ['value', 'predicate', 'written'] as const) {
      for (const dep of use === 'value' ? value : this.uses(use)) {
        if (use === 'predicate' && value.has(dep) && !this.#uses.predicate.has(dep)) continue;
        const { schema, relation, column, tag } = dep;
        // The row that a trigger fires on is told apart from others.
        const key = JSON.stringify([use, schema, relation, column, tag]);
        if (listed.has(key)) continue;
        listed.add(key);
        columns.push({ schema, relation, column, tag, use });
      }
    }
    return {
      class: opaque ? 'unknown' : this.class,
      relations: [...this.relations.values()],
      functions: [...this.functions],
      columns,
      missingWhere: this.missingWhere,
      unknowns: [...this.unknowns],
      ...(this.unresolved ? { unresolved: true } : {}),
      verb,
      settings: this.settings,
      effects: this.effects,
    };
  }
}
