/**
 * Table locks that a statement takes, the strongest of each relation, as PostgreSQL documents them ("Explicit Locking", ALTER TABLE and the
 * page of each command). On doubt the stronger one. Not told apart: what goes with a table (indexes, TOAST, sequences of its own
 * columns), and the server's catalogs beneath its own views.
 */
import type { Context } from '../lineage/context.ts';
import { viewSummary } from '../lineage/definitions.ts';
import type { RelationName, Tree } from '../parse/node.ts';
import { asList, asText, asTree, names, nodeOf, relationName, unwrap } from '../parse/node.ts';
import type { CatalogRelation, LockMode, LockUse, RelationUse } from '../types.ts';
import { LOCK_MODES } from '../types.ts';
import { modeOfLock, optionText, UTILITIES } from './utility.ts';

/** What touching a relation takes; `ddl` and `lock` as the statement says. */
const BY_ACCESS: Readonly<Record<RelationUse['access'], LockMode>> = {
  read: 'ACCESS SHARE',
  'copy-out': 'ACCESS SHARE',
  lock: 'ROW SHARE',
  // In a function's body; of a statement itself the mode is told.
  'table-lock': 'ACCESS EXCLUSIVE',
  insert: 'ROW EXCLUSIVE',
  update: 'ROW EXCLUSIVE',
  delete: 'ROW EXCLUSIVE',
  'copy-in': 'ROW EXCLUSIVE',
  truncate: 'ACCESS EXCLUSIVE',
  ddl: 'ACCESS EXCLUSIVE',
};

/** Of the relations a utility statement names; `concurrently` where it may be said. What is not here is ACCESS EXCLUSIVE. */
const BY_KIND: Readonly<Record<string, { readonly mode: LockMode; readonly concurrently?: LockMode }>> = {
  IndexStmt: { mode: 'SHARE', concurrently: 'SHARE UPDATE EXCLUSIVE' },
  ReindexStmt: { mode: 'ACCESS EXCLUSIVE', concurrently: 'SHARE UPDATE EXCLUSIVE' },
  DropStmt: { mode: 'ACCESS EXCLUSIVE', concurrently: 'SHARE UPDATE EXCLUSIVE' },
  RefreshMatViewStmt: { mode: 'ACCESS EXCLUSIVE', concurrently: 'EXCLUSIVE' },
  CreateTrigStmt: { mode: 'SHARE ROW EXCLUSIVE' },
  AlterSeqStmt: { mode: 'SHARE ROW EXCLUSIVE' },
  CreateStatsStmt: { mode: 'SHARE UPDATE EXCLUSIVE' },
  CommentStmt: { mode: 'SHARE UPDATE EXCLUSIVE' },
  SecLabelStmt: { mode: 'SHARE UPDATE EXCLUSIVE' },
  CreatePublicationStmt: { mode: 'SHARE UPDATE EXCLUSIVE' },
  AlterPublicationStmt: { mode: 'SHARE UPDATE EXCLUSIVE' },
  GrantStmt: { mode: 'ACCESS SHARE' },
};

/** Statements that reach relations nobody names, and how. */
const ELSEWHERE: Readonly<Record<string, LockMode>> = {
  AlterDomainStmt: 'SHARE',
  AlterExtensionContentsStmt: 'ACCESS EXCLUSIVE',
  AlterExtensionStmt: 'ACCESS EXCLUSIVE',
  AlterTableMoveAllStmt: 'ACCESS EXCLUSIVE',
  ConstraintsSetStmt: 'ACCESS EXCLUSIVE',
  CreateExtensionStmt: 'ACCESS EXCLUSIVE',
  // Its body is parsed, which takes the locks of its tables.
  CreateFunctionStmt: 'ROW EXCLUSIVE',
  DropOwnedStmt: 'ACCESS EXCLUSIVE',
  ExecuteStmt: 'ACCESS EXCLUSIVE',
  ImportForeignSchemaStmt: 'ACCESS EXCLUSIVE',
  ReassignOwnedStmt: 'ACCESS EXCLUSIVE',
};

