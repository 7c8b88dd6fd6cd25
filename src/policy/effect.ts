/** What can be said of a statement's effect by its text alone. */

import type { Retype } from './retype.ts';
import { retypesOf, rewritesTable } from './rewrites.ts';
import { type RowsQuery, rowsQuery } from './rows-query.ts';
import type { Grammar } from './server.ts';

export interface StatementEffect {
  readonly rows: RowsQuery;
  /** Is a table written anew? null: no DDL of a table, or it cannot be told. */
  readonly rewrites: boolean | null;
  /** Columns whose type changes: the column as it is says whether that writes the table anew. null: too many to tell. */
  readonly retypes: readonly Retype[] | null;
}

/** Never throws; needs its grammar loaded. */
export const effectOf = (sql: string, grammar: Grammar): StatementEffect => ({
  rows: rowsQuery(sql, grammar),
  rewrites: rewritesTable(sql, grammar),
  retypes: retypesOf(sql, grammar),
});
