/** One statement: its facts into the collector, its output columns back. The story of a statement on one screen. */
import { callFunction, settingClass } from './facts/functions.ts';
import { cascadeTruncate, touch } from './facts/touch.ts';
import { objectName, UTILITIES, verbOf } from './facts/utility.ts';
import type { Place } from './facts/walk.ts';
import { createdBy, walk, walkFields, walkQuery } from './facts/walk.ts';
import type { Context } from './lineage/context.ts';
import { sqlBodyStatements } from './lineage/definitions.ts';
import type { Deps, Shape } from './lineage/deps.ts';
import { lookup, NONE, union, whole } from './lineage/deps.ts';
import { expression, predicate } from './lineage/expression.ts';
import { tableSource } from './lineage/from.ts';
import { modification } from './lineage/modify.ts';
import { scopeOf } from './lineage/scope.ts';
import { select } from './lineage/select.ts';
import type { Tree } from './parse/node.ts';
import { asList, asText, asTree, literalText, names, nodeOf, relationName, unwrap } from './parse/node.ts';
import type { RawStatement } from './parse/parser.ts';
import type { RelationUse } from './types.ts';

const NOTHING: Shape = { columns: [], open: null };

/** `facts`: only the walk. `body`: the output belongs to the caller. `top`: the output leaves. */
export function analyseStatement(
  statement: Pick<RawStatement, 'kind' | 'node'>,
  context: Context,
  mode: 'facts' | 'body' | 'top',
): Shape {
  const { kind, node } = statement;
  facts(kind, node, context);
  if (mode === 'facts') return NOTHING;
  const shape = lineage(kind, node, context);
  if (mode === 'top') context.out.use('value', whole(shape));
  return shape;
}

const place = (access: RelationUse['access']): Place => ({ ctes: null, access });

function facts(kind: string, node: Tree, context: Context): void {
  const { out } = context;
  switch (kind) {
    case 'SelectStmt':
    case 'InsertStmt':
    case 'UpdateStmt':
    case 'DeleteStmt':
    case 'MergeStmt':
      walkQuery(kind, node, place('read'), context);
      return;
    case 'ReturnStmt':
      out.raise('read');
      walkFields(node, place('read'), context);
      return;
    case 'ExplainStmt': {
      out.raise('explain');
      inner(node['query'], analyses(node) ? context : { ...context, executing: false });
      return;
    }
    case 'PrepareStmt':
      out.raise('prepare');
      inner(node['query'], context);
      return;
    case 'ExecuteStmt':
      out.raise('prepare');
      out.effects.push({ kind: 'execute', name: asText(node['name']) });
      walkFields(node, place('read'), context);
      return;
    case 'DeallocateStmt': {
      out.raise('prepare');
      const name = asText(node['name']);
      out.effects.push({ kind: 'deallocate', name: node['isall'] === true || name === '' ? null : name });
      return;
    }
    case 'DeclareCursorStmt':
      out.raise('cursor');
      inner(node['query'], context);
      return;
    case 'FetchStmt':
      out.raise('cursor');
      out.effects.push({ kind: 'fetch', name: asText(node['portalname']) });
      return;
    case 'ClosePortalStmt': {
      out.raise('cursor');
      const name = asText(node['portalname']);
      out.effects.push({ kind: 'close', name: name === '' ? null : name });
      return;
    }
    case 'CreateTableAsStmt': {
      const into = asTree(asTree(node['into'])?.['rel']);
      if (context.executing) out.raise('ddl');
      if (into !== null) createdBy(into, context);
      inner(node['query'], context);
      return;
    }
    case 'CopyStmt':
      copy(node, context);
      return;
    case 'CallStmt': {
      out.raise('call');
      const call = asTree(node['funccall']);
      if (call !== null) {
        callFunction(call, context);
        walkFields(call, place('read'), context);
      }
      return;
    }
    case 'DoStmt':
      out.raise('do');
      out.unknowns.add('DO block');
      return;
    case 'TransactionStmt':
      transaction(node, context);
      return;
    case 'VariableSetStmt':
      out.raise('session');
      variableSet(node, 'set', context);
      return;
    case 'VariableShowStmt':
      out.raise('session');
      out.effects.push({ kind: 'show', name: asText(node['name']).toLowerCase() });
      return;
    case 'DiscardStmt':
      out.raise('session');
      out.effects.push({ kind: 'discard' });
      if (node['target'] === 'DISCARD_ALL')
        out.settings.push({ name: '*', value: null, local: false, form: 'reset' });
      return;
    case 'AlterRoleSetStmt':
    case 'AlterDatabaseSetStmt':
    case 'AlterSystemStmt': {
      out.raise(kind === 'AlterRoleSetStmt' ? 'dcl' : 'admin');
      const set = asTree(node['setstmt']);
      if (set !== null) variableSet(nodeOf(set, 'VariableSetStmt') ?? set, 'alter-role', context);
      return;
    }
  }
  const utility = UTILITIES.get(kind);
  if (utility === undefined) {
    out.raise('unknown');
    out.unknowns.add(`statement ${kind}`);
    walkFields(node, place('ddl'), context);
    return;
  }
  out.raise(utility.class);
  if (kind === 'DropStmt') dropped(node, context);
  if (kind === 'TruncateStmt' && node['behavior'] === 'DROP_CASCADE') {
    const relations = asList(node['relations']).map((item) => relationName(nodeOf(item, 'RangeVar') ?? {}));
    cascadeTruncate(relations, context);
  }
  // Bodies of functions and rules are kept, not run.
  const stored = kind === 'RuleStmt' || kind === 'CreateFunctionStmt' || kind === 'ViewStmt';
  if (kind === 'CreateSchemaStmt') {
    for (const element of asList(node['schemaElts'])) inner(element, context);
    return;
  }
  if (kind === 'CreateStmt' || kind === 'ViewStmt') {
    const created = asTree(node['relation'] ?? node['view']);
    if (created !== null) createdBy(created, context);
  }
  walkFields(node, place(utility.access), stored ? { ...context, executing: false } : context);
}

