/**
 * Names in the reach of a WHERE, and what an expression is made from: the row that is to be changed, copies of it (an unrestricted
 * read of the same relation, by its name, an alias, a subquery, WITH or a view), or anything else.
 */
import type { Context } from '../lineage/context.ts';
import { ANYWHERE, definedIn, viewSummary } from '../lineage/definitions.ts';
import type { RelationName, Tree } from '../parse/node.ts';
import { asList, asText, asTree, names, nodeOf, qualified, relationName, unwrap } from '../parse/node.ts';
import { parse } from '../parse/parser.ts';
import type { CatalogRelation } from '../types.ts';

export interface Ctes {
  readonly name: string;
  readonly query: unknown;
  readonly next: Ctes | null;
}

/** Whose rows are to be chosen. */
export interface Target {
  readonly alias: string;
  readonly name: RelationName;
  /** null: the catalog does not know the table, so that any column may be its own. */
  readonly relation: CatalogRelation | null;
  /** A copy looked at for itself: its columns by their names there. */
  readonly columns?: Source['columns'];
}

interface Source {
  readonly alias: string;
  /** null: unknown. `repeats`: the column of the target that it repeats, row by row. */
  readonly columns: readonly { readonly name: string; readonly repeats: string | null }[] | null;
  /** A relation: it has system columns. */
  readonly relation: boolean;
}

/** One query's names; `target`: the row to be changed is named at this level. */
export interface Reach {
  readonly context: Context;
  readonly target: Target | null;
  readonly of: Target;
  readonly sources: readonly Source[];
  readonly outer: Reach | null;
  readonly ctes: Ctes | null;
  /** Queries still to be looked at. */
  readonly budget: { left: number };
  readonly seen: Map<Tree, Below>;
}
interface Below {
  readonly reach: Reach;
  readonly conditions: readonly unknown[];
}
/** The budget is spent. */
export class Undecided extends Error {}
const BUDGET = 1_000;

export interface Inputs {
  /** Columns of the row to be changed, `*` for all of it. */
  readonly row: Set<string>;
  readonly copies: Set<string>;
  /** How often those are named. */
  count: number;
  /** Columns of other relations, and whatever else varies. */
  other: boolean;
  /** Constants and parameters. */
  fixed: boolean;
  aggregate: string | null;
}

/** Does some condition leave rows of `reach.target` out? (limits.ts) */
export type Restricts = (conditions: readonly unknown[], reach: Reach) => boolean;

const SYSTEM = new Set(['ctid', 'xmin', 'xmax', 'tableoid', 'cmin', 'cmax']);
export const AGGREGATES =
  /^(?:count|sum|avg|min|max|any_value|bool_and|bool_or|every|(?:array|string|json|jsonb|xml|range)_\w*agg|\w+_agg|bit_(?:and|or|xor)|std\w*|var\w*|corr|covar_\w+|regr_\w+|mode|percentile_\w+)$/;

export function targetReach(
  target: Target,
  from: unknown,
  ctes: Ctes | null,
  context: Context,
  restricts: Restricts,
  where: unknown,
): Below {
  const budget = { left: BUDGET };
  const base: Reach = {
    context,
    target,
    of: target,
    sources: [],
    outer: null,
    ctes,
    budget,
    seen: new Map(),
  };
  return within(base, from, where, restricts);
}

/** The reach of a query below, and its conditions: WHERE and those of inner joins. */
export function queryReach(query: Tree, outer: Reach, restricts: Restricts): Below {
  const known = outer.seen.get(query);
  if (known !== undefined) return known;
  spend(outer);
  const ctes = withQueries(query, outer.ctes);
  const base: Reach = { ...outer, target: null, sources: [], outer, ctes, seen: new Map() };
  const found = within(base, query['fromClause'], query['whereClause'], restricts);
  outer.seen.set(query, found);
  return found;
}

function spend({ budget }: Reach): void {
  budget.left -= 1;
  if (budget.left < 0) throw new Undecided();
}

