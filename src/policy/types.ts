/**
 * The words that policy speaks. Pure data: no I/O, structured-clone safe, so that facts cross the worker boundary.
 * (DESIGN.md "Words", decisions 2–6.)
 */

export const STATEMENT_CLASSES = [
  'empty',
  'read',
  'explain',
  'session',
  'transaction',
  'cursor',
  'prepare',
  'insert',
  'update',
  'merge',
  'copy',
  'lock',
  'call',
  'do',
  'delete',
  'truncate',
  'ddl',
  'dcl',
  'admin',
  'unknown',
] as const;
/** What a statement is. A string of several statements carries its most restrictive class (the later in this list). */
export type StatementClass = (typeof STATEMENT_CLASSES)[number];

export type Effect = 'allow' | 'hold' | 'deny';

/** How a statement touches a relation. `name` and `schema` as resolved; schema null when unresolved (unknown to the catalog). */
export interface RelationUse {
  readonly schema: string | null;
  readonly name: string;
  readonly access:
    | 'read'
    | 'insert'
    | 'update'
    | 'delete'
    | 'truncate'
    | 'ddl'
    | 'lock'
    /** LOCK TABLE in a mode that keeps others from writing, or from reading as well. */
    | 'table-lock'
    | 'copy-in'
    | 'copy-out';
  /** Reached through a view, rule, cascade, partition or function body rather than named in the text. */
  readonly indirect: boolean;
  /** false: no catalog, or the catalog does not know the name. */
  readonly known: boolean;
}

/** PostgreSQL's table locks, the weakest first. */
export const LOCK_MODES = [
  'ACCESS SHARE',
  'ROW SHARE',
  'ROW EXCLUSIVE',
  'SHARE UPDATE EXCLUSIVE',
  'SHARE',
  'SHARE ROW EXCLUSIVE',
  'EXCLUSIVE',
  'ACCESS EXCLUSIVE',
] as const;
export type LockMode = (typeof LOCK_MODES)[number];

/** The strongest lock that it may take on a relation. Name `*`: on any other, it cannot be told which. */
export interface LockUse {
  readonly schema: string | null;
  readonly name: string;
  readonly mode: LockMode;
}

/** A base column that carries a tag and that the statement depends on. */
export interface ColumnUse {
  readonly schema: string;
  readonly relation: string;
  readonly column: string;
  readonly tag: string;
  /** `value`: it reaches the output (or cannot be shown not to). `predicate`: only compared with. `written`: assigned. */
  readonly use: 'value' | 'predicate' | 'written';
}

/** A span of the SQL text to replace by a typed placeholder such as `<pii:text>` wherever it is shown or stored. UTF-16 offsets. */
export interface Redaction {
  readonly start: number;
  readonly end: number;
  readonly label: string;
}

/** Facts of one statement. Names in lower case as PostgreSQL folds them, functions as `schema.name` where resolved, else `name`. */
export interface StatementFacts {
  readonly class: StatementClass;
  readonly relations: readonly RelationUse[];
  readonly functions: readonly string[];
  readonly columns: readonly ColumnUse[];
  /** UPDATE or DELETE without a WHERE clause (anywhere in the statement). */
  readonly missingWhere: boolean;
  /** Things the analysis could not see through (an unknown function, dynamic SQL, an unresolved name). Non-empty → class `unknown` rules apply. */
  readonly unknowns: readonly string[];
  /** Names a column or function that does not exist as far as the catalog tells: perhaps a typo, which the server is to answer. */
  readonly unresolved?: true;
  /** At most about so many rows are changed, as far as the catalog's statistics tell; absent: unknown. */
  readonly rows?: number;
  /** A verb for people: `DELETE`, `DROP TABLE`, `SELECT`, … */
  readonly verb: string;
  /** Settings that SET / set_config / RESET would change, lower case; `*` for "cannot tell which" or RESET/DISCARD ALL. */
  readonly settings: readonly SettingChange[];
  /** If it succeeds, all of them are set, in this order: SET, or a SELECT of nothing but set_config. */
  readonly sets?: true;
  /** What the gateway must know to keep its maps: see SessionEffect. */
  readonly effects: readonly SessionEffect[];
  /** `schema.name` of the parents, at any height, of partitions and inheritance children that it writes: their rows are theirs too. Absent: none. */
  readonly above?: readonly string[];
  /** Names whose definitions it changes (`*`: cannot tell which); see ResolutionContext.changed. */
  readonly changes?: readonly string[];
  /** Absent: none. */
  readonly locks?: readonly LockUse[];
}

