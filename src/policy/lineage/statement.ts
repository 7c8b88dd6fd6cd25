/** Columns that come out of a statement; uses inside go to the collector. */
import { analyses, estimates, serializes } from '../facts/utility.ts';
import type { Tree } from '../parse/node.ts';
import { asList, asText, asTree, names, nodeOf, relationName, splitName, unwrap } from '../parse/node.ts';
import type { Context } from './context.ts';
import { lookedAt, sqlBodyStatements, viewSummary } from './definitions.ts';
import type { Deps, Shape } from './deps.ts';
import { counted, lookup, NONE, originsOnly, told, union, whole } from './deps.ts';
import { expression, predicate } from './expression.ts';
import { tableSource } from './from.ts';
import { modification } from './modify.ts';
import { scopeOf } from './scope.ts';
import { select } from './select.ts';

const NOTHING: Shape = { columns: [], open: null };

export function lineage(kind: string, node: Tree, context: Context): Shape {
  const { out } = context;
  const outer = scopeOf([], null);
  switch (kind) {
    case 'SelectStmt':
      return select(node, null, context);
    case 'ReturnStmt': {
      const deps = expression(node['returnval'], outer, context);
      return { columns: [{ name: '?column?', deps }], open: null };
    }
    case 'InsertStmt':
    case 'UpdateStmt':
    case 'DeleteStmt':
    case 'MergeStmt':
      return modification(kind, node, null, context);
    case 'ExplainStmt': {
      const wrapped = unwrap(node['query']);
      // The plan shows no row of the output, but rows estimated from the columns it names, and how large what it made of them was.
      const shape = wrapped === null ? NOTHING : lineage(wrapped.kind, wrapped.node, context);
      out.use('predicate', whole(shape));
      if (analyses(node)) out.tellSizes();
      if (estimates(node)) out.tellEstimates();
      if (serializes(node)) out.use('value', whole(shape));
      // It prints what the planner made of calls beforehand, and how many rows there are at every step: ANALYZE as they were, else by samples.
      for (const name of out.functions) out.use('value', lookedAt(...splitName(name), context));
      out.tellSteps();
      return NOTHING;
    }
    case 'PrepareStmt':
    case 'DeclareCursorStmt':
    case 'CreateTableAsStmt':
    case 'ViewStmt': {
      const wrapped = unwrap(node['query']);
      return wrapped === null ? NOTHING : lineage(wrapped.kind, wrapped.node, context);
    }
    // What was prepared puts it out, compares it or counts by it.
    case 'ExecuteStmt':
      out.use('value', expression(node['params'], outer, context));
      return NOTHING;
    case 'CopyStmt':
      return copied(node, context);
    case 'CallStmt':
      return {
        columns: [],
        open: (
          (deps) => () =>
            deps
        )(expression(node['funccall'], outer, context)),
      };
    case 'CreateFunctionStmt':
      for (const statement of sqlBodyStatements(node['sql_body'])) {
        out.use('predicate', whole(lineage(statement.kind, statement.node, { ...context, inBody: true })));
      }
      return NOTHING;
    case 'CreateSchemaStmt':
      for (const element of asList(node['schemaElts'])) {
        const wrapped = unwrap(element);
        if (wrapped !== null) out.use('value', whole(lineage(wrapped.kind, wrapped.node, context)));
      }
      return NOTHING;
    case 'RenameStmt':
    case 'AlterObjectSchemaStmt':
      context.out.use('value', untagged(node, context));
      return NOTHING;
    case 'AlterTableStmt':
    case 'IndexStmt':
    case 'CreatePolicyStmt':
    case 'AlterPolicyStmt':
    case 'CreateTrigStmt':
    case 'RuleStmt': {
      // Expressions over the table's own columns: CHECK, DEFAULT, USING, index predicates.
      const named = asTree(node['relation'] ?? node['table']);
      const target = named === null ? null : tableSource(named, null, context, false);
      const versions =
        target === null ? [] : [target, { ...target, alias: 'old' }, { ...target, alias: 'new' }];
      predicate(parts(node), scopeOf(versions, null), context);
      if (target !== null) out.use('predicate', checked(node, target.shape));
      return NOTHING;
    }
    // They evaluate what was defined earlier (indexes, statistics, the query), and an error quotes what it met.
    case 'RefreshMatViewStmt':
    case 'ReindexStmt':
    case 'ClusterStmt':
      if (asTree(node['relation']) !== null) evaluated(node['relation'], context);
      return NOTHING;
    case 'VacuumStmt':
      for (const item of asList(node['rels']))
        evaluated(nodeOf(item, 'VacuumRelation')?.['relation'], context);
      if (node['rels'] === undefined)
        out.use('predicate', context.env.everyTag('pg_catalog', 'pg_class', '*'));
      return NOTHING;
    default:
      return NOTHING;
  }
}

