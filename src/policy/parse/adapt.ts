/**
 * Trees of the older grammars in 18's shape. Every kind and field is known by the grammar's own declarations (shapes.ts); what is not, or has
 * no place in 18's shape, is told instead of guessed at.
 */
import type { Grammar } from '../server.ts';
import { GONE, SHAPES } from './shapes.ts';

type Older = Exclude<Grammar, 18>;
type Node = Record<string, unknown>;
interface Field {
  /** `''`: a scalar. `*`: any node. Else the kind of a bare object. */
  readonly of: string;
  readonly list: boolean;
}
type Shape = ReadonlyMap<string, Field>;

const known = new Map<Older, ReadonlyMap<string, Shape>>();

function shapesOf(grammar: Older): ReadonlyMap<string, Shape> {
  const before = known.get(grammar);
  if (before !== undefined) return before;
  const shapes = new Map<string, Shape>();
  for (const major of [15, 16, 17] as const) {
    if (major > grammar) continue;
    for (const line of SHAPES[major].trim().split('\n')) {
      const [kind = '', ...fields] = line.split(' ');
      shapes.set(kind, new Map(fields.map(fieldOf)));
    }
  }
  known.set(grammar, shapes);
  return shapes;
}

function fieldOf(text: string): readonly [string, Field] {
  const [name = '', type = ''] = text.split(':');
  return [name, { of: type.replace('[]', ''), list: type.endsWith('[]') }];
}

/** Changes the tree in place. The first thing that is not known, as `Kind.field`; null: it is in 18's shape. */
export function adapt(kind: string, node: Node, grammar: Older): string | null {
  return object(kind, node, shapesOf(grammar));
}

function object(kind: string, node: Node, shapes: ReadonlyMap<string, Shape>): string | null {
  const shape = shapes.get(kind);
  if (shape === undefined) return kind;
  for (const [name, value] of Object.entries(node)) {
    const field = shape.get(name);
    const strange =
      field === undefined || Array.isArray(value) !== field.list
        ? `${kind}.${name}`
        : field.list
          ? list(value, field, `${kind}.${name}`, shapes)
          : part(value, field, `${kind}.${name}`, shapes);
    if (strange !== null) return strange;
  }
  return MOVED.get(kind)?.(node) === false ? kind : null;
}

function list(value: unknown, field: Field, at: string, shapes: ReadonlyMap<string, Shape>): string | null {
  for (const item of Array.isArray(value) ? value : []) {
    const strange = part(item, field, at, shapes);
    if (strange !== null) return strange;
  }
  return null;
}

function part(value: unknown, { of }: Field, at: string, shapes: ReadonlyMap<string, Shape>): string | null {
  const whole = isNode(value) ? value : null;
  if (of === '') return whole === null && !(typeof value === 'string' && GONE.has(value)) ? null : at;
  if (whole === null) return at;
  if (of !== '*') return object(of, whole, shapes);
  const [kind, ...more] = Object.keys(whole);
  // An empty place in a list, such as that of a plain DISTINCT.
  if (kind === undefined) return null;
  const inner = whole[kind];
  return more.length === 0 && isNode(inner) ? object(kind, inner, shapes) : at;
}

const isNode = (value: unknown): value is Node =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** false: 18 has no way to say it. */
type Move = (node: Node) => boolean;

const returning: Move = (node) => {
  const { returningList: exprs } = node;
  if (exprs === undefined) return true;
  delete node['returningList'];
  node['returningClause'] = { exprs };
  return true;
};

const STRATEGIES = new Map([
  ['list', 'PARTITION_STRATEGY_LIST'],
  ['range', 'PARTITION_STRATEGY_RANGE'],
  ['hash', 'PARTITION_STRATEGY_HASH'],
]);

const ENFORCED = new Set(['CONSTR_CHECK', 'CONSTR_FOREIGN', 'CONSTR_NOTNULL']);

/** What 18 says otherwise. Fields of which a raw tree has none are in here too. */
const MOVED: ReadonlyMap<string, Move> = new Map<string, Move>([
  ['InsertStmt', returning],
  ['UpdateStmt', returning],
  ['DeleteStmt', returning],
  ['MergeStmt', returning],
  [
    'MergeWhenClause',
    (node) => {
      const { matched, matchKind } = node;
      delete node['matched'];
      // 17 has the field of 18.
      node['matchKind'] =
        matchKind ?? (matched === true ? 'MERGE_WHEN_MATCHED' : 'MERGE_WHEN_NOT_MATCHED_BY_TARGET');
      return true;
    },
  ],
  [
    'GrantRoleStmt',
    (node) => {
      const { admin_opt: admin } = node;
      delete node['admin_opt'];
      if (admin === true)
        node['opt'] = [
          {
            DefElem: {
              defname: 'admin',
              arg: { Boolean: { boolval: node['is_grant'] === true } },
              defaction: 'DEFELEM_UNSPEC',
            },
          },
        ];
      return true;
    },
  ],
  [
    'AlterStatsStmt',
    (node) => {
      const { stxstattarget: target = 0 } = node;
      if (!isNode(target)) node['stxstattarget'] = { Integer: target === 0 ? {} : { ival: target } };
      return true;
    },
  ],
  [
    'PartitionSpec',
    (node) => {
      const strategy = String(node['strategy'] ?? '');
      if (strategy.startsWith('PARTITION_STRATEGY_')) return true;
      const known = STRATEGIES.get(strategy.toLowerCase());
      if (known !== undefined) node['strategy'] = known;
      return known !== undefined;
    },
  ],
  [
    'DeallocateStmt',
    (node) => {
      if (node['name'] === undefined) node['isall'] = true;
      return true;
    },
  ],
  ['IntoClause', (node) => node['viewQuery'] === undefined],
  ['GroupingFunc', (node) => node['cols'] === undefined],
  [
    'Constraint',
    (node) => {
      const { contype } = node;
      if (contype === 'CONSTR_GENERATED') node['generated_kind'] = 's';
      if (typeof contype === 'string' && ENFORCED.has(contype)) node['is_enforced'] = true;
      if (contype === 'CONSTR_NOTNULL') node['initially_valid'] = true;
      return node['inhcount'] === undefined;
    },
  ],
  ['IndexStmt', (node) => node['oldNode'] === undefined && node['oldFirstRelfilenodeSubid'] === undefined],
]);
