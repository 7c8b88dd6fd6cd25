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
/** What a condition says at least. No clause: nothing, it may be true of every row. An empty clause: false. */
export type Clauses = readonly Clause[];

const TRUE: Clauses = [];
const FALSE: Clauses = [[]];
const MAX_CLAUSES = 256;
const MAX_ITEMS = 100;

/** The rows for which it is `sense`, or (`orNull`) NULL: under IS NOT TRUE, or before an ELSE, what is NULL leaves no row out. */
export function clauses(value: unknown, sense = true, orNull = false): Clauses {
  const wrapped = unwrap(value);
  if (wrapped === null) return literal(value, sense, orNull);
  const { kind, node } = wrapped;
  switch (kind) {
    case 'A_Const': {
      if (node['isnull'] === true) return truth(orNull);
      const text = literalText(value);
      return text === null
        ? literal(value, sense, orNull)
        : truth(/^(?:t|tr|tru|true|y|yes|on|1)$/i.test(text) === sense);
    }
    case 'TypeCast':
      return qualified(asTree(node['typeName'])?.['names']).name === 'bool'
        ? clauses(node['arg'], sense, orNull)
        : literal(value, sense, orNull);
    case 'BoolExpr': {
      const args = asList(node['args']);
      if (node['boolop'] === 'NOT_EXPR') return clauses(args[0], !sense, orNull);
      const parts = args.map((arg) => clauses(arg, sense, orNull));
      return (node['boolop'] === 'AND_EXPR') === sense ? all(parts) : any(parts);
    }
    case 'BooleanTest':
      return tested(value, node, sense);
    case 'NullTest':
      return node['nulltesttype'] === 'IS_NOT_NULL' ? isNull(node['arg'], !sense) : never(value, sense);
    case 'A_Expr':
      return compared(value, node, sense, orNull);
    case 'CaseExpr':
      return chosen(node, sense, orNull);
    case 'CoalesceExpr': {
      const args = asList(node['args']);
      // A flag with a default for those that have none.
      if (nodeOf(args[0], 'ColumnRef') !== null) return never(args[0], sense);
      return any(args.map((arg) => clauses(arg, sense, orNull)));
    }
    case 'SubLink': {
      const query = nodeOf(node['subselect'], 'SelectStmt');
      const bare =
        node['subLinkType'] === 'EXPR_SUBLINK' &&
        query?.['fromClause'] === undefined &&
        query?.['op'] === 'SETOP_NONE';
      if (!bare || query?.['whereClause'] !== undefined) return literal(value, sense, orNull);
      return clauses(nodeOf(asList(query?.['targetList'])[0], 'ResTarget')?.['val'], sense, orNull);
    }
    default:
      return literal(value, sense, orNull);
  }
}

const truth = (holds: boolean): Clauses => (holds ? TRUE : FALSE);
/** Of what is never NULL. */
const never = (node: unknown, sense: boolean): Clauses => [[{ node, sense }]];
const literal = (node: unknown, sense: boolean, orNull: boolean): Clauses =>
  orNull && !nullByRow(node) ? TRUE : never(node, sense);
const isNull = (arg: unknown, sense: boolean): Clauses =>
  never({ NullTest: { arg, nulltesttype: 'IS_NULL' } }, sense);

/** NULL for no row, or for those whose columns are: not `id = NULL`, `id = (SELECT NULL)`, `id = nullif(1, 1)`. */
export function nullByRow(value: unknown): boolean {
  const wrapped = unwrap(value);
  if (wrapped === null) return false;
  const { kind, node } = wrapped;
  const each = (items: unknown): boolean => asList(items).every(nullByRow);
  switch (kind) {
    case 'ColumnRef':
    case 'SQLValueFunction':
    case 'NullTest':
    case 'BooleanTest':
      return true;
    case 'A_Const':
      return node['isnull'] !== true;
    case 'TypeCast':
      return nullByRow(node['arg']);
    case 'A_Indirection':
      return ofRow(node) && nullByRow(node['arg']);
    case 'A_Expr': {
      if (/DISTINCT/.test(asText(node['kind']))) return true;
      if (node['kind'] === 'AEXPR_NULLIF')
        return ofRow(node) && fixed(node['rexpr']) && nullByRow(node['lexpr']);
      const sides = [node['lexpr'], node['rexpr']].flat().filter((side) => side !== undefined);
      return (ofRow(node) || /^[-+]$/.test(qualified(node['name']).name)) && each(sides);
    }
    case 'BoolExpr':
      return each(node['args']);
    case 'List':
      return each(node['items']);
    case 'A_ArrayExpr':
      return each(node['elements']);
    case 'CoalesceExpr':
      return asList(node['args']).some(nullByRow);
    case 'SubLink':
      return node['subLinkType'] === 'EXISTS_SUBLINK';
    case 'FuncCall':
      return qualified(node['funcname']).name === 'now' || (ofRow(node) && each(node['args']));
    default:
      return false;
  }
}

