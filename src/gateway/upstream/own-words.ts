/**
 * What of an error's text may be told although tagged values may be in it: only what is made of the words listed here and of names of the
 * catalog, whoever raised it. So no routine and no code need be believed: code of users can choose both.
 */
import type { CatalogRelation } from '../../policy/types.ts';
import type { CatalogNames } from '../judge/names.ts';

/** Whole sentences of the server without anything filled in. */
const FIXED: ReadonlySet<string> = new Set(
  `division by zero
smallint out of range
integer out of range
bigint out of range
numeric field overflow
value out of range: overflow
value out of range: underflow
value overflows numeric format
timestamp out of range
date out of range
interval out of range
invalid escape string
invalid regular expression: invalid escape \\ sequence
negative substring length not allowed
step size cannot equal zero
LIMIT must not be negative
OFFSET must not be negative
cannot take logarithm of zero
cannot take logarithm of a negative number
cannot take square root of a negative number
more than one row returned by a subquery used as an expression
ON CONFLICT DO UPDATE command cannot affect row a second time
MERGE command cannot affect row a second time
array subscript out of range
deadlock detected
could not serialize access due to concurrent update
could not serialize access due to concurrent delete
could not serialize access due to read/write dependencies among transactions
canceling statement due to user request
canceling statement due to statement timeout
canceling statement due to lock timeout
terminating connection due to administrator command
terminating connection due to idle-in-transaction timeout
terminating connection due to idle-session timeout
terminating connection due to transaction timeout
current transaction is aborted, commands ignored until end of transaction block
there is already a transaction in progress
there is no transaction in progress
SET LOCAL can only be used in transaction blocks
SET TRANSACTION can only be used in transaction blocks
SAVEPOINT can only be used in transaction blocks
ROLLBACK TO SAVEPOINT can only be used in transaction blocks
RELEASE SAVEPOINT can only be used in transaction blocks
LOCK TABLE can only be used in transaction blocks
DECLARE CURSOR can only be used in transaction blocks
cannot insert multiple commands into a prepared statement
cached plan must not change result type
INSERT has more expressions than target columns
INSERT has more target columns than expressions
subquery must return only one column
subquery has too many columns
subquery has too few columns
each UNION query must have the same number of columns
each INTERSECT query must have the same number of columns
each EXCEPT query must have the same number of columns
VALUES lists must all be the same length
unequal number of entries in row expressions
aggregate function calls cannot be nested
window function calls cannot be nested
for SELECT DISTINCT, ORDER BY expressions must appear in select list
SELECT DISTINCT ON expressions must match initial ORDER BY expressions
SELECT * with no tables specified is not valid
there is no unique or exclusion constraint matching the ON CONFLICT specification
out of shared memory
out of memory
stack depth limit exceeded`.split('\n'),
);

/** Built-in types as PostgreSQL writes them, without their modifiers: those are numbers. */
const TYPES =
  `smallint|integer|bigint|numeric|real|double precision|money|boolean|text|character varying|character|name|"char"|bytea|uuid|json|jsonb|jsonpath|xml
|date|time|time without time zone|time with time zone|timestamp|timestamp without time zone|timestamp with time zone|interval
|bit|bit varying|inet|cidr|macaddr|macaddr8|oid|tid|xid|cid|regclass|regtype|regproc|regprocedure|regoper|regrole|regnamespace|regconfig
|point|line|lseg|box|path|polygon|circle|tsvector|tsquery|int4range|int8range|numrange|tsrange|tstzrange|daterange
|int4multirange|int8multirange|nummultirange|tsmultirange|tstzmultirange|datemultirange|record|unknown|void`.replaceAll(
    '\n',
    '',
  );
const T = `((?:${TYPES})(?:\\[\\])?)`;
export const BUILT_IN_TYPE = new RegExp(`^${T}$`);
const CLAUSES =
  'WHERE|HAVING|GROUP BY|ORDER BY|JOIN|JOIN/ON|JOIN conditions|LIMIT|OFFSET|FILTER|FROM|FROM clause of their own query level|VALUES|RETURNING|UPDATE|CASE/WHEN|CASE|NOT|AND|OR|WHEN|ON CONFLICT|DEFAULT expressions|check constraints|index expressions|index predicates|column generation expressions';
const KINDS =
  'CASE|UNION|INTERSECT|EXCEPT|COALESCE|GREATEST|LEAST|ARRAY|VALUES|IN|CASE/WHEN|CASE/ELSE|NULLIF|BETWEEN|JOIN/USING';
const OPERATOR =
  '=|<>|!=|<|>|<=|>=|\\+|-|\\*|/|%|\\^|\\|\\||~|~\\*|!~|!~\\*|~~|~~\\*|!~~|!~~\\*|->|->>|#>|#>>|@>|<@|\\?|&&|@@|\\|/|&|\\||#';

type Pattern = readonly [
  pattern: RegExp,
  told: (parts: readonly string[], names: CatalogNames) => string | null,
];
const same =
  (make: (...parts: string[]) => string): Pattern[1] =>
  (parts) =>
    make(...parts);

