/**
 * Every statement of the grammar that is not SELECT, DML or one of those with a handler of its own (walk.ts), by class.
 * What is missing here is `unknown`, and so is what a later grammar adds.
 */
import type { Tree } from '../parse/node.ts';
import { asList, asText, nodeOf } from '../parse/node.ts';
import type { LockMode, RelationUse, StatementClass } from '../types.ts';
import { LOCK_MODES } from '../types.ts';

export interface Utility {
  readonly class: StatementClass;
  /** null: made from the node's name, or from its object type. */
  readonly verb: string | null;
  /** How relations named directly in it are touched. */
  readonly access: RelationUse['access'];
}

const of = (
  cls: StatementClass,
  verb: string | null = null,
  access: RelationUse['access'] = 'ddl',
): Utility => ({
  class: cls,
  verb,
  access,
});

export const UTILITIES: ReadonlyMap<string, Utility> = new Map<string, Utility>([
  // definitions
  ['CreateStmt', of('ddl', 'CREATE TABLE')],
  ['CreateForeignTableStmt', of('ddl', 'CREATE FOREIGN TABLE')],
  ['CreateSchemaStmt', of('ddl', 'CREATE SCHEMA')],
  ['CreateSeqStmt', of('ddl', 'CREATE SEQUENCE')],
  ['AlterSeqStmt', of('ddl', 'ALTER SEQUENCE')],
  ['AlterTableStmt', of('ddl')],
  ['AlterDomainStmt', of('ddl', 'ALTER DOMAIN')],
  ['AlterCollationStmt', of('ddl', 'ALTER COLLATION')],
  ['AlterTypeStmt', of('ddl', 'ALTER TYPE')],
  ['AlterEnumStmt', of('ddl', 'ALTER TYPE')],
  ['AlterStatsStmt', of('ddl', 'ALTER STATISTICS')],
  ['AlterFunctionStmt', of('ddl', 'ALTER FUNCTION')],
  ['AlterObjectDependsStmt', of('ddl')],
  ['AlterObjectSchemaStmt', of('ddl')],
  ['AlterOperatorStmt', of('ddl', 'ALTER OPERATOR')],
  ['AlterOpFamilyStmt', of('ddl', 'ALTER OPERATOR FAMILY')],
  ['AlterTSDictionaryStmt', of('ddl', 'ALTER TEXT SEARCH DICTIONARY')],
  ['AlterTSConfigurationStmt', of('ddl', 'ALTER TEXT SEARCH CONFIGURATION')],
  ['RenameStmt', of('ddl')],
  ['DropStmt', of('ddl')],
  ['IndexStmt', of('ddl', 'CREATE INDEX')],
  ['CreateStatsStmt', of('ddl', 'CREATE STATISTICS')],
  ['CreateFunctionStmt', of('ddl', 'CREATE FUNCTION')],
  ['CreateTrigStmt', of('ddl', 'CREATE TRIGGER')],
  ['RuleStmt', of('ddl', 'CREATE RULE')],
  ['ViewStmt', of('ddl', 'CREATE VIEW')],
  ['RefreshMatViewStmt', of('ddl', 'REFRESH MATERIALIZED VIEW')],
  ['CompositeTypeStmt', of('ddl', 'CREATE TYPE')],
  ['CreateEnumStmt', of('ddl', 'CREATE TYPE')],
  ['CreateRangeStmt', of('ddl', 'CREATE TYPE')],
  ['CreateDomainStmt', of('ddl', 'CREATE DOMAIN')],
  ['DefineStmt', of('ddl')],
  ['CreateOpClassStmt', of('ddl', 'CREATE OPERATOR CLASS')],
  ['CreateOpFamilyStmt', of('ddl', 'CREATE OPERATOR FAMILY')],
  ['CreateConversionStmt', of('ddl', 'CREATE CONVERSION')],
  ['CreateCastStmt', of('ddl', 'CREATE CAST')],
  ['CreateTransformStmt', of('ddl', 'CREATE TRANSFORM')],
  ['CommentStmt', of('ddl', 'COMMENT')],
  // who may do what
  ['GrantStmt', of('dcl')],
  ['GrantRoleStmt', of('dcl')],
  ['AlterDefaultPrivilegesStmt', of('dcl', 'ALTER DEFAULT PRIVILEGES')],
  ['CreateRoleStmt', of('dcl', 'CREATE ROLE')],
  ['AlterRoleStmt', of('dcl', 'ALTER ROLE')],
  ['DropRoleStmt', of('dcl', 'DROP ROLE')],
  ['CreatePolicyStmt', of('dcl', 'CREATE POLICY')],
  ['AlterPolicyStmt', of('dcl', 'ALTER POLICY')],
  ['AlterOwnerStmt', of('dcl')],
  ['ReassignOwnedStmt', of('dcl', 'REASSIGN OWNED')],
  ['DropOwnedStmt', of('dcl', 'DROP OWNED')],
  ['SecLabelStmt', of('dcl', 'SECURITY LABEL')],
  // the server, other databases, other machines
  ['CreatedbStmt', of('admin', 'CREATE DATABASE')],
  ['AlterDatabaseStmt', of('admin', 'ALTER DATABASE')],
  ['AlterDatabaseRefreshCollStmt', of('admin', 'ALTER DATABASE')],
  ['DropdbStmt', of('admin', 'DROP DATABASE')],
  ['CreateTableSpaceStmt', of('admin', 'CREATE TABLESPACE')],
  ['DropTableSpaceStmt', of('admin', 'DROP TABLESPACE')],
  ['AlterTableSpaceOptionsStmt', of('admin', 'ALTER TABLESPACE')],
  ['AlterTableMoveAllStmt', of('admin', 'ALTER TABLE ALL IN TABLESPACE')],
  ['CreateExtensionStmt', of('admin', 'CREATE EXTENSION')],
  ['AlterExtensionStmt', of('admin', 'ALTER EXTENSION')],
  ['AlterExtensionContentsStmt', of('admin', 'ALTER EXTENSION')],
  ['CreateFdwStmt', of('admin', 'CREATE FOREIGN DATA WRAPPER')],
  ['AlterFdwStmt', of('admin', 'ALTER FOREIGN DATA WRAPPER')],
  ['CreateForeignServerStmt', of('admin', 'CREATE SERVER')],
  ['AlterForeignServerStmt', of('admin', 'ALTER SERVER')],
  ['CreateUserMappingStmt', of('admin', 'CREATE USER MAPPING')],
  ['AlterUserMappingStmt', of('admin', 'ALTER USER MAPPING')],
  ['DropUserMappingStmt', of('admin', 'DROP USER MAPPING')],
  ['ImportForeignSchemaStmt', of('admin', 'IMPORT FOREIGN SCHEMA')],
  ['CreateAmStmt', of('admin', 'CREATE ACCESS METHOD')],
  ['CreateEventTrigStmt', of('admin', 'CREATE EVENT TRIGGER')],
  ['AlterEventTrigStmt', of('admin', 'ALTER EVENT TRIGGER')],
  ['CreatePLangStmt', of('admin', 'CREATE LANGUAGE')],
  ['CreatePublicationStmt', of('admin', 'CREATE PUBLICATION')],
  ['AlterPublicationStmt', of('admin', 'ALTER PUBLICATION')],
  ['CreateSubscriptionStmt', of('admin', 'CREATE SUBSCRIPTION')],
  ['AlterSubscriptionStmt', of('admin', 'ALTER SUBSCRIPTION')],
  ['DropSubscriptionStmt', of('admin', 'DROP SUBSCRIPTION')],
  ['LoadStmt', of('admin', 'LOAD')],
  ['CheckPointStmt', of('admin', 'CHECKPOINT')],
  ['VacuumStmt', of('admin', null, 'lock')],
  ['ClusterStmt', of('admin', 'CLUSTER', 'lock')],
  ['ReindexStmt', of('admin', 'REINDEX', 'lock')],
  // the session
  ['ListenStmt', of('session', 'LISTEN')],
  ['UnlistenStmt', of('session', 'UNLISTEN')],
  ['NotifyStmt', of('session', 'NOTIFY')],
  ['ConstraintsSetStmt', of('transaction', 'SET CONSTRAINTS', 'lock')],
  ['LockStmt', of('lock', 'LOCK TABLE', 'table-lock')],
  ['TruncateStmt', of('truncate', 'TRUNCATE', 'truncate')],
]);