/** ALTER TABLE: the table itself, another one named in it, and those it is tied to by foreign keys. */
interface Alteration {
  readonly mode: LockMode;
  readonly other?: LockMode;
  readonly tied?: LockMode;
}
const SUE: Alteration = { mode: 'SHARE UPDATE EXCLUSIVE' };
const TRIGGERS: Alteration = { mode: 'SHARE ROW EXCLUSIVE' };
const TIED: Alteration = { mode: 'ACCESS EXCLUSIVE', tied: 'ACCESS EXCLUSIVE' };
const ALTERATIONS: Readonly<Record<string, Alteration>> = {
  AT_SetStatistics: SUE,
  AT_SetOptions: SUE,
  AT_ResetOptions: SUE,
  AT_ClusterOn: SUE,
  AT_DropCluster: SUE,
  AT_ValidateConstraint: { ...SUE, tied: 'ROW SHARE' },
  AT_EnableTrig: TRIGGERS,
  AT_EnableAlwaysTrig: TRIGGERS,
  AT_EnableReplicaTrig: TRIGGERS,
  AT_EnableTrigAll: TRIGGERS,
  AT_EnableTrigUser: TRIGGERS,
  AT_DisableTrig: TRIGGERS,
  AT_DisableTrigAll: TRIGGERS,
  AT_DisableTrigUser: TRIGGERS,
  AT_AttachPartition: { ...SUE, tied: 'SHARE ROW EXCLUSIVE' },
  AT_DetachPartition: TIED,
  AT_DetachPartitionFinalize: { ...SUE, tied: 'ACCESS EXCLUSIVE' },
  AT_AddInherit: { mode: 'ACCESS EXCLUSIVE', other: 'SHARE UPDATE EXCLUSIVE' },
  AT_DropInherit: { mode: 'ACCESS EXCLUSIVE', other: 'SHARE UPDATE EXCLUSIVE' },
  AT_AlterColumnType: TIED,
  AT_AlterConstraint: TIED,
  AT_DropColumn: TIED,
  AT_DropConstraint: TIED,
};
/** Storage parameters that are set beside reading and writing; others stop both. */
const GENTLE =
  /^(?:autovacuum_\w+|vacuum_\w+|log_autovacuum_\w+|fillfactor|toast_tuple_target|parallel_workers|deduplicate_items)$/;

const MODIFICATIONS: ReadonlySet<string> = new Set(['InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt']);
/** COMMENT ON and SECURITY LABEL name the relation: the whole name, or all but its last part. */
const NAMES_RELATION = /^OBJECT_(?:TABLE|VIEW|MATVIEW|SEQUENCE|INDEX|FOREIGN_TABLE)$/;
const NAMES_PART = /^OBJECT_(?:COLUMN|TABCONSTRAINT|TRIGGER|RULE|POLICY)$/;

export function strongest(a: LockMode, b: LockMode): LockMode {
  return LOCK_MODES.indexOf(a) >= LOCK_MODES.indexOf(b) ? a : b;
}

/** Call when the collector holds all relations. `*`: any other relation. */
export function locksOf(kind: string, node: Tree, context: Context): readonly LockUse[] {
  const locks = new Locks(context);
  const { out } = context;
  const explicit = kind === 'LockStmt';
  const utilityLocks = explicit || UTILITIES.get(kind)?.access === 'lock';
  named(kind, node, locks);
  for (const use of out.relations.values()) {
    const locked = use.access === 'lock' || use.access === 'table-lock';
    const utility = use.access === 'ddl' || (locked && utilityLocks && (explicit || !use.indirect));
    // What the statement names has been told above as what it is there.
    if (utility && locks.has(use)) continue;
    const mode = utility ? 'ACCESS EXCLUSIVE' : BY_ACCESS[use.access];
    locks.take(use, mode);
    if (mode === 'ROW SHARE') locks.through(locks.found(use), mode);
    // Foreign keys are checked.
    if (mode === 'ROW EXCLUSIVE') locks.tied(use, 'ROW SHARE');
  }
  if (out.unknowns.size > 0) locks.elsewhere('ACCESS EXCLUSIVE');
  return locks.all();
}