function inner(value: unknown, context: Context): void {
  const wrapped = unwrap(value);
  if (wrapped !== null) facts(wrapped.kind, wrapped.node, context);
}

/** EXPLAIN ANALYZE runs what it explains. Only an option PostgreSQL reads as false turns it off. */
function analyses(node: Tree): boolean {
  return asList(node['options']).some((item) => {
    const option = nodeOf(item, 'DefElem');
    if (option === null || asText(option['defname']).toLowerCase() !== 'analyze') return false;
    const argument = option['arg'];
    const text = argument === undefined ? 'true' : optionText(argument).toLowerCase();
    return !['false', 'off', '0', 'no'].includes(text);
  });
}

function optionText(value: unknown): string {
  const text = nodeOf(value, 'String');
  if (text !== null) return asText(text['sval']);
  const whole = nodeOf(value, 'Integer');
  if (whole !== null) return String(whole['ival'] ?? 0);
  const truth = nodeOf(value, 'Boolean');
  if (truth !== null) return truth['boolval'] === true ? 'true' : 'false';
  return literalText(value) ?? '';
}

function copy(node: Tree, context: Context): void {
  const { out } = context;
  const incoming = node['is_from'] === true;
  out.raise('copy');
  const onServer = node['is_program'] === true || asText(node['filename']) !== '';
  if (onServer) out.raise('admin');
  else out.effects.push({ kind: incoming ? 'copy-in' : 'copy-out' });
  const relation = asTree(node['relation']);
  if (relation !== null) touch(relationName(relation), incoming ? 'copy-in' : 'copy-out', context);
  inner(node['query'], context);
  walk(node['whereClause'], place('read'), context);
}

