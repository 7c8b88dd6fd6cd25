/** A catalog snapshot, indexed once and kept as long as the snapshot (and the policy's tags) live. */

import type { Collector } from '../facts/collector.ts';
import { digestOf } from '../parse/digest.ts';
import type { RelationName } from '../parse/node.ts';
import type { TagLookup } from '../rules/tags.ts';
import { WATCHED_TAG } from '../rules/types.ts';
import { type Grammar, grammarFor, NEWEST } from '../server.ts';
import {
  type CatalogForeignKey,
  type CatalogFunction,
  type CatalogOperator,
  type CatalogPolicy,
  type CatalogRelation,
  type CatalogSnapshot,
  MEMBERSHIPS,
  type RelationUse,
  type ResolutionContext,
} from '../types.ts';
import type { Deps, Origin, Rows, Shape, Tagged } from './deps.ts';
import { NONE } from './deps.ts';

/** What a view's definition or a function's body does, and what comes out of it. */
export interface Summary {
  readonly facts: Collector;
  readonly shape: Shape;
}
export interface TriggerSummary {
  readonly facts: Collector;
  /** It may quote the row in a notice or an error. */
  readonly raises: boolean;
}

/** Relations a name may stand for. Several when the search path is not known or the session has a temporary one. */
export interface Resolved {
  readonly relations: readonly CatalogRelation[];
  /** A relation of pg_catalog or information_schema, by name. */
  readonly system: { readonly schema: string; readonly name: string } | null;
  readonly temporary: boolean;
}

export class Env {
  readonly catalog: CatalogSnapshot | null;
  readonly tagsOf: TagLookup;
  /** Of the server: what is written there is read by it. */
  readonly grammar: Grammar;
  readonly bodies = new Map<string, Summary>();
  readonly triggers = new Map<string, TriggerSummary | null>();
  /** Attributes that a function's body reads of each row it is given; null: it may be any of them. */
  readonly rowsRead = new Map<number, readonly (ReadonlySet<string> | null)[]>();
  readonly shapes = new Map<number, Shape>();
  readonly generated = new Map<string, Shape>();
  readonly #byName = new Map<string, CatalogRelation[]>();
  readonly #byOid = new Map<number, CatalogRelation>();
  readonly #byIndex = new Map<string, CatalogRelation[]>();
  readonly #children = new Map<number, CatalogRelation[]>();
  readonly #referencing = new Map<number, CatalogForeignKey[]>();
  readonly #referenced = new Map<number, CatalogForeignKey[]>();
  readonly #bySchema = new Map<string, CatalogRelation[]>();
  readonly #functions = new Map<string, CatalogFunction[]>();
  readonly #operators = new Map<string, CatalogOperator[]>();
  /** Casts from types of users to built-in ones. */
  readonly casts: readonly (CatalogOperator & { readonly from: number })[];
  readonly #functionByOid = new Map<number, CatalogFunction>();
  readonly #types = new Map<string, number[]>();
  readonly #carriers = new Map<number, ReadonlySet<number>>();
  readonly #interned = new Map<string, Tagged>();
  readonly #origins = new Map<string, Deps>();
  readonly #rows = new Map<string, Rows>();
  readonly #digests = new Map<string, string>();
  #everyTag: ReadonlySet<Tagged> | null = null;
  #tags: boolean | null = null;
  #referring: ReadonlyMap<string, string> | null = null;
  #compared: ReadonlySet<number> | null = null;