export function withQueries(query: Tree, outer: Ctes | null): Ctes | null {
  let ctes = outer;
  const clause = nodeOf(query['withClause'], 'WithClause') ?? asTree(query['withClause']);
  for (const item of asList(clause?.['ctes'])) {
    const cte = nodeOf(item, 'CommonTableExpr');
    if (cte !== null) ctes = { name: asText(cte['ctename']), query: cte, next: ctes };
  }
  return ctes;
}

function within(base: Reach, from: unknown, where: unknown, restricts: Restricts): Below {
  const conditions: unknown[] = where === undefined || where === null ? [] : [where];
  const found: Source[] = [];
  for (const item of asList(from)) collect(item, base, conditions, found, restricts);
  // A copy that something leaves rows out of is no copy.
  const open = (source: Source): boolean => {
    const alone: Target = { ...base.of, alias: source.alias, columns: source.columns };
    const others = found.filter((other) => other !== source);
    const row = base.target === null ? [] : [copyOf(base.target)];
    const outer = base.outer === null ? null : asCopies(base.outer);
    return !restricts(conditions, {
      ...base,
      of: alone,
      target: alone,
      sources: [...others, ...row],
      outer,
      seen: new Map(),
    });
  };
  const sources = found.map((source) =>
    open(source)
      ? source
      : { ...source, columns: source.columns?.map(({ name }) => ({ name, repeats: null })) ?? null },
  );
  return { reach: { ...base, sources, seen: new Map() }, conditions };
}

function asCopies(reach: Reach): Reach {
  const row = reach.target === null ? [] : [copyOf(reach.target)];
  return {
    ...reach,
    target: null,
    sources: [...reach.sources, ...row],
    outer: reach.outer === null ? null : asCopies(reach.outer),
    seen: new Map(),
  };
}

function copyOf({ alias, relation }: Target): Source {
  const columns = relation?.columns.map(({ name }) => ({ name, repeats: name })) ?? null;
  return { alias, columns, relation: true };
}

function collect(
  item: unknown,
  base: Reach,
  conditions: unknown[],
  found: Source[],
  restricts: Restricts,
): void {
  const wrapped = unwrap(item);
  if (wrapped === null) return;
  const { kind, node } = wrapped;
  switch (kind) {
    case 'RangeVar':
      found.push(ranged(relationName(node), base, restricts));
      return;
    case 'JoinExpr': {
      const first = found.length;
      collect(node['larg'], base, conditions, found, restricts);
      const second = found.length;
      collect(node['rarg'], base, conditions, found, restricts);
      if (node['jointype'] !== 'JOIN_INNER') return;
      if (node['quals'] !== undefined) conditions.push(node['quals']);
      for (const column of names(node['usingClause'])) {
        const sides = [found[first], found[second]].map((side) => ({
          ColumnRef: {
            fields: [{ String: { sval: side?.alias ?? '' } }, { String: { sval: column ?? '' } }],
          },
        }));
        conditions.push({
          A_Expr: { kind: 'AEXPR_OP', name: [{ String: { sval: '=' } }], lexpr: sides[0], rexpr: sides[1] },
        });
      }
      return;
    }
    case 'RangeSubselect': {
      const alias = asTree(node['alias']);
      const lateral =
        node['lateral'] === true ? base : { ...base, target: null, sources: [], seen: new Map() };
      const columns = outputs(node['subquery'], lateral, restricts);
      found.push(renamed(asText(alias?.['aliasname']), names(alias?.['colnames']), columns, false));
      return;
    }
    default: {
      const alias = asTree(node['alias']);
      const defined = asList(node['coldeflist']).map((one) => asText(nodeOf(one, 'ColumnDef')?.['colname']));
      const named = [...names(alias?.['colnames']).map((name) => name ?? ''), ...defined];
      const columns = named.length > 0 ? named.map((name) => ({ name, repeats: null })) : null;
      found.push({ alias: asText(alias?.['aliasname']), columns, relation: false });
    }
  }
}

