/**
 * Literals compared with or written to tagged columns are PII too (DESIGN.md 6). A statement that touches a tagged column keeps
 * only the literals that are shown here to belong to something else.
 */
import type { Tree } from '../parse/node.ts';
import { asList, asTree, nodeOf, qualified, unwrap } from '../parse/node.ts';
import type { Context } from './context.ts';

/** Operands of a comparison in which nothing tagged takes part: its literals are about an untagged column, if there is one. */
export function clearLiterals(operands: readonly unknown[], context: Context): void {
  if (!operands.some(namesColumn)) return;
  for (const operand of operands) clear(operand, context);
}

/** A literal assigned to an untagged column. Calls of functions that are not built in are not looked through. */
export function clear(value: unknown, context: Context): void {
  if (Array.isArray(value)) {
    for (const item of value) clear(item, context);
    return;
  }
  const wrapped = unwrap(value);
  if (wrapped === null) return;
  const { kind, node } = wrapped;
  switch (kind) {
    case 'A_Const':
    case 'ParamRef':
      context.cleared.add(node);
      return;
    case 'TypeCast':
    case 'CollateClause':
      clear(node['arg'], context);
      return;
    case 'A_Expr':
      clear(node['lexpr'], context);
      clear(node['rexpr'], context);
      return;
    case 'List':
      clear(node['items'], context);
      return;
    case 'A_ArrayExpr':
      clear(node['elements'], context);
      return;
    case 'FuncCall': {
      const { schema, name } = qualified(node['funcname']);
      if (context.env.functionsNamed(schema, name, context.resolution).length === 0)
        clear(node['args'], context);
      return;
    }
  }
}

function namesColumn(value: unknown): boolean {
  if (Array.isArray(value)) return value.some(namesColumn);
  const wrapped = unwrap(value);
  if (wrapped === null) return false;
  if (wrapped.kind === 'ColumnRef') return true;
  if (wrapped.kind === 'SubLink') return false;
  return Object.values(wrapped.node).some(
    (child) => typeof child === 'object' && child !== null && namesColumn(child),
  );
}

export interface Literal {
  /** UTF-8 byte offset of its token. */
  readonly location: number;
  readonly label: string;
}

export interface Literals {
  readonly literals: readonly Literal[];
  /** Numbers of `$n`. */
  readonly parameters: ReadonlySet<number>;
}

/** Every literal and parameter of a tree that was not cleared. Type modifiers are no data. */
export function remainingLiterals(tree: unknown, cleared: ReadonlySet<unknown>): Literals {
  const literals: Literal[] = [];
  const parameters = new Set<number>();
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) {
      for (const item of value) visit(item);
      return;
    }
    const node = asTree(value);
    if (node === null) return;
    const constant = nodeOf(node, 'A_Const');
    if (constant !== null) {
      const label = labelOf(constant);
      if (label !== null && !cleared.has(constant)) literals.push({ location: locationOf(constant), label });
      return;
    }
    const parameter = nodeOf(node, 'ParamRef');
    if (parameter !== null) {
      if (!cleared.has(parameter))
        parameters.add(typeof parameter['number'] === 'number' ? parameter['number'] : 0);
      return;
    }
    for (const field in node) {
      if (field === 'typeName' || field === 'TypeName') continue;
      const child = node[field];
      if (typeof child === 'object' && child !== null) visit(child);
    }
  };
  visit(tree);
  return { literals, parameters };
}

function labelOf(constant: Tree): string | null {
  if (constant['sval'] !== undefined) return '<pii:text>';
  if (constant['ival'] !== undefined || constant['fval'] !== undefined) return '<pii:number>';
  return constant['bsval'] !== undefined ? '<pii:bits>' : null;
}

function locationOf(node: Tree): number {
  return typeof node['location'] === 'number' ? node['location'] : 0;
}

/** Integers in LIMIT, OFFSET, ORDER BY 1 and GROUP BY 1. */
export function clearPositions(values: readonly unknown[], context: Context): void {
  for (const value of values) {
    const inner = nodeOf(value, 'SortBy')?.['node'] ?? value;
    if (nodeOf(inner, 'A_Const') !== null || nodeOf(inner, 'ParamRef') !== null) clear(inner, context);
  }
}

export function listed(value: unknown): readonly unknown[] {
  return value === undefined ? [] : Array.isArray(value) ? asList(value) : [value];
}
