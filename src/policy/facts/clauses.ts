/**
 * A condition as clauses that all must hold, each a list of alternatives (conjunctive normal form). Negation is pushed down to single
 * predicates, and `<>`, `>=`, NOT LIKE … become the negation of `=`, `<`, LIKE …, so that opposites meet.
 */
import type { Tree } from '../parse/node.ts';
import { asList, asText, asTree, literalText, nodeOf, qualified, unwrap } from '../parse/node.ts';

/** A predicate, or (`sense` false) its negation. */
export interface Literal {
  readonly node: unknown;
  readonly sense: boolean;
}
export type Clause = readonly Literal[];
/** No clause: true. An empty clause: false. Null: too many to tell. */
export type Clauses = readonly Clause[] | null;

const TRUE: readonly Clause[] = [];
const FALSE: readonly Clause[] = [[]];
const MAX_CLAUSES = 256;

/** NULL is as good as false, at whatever depth: what it hides leaves rows out only where a negation does not bring them back. */
export function clauses(value: unknown, sense = true): Clauses {
  const wrapped = unwrap(value);
  if (wrapped === null) return literal(value, sense);
  const { kind, node } = wrapped;
  switch (kind) {
    case 'A_Const': {
      if (node['isnull'] === true) return FALSE;
      const text = literalText(value);
      return text === null
        ? literal(value, sense)
        : truth(/^(?:t|tr|tru|true|y|yes|on|1)$/i.test(text) === sense);
    }
    case 'TypeCast':
      return qualified(asTree(node['typeName'])?.['names']).name === 'bool'
        ? clauses(node['arg'], sense)
        : literal(value, sense);
    case 'CollateClause':
      return clauses(node['arg'], sense);
    case 'BoolExpr': {
      const args = asList(node['args']);
      if (node['boolop'] === 'NOT_EXPR') return clauses(args[0], !sense);
      const parts = args.map((arg) => clauses(arg, sense));
      return (node['boolop'] === 'AND_EXPR') === sense ? all(parts) : any(parts);
    }
    case 'BooleanTest':
      return tested(value, node, sense);
    case 'NullTest':
      return node['nulltesttype'] === 'IS_NOT_NULL' ? isNull(node['arg'], !sense) : literal(value, sense);
    case 'A_Expr':
      return compared(value, node, sense);
    case 'CaseExpr':
      return chosen(node, sense);
    case 'CoalesceExpr': {
      const args = asList(node['args']);
      // A flag with a default for those that have none.
      if (nodeOf(args[0], 'ColumnRef') !== null) return literal(args[0], sense);
      return any(args.map((arg) => clauses(arg, sense)));
    }
    case 'SubLink': {
      const query = nodeOf(node['subselect'], 'SelectStmt');
      const bare =
        node['subLinkType'] === 'EXPR_SUBLINK' &&
        query?.['fromClause'] === undefined &&
        query?.['op'] === 'SETOP_NONE';
      if (!bare || query?.['whereClause'] !== undefined) return literal(value, sense);
      return clauses(nodeOf(asList(query?.['targetList'])[0], 'ResTarget')?.['val'], sense);
    }
    default:
      return literal(value, sense);
  }
}

const truth = (holds: boolean): Clauses => (holds ? TRUE : FALSE);
const literal = (node: unknown, sense: boolean): Clauses => [[{ node, sense }]];
const isNull = (arg: unknown, sense: boolean): Clauses =>
  literal({ NullTest: { arg, nulltesttype: 'IS_NULL' } }, sense);

/** Too many clauses of one conjunct tell nothing, and take nothing from the others. */
function all(parts: readonly Clauses[]): Clauses {
  const told = parts.filter((part) => part !== null);
  if (told.length === 0 && parts.length > 0) return null;
  const joined = told.flat();
  return joined.length > MAX_CLAUSES ? null : joined;
}

function any(parts: readonly Clauses[]): Clauses {
  const told = parts.filter((part) => part !== null);
  if (told.length < parts.length) return told.some((part) => part.length === 0) ? TRUE : null;
  let found: readonly Clause[] = [told.flatMap((part) => (part.length === 1 ? (part[0] ?? []) : []))];
  for (const part of told) {
    if (part.length === 1) continue;
    if (part.length * found.length > MAX_CLAUSES) return null;
    found = found.flatMap((clause) => part.map((other) => [...clause, ...other]));
  }
  return found;
}

function tested(value: unknown, node: Tree, sense: boolean): Clauses {
  switch (node['booltesttype']) {
    case 'IS_TRUE':
    case 'IS_NOT_FALSE':
      return clauses(node['arg'], sense);
    case 'IS_FALSE':
    case 'IS_NOT_TRUE':
      return clauses(node['arg'], !sense);
    case 'IS_UNKNOWN':
      return isNull(node['arg'], sense);
    case 'IS_NOT_UNKNOWN':
      return isNull(node['arg'], !sense);
    default:
      return literal(value, sense);
  }
}

/** CASE: a result counts where its condition holds; ELSE where none does. */
function chosen(node: Tree, sense: boolean): Clauses {
  const tests: unknown[] = [];
  const arms = asList(node['args']).map((item) => {
    const when = nodeOf(item, 'CaseWhen') ?? {};
    const test = node['arg'] === undefined ? when['expr'] : expr('AEXPR_OP', '=', node['arg'], when['expr']);
    tests.push(test);
    return all([clauses(test), clauses(when['result'], sense)]);
  });
  const otherwise = node['defresult'];
  if (otherwise === undefined) return any(arms);
  return any([...arms, all([...tests.map((test) => clauses(test, false)), clauses(otherwise, sense)])]);
}

