/**
 * Which operators of users an expression may mean, where the types on both sides are known: an operator that takes them just as they are
 * comes before any other, and one that does not take them is no candidate (parse_oper.c). What is not certain may be any.
 */
import type { Context } from '../lineage/context.ts';
import type { CatalogOperand, CatalogOperator, ResolutionContext } from '../types.ts';
import { exact, type Operand, PLAIN } from './types.ts';

/** What stands on both sides of an operator, in each of the comparisons that a node makes: IN and BETWEEN make several. */
export interface Operands {
  readonly left: Operand;
  readonly right: Operand;
}
/** By node of a tree. */
export type OperandsOf = WeakMap<object, readonly Operands[]>;

/** Operators, domains and types with casts that a name may mean here and that run functions. */
export function operatorsAt(
  node: object,
  schema: string | null,
  name: string,
  { env, resolution, operands }: Context,
): readonly CatalogOperator[] {
  const named = env.operatorsNamed(schema, name, resolution);
  const pairs = named.length === 0 ? undefined : operands?.get(node);
  if (pairs === undefined) return named;
  return named.filter((operator) => pairs.some((pair) => applies(operator, schema, pair, resolution)));
}

function applies(
  operator: CatalogOperator,
  schema: string | null,
  pair: Operands,
  resolution: ResolutionContext,
): boolean {
  if (!operator.left || !operator.right) return true;
  // A literal is first taken for a value of the other side's type.
  const left = pair.left === 'literal' ? pair.right : pair.left;
  const right = pair.right === 'literal' ? pair.left : pair.right;
  if (
    typeof left === 'number' &&
    typeof right === 'number' &&
    (schema === null || schema === 'pg_catalog') &&
    exact(operator.name, left, right)
  ) {
    const same = operator.left.type === left && operator.right.type === right;
    return same && (operator.schema === 'pg_catalog' || !ownFirst(resolution));
  }
  return takes(operator.left, pair.left) && takes(operator.right, pair.right);
}

const takes = ({ takes }: CatalogOperand, operand: Operand): boolean =>
  typeof operand !== 'number' || takes === null || takes.includes(operand);

/** What is not qualified is found in pg_catalog first. */
export const ownFirst = ({ searchPath }: ResolutionContext): boolean =>
  searchPath !== null && searchPath.indexOf('pg_catalog') <= 0;

/** It compares values of types that nobody but the server compares. */
export function comparesPlainly(node: object, { env, operands }: Context): boolean {
  const pairs = operands?.get(node) ?? [];
  const plain = (operand: Operand): boolean =>
    operand === 'literal' || (operand !== null && PLAIN.has(operand) && !env.comparedByUsers(operand));
  return pairs.length > 0 && pairs.every(({ left, right }) => plain(left) && plain(right));
}
