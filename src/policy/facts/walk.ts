/**
 * Facts from the whole tree. Every field of every node is visited, known to this file or not, so that nothing hides in a clause
 * nobody thought of (LIBRARIES.md: judging by the root statement missed half).
 */
import type { Context } from '../lineage/context.ts';
import { comparesPlainly } from '../operands/apply.ts';
import type { Tree, Wrapped } from '../parse/node.ts';
import {
  asList,
  asText,
  asTree,
  bare,
  names,
  nodeOf,
  qualified,
  relationName,
  unwrap,
} from '../parse/node.ts';
import { PREFIX, type RelationUse, withModifiers } from '../types.ts';
import { meetCasts, nameType } from './casts.ts';
import { onlyComputes } from './extensions.ts';
import {
  callByAttribute,
  callCheck,
  callFunction,
  callOperators,
  castByAttribute,
  meetCompared,
} from './functions.ts';
import { limits, overwritesAll } from './limits.ts';
import type { Ctes } from './reach.ts';
import { withSettingName } from './setting-row.ts';
import { type Given, touch, touchLocked, touchPlanned } from './touch.ts';

/** WITH names in reach, and how a relation named here is touched. */
export interface Place {
  readonly ctes: Ctes | null;
  readonly access: RelationUse['access'];
}

export function walk(value: unknown, place: Place, context: Context): void {
  if (typeof value !== 'object' || value === null) return;
  const wrapped = unwrap(value) ?? bareKind(value);
  if (wrapped !== null) walkNode(wrapped, place, context);
  else walkFields(value as Tree, place, context);
}

/** Typed fields stand without their kind; these are the ones that matter. */
function bareKind(value: object): Wrapped | null {
  const node = value as Tree;
  if (typeof node['relname'] === 'string') return { kind: 'RangeVar', node };
  if (Array.isArray(node['names']) && 'typemod' in node) return { kind: 'TypeName', node };
  if ('limitOption' in node) return { kind: 'SelectStmt', node };
  return null;
}

export function walkFields(node: Tree, place: Place, context: Context, except?: ReadonlySet<string>): void {
  for (const field in node) {
    if (except?.has(field)) continue;
    const child = node[field];
    if (typeof child === 'object' && child !== null) walk(child, place, context);
  }
}

/** Whether a node sorts, groups or compares, arrays and rows by what they are made of too. */
function compares({ kind, node }: Wrapped): boolean {
  switch (kind) {
    case 'SelectStmt':
      return (
        COMPARING_CLAUSES.some((clause) => node[clause] !== undefined) ||
        asList(asTree(node['withClause'])?.['ctes']).some(cycles) ||
        (node['op'] !== 'SETOP_NONE' && !(node['op'] === 'SETOP_UNION' && node['all'] === true))
      );
    case 'FuncCall':
      return node['agg_order'] !== undefined || node['agg_distinct'] === true || node['over'] !== undefined;
    case 'A_Expr':
      return comparing(qualified(node['name']).name);
    case 'SubLink':
      return node['testexpr'] !== undefined;
    case 'JoinExpr':
      return node['usingClause'] !== undefined || node['isNatural'] === true;
    case 'CaseExpr':
      return node['arg'] !== undefined;
    case 'MinMaxExpr':
      return true;
    case 'JsonArrayAgg':
    case 'JsonObjectAgg': {
      const made = asTree(node['constructor']);
      return made?.['agg_order'] !== undefined || made?.['over'] !== undefined;
    }
    default:
      return false;
  }
}
/** WITH RECURSIVE … CYCLE: rows are looked for among those before. */
const cycles = (query: unknown): boolean => nodeOf(query, 'CommonTableExpr')?.['cycle_clause'] !== undefined;
const comparing = (operator: string): boolean => /[=<>&]|BETWEEN/.test(operator) && !PICKING.has(operator);
/** Out of a document. */
const PICKING: ReadonlySet<string> = new Set(['->', '->>', '#>', '#>>']);
const COMPARING_CLAUSES = ['distinctClause', 'groupClause', 'sortClause', 'windowClause'];