export interface SettingChange {
  readonly name: string;
  /** The literal value, null when reset to default or not a literal. */
  readonly value: string | null;
  /** It is the value of this bind parameter (0-based), a text. */
  readonly bind?: number;
  readonly local: boolean;
  readonly form: 'set' | 'set_config' | 'reset' | 'alter-role' | 'unknown';
}

export type SessionEffect =
  | { readonly kind: 'prepare'; readonly name: string; readonly sql: string }
  /** `explained`: the EXPLAIN that it stands in, as text before a statement. Absent: none. */
  | { readonly kind: 'execute'; readonly name: string; readonly explained?: string }
  | { readonly kind: 'deallocate'; readonly name: string | null }
  | { readonly kind: 'declare'; readonly name: string; readonly sql: string }
  | { readonly kind: 'fetch'; readonly name: string }
  | { readonly kind: 'close'; readonly name: string | null }
  | { readonly kind: 'begin' }
  | { readonly kind: 'commit' }
  | { readonly kind: 'rollback' }
  | { readonly kind: 'savepoint'; readonly name: string }
  | { readonly kind: 'rollback-to'; readonly name: string }
  | { readonly kind: 'copy-in' }
  | { readonly kind: 'copy-out' }
  | { readonly kind: 'discard' }
  | { readonly kind: 'temp-relation'; readonly name: string }
  | { readonly kind: 'show'; readonly name: string };

/** Facts of a whole SQL string, as sent in one Query or Parse message. */
export interface Facts {
  readonly kind: 'facts';
  /** The most restrictive class of its statements; `empty` for a string without statements. */
  readonly class: StatementClass;
  readonly statements: readonly StatementFacts[];
  /** Hex SHA-256 of the parse tree with its constants, without positions: equal for texts that differ only in white space and comments. */
  readonly treeDigest: string;
  /** Definitions the facts rely on (views, functions, columns of touched tables), digested: a changed definition changes it. */
  readonly definitionsDigest: string;
  readonly redactions: readonly Redaction[];
  /** 0-based bind parameters ($1 → 0) compared with or written to tagged columns; `all` when it cannot tell. */
  readonly taggedBinds: readonly number[] | 'all';
  /** Milliseconds or catalog state are not in here: facts depend on (sql, resolution context, catalog version) alone. */
  readonly touchesTagged: boolean;
  /** Errors and notices may quote tagged values, whether or not any column of that kind is used (policy/exposure.ts). */
  readonly exposes: boolean;
  /** Where names resolve in what it runs by name (EXECUTE, FETCH), wherever that is in the string. Absent: as where the string begins. */
  readonly reached?: ResolutionContext;
  /** `schema.name` of relations whose columns an equality handed a tag: who knows their rows learns more (`ResolutionContext.written`). Absent: none. */
  readonly handed?: readonly string[];
  /** Of several statements, where each is in the text: UTF-16 offsets. Absent: one. */
  readonly spans?: readonly (readonly [number, number])[];
}

/** The text does not parse here. `position` is a 1-based character offset as the parser gives it. */
export interface SyntaxFault {
  readonly kind: 'syntax';
  readonly message: string;
  readonly position: number | null;
}
/** The text could not be judged: too large, too deep, too slow, NUL, lone surrogates, parser failure. */
export interface Unjudgeable {
  readonly kind: 'unjudgeable';
  readonly why: string;
  /** The parser instance threw something that is no syntax error: it may answer wrongly from now on, so throw the worker away. */
  readonly recycle?: boolean;
}
export type Analysis = Facts | SyntaxFault | Unjudgeable;