function renamed(
  alias: string,
  colnames: readonly (string | null)[],
  columns: Source['columns'],
  relation: boolean,
): Source {
  const own = columns?.map((column, i) => ({ ...column, name: colnames[i] ?? column.name })) ?? null;
  return { alias, columns: own, relation };
}

function ranged(name: RelationName, base: Reach, restricts: Restricts): Source {
  const alias = name.alias ?? name.name;
  const { context, of } = base;
  if (name.schema === null) {
    for (let at = base.ctes; at !== null; at = at.next) {
      if (at.name !== name.name) continue;
      const cte = asTree(at.query);
      const below = { ...base, target: null, sources: [], outer: null, ctes: at.next, seen: new Map() };
      const columns = renamed(
        '',
        names(cte?.['aliascolnames']),
        outputs(cte?.['ctequery'], below, restricts),
        false,
      ).columns;
      return renamed(alias, name.aliasColumns, columns, false);
    }
  }
  const { relations } = context.env.resolve(name, context.resolution);
  const [relation, ...more] = relations;
  if (sameRelation(name, relations, of, context)) {
    const columns =
      (of.relation ?? relation)?.columns.map((column) => ({ name: column.name, repeats: column.name })) ??
      null;
    return renamed(alias, name.aliasColumns, columns, true);
  }
  if (relation === undefined || more.length > 0) return { alias, columns: null, relation: true };
  const plain = relation.columns.map((column) => ({ name: column.name, repeats: null }));
  const view = relation.relkind === 'v' ? definitionOf(relation, base, restricts) : null;
  const columns = plain.map((column, i) => ({ name: column.name, repeats: view?.[i]?.repeats ?? null }));
  return renamed(alias, name.aliasColumns, columns, true);
}

function definitionOf(view: CatalogRelation, base: Reach, restricts: Restricts): Source['columns'] {
  const context = { ...base.context, resolution: definedIn(base.context) };
  const parsed = view.definition === null ? null : parse(view.definition, context.env.grammar);
  const statement = parsed?.kind === 'parsed' ? parsed.statements[0] : undefined;
  if (statement === undefined) return null;
  const below = { ...base, context, target: null, sources: [], outer: null, ctes: null, seen: new Map() };
  return outputs({ [statement.kind]: statement.node }, below, restricts);
}

/** The target itself, or what it is a part of. */
function sameRelation(
  name: RelationName,
  relations: readonly CatalogRelation[],
  { name: target, relation }: Target,
  context: Context,
): boolean {
  if (relation === null)
    return name.name === target.name && (name.schema ?? target.schema) === (target.schema ?? name.schema);
  const reached = new Set<number>([relation.oid]);
  // Writing a view writes the table below.
  if (relation.relkind === 'v')
    for (const base of viewSummary(relation, context).facts.relations.values())
      for (const { oid } of context.env.resolve(base, ANYWHERE).relations) reached.add(oid);
  for (const oid of reached)
    for (const parent of context.env.relationByOid(oid)?.parents ?? []) reached.add(parent);
  return relations.some(({ oid }) => reached.has(oid));
}

/** Columns of a query, and which of the target's they repeat; null: unknown. */
function outputs(value: unknown, outer: Reach, restricts: Restricts): Source['columns'] {
  return (
    answer(value, outer, restricts)?.map(({ name, inputs }) => {
      const own = [...inputs.row, ...inputs.copies];
      const [only, ...more] = own;
      const repeats =
        only !== undefined && more.length === 0 && !inputs.other && inputs.aggregate === null ? only : null;
      return { name, repeats };
    }) ?? null
  );
}

interface Output {
  readonly name: string;
  readonly inputs: Inputs;
}

