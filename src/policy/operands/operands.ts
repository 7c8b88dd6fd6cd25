/** The types of what operators stand between, all over a statement, as far as its text and the catalog make them certain. */
import type { Context } from '../lineage/context.ts';
import type { Tree } from '../parse/node.ts';
import {
  asList,
  asText,
  asTree,
  bare,
  nodeOf,
  qualified,
  relationName,
  names as textsOf,
  unwrap,
} from '../parse/node.ts';
import { type OperandsOf, operatorsAt, ownFirst } from './apply.ts';
import {
  ANYTHING,
  type Ctes,
  type Names,
  ofRelation,
  renamed,
  type Source,
  type Typed,
  typeOfName,
  within,
} from './names.ts';
import { BOOL, type Operand, STRINGS, TEXT, TYPES } from './types.ts';

const NOWHERE: Names = { sources: [], ctes: null, outer: null };

/** Of a statement at the top: what definitions and bodies say is read under names of their own. */
export function operandsOf(node: Tree, kind: string, context: Context): OperandsOf {
  const operands: OperandsOf = new WeakMap();
  const { catalog } = context.env;
  if (catalog !== null && catalog.customOperators.length > 0)
    new Reader({ ...context, operands }, operands).visit({ [kind]: node }, NOWHERE);
  return operands;
}

type Columns = readonly Typed[] | null;

class Reader {
  readonly #context: Context;
  readonly #operands: OperandsOf;
  /** Of operators and of queries: what is inside is looked at before what is around it. */
  readonly #types = new WeakMap<object, Operand>();

  constructor(context: Context, operands: OperandsOf) {
    this.#context = context;
    this.#operands = operands;
  }