const expr = (kind: string, name: string, lexpr: unknown, rexpr: unknown): unknown => ({
  A_Expr: { kind, name: [{ String: { sval: name } }], lexpr, rexpr },
});

const NEGATED: Readonly<Record<string, string>> = {
  '<>': '=',
  '>=': '<',
  '<=': '>',
  '!~~': '~~',
  '!~~*': '~~*',
  '!~': '~',
  '!~*': '~*',
};
const MIRRORED: Readonly<Record<string, string>> = { '=': '=', '<': '>', '>': '<' };
const OPPOSITE: Readonly<Record<string, string>> = {
  AEXPR_OP: 'AEXPR_OP',
  AEXPR_LIKE: 'AEXPR_LIKE',
  AEXPR_ILIKE: 'AEXPR_ILIKE',
  AEXPR_SIMILAR: 'AEXPR_SIMILAR',
  AEXPR_IN: 'AEXPR_IN',
  AEXPR_OP_ALL: 'AEXPR_OP_ANY',
  AEXPR_OP_ANY: 'AEXPR_OP_ALL',
};

function compared(value: unknown, node: Tree, sense: boolean): Clauses {
  const kind = asText(node['kind']);
  const [left, right] = [node['lexpr'], node['rexpr']];
  const { schema, name } = qualified(node['name']);
  switch (kind) {
    case 'AEXPR_DISTINCT':
      return compared(value, { ...node, kind: 'AEXPR_NOT_DISTINCT' }, !sense);
    case 'AEXPR_NOT_DISTINCT': {
      const [one, other] = nodeOf(left, 'A_Const') === null ? [right, left] : [left, right];
      if (nodeOf(one, 'A_Const')?.['isnull'] === true) return isNull(other, sense);
      if (nodeOf(one, 'A_Const')?.['boolval'] !== undefined)
        return clauses(other, (literalText(one) === 'true') === sense);
      return constants('=', left, right, sense) ?? literal({ A_Expr: node }, sense);
    }
    case 'AEXPR_NOT_BETWEEN':
      return compared(value, { ...node, kind: 'AEXPR_BETWEEN' }, !sense);
    case 'AEXPR_NOT_BETWEEN_SYM':
      return literal({ A_Expr: { ...node, kind: 'AEXPR_BETWEEN_SYM' } }, !sense);
    case 'AEXPR_BETWEEN': {
      const [low, high] = asList(nodeOf(right, 'List')?.['items'] ?? right);
      const bounds = [
        clauses(expr('AEXPR_OP', '<', left, low), !sense),
        clauses(expr('AEXPR_OP', '>', left, high), !sense),
      ];
      return sense ? all(bounds) : any(bounds);
    }
  }
  if (schema !== null && schema !== 'pg_catalog') return literal(value, sense);
  const opposite = OPPOSITE[kind];
  const negated = NEGATED[name];
  // `<> ALL` is the negation of `= ANY`, and the other way round.
  if (opposite !== undefined && negated !== undefined) {
    return compared(value, { ...node, kind: opposite, name: [{ String: { sval: negated } }] }, !sense);
  }
  if (kind !== 'AEXPR_OP') return literal({ A_Expr: node }, sense);
  if (name === '=') {
    if (nodeOf(right, 'A_Const')?.['boolval'] !== undefined)
      return clauses(left, (literalText(right) === 'true') === sense);
    if (nodeOf(left, 'A_Const')?.['boolval'] !== undefined)
      return clauses(right, (literalText(left) === 'true') === sense);
  }
  const mirrored = MIRRORED[name];
  const told = constants(name, left, right, sense);
  if (told !== null) return told;
  if (mirrored !== undefined && fixed(left) && !fixed(right))
    return literal(expr(kind, mirrored, right, left), sense);
  return literal({ A_Expr: node }, sense);
}

function fixed(value: unknown): boolean {
  const wrapped = unwrap(value);
  if (wrapped?.kind === 'TypeCast') return fixed(wrapped.node['arg']);
  return wrapped?.kind === 'A_Const' || wrapped?.kind === 'ParamRef';
}

/** Two constants; one of them NULL is not true. */
function constants(name: string, left: unknown, right: unknown, sense: boolean): Clauses {
  const [a, b] = [nodeOf(left, 'A_Const'), nodeOf(right, 'A_Const')];
  if (a?.['isnull'] === true || b?.['isnull'] === true) return name in MIRRORED ? FALSE : null;
  if (a === null || b === null) return null;
  const [x, y] = [literalText(left) ?? '', literalText(right) ?? ''];
  const numbers = [a, b].every((one) => one['ival'] !== undefined || one['fval'] !== undefined);
  switch (name) {
    case '=':
      return numbers ? truth((Number(x) === Number(y)) === sense) : x === y ? truth(sense) : null;
    case '<':
      return numbers ? truth(Number(x) < Number(y) === sense) : null;
    case '>':
      return numbers ? truth(Number(x) > Number(y) === sense) : null;
    default:
      return null;
  }
}