const RIGHTS = /^AT_(?:ChangeOwner|(?:Enable|Disable|Force|NoForce)RowSecurity)$/;
const OF_RIGHTS = /^OBJECT_(?:POLICY|ROLE)$/;
const OF_SERVERS =
  /^OBJECT_(?:ACCESS_METHOD|DATABASE|EVENT_TRIGGER|EXTENSION|FDW|FOREIGN_SERVER|LANGUAGE|PUBLICATION|SUBSCRIPTION|TABLESPACE)$/;

/** One kind of statement for many kinds of objects: more than `UTILITIES` says where it is about rights, or about the server. */
export function weightOf(kind: string, node: Tree): StatementClass | null {
  if (kind === 'LockStmt')
    return keepsWritersOut(node) ? null : modeOfLock(node) === 'ACCESS SHARE' ? 'read' : 'update';
  if (kind === 'AlterTableStmt') {
    const commands = asList(node['cmds']).map((item) => asText(nodeOf(item, 'AlterTableCmd')?.['subtype']));
    return commands.some((subtype) => RIGHTS.test(subtype)) ? 'dcl' : null;
  }
  const type = asText(node['removeType'] ?? node['renameType']);
  return OF_RIGHTS.test(type) ? 'dcl' : OF_SERVERS.test(type) ? 'admin' : null;
}