  visit(value: unknown, names: Names): void {
    if (typeof value !== 'object' || value === null) return;
    const wrapped = unwrap(value);
    const node = wrapped?.node ?? (value as Tree);
    switch (wrapped?.kind ?? ('limitOption' in node ? 'SelectStmt' : '')) {
      case 'SelectStmt':
        this.#types.set(node, this.#select(node, names)?.[0]?.type ?? null);
        return;
      case 'InsertStmt':
      case 'UpdateStmt':
      case 'DeleteStmt':
      case 'MergeStmt':
        this.#modify(node, names);
        return;
      case 'A_Expr':
        this.#fields(node, names);
        this.#operator(node, names);
        return;
      case 'SubLink':
        this.#fields(node, names);
        // One column is looked for among those of one.
        if (node['testexpr'] !== undefined)
          this.#put(node, this.#type(node['testexpr'], names), [
            this.#types.get(selectIn(node) ?? node) ?? null,
          ]);
        return;
      case 'CaseExpr':
        this.#fields(node, names);
        if (node['arg'] !== undefined)
          this.#put(
            node,
            settled(this.#type(node['arg'], names)),
            asList(node['args']).map((item) => this.#type(nodeOf(item, 'CaseWhen')?.['expr'], names)),
          );
        return;
      default:
        this.#fields(node, names);
    }
  }

  #put(node: Tree, left: Operand, right: readonly Operand[]): void {
    this.#operands.set(
      node,
      right.map((operand) => ({ left, right: operand })),
    );
  }

  #fields(node: Tree, names: Names, except: ReadonlySet<string> = NONE): void {
    for (const field in node) if (!except.has(field)) this.visit(node[field], names);
  }

  /** The columns that come out; null: not known. */
  #select(node: Tree, outer: Names): Columns {
    const around = { ...outer, ctes: this.#with(node, outer) };
    if (node['larg'] !== undefined) {
      const [left, right] = [node['larg'], node['rarg']].map((arm) =>
        this.#select(asTree(arm) ?? {}, around),
      );
      this.#fields(node, within([ANYTHING], around), ARMS);
      return (
        left?.map((column, i) => ({ ...column, type: same([column.type, right?.[i]?.type ?? null]) })) ?? null
      );
    }
    const names = within(this.#from(asList(node['fromClause']), around), around);
    this.#fields(node, names, FROM);
    if (node['valuesLists'] !== undefined) return null;
    return this.#columns(asList(node['targetList']), names);
  }

  #columns(list: readonly unknown[], names: Names): Columns {
    const columns: Typed[] = [];
    for (const item of list) {
      const target = nodeOf(item, 'ResTarget');
      const fields = nodeOf(target?.['val'], 'ColumnRef')?.['fields'];
      const parts = textsOf(fields);
      if (fields !== undefined && parts.at(-1) === null) {
        const only = parts.at(-2);
        for (const source of names.sources) {
          if (source.columns === null || source.merged === true) return null;
          if (only === undefined || source.alias === only) columns.push(...source.columns);
        }
        continue;
      }
      const name = asText(target?.['name']) || (parts.at(-1) ?? null);
      columns.push({ name, type: settled(this.#type(target?.['val'], names)) });
    }
    return columns;
  }

  #with(node: Tree, outer: Names): Ctes | null {
    const clause = bare(node['withClause'], 'WithClause');
    let { ctes } = outer;
    const queries = asList(clause?.['ctes']).map((item) => nodeOf(item, 'CommonTableExpr') ?? {});
    if (clause?.['recursive'] === true)
      for (const query of queries) ctes = { name: asText(query['ctename']), columns: null, next: ctes };
    for (const query of queries) {
      const select = nodeOf(query['ctequery'], 'SelectStmt');
      const inside = { ...outer, ctes };
      if (select === null) this.visit(query['ctequery'], inside);
      const columns = select === null ? null : this.#select(select, inside);
      ctes = {
        name: asText(query['ctename']),
        columns: renamed(columns, textsOf(query['aliascolnames'])),
        next: ctes,
      };
    }
    return ctes;
  }

  #from(items: readonly unknown[], outer: Names): readonly Source[] {
    const found: Source[] = [];
    for (const item of items) found.push(...this.#item(item, found, outer));
    return found;
  }

  /** `before`: what stands to the left of it, which LATERAL and functions may name. */
  #item(item: unknown, before: readonly Source[], outer: Names): readonly Source[] {
    const { kind, node } = unwrap(item) ?? { kind: '', node: {} };
    const alias = asTree(node['alias']);
    const name = asText(alias?.['aliasname']);
    switch (kind) {
      case 'RangeVar':
        return [this.#relation(node, outer)];
      case 'RangeTableSample':
        this.visit(node['args'], NOWHERE);
        return this.#item(node['relation'], before, outer);
      case 'RangeSubselect': {
        const inside = node['lateral'] === true ? within(before, outer) : outer;
        const select = nodeOf(node['subquery'], 'SelectStmt');
        const columns = select === null ? null : this.#select(select, inside);
        return [{ alias: name, schema: null, columns: renamed(columns, textsOf(alias?.['colnames'])) }];
      }
      case 'JoinExpr': {
        const left = this.#item(node['larg'], before, outer);
        const right = this.#item(node['rarg'], [...before, ...left], outer);
        const sides = [...left, ...right];
        this.visit(node['quals'], within(sides, outer));
        if (alias !== null) return [{ alias: name, schema: null, columns: null }];
        if (node['usingClause'] === undefined && node['isNatural'] !== true) return sides;
        const of = (side: readonly Source[], column: string | null): Operand =>
          typeOfName([column ?? ''], within(side, NOWHERE));
        if (node['usingClause'] !== undefined)
          this.#operands.set(
            node,
            textsOf(node['usingClause']).map((column) => ({
              left: of(left, column),
              right: of(right, column),
            })),
          );
        const merged = sides.map((side): Source => ({ ...side, merged: true }));
        return asTree(node['join_using_alias']) === null ? merged : [...merged, ANYTHING];
      }
      default:
        this.#fields(node, within(before, outer));
        return [{ alias: name === '' ? null : name, schema: null, columns: null }];
    }
  }

  #relation(node: Tree, { ctes }: Names): Source {
    const { env, resolution } = this.#context;
    const name = relationName(node);
    for (let at = name.schema === null ? ctes : null; at !== null; at = at.next)
      if (at.name === name.name)
        return {
          alias: name.alias ?? name.name,
          schema: null,
          columns: renamed(at.columns, name.aliasColumns),
        };
    const { relations, system, temporary } = env.resolve(name, resolution);
    const [relation, ...more] = relations;
    const known = more.length === 0 && system === null && !temporary ? (relation ?? null) : null;
    return ofRelation(name, known);
  }

  #modify(node: Tree, outer: Names): void {
    const around = { ...outer, ctes: this.#with(node, outer) };
    const target = this.#relation(asTree(node['relation']) ?? {}, NOWHERE);
    const read = [...asList(node['fromClause']), ...asList(node['usingClause'])];
    const others = this.#from(node['sourceRelation'] === undefined ? read : [node['sourceRelation']], around);
    // RETURNING may give the old row and the new one names of its own.
    const rows =
      asList(bare(node['returningClause'], 'ReturningClause')?.['options']).length > 0 ? [ANYTHING] : [];
    const also = ['excluded', 'old', 'new'].map((alias) => ({ ...target, alias, schema: null }));
    this.visit(node['selectStmt'], around);
    this.#fields(node, within([target, ...others, ...also, ...rows], around), MODIFIED);
  }

  #operator(node: Tree, names: Names): void {
    const { lexpr, rexpr } = node;
    const left = this.#type(lexpr, names);
    const listed = (): Operand[] =>
      asList(nodeOf(rexpr, 'List')?.['items'] ?? rexpr).map((item) => this.#type(item, names));
    switch (node['kind']) {
      case 'AEXPR_IN':
        // A list is compared as one type where its values have one.
        this.#put(node, left, [left, ...listed()]);
        break;
      case 'AEXPR_BETWEEN':
      case 'AEXPR_NOT_BETWEEN':
      case 'AEXPR_BETWEEN_SYM':
      case 'AEXPR_NOT_BETWEEN_SYM':
        this.#put(node, left, listed());
        break;
      case 'AEXPR_OP_ANY':
      case 'AEXPR_OP_ALL':
        this.#put(node, left, [this.#element(rexpr, names)]);
        break;
      default:
        if (lexpr === undefined) return;
        this.#put(node, left, [this.#type(rexpr, names)]);
    }
    this.#types.set(node, this.#result(node));
  }

  /** Of operators whose result is worth knowing: a field of a document. */
  #result(node: Tree): Operand {
    const { schema, name } = qualified(node['name']);
    return (name === '->>' || name === '#>>') && operatorsAt(node, schema, name, this.#context).length === 0
      ? TEXT
      : null;
  }

  #type(value: unknown, names: Names): Operand {
    const { kind, node } = unwrap(value) ?? { kind: '', node: {} };
    switch (kind) {
      case 'ColumnRef': {
        const parts = textsOf(node['fields']);
        const known = parts.filter((part) => part !== null);
        return known.length < parts.length ? null : typeOfName(known, names);
      }
      case 'A_Const':
        return constant(node);
      case 'TypeCast':
        return this.#named(asTree(node['typeName']));
      case 'CollateClause':
        return this.#type(node['arg'], names);
      case 'NullTest':
      case 'BooleanTest':
      case 'BoolExpr':
        return BOOL;
      case 'CoalesceExpr':
        return settled(same(asList(node['args']).map((item) => this.#type(item, names))));
      case 'FuncCall':
        return this.#call(node, names);
      case 'A_Expr':
        return this.#types.get(node) ?? null;
      case 'SubLink':
        return node['subLinkType'] === 'EXPR_SUBLINK'
          ? (this.#types.get(selectIn(node) ?? node) ?? null)
          : null;
      default:
        return null;
    }
  }

  /** A type of the server's own. */
  #named(type: Tree | null): Operand {
    const { resolution } = this.#context;
    const { schema, name } = qualified(type?.['names']);
    const own = schema === 'pg_catalog' || (schema === null && ownFirst(resolution));
    const hidden = schema === null && resolution.tempRelations.includes(name);
    if (!own || hidden || type?.['arrayBounds'] !== undefined) return null;
    return TYPES.get(name) ?? null;
  }

  #element(value: unknown, names: Names): Operand {
    const cast = asTree(nodeOf(value, 'TypeCast')?.['typeName']);
    if (cast !== null) {
      const { arrayBounds, ...element } = cast;
      return arrayBounds === undefined ? null : this.#named(element);
    }
    const elements = nodeOf(value, 'A_ArrayExpr')?.['elements'];
    return settled(same(asList(elements).map((item) => this.#type(item, names))));
  }

  #call(node: Tree, names: Names): Operand {
    const { env, resolution } = this.#context;
    const { schema, name } = qualified(node['funcname']);
    const [first] = asList(node['args']);
    const own = (schema === null || schema === 'pg_catalog') && OF_TEXT.has(name);
    if (!own || env.functionsNamed(schema, name, resolution).length > 0) return null;
    return STRINGS.has(this.#type(first, names)) ? TEXT : null;
  }
}

const selectIn = (link: Tree): Tree | null => nodeOf(link['subselect'], 'SelectStmt');
const NONE: ReadonlySet<string> = new Set();
const ARMS = new Set(['withClause', 'larg', 'rarg']);
const FROM = new Set(['withClause', 'fromClause']);
const MODIFIED = new Set([
  'withClause',
  'relation',
  'fromClause',
  'usingClause',
  'sourceRelation',
  'selectStmt',
]);
/** Built-ins that make text of text. */
const OF_TEXT = new Set([
  'lower',
  'upper',
  'btrim',
  'ltrim',
  'rtrim',
  'initcap',
  'replace',
  'substring',
  'substr',
]);

function constant(node: Tree): Operand {
  if (node['ival'] !== undefined) return 23;
  if (node['boolval'] !== undefined) return BOOL;
  return node['sval'] !== undefined || node['isnull'] === true ? 'literal' : null;
}

/** All of one type, literals aside. */
function same(types: readonly Operand[]): Operand {
  const [first, ...rest] = types.filter((type) => type !== 'literal');
  if (first === undefined) return types.length === 0 ? null : 'literal';
  return rest.every((type) => type === first) ? first : null;
}

/** Literals that nothing else gives a type become text. */
const settled = (type: Operand): Operand => (type === 'literal' ? TEXT : type);