export function walkNode({ kind, node }: Wrapped, place: Place, context: Context): void {
  context.out.compares ||= compares({ kind, node }) && !comparesPlainly(node, context);
  switch (kind) {
    case 'SelectStmt':
    case 'InsertStmt':
    case 'UpdateStmt':
    case 'DeleteStmt':
    case 'MergeStmt':
      walkQuery(kind, node, place, context);
      return;
    case 'RangeVar':
      relation(node, place, context);
      return;
    case 'FuncCall':
      callFunction(node, context);
      break;
    case 'A_Expr':
      operator(node['name'], context, node);
      if (node['lexpr'] === undefined) meetCompared(`${PREFIX}${qualified(node['name']).name}`, context);
      break;
    case 'SubLink':
      if (node['operName'] !== undefined) operator(node['operName'], context, node);
      else if (node['subLinkType'] === 'ANY_SUBLINK') operator(EQUALS, context, node);
      break;
    // The path decides what `=` they mean.
    case 'CaseExpr':
      if (node['arg'] !== undefined) operator(EQUALS, context, node);
      break;
    case 'JoinExpr':
      if (node['usingClause'] !== undefined || node['isNatural'] === true) operator(EQUALS, context, node);
      break;
    case 'SortBy':
      if (node['useOp'] !== undefined) operator(node['useOp'], context);
      break;
    case 'TypeName': {
      const { schema, name } = qualified(node['names']);
      callOperators(schema, name, 'type', context);
      if (node['typmods'] !== undefined) callOperators(schema, withModifiers(name), 'type', context);
      meetCompared(name, context, schema);
      rowType(schema, name, context);
      nameType(schema, name, context);
      // Temporary ones are in no catalog, and found before those of pg_catalog; what is qualified with it is that one.
      if (schema !== 'pg_catalog' && context.resolution.changed?.includes(name) === true)
        context.out.unknowns.add(`type ${name}, after a change of definitions in this session`);
      break;
    }
    case 'ColumnRef': {
      const parts = names(node['fields']);
      const last = parts.at(-1);
      if (parts.length > 1 && typeof last === 'string') callByAttribute(last, context);
      return;
    }
    case 'A_Indirection':
      for (const name of names(node['indirection'])) {
        if (name === null) continue;
        castByAttribute(name, context);
        callByAttribute(name, context);
      }
      break;
    case 'RangeTableSample': {
      const { schema, name } = qualified(node['method']);
      if (!samples(schema, name, context)) context.out.unknowns.add(`sampling method ${name}`);
      break;
    }
    case 'A_Const':
    case 'ParamRef':
    case 'String':
      return;
  }
  if (kind.startsWith('Json')) {
    meetCasts(context);
    meetCompared('json', context);
  }
  if (kind.startsWith('Xml')) meetCompared('xml', context);
  walkFields(node, place, context);
}

/** A sampling method is the name of a function. */
function samples(schema: string | null, name: string, { env, resolution }: Context): boolean {
  const builtin = (schema === null || schema === 'pg_catalog') && (name === 'system' || name === 'bernoulli');
  const custom = env.functionsNamed(schema, name, resolution);
  return builtin || (custom.length > 0 && custom.every(onlyComputes));
}

const EQUALS = [{ String: { sval: '=' } }];

const TARGETS = {
  InsertStmt: 'insert',
  UpdateStmt: 'update',
  DeleteStmt: 'delete',
  MergeStmt: 'merge',
} as const;

export function walkQuery(
  kind: keyof typeof TARGETS | 'SelectStmt',
  node: Tree,
  outer: Place,
  context: Context,
): void {
  const { out } = context;
  out.compares ||= compares({ kind, node });
  const place: Place = { ctes: withNames(node, outer, context), access: 'read' };
  if (kind === 'SelectStmt') {
    out.raise('read');
    const into = asTree(node['intoClause']);
    const created = asTree(into?.['rel']);
    if (created !== null) createdBy(created, context);
    const hidden = namesQuery(place, 'pg_settings');
    walkFields(withSettingName(node, hidden, context), place, context, SELECT_APART);
    if (node['lockingClause'] !== undefined) lockAll(node['fromClause'], place, context);
    return;
  }
  const target = asTree(node['relation']);
  if (context.executing) out.raise(TARGETS[kind]);
  if (target !== null) modify(kind, node, target, place, context);
  walkFields(node, place, context, MODIFY_APART);
}