const PATTERNS: readonly Pattern[] = [
  [
    new RegExp(`^invalid input syntax for type ${T}(?:: "|$)`),
    same((t) => `invalid input syntax for type ${t}`),
  ],
  [new RegExp(`^value too long for type ${T}(?:\\(|$)`), same((t) => `value too long for type ${t}`)],
  [
    new RegExp(`^value "[\\s\\S]*" is out of range for type ${T}$`),
    same((t) => `a value is out of range for type ${t}`),
  ],
  [/^(date\/time|interval) field value out of range: "/, same((what) => `${what} field value out of range`)],
  [new RegExp(`^cannot cast type ${T} to ${T}$`), same((a, b) => `cannot cast type ${a} to ${b}`)],
  [
    new RegExp(`^operator does not exist: (?:${T} )?(${OPERATOR}) ${T}$`),
    same((a, op, b) => `operator does not exist: ${a === undefined ? '' : `${a} `}${op} ${b}`),
  ],
  [
    new RegExp(`^argument of (${CLAUSES}) must be type ${T}, not type ${T}$`),
    same((what, a, b) => `argument of ${what} must be type ${a}, not type ${b}`),
  ],
  [
    new RegExp(`^(${KINDS}) types ${T} and ${T} cannot be matched$`),
    same((what, a, b) => `${what} types ${a} and ${b} cannot be matched`),
  ],
  [
    new RegExp(`^(aggregate|window|set-returning) functions are not allowed in (${CLAUSES})$`),
    same((what, where) => `${what} functions are not allowed in ${where}`),
  ],
  [
    new RegExp(`^column "([^"]+)" is of type ${T} but expression is of type ${T}$`),
    ([column = '', a, b], names) =>
      names.hasColumn(column) ? `column "${column}" is of type ${a} but expression is of type ${b}` : null,
  ],
  [
    /^relation "([^"]+)" already exists$/,
    ([name = ''], names) =>
      names.relations(null, name).length > 0 ? `relation "${name}" already exists` : null,
  ],
  [
    /^permission denied for (schema|table|view|materialized view|foreign table|sequence) ([\s\S]+)$/,
    ([kind, name = ''], names) => {
      const there = kind === 'schema' ? names.hasSchema(name) : names.relations(null, name).length > 0;
      return there ? `permission denied for ${kind} ${name}` : null;
    },
  ],
  [
    /^must be owner of (table|view|materialized view|foreign table|sequence|relation) ([\s\S]+)$/,
    ([kind, name = ''], names) =>
      names.relations(null, name).length > 0 ? `must be owner of ${kind} ${name}` : null,
  ],
];

/** null: nothing of it is known to be free of values. */
export function ownWords(text: string, names: CatalogNames): string | null {
  if (FIXED.has(text)) return text;
  for (const [pattern, told] of PATTERNS) {
    const found = pattern.exec(text);
    if (found !== null) return told(found.slice(1), names);
  }
  return null;
}

/** Which object an error is about: the names that the catalog has, together. */
export interface Objects {
  readonly schema: string | null;
  readonly table: string | null;
  readonly column: string | null;
  readonly constraint: string | null;
}

export function objectsOf(fields: ReadonlyMap<string, string>, names: CatalogNames): Objects {
  const schema = fields.get('s') ?? null;
  const table = fields.get('t') ?? null;
  const column = fields.get('c') ?? null;
  const constraint = fields.get('n') ?? null;
  const found = table === null ? [] : names.relations(schema, table);
  const there = found.length > 0;
  return {
    schema: schema !== null && (there || (table === null && names.hasSchema(schema))) ? schema : null,
    table: there ? table : null,
    column: column !== null && found.some((one) => hasColumn(one, column)) ? column : null,
    constraint: found.some(
      ({ constraints = [], indexes = [] }) =>
        constraint !== null && (constraints.includes(constraint) || indexes.includes(constraint)),
    )
      ? constraint
      : null,
  };
}

/**
 * The place in the data of a COPY, without what stands there. The session knows its rows: which of them met a constraint, a check or a trigger
 * tells what they are compared with. So only where the data itself cannot be read: by COPY, or as a value of a built-in type.
 */
export function copyPlace(fields: ReadonlyMap<string, string>, names: CatalogNames): string | null {
  const found = /^COPY ([^,\n]+), line (\d+)(?:, column ([^:\n]+))?(?:: [\s\S]*)?$/.exec(
    fields.get('W') ?? '',
  );
  if (found === null) return null;
  const [, table = '', line, column] = found;
  const unread = fields.get('F') === 'copyfromparse.c';
  const at = names.relations(null, table).filter((one) => column === undefined || reads(one, column));
  if (at.length === 0 || (column === undefined && !unread)) return null;
  return `COPY ${table}, line ${line}${column === undefined ? '' : `, column ${column}`}`;
}

const hasColumn = ({ columns }: CatalogRelation, column: string): boolean =>
  columns.some(({ name }) => name === column);

const reads = ({ columns }: CatalogRelation, column: string): boolean =>
  columns.some(({ name, type }) => name === column && BUILT_IN_TYPE.test(type.replace(/\([^)]*\)/, '')));

/** A constraint's error, as the server words it. */
export function violation(code: string, { table, column, constraint }: Objects): string | null {
  switch (code) {
    case '23502':
      return column === null || table === null
        ? null
        : `null value in column "${column}" of relation "${table}" violates not-null constraint`;
    case '23503':
      return constraint === null
        ? null
        : `foreign key constraint "${constraint}" on table "${table}" is violated`;
    case '23505':
      return constraint === null ? null : `duplicate key value violates unique constraint "${constraint}"`;
    case '23514':
      if (constraint !== null)
        return `new row for relation "${table}" violates check constraint "${constraint}"`;
      return table === null
        ? null
        : `new row for relation "${table}" violates a check or partition constraint`;
    case '23P01':
      return constraint === null
        ? null
        : `conflicting key value violates exclusion constraint "${constraint}"`;
    default:
      return null;
  }
}