/** Names resolve in here. */
export interface ResolutionContext {
  /** Effective schemas in order, `$user` already resolved; pg_catalog implicit first. null: unknown (every candidate counts). */
  readonly searchPath: readonly string[] | null;
  /** With an unknown searchPath: schemas that it has, in an order and with gaps that are not known. Absent: it may have any. */
  readonly among?: readonly string[];
  /** Lower-case names of temporary relations this session made. */
  readonly tempRelations: readonly string[];
  /** The login. Absent: not known. */
  readonly login?: string;
  /** `schema.name` of relations whose rows the session's owner has written, so that their values are known. Absent: none. */
  readonly written?: readonly string[];
  /** What EXECUTE and FETCH run here may move the path. Absent: it does not. */
  readonly moving?: true;
  /** Names whose definitions this transaction changed and did not commit: the catalog does not show them. `*`: any name. */
  readonly changed?: readonly string[];
}

// ── the catalog as policy sees it (plain JSON, built by gateway/judge/catalog) ──────────────────────────────────
export interface CatalogColumn {
  readonly name: string;
  readonly type: string;
  readonly typeOid?: number;
  readonly comment: string | null;
  readonly generated: string | null;
  readonly notNull?: boolean;
  /** Its type is a row, or an array, range or domain of rows: oid of the relation whose attributes they have. */
  readonly rowType?: number | null;
}
/** Something with no name in the statement that runs a function: `schema.name`. */
export interface CatalogCall {
  readonly function: string;
  /** `write`: a default, CHECK, index, trigger condition or assignment cast. `any`: row security, a domain's CHECK, an implicit cast. `compare`: its columns are compared. */
  readonly on: 'any' | 'compare' | 'write';
  /** It is the default of this column: it runs where the statement gives no value. */
  readonly column?: string;
  /** It is an assignment cast from this type of users. */
  readonly from?: number;
}
/** What a row security policy asks of rows, of old ones or of new ones. */
export interface CatalogPolicy {
  readonly on: readonly ('read' | 'insert' | 'update' | 'delete')[];
  /** An expression; null: it could not be read. */
  readonly text: string | null;
  /** What it runs that its text does not name. */
  readonly calls: readonly string[];
  /** TO these alone, by oid; null: everybody, or a role of the server's own. */
  readonly roles?: readonly number[] | null;
}
export type WriteEvent = 'insert' | 'update' | 'delete' | 'truncate';
export interface CatalogTrigger {
  /** `schema.name` */
  readonly function: string;
  readonly on: readonly WriteEvent[];
  /** BEFORE: it may change what is written. */
  readonly before: boolean;
  /** UPDATE OF these alone. */
  readonly columns?: readonly string[] | null;
  /** It may run at the end of the transaction, under another path by then. */
  readonly deferrable?: boolean;
}
export interface CatalogRelation {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** pg_class.relkind: r table, v view, m matview, p partitioned, f foreign, S sequence, c composite type, i index … */
  readonly relkind: string;
  readonly columns: readonly CatalogColumn[];
  /** SELECT text of a view or materialised view (pg_get_viewdef). */
  readonly definition: string | null;
  /** oids of inheritance parents / partitioned parents. */
  readonly parents: readonly number[];
  /** CREATE TABLE … OF: oid of the composite type it has the attributes of. */
  readonly ofType?: number | null;
  /** oid of its row type. */
  readonly type?: number;
  /** oids of the types of its columns that are users'; absent: there are no casts from such, or none is. */
  readonly types?: readonly number[] | null;
  /** Those that are enabled. */
  readonly triggers: readonly CatalogTrigger[];
  readonly calls: readonly CatalogCall[];
  /** What rewrite rules stand on; a view's own query is none. */
  readonly rules: readonly WriteEvent[];
  /** Names of its indexes, which are in its schema. */
  readonly indexes?: readonly string[];
  readonly constraints?: readonly string[];
  readonly rowSecurity: boolean;
  /** Those that row security looks at while it is on. */
  readonly policies?: readonly CatalogPolicy[];
  /** Estimated rows (reltuples), −1 unknown. */
  readonly rows: number;
}
export interface CatalogForeignKey {
  readonly from: number;
  readonly to: number;
  /** Columns of `from`, and those of `to` that they refer to. */
  readonly columns: readonly string[];
  readonly keys: readonly string[];
  readonly onDelete: ForeignKeyAction;
  readonly onUpdate: ForeignKeyAction;
  /** Functions of users that checking it runs. Absent: none. */
  readonly calls?: readonly string[];
}
export type ForeignKeyAction = 'cascade' | 'set null' | 'set default' | 'restrict' | 'no action';
export interface CatalogFunction {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly language: string;
  readonly kind: 'f' | 'p' | 'a' | 'w';
  readonly volatility: 'i' | 's' | 'v';
  /** Source text for SQL functions (prosrc or pg_get_function_sqlbody); null when not readable. */
  readonly body: string | null;
  readonly config: readonly string[];
  readonly securityDefiner: boolean;
  /** The extension it belongs to. */
  readonly extension: string | null;
  /** What calling it runs besides: implicit casts to its arguments, checks of their domains. */
  readonly calls: readonly string[];
  /** What the defaults of its arguments run, where a call leaves some out. */
  readonly defaults?: readonly string[];
  /** Assignment casts, from types of users, to what it returns. */
  readonly casts?: readonly { readonly function: string; readonly from: number }[];
  /** Names of the parameters that a call gives, in order; empty: unnamed. Absent: not known. */
  readonly parameters?: readonly string[];
  /** Names of what it puts out where it says so itself: OUT, INOUT, TABLE. */
  readonly outputs?: readonly string[];
  /** It returns rows of a type: oid of the relation whose attributes they have. */
  readonly rowType?: number | null;
  /** oids of the types it takes and returns, as those of a relation. */
  readonly types?: readonly number[] | null;
  /** An aggregate: the functions that make it up. */
  readonly supports?: readonly string[];
  /** It returns a set. Absent: not known. */
  readonly set?: boolean;
}
/** An operator, domain or type with casts outside pg_catalog, and the functions (`schema.name`) that it runs. */
export interface CatalogOperator {
  readonly schema: string;
  readonly name: string;
  readonly calls: readonly string[];
  /** An operator that does not return boolean. */
  readonly gives?: 'value' | null;
  /** It is a cast to the built-in type of that name from this type of users. */
  readonly from?: number | null;
  /** A type, or it makes values of a built-in one, and those functions compare them, where they are sorted, grouped or compared. */
  readonly compared?: boolean;
  /** That type, of the server's own. */
  readonly type?: number | null;
  /** Of an operator; `type` 0: it has none on that side. */
  readonly left?: CatalogOperand | null;
  readonly right?: CatalogOperand | null;
}
export interface CatalogOperand {
  readonly type: number;
  /** Types whose values it takes, by oid; null: it may be any. */
  readonly takes: readonly number[] | null;
}
/** Among what a transaction changed: who is a member of which role. */
/** In `ResolutionContext.written`: the owner has put values into tagged columns of it. */
export const taggedRows = (relation: string): string => `${relation}, tagged`;