/** Columns that lose their tag by another name of column, table or schema: from then on nothing hides them. */
function untagged(node: Tree, context: Context): Deps {
  const { env } = context;
  const [type, schema = null] = names(nodeOf(node['object'], 'List')?.['items']).reverse();
  const named = asTree(node['relation']);
  const target = named === null ? { schema, name: type ?? '' } : relationName(named);
  const after = asText(node['newname'] ?? node['newschema']);
  const lost: Deps[] = [];
  for (const { schema, name, columns } of env.resolve(target, context.resolution).relations) {
    for (const { name: column, comment } of columns) {
      const tagged = env.tag(schema, name, column, comment);
      if (tagged === null) continue;
      const ofColumn = node['renameType'] === 'OBJECT_COLUMN' || node['renameType'] === 'OBJECT_ATTRIBUTE';
      if (ofColumn && column !== asText(node['subname'])) continue;
      const place = ofColumn
        ? ([schema, name, after] as const)
        : node['newschema'] !== undefined
          ? ([after, name, column] as const)
          : ([schema, after, column] as const);
      if (env.tagsOf(...place, comment) === null) lost.push(new Set([tagged]));
    }
  }
  return union(...lost);
}

function evaluated(value: unknown, context: Context): void {
  const named = asTree(value);
  if (named === null) return;
  const scope = tableSource(named, null, context, false);
  context.out.use('predicate', whole(scope.shape));
  for (const relation of context.env.resolve(relationName(named), context.resolution).relations)
    if (relation.relkind === 'm')
      context.out.use('predicate', viewSummary(relation, context).facts.uses('predicate'));
}

/** Columns whose rows it checks, by name: keys of constraints and indexes. The error prints the key that fails (23503, 23505, 23P01). */
function checked(value: unknown, shape: Shape): Deps {
  if (typeof value !== 'object' || value === null) return NONE;
  const node = value as Tree;
  const keys = [
    ...names(node['keys']),
    ...names(node['fk_attrs']),
    asText(nodeOf(value, 'IndexElem')?.['name']),
  ];
  const own = keys.map((name) => lookup(shape, name ?? '') ?? NONE);
  // A constraint named alone may be any.
  if (node['subtype'] === 'AT_ValidateConstraint') own.push(whole(shape));
  return union(...own, ...Object.values(node).map((child) => checked(child, shape)));
}

function parts(node: Tree): unknown[] {
  return Object.entries(node).flatMap(([field, value]) =>
    field === 'relation' || field === 'table' || field === 'view' || typeof value !== 'object' ? [] : [value],
  );
}

function copied(node: Tree, context: Context): Shape {
  const relation = asTree(node['relation']);
  if (relation === null) {
    const wrapped = unwrap(node['query']);
    return wrapped === null ? NOTHING : lineage(wrapped.kind, wrapped.node, context);
  }
  const source = tableSource(relation, null, context, false);
  const listed = names(node['attlist']).map((name) => name ?? '');
  const chosen =
    listed.length === 0
      ? whole(source.shape)
      : union(...listed.map((name) => lookup(source.shape, name) ?? NONE));
  if (node['is_from'] === true) {
    context.out.use('written', chosen);
    // The client knows its rows.
    context.out.writesRows = true;
    if (node['whereClause'] === undefined) return NOTHING;
    predicate(node['whereClause'], scopeOf([source], null), context);
    // It is told how many went in.
    return { columns: [], open: null, count: originsOnly(told(source.shape)) };
  }
  return { columns: [], open: () => chosen, count: counted(source.shape) };
}
