/** One statement: its facts into the collector, its output columns back. The story of a statement on one screen. */
import { meetCasts } from './facts/casts.ts';
import { Collector } from './facts/collector.ts';
import { callFunction, callOperators } from './facts/functions.ts';
import { amidst } from './facts/path.ts';
import { transaction, variableSet } from './facts/session.ts';
import { cascadeTruncate, type Given, touch } from './facts/touch.ts';
import { accessOf, analyses, explainAs, UTILITIES, weightOf } from './facts/utility.ts';
import type { Place } from './facts/walk.ts';
import { createdBy, walk, walkFields, walkQuery } from './facts/walk.ts';
import type { Context } from './lineage/context.ts';
import type { Shape } from './lineage/deps.ts';
import { told } from './lineage/deps.ts';
import { lineage } from './lineage/statement.ts';
import { operandsOf } from './operands/operands.ts';
import type { Tree } from './parse/node.ts';
import { asList, asText, asTree, names, nodeOf, relationName, unwrap } from './parse/node.ts';
import { type RawStatement, STRANGE } from './parse/parser.ts';
import type { RelationUse } from './types.ts';

/** `body`: the output belongs to the caller. `top`: the output leaves. */
export function analyseStatement(
  statement: Pick<RawStatement, 'kind' | 'node'>,
  at: Context,
  mode: 'body' | 'top',
): Shape {
  const { kind, node } = statement;
  // What is held runs when the transaction ends.
  const here = isHeld(kind, node) ? { ...at, running: amidst(at.running) } : at;
  const context = mode === 'top' ? { ...here, operands: operandsOf(node, kind, at) } : here;
  // Implicit casts between built-in types have no name in the catalog's reading: any expression may meet them.
  if (mode === 'top' && !CONSTANT.has(kind)) callOperators('pg_catalog', '', 'cast', context);
  facts(kind, node, context);
  const shape = lineage(kind, node, context);
  if (mode === 'top') context.out.use('value', told(shape));
  return shape;
}

/** Do the types that PREPARE declares run checks or casts? Each EXECUTE makes values of them. */
export function declaresCode(node: Tree, context: Context): boolean {
  const out = new Collector();
  walk(node['argtypes'], place('read'), { ...context, out });
  return out.functions.size + out.unknowns.size + out.casts.size + out.named.size > 0;
}

const WITH_HOLD = 32;
const isHeld = (kind: string, { options }: Tree): boolean =>
  kind === 'DeclareCursorStmt' && typeof options === 'number' && (options & WITH_HOLD) !== 0;

/** Statements without expressions. */
const CONSTANT: ReadonlySet<string> = new Set([
  'TransactionStmt',
  'VariableSetStmt',
  'VariableShowStmt',
  'DiscardStmt',
  'DeallocateStmt',
  'FetchStmt',
  'ClosePortalStmt',
  'ListenStmt',
  'UnlistenStmt',
  'NotifyStmt',
]);

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
      walkFields(node, place('read'), context);
      return;
    case 'ExplainStmt': {
      out.raise('explain');
      const from = out.effects.length;
      inner(node['query'], analyses(node) ? context : { ...context, executing: false });
      const explained = explainAs(node);
      for (const effect of out.effects.splice(from))
        out.effects.push(effect.kind === 'execute' ? { ...effect, explained } : effect);
      return;
    }
    case 'PrepareStmt':
      out.raise('prepare');
      // EXECUTE makes values of these types.
      walk(node['argtypes'], place('read'), context);
      inner(node['query'], context);
      return;
    case 'ExecuteStmt':
      out.raise('prepare');
      out.effects.push({ kind: 'execute', name: asText(node['name']) });
      // What it is given becomes what PREPARE declared.
      meetCasts(context);
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
  // What is not known of its tree may put out anything.
  if (kind === STRANGE) out.use('value', context.env.everyTag('', '', '*'));
  const utility = UTILITIES.get(kind);
  if (utility === undefined) {
    out.raise('unknown');
    out.unknowns.add(kind === STRANGE ? `${asText(node['strange'])} in its parse tree` : `statement ${kind}`);
    walkFields(node, place('ddl'), context);
    return;
  }
  out.raise(weightOf(kind, node) ?? utility.class);
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
  walkFields(node, place(accessOf(kind, node, utility)), stored ? { ...context, executing: false } : context);
}

function inner(value: unknown, context: Context): void {
  const wrapped = unwrap(value);
  if (wrapped !== null) facts(wrapped.kind, wrapped.node, context);
}

/** EXPLAIN ANALYZE runs what it explains. Only an option PostgreSQL reads as false turns it off. */
function copy(node: Tree, context: Context): void {
  const { out } = context;
  const incoming = node['is_from'] === true;
  out.raise('copy');
  const onServer = node['is_program'] === true || asText(node['filename']) !== '';
  if (onServer) out.raise('admin');
  else out.effects.push({ kind: incoming ? 'copy-in' : 'copy-out' });
  const relation = asTree(node['relation']);
  if (relation !== null)
    touch(relationName(relation), incoming ? 'copy-in' : 'copy-out', context, null, copyGives(node));
  inner(node['query'], context);
  walk(node['whereClause'], place('read'), context);
}

/** `DEFAULT '…'` names what stands for the default in the data. */
function copyGives(node: Tree): Given {
  const options = asList(node['options']).map((item) => asText(nodeOf(item, 'DefElem')?.['defname']));
  if (options.includes('default')) return null;
  return node['attlist'] === undefined ? 'all' : new Set(names(node['attlist']).map((name) => name ?? ''));
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