function transaction(node: Tree, context: Context): void {
  const { out } = context;
  out.raise('transaction');
  const name = asText(node['savepoint_name']);
  switch (node['kind']) {
    case 'TRANS_STMT_BEGIN':
    case 'TRANS_STMT_START':
      out.effects.push({ kind: 'begin' });
      break;
    case 'TRANS_STMT_COMMIT':
    case 'TRANS_STMT_PREPARE':
      out.effects.push({ kind: 'commit' });
      break;
    case 'TRANS_STMT_ROLLBACK':
      out.effects.push({ kind: 'rollback' });
      break;
    case 'TRANS_STMT_SAVEPOINT':
      out.effects.push({ kind: 'savepoint', name });
      break;
    case 'TRANS_STMT_ROLLBACK_TO':
      out.effects.push({ kind: 'rollback-to', name });
      break;
    case 'TRANS_STMT_RELEASE':
    case 'TRANS_STMT_COMMIT_PREPARED':
    case 'TRANS_STMT_ROLLBACK_PREPARED':
      break;
    default:
      out.unknowns.add('transaction statement');
  }
  // AND CHAIN begins anew.
  if (node['chain'] === true) out.effects.push({ kind: 'begin' });
  for (const item of asList(node['options'])) {
    const option = nodeOf(item, 'DefElem');
    if (option === null) continue;
    const value = literalText(option['arg']);
    out.settings.push({ name: asText(option['defname']).toLowerCase(), value, local: true, form: 'set' });
  }
}

function variableSet(node: Tree, form: 'set' | 'alter-role', context: Context): void {
  const { out } = context;
  const name = asText(node['name']).toLowerCase();
  const local = node['is_local'] === true;
  const args = asList(node['args']);
  switch (node['kind']) {
    case 'VAR_SET_VALUE': {
      const parts = args.map(literalText);
      const value = parts.length > 0 && parts.every((part) => part !== null) ? parts.join(', ') : null;
      out.settings.push({ name, value, local, form });
      break;
    }
    case 'VAR_SET_CURRENT':
      out.settings.push({ name, value: null, local, form });
      break;
    case 'VAR_SET_DEFAULT':
    case 'VAR_RESET':
      out.settings.push({ name, value: null, local, form: form === 'set' ? 'reset' : form });
      break;
    case 'VAR_RESET_ALL':
      out.settings.push({ name: '*', value: null, local: false, form: form === 'set' ? 'reset' : form });
      break;
    case 'VAR_SET_MULTI':
      // SET TRANSACTION …, SET SESSION CHARACTERISTICS AS TRANSACTION …
      if (name === 'transaction' || name === 'transaction snapshot') out.raise('transaction');
      for (const arg of args) {
        const option = nodeOf(arg, 'DefElem');
        if (option === null) continue;
        const setting = asText(option['defname']).toLowerCase();
        const full = name === 'session characteristics' ? `default_${setting}` : setting;
        out.settings.push({
          name: full,
          value: literalText(option['arg']),
          local: name !== 'session characteristics',
          form,
        });
      }
      break;
    default:
      out.settings.push({ name: '*', value: null, local: false, form: 'unknown' });
  }
  if (form === 'set') out.raise(settingClass(name));
}

const RELATION_TYPES = new Set([
  'OBJECT_TABLE',
  'OBJECT_VIEW',
  'OBJECT_MATVIEW',
  'OBJECT_SEQUENCE',
  'OBJECT_INDEX',
  'OBJECT_FOREIGN_TABLE',
]);
/** The object is named after the relation it hangs on: `DROP TRIGGER t ON orders` is [orders, t]. */
const ON_RELATION = new Set([
  'OBJECT_TRIGGER',
  'OBJECT_RULE',
  'OBJECT_POLICY',
  'OBJECT_COLUMN',
  'OBJECT_TABCONSTRAINT',
]);

function dropped(node: Tree, context: Context): void {
  const type = asText(node['removeType']);
  if (type === 'OBJECT_SCHEMA') {
    for (const schema of names(node['objects']))
      for (const relation of context.env.inSchema(schema ?? '')) {
        const { schema: within, name } = relation;
        context.out.relation({ schema: within, name, access: 'ddl', indirect: true, known: true });
      }
    return;
  }
  for (const object of asList(node['objects'])) {
    const parts = names(nodeOf(object, 'List')?.['items']).map((part) => part ?? '');
    const dotted = ON_RELATION.has(type) ? parts.slice(0, -1) : RELATION_TYPES.has(type) ? parts : [];
    const name = dotted.at(-1);
    if (name === undefined) continue;
    touch(
      {
        schema: dotted.at(-2) ?? null,
        name,
        inherits: true,
        alias: null,
        aliasColumns: [],
        temporary: false,
      },
      'ddl',
      context,
    );
  }
}

