/**
 * The parse tree as libpg-query prints it: JSON in which a node is wrapped as `{ Kind: { … } }`, except where PostgreSQL's
 * struct has a typed field (`relation`, `typeName`, `withClause`, `larg` …): there the inner object stands bare.
 */
export type Tree = { readonly [field: string]: unknown };

export interface Wrapped {
  readonly kind: string;
  readonly node: Tree;
}

export function asTree(value: unknown): Tree | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Tree) : null;
}

export function asList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

export function asText(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** `{ Kind: {…} }` → kind and node; null for bare objects, lists and scalars. Field names start in lower case, kinds in upper case. */
export function unwrap(value: unknown): Wrapped | null {
  const tree = asTree(value);
  if (tree === null) return null;
  for (const kind in tree) {
    const first = kind.charCodeAt(0);
    if (first < 65 || first > 90) return null;
    const node = asTree(tree[kind]);
    return node === null ? null : { kind, node };
  }
  return null;
}

/** The node when it is of this kind. */
export function nodeOf(value: unknown, kind: string): Tree | null {
  return asTree(asTree(value)?.[kind]);
}

/** A typed field: wrapped or bare. */
export function bare(value: unknown, kind: string): Tree | null {
  return nodeOf(value, kind) ?? asTree(value);
}

/** `[{ String: { sval } } …]` → the names; other members (A_Star, subscripts) as null. */
export function names(value: unknown): (string | null)[] {
  return asList(value).map((item) => {
    const text = nodeOf(item, 'String');
    return text === null ? null : asText(text['sval']);
  });
}

/** The last name of a dotted name, and the one before it. */
export function qualified(value: unknown): { readonly schema: string | null; readonly name: string } {
  const parts = names(value);
  return { schema: parts.at(-2) ?? null, name: parts.at(-1) ?? '' };
}

/** The literal of an A_Const as text, through type casts; null when it is no literal (or NULL). */
export function literalText(value: unknown): string | null {
  const cast = nodeOf(value, 'TypeCast');
  if (cast !== null) return literalText(cast['arg']);
  const named = nodeOf(value, 'NamedArgExpr');
  if (named !== null) return literalText(named['arg']);
  const constant = nodeOf(value, 'A_Const');
  if (constant === null) return null;
  const text = asTree(constant['sval']);
  if (text !== null) return asText(text['sval']);
  const real = asTree(constant['fval']);
  if (real !== null) return asText(real['fval']);
  const whole = asTree(constant['ival']);
  if (whole !== null) return String(typeof whole['ival'] === 'number' ? whole['ival'] : 0);
  const truth = asTree(constant['boolval']);
  if (truth !== null) return truth['boolval'] === true ? 'true' : 'false';
  return null;
}

export interface RelationName {
  readonly schema: string | null;
  readonly name: string;
  /** false under ONLY. */
  readonly inherits: boolean;
  readonly alias: string | null;
  readonly aliasColumns: readonly string[];
  readonly temporary: boolean;
}

export function relationName(rangeVar: Tree): RelationName {
  const alias = asTree(rangeVar['alias']);
  return {
    schema: typeof rangeVar['schemaname'] === 'string' ? rangeVar['schemaname'] : null,
    name: asText(rangeVar['relname']),
    inherits: rangeVar['inh'] === true,
    alias: alias === null ? null : asText(alias['aliasname']),
    aliasColumns: alias === null ? [] : names(alias['colnames']).map((name) => name ?? ''),
    temporary: rangeVar['relpersistence'] === 't',
  };
}

/** `schema.name`, as the catalog writes functions. */
export function splitName(full: string): [schema: string, name: string] {
  const dot = full.indexOf('.');
  return [full.slice(0, dot), full.slice(dot + 1)];
}
