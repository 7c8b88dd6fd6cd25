/**
 * A server with no grammar here: what it makes of a text is not known, whatever ours reads in it. These few mean the same everywhere; every
 * other statement is unknown, and touches all there is.
 */
import { asList, nodeOf } from './parse/node.ts';
import type { RawStatement } from './parse/parser.ts';
import type { StatementFacts } from './types.ts';

const PLAIN: ReadonlySet<string> = new Set([
  'TransactionStmt',
  'VariableSetStmt',
  'VariableShowStmt',
  'DeallocateStmt',
  'DiscardStmt',
]);

export function unfamiliar(
  { kind, node }: RawStatement,
  facts: StatementFacts,
  server: string,
): StatementFacts {
  if (PLAIN.has(kind) || (kind === 'SelectStmt' && isConstant(node))) return facts;
  return {
    ...facts,
    unknowns: [...facts.unknowns, `what ${server} makes of it`],
    // Its names are its own affair: the text is not sent to ask after them.
    relations: facts.relations.map((one) => ({ ...one, known: true })),
  };
}

/** `SELECT 1`: by it clients find out whether anybody is there. */
function isConstant({ targetList, limitOption: _, op, ...rest }: RawStatement['node']): boolean {
  return (
    Object.keys(rest).length === 0 &&
    op === 'SETOP_NONE' &&
    asList(targetList).every((item) => nodeOf(nodeOf(item, 'ResTarget')?.['val'], 'A_Const') !== null)
  );
}
