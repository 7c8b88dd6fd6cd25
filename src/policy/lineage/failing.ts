/**
 * Expressions that may fail at a row. The rows before it have been put out by then, and how many they are tells where it stands: what is
 * compared there is compared by order.
 */
import type { Tree } from '../parse/node.ts';
import { asTree, nodeOf, qualified, unwrap } from '../parse/node.ts';

/** An expression of a query, within those of the queries around it. */
export interface Item {
  readonly value: unknown;
  readonly around: Item | null;
  /** What it comes to is written, for each row. */
  readonly written?: true;
}

/** Each of its rows tells by itself how it compares there. `node`: a comparison of it. One that is the whole of it chooses rows, and nothing fails after it. */
export function tellsEach(node: Tree, item: Item | null): boolean {
  for (let at = item; at !== null; at = at.around)
    if (at.written === true || (unwrap(at.value)?.node !== node && mayFail(at.value))) return true;
  return false;
}

const known = new WeakMap<object, boolean>();

function mayFail(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  let fails = known.get(value);
  if (fails === undefined) {
    fails = failsItself(value) || Object.values(unwrap(value)?.node ?? value).some(mayFail);
    known.set(value, fails);
  }
  return fails;
}

function failsItself(value: object): boolean {
  const wrapped = unwrap(value);
  const tree = asTree(value);
  if (wrapped === null) return Array.isArray(tree?.['funcname']);
  const { kind, node } = wrapped;
  switch (kind) {
    case 'A_Expr':
      return operatorFails(node);
    case 'FuncCall':
      return !ofServer(node['funcname'], SAFE_FUNCTIONS);
    case 'TypeCast':
      return nodeOf(node['arg'], 'A_Const') === null && !isText(node['typeName']);
    case 'SubLink':
      // More than one row.
      return node['subLinkType'] === 'EXPR_SUBLINK' || node['subLinkType'] === 'ARRAY_SUBLINK';
    case 'XmlExpr':
    case 'JsonFuncExpr':
      return true;
    default:
      return false;
  }
}

function operatorFails(node: Tree): boolean {
  switch (node['kind']) {
    case 'AEXPR_OP':
    case 'AEXPR_OP_ANY':
    case 'AEXPR_OP_ALL':
      return !ofServer(node['name'], SAFE_OPERATORS);
    // A pattern may be none.
    case 'AEXPR_LIKE':
    case 'AEXPR_ILIKE':
      return nodeOf(node['rexpr'], 'A_Const') === null;
    default:
      return false;
  }
}

function ofServer(value: unknown, safe: ReadonlySet<string>): boolean {
  const { schema, name } = qualified(value);
  return (schema === null || schema === 'pg_catalog') && safe.has(name);
}

const isText = (value: unknown): boolean =>
  ['text', 'varchar'].includes(qualified(asTree(value)?.['names']).name);

/** They fail at no value, or before any row is looked at. */
const SAFE_OPERATORS: ReadonlySet<string> = new Set('= <> != < > <= >= || -> ->> @> <@ && ?'.split(' '));
const SAFE_FUNCTIONS: ReadonlySet<string> = new Set(
  'lower upper btrim ltrim rtrim initcap length char_length octet_length concat md5 left right reverse replace strpos position starts_with now count min max bool_and bool_or'.split(
    ' ',
  ),
);
