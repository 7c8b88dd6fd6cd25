/**
 * Definitions that a statement changes. Until it commits nobody else's catalog shows them, so that what the same transaction does with
 * those names afterwards cannot be judged (DESIGN.md 16: never by a stale definition).
 */
import type { Tree } from '../parse/node.ts';
import { asText, names } from '../parse/node.ts';
import type { StatementClass } from '../types.ts';
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
/** They change no definition that facts rely on: rights, a comment (which the catalog goes on to show as it was). */
const NOTHING: ReadonlySet<string> = new Set([
  'GrantStmt',
  'GrantRoleStmt',
  'CommentStmt',
  'VariableSetStmt',
]);
const CHANGING: ReadonlySet<StatementClass> = new Set(['ddl', 'dcl', 'admin', 'do', 'call', 'unknown']);

export function changesOf(kind: string, node: Tree, out: Collector, cls: StatementClass): readonly string[] {
  if (NOTHING.has(kind)) return [];
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

/** Adds what makes the statement unknown when it relies on a changed name. */
export function relyOn(changed: readonly string[], out: Collector): void {
  if (changed.length === 0) return;
  const names = new Set(changed);
  const relied = [
    ...[...out.relations.values()].filter(({ access }) => access !== 'ddl').map(({ name }) => name),
    ...out.types.values(),
    ...out.attributes,
    ...[...out.functions].map((name) => name.slice(name.lastIndexOf('.') + 1)),
  ];
  const found = relied.find((name) => names.has('*') || names.has(name));
  if (found !== undefined) out.unknowns.add(`${found}, after a change of definitions in this transaction`);
}
