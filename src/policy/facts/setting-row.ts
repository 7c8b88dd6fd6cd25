/**
 * `SELECT set_config(name, 'v', false) FROM pg_settings WHERE name = 's'` (pg_dump): sets s where the server has it. Of every row that is
 * left the column is that literal, so the literal stands for it. Only over the server's own view, by the server's own `=`.
 */
import type { Context } from '../lineage/context.ts';
import type { Tree } from '../parse/node.ts';
import { asList, literalText, names, nodeOf, qualified, relationName } from '../parse/node.ts';

/** `hidden`: a WITH query has the view's name. */
export function withSettingName(select: Tree, hidden: boolean, context: Context): Tree {
  const name = hidden ? null : chosen(select, context);
  if (name === null) return select;
  const targetList = asList(select['targetList']).map((item) => {
    const target = nodeOf(item, 'ResTarget');
    const call = nodeOf(target?.['val'], 'FuncCall');
    if (target === null || call === null || qualified(call['funcname']).name !== 'set_config') return item;
    const args = asList(call['args']).map((arg, i) => (i === 0 && isName(arg) ? name : arg));
    return { ResTarget: { ...target, val: { FuncCall: { ...call, args } } } };
  });
  return { ...select, targetList };
}

/** The literal of `WHERE name = '…'`; null: this is no such query. */
function chosen(select: Tree, context: Context): unknown {
  const from = asList(select['fromClause']);
  const view = nodeOf(from[0], 'RangeVar');
  if (from.length !== 1 || view?.['relname'] !== 'pg_settings' || view['alias'] !== undefined) return null;
  const { system, relations, temporary } = context.env.resolve(relationName(view), context.resolution);
  if (system?.name !== 'pg_settings' || relations.length > 0 || temporary) return null;
  const where = nodeOf(select['whereClause'], 'A_Expr');
  if (where?.['kind'] !== 'AEXPR_OP') return null;
  // Of `text = text` the server's own is found first, unless the path puts another schema before pg_catalog.
  const path = context.resolution.searchPath;
  const { schema, name } = qualified(where['name']);
  const own =
    schema === 'pg_catalog' || (schema === null && path !== null && path.indexOf('pg_catalog') <= 0);
  if (name !== '=' || !own) return null;
  const { lexpr, rexpr } = where;
  return isName(lexpr) && literalText(rexpr) !== null && nodeOf(rexpr, 'A_Const') !== null ? rexpr : null;
}

function isName(value: unknown): boolean {
  const parts = names(nodeOf(value, 'ColumnRef')?.['fields']);
  return parts.length === 1 && parts[0] === 'name';
}
