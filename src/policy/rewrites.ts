/** Does DDL write a table anew, under its lock (PostgreSQL documentation, ALTER TABLE "Notes")? Version 11 and later. */

import type { Tree } from './parse/node.ts';
import { asList, asText, asTree, names, nodeOf, qualified, unwrap } from './parse/node.ts';
import { parse } from './parse/parser.ts';
import { type Retype, retypeOf } from './retype.ts';
import { type Grammar, NEWEST } from './server.ts';

/** null: no DDL of a table, or it cannot be told. Never throws; needs its grammar loaded. */
export function rewritesTable(sql: string, grammar: Grammar = NEWEST): boolean | null {
  try {
    const parsed = parse(sql, grammar);
    if (parsed.kind !== 'parsed') return null;
    return any(parsed.statements.map(({ kind, node }) => ofStatement(kind, node)));
  } catch {
    return null;
  }
}

const MOST = 50;
/** Columns that get another type, where one table alone is altered; null: more than that. What becomes of those is not in `rewritesTable`. */
export function retypesOf(sql: string, grammar: Grammar): readonly Retype[] | null {
  try {
    const parsed = parse(sql, grammar);
    if (parsed.kind !== 'parsed') return null;
    const found = parsed.statements
      .filter(({ kind, node }) => kind === 'AlterTableStmt' && node['objtype'] === 'OBJECT_TABLE')
      .map(({ node }) =>
        asList(node['cmds'])
          .map((item) => nodeOf(item, 'AlterTableCmd') ?? {})
          .filter(({ subtype }) => subtype === 'AT_AlterColumnType')
          .map(retypeOf),
      )
      .filter((some) => some.length > 0);
    const [only = [], ...others] = found;
    return others.length > 0 || only.length > MOST ? null : only;
  } catch {
    return null;
  }
}

/** One that does is enough; one that cannot be told leaves it open. `undefined`: has nothing to do with it. */
function any(answers: readonly (boolean | null | undefined)[]): boolean | null {
  if (answers.includes(true)) return true;
  return answers.includes(null) || !answers.includes(false) ? null : false;
}

function ofStatement(kind: string, node: Tree): boolean | null | undefined {
  switch (kind) {
    case 'AlterTableStmt':
      if (node['objtype'] !== 'OBJECT_TABLE') return undefined;
      return any(asList(node['cmds']).map((item) => ofCommand(nodeOf(item, 'AlterTableCmd') ?? {})));
    case 'RenameStmt':
      return ['OBJECT_TABLE', 'OBJECT_COLUMN'].includes(asText(node['renameType'])) ? false : undefined;
    case 'AlterObjectSchemaStmt':
      return node['objectType'] === 'OBJECT_TABLE' ? false : undefined;
    case 'IndexStmt':
      return false;
    case 'ClusterStmt':
    case 'RepackStmt':
    case 'AlterTableMoveAllStmt':
      return true;
    case 'VacuumStmt':
      return asList(node['options']).some((item) => {
        const option = nodeOf(item, 'DefElem');
        const value = unwrap(option?.['arg'])?.node;
        const off = /^(?:false|off|0)$/i.test(asText(value?.['sval']));
        return (
          option?.['defname'] === 'full' && !off && value?.['ival'] !== 0 && value?.['boolval'] !== false
        );
      });
    default:
      return undefined;
  }
}

const ANEW = new Set([
  'AT_SetTableSpace',
  'AT_SetLogged',
  'AT_SetUnLogged',
  'AT_SetAccessMethod',
  'AT_SetExpression',
]);

function ofCommand(command: Tree): boolean | null {
  const kind = asText(command['subtype']);
  if (ANEW.has(kind)) return true;
  if (kind !== 'AT_AddColumn') return false;
  const column = nodeOf(command['def'], 'ColumnDef') ?? {};
  const { schema, name } = qualified(asTree(column['typeName'])?.['names']);
  if (/^(?:small|big)?serial[248]?$/.test(name)) return true;
  return any([
    // A domain's checks are looked at row by row.
    schema === 'pg_catalog' || BUILT_IN.test(name) ? false : null,
    ...asList(column['constraints']).map((item) => {
      const constraint = nodeOf(item, 'Constraint') ?? {};
      const type = asText(constraint['contype']);
      if (type === 'CONSTR_IDENTITY') return true;
      if (type === 'CONSTR_GENERATED') return asText(constraint['generated_kind']) !== 'v';
      return type === 'CONSTR_DEFAULT' ? perRow(constraint['raw_expr']) : false;
    }),
  ]);
}
const BUILT_IN =
  /^(?:text|date|uuid|jsonb?|bytea|timestamptz?|timetz?|inet|cidr|xml|money|oid|name|hstore|citext)$/;

/** STABLE and IMMUTABLE defaults are worked out once. */
const ONCE =
  /^(?:now|transaction_timestamp|statement_timestamp|current_setting|lower|upper|to_jsonb?|jsonb?_build_(?:object|array)|coalesce|md5|concat|length|date_trunc|timezone|make_date|make_interval|array_fill|to_char|to_date|to_timestamp)$/;
const EACH =
  /^(?:gen_random_uuid|uuidv[47]|random|random_normal|clock_timestamp|timeofday|nextval|uuid_generate_v[14].*)$/;

function perRow(expression: unknown): boolean | null {
  const answers: (boolean | null)[] = [false];
  const left: unknown[] = [expression];
  while (left.length > 0) {
    const value = left.pop();
    if (typeof value !== 'object' || value === null) continue;
    const call = nodeOf(value, 'FuncCall');
    if (call !== null) {
      const [name = ''] = names(call['funcname']).slice(-1);
      answers.push(EACH.test(name ?? '') ? true : ONCE.test(name ?? '') ? false : null);
    }
    for (const child of Object.values(value)) left.push(child);
  }
  return any(answers);
}
