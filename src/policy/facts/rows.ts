/** How many rows a statement may change, from the catalog's statistics: no more than its relations have. */
import type { CatalogSnapshot, StatementFacts } from '../types.ts';

const ROWS = new WeakMap<CatalogSnapshot, ReadonlyMap<string, number>>();

/** null: it cannot be told. What it inserts, defines or reaches unseen never can; nor what a table holds that was never analysed. */
export function rowsChanged(
  { relations, unknowns }: Pick<StatementFacts, 'relations' | 'unknowns'>,
  catalog: CatalogSnapshot | null,
): number | null {
  if (catalog === null || unknowns.length > 0) return null;
  let sum: number | null = null;
  for (const { schema, name, access, known } of relations) {
    switch (access) {
      case 'update':
      case 'delete':
      case 'truncate': {
        const rows = known ? rowsOf(catalog).get(`${schema}.${name}`) : undefined;
        if (rows === undefined || !(rows > 0)) return null;
        sum = (sum ?? 0) + rows;
        break;
      }
      case 'insert':
      case 'copy-in':
      case 'ddl':
        return null;
      case 'read':
      case 'lock':
      case 'table-lock':
      case 'copy-out':
        break;
    }
  }
  return sum;
}

function rowsOf(catalog: CatalogSnapshot): ReadonlyMap<string, number> {
  let rows = ROWS.get(catalog);
  if (rows === undefined) {
    rows = new Map(catalog.relations.map((one) => [`${one.schema}.${one.name}`, one.rows]));
    ROWS.set(catalog, rows);
  }
  return rows;
}