  constructor(catalog: CatalogSnapshot | null, tagsOf: TagLookup, grammar: Grammar) {
    this.catalog = catalog;
    this.tagsOf = tagsOf;
    this.grammar = grammar;
    this.casts = (catalog?.customOperators ?? []).flatMap((one) =>
      one.from ? [{ ...one, from: one.from }] : [],
    );
    if (catalog === null) return;
    for (const relation of catalog.relations) {
      push(this.#byName, relation.name, relation);
      push(this.#bySchema, relation.schema, relation);
      this.#byOid.set(relation.oid, relation);
      for (const index of relation.indexes ?? []) push(this.#byIndex, index, relation);
      for (const parent of relation.parents) push(this.#children, parent, relation);
    }
    for (const key of catalog.foreignKeys) {
      push(this.#referencing, key.to, key);
      push(this.#referenced, key.from, key);
    }
    for (const fn of catalog.functions) {
      push(this.#functions, fn.name, fn);
      this.#functionByOid.set(fn.oid, fn);
    }
    for (const type of catalog.types ?? []) push(this.#types, type.name, type.oid);
    for (const operator of catalog.customOperators) push(this.#operators, operator.name, operator);
  }

  /** Users compare this type of the server's own. */
  comparedByUsers(oid: number): boolean {
    this.#compared ??= new Set(
      (this.catalog?.customOperators ?? []).flatMap(({ compared, type }) => (compared && type ? [type] : [])),
    );
    return this.#compared.has(oid);
  }

  relationByOid(oid: number): CatalogRelation | null {
    return this.#byOid.get(oid) ?? null;
  }

  functionByOid(oid: number): CatalogFunction | null {
    return this.#functionByOid.get(oid) ?? null;
  }

  /** Types of users that a name may stand for, in whatever schema, those of rows too. */
  typesNamed(name: string): readonly number[] {
    return [
      ...(this.#types.get(name) ?? []),
      ...(this.#byName.get(name) ?? []).flatMap(({ type }) => type ?? []),
    ];
  }

  /** Types whose values may bring about one of this type: what holds it, and what it is made of. */
  carriersOf(type: number): ReadonlySet<number> {
    const known = this.#carriers.get(type);
    if (known !== undefined) return known;
    const { types = [], relations = [] } = this.catalog ?? {};
    const found = new Set([type]);
    for (const made of found) {
      const part = types.find(({ oid }) => oid === made)?.part ?? 0;
      if (part !== 0) found.add(part);
    }
    for (const held of found) {
      for (const { oid, part } of types) if (part === held) found.add(oid);
      for (const { type, types: parts } of relations)
        if (type !== undefined && parts?.includes(held)) found.add(type);
    }
    this.#carriers.set(type, found);
    return found;
  }

  /** The table that an index is on; null where the session may mean another by that name. */
  tableOf(
    { schema, name }: Pick<RelationName, 'schema' | 'name'>,
    context: ResolutionContext,
  ): CatalogRelation | null {
    const { tempRelations, changed } = context;
    if (tempRelations.length > 0 || (changed ?? []).length > 0) return null;
    const all = this.#byIndex.get(name) ?? [];
    const [table, ...more] = inPath(all, schema === null ? context : { searchPath: [schema] });
    return table === undefined || more.length > 0 ? null : table;
  }

  childrenOf(oid: number): readonly CatalogRelation[] {
    return this.#children.get(oid) ?? [];
  }

  /** The parents of these, at any height, that are not among them. */
  above(children: readonly Pick<RelationUse, 'schema' | 'name'>[]): readonly string[] {
    const found = new Map<number, CatalogRelation>();
    const from = children.flatMap(({ schema, name }) =>
      (this.#byName.get(name) ?? []).filter((one) => one.schema === schema),
    );
    for (let at = from.pop(); at !== undefined; at = from.pop())
      for (const oid of at.parents) {
        const parent = this.#byOid.get(oid);
        if (parent === undefined || found.has(oid)) continue;
        found.set(oid, parent);
        from.push(parent);
      }
    return [...found.values()]
      .filter((one) => !children.some(({ schema, name }) => name === one.name && schema === one.schema))
      .map(({ schema, name }) => `${schema}.${name}`);
  }

  inSchema(schema: string): readonly CatalogRelation[] {
    return this.#bySchema.get(schema) ?? [];
  }

  referencing(oid: number): readonly CatalogForeignKey[] {
    return this.#referencing.get(oid) ?? [];
  }

  /** Its foreign keys. */
  keysOf(oid: number): readonly CatalogForeignKey[] {
    return this.#referenced.get(oid) ?? [];
  }

  /** At the other end of its foreign keys. */
  tiedTo(oid: number): readonly CatalogRelation[] {
    const others = [
      ...this.keysOf(oid).map(({ to }) => to),
      ...this.referencing(oid).map(({ from }) => from),
    ];
    return others.flatMap((other) => this.#byOid.get(other) ?? []);
  }

  resolve(name: Pick<RelationName, 'schema' | 'name'>, context: ResolutionContext): Resolved {
    const all = this.#byName.get(name.name) ?? [];
    if (name.schema !== null) {
      const { schema } = name;
      const relations = all.filter(
        (r) => r.schema === schema || (schema === 'pg_temp' && isTemporary(r.schema)),
      );
      const system = relations.length === 0 && isSystemSchema(schema) ? { schema, name: name.name } : null;
      const temporary = relations.length === 0 && isTemporary(schema) && hasTemporary(context, name.name);
      return { relations, system, temporary };
    }
    const temporary = hasTemporary(context, name.name);
    const relations = inPath(all, context);
    const own = all.filter((r) => isTemporary(r.schema) && !relations.includes(r));
    const system = name.name.startsWith('pg_')
      ? { schema: 'pg_catalog', name: name.name }
      : relations.length === 0 && (schemasOf(context)?.includes('information_schema') ?? false)
        ? { schema: 'information_schema', name: name.name }
        : null;
    return {
      relations: [...own, ...relations],
      system,
      temporary: temporary && own.length === 0,
    };
  }

  /** Functions outside pg_catalog that a call may mean: overloads are chosen by types we do not know, so every one counts. */
  functionsNamed(
    schema: string | null,
    name: string,
    context: ResolutionContext,
  ): readonly CatalogFunction[] {
    const all = this.#functions.get(name);
    if (all === undefined) return [];
    if (schema !== null) {
      return all.filter((f) => f.schema === schema || (schema === 'pg_temp' && isTemporary(f.schema)));
    }
    const path = schemasOf(context);
    return path === null ? all : all.filter((f) => path.includes(f.schema));
  }

  /** Operators, domains and types with casts that a name may mean and that run functions. */
  operatorsNamed(
    schema: string | null,
    name: string,
    context: ResolutionContext,
  ): readonly CatalogOperator[] {
    const all = this.#operators.get(name);
    if (all === undefined) return [];
    if (schema !== null) return all.filter((operator) => operator.schema === schema);
    const path = schemasOf(context);
    return path === null ? all : all.filter((o) => o.schema === 'pg_catalog' || path.includes(o.schema));
  }

  /** The policy is for roles that the session can never be, whatever it sets. */
  spared({ roles }: CatalogPolicy, { login, changed }: ResolutionContext): boolean {
    if (!roles || login === undefined || changed?.includes(MEMBERSHIPS) === true) return false;
    const known = this.catalog?.logins?.find(({ name }) => name === login);
    return known !== undefined && !roles.some((role) => known.roles.includes(role));
  }

  tag(schema: string, relation: string, column: string, comment: string | null): Tagged | null {
    const tag = this.#tagOf(schema, relation, column, comment);
    if (tag === null) return null;
    const key = `${schema}\0${relation}\0${column}\0${tag}`;
    let tagged = this.#interned.get(key);
    if (tagged === undefined) {
      tagged = { kind: 'tagged', schema, relation, column, tag };
      this.#interned.set(key, tagged);
    }
    return tagged;
  }

  #tagOf(schema: string, relation: string, column: string, comment: string | null): string | null {
    const own = this.tagsOf(schema, relation, column, comment);
    if (own !== null || this.tagsOf.untagged?.(schema, relation, column) === true) return own;
    this.#referring ??= this.#tagsByReference();
    return this.#referring.get(`${schema}\0${relation}\0${column}`) ?? null;
  }

  /** A foreign key holds values of the column that it refers to. */
  #tagsByReference(): ReadonlyMap<string, string> {
    const found = new Map<string, string>();
    this.#referring = found;
    for (let before = -1; before !== found.size; ) {
      before = found.size;
      for (const { from, to, columns, keys } of this.catalog?.foreignKeys ?? []) {
        const [own, other] = [this.relationByOid(from), this.relationByOid(to)];
        columns.forEach((column, i) => {
          const key = other?.columns.find(({ name }) => name === keys[i]);
          if (own === null || other === null || key === undefined) return;
          const tag = this.#tagOf(other.schema, other.name, key.name, key.comment);
          if (tag !== null && tag !== WATCHED_TAG) found.set(`${own.schema}\0${own.name}\0${column}`, tag);
        });
      }
    }
    return found;
  }

  /** Is there anything tagged? */
  get tags(): boolean {
    this.#tags ??= this.catalog === null || this.everyTag('', '', '').size > 0;
    return this.#tags;
  }

  /** An untagged column of a table. */
  stored(schema: string, relation: string, column: string): Deps {
    if (this.tagsOf.untagged?.(schema, relation, column) === true) return NONE;
    const name = `${schema}.${relation}`;
    return this.#origin(`${name}\0${column}`, () => ({ kind: 'stored', column, rows: this.#rowsOf(name) }));
  }

  rows(schema: string, relation: string): Deps {
    const name = `${schema}.${relation}`;
    return this.#origin(`${name}\0`, () => this.#rowsOf(name));
  }

  #rowsOf(name: string): Rows {
    const rows = this.#rows.get(name) ?? { kind: 'rows', name };
    this.#rows.set(name, rows);
    return rows;
  }

  /** Rows of a temporary or system relation: the session knows them. */
  known(relation: string): Deps {
    return this.#origin(relation, () => ({ kind: 'made' }));
  }

  /** What a function is given, as its body sees it. */
  parameters(oid: number): Deps {
    return this.#origin(`parameters of ${oid}`, () => ({ kind: 'made' }));
  }

  #origin(key: string, make: () => Origin): Deps {
    if (!this.tags) return NONE;
    let deps = this.#origins.get(key);
    if (deps === undefined) {
      deps = new Set([make()]);
      this.#origins.set(key, deps);
    }
    return deps;
  }

  /** One source for each tag that any column carries: what statistics and activity views may hold. */
  everyTag(schema: string, relation: string, column: string): Deps {
    if (this.#everyTag === null) {
      const found = new Map<string, Tagged>();
      for (const r of this.catalog?.relations ?? []) {
        for (const c of r.columns) {
          const tagged = this.tag(r.schema, r.name, c.name, c.comment);
          if (tagged !== null && !found.has(tagged.tag)) found.set(tagged.tag, tagged);
        }
      }
      this.#everyTag = new Set(found.values());
    }
    const deps = new Set<Tagged>();
    for (const { tag } of this.#everyTag) {
      const key = `${schema}\0${relation}\0${column}\0${tag}`;
      const tagged = this.#interned.get(key) ?? { kind: 'tagged', schema, relation, column, tag };
      this.#interned.set(key, tagged);
      deps.add(tagged);
    }
    return deps;
  }

  relationDigest(relation: CatalogRelation): string {
    return this.#digest(`r${relation.oid}`, () => [
      relation.schema,
      relation.name,
      relation.relkind,
      relation.definition ?? '',
      JSON.stringify(relation.columns.map((c) => [c.name, c.type, c.comment, c.generated, c.rowType ?? 0])),
      JSON.stringify([
        relation.parents,
        relation.ofType ?? 0,
        relation.triggers,
        relation.calls,
        relation.rules,
        relation.rowSecurity,
        relation.policies ?? [],
      ]),
      JSON.stringify(
        this.referencing(relation.oid).map(({ from, columns, keys, onDelete, onUpdate, calls = [] }) => [
          from,
          columns,
          keys,
          onDelete,
          onUpdate,
          calls,
        ]),
      ),
      JSON.stringify(this.keysOf(relation.oid).map(({ to, calls = [] }) => [to, calls])),
    ]);
  }

  functionDigest(fn: CatalogFunction): string {
    return this.#digest(`f${fn.oid}`, () => [
      fn.schema,
      fn.name,
      fn.language,
      fn.kind,
      fn.volatility,
      fn.body ?? '',
      JSON.stringify([
        fn.config,
        fn.securityDefiner,
        fn.calls,
        fn.defaults ?? [],
        fn.casts ?? [],
        fn.supports ?? [],
        fn.extension,
      ]),
      JSON.stringify([fn.parameters ?? [], fn.outputs ?? [], fn.rowType ?? 0]),
    ]);
  }

  #digest(key: string, parts: () => readonly string[]): string {
    let digest = this.#digests.get(key);
    if (digest === undefined) {
      digest = digestOf(parts());
      this.#digests.set(key, digest);
    }
    return digest;
  }
}

const cache = new WeakMap<CatalogSnapshot, WeakMap<TagLookup, Env>>();

/** `without`: the grammar where there is no catalog. */
export function envOf(catalog: CatalogSnapshot | null, tagsOf: TagLookup, without: Grammar = NEWEST): Env {
  if (catalog === null) return new Env(null, tagsOf, without);
  let byTags = cache.get(catalog);
  if (byTags === undefined) {
    byTags = new WeakMap();
    cache.set(catalog, byTags);
  }
  let env = byTags.get(tagsOf);
  if (env === undefined) {
    env = new Env(catalog, tagsOf, grammarFor(catalog));
    byTags.set(tagsOf, env);
  }
  return env;
}

export function isTemporary(schema: string): boolean {
  return schema.startsWith('pg_temp');
}

export function isSystemSchema(schema: string): boolean {
  return schema === 'pg_catalog' || schema === 'information_schema' || schema === 'pg_toast';
}

type Where = Pick<ResolutionContext, 'searchPath' | 'among'>;

function hasTemporary(context: ResolutionContext, name: string): boolean {
  return context.tempRelations.includes(name.toLowerCase()) || context.tempRelations.includes(name);
}

/** Null: any. */
export const schemasOf = ({ searchPath, among }: Where): readonly string[] | null =>
  searchPath ?? among ?? null;

function inPath(all: readonly CatalogRelation[], where: Where): readonly CatalogRelation[] {
  const { searchPath, among } = where;
  if (searchPath === null)
    return among === undefined ? all : all.filter(({ schema }) => among.includes(schema));
  for (const schema of searchPath) {
    const found = all.filter((r) => r.schema === schema);
    if (found.length > 0) return found;
  }
  return [];
}

function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}