const ofRow = (node: Tree): boolean => JSON.stringify(node).includes('{"ColumnRef":');

/** Of too many the first: fewer clauses say less, and nothing that is not so. */
const all = (parts: readonly Clauses[]): Clauses => parts.flat().slice(0, MAX_CLAUSES);

/** Each clause of one with each of the others. Too many: nothing is said. */
function any(parts: readonly Clauses[]): Clauses {
  let found: Clauses = [parts.flatMap((part) => (part.length === 1 ? (part[0] ?? []) : []))];
  for (const part of parts.filter(({ length }) => length !== 1)) {
    if (part.length * found.length > MAX_CLAUSES) return TRUE;
    found = found.flatMap((clause) => part.map((other) => [...clause, ...other]));
  }
  return found;
}

/** `IS FALSE` asks whether it is not true … */
function tested(value: unknown, node: Tree, sense: boolean): Clauses {
  switch (node['booltesttype']) {
    case 'IS_TRUE':
      return is(node['arg'], true, sense);
    case 'IS_NOT_TRUE':
      return is(node['arg'], true, !sense);
    case 'IS_FALSE':
      return is(node['arg'], false, sense);
    case 'IS_NOT_FALSE':
      return is(node['arg'], false, !sense);
    case 'IS_UNKNOWN':
      return isNull(node['arg'], sense);
    case 'IS_NOT_UNKNOWN':
      return isNull(node['arg'], !sense);
    default:
      return never(value, sense);
  }
}

/** `value IS wanted`, or that it is not. */
const is = (value: unknown, wanted: boolean, holds: boolean): Clauses =>
  holds ? clauses(value, wanted) : clauses(value, !wanted, true);

/** CASE: a result counts where its condition holds and none before it; ELSE where none does. */
function chosen(node: Tree, sense: boolean, orNull: boolean): Clauses {
  const arms: Clauses[] = [];
  const before: Clauses[] = [];
  for (const item of asList(node['args'])) {
    const when = nodeOf(item, 'CaseWhen') ?? {};
    const test = node['arg'] === undefined ? when['expr'] : expr('AEXPR_OP', '=', node['arg'], when['expr']);
    arms.push(all([clauses(test), clauses(when['result'], sense, orNull)]));
    before.push(is(test, true, false));
  }
  const otherwise =
    node['defresult'] === undefined ? truth(orNull) : clauses(node['defresult'], sense, orNull);
  return any([...arms, all([...before, otherwise])]);
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
  AEXPR_OP_ALL: 'AEXPR_OP_ANY',
  AEXPR_OP_ANY: 'AEXPR_OP_ALL',
};