export const MEMBERSHIPS = '(memberships)';
/** Names of such entries in pg_catalog that no operator has: relations of the server itself, any relation (system columns), `@@ x`. */
export const SYSTEM_RELATION = '(system relation)';
export const ANY_RELATION = '(relation)';
export const PREFIX = 'prefix ';
export interface CatalogLogin {
  readonly name: string;
  readonly roles: readonly number[];
}
/** Name of the entry of a type that reads its modifiers, `t(4)`, by a function of users. */
export const withModifiers = (type: string): string => `${type}()`;
/** A type of users, and what its values are made of: elements of an array, base of a domain, bounds of a range. 0: nothing. */
export interface CatalogType {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly part: number;
}
/** Everything outside pg_catalog and information_schema of one database, plus the built-ins' names by kind. */
export interface CatalogSnapshot {
  /** Changes when anything in it changed. */
  readonly version: string;
  readonly database: string;
  readonly serverVersion: number;
  /** Functions run at DDL, whatever it is. */
  readonly eventTriggers?: boolean;
  /** What the server says that it is, where no grammar here is its own: nothing else of it is known. */
  readonly unfamiliar?: string;
  readonly relations: readonly CatalogRelation[];
  readonly functions: readonly CatalogFunction[];
  readonly foreignKeys: readonly CatalogForeignKey[];
  readonly customOperators: readonly CatalogOperator[];
  /** Definitions were printed under an empty search path: what has no schema there is pg_catalog's. */
  readonly qualified?: true;
  /** Only where users have casts from types of their own. */
  readonly types?: readonly CatalogType[];
  /** Those that can log in, and which of the roles that policies are for each may be: a member of them, however far. */
  readonly logins?: readonly CatalogLogin[];
  readonly takenAt: number;
}