/** Columns that come out of a statement; uses inside go to the collector. */
function lineage(kind: string, node: Tree, context: Context): Shape {
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
      // The plan shows no row of the output, but rows estimated from the columns it names.
      if (wrapped !== null) out.use('predicate', whole(lineage(wrapped.kind, wrapped.node, context)));
      return NOTHING;
    }
    case 'PrepareStmt':
    case 'DeclareCursorStmt':
    case 'CreateTableAsStmt':
    case 'ViewStmt': {
      const wrapped = unwrap(node['query']);
      return wrapped === null ? NOTHING : lineage(wrapped.kind, wrapped.node, context);
    }
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
      return NOTHING;
    }
    default:
      return NOTHING;
  }
}

/** Columns that lose their tag by another name of column, table or schema: from then on nothing hides them. */
function untagged(node: Tree, context: Context): Deps {
  const { env } = context;
  const named = asTree(node['relation']);
  if (named === null) return NONE;
  const after = asText(node['newname'] ?? node['newschema']);
  const lost: Deps[] = [];
  for (const { schema, name, columns } of env.resolve(relationName(named), context.resolution).relations) {
    for (const { name: column, comment } of columns) {
      const tagged = env.tag(schema, name, column, comment);
      if (tagged === null) continue;
      const ofColumn = node['renameType'] === 'OBJECT_COLUMN';
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
    predicate(node['whereClause'], scopeOf([source], null), context);
    return NOTHING;
  }
  return { columns: [], open: () => chosen };
}

/** A verb for people. */
export function verb(kind: string, node: Tree): string {
  switch (kind) {
    case 'SelectStmt':
      if (node['intoClause'] !== undefined) return 'SELECT INTO';
      return Array.isArray(node['valuesLists']) ? 'VALUES' : 'SELECT';
    case 'ExplainStmt': {
      const wrapped = unwrap(node['query']);
      const of = wrapped === null ? '' : ` ${verb(wrapped.kind, wrapped.node)}`;
      return `EXPLAIN${analyses(node) ? ' ANALYZE' : ''}${of}`;
    }
    case 'DropStmt':
      return `DROP ${objectName(node['removeType'])}`;
    case 'AlterTableStmt':
      return `ALTER ${objectName(node['objtype'])}`;
    case 'RenameStmt':
      return `ALTER ${objectName(node['renameType'])} RENAME`;
    case 'AlterObjectSchemaStmt':
    case 'AlterObjectDependsStmt':
    case 'AlterOwnerStmt':
      return `ALTER ${objectName(node['objectType'])}`;
    case 'DefineStmt':
      return `CREATE ${objectName(node['kind'])}`;
    case 'CreateTableAsStmt':
      return node['objtype'] === 'OBJECT_MATVIEW' ? 'CREATE MATERIALIZED VIEW' : 'CREATE TABLE AS';
    case 'GrantStmt':
    case 'GrantRoleStmt':
      return node['is_grant'] === true ? 'GRANT' : 'REVOKE';
    case 'CopyStmt':
      return node['is_from'] === true ? 'COPY FROM' : 'COPY TO';
    case 'VariableSetStmt':
      return asText(node['kind']).includes('RESET') ? 'RESET' : 'SET';
    case 'VariableShowStmt':
      return 'SHOW';
    case 'TransactionStmt':
      return asText(node['kind']).replace('TRANS_STMT_', '').replaceAll('_', ' ');
    case 'VacuumStmt':
      return node['is_vacuumcmd'] === true ? 'VACUUM' : 'ANALYZE';
    case 'DeclareCursorStmt':
      return 'DECLARE CURSOR';
    case 'ClosePortalStmt':
      return 'CLOSE';
    case 'FetchStmt':
      return node['ismove'] === true ? 'MOVE' : 'FETCH';
    case 'AlterRoleSetStmt':
      return 'ALTER ROLE SET';
    case 'AlterDatabaseSetStmt':
      return 'ALTER DATABASE SET';
    default:
      return UTILITIES.get(kind)?.verb ?? verbOf(kind);
  }
}