function compared(value: unknown, node: Tree, sense: boolean, orNull: boolean): Clauses {
  const kind = asText(node['kind']);
  const [left, right] = [node['lexpr'], node['rexpr']];
  const { schema, name } = qualified(node['name']);
  switch (kind) {
    case 'AEXPR_DISTINCT':
      return compared(value, { ...node, kind: 'AEXPR_NOT_DISTINCT' }, !sense, orNull);
    case 'AEXPR_NOT_DISTINCT': {
      const [one, other] = nodeOf(left, 'A_Const') === null ? [right, left] : [left, right];
      if (nodeOf(one, 'A_Const')?.['isnull'] === true) return isNull(other, sense);
      if (nodeOf(one, 'A_Const')?.['boolval'] !== undefined)
        return is(other, literalText(one) === 'true', sense);
      return constants('=', left, right, sense, orNull) ?? never({ A_Expr: node }, sense);
    }
    case 'AEXPR_NOT_BETWEEN':
      return compared(value, { ...node, kind: 'AEXPR_BETWEEN' }, !sense, orNull);
    case 'AEXPR_NOT_BETWEEN_SYM':
      return literal({ A_Expr: { ...node, kind: 'AEXPR_BETWEEN_SYM' } }, !sense, orNull);
    case 'AEXPR_BETWEEN': {
      const [low, high] = asList(nodeOf(right, 'List')?.['items'] ?? right);
      const bounds = [
        clauses(expr('AEXPR_OP', '<', left, low), !sense, orNull),
        clauses(expr('AEXPR_OP', '>', left, high), !sense, orNull),
      ];
      return sense ? all(bounds) : any(bounds);
    }
  }
  if (schema !== null && schema !== 'pg_catalog') return literal(value, sense, orNull);
  const items = QUANTIFIED.has(kind) ? listed(right) : null;
  if (items !== null) {
    const each = kind === 'AEXPR_IN' ? name !== '=' : kind === 'AEXPR_OP_ALL';
    if (items.length > MAX_ITEMS) {
      // One comparison with all of them; of others nothing is said.
      if (name !== (each ? '<>' : '=') || !items.every(fixed)) return TRUE;
      return literal(expr('AEXPR_OP', '=', left, { List: { items } }), each !== sense, orNull);
    }
    const parts = items.map((item) => clauses(expr('AEXPR_OP', name, left, item), sense, orNull));
    return each === sense ? all(parts) : any(parts);
  }
  const opposite = OPPOSITE[kind];
  const negated = NEGATED[name];
  // `<> ALL` is the negation of `= ANY`, and the other way round.
  if (opposite !== undefined && negated !== undefined) {
    return compared(
      value,
      { ...node, kind: opposite, name: [{ String: { sval: negated } }] },
      !sense,
      orNull,
    );
  }
  if (kind !== 'AEXPR_OP') return literal({ A_Expr: node }, sense, orNull);
  if (name === '=') {
    if (nodeOf(right, 'A_Const')?.['boolval'] !== undefined)
      return clauses(left, (literalText(right) === 'true') === sense, orNull);
    if (nodeOf(left, 'A_Const')?.['boolval'] !== undefined)
      return clauses(right, (literalText(left) === 'true') === sense, orNull);
  }
  const mirrored = MIRRORED[name];
  const told = constants(name, left, right, sense, orNull);
  if (told !== null) return told;
  if (mirrored !== undefined && fixed(left) && !fixed(right))
    return literal(expr(kind, mirrored, right, left), sense, orNull);
  return literal({ A_Expr: node }, sense, orNull);
}

const QUANTIFIED = new Set(['AEXPR_IN', 'AEXPR_OP_ANY', 'AEXPR_OP_ALL']);

/** What stands in a list or an array, where all of it can be seen. */
function listed(value: unknown): readonly unknown[] | null {
  const wrapped = Array.isArray(value) ? { kind: 'List', node: { items: value } } : unwrap(value);
  switch (wrapped?.kind) {
    case 'List':
      return asList(wrapped.node['items']);
    case 'TypeCast':
      return listed(wrapped.node['arg']);
    case 'A_ArrayExpr':
      return asList(wrapped.node['elements']).flatMap((element) =>
        nodeOf(element, 'A_ArrayExpr') === null ? [element] : (listed(element) ?? []),
      );
    case 'A_Const': {
      const inside = /^\s*\{([^{}"\\]*)\}\s*$/.exec(literalText(value) ?? '')?.[1];
      if (inside === undefined) return null;
      const texts = inside.trim() === '' ? [] : inside.split(',').map((text) => text.trim());
      return texts.map((text) => ({
        A_Const: /^null$/i.test(text) ? { isnull: true } : { sval: { sval: text } },
      }));
    }
    default:
      return null;
  }
}

/** A constant or a parameter, of whatever type. */
export function fixed(value: unknown): boolean {
  const wrapped = unwrap(value);
  if (wrapped?.kind === 'TypeCast') return fixed(wrapped.node['arg']);
  return wrapped?.kind === 'A_Const' || wrapped?.kind === 'ParamRef';
}

/** Two constants; one of them NULL is not true. */
function constants(
  name: string,
  left: unknown,
  right: unknown,
  sense: boolean,
  orNull: boolean,
): Clauses | null {
  const [a, b] = [nodeOf(left, 'A_Const'), nodeOf(right, 'A_Const')];
  if (a?.['isnull'] === true || b?.['isnull'] === true) return name in MIRRORED ? truth(orNull) : null;
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