/** What a query puts out, column by column. `other` where something else leaves rows of it out. */
export function answer(value: unknown, outer: Reach, restricts: Restricts): readonly Output[] | null {
  const query = nodeOf(value, 'SelectStmt') ?? asTree(value);
  if (query === null || !('limitOption' in query)) return null;
  if (query['op'] !== 'SETOP_NONE') {
    const below = { ...outer, ctes: withQueries(query, outer.ctes), seen: new Map() };
    const [left, right] = [answer(query['larg'], below, restricts), answer(query['rarg'], below, restricts)];
    if (left === null || right === null) return null;
    const union = query['op'] === 'SETOP_UNION';
    const reads = asTree(query['rarg'])?.['fromClause'] !== undefined;
    return left.map((column, i) => {
      const other = right[i]?.inputs;
      if (query['op'] === 'SETOP_EXCEPT') return reads ? mark(column) : column;
      if (other === undefined) return mark(column);
      const copies = (inputs: Inputs): boolean => inputs.copies.size > 0 && !inputs.other;
      if (union) return copies(other) ? { name: column.name, inputs: other } : column;
      return copies(column.inputs) && copies(other) ? column : mark(column);
    });
  }
  const { reach } = queryReach(query, outer, restricts);
  const grouped = asList(query['groupClause']);
  const counts = (limit: unknown): boolean =>
    limit !== undefined &&
    nodeOf(limit, 'A_Const')?.['isnull'] !== true &&
    nodeOf(limit, 'A_Const')?.['ival'] !== undefined
      ? JSON.stringify(nodeOf(limit, 'A_Const')?.['ival']) !== '{}'
      : limit !== undefined && nodeOf(limit, 'A_Const') === null;
  const distinctOn = asList(query['distinctClause']).some((one) => unwrap(one) !== null);
  const cut =
    counts(query['limitCount']) ||
    counts(query['limitOffset']) ||
    distinctOn ||
    query['havingClause'] !== undefined;
  const found: Output[] = [];
  for (const item of asList(query['targetList'])) {
    const target = nodeOf(item, 'ResTarget');
    const fields = names(nodeOf(target?.['val'], 'ColumnRef')?.['fields']);
    if (fields.at(-1) === null) {
      for (const source of reach.sources) {
        if (fields.length > 1 && source.alias !== fields.at(-2)) continue;
        if (source.columns === null) return null;
        for (const column of source.columns)
          found.push({ name: column.name, inputs: repeated(column.repeats) });
      }
      continue;
    }
    const inputs = inputsOf(target?.['val'], reach, restricts);
    // One value for each group, of those that the group is made by.
    if (inputs.aggregate !== null && grouped.length > 0) {
      const by = grouped.flatMap((one) => [...own(inputsOf(one, reach, restricts))]);
      if ([...own(inputs)].every((column) => by.includes(column))) inputs.aggregate = null;
      else inputs.other = true;
    }
    found.push({ name: asText(target?.['name']) || (fields.at(-1) ?? ''), inputs });
  }
  const lists = asList(query['valuesLists']).map((list) => asList(nodeOf(list, 'List')?.['items']));
  lists[0]?.forEach((one, i) => {
    const inputs = inputsOf(one, reach, restricts);
    // Which of them is met cannot be told.
    if (lists.slice(1).some((list) => own(inputsOf([one, list[i]], reach, restricts)).size > 0))
      throw new Undecided();
    found.push({ name: `column${i + 1}`, inputs });
  });
  return cut ? found.map(mark) : found;
}

const mark = (column: Output): Output => ({ ...column, inputs: { ...column.inputs, other: true } });
const nothing = (): Inputs => ({
  row: new Set(),
  copies: new Set(),
  count: 0,
  other: false,
  fixed: false,
  aggregate: null,
});
const repeated = (column: string | null): Inputs => ({
  ...nothing(),
  copies: new Set(column === null ? [] : [column]),
  other: column === null,
});
export const own = (inputs: Inputs): ReadonlySet<string> => new Set([...inputs.row, ...inputs.copies]);

export function inputsOf(value: unknown, reach: Reach, restricts: Restricts): Inputs {
  const found = nothing();
  gather(value, reach, restricts, found);
  return found;
}