class Locks {
  readonly #context: Context;
  readonly #found = new Map<string, LockUse>();

  constructor(context: Context) {
    this.#context = context;
  }

  all(): readonly LockUse[] {
    return [...this.#found.values()];
  }

  has(use: Pick<LockUse, 'schema' | 'name'>): boolean {
    return this.#found.has(keyOf(use));
  }

  take({ schema, name }: Pick<LockUse, 'schema' | 'name'>, mode: LockMode): void {
    const key = keyOf({ schema, name });
    const before = this.#found.get(key)?.mode ?? mode;
    this.#found.set(key, { schema, name, mode: strongest(before, mode) });
  }

  elsewhere(mode: LockMode): void {
    this.take({ schema: null, name: '*' }, mode);
  }

  /** A relation by its name in the text, with its children, and what a view reads. */
  name(name: Pick<RelationName, 'schema' | 'name'>, mode: LockMode): readonly CatalogRelation[] {
    const { env, resolution } = this.#context;
    const { relations, temporary, system } = env.resolve(name, resolution);
    for (const relation of relations) this.#relation(relation, mode, new Set());
    if (temporary) this.take({ schema: 'pg_temp', name: name.name }, mode);
    if (system !== null) this.take(system, mode);
    if (relations.length === 0 && !temporary && system === null) this.take(name, mode);
    return relations;
  }

  #relation(relation: CatalogRelation, mode: LockMode, seen: Set<number>): void {
    if (seen.has(relation.oid)) return;
    seen.add(relation.oid);
    this.take(relation, mode);
    for (const child of this.#context.env.childrenOf(relation.oid)) this.#relation(child, mode, seen);
  }

  /** An index goes with its table; any other relation, where the catalog does not tell which. */
  index(name: Pick<RelationName, 'schema' | 'name'>, mode: LockMode): void {
    const table = this.#context.env.tableOf(name, this.#context.resolution);
    if (table === null) this.elsewhere(mode);
    else this.#relation(table, mode, new Set());
  }

  /** LOCK, FOR UPDATE and DML go through a view to its tables; REFRESH reads them. */
  through(relations: readonly CatalogRelation[], mode: LockMode): void {
    for (const relation of relations) {
      if (relation.relkind !== 'v' && relation.relkind !== 'm') continue;
      for (const use of viewSummary(relation, this.#context).facts.relations.values()) this.take(use, mode);
    }
  }

  tied(use: Pick<LockUse, 'schema' | 'name'>, mode: LockMode): void {
    for (const { oid } of this.found(use))
      for (const other of this.#context.env.tiedTo(oid)) this.take(other, mode);
  }

  parentsOf({ parents }: CatalogRelation): void {
    for (const oid of parents) {
      const parent = this.#context.env.relationByOid(oid);
      if (parent !== null) this.take(parent, 'ACCESS EXCLUSIVE');
    }
  }

  partitionsOf(parents: readonly CatalogRelation[]): void {
    for (const { oid } of parents)
      for (const partition of this.#context.env.childrenOf(oid)) this.take(partition, 'ACCESS EXCLUSIVE');
  }

  /** In the catalog. */
  found({ schema, name }: Pick<LockUse, 'schema' | 'name'>): readonly CatalogRelation[] {
    return this.#context.env.resolve({ schema, name }, this.#context.resolution).relations;
  }
}

const keyOf = ({ schema, name }: Pick<LockUse, 'schema' | 'name'>): string => `${schema ?? ''}\0${name}`;

function named(kind: string, node: Tree, locks: Locks): void {
  const elsewhere = ELSEWHERE[kind];
  if (elsewhere !== undefined) locks.elsewhere(elsewhere);
  if (node['behavior'] === 'DROP_CASCADE' && kind !== 'TruncateStmt' && kind !== 'GrantStmt')
    locks.elsewhere('ACCESS EXCLUSIVE');
  parts(node, locks);
  switch (kind) {
    case 'AlterTableStmt':
      altered(node, locks);
      return;
    case 'CreateStmt':
      for (const parent of asList(node['inhRelations']))
        ranged(
          nodeOf(parent, 'RangeVar'),
          node['partbound'] === undefined ? SUE.mode : 'ACCESS EXCLUSIVE',
          locks,
        );
      for (const element of asList(node['tableElts']))
        ranged(asTree(nodeOf(element, 'TableLikeClause')?.['relation']), 'ACCESS SHARE', locks);
      return;
    case 'LockStmt': {
      const mode = modeOfLock(node);
      for (const one of asList(node['relations'])) ranged(nodeOf(one, 'RangeVar'), mode, locks, mode);
      return;
    }
    case 'VacuumStmt': {
      const mode = option(node['options'], 'full') ? 'ACCESS EXCLUSIVE' : 'SHARE UPDATE EXCLUSIVE';
      const rels = asList(node['rels']).map((one) => asTree(nodeOf(one, 'VacuumRelation')?.['relation']));
      for (const one of rels) ranged(one, mode, locks);
      if (rels.length === 0) locks.elsewhere(mode);
      return;
    }
    case 'ClusterStmt':
      if (node['relation'] === undefined) locks.elsewhere('ACCESS EXCLUSIVE');
      return;
    case 'RefreshMatViewStmt':
      ranged(asTree(node['relation']), modeOf(kind, node), locks, 'ACCESS SHARE');
      return;
    case 'ReindexStmt':
      reindexed(node, locks);
      return;
    case 'CommentStmt':
    case 'SecLabelStmt': {
      const type = asText(node['objtype']);
      const dotted = names(nodeOf(node['object'], 'List')?.['items']);
      if (NAMES_RELATION.test(type)) dot(dotted, modeOf(kind, node), locks);
      if (NAMES_PART.test(type)) dot(dotted.slice(0, -1), modeOf(kind, node), locks);
      return;
    }
    case 'CreateSeqStmt':
    case 'AlterSeqStmt':
      if (kind === 'AlterSeqStmt') ranged(asTree(node['sequence']), modeOf(kind, node), locks);
      for (const item of asList(node['options'])) {
        const owner = nodeOf(item, 'DefElem');
        if (owner?.['defname'] === 'owned_by')
          dot(names(nodeOf(owner['arg'], 'List')?.['items']).slice(0, -1), 'ACCESS SHARE', locks);
      }
      return;
    case 'DropStmt':
      dropped(node, locks);
      return;
  }
  if (BY_KIND[kind] !== undefined) everywhere(node, modeOf(kind, node), locks);
}

function modeOf(kind: string, node: Tree): LockMode {
  const { mode, concurrently } = BY_KIND[kind] ?? { mode: 'ACCESS EXCLUSIVE' as const };
  const gentle = node['concurrent'] === true || option(node['params'], 'concurrently');
  return gentle ? (concurrently ?? mode) : mode;
}

/** Anywhere in it: what a foreign key refers to, and the target of DML, which is locked when it is parsed, run or not. */
function parts(value: unknown, locks: Locks): void {
  if (typeof value !== 'object' || value === null) return;
  for (const child of Object.values(value)) if (typeof child === 'object') parts(child, locks);
  const wrapped = unwrap(value);
  if (wrapped === null) return;
  const { kind, node } = wrapped;
  if (kind === 'Constraint') ranged(asTree(node['pktable']), 'SHARE ROW EXCLUSIVE', locks);
  if (MODIFICATIONS.has(kind)) ranged(asTree(node['relation']), 'ROW EXCLUSIVE', locks, 'ROW EXCLUSIVE');
}

/** Every relation named in it. */
function everywhere(value: unknown, mode: LockMode, locks: Locks): void {
  const tree = asTree(value);
  if (tree !== null && typeof tree['relname'] === 'string') ranged(tree, mode, locks, mode);
  else if (typeof value === 'object' && value !== null)
    for (const child of Object.values(value)) everywhere(child, mode, locks);
}

function ranged(range: Tree | null, mode: LockMode, locks: Locks, behind?: LockMode): void {
  if (range === null) return;
  const found = locks.name(relationName(range), mode);
  if (behind !== undefined) locks.through(found, behind);
}

function dot(dotted: readonly (string | null)[], mode: LockMode, locks: Locks): readonly CatalogRelation[] {
  const name = dotted.at(-1);
  return typeof name === 'string' ? locks.name({ schema: dotted.at(-2) ?? null, name }, mode) : [];
}

function option(options: unknown, name: string): boolean {
  return asList(options).some((item) => {
    const found = nodeOf(item, 'DefElem');
    if (found?.['defname'] !== name) return false;
    return found['arg'] === undefined || !/^(?:false|off|0|no)$/i.test(optionText(found['arg']));
  });
}

function altered(node: Tree, locks: Locks): void {
  const range = asTree(node['relation']);
  if (range === null) return;
  const name = relationName(range);
  for (const item of asList(node['cmds'])) {
    const command = nodeOf(item, 'AlterTableCmd') ?? {};
    const { mode, other, tied } = alteration(command);
    const found = locks.name(name, mode);
    if (tied !== undefined) for (const one of found) locks.tied(one, tied);
    const named =
      nodeOf(command['def'], 'RangeVar') ?? asTree(nodeOf(command['def'], 'PartitionCmd')?.['name']);
    if (named !== null) {
      const others = locks.name(relationName(named), other ?? 'ACCESS EXCLUSIVE');
      if (tied !== undefined) for (const one of others) locks.tied(one, tied);
      // The default partition is locked with the one that comes or goes.
      if (tied !== undefined && command['subtype'] !== 'AT_ValidateConstraint') locks.partitionsOf(found);
    }
    if (command['behavior'] === 'DROP_CASCADE') locks.elsewhere('ACCESS EXCLUSIVE');
  }
  if (node['objtype'] === 'OBJECT_INDEX') locks.index(name, 'ACCESS SHARE');
}

function alteration(command: Tree): Alteration {
  const subtype = asText(command['subtype']);
  const definition = command['def'];
  if (subtype === 'AT_SetRelOptions' || subtype === 'AT_ResetRelOptions') {
    const items = asList(nodeOf(definition, 'List')?.['items'] ?? definition);
    const gentle = items.every((item) => GENTLE.test(asText(nodeOf(item, 'DefElem')?.['defname'])));
    return gentle && items.length > 0 ? SUE : { mode: 'ACCESS EXCLUSIVE' };
  }
  if (subtype === 'AT_AddConstraint' && nodeOf(definition, 'Constraint')?.['contype'] === 'CONSTR_FOREIGN')
    return TRIGGERS;
  if (subtype === 'AT_DetachPartition' && nodeOf(definition, 'PartitionCmd')?.['concurrent'] === true)
    return { ...SUE, tied: 'ACCESS EXCLUSIVE' };
  return ALTERATIONS[subtype] ?? { mode: 'ACCESS EXCLUSIVE' };
}

function reindexed(node: Tree, locks: Locks): void {
  const mode = modeOf('ReindexStmt', node);
  const range = asTree(node['relation']);
  const tables = mode === 'ACCESS EXCLUSIVE' ? 'SHARE' : mode;
  const table = node['kind'] === 'REINDEX_OBJECT_TABLE';
  ranged(range, table ? tables : mode, locks);
  if (table) return;
  if (range === null) locks.elsewhere(mode);
  else locks.index(relationName(range), tables);
}

/** Foreign keys go with a table, and its parent learns of it; an index stops its table. */
function dropped(node: Tree, locks: Locks): void {
  const type = asText(node['removeType']);
  const mode = modeOf('DropStmt', node);
  for (const object of asList(node['objects'])) {
    if (!NAMES_RELATION.test(type)) continue;
    const dotted = names(nodeOf(object, 'List')?.['items']);
    if (type === 'OBJECT_INDEX')
      locks.index({ schema: dotted.at(-2) ?? null, name: dotted.at(-1) ?? '' }, mode);
    for (const one of dot(dotted, mode, locks)) {
      locks.tied(one, 'ACCESS EXCLUSIVE');
      locks.parentsOf(one);
    }
  }
}