const MERGED: Readonly<Record<string, RelationUse['access']>> = {
  CMD_DELETE: 'delete',
  CMD_UPDATE: 'update',
  CMD_NOTHING: 'read',
};
/** Columns that an UPDATE sets. */
const setColumns = (node: Tree | null): ReadonlySet<string> =>
  new Set(asList(node?.['targetList']).map((item) => asText(nodeOf(item, 'ResTarget')?.['name'])));

/** Columns that an INSERT gives values, in every row. */
function insertGives(node: Tree): Given {
  const query = nodeOf(node['selectStmt'], 'SelectStmt');
  const rows = asList(query?.['valuesLists']).map((row) => asList(nodeOf(row, 'List')?.['items']));
  const isDefault = (value: unknown): boolean => nodeOf(value, 'SetToDefault') !== null;
  const named = asList(node['cols']).map((item) => nodeOf(item, 'ResTarget'));
  if (named.length === 0) {
    const first = rows.map((row) => (row.some(isDefault) ? row.findIndex(isDefault) : row.length));
    return first.length === 0 ? width(query) : Math.min(...first);
  }
  if (node['selectStmt'] === undefined) return null;
  const whole = named.filter(
    (column, i) => column?.['indirection'] === undefined && !rows.some((row) => isDefault(row[i])),
  );
  return new Set(whole.map((column) => asText(column?.['name'])));
}
/** How many columns a query puts out at least: what a `*` stands for is not counted. */
function width(query: Tree | null): number {
  if (query === null) return 0;
  const left = asTree(query['larg']);
  if (left !== null) return width(bare(left, 'SelectStmt'));
  return asList(query['targetList']).filter((item) => {
    const value = nodeOf(item, 'ResTarget')?.['val'];
    const parts = nodeOf(value, 'ColumnRef')?.['fields'] ?? nodeOf(value, 'A_Indirection')?.['indirection'];
    return nodeOf(asList(parts).at(-1), 'A_Star') === null;
  }).length;
}
/** Columns that are not set keep what they have. */
const updateGives = (node: Tree | null): Given =>
  JSON.stringify(node?.['targetList'] ?? null).includes('"SetToDefault"') ? null : 'all';

const SELECT_APART = new Set(['withClause', 'intoClause', 'lockingClause']);
const MODIFY_APART = new Set(['withClause', 'relation']);

function modify(kind: keyof typeof TARGETS, node: Tree, target: Tree, place: Place, outer: Context): void {
  const { out, executing } = outer;
  const conflict = bare(node['onConflictClause'], 'OnConflictClause');
  const unread = kind === 'InsertStmt' && conflict === null && node['returningClause'] === undefined;
  const context = { ...outer, unread };
  const write = executing ? touch : touchPlanned;
  const name = relationName(target);
  // The target of DML is never a WITH query.
  if (kind === 'MergeStmt') {
    for (const item of asList(node['mergeWhenClauses'])) {
      const branch = nodeOf(item, 'MergeWhenClause');
      const action = asText(branch?.['commandType']);
      if (executing && action === 'CMD_DELETE') out.raise('delete');
      const gives = action === 'CMD_UPDATE' ? updateGives(branch) : null;
      write(name, MERGED[action] ?? 'insert', context, setColumns(branch), gives);
    }
    return;
  }
  write(
    name,
    TARGETS[kind],
    context,
    setColumns(node),
    kind === 'InsertStmt' ? insertGives(node) : updateGives(node),
  );
  if (kind === 'InsertStmt') {
    if (conflict?.['action'] === 'ONCONFLICT_UPDATE') {
      if (executing) out.raise('update');
      write(name, 'update', context, setColumns(conflict), updateGives(conflict));
      if (executing && overwritesAll(node, name, conflict, place.ctes, context)) out.missingWhere = true;
    }
    return;
  }
  if (executing && !limits(node, name, place.ctes, context)) out.missingWhere = true;
  if (node['returningClause'] !== undefined) walk({ RangeVar: target }, { ...place, ctes: null }, context);
}

