/** Names of a target's objects: what the server says of these and no others can hold no value. Indexed when first asked. */
import type { CatalogRelation } from '../../policy/types.ts';

export class CatalogNames {
  readonly #relations: readonly CatalogRelation[];
  #byName: ReadonlyMap<string, readonly CatalogRelation[]> | null = null;
  #columns: ReadonlySet<string> | null = null;
  #schemas: ReadonlySet<string> | null = null;

  constructor(relations: readonly CatalogRelation[]) {
    this.#relations = relations;
  }

  hasSchema(name: string): boolean {
    this.#schemas ??= new Set(this.#relations.map(({ schema }) => schema));
    return this.#schemas.has(name);
  }

  /** Any relation has a column of that name. */
  hasColumn(name: string): boolean {
    this.#columns ??= new Set(this.#relations.flatMap(({ columns }) => columns.map((one) => one.name)));
    return this.#columns.has(name);
  }

  /** `schema` null: in any. */
  relations(schema: string | null, name: string): readonly CatalogRelation[] {
    this.#byName ??= grouped(this.#relations);
    const all = this.#byName.get(name) ?? [];
    return schema === null ? all : all.filter((one) => one.schema === schema);
  }
}

function grouped(relations: readonly CatalogRelation[]): ReadonlyMap<string, readonly CatalogRelation[]> {
  const found = new Map<string, CatalogRelation[]>();
  for (const relation of relations) {
    const list = found.get(relation.name);
    if (list === undefined) found.set(relation.name, [relation]);
    else list.push(relation);
  }
  return found;
}
