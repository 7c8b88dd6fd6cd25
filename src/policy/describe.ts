/** Short words for people and models about a statement. Names come out of the client's text: plain, one line, capped. */
import type { RelationUse, StatementFacts } from './types.ts';

const MAX_NAME = 64;

/** `DELETE on orders`, `SELECT reading customers.email`, `SELECT with an unknown function`. */
export function describe(
  statement: StatementFacts | null,
  about: 'statement' | 'columns' | 'unknowns',
): string {
  if (statement === null) return 'an empty statement';
  const verb = plain(statement.verb);
  if (about === 'columns' && statement.columns.length > 0) {
    const values = statement.columns.filter(({ use }) => use === 'value');
    const shown = values.length > 0 ? values : statement.columns;
    const names = shown.map(({ schema, relation, column }) =>
      plain(`${shortSchema(schema)}${relation}.${column}`),
    );
    const list = listed([...new Set(names)], 3, ', ');
    const lost = losesTag(statement);
    if (lost !== null)
      return `${verb} ${lost === '' ? `taking the tag off ${list}` : `copying ${list} into ${lost}, where it carries no tag`}`;
    return `${verb} ${values.length > 0 ? 'reading' : 'using'} ${list}`;
  }
  if (about === 'unknowns' && statement.unknowns.length > 0) {
    return `${verb} that policy cannot see through: ${listed(statement.unknowns.map(plain), 2, '; ')}`;
  }
  const names = [
    ...new Set(named(statement.relations).map(({ schema, name }) => plain(`${shortSchema(schema)}${name}`))),
  ];
  return names.length === 0 ? verb : `${verb} on ${listed(names, 3, ', ')}`;
}

/**
 * Tagged values go where no tag hides them: the relation they are copied into, empty for a rename in place, null when they do not.
 * A view keeps its lineage, and so its tags.
 */
export function losesTag({ columns, relations, verb }: StatementFacts): string | null {
  const values = columns.filter(({ use }) => use === 'value');
  if (values.length === 0) return null;
  if (/^ALTER .*(?:RENAME|TABLE|VIEW)$/.test(verb)) return '';
  if (/^CREATE (?:VIEW|MATERIALIZED)/.test(verb)) return null;
  const target = relations.find(
    ({ access, indirect }) => !indirect && (access === 'ddl' || access === 'insert' || access === 'update'),
  );
  // RETURNING shows the target's own columns.
  if (target === undefined || values.every(({ relation }) => relation === target.name)) return null;
  return plain(`${shortSchema(target.schema)}${target.name}`);
}

/** What is written comes before what is read, what the text names before what it reaches indirectly. */
function named(relations: readonly RelationUse[]): readonly RelationUse[] {
  const direct = relations.filter(({ indirect }) => !indirect);
  const pool = direct.length > 0 ? direct : relations;
  const written = pool.filter(({ access }) => access !== 'read' && access !== 'lock');
  return written.length > 0 ? written : pool;
}

function shortSchema(schema: string | null): string {
  return schema === null || schema === 'public' ? '' : `${schema}.`;
}

export function listed(items: readonly string[], max: number, separator: string): string {
  const shown = items.slice(0, max).join(separator);
  return items.length > max ? `${shown} and ${items.length - max} more` : shown;
}

function plain(text: string): string {
  const line = text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ');
  return line.length > MAX_NAME ? `${line.slice(0, MAX_NAME - 1)}…` : line;
}