function withNames(node: Tree, outer: Place, context: Context): Ctes | null {
  const clause = bare(node['withClause'], 'WithClause');
  let ctes = outer.ctes;
  if (clause === null) return ctes;
  const queries = asList(clause['ctes']).map((item) => nodeOf(item, 'CommonTableExpr') ?? {});
  const recursive = clause['recursive'] === true;
  if (recursive) for (const query of queries) ctes = { name: asText(query['ctename']), query, next: ctes };
  for (const query of queries) {
    // Not recursive: it does not see itself, so its own name means the table.
    walkFields(query, { ctes, access: 'read' }, context);
    if (!recursive) ctes = { name: asText(query['ctename']), query, next: ctes };
  }
  return ctes;
}

function namesQuery(place: Place, name: string): boolean {
  for (let at = place.ctes; at !== null; at = at.next) if (at.name === name) return true;
  return false;
}

function relation(node: Tree, place: Place, context: Context): void {
  const name = relationName(node);
  if (name.schema === null && place.access === 'read' && namesQuery(place, name.name)) return;
  touch(name, place.access, context);
}

/** FOR UPDATE and FOR SHARE lock rows of the relations in FROM. */
function lockAll(clause: unknown, place: Place, context: Context): void {
  for (const item of asList(clause)) {
    const wrapped = unwrap(item);
    if (wrapped === null) continue;
    const { kind, node } = wrapped;
    if (kind === 'RangeVar') relationLock(node, place, context);
    if (kind === 'JoinExpr') lockAll([node['larg'], node['rarg']], place, context);
    if (kind === 'RangeSubselect')
      lockAll(nodeOf(node['subquery'], 'SelectStmt')?.['fromClause'], place, context);
  }
}

function relationLock(node: Tree, place: Place, context: Context): void {
  const name = relationName(node);
  if (name.schema === null && namesQuery(place, name.name)) return;
  touchLocked(name, context);
}

/** CREATE TABLE …, SELECT INTO: the name comes into being. */
export function createdBy(node: Tree, context: Context): void {
  if (!context.executing) return;
  const name = relationName(node);
  context.out.raise('ddl');
  context.out.relation({
    schema: name.temporary ? 'pg_temp' : name.schema,
    name: name.name,
    access: 'ddl',
    indirect: context.indirect,
    known: false,
  });
  if (name.temporary || name.schema?.startsWith('pg_temp')) {
    context.out.effects.push({ kind: 'temp-relation', name: name.name });
  }
}

/** A value of a table's row type is checked as a row of it is, by the domains of its columns. */
function rowType(schema: string | null, name: string, context: Context): void {
  const { env, resolution } = context;
  for (const { calls } of env.resolve({ schema, name }, resolution).relations)
    for (const { function: called, from, on } of calls)
      if (from !== undefined) context.out.cast(from, [called]);
      // Comparisons of its values are met by its name.
      else if (on !== 'compare') callCheck(called, context, 'values');
}

function operator(value: unknown, context: Context, node: object = EQUALS): void {
  const { schema, name } = qualified(value);
  const { env, out } = context;
  const members =
    name === 'BETWEEN' || name.startsWith('BETWEEN ') || name.startsWith('NOT BETWEEN')
      ? ['<=', '>=']
      : [name];
  for (const member of members) {
    const foreign = schema !== null && schema !== 'pg_catalog';
    callOperators(schema, member, 'operator', context, node);
    meetCompared(member, context);
    if (member === '||') callOperators('pg_catalog', 'text', 'cast', context);
    if (foreign && env.catalog === null) out.unknowns.add(`operator ${schema}.${member}`);
  }
}
