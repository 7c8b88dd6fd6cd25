/**
 * Does a statement match? The same criteria are read two ways, so that doubt always ends on the careful side:
 *
 * - **restrict** (the `match` of hold, deny and mask rules; the `unless` of allow rules): one relation, column, class or function
 *   of the statement that matches is enough, and an unresolved name may be anything.
 * - **permit** (the `match` of allow rules; the `unless` of the others): everything the statement touches must match, and what is
 *   not known matches nothing. `DELETE FROM scratch.a USING hr.b` is not excepted by `unless: {relations: [scratch.*]}`.
 */
import type { PolicyContext, StatementClass, StatementFacts } from '../types.ts';
import { type GlobParts, type Leaning, matchesName, matchesWord, splitGlob } from './glob.ts';
import type { Match } from './types.ts';

export type Matcher = (statement: StatementFacts, context: PolicyContext) => boolean;

export function compileMatch(match: Match, leaning: Leaning): Matcher {
  const checks: Matcher[] = [];
  const some = leaning === 'restrict';
  const over = <T>(items: readonly T[], test: (item: T) => boolean): boolean =>
    // An empty list satisfies nobody: a statement whose relations are not known must not slip through "all of none".
    some ? items.some(test) : items.length > 0 && items.every(test);

  if (match.classes) {
    const wanted = new Set<StatementClass>(match.classes);
    checks.push((statement) =>
      over(some ? [...classesOf(statement), ...readClass(statement)] : classesOf(statement), (name) =>
        wanted.has(name),
      ),
    );
  }
  if (match.relations) {
    const globs = compile(match.relations, 2);
    checks.push((statement) =>
      over(statement.relations, ({ schema, name, known }) =>
        globs.some((glob) => matchesName(glob, [known ? schema : null, name], leaning)),
      ),
    );
  }
  if (match.functions) {
    const globs = compile(match.functions, 2);
    checks.push((statement) =>
      over(statement.functions, (name) => {
        const dot = name.indexOf('.');
        const parts = dot < 0 ? [null, name] : [name.slice(0, dot), name.slice(dot + 1)];
        return globs.some((glob) => matchesName(glob, parts, leaning));
      }),
    );
  }
  if (match.columns || match.tags || match.use) {
    const globs = match.columns ? compile(match.columns, 3) : null;
    const tags = match.tags ? new Set(match.tags) : null;
    const uses = match.use ? new Set<string>(match.use) : null;
    checks.push((statement) =>
      over(
        statement.columns,
        ({ schema, relation, column, tag, use }) =>
          (globs === null || globs.some((glob) => matchesName(glob, [schema, relation, column], leaning))) &&
          (tags === null || tags.has(tag)) &&
          (uses === null || uses.has(use)),
      ),
    );
  }
  if (match.missing_where !== undefined) {
    const wanted = match.missing_where;
    checks.push((statement) => statement.missingWhere === wanted);
  }
  for (const [globs, word] of [
    [match.targets, (context: PolicyContext) => context.target],
    [match.environments, (context: PolicyContext) => context.environment],
    [match.owners, (context: PolicyContext) => context.owner],
    [match.agents, (context: PolicyContext) => context.agent],
  ] as const) {
    if (!globs) continue;
    checks.push((_statement, context) => {
      const value = word(context);
      return value !== null && globs.some((glob) => matchesWord(glob, value));
    });
  }
  if (match.groups) {
    const globs = match.groups;
    checks.push((_statement, { groups }) =>
      groups.some((group) => globs.some((glob) => matchesWord(glob, group))),
    );
  }
  if (match.transaction) {
    const wanted = new Set<string>(match.transaction);
    checks.push((_statement, { transaction }) => wanted.has(transaction));
  }
  return (statement, context) => checks.every((check) => check(statement, context));
}

/** Its own class, and those of everything it does on the way: a CTE's DELETE, a trigger's, a cascade's. */
export function classesOf(statement: StatementFacts): readonly StatementClass[] {
  const classes = new Set<StatementClass>([statement.class]);
  for (const { access } of statement.relations) {
    switch (access) {
      case 'insert':
      case 'update':
      case 'delete':
      case 'truncate':
      case 'ddl':
        classes.add(access);
        break;
      case 'copy-in':
      case 'copy-out':
        classes.add('copy');
        break;
      case 'read':
      case 'lock':
        break;
    }
  }
  if (statement.unknowns.length > 0) classes.add('unknown');
  return [...classes];
}

/** Reading on the way counts where reading is restricted; it never makes a permission fail. */
function readClass(statement: StatementFacts): readonly StatementClass[] {
  return statement.relations.some(({ access }) => access === 'read') ? ['read'] : [];
}

function compile(globs: readonly string[], max: number): readonly GlobParts[] {
  return globs.map((glob) => {
    const parts = splitGlob(glob, max);
    // The schema let it through: a difference between the two is a bug, and a bug denies (verdict.ts).
    if (typeof parts === 'string') throw new Error(`glob ${parts}`);
    return parts;
  });
}
