/** What a statement is called on cards and in errors. */
import { analyses, objectName, UTILITIES, verbOf } from './facts/utility.ts';
import type { Tree } from './parse/node.ts';
import { asText, unwrap } from './parse/node.ts';
import type { StatementClass } from './types.ts';

const WRITES: ReadonlySet<StatementClass> = new Set(['insert', 'update', 'delete', 'merge']);

/** What changes data inside of it, as in a WITH, is what a statement is called by: a DELETE is not told as a SELECT. */
export function told(verb: string, weight: StatementClass): string {
  // ON CONFLICT DO UPDATE is an INSERT to everybody.
  if (!WRITES.has(weight) || (weight === 'update' && verb.endsWith('INSERT'))) return verb;
  return verb.replace(/(SELECT|VALUES|COPY TO|INSERT|UPDATE|DELETE|MERGE)$/, weight.toUpperCase());
}

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
      return asText(node['kind'])
        .replace('TRANS_STMT_', '')
        .replaceAll('_', ' ')
        .replace(/^PREPARE$/, 'PREPARE TRANSACTION');
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