/** How relations that it names are touched. LOCK in a mode that reading, row locks and DML take as well is none of its own. */
export function accessOf(kind: string, node: Tree, { access }: Utility): RelationUse['access'] {
  return kind === 'LockStmt' && !keepsWritersOut(node) ? 'lock' : access;
}

/** A mode that is not known is the strongest. */
export const modeOfLock = (node: Tree): LockMode =>
  LOCK_MODES[Number(node['mode']) - 1] ?? 'ACCESS EXCLUSIVE';

const keepsWritersOut = (node: Tree): boolean =>
  LOCK_MODES.indexOf(modeOfLock(node)) > LOCK_MODES.indexOf('ROW EXCLUSIVE');

/** `AlterTableStmt` → `ALTER TABLE`. */
export function verbOf(kind: string): string {
  return kind
    .replace(/Stmt$/, '')
    .replace(/([a-z])([A-Z])/g, '$1 $2')
    .toUpperCase();
}

/** `OBJECT_TABLE` → `TABLE`, `OBJECT_MATVIEW` → `MATERIALIZED VIEW`. */
export function objectName(type: unknown): string {
  const short = asText(type).replace(/^OBJECT_/, '');
  const full: Readonly<Record<string, string>> = {
    MATVIEW: 'MATERIALIZED VIEW',
    TABCONSTRAINT: 'CONSTRAINT',
    DOMCONSTRAINT: 'CONSTRAINT',
    FDW: 'FOREIGN DATA WRAPPER',
    TSCONFIGURATION: 'TEXT SEARCH CONFIGURATION',
    TSDICTIONARY: 'TEXT SEARCH DICTIONARY',
    TSPARSER: 'TEXT SEARCH PARSER',
    TSTEMPLATE: 'TEXT SEARCH TEMPLATE',
    STATISTIC_EXT: 'STATISTICS',
    OPCLASS: 'OPERATOR CLASS',
    OPFAMILY: 'OPERATOR FAMILY',
    ACCESS_METHOD: 'ACCESS METHOD',
  };
  return (Object.hasOwn(full, short) ? full[short] : undefined) ?? short.replaceAll('_', ' ');
}

/** EXPLAIN runs the statement. */
export const analyses = (node: Tree): boolean => asked(node, 'analyze');
/** EXPLAIN turns the rows into text, and says how much it was. */
export const serializes = (node: Tree): boolean => asked(node, 'serialize');

/** For a statement that it finds by name. */
export const explainAs = (node: Tree): string =>
  `EXPLAIN (ANALYZE ${analyses(node) ? 'ON' : 'OFF'}, COSTS ${estimates(node) ? 'ON' : 'OFF'}, SERIALIZE ${serializes(node) ? 'TEXT' : 'NONE'}) `;

/** EXPLAIN prints what it expects. */
export const estimates = (node: Tree): boolean => asked(node, 'costs', true);

/** The last one of a name counts. */
function asked(node: Tree, name: string, unless = false): boolean {
  let is = unless;
  for (const item of asList(node['options'])) {
    const option = nodeOf(item, 'DefElem');
    if (option === null || asText(option['defname']).toLowerCase() !== name) continue;
    const argument = option['arg'];
    const text = argument === undefined ? 'true' : optionText(argument).toLowerCase();
    is = !['false', 'off', '0', 'no', 'none'].includes(text);
  }
  return is;
}

export function optionText(value: unknown): string {
  const whole = nodeOf(value, 'Integer');
  return whole === null ? asText(nodeOf(value, 'String')?.['sval']) : String(whole['ival'] ?? 0);
}
