/**
 * Definitions that a statement changes. Until it commits nobody else's catalog shows them, so that what the same transaction does with
 * those names afterwards cannot be judged (DESIGN.md 16: never by a stale definition).
 */
import type { Tree, Wrapped } from '../parse/node.ts';
import { asText, names, nodeOf, unwrap } from '../parse/node.ts';
import { MEMBERSHIPS, type StatementClass } from '../types.ts';
import type { Collector } from './collector.ts';

/** What they change is among the relations they touch as DDL. */
const NAMED: ReadonlySet<string> = new Set([
  'CreateStmt',
  'CreateTableAsStmt',
  'CreateSeqStmt',
  'AlterSeqStmt',
  'SelectStmt',
  'ViewStmt',
  'IndexStmt',
  'CreateTrigStmt',
  'RuleStmt',
  'AlterTableStmt',
  'RefreshMatViewStmt',
  'CreatePolicyStmt',
  'AlterPolicyStmt',
]);
/** They change no definition that facts rely on. */
const NOTHING: ReadonlySet<string> = new Set(['GrantStmt', 'VariableSetStmt']);
const CHANGING: ReadonlySet<StatementClass> = new Set(['ddl', 'dcl', 'admin', 'do', 'call', 'unknown']);

export function changesOf(kind: string, node: Tree, out: Collector, cls: StatementClass): readonly string[] {
  if (NOTHING.has(kind)) return [];
  if (kind === 'GrantRoleStmt') return [MEMBERSHIPS];
  if (kind === 'CommentStmt') return tagging(node);
  const runs = out.unknowns.size > 0 || cls === 'do' || cls === 'call';
  const created = [...out.relations.values()]
    .filter(({ access }) => access === 'ddl')
    .map(({ name }) => name);
  if (!CHANGING.has(cls)) return runs ? ['*'] : created;
  if (NAMED.has(kind)) return created;
  const cascades = node['behavior'] === 'DROP_CASCADE';
  if (kind === 'CreateFunctionStmt') return [...created, names(node['funcname']).at(-1) ?? '*'];
  if (kind === 'RenameStmt' && node['relation'] !== undefined && !cascades)
    return [...created, asText(node['newname'])];
  if (kind === 'DropStmt' && created.length > 0 && !cascades) return created;
  return ['*'];
}

/** A comment that may tag a column counts at once; one that takes a tag away, when the catalog shows it. */
function tagging(node: Tree): readonly string[] {
  if (node['objtype'] !== 'OBJECT_COLUMN' || !/pii/i.test(asText(node['comment']))) return [];
  return [names(nodeOf(node['object'], 'List')?.['items']).at(-2) ?? '*'];
}

/** Adds what makes the statement unknown when it relies on a changed name. */
export function relyOn(changed: readonly string[], { kind, node }: Wrapped, out: Collector): void {
  if (changed.length === 0) return;
  const names = new Set(changed);
  const relied = [
    ...[...out.relations.values()].filter(({ access }) => access !== 'ddl').map(({ name }) => name),
    ...out.types.values(),
    ...out.attributes,
    ...[...out.functions].map((name) => name.slice(name.lastIndexOf('.') + 1)),
  ];
  if (names.has('*') && EVALUATES.has(kind) && !constant(node)) relied.push('an operator, cast or type');
  const found = relied.find((name) => names.has('*') || names.has(name));
  if (found !== undefined) out.unknowns.add(`${found}, after a change of definitions in this session`);
}

/** Without a relation or a function they may still run an operator, a cast or a domain's check. */
const EVALUATES: ReadonlySet<string> = new Set([
  'SelectStmt',
  'ExplainStmt',
  'PrepareStmt',
  'ExecuteStmt',
  'DeclareCursorStmt',
  'CopyStmt',
]);
const CONSTANT: ReadonlySet<string> = new Set(['SelectStmt', 'ResTarget', 'A_Const', 'List']);

/** `SELECT 1` and the like: nothing in it has a definition that could change. */
function constant(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return true;
  const wrapped = unwrap(value);
  if (wrapped !== null && !CONSTANT.has(wrapped.kind)) return false;
  return Object.values(wrapped?.node ?? value).every(constant);
}