function gather(value: unknown, reach: Reach, restricts: Restricts, into: Inputs): void {
  if (Array.isArray(value)) {
    for (const item of value) gather(item, reach, restricts, into);
    return;
  }
  const tree = asTree(value);
  if (tree === null) return;
  const wrapped = unwrap(tree);
  switch (wrapped?.kind) {
    case 'A_Const':
    case 'ParamRef':
      into.fixed = true;
      return;
    case 'CurrentOfExpr':
      into.row.add('*');
      into.other = true;
      return;
    case 'ColumnRef':
      named(names(wrapped.node['fields']), reach, into);
      return;
    case 'FuncCall': {
      const { name } = qualified(wrapped.node['funcname']);
      // Of the type, not of the value.
      if (name === 'pg_typeof') return;
      if (AGGREGATES.test(name) || wrapped.node['agg_star'] === true) into.aggregate = name;
      if (asList(wrapped.node['args']).length === 0) into.fixed = true;
      break;
    }
    case 'SubLink': {
      gather(wrapped.node['testexpr'], reach, restricts, into);
      const query = nodeOf(wrapped.node['subselect'], 'SelectStmt');
      if (query !== null) below(query, reach, restricts, into);
      return;
    }
  }
  // The length of a type is no value.
  const { typeName: _, ...rest } = tree;
  for (const child of Object.values(rest))
    if (typeof child === 'object') gather(child, reach, restricts, into);
}

function below(query: Tree, reach: Reach, restricts: Restricts, into: Inputs): void {
  const columns = answer({ SelectStmt: query }, reach, restricts);
  if (columns === null) into.other = true;
  for (const { inputs } of columns ?? []) merge(into, inputs);
  const { reach: inner, conditions } = queryReach(query, reach, restricts);
  // What it is chosen by counts as looked at.
  for (const condition of conditions)
    for (const column of inputsOf(condition, inner, restricts).row) into.row.add(column);
}

function merge(into: Inputs, from: Inputs): void {
  for (const column of from.row) into.row.add(column);
  for (const column of from.copies) into.copies.add(column);
  into.count += from.count;
  into.other ||= from.other;
  into.fixed ||= from.fixed;
  into.aggregate ??= from.aggregate;
}

function named(fields: readonly (string | null)[], reach: Reach, into: Inputs): void {
  const last = fields.at(-1);
  const table = fields.at(-2);
  const column = last ?? '*';
  into.count += 1;
  for (let at: Reach | null = reach; at !== null; at = at.outer) {
    for (const source of at.sources) {
      if (typeof table === 'string' ? source.alias !== table : !has(source, column)) continue;
      const whole = column === '*' || column === source.alias;
      const repeats =
        whole || (source.relation && SYSTEM.has(column))
          ? source.columns?.some((one) => one.repeats !== null)
            ? whole
              ? '*'
              : column
            : null
          : (source.columns?.find(({ name }) => name === column)?.repeats ?? null);
      if (repeats === null) into.other = true;
      else into.copies.add(repeats);
      return;
    }
    if (at.target === null) {
      // A source that nobody knows may well have it.
      if (table === undefined && at.sources.some(({ columns }) => columns === null)) break;
      continue;
    }
    const { alias, relation, columns } = at.target;
    const known = columns?.find(({ name }) => name === column);
    if (
      typeof table === 'string' ? table !== alias : known === undefined && !mayHave(relation, alias, column)
    )
      continue;
    into.row.add(column === alias ? '*' : (known?.repeats ?? column));
    return;
  }
  into.other = true;
}

function has(source: Source, column: string): boolean {
  if (column === source.alias || column === '*') return true;
  if (source.relation && SYSTEM.has(column)) return true;
  return source.columns?.some(({ name }) => name === column) ?? false;
}

function mayHave(relation: CatalogRelation | null, alias: string, column: string): boolean {
  if (column === '*' || column === alias || SYSTEM.has(column) || relation === null) return true;
  return relation.columns.some(({ name }) => name === column);
}