// ── rules and verdicts ────────────────────────────────────────────────────────────────────────────────────────
export type AccessLevel = 'none' | 'read-only' | 'read-write' | 'admin';

/** Who and where, as rules match on it. */
export interface PolicyContext {
  readonly target: string;
  readonly environment: string;
  readonly owner: string | null;
  readonly agent: string | null;
  readonly groups: readonly string[];
  readonly level: AccessLevel;
  /** Transaction state before the statement: idle, in a transaction block, or failed. */
  readonly transaction: 'idle' | 'open' | 'failed';
  /** Epoch milliseconds, for time windows; absent: unknown, which restricts. */
  readonly now?: number;
}

/** Where approvers decide; `cli` is whatever shows an approver's token: command line and API. */
export const DECIDING_SURFACES = ['slack', 'console', 'cli'] as const;
export type DecidingSurface = (typeof DECIDING_SURFACES)[number];

/** So many decisions of different people out of these groups; no groups: of any approvers. */
export interface Owed {
  readonly groups: readonly string[];
  readonly count: number;
}

/** How a held statement waits: resolved from the rules that held it (policy/terms.ts). */
export interface HoldTerms {
  /** Any of these; empty: any approver. With `owed`, all the groups that it names. */
  readonly approverGroups: readonly string[];
  /** How many people in all. */
  readonly quorum: number;
  /** Several groups are each owed decisions, `quorum` in all; absent: `quorum` out of `approverGroups`. */
  readonly owed?: readonly Owed[];
  /** Milliseconds; null: the default of the caller's kind (agent or person). */
  readonly waitMs: number | null;
  /** Milliseconds the request stays open. */
  readonly expiresMs: number | null;
  /** The requester must say why before anybody may approve. */
  readonly reasonRequired: boolean;
  /** And name a ticket in it. */
  readonly ticketRequired?: true;
  /** After so long these groups may decide as well. */
  readonly escalation?: { readonly afterMs: number; readonly groups: readonly string[] };
  /** Where it may be approved; absent: everywhere. Empty: nowhere, the rules that hold it contradict each other. */
  readonly surfaces?: readonly DecidingSurface[];
}

/** What rules with `mode: observe` would have done: recorded, not enforced. */
export interface Observed {
  readonly effect: 'hold' | 'deny';
  readonly rules: readonly string[];
}

export interface Verdict {
  readonly effect: Effect;
  /** Names of the rules that decided (all that had the winning effect), or `default:<class>` / `error:<what>`. */
  readonly rules: readonly string[];
  /** One sentence for people and models, no data values. */
  readonly reason: string;
  readonly terms: HoldTerms;
  readonly observed?: Observed;
}
