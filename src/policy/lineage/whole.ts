/** Is it a column as it stands? What is only a part of it (a digit, a letter, a year) puts rows into few groups, whose order tells which is which. */
import { asList, asTree, names, nodeOf, qualified } from '../parse/node.ts';

export function isWhole(value: unknown): boolean {
  if (nodeOf(value, 'ColumnRef') !== null || nodeOf(value, 'A_Const') !== null) return true;
  const call = nodeOf(value, 'FuncCall');
  if (call !== null)
    return WHOLE.has(qualified(call['funcname']).name) && asList(call['args']).every(isWhole);
  const coalesce = nodeOf(value, 'CoalesceExpr');
  if (coalesce !== null) return asList(coalesce['args']).every(isWhole);
  const collate = nodeOf(value, 'CollateClause');
  if (collate !== null) return isWhole(collate['arg']);
  const cast = nodeOf(value, 'TypeCast');
  if (cast !== null) return asTree(cast['typeName'])?.['typmods'] === undefined && isWhole(cast['arg']);
  const path = nodeOf(value, 'A_Indirection');
  if (path !== null)
    return isWhole(path['arg']) && names(path['indirection']).every((field) => field !== null);
  const row = nodeOf(value, 'RowExpr');
  return row !== null && asList(row['args']).every(isWhole);
}

/** Of a group as of one value. */
const WHOLE: ReadonlySet<string> = new Set(
  'lower upper btrim ltrim rtrim casefold unaccent min max avg sum count array_agg string_agg json_agg jsonb_agg'.split(
    ' ',
  ),
);
